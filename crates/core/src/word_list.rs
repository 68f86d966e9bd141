//! Many short texts in little memory: there are hundreds of thousands of words in the lexicons of fifteen languages.

use std::fmt;

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

/// Texts one after another in one string, where a string each would take three times the memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WordList {
    letters: String,
    /// Where each ends.
    ends: Vec<u32>,
}

impl WordList {
    /// Adds a text at the end.
    pub fn push(&mut self, text: &str) {
        self.letters.push_str(text);
        self.ends.push(u32::try_from(self.letters.len()).expect("far less than 4 GiB of words"));
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The text of number `at`, counted from 0 in the order in which they were added.
    ///
    /// # Panics
    /// If there are not as many.
    pub fn get(&self, at: usize) -> &str {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.letters[start as usize..self.ends[at] as usize]
    }

    /// The texts, in the order in which they were added.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.len()).map(|at| self.get(at))
    }

    /// Gives back the room that was kept for more.
    pub fn shrink_to_fit(&mut self) {
        self.letters.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

impl<'de> Deserialize<'de> for WordList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = WordList;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of strings")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<WordList, A::Error> {
                let mut list = WordList::default();
                while let Some(text) = texts.next_element::<String>()? {
                    list.push(&text);
                }
                list.shrink_to_fit();
                Ok(list)
            }
        }
        deserializer.deserialize_seq(Texts)
    }
}

impl Serialize for WordList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Serialize, serde::Deserialize)]
    struct File {
        any: WordList,
    }

    #[test]
    fn a_list_is_read_from_a_file_and_written_as_it_was() {
        let File { any } =
            toml::from_str("any = ['stuck', '', \"dead\\u0021\", '下']").expect("a list of strings");
        assert_eq!(any.iter().collect::<Vec<_>>(), ["stuck", "", "dead!", "下"]);
        let written = toml::to_string(&File { any }).expect("it can be written");
        assert_eq!(written, "any = [\"stuck\", \"\", \"dead!\", \"下\"]\n");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["any = 'stuck'", "any = ['stuck', 1]"] {
            assert!(toml::from_str::<File>(text).is_err(), "{text}");
        }
    }
}
