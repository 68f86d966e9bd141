//! Numbers for words: each different one has a number, and a word is found by one look-up.
//!
//! There are a hundred thousand words in the lexicons of fifteen languages. Their letters lie one after another in one
//! string, and the table holds numbers alone, which a map of the standard library cannot look up by their words: a string
//! of its own for each word, and vectors of its own for each cue, took 45 MiB where 27 do.

use std::hash::BuildHasher;

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

/// The number of a word: 0, 1, 2 …, in the order in which they were added. So a number that equals the length of a list
/// with an entry for each word is that of a new word.
pub(crate) type WordId = u32;

/// Words, each once.
#[derive(Debug, Default)]
pub(crate) struct Words {
    /// All of them, one after another.
    letters: String,
    /// Where each ends.
    ends: Vec<u32>,
    ids: HashTable<WordId>,
}

impl Words {
    /// The number of `word`, a new one if it is new.
    pub(crate) fn insert(&mut self, word: &str) -> WordId {
        self.get(word).unwrap_or_else(|| {
            let id = WordId::try_from(self.ends.len()).expect("a vocabulary far below 2^32 words");
            self.letters.push_str(word);
            self.ends.push(u32::try_from(self.letters.len()).expect("a vocabulary far below 4 GiB"));
            let (letters, ends) = (&self.letters, &self.ends);
            self.ids.insert_unique(hash(word), id, |&id| hash(word_at(letters, ends, id)));
            id
        })
    }

    /// The number of `word`, if it was added.
    pub(crate) fn get(&self, word: &str) -> Option<WordId> {
        self.ids.find(hash(word), |&id| word_at(&self.letters, &self.ends, id) == word).copied()
    }

    /// The word of a number that [`Self::insert`] gave.
    pub(crate) fn word(&self, id: WordId) -> &str {
        word_at(&self.letters, &self.ends, id)
    }

    /// Gives back the room that was kept for more.
    pub(crate) fn shrink(&mut self) {
        self.letters.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

fn hash(word: &str) -> u64 {
    FxBuildHasher.hash_one(word)
}

fn word_at<'a>(letters: &'a str, ends: &[u32], id: WordId) -> &'a str {
    let start = if id == 0 { 0 } else { ends[id as usize - 1] };
    &letters[start as usize..ends[id as usize] as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_has_one_number_and_is_found_by_all_its_letters() {
        let mut words = Words::default();
        let numbers = ["down", "", "dow", "下", "down", "下"].map(|word| words.insert(word));
        assert_eq!(numbers, [0, 1, 2, 3, 0, 3]);
        words.shrink();
        assert_eq!((words.get("down"), words.get("下"), words.get("own")), (Some(0), Some(3), None));
    }
}
