//! The automaton over words: every alias, phrase and marker at once, in one pass over a text.
//!
//! A trie whose edges are words. Words are numbered by one hash look-up each, those that occur in no phrase fall out
//! there, and from each word that begins some phrase the trie is followed as far as it goes. That costs a look-up a
//! word whatever the size of the catalogue; a byte-wise Aho-Corasick automaton over 10,000 services has hundreds of
//! thousands of states, leaves the processor's cache and slows with every service added.
//!
//! A `*` in a phrase is an edge that skips up to [`GAP_WORDS_MAX`] words.

use rustc_hash::FxHashMap;

use crate::cues::prefixes;
use crate::fold::{FoldedText, WordKind};
use crate::forms::{Forms, StartBits};
use crate::matching::LanguageTag;
use crate::words::{WordId, Words};

/// The longest phrase. It bounds the walk from one position; Japanese phrases have a word a character.
pub(crate) const PHRASE_WORDS_MAX: usize = 24;
/// How many words a `*` may skip: "can't *really even* log in"; more joins words of different thoughts.
const GAP_WORDS_MAX: usize = 2;
/// The words before a genitive, itself included, in which a name of it is looked for.
const GENITIVE_WORDS_MAX: usize = 4;

/// Numbers a node of the trie; 0 is the root, which no edge leads to.
pub(crate) type Node = u32;

/// Beginnings of words, which lead to nodes as whole words do.
#[derive(Debug, Default)]
struct Prefixes {
    starts: StartBits,
    words: Words,
    /// The node that each leads to.
    nodes: Vec<Node>,
}

impl Prefixes {
    /// The node that the beginning `prefix` leads to, if some cue is one.
    fn node_of(&self, prefix: &str) -> Option<Node> {
        self.words.get(prefix).map(|id| self.nodes[id as usize])
    }
}

/// Gathers phrases, each with a value of type `V`.
#[derive(Debug)]
pub(crate) struct PhraseTrieBuilder<V> {
    words: Words,
    /// For each word whether a phrase has it, and not only a cue.
    in_phrases: Vec<bool>,
    first: Vec<Node>,
    edges: FxHashMap<(Node, WordId), Node>,
    gaps: FxHashMap<Node, Node>,
    n_nodes: Node,
    values: Vec<(Node, V)>,
    prefixes: Prefixes,
    folded: FoldedText,
    /// The words of the phrase that [`Self::path_to`] led to last.
    phrase: Vec<WordId>,
    forms: Forms,
}

/// A trie of phrases, each with a value of type `V`.
#[derive(Debug)]
pub(crate) struct PhraseTrie<V> {
    words: Words,
    /// For each word whether a phrase has it: words that only cues have may yet be forms of names.
    in_phrases: Box<[bool]>,
    /// The node that each word leads to from the root, or 0.
    first: Box<[Node]>,
    edges: FxHashMap<(Node, WordId), Node>,
    /// One more than there are nodes.
    nodes: Box<[NodeEntry]>,
    values: Box<[V]>,
    prefixes: Prefixes,
    forms: Forms,
}

/// What is known at a node before any further look-up.
#[derive(Debug, Clone, Copy, Default)]
struct NodeEntry {
    /// A bit for each number, modulo 64, of the words that lead on: most words do not, and need no look-up to say so.
    leads_on: u64,
    /// The node behind a `*`, or 0.
    gap: Node,
    /// Where its values begin; they end where those of the next node begin. Most nodes have none or one, and a vector
    /// each would be most of the trie's memory.
    values_from: u32,
}

