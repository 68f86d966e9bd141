//! The cues of all languages, as they are looked up: numbered, and with their texts, tells and categories one after
//! another, for there are hundreds of thousands.

use std::ops::Range;

use crate::cues::{Hundredths, Sign, hundredths};
use crate::lexicon::{Language, Symptom};
use crate::matching::LanguageTag;
use crate::word_list::WordList;

/// The number of a category among those that cues name.
pub(crate) type CueCategory = u16;

/// One cue of the lexicon. What of it is asked for is looked up then: most is needed for few of the cues in a post.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cue<'a> {
    table: &'a CueTable,
    id: u32,
    /// What the cue before has ends where its own begins.
    before: Entry,
    own: Entry,
}

impl<'a> Cue<'a> {
    pub(crate) fn text(self) -> &'a str {
        self.table.texts.get(self.id as usize)
    }

    /// What it adds to the weight; 0 if it only tells.
    pub(crate) fn weight(self) -> Hundredths {
        self.own.weight
    }

    /// What it adds besides where a service of a category is spoken of: words mean more in some than in others.
    fn by_category(self) -> &'a [(CueCategory, Hundredths)] {
        &self.table.by_category[range(self.before.by_category_end, self.own.by_category_end)]
    }

    /// What it adds besides for services of `category`.
    pub(crate) fn weight_besides(self, category: CueCategory) -> Hundredths {
        self.by_category().iter().filter(|&&(of, _)| of == category).map(|&(_, weight)| weight).sum()
    }

    /// Whether it weighs something for some services; if not, it only tells.
    pub(crate) fn is_weighty(self) -> bool {
        self.own.weight != 0 || self.before.by_category_end < self.own.by_category_end
    }

    /// What fails, and how clearly it says so.
    pub(crate) fn tells(self) -> &'a [(Symptom, Hundredths)] {
        &self.table.tells[range(self.before.tells_end, self.own.tells_end)]
    }
}

/// A language that has cues.
#[derive(Debug)]
pub(crate) struct CueLanguage {
    pub(crate) tag: LanguageTag,
    /// The numbers of its cues.
    pub(crate) ids: Range<u32>,
    /// What the signs weigh, in the order of [`Sign::ALL`].
    signs: Box<[Hundredths]>,
}

impl CueLanguage {
    /// What `sign` adds.
    pub(crate) fn weight(&self, sign: Sign) -> Hundredths {
        self.signs[sign as usize]
    }
}

/// The cues of all languages.
#[derive(Debug, Default)]
pub(crate) struct CueTable {
    entries: Vec<Entry>,
    texts: WordList,
    by_category: Vec<(CueCategory, Hundredths)>,
    tells: Vec<(Symptom, Hundredths)>,
    languages: Vec<CueLanguage>,
    categories: Vec<Box<str>>,
}

/// A cue in the table. What it has ends there; it begins where that of the cue before ends.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    weight: Hundredths,
    by_category_end: u32,
    tells_end: u32,
}

/// What one group of a lexicon says of a cue.
#[derive(Debug, Clone, Copy)]
enum Part {
    Weight(Hundredths),
    ByCategory(CueCategory, Hundredths),
    Tells(Symptom, Hundredths),
}

impl CueTable {
    /// Adds the cues, tells and signs of `language`, if it has some, and calls `insert` with the text of each cue
    /// and its number.
    pub(crate) fn add(&mut self, language: &Language, mut insert: impl FnMut(&str, u32)) {
        if language.cues.is_empty() && language.tells.is_empty() && language.signs.is_empty() {
            return;
        }
        let mut parts: Vec<(&str, Part)> = Vec::new();
        for group in &language.cues {
            let weight = hundredths(group.weight);
            let part = match &group.category {
                Some(name) => Part::ByCategory(self.number_category(name), weight),
                None => Part::Weight(weight),
            };
            parts.extend(group.any.iter().map(|text| (text, part)));
        }
        for group in &language.tells {
            let part = Part::Tells(group.symptom, hundredths(group.votes));
            parts.extend(group.any.iter().map(|text| (text, part)));
        }
        // A stable sort: what groups say of a cue stays in their order.
        parts.sort_by_key(|&(text, _)| text);
        let from = end_of(self.entries.len());
        for of_one in parts.chunk_by(|(a, _), (b, _)| a == b) {
            let text = of_one[0].0;
            insert(text, end_of(self.entries.len()));
            self.texts.push(text);
            let mut weight = 0;
            for &(_, part) in of_one {
                match part {
                    Part::Weight(more) => weight += more,
                    Part::ByCategory(category, more) => self.by_category.push((category, more)),
                    Part::Tells(symptom, votes) => self.tells.push((symptom, votes)),
                }
            }
            self.entries.push(Entry {
                weight,
                by_category_end: end_of(self.by_category.len()),
                tells_end: end_of(self.tells.len()),
            });
        }
        let weight = |sign| hundredths(language.signs.get(sign).copied().unwrap_or(0.0));
        self.languages.push(CueLanguage {
            tag: LanguageTag::primary_of(&language.language),
            ids: from..end_of(self.entries.len()),
            signs: Sign::ALL.iter().map(weight).collect(),
        });
    }

