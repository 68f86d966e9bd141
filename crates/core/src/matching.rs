//! Finds what a text mentions: services by any of their names, phrases of the lexicon, and the markers around them.
//!
//! This module only finds; [`crate::judgement`] decides. One pass over the words finds aliases, phrases, negations,
//! context and exclusions together ([`crate::phrases`]); handles, hashtags and hosts are looked up by their kind.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::catalogue::{Catalogue, ServiceIndex};
use crate::cue_table::CueTable;
use crate::fold::{FoldedText, WordKind};
use crate::handles::service_by_name;
use crate::lexicon::{Lexicon, Symptom, Tier};
use crate::phrases::{Hit, Node, PhraseTrie, PhraseTrieBuilder};

/// English words behind which an apostrophe and `s` are "is" or "us", not the genitive.
const CONTRACTED: &[&str] =
    &["it", "he", "she", "that", "what", "there", "here", "where", "when", "who", "how", "let"];

/// A BCP 47 primary subtag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LanguageTag([u8; 3]);

impl LanguageTag {
    /// The tag for "undetermined".
    pub const UNDETERMINED: Self = Self(*b"und");
    pub(crate) const ENGLISH: Self = Self(*b"en\0");

    /// The primary subtag of a BCP 47 tag; undetermined when that is not two or three letters.
    pub fn primary_of(tag: &str) -> Self {
        let primary = tag.split(['-', '_']).next().unwrap_or_default().as_bytes();
        if !(2..=3).contains(&primary.len()) || !primary.iter().all(u8::is_ascii_alphabetic) {
            return Self::UNDETERMINED;
        }
        let mut letters = [0; 3];
        letters[..primary.len()].copy_from_slice(&primary.to_ascii_lowercase());
        Self(letters)
    }

    /// The tag as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("made of ASCII letters").trim_end_matches('\0')
    }
}

/// One phrase of the lexicon.
#[derive(Debug, Clone)]
pub(crate) struct Phrase {
    pub(crate) text: Box<str>,
    /// Written with a `?` at its end: it must end its sentence.
    pub(crate) ends_sentence: bool,
    pub(crate) language: LanguageTag,
    pub(crate) tier: Tier,
    pub(crate) symptom: Symptom,
}

/// What a marker says of the words around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marker {
    Negation,
    Recovery,
    NotNow,
    Figurative,
    News,
}

/// What a phrase in the trie stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    Alias(ServiceIndex),
    Excludes(ServiceIndex),
    /// A context phrase that any number of services may ask for; numbered, so that the cost of finding it does not
    /// grow with them.
    Context(u32),
    Phrase(u32),
    Cue(u32),
    Marker(Marker, LanguageTag),
}

/// A service named in a text: words `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mention {
    pub(crate) service: ServiceIndex,
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Named by handle, domain, own hashtag or `#Xdown`: needs no context.
    pub(crate) certain: bool,
    /// Named as `#Xdown`, or as "X down" at the end of a sentence, which is a complaint by itself; the language of the
    /// suffix.
    pub(crate) says_down: Option<LanguageTag>,
}

/// Scratch for one text, reused from text to text.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) text: FoldedText,
    pub(crate) hits: Vec<Hit<Mark>>,
    pub(crate) mentions: Vec<Mention>,
    word_ids: Vec<Option<u32>>,
}

/// What tells a service from the common word that its name is.
#[derive(Debug)]
struct Ambiguity {
    /// The context that it needs, ordered; empty when its names are not ambiguous.
    context: Box<[u32]>,
    /// The languages in which it needs it; empty for all.
    languages: Box<[LanguageTag]>,
}

/// The compiled catalogue and lexicon.
#[derive(Debug)]
pub(crate) struct Index {
    trie: PhraseTrie<Mark>,
    phrases: Vec<Phrase>,
    cues: CueTable,
    languages: Vec<LanguageTag>,
    /// For each service how its names are ambiguous.
    ambiguities: Vec<Ambiguity>,
    handles: FxHashMap<Box<str>, ServiceIndex>,
    domains: FxHashMap<Box<str>, ServiceIndex>,
    /// Aliases written together and hashtags, and whether the tag needs no context.
    hashtags: FxHashMap<Box<str>, (ServiceIndex, bool)>,
    suffixes: Vec<(Box<str>, LanguageTag)>,
}