/// A phrase found in a text: words `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hit<V> {
    pub(crate) value: V,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl<V: Copy> PhraseTrieBuilder<V> {
    pub(crate) fn new() -> Self {
        Self {
            words: Words::default(),
            in_phrases: Vec::new(),
            first: Vec::new(),
            edges: FxHashMap::default(),
            gaps: FxHashMap::default(),
            n_nodes: 1,
            values: Vec::new(),
            prefixes: Prefixes::default(),
            folded: FoldedText::default(),
            phrase: Vec::new(),
            forms: Forms::default(),
        }
    }

    /// Adds what a language hangs onto words in front, and onto names behind.
    pub(crate) fn insert_affixes(
        &mut self,
        beginnings: &[String],
        endings: &[String],
        language: LanguageTag,
    ) {
        for beginning in beginnings {
            self.forms.beginnings.push((folded_key(beginning).into(), language));
        }
        for ending in endings {
            self.forms.insert_ending(&folded_key(ending), language);
        }
    }

    /// Adds a name, whose words people inflect.
    pub(crate) fn insert_name(&mut self, name: &str, value: V) {
        self.insert(name, value);
        for &word in &self.phrase {
            self.forms.insert_stem(self.words.word(word));
        }
    }

    /// Adds the beginning of a word; see [`crate::cues::prefixes`] for the lengths that are looked up.
    pub(crate) fn insert_prefix(&mut self, prefix: &str, value: V) {
        let prefix = folded_key(prefix);
        self.prefixes.starts.insert(&prefix);
        let id = self.prefixes.words.insert(&prefix) as usize;
        if id == self.prefixes.nodes.len() {
            let node = self.new_node();
            self.prefixes.nodes.push(node);
        }
        self.values.push((self.prefixes.nodes[id], value));
    }

    /// The finished trie.
    pub(crate) fn build(mut self) -> PhraseTrie<V> {
        self.words.shrink();
        self.prefixes.words.shrink();
        // A stable sort: values of one phrase stay in the order in which they were added.
        self.values.sort_by_key(|&(node, _)| node);
        let mut nodes = vec![NodeEntry::default(); self.n_nodes as usize + 1];
        let mut values_from = 0;
        for (node, entry) in (0..).zip(nodes.iter_mut()) {
            values_from += self.values[values_from..].iter().take_while(|&&(other, _)| other < node).count();
            entry.values_from = u32::try_from(values_from).expect("far fewer than 2^32 values");
            entry.gap = self.gaps.get(&node).copied().unwrap_or(0);
        }
        for &(node, word) in self.edges.keys() {
            nodes[node as usize].leads_on |= 1 << (word % 64);
        }
        PhraseTrie {
            nodes: nodes.into(),
            values: self.values.into_iter().map(|(_, value)| value).collect(),
            words: self.words,
            in_phrases: self.in_phrases.into(),
            first: self.first.into(),
            edges: self.edges,
            prefixes: self.prefixes,
            forms: self.forms.sorted(),
        }
    }

    /// Adds a phrase.
    pub(crate) fn insert(&mut self, phrase: &str, value: V) {
        let node = self.path_to(phrase, true);
        self.insert_at(node, value);
    }

    /// Adds a cue: a word that only cues have may yet be a form of a name.
    pub(crate) fn insert_cue(&mut self, cue: &str, value: V) {
        let node = self.path_to(cue, false);
        self.insert_at(node, value);
    }

    /// Adds a value to the phrase whose node [`Self::path_to`] told.
    pub(crate) fn insert_at(&mut self, node: Node, value: V) {
        if node != 0 {
            self.values.push((node, value));
        }
    }

    /// Makes the way to `phrase` and tells its node, the same for all that fold to the same words; 0 if it has none.
    /// `is_phrase` as for [`Self::insert`], not for [`Self::insert_cue`].
    pub(crate) fn path_to(&mut self, phrase: &str, is_phrase: bool) -> Node {
        let mut node = 0;
        self.phrase.clear();
        for part in phrase.split_whitespace() {
            if part == "*" {
                let next = self.gaps.get(&node).copied().unwrap_or_else(|| self.new_node());
                self.gaps.insert(node, next);
                node = next;
                continue;
            }
            let mut folded = std::mem::take(&mut self.folded);
            folded.fold(part);
            for word in folded.words().iter().filter(|word| word.kind != WordKind::Host) {
                node = self.descend(node, folded.letters(word), is_phrase);
            }
            self.folded = folded;
        }
        node
    }

    fn descend(&mut self, node: Node, letters: &str, is_phrase: bool) -> Node {
        let word = self.words.insert(letters);
        self.phrase.push(word);
        if word as usize == self.first.len() {
            self.first.push(0);
            self.in_phrases.push(false);
        }
        self.in_phrases[word as usize] |= is_phrase;
        let known = match node {
            0 => self.first[word as usize],
            _ => self.edges.get(&(node, word)).copied().unwrap_or(0),
        };
        if known != 0 {
            return known;
        }
        let next = self.new_node();
        if node == 0 {
            self.first[word as usize] = next;
        } else {
            self.edges.insert((node, word), next);
        }
        next
    }

    fn new_node(&mut self) -> Node {
        self.n_nodes += 1;
        self.n_nodes - 1
    }
}