    /// Gives back the room that was kept for more.
    pub(crate) fn shrink(&mut self) {
        self.entries.shrink_to_fit();
        self.texts.shrink_to_fit();
        self.by_category.shrink_to_fit();
        self.tells.shrink_to_fit();
    }

    /// The cue of number `id`, one of those that [`Self::add`] gave.
    pub(crate) fn get(&self, id: u32) -> Cue<'_> {
        let before = if id == 0 { Entry::default() } else { self.entries[id as usize - 1] };
        Cue { table: self, id, before, own: self.entries[id as usize] }
    }

    /// The languages that have cues, in the order of their cues.
    pub(crate) fn languages(&self) -> &[CueLanguage] {
        &self.languages
    }

    /// The number of the category `name`, if cues name it.
    pub(crate) fn category(&self, name: &str) -> Option<CueCategory> {
        let at = self.categories.iter().position(|known| **known == *name)?;
        Some(CueCategory::try_from(at).expect("far fewer than 2^16 categories"))
    }

    pub(crate) fn category_name(&self, category: CueCategory) -> &str {
        &self.categories[usize::from(category)]
    }

    fn number_category(&mut self, name: &str) -> CueCategory {
        self.category(name).unwrap_or_else(|| {
            self.categories.push(name.into());
            self.category(name).expect("it was put there")
        })
    }
}

fn range(from: u32, to: u32) -> Range<usize> {
    from as usize..to as usize
}

fn end_of(n: usize) -> u32 {
    u32::try_from(n).expect("far fewer than 2^32 cues and tells")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn language(text: &str) -> Language {
        toml::from_str(text).expect("a good file")
    }

    #[test]
    fn each_cue_has_what_its_groups_say_together() {
        let english = language(
            "language='en'\n[[cues]]\nweight=0.5\nany=['stuck','dead*']\n\
             [[cues]]\nweight=0.2\ncategory='music'\nany=['dead*']\n\
             [[tells]]\nsymptom='login'\nvotes=1.0\nany=['code','stuck']\n\
             [[tells]]\nsymptom='slow'\nvotes=-0.3\nany=['code']\n[signs]\nnegated=-0.1",
        );
        let german = language(
            "language='de'\n[[cues]]\nweight=0.3\nany=['stuck']\n\
             [[cues]]\nweight=0.1\ncategory='music'\nany=['weg']",
        );
        let mut table = CueTable::default();
        let mut inserted = Vec::new();
        for language in [english, language("language='fr'"), german] {
            table.add(&language, |text, id| inserted.push((text.to_owned(), id)));
        }
        table.shrink();
        let inserted: Vec<(&str, u32)> = inserted.iter().map(|(text, id)| (text.as_str(), *id)).collect();
        assert_eq!(inserted, [("code", 0), ("dead*", 1), ("stuck", 2), ("stuck", 3), ("weg", 4)]);
        let music = table.category("music").expect("cues name it");
        assert_eq!((table.category_name(music), table.category("sport")), ("music", None));
        let [code, dead, stuck, german_stuck, weg] = [0, 1, 2, 3, 4].map(|id| table.get(id));
        assert_eq!((stuck.text(), stuck.weight(), stuck.by_category()), ("stuck", 50, &[][..]));
        assert_eq!(stuck.tells(), [(Symptom::Login, 100)]);
        assert_eq!(
            (dead.text(), dead.weight(), dead.weight_besides(music), dead.tells()),
            ("dead*", 50, 20, &[][..])
        );
        assert_eq!((code.text(), code.is_weighty()), ("code", false));
        assert_eq!(code.tells(), [(Symptom::Login, 100), (Symptom::Slow, -30)]);
        assert_eq!(
            (german_stuck.text(), german_stuck.weight(), german_stuck.tells()),
            ("stuck", 30, &[][..])
        );
        assert_eq!((weg.text(), weg.weight(), weg.weight_besides(music)), ("weg", 0, 10));
        let [of_english, of_german] = table.languages() else { panic!("French has no cues") };
        assert_eq!((of_english.ids.clone(), of_german.ids.clone()), (0..3, 3..5));
        assert_eq!((of_english.weight(Sign::Negated), of_german.weight(Sign::Negated)), (-10, 0));
    }
}