impl Index {
    pub(crate) fn new(catalogue: &Catalogue, lexicon: Lexicon) -> Self {
        let mut trie = PhraseTrieBuilder::new();
        let mut index = Self {
            trie: PhraseTrieBuilder::new().build(),
            phrases: Vec::new(),
            cues: CueTable::default(),
            languages: Vec::new(),
            ambiguities: Vec::new(),
            handles: FxHashMap::default(),
            domains: FxHashMap::default(),
            hashtags: FxHashMap::default(),
            suffixes: Vec::new(),
        };
        index.add_catalogue(catalogue, &mut trie);
        index.add_lexicon(lexicon, &mut trie);
        index.trie = trie.build();
        index
    }

    fn add_catalogue(&mut self, catalogue: &Catalogue, trie: &mut PhraseTrieBuilder<Mark>) {
        let mut context_ids: FxHashMap<Node, u32> = FxHashMap::default();
        for (position, service) in catalogue.services().iter().enumerate() {
            let index = ServiceIndex::of(position);
            for alias in service.names() {
                trie.insert_name(alias, Mark::Alias(index));
                self.hashtags.entry(joined(alias)).or_insert((index, false));
            }
            for phrase in &service.exclude {
                trie.insert(phrase, Mark::Excludes(index));
            }
            for tag in &service.hashtags {
                self.hashtags.insert(joined(tag), (index, true));
            }
            for handle in &service.handles {
                self.handles.insert(handle.trim_start_matches('@').to_lowercase().into(), index);
            }
            for domain in &service.domains {
                self.domains.insert(domain.to_lowercase().into(), index);
            }
            let mut needed = Vec::new();
            for phrase in service.context() {
                let n_known = u32::try_from(context_ids.len()).expect("far fewer than 2^32 contexts");
                let node = trie.path_to(phrase, true);
                let id = *context_ids.entry(node).or_insert(n_known);
                trie.insert_at(node, Mark::Context(id));
                needed.push(id);
            }
            needed.sort_unstable();
            let languages = service.ambiguous_in.iter().map(|tag| LanguageTag::primary_of(tag)).collect();
            self.ambiguities.push(Ambiguity { context: needed.into(), languages });
        }
    }