impl<V: Copy> PhraseTrie<V> {
    /// The number of a word, or of the word that it is a form of.
    fn id_of(&self, letters: &str, language: Option<LanguageTag>) -> Option<WordId> {
        let known = |letters: &str| self.words.get(letters);
        match known(letters) {
            Some(id) if self.in_phrases[id as usize] => Some(id),
            Some(id) => {
                let known_name = |letters: &str| known(letters).filter(|_| self.forms.is_stem(letters));
                self.forms.base_of(letters, language, known_name).or(Some(id))
            }
            None => self.forms.base_of(letters, language, known),
        }
    }

    /// The node that `word` leads to from `node`, if any.
    fn edge(&self, node: Node, word: WordId) -> Option<Node> {
        let may_lead_on = self.nodes[node as usize].leads_on & (1 << (word % 64)) != 0;
        if may_lead_on { self.edges.get(&(node, word)).copied() } else { None }
    }

    fn values_of(&self, node: Node) -> &[V] {
        let [from, until] = [node, node + 1].map(|node| self.nodes[node as usize].values_from as usize);
        &self.values[from..until]
    }

    /// Finds every phrase in `text`, in the order of their first words. `ids` and `hits` are scratch and result.
    pub(crate) fn find(
        &self,
        text: &FoldedText,
        language: Option<LanguageTag>,
        ids: &mut Vec<Option<u32>>,
        hits: &mut Vec<Hit<V>>,
    ) {
        ids.clear();
        hits.clear();
        ids.extend(text.words().iter().map(|word| match word.kind {
            WordKind::Plain | WordKind::Hashtag => self.id_of(text.letters(word), language),
            WordKind::Handle | WordKind::Host => None,
        }));
        for (start, word) in text.words().iter().enumerate() {
            if word.kind == WordKind::Plain && self.prefixes.starts.may_hold(text.letters(word)) {
                let known = |prefix| self.prefixes.node_of(prefix);
                for node in prefixes(text.letters(word)).filter_map(known) {
                    let values = self.values_of(node);
                    hits.extend(values.iter().map(|&value| Hit { value, start, end: start + 1 }));
                }
            }
            self.follow_from(start, ids, hits);
        }
    }

    /// Finds besides what leads over word `at` if that is read as `letters`, and within its clause. `ids` is what
    /// [`Self::find`] left.
    pub(crate) fn find_over(
        &self,
        text: &FoldedText,
        at: usize,
        letters: &str,
        ids: &mut [Option<u32>],
        hits: &mut Vec<Hit<V>>,
    ) {
        let Some(id) = self.words.get(letters).filter(|&id| Some(id) != ids[at]) else { return };
        let found_as = ids[at].replace(id);
        let n_before = hits.len();
        let is_near = |&start: &usize| text.words()[start].clause == text.words()[at].clause;
        for start in ((at + 1).saturating_sub(GENITIVE_WORDS_MAX)..=at).filter(is_near) {
            self.follow_from(start, ids, hits);
        }
        ids[at] = found_as;
        hits.extract_if(n_before.., |hit| hit.end <= at).for_each(drop);
    }

    /// Follows the trie from word `start`, if some phrase begins with it.
    fn follow_from(&self, start: usize, ids: &[Option<u32>], hits: &mut Vec<Hit<V>>) {
        let node = ids[start].map_or(0, |id| self.first[id as usize]);
        if node != 0 {
            self.follow(node, start, start + 1, ids, hits);
        }
    }

