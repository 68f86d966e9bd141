//! Numbers for words: each different one has a number, and a word is found by one look-up.
//!
//! There are a hundred thousand of them in the lexicons of fifteen languages. So the table holds numbers alone, and finds
//! the letters by them: a map with a string of its own for each word would take three times the memory.

use std::hash::BuildHasher;

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

use crate::word_list::WordList;

/// The number of a word: 0, 1, 2 …, in the order in which they were added. So a number that equals the length of a list
/// with an entry for each word is that of a new word.
pub(crate) type WordId = u32;

/// Words, each once.
#[derive(Debug, Default)]
pub(crate) struct Words {
    list: WordList,
    ids: HashTable<WordId>,
}

impl Words {
    /// The number of `word`, a new one if it is new.
    pub(crate) fn insert(&mut self, word: &str) -> WordId {
        self.get(word).unwrap_or_else(|| {
            let id = WordId::try_from(self.list.len()).expect("a vocabulary far below 2^32 words");
            self.list.push(word);
            self.ids.insert_unique(hash(word), id, |&id| hash(self.list.get(id as usize)));
            id
        })
    }

    /// The number of `word`, if it was added.
    pub(crate) fn get(&self, word: &str) -> Option<WordId> {
        self.ids.find(hash(word), |&id| self.word(id) == word).copied()
    }

    /// The word of a number that [`Self::insert`] gave.
    pub(crate) fn word(&self, id: WordId) -> &str {
        self.list.get(id as usize)
    }

    /// Gives back the room that was kept for more.
    pub(crate) fn shrink(&mut self) {
        self.list.shrink_to_fit();
    }
}

fn hash(word: &str) -> u64 {
    FxBuildHasher.hash_one(word)
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