    fn add_lexicon(&mut self, lexicon: Lexicon, trie: &mut PhraseTrieBuilder<Mark>) {
        for language in lexicon.languages() {
            let tag = LanguageTag::primary_of(&language.language);
            self.languages.push(tag);
            let markers = [
                (Marker::Negation, &language.negation),
                (Marker::Recovery, &language.recovery),
                (Marker::NotNow, &language.not_now),
                (Marker::Figurative, &language.figurative),
                (Marker::News, &language.news),
            ];
            for (marker, phrases) in markers {
                for phrase in phrases {
                    trie.insert(phrase, Mark::Marker(marker, tag));
                }
            }
            trie.insert_affixes(&language.word_beginnings, &language.name_endings, tag);
            self.suffixes.extend(language.hashtag_suffixes.iter().map(|suffix| (joined(suffix), tag)));
            for group in &language.phrases {
                for text in &group.any {
                    let id = u32::try_from(self.phrases.len()).expect("far fewer than 2^32 phrases");
                    trie.insert(text, Mark::Phrase(id));
                    self.phrases.push(Phrase {
                        text: text.as_str().into(),
                        ends_sentence: text.ends_with('?'),
                        language: tag,
                        tier: group.tier,
                        symptom: group.symptom,
                    });
                }
            }
        }
        // A language at a time makes room for the next one's cues.
        for language in lexicon.into_languages() {
            self.cues.add(&language, |text, id| match text.strip_suffix('*') {
                Some(prefix) => trie.insert_prefix(prefix, Mark::Cue(id)),
                None => trie.insert_cue(text, Mark::Cue(id)),
            });
        }
        self.cues.shrink();
        // The longest suffix first: "#xisdown" is x, not "xis". Of languages that share one, English: it lent it.
        let rank = |(suffix, language): &(Box<str>, LanguageTag)| {
            (std::cmp::Reverse(suffix.len()), *language != LanguageTag::ENGLISH)
        };
        self.suffixes.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.cmp(b)));
    }

    pub(crate) fn cues(&self) -> &CueTable {
        &self.cues
    }

    pub(crate) fn phrase(&self, id: u32) -> &Phrase {
        &self.phrases[id as usize]
    }

    /// Whether the lexicon has `language`.
    pub(crate) fn knows(&self, language: LanguageTag) -> bool {
        self.languages.contains(&language)
    }

    /// Whether words of `language` are looked for in a post whose language is `post_language`. A post in a language
    /// that the lexicon lacks may be in any; English counts everywhere, since "down" is said everywhere.
    pub(crate) fn speaks(&self, post_language: Option<LanguageTag>, language: LanguageTag) -> bool {
        match post_language {
            Some(post) if self.knows(post) => language == post || language == LanguageTag::ENGLISH,
            _ => true,
        }
    }

    /// Whether the names of `service` are common words too, in a text of `post_language`, or else of the languages of
    /// the phrases found in it.
    fn is_ambiguous(
        &self,
        service: ServiceIndex,
        post_language: Option<LanguageTag>,
        hits: &[Hit<Mark>],
    ) -> bool {
        let Ambiguity { context, languages } = &self.ambiguities[service.as_usize()];
        if context.is_empty() || languages.is_empty() {
            return !context.is_empty();
        }
        if let Some(language) = post_language {
            return languages.contains(&language);
        }
        let mut spoken = hits.iter().filter_map(|hit| match hit.value {
            Mark::Phrase(id) => Some(self.phrase(id).language),
            _ => None,
        });
        spoken.clone().next().is_none() || spoken.any(|language| languages.contains(&language))
    }

    /// Folds `text`, written in `post_language` if that is known, and finds all hits and mentions in it.
    pub(crate) fn scan(&self, text: &str, post_language: Option<LanguageTag>, scan: &mut Scan) {
        scan.text.fold(text);
        scan.mentions.clear();
        self.trie.find(&scan.text, post_language, &mut scan.word_ids, &mut scan.hits);
        self.find_genitives(scan);
        for hit in &scan.hits {
            if let Mark::Alias(service) = hit.value {
                let certain = !self.is_ambiguous(service, post_language, &scan.hits);
                let says_down = self.suffix_at(&scan.text, post_language, hit.end);
                let end = hit.end + usize::from(says_down.is_some());
                scan.mentions.push(Mention { service, start: hit.start, end, certain, says_down });
            }
        }
        for (at, word) in scan.text.words().iter().enumerate() {
            let letters = scan.text.letters(word);
            let mention =
                |service, certain, says_down| Mention { service, start: at, end: at + 1, certain, says_down };
            let is_certain = |service, own| own || !self.is_ambiguous(service, post_language, &scan.hits);
            let found = match word.kind {
                WordKind::Plain => continue,
                WordKind::Handle => self
                    .service_of_handle(letters)
                    .map(|(service, own)| mention(service, is_certain(service, own), None)),
                WordKind::Host => self.service_of_host(letters).map(|service| mention(service, true, None)),
                WordKind::Hashtag => self
                    .service_of_hashtag(letters)
                    .map(|(service, own, says_down)| mention(service, is_certain(service, own), says_down)),
            };
            scan.mentions.extend(found);
        }
        self.drop_doubtful(scan);
        scan.mentions.sort_by_key(|mention| (mention.start, mention.end, mention.service));
        scan.mentions.dedup();
    }

    /// Finds names in the genitive, which may fold to a word of its own: "Hydro One's" is "hydro ones". A name that is
    /// excluded as a plural ("notions") is not meant then.
    fn find_genitives(&self, scan: &mut Scan) {
        let Scan { text, hits, word_ids, .. } = scan;
        let mut named = Vec::new();
        for at in text.genitives() {
            let genitive = text.letters(&text.words()[at]);
            let stem = genitive.strip_suffix('s').unwrap_or(genitive);
            if CONTRACTED.contains(&stem) {
                continue;
            }
            let n_before = hits.len();
            self.trie.find_over(text, at, stem, word_ids, hits);
            hits.extract_if(n_before.., |hit| !matches!(hit.value, Mark::Alias(_) | Mark::Excludes(_)))
                .for_each(drop);
            named.extend(hits[n_before..].iter().filter_map(|hit| match hit.value {
                Mark::Alias(service) => Some((service, hit.start, hit.end)),
                _ => None,
            }));
        }
        if !named.is_empty() {
            named.sort_unstable();
            hits.retain(|hit| match hit.value {
                Mark::Excludes(service) => named.binary_search(&(service, hit.start, hit.end)).is_err(),
                _ => true,
            });
        }
    }

    /// The language of what people append to a name in a hashtag, where the word at `at` is that and ends its sentence,
    /// but for signs such as emoji: "spotify down", "spotify down 😭", "spotify 📉🚫".
    fn suffix_at(
        &self,
        text: &FoldedText,
        post_language: Option<LanguageTag>,
        at: usize,
    ) -> Option<LanguageTag> {
        let word = text.words().get(at)?;
        let mut rest = text.words()[at + 1..].iter().take_while(|next| next.sentence == word.sentence);
        if word.kind != WordKind::Plain || rest.any(|next| text.letters(next).contains(char::is_alphanumeric))
        {
            return None;
        }
        let is_said =
            |suffix: &str, language| suffix == text.letters(word) && self.speaks(post_language, language);
        self.suffixes
            .iter()
            .find(|(suffix, language)| is_said(suffix, *language))
            .map(|&(_, language)| language)
    }

    /// The service of `host` or of a domain above it.
    fn service_of_host(&self, host: &str) -> Option<ServiceIndex> {
        let mut rest = host;
        loop {
            if let Some(&service) = self.domains.get(rest) {
                return Some(service);
            }
            rest = rest.split_once('.')?.1;
        }
    }

    /// The service that an account speaks for, and whether its name is its own and needs no context.
    fn service_of_handle(&self, handle: &str) -> Option<(ServiceIndex, bool)> {
        let own = self.handles.get(handle).map(|&service| (service, true));
        own.or_else(|| service_by_name(handle, |name| self.hashtags.get(name)).copied())
    }

    /// The service of a tag, whether the tag is its own and needs no context, and the language that says "down" in it.
    fn service_of_hashtag(&self, tag: &str) -> Option<(ServiceIndex, bool, Option<LanguageTag>)> {
        if tag.contains('_') {
            return self.service_of_hashtag(&tag.replace('_', ""));
        }
        if let Some(&(service, certain)) = self.hashtags.get(tag) {
            return Some((service, certain, None));
        }
        self.suffixes.iter().find_map(|(suffix, language)| {
            let stem = tag.strip_suffix(suffix.as_ref())?;
            let &(service, _) = self.hashtags.get(stem)?;
            Some((service, true, Some(*language)))
        })
    }

    /// Drops mentions inside a longer name ("apple" in "apple music"), inside an excluded phrase, and ambiguous ones
    /// without the context that they need.
    fn drop_doubtful(&self, scan: &mut Scan) {
        let Scan { hits, mentions, .. } = scan;
        if mentions.is_empty() {
            return;
        }
        let all = mentions.clone();
        // What the hits say is gathered once: a text may name services thousands of times.
        let (mut excluded, mut contexts) = (Vec::new(), Vec::new());
        for hit in hits.iter() {
            match hit.value {
                Mark::Excludes(service) => excluded.push((service, hit.start, hit.end)),
                Mark::Context(id) => contexts.push(id),
                _ => {}
            }
        }
        contexts.sort_unstable();
        contexts.dedup();
        let mut certain: Vec<_> =
            all.iter().filter(|named| named.certain).map(|named| named.service).collect();
        certain.sort_unstable();
        let covers = |start: usize, end: usize, inner: &Mention| start <= inner.start && inner.end <= end;
        mentions.retain(|mention| {
            let in_longer_name = all.iter().any(|other| {
                other.service != mention.service
                    && other.end - other.start > mention.end - mention.start
                    && covers(other.start, other.end, mention)
            });
            let is_excluded = excluded
                .iter()
                .any(|&(service, start, end)| service == mention.service && covers(start, end, mention));
            let has_context = || {
                let needed = &self.ambiguities[mention.service.as_usize()].context;
                certain.binary_search(&mention.service).is_ok()
                    || contexts.iter().any(|id| needed.binary_search(id).is_ok())
            };
            !in_longer_name && !is_excluded && (mention.certain || has_context())
        });
    }
}