    /// Follows the trie from `node`, reached by the words `[start, end)`. Recursion is as deep as a phrase is long.
    fn follow(&self, node: Node, start: usize, end: usize, ids: &[Option<u32>], hits: &mut Vec<Hit<V>>) {
        hits.extend(self.values_of(node).iter().map(|&value| Hit { value, start, end }));
        if let Some(Some(word)) = ids.get(end)
            && let Some(next) = self.edge(node, *word)
        {
            self.follow(next, start, end + 1, ids, hits);
        }
        let gap = self.nodes[node as usize].gap;
        if gap != 0 {
            for skipped in 0..=GAP_WORDS_MAX {
                if let Some(Some(word)) = ids.get(end + skipped)
                    && let Some(next) = self.edge(gap, *word)
                {
                    self.follow(next, start, end + skipped + 1, ids, hits);
                }
            }
        }
    }
}

/// A phrase as it is compared, for finding the same one written twice: its words, gaps, and the `?` of its end.
pub(crate) fn folded_key(phrase: &str) -> String {
    let mut folded = FoldedText::default();
    let mut key = String::with_capacity(phrase.len() + 2);
    let mut push = |word: &str| {
        if !key.is_empty() {
            key.push(' ');
        }
        key.push_str(word);
    };
    for part in phrase.split_whitespace() {
        if part == "*" {
            push(part);
        } else {
            folded.fold(part);
            folded.words().iter().for_each(|word| push(folded.letters(word)));
        }
    }
    if phrase.ends_with('?') {
        push("?");
    }
    key
}

/// How many words of a text a phrase takes up, gaps left out.
pub(crate) fn n_words(phrase: &str) -> usize {
    let mut folded = FoldedText::default();
    let n_words_of = |part: &str| {
        folded.fold(part);
        folded.words().iter().filter(|word| word.kind != WordKind::Host).count()
    };
    phrase.split_whitespace().filter(|part| *part != "*").map(n_words_of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(phrases: &[&str], text: &str, expected: &[&str]) {
        let mut builder = PhraseTrieBuilder::new();
        for (index, phrase) in phrases.iter().enumerate() {
            builder.insert(phrase, index);
        }
        let trie = builder.build();
        let mut folded = FoldedText::default();
        folded.fold(text);
        let (mut ids, mut hits) = (Vec::new(), Vec::new());
        trie.find(&folded, None, &mut ids, &mut hits);
        let found: Vec<&str> = hits.iter().map(|hit| phrases[hit.value]).collect();
        assert_eq!(found, expected, "in {text:?}");
    }

    #[test]
    fn phrases_match_whole_words_only() {
        check(&["down", "is down"], "downtown is not downed", &[]);
        check(&["down", "is down"], "It IS down.", &["is down", "down"]);
    }

    #[test]
    fn a_beginning_is_found_in_longer_words_with_all_its_values() {
        let mut builder = PhraseTrieBuilder::new();
        builder.insert("load", 0);
        for (prefix, value) in [("load", 1), ("loadin", 2), ("load", 3)] {
            builder.insert_prefix(prefix, value);
        }
        let trie = builder.build();
        let mut folded = FoldedText::default();
        let mut values = |text| {
            folded.fold(text);
            let (mut ids, mut hits) = (Vec::new(), Vec::new());
            trie.find(&folded, None, &mut ids, &mut hits);
            hits.iter().map(|hit| hit.value).collect::<Vec<i32>>()
        };
        assert_eq!(values("load"), [0], "no beginning: the whole word");
        assert_eq!(values("loads"), [1, 3]);
        assert_eq!(values("loading"), [1, 3, 2]);
        assert_eq!(values("loan"), []);
    }

    #[test]
    fn a_gap_takes_up_to_two_words() {
        let phrases = &["cant * log in"];
        check(phrases, "can't log in", &["cant * log in"]);
        check(phrases, "cant even properly log in", &["cant * log in"]);
        check(phrases, "cant you all please log in", &[]);
    }

    #[test]
    fn unspaced_scripts_match_as_substrings() {
        check(&["落ちた", "서버 다운"], "また落ちたよ", &["落ちた"]);
        check(&["落ちた", "서버 다운"], "서버다운됨", &["서버 다운"]);
    }

    #[test]
    fn words_of_handles_and_links_are_not_text() {
        check(&["down"], "@down https://x.example/down #down", &["down"]);
    }
}