/// A name as it looks written together, folded: how hashtags are compared.
fn joined(name: &str) -> Box<str> {
    crate::phrases::folded_key(name.trim_start_matches('#')).replace(' ', "").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::SourceText;

    const CATALOGUE: &str = "
[[service]]
id = 'apple'
name = 'Apple'
aliases = ['apple']
unambiguous = ['siri']
handles = ['AppleSupport']
domains = ['apple.com']
require_any = ['icloud', 'app store']
exclude = ['apple pie']
[[service]]
id = 'apple-music'
name = 'Apple Music'
aliases = ['apple music']
hashtags = ['am']
";

    /// Every mention of a service in `text`, by its id.
    fn mentions(text: &str) -> Vec<String> {
        let catalogue = Catalogue::load(false, &[SourceText::new("c", CATALOGUE)]).expect("a good catalogue");
        let lexicon = "language='en'\nhashtag_suffixes=['down','isdown']";
        let lexicon = Lexicon::load(false, &[SourceText::new("l", lexicon)]).expect("a good lexicon");
        let index = Index::new(&catalogue, lexicon);
        let mut scan = Scan::default();
        index.scan(text, None, &mut scan);
        scan.mentions.iter().map(|mention| catalogue.service(mention.service).id.clone()).collect()
    }

    /// Services mentioned in `text`, by id, each once.
    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let mut ids = mentions(text);
        ids.dedup();
        assert_eq!(ids, expected, "in {text:?}");
    }

    #[test]
    fn an_unambiguous_name_stands_by_itself_and_is_context_for_the_others() {
        assert_eq!(mentions("siri is bad"), ["apple"]);
        assert_eq!(mentions("apple says that siri is bad"), ["apple", "apple"]);
    }

    #[test]
    fn an_ambiguous_name_needs_context_or_a_certain_name() {
        check("apple is bad", &[]);
        check("apple icloud is bad", &["apple"]);
        check("@AppleSupport is bad", &["apple"]);
        check("see status.apple.com", &["apple"]);
        check("#appledown", &["apple"]);
        check("#appleisdown", &["apple"]);
        check("#apple", &[]);
    }

    #[test]
    fn a_longer_name_wins() {
        check("apple music on icloud", &["apple-music"]);
        check("#applemusic", &["apple-music"]);
        check("#AM", &["apple-music"]);
    }

    #[test]
    fn a_name_is_known_in_the_genitive_though_that_is_a_word_of_its_own() {
        let catalogue = "[[service]]\nid = 'hydro'\nname = 'Hydro One'\naliases = ['hydro one', 'hydro that']\n\
                         exclude = ['hydro one shares']\n\
                         [[service]]\nid = 'ee'\nname = 'EE'\naliases = ['ee', 'register it']\n\
                         [[service]]\nid = 'notion'\nname = 'Notion'\naliases = ['notion']\n\
                         exclude = ['notions', 'machine at notions']";
        let catalogue = Catalogue::load(false, &[SourceText::new("c", catalogue)]).expect("a good catalogue");
        let words = "language = 'en'\nnews = ['no one', 'thats', 'the ones']";
        let lexicon = Lexicon::load(false, &[SourceText::new("l", words)]).expect("a good lexicon");
        let index = Index::new(&catalogue, lexicon);
        let mut scan = Scan::default();
        let mut named = |text: &str| {
            index.scan(text, None, &mut scan);
            let ids = scan.mentions.iter().map(|mention| catalogue.service(mention.service).id.clone());
            ids.collect::<Vec<String>>()
        };
        for text in [
            "Hydro One's map",
            "can't see Hydro One's",
            "日本 Hydro One’s",
            "été, Hydro One`s",
            "'hydro One''s'",
        ] {
            assert_eq!(named(text), ["hydro"], "{text}");
        }
        assert_eq!(named("the Notion's page, not the notions"), ["notion"]);
        assert_eq!(named("EE's network"), ["ee"]);
        for text in [
            "hydro ones",
            "Hydro, one's down",
            "Hydro that's",
            "Hydro One's shares",
            "hydro @one's",
            "notions",
            "the machine at Notion's is down",
            "I tried to register it's down",
        ] {
            assert_eq!(named(text), [] as [&str; 0], "{text}");
        }
        assert_eq!(named(&format!("hydro one{}s", "'".repeat(60_000))), ["hydro"]);
        assert_eq!(scan.text.genitives().count(), 1, "a place of many apostrophes is one");
    }

    #[test]
    fn an_account_is_known_by_the_name_that_it_bears() {
        check("@AppleMusicHelp @apple_music_de hello", &["apple-music"]);
        check("@AM_uk", &["apple-music"]);
        check("@Apple_UK", &[]);
        check("@Apple_UK my icloud", &["apple"]);
        check("@applemusicfan", &[]);
    }

    #[test]
    fn an_excluded_phrase_is_not_the_service() {
        check("apple pie from the app store", &[]);
        check("apple pie but the apple app store", &["apple"]);
    }

    #[test]
    fn tags_keep_their_primary_subtag_only() {
        assert_eq!(LanguageTag::primary_of("pt-BR").as_str(), "pt");
        assert_eq!(LanguageTag::primary_of("EN_us").as_str(), "en");
        assert_eq!(LanguageTag::primary_of("").as_str(), "und");
        assert_eq!(LanguageTag::primary_of("klingon").as_str(), "und");
    }
}
