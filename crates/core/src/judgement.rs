//! Decides whether a post complains, about which services, and of what.
//!
//! The phrases in the text are judged one by one ([`crate::findings`]); here they are added up. A service gets the
//! weight of its strongest counting phrase of tier A or B, plus 0.2 for each further one of tier C, plus what the words
//! of the post add ([`crate::cues`]); the post complains about it from a weight of 0.5. Reposts and the service's own
//! account never complain.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use crate::catalogue::{Catalogue, Category, ServiceIndex};
use crate::cue_table::CueCategory;
use crate::cues::{CueSum, Hundredths, Sign, Votes, hundredths, most_voted, units};
use crate::findings::{Finding, PhraseId, Verdict, find, mentions_spoken_of};
use crate::lexicon::{Lexicon, Symptom, Tier};
use crate::matching::{Index, LanguageTag, Mark, Marker, Mention, Scan};
use crate::post::{Outcome, Post, TEXT_BYTES_MAX};
use crate::time::EventTime;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// A post counts from this weight on (DESIGN §5).
const WEIGHT_MIN: f64 = 0.5;
/// Texts from this many characters on are the same only if copied; short ones ("spotify down") are not.
const LONG_TEXT_CHARS: usize = 40;

/// The key of the author hash: 16 bytes, one for each deployment.
pub type AuthorKey = [u8; 16];

/// A set of symptoms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Symptoms(u16);

impl Symptoms {
    /// Adds `symptom`.
    pub fn insert(&mut self, symptom: Symptom) {
        self.0 |= 1 << symptom as u16;
    }

    /// The symptoms in the set.
    pub fn iter(self) -> impl Iterator<Item = Symptom> {
        Symptom::ALL.iter().copied().filter(move |&symptom| self.0 & (1 << symptom as u16) != 0)
    }
}

/// A complaining post; all that the detector needs to know of it. The order is that in which complaints of one bin are
/// taken, whatever order they arrived in: by time, then by id, and then by the rest so that no two differ unordered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Complaint {
    /// When it was posted.
    pub event_time: EventTime,
    /// The post's id.
    pub post_id: Box<str>,
    /// Keyed hash of the author; of the post id where the author is unknown.
    pub author: u64,
    /// Keyed hash of the folded text, for texts long enough to be copies.
    pub long_text: Option<u64>,
    /// The services complained about, each once, and what fails.
    pub about: Vec<(ServiceIndex, Symptoms)>,
    /// Language of the post, or of the phrase that decided.
    pub language: LanguageTag,
    /// Country of the post, upper case.
    pub country: Option<[u8; 2]>,
}

/// A service complained about, as `explain` reports it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Accusation {
    /// The service.
    pub service: ServiceIndex,
    /// Total weight, at most 1.
    pub weight: f64,
    /// What fails, by the strongest phrase, the words and the kind of service.
    pub symptom: Symptom,
    /// What they say of it, in the order of [`Symptom::ALL`].
    votes: Votes,
    /// Every symptom named.
    pub symptoms: Symptoms,
    /// The language of the strongest phrase.
    pub language: LanguageTag,
}

impl Accusation {
    /// The votes for and against each symptom that has any.
    pub fn votes(&self) -> impl Iterator<Item = (Symptom, f64)> {
        let votes = self.votes;
        let of = move |symptom: Symptom| units(votes[symptom as usize]);
        Symptom::ALL.iter().map(move |&symptom| (symptom, of(symptom))).filter(|&(_, votes)| votes != 0.0)
    }
}

/// What was made of one post. Reused from post to post.
#[derive(Debug, Default)]
pub struct Judgement {
    scan: Scan,
    findings: Vec<Finding>,
    /// The greatest weight that the rules give a service, and what fails by them.
    by_rules: Option<(f64, Symptom)>,
    cues: CueSum,
    accusations: Vec<Accusation>,
    complaint: Option<Complaint>,
}

impl Judgement {
    /// The greatest weight that the rules alone give a service; 0 without a phrase that counts.
    pub fn rules_weight(&self) -> f64 {
        self.by_rules.map_or(0.0, |(weight, _)| weight)
    }

    /// What fails by the phrase that weighs most.
    pub fn rules_symptom(&self) -> Option<Symptom> {
        self.by_rules.map(|(_, symptom)| symptom)
    }

    /// The language whose cues were counted.
    pub fn cues_language(&self) -> Option<LanguageTag> {
        self.cues.language
    }

    /// What the rules found, each once; but a strange word as often as there is one.
    pub fn signs(&self) -> &[Sign] {
        &self.cues.signs
    }

    /// Every cue that could be learned from the text; see `crates/trainer`.
    pub fn cue_candidates(&self) -> Vec<String> {
        self.cues.candidates(&self.scan)
    }

    /// Every phrase that was found, with its verdict.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The services complained about.
    pub fn accusations(&self) -> &[Accusation] {
        &self.accusations
    }

    /// The services that the text names, in the order of the words, each once.
    pub fn mentioned(&self) -> Vec<ServiceIndex> {
        let mut seen = Vec::new();
        for mention in &self.scan.mentions {
            if !seen.contains(&mention.service) {
                seen.push(mention.service);
            }
        }
        seen
    }

    /// Whether the first `n_words` words of the text, at least, name `service`.
    pub(crate) fn begins_with(&self, service: ServiceIndex, n_words: usize) -> bool {
        let mut mentions = self.scan.mentions.iter();
        mentions.any(|mention| mention.service == service && mention.start == 0 && mention.end >= n_words)
    }

    /// Takes the complaint out, if the post is one.
    pub fn take_complaint(&mut self) -> Option<Complaint> {
        self.complaint.take()
    }
}

/// Judges posts against a catalogue and a lexicon.
#[derive(Debug)]
pub struct Judge {
    index: Index,
    services: FxHashMap<Box<str>, ServiceIndex>,
    /// Author names that speak for a service.
    official: FxHashMap<Box<str>, Vec<ServiceIndex>>,
    /// What fails in services of each category; the first is for those of which nothing is known.
    categories: Vec<Votes>,
    /// For each service the number of its category among them, and among those that cues name.
    category_of: Vec<(u32, Option<CueCategory>)>,
    author_key: AuthorKey,
}

impl Judge {
    /// Compiles `catalogue` and `lexicon`; the latter is taken apart on the way, so that it is not in memory twice.
    pub fn new(catalogue: &Catalogue, lexicon: Lexicon, author_key: AuthorKey) -> Self {
        let mut services = FxHashMap::default();
        let mut official: FxHashMap<Box<str>, Vec<ServiceIndex>> = FxHashMap::default();
        let votes_of = |category: &Category| {
            let mut votes = Votes::default();
            category.symptoms.iter().for_each(|(&symptom, &n)| votes[symptom as usize] = hundredths(n));
            votes
        };
        let categories = catalogue.categories();
        let number_of = |name: &str| categories.binary_search_by(|known| known.name.as_str().cmp(name));
        let index = Index::new(catalogue, lexicon);
        let mut category_of = Vec::with_capacity(catalogue.services().len());
        for (position, service) in catalogue.services().iter().enumerate() {
            let number = ServiceIndex::of(position);
            services.insert(service.id.as_str().into(), number);
            let of_votes = number_of(&service.category).map_or(0, |number| number as u32 + 1);
            category_of.push((of_votes, index.cues().category(&service.category)));
            for name in &service.official {
                let name = name.trim_start_matches('@').to_lowercase();
                official.entry(name.into()).or_default().push(number);
            }
        }
        let categories = [Votes::default()].into_iter().chain(categories.iter().map(votes_of)).collect();
        Self { index, services, official, categories, category_of, author_key }
    }

    /// Judges `post`. The outcome is [`Outcome::Complaint`] if and only if `judgement` holds a complaint; whether it
    /// counts is for the window to say, which knows the author's other posts.
    pub fn judge(&self, post: &Post<'_>, judgement: &mut Judgement) -> Outcome {
        judgement.findings.clear();
        judgement.accusations.clear();
        judgement.complaint = None;
        judgement.by_rules = None;
        judgement.cues.clear();
        judgement.scan.mentions.clear();
        if post.text.len() > TEXT_BYTES_MAX {
            return Outcome::TooLong;
        }
        let addressed = match post.service.map(|id| self.services.get(id)) {
            Some(None) => return Outcome::UnknownService,
            Some(Some(&service)) => Some(service),
            None => None,
        };
        let language = language_of(post);
        let own = post.own_words();
        let is_cut = own.len() < post.text.len();
        let is_repost = post.is_repost || is_cut && !own.contains(char::is_alphanumeric);
        self.index.scan(if is_repost { post.text } else { own }, language, &mut judgement.scan);
        let Judgement { scan, findings, accusations, cues, by_rules, .. } = &mut *judgement;
        if addressed.is_none() && scan.mentions.is_empty() {
            return if is_cut && !is_repost { Outcome::Repost } else { Outcome::NoService };
        }
        if is_repost {
            return Outcome::Repost;
        }
        if self.is_official(post.author, addressed, &scan.mentions) {
            return Outcome::Official;
        }
        find(&self.index, scan, language, addressed, findings);
        weigh(findings, accusations);
        let of_rules = accusations.iter().map(|accusation| (accusation.weight, accusation.symptom));
        *by_rules = of_rules.reduce(|best, next| if next.0 > best.0 { next } else { best });
        self.add_up_cues(cues, scan, language, addressed, findings);
        self.add_cues(cues, scan, addressed, accusations);
        if accusations.is_empty() {
            return outcome_without_complaint(scan, findings);
        }
        self.write_complaint(post, own, judgement);
        Outcome::Complaint
    }

    /// Judges `post` as [`Judge::judge`] does, and finds the phrases also where nothing could come of them, because no
    /// service is named or the account's words do not count.
    pub fn explain(&self, post: &Post<'_>, judgement: &mut Judgement) -> Outcome {
        let outcome = self.judge(post, judgement);
        if matches!(outcome, Outcome::NoService | Outcome::Repost | Outcome::Official) {
            let addressed = post.service.and_then(|id| self.services.get(id)).copied();
            let language = language_of(post);
            let Judgement { scan, findings, cues, .. } = &mut *judgement;
            find(&self.index, scan, language, addressed, findings);
            self.add_up_cues(cues, scan, language, addressed, findings);
        }
        outcome
    }

    /// The cues that `judgement` found: their words, what they weigh, and for services of which category, if not for all.
    pub fn cues<'a>(
        &'a self,
        judgement: &'a Judgement,
    ) -> impl Iterator<Item = (&'a str, f64, Option<&'a str>)> {
        judgement.cues.found.iter().flat_map(move |found| {
            let cue = self.index.cues().get(found.id);
            let besides = judgement.cues.by_category.iter().map(move |&(category, _)| {
                (cue.weight_besides(category), Some(self.index.cues().category_name(category)))
            });
            let parts = [(cue.weight(), None)].into_iter().chain(besides);
            parts
                .filter(|&(weight, _)| weight != 0)
                .map(move |(weight, category)| (cue.text(), units(weight), category))
        })
    }

    /// The words in `judgement` that tell what fails, and their votes for and against symptoms.
    pub fn tells<'a>(
        &'a self,
        judgement: &'a Judgement,
    ) -> impl Iterator<Item = (&'a str, impl Iterator<Item = (Symptom, f64)> + 'a)> {
        let cues = judgement.cues.found.iter().map(|found| self.index.cues().get(found.id));
        cues.filter(|cue| !cue.tells().is_empty())
            .map(|cue| (cue.text(), cue.tells().iter().map(|&(symptom, votes)| (symptom, units(votes)))))
    }

    /// What the rules found, each sign once, and what that weighs in the language of the post.
    pub fn signs(&self, judgement: &Judgement) -> impl Iterator<Item = (Sign, f64)> {
        let languages = self.index.cues().languages().iter();
        let language = languages.into_iter().find(|language| Some(language.tag) == judgement.cues.language);
        judgement.cues.signs.chunk_by(|a, b| a == b).map(move |same| {
            let weight: Hundredths = same.iter().filter_map(|&sign| Some(language?.weight(sign))).sum();
            (same[0], units(weight))
        })
    }

    fn add_up_cues(
        &self,
        cues: &mut CueSum,
        scan: &Scan,
        language: Option<LanguageTag>,
        addressed: Option<ServiceIndex>,
        findings: &[Finding],
    ) {
        let services = addressed.into_iter().chain(scan.mentions.iter().map(|mention| mention.service));
        let categories = services.filter_map(|service| self.category_of[service.as_usize()].1);
        cues.add_up(&self.index, scan, language, findings, categories);
    }

    /// Adds what the words weigh to the services accused; accuses the one spoken of where they alone weigh enough.
    fn add_cues(
        &self,
        cues: &CueSum,
        scan: &Scan,
        addressed: Option<ServiceIndex>,
        accusations: &mut Vec<Accusation>,
    ) {
        if accusations.is_empty()
            && cues.weight_max() >= hundredths(WEIGHT_MIN)
            && let Some(language) = cues.language
            && let Some(at) = cues.strongest(&self.index)
        {
            let accuse = |service| Accusation {
                service,
                weight: 0.0,
                symptom: Symptom::Access,
                votes: Votes::default(),
                symptoms: Symptoms::default(),
                language,
            };
            match addressed {
                Some(service) => accusations.push(accuse(service)),
                None => {
                    let mentions = mentions_spoken_of(scan, (at, at + 1));
                    accusations.extend(mentions.into_iter().map(|mention| accuse(mention.service)));
                }
            }
        }
        for accusation in accusations.iter_mut() {
            let is_by_phrase = accusation.weight > 0.0;
            let (of_votes, of_cues) = self.category_of[accusation.service.as_usize()];
            let of_phrase = is_by_phrase.then_some(accusation.symptom);
            accusation.votes = cues.votes(of_phrase, &self.categories[of_votes as usize]);
            accusation.symptom = most_voted(&accusation.votes);
            let weight = hundredths(accusation.weight) + cues.weight(of_cues);
            accusation.weight = units(weight).min(1.0);
            accusation.symptoms.insert(accusation.symptom);
        }
        accusations.retain(|accusation| accusation.weight >= WEIGHT_MIN);
        accusations.sort_by_key(|accusation| accusation.service);
    }

    /// Folds `text` and runs the automaton over it, and decides nothing; gives the number of hits. It is the floor that
    /// the cost of judging is measured against.
    pub fn scan(&self, text: &str, judgement: &mut Judgement) -> usize {
        self.index.scan(text, None, &mut judgement.scan);
        judgement.scan.hits.len()
    }

    /// The text of the phrase behind `finding`.
    pub fn phrase_text(&self, finding: &Finding) -> &str {
        match finding.phrase {
            PhraseId::Lexicon(id) => &self.index.phrase(id).text,
            PhraseId::Hashtag => "…down",
        }
    }

    fn is_official(&self, author: &str, addressed: Option<ServiceIndex>, mentions: &[Mention]) -> bool {
        if author.is_empty() || self.official.is_empty() {
            return false;
        }
        let speaks_for = self.official.get(author.trim_start_matches('@').to_lowercase().as_str());
        speaks_for.is_some_and(|services| {
            addressed.into_iter().chain(mentions.iter().map(|m| m.service)).any(|s| services.contains(&s))
        })
    }

    fn write_complaint(&self, post: &Post<'_>, own: &str, judgement: &mut Judgement) {
        let author = match post.author {
            "" => self.hash(b"post", post.id.as_bytes()),
            author => self.hash(b"author", author.as_bytes()),
        };
        let long_text = self.long_text_hash(own, &judgement.scan);
        let language = match post.lang {
            Some(tag) => LanguageTag::primary_of(tag),
            None => judgement.accusations.first().map_or(LanguageTag::UNDETERMINED, |a| a.language),
        };
        judgement.complaint = Some(Complaint {
            event_time: post.event_time,
            post_id: post.id.into(),
            author,
            long_text,
            about: judgement.accusations.iter().map(|a| (a.service, a.symptoms)).collect(),
            language,
            country: post.country.and_then(country_code),
        });
    }

    /// Links are left out: copies of one text differ in their shortened links.
    fn long_text_hash(&self, text: &str, scan: &Scan) -> Option<u64> {
        if text.chars().count() < LONG_TEXT_CHARS {
            return None;
        }
        let mut hasher = SipHasher13::new_with_key(&self.author_key);
        hasher.write(b"text");
        for word in scan.text.words().iter().filter(|word| word.kind != crate::fold::WordKind::Host) {
            hasher.write(scan.text.letters(word).as_bytes());
            hasher.write_u8(b' ');
        }
        Some(hasher.finish())
    }

    fn hash(&self, domain: &[u8], bytes: &[u8]) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.author_key);
        hasher.write(domain);
        hasher.write(bytes);
        hasher.finish()
    }
}

/// The language that a post is tagged with; `und` and tags that are none say nothing.
fn language_of(post: &Post<'_>) -> Option<LanguageTag> {
    post.lang.map(LanguageTag::primary_of).filter(|&tag| tag != LanguageTag::UNDETERMINED)
}

fn country_code(country: &str) -> Option<[u8; 2]> {
    let letters: [u8; 2] = country.as_bytes().try_into().ok()?;
    letters.iter().all(u8::is_ascii_alphabetic).then(|| letters.map(|letter| letter.to_ascii_uppercase()))
}

/// Adds up the counting findings for each service; those of tier C count only beside one of tier A or B.
fn weigh(findings: &mut [Finding], accusations: &mut Vec<Accusation>) {
    for finding in findings.iter().filter(|finding| finding.verdict == Verdict::Counts) {
        let Some(service) = finding.service else { continue };
        if finding.tier == Tier::C {
            continue;
        }
        let stronger = |known: &Accusation| {
            (finding.weight, std::cmp::Reverse(finding.symptom))
                > (known.weight, std::cmp::Reverse(known.symptom))
        };
        let accusation = Accusation {
            service,
            weight: finding.weight,
            symptom: finding.symptom,
            votes: Votes::default(),
            symptoms: Symptoms::default(),
            language: finding.language,
        };
        match accusations.iter_mut().find(|known| known.service == service) {
            Some(known) if stronger(known) => *known = accusation,
            Some(_) => {}
            None => accusations.push(accusation),
        }
    }
    for finding in findings.iter_mut().filter(|finding| finding.verdict == Verdict::Counts) {
        match accusations.iter_mut().find(|known| Some(known.service) == finding.service) {
            Some(known) => {
                known.symptoms.insert(finding.symptom);
                if finding.tier == Tier::C {
                    known.weight += finding.weight;
                }
            }
            None => finding.verdict = Verdict::Alone,
        }
    }
}

/// The outcome of a post that names a service but complains of none: the rule that set its phrases aside.
fn outcome_without_complaint(scan: &Scan, findings: &[Finding]) -> Outcome {
    let aside = |verdict| findings.iter().any(|finding| finding.verdict == verdict);
    let says_recovered = scan.hits.iter().any(|hit| matches!(hit.value, Mark::Marker(Marker::Recovery, _)));
    if aside(Verdict::News) {
        Outcome::News
    } else if aside(Verdict::Recovered) || (says_recovered && findings.is_empty()) {
        Outcome::Recovery
    } else if aside(Verdict::Negated) {
        Outcome::Negated
    } else if aside(Verdict::NotNow) {
        Outcome::NotNow
    } else {
        Outcome::NoComplaint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::SourceText;

    const CATALOGUE: &str = "
[[category]]
name = 'video'
symptoms = { playback = 0.8, access = -0.3, login = -0.7 }
[[category]]
name = 'telecom'
symptoms = { connection = 0.8, access = -0.7, login = -0.7 }
[[service]]
id = 'spotify'
name = 'Spotify'
aliases = ['spotify']
handles = ['SpotifyCares']
official = ['SpotifyStatus']
[[service]]
id = 'netflix'
name = 'Netflix'
category = 'video'
aliases = ['netflix']
[[service]]
id = 'slack'
name = 'Slack'
aliases = ['slack']
require_any = ['workspace']
[[service]]
id = 'telco'
name = 'Telco'
category = 'telecom'
aliases = ['telco']
[[service]]
id = 'orange'
name = 'Orange'
aliases = ['orange']
require_any = ['fibre']
ambiguous_in = ['en']
";
    const ENGLISH: &str = "
language = 'en'
negation = ['not', 'isnt']
recovery = ['back up']
not_now = ['last week', 'if']
figurative = ['down to']
news = ['reports say']
hashtag_suffixes = ['down']
[[phrases]]
tier = 'A'
symptom = 'access'
any = ['is down', 'are down', 'is * down', 'is down to lunch']
[[phrases]]
tier = 'B'
symptom = 'login'
any = ['cant log in', 'not starting']
[[phrases]]
tier = 'C'
symptom = 'slow'
any = ['slow']
";
    const GERMAN: &str = "
language = 'de'
[[phrases]]
tier = 'B'
symptom = 'access'
any = ['geht nicht']
";

    /// What was learned of a language that has nothing else.
    const DUTCH: &str = "
language = 'nl'
name_endings = ['s']
not_now = ['vorig jaar']
figurative = ['ligt eruit als']
[[cues]]
weight = 0.6
any = ['ligt eruit', 'laad*']
[[cues]]
weight = -0.7
any = ['boek']
[[cues]]
weight = 0.3
any = ['niks', 'hier', 'netflixs']
[[cues]]
weight = 0.2
any = ['zwart']
[[cues]]
category = 'video'
weight = 0.4
any = ['zwart']
[[cues]]
category = 'video'
weight = -0.8
any = ['gezien']
[[tells]]
symptom = 'loading'
votes = 0.8
any = ['laad*']
[signs]
counts = 0.1
says_not_now = -0.4
";

    fn judge() -> (Judge, Catalogue) {
        let source = |text: &str| SourceText::new("test", text);
        let catalogue = Catalogue::load(false, &[source(CATALOGUE)]).expect("a good catalogue");
        let lexicon = [source(ENGLISH), source(GERMAN), source(DUTCH)];
        let lexicon = Lexicon::load(false, &lexicon).expect("a good lexicon");
        (Judge::new(&catalogue, lexicon, [7; 16]), catalogue)
    }

    /// The outcome and the services complained about with weight and symptom: `complaint spotify:1:access`.
    #[track_caller]
    fn check_post(post: &Post<'_>, expected: &str) {
        let (judge, catalogue) = judge();
        let mut judgement = Judgement::default();
        let outcome = judge.judge(post, &mut judgement);
        let mut found = outcome.name().to_owned();
        for accusation in judgement.accusations() {
            let id = &catalogue.service(accusation.service).id;
            found.push_str(&format!(" {id}:{}:{}", accusation.weight, accusation.symptom.name()));
        }
        assert_eq!(found, expected, "for {post:?}");
        assert_eq!(judgement.take_complaint().is_some(), outcome == Outcome::Complaint);
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        check_post(&Post::of_text(text), expected);
    }

    #[test]
    fn strong_words_count_beside_the_name_and_half_in_its_sentence() {
        check("Spotify is down!!", "complaint spotify:1:access");
        check("is spotify down?", "complaint spotify:1:access");
        check("spotify for all of us here in town is down", "complaint spotify:0.5:access");
        check("spotify. my mood after this long day of work is down", "no_complaint");
    }

    #[test]
    fn weak_words_count_only_beside_stronger_ones() {
        check("spotify is slow", "no_complaint");
        check("spotify is slow and i cant log in", "complaint spotify:0.7:login");
    }

    #[test]
    fn denied_past_reported_and_figurative_words_do_not_complain() {
        check("spotify not down. it isnt that spotify is down", "negated");
        check("spotify is not down", "negated");
        check("is spotify not down", "negated");
        check("spotify is down last week", "not_now");
        check("reports say spotify is down", "news");
        check("spotify is down to earth", "no_complaint");
        check("spotify is down to lunch", "complaint spotify:1:access");
    }

    #[test]
    fn a_negation_in_a_complaint_denies_nothing_behind_it() {
        check("spotify not starting and is down", "complaint spotify:1:access");
        check("spotify not now is down", "negated");
    }

    #[test]
    fn a_recovery_takes_back_what_was_said_before_it_but_not_after() {
        check("spotify is back up", "recovery");
        check("spotify is down, oh, back up", "recovery");
        check("spotify back up. nope, spotify is down again", "complaint spotify:1:access");
        check("spotify is down and not back up", "complaint spotify:1:access");
    }

    #[test]
    fn each_service_answers_for_what_is_said_of_it() {
        check("spotify is down, netflix is fine", "complaint spotify:1:access");
        check("netflix is fine. spotify is down", "complaint spotify:1:access");
        check("netflix and spotify are down", "complaint netflix:1:access spotify:1:access");
        check("watching netflix since i cant log in to spotify", "complaint netflix:0.5:login");
    }

    #[test]
    fn a_post_without_a_name_complains_only_if_it_is_addressed() {
        check("is down", "no_service");
        check_post(
            &Post { service: Some("slack"), ..Post::of_text("cant log in") },
            "complaint slack:0.5:login",
        );
        check_post(&Post { service: Some("nobody"), ..Post::of_text("cant log in") }, "unknown_service");
        check("slack is down", "no_service");
        check("slack is down for our workspace", "complaint slack:1:access");
        check("#slackdown", "complaint slack:1:access");
        check("Spotify down!", "complaint spotify:1:access");
        check("spotify down 😭 📉", "complaint spotify:1:access");
        check("spotify 😭 down", "no_complaint");
        check("spotify down the road", "no_complaint");
        check("not spotify down", "negated");
    }

    #[test]
    fn reposts_and_the_services_own_account_do_not_complain() {
        check_post(&Post { is_repost: true, ..Post::of_text("spotify is down") }, "repost");
        check("RT @someone spotify is down", "repost");
        check("\"RT @someone: spotify is down", "repost");
        check("spotify is down RT @someone: all well", "complaint spotify:1:access");
        check("so true! RT @someone: spotify is down", "repost");
        check("please RT @people spotify is down", "complaint spotify:1:access");
        check("spotify, so true RT @someone: is down", "no_complaint");
        check("my spotify ALBERT @someone is down", "complaint spotify:1:access");
        check_post(
            &Post { author: "SpotifyStatus", ..Post::of_text("spotify is down, we are on it") },
            "official",
        );
        check_post(
            &Post { author: "SpotifyStatus", ..Post::of_text("netflix is down") },
            "complaint netflix:1:access",
        );
    }

    #[test]
    fn a_post_in_a_known_language_is_read_in_that_and_in_english() {
        check_post(
            &Post { lang: Some("de-AT"), ..Post::of_text("spotify geht nicht") },
            "complaint spotify:0.5:access",
        );
        check_post(&Post { lang: Some("en"), ..Post::of_text("spotify geht nicht") }, "no_complaint");
        check_post(
            &Post { lang: Some("de"), ..Post::of_text("spotify is down") },
            "complaint spotify:1:access",
        );
        check_post(
            &Post { lang: Some("xx"), ..Post::of_text("spotify geht nicht") },
            "complaint spotify:0.5:access",
        );
    }

    #[track_caller]
    fn check_dutch(text: &str, expected: &str) {
        check_post(&Post { lang: Some("nl"), ..Post::of_text(text) }, expected);
    }

    #[test]
    fn short_words_before_a_repost_are_no_copied_text() {
        let (judge, _) = judge();
        let mut judgement = Judgement::default();
        let mut is_long = |text: &str| {
            judge.judge(&Post::of_text(text), &mut judgement);
            judgement.take_complaint().expect("a complaint").long_text.is_some()
        };
        let another = "RT @someone: all of this is what another says, and he says a lot of it";
        assert!(!is_long(&format!("spotify is down {another}")));
        assert!(is_long(&format!("spotify is down, and so is all that I wanted to hear today {another}")));
    }

    #[test]
    fn words_complain_where_no_phrase_does() {
        check_dutch("spotify ligt eruit", "complaint spotify:0.6:access");
        check_dutch("spotify en dan niks", "no_complaint");
        check_dutch("hier ook niks, spotify?", "complaint spotify:0.6:access");
        check_dutch("niks niks niks spotify", "no_complaint");
        check_dutch("het ligt eruit", "no_service");
        check_dutch("spotify ligt eruit als nieuw", "no_complaint");
        check_dutch("ik las een boek en spotify ligt eruit", "no_complaint");
    }

    #[test]
    fn words_add_to_the_phrases_and_take_from_them() {
        check_dutch("niks. spotify. all of it is dull, gloomy and down", "no_complaint");
        check_dutch("spotify is down, hier", "complaint spotify:1:access");
        check_dutch("spotify is boek down", "no_complaint");
        check_dutch("spotify for all of us here in town is down boek", "no_complaint");
        check_dutch("spotify is down boek hier", "complaint spotify:0.7:access");
    }

    #[test]
    fn words_may_mean_more_in_services_of_a_category() {
        check_dutch("netflix zwart", "complaint netflix:0.6:playback");
        check_dutch("spotify zwart", "no_complaint");
        check_dutch("spotify ligt eruit gezien", "complaint spotify:0.6:access");
        check_dutch("netflix ligt eruit gezien", "no_complaint");
        check_dutch("spotify hier. netflix zwart", "complaint netflix:0.9:playback spotify:0.9:access");
    }

    #[test]
    fn words_mean_what_they_do_for_the_service_named_where_the_category_is_not_known() {
        let to_slack = Post { lang: Some("nl"), service: Some("slack"), ..Post::of_text("zwart") };
        check_post(&to_slack, "no_complaint");
        check_post(&Post { text: "zwart, netflix", ..to_slack }, "complaint slack:0.6:access");
    }

    #[test]
    fn each_part_of_what_a_word_weighs_is_told_with_its_category() {
        let (judge, _) = judge();
        let mut judgement = Judgement::default();
        let mut parts = |text| {
            judge.judge(&Post { lang: Some("nl"), ..Post::of_text(text) }, &mut judgement);
            judge.cues(&judgement).map(|(words, n, of)| format!("{words} {n} {of:?}")).collect::<Vec<_>>()
        };
        assert_eq!(parts("netflix zwart"), ["zwart 0.2 None", "zwart 0.4 Some(\"video\")"]);
        assert_eq!(parts("spotify zwart"), ["zwart 0.2 None"]);
    }

    #[test]
    fn what_the_rules_found_weighs_too() {
        check_dutch("vorig jaar lag het, ligt eruit spotify", "no_complaint");
        check_dutch("vorig jaar ligt eruit hier spotify", "complaint spotify:0.5:access");
    }

    #[test]
    fn words_that_no_cue_holds_speak_against_words_but_not_against_phrases() {
        let source = |text: &str| SourceText::new("test", text);
        let catalogue = Catalogue::load(false, &[source(CATALOGUE)]).expect("a good catalogue");
        let words = "language = 'nl'\nphrases = [{ tier = 'A', symptom = 'access', any = ['is down'] }]\n\
                     cues = [{ weight = 0.7, any = ['ligt eruit', 'kapo*'] }]\n\
                     tells = [{ symptom = 'login', votes = 1, any = ['dinsdag'] }]\n\
                     signs = { strange_word = -0.1 }";
        let lexicon = Lexicon::load(false, &[source(words)]).expect("a good lexicon");
        let judge = Judge::new(&catalogue, lexicon, [7; 16]);
        let mut judgement = Judgement::default();
        let mut weight = |text: &str| {
            judge.judge(&Post::of_text(text), &mut judgement);
            let strange: Vec<_> = judge.signs(&judgement).map(|(_, weight)| weight).collect();
            (judgement.accusations().first().map(|accusation| accusation.weight), strange)
        };
        assert_eq!(weight("spotify ligt eruit"), (Some(0.7), vec![]));
        assert_eq!(
            weight("op dinsdag ligt spotify niet maar spotify ligt eruit kapotje op"),
            (Some(0.9), vec![-0.5])
        );
        assert_eq!(weight("op dinsdag ligt spotify eruit kapot"), (None, vec![-0.4]), "apart it is no cue");
        assert_eq!(weight("spotify ligt eruit 落ちた"), (Some(0.7), vec![]), "characters are no words");
        assert_eq!(weight("spotify is down op dinsdag, maar morgen niet meer"), (Some(1.0), vec![0.0]));
        let many = "a b c d e f g h i j k l m n o p spotify ligt eruit kapot";
        assert_eq!(weight(many), (None, vec![-1.0]), "ten are counted");
    }

    #[test]
    fn a_constant_is_added_where_no_phrase_counts() {
        let source = |text: &str| SourceText::new("test", text);
        let catalogue = Catalogue::load(false, &[source(CATALOGUE)]).expect("a good catalogue");
        let words = "language = 'nl'\nphrases = [{ tier = 'A', symptom = 'access', any = ['is down'] }]\n\
                     cues = [{ weight = 0.9, any = ['kapot'] }]\nsigns = { post = -0.3 }";
        let lexicon = Lexicon::load(false, &[source(words)]).expect("a good lexicon");
        let judge = Judge::new(&catalogue, lexicon, [7; 16]);
        let mut judgement = Judgement::default();
        let mut weight = |text: &str| {
            judge.judge(&Post { lang: Some("nl"), ..Post::of_text(text) }, &mut judgement);
            let constant = judge.signs(&judgement).find(|(sign, _)| *sign == Sign::Post);
            (judgement.accusations().first().map(|accusation| accusation.weight), constant)
        };
        let constant = Some((Sign::Post, -0.3));
        assert_eq!(weight("spotify is down"), (Some(1.0), None));
        assert_eq!(weight("spotify kapot"), (Some(0.6), constant));
        assert_eq!(weight("spotify"), (None, constant));
    }

    #[test]
    fn what_the_rules_found_is_told_where_there_are_no_cues() {
        let (judge, _) = judge();
        let mut judgement = Judgement::default();
        judge.judge(&Post { lang: Some("de"), ..Post::of_text("spotify geht nicht") }, &mut judgement);
        assert_eq!(judgement.signs(), [Sign::Counts], "a trainer learns what that weighs");
        assert_eq!(judgement.rules_symptom(), Some(Symptom::Access), "and what words tell beside it");
    }

    #[test]
    fn words_tell_what_fails() {
        check_dutch("spotify laadt", "complaint spotify:0.6:loading");
        check_dutch("#spotifydown laadt", "complaint spotify:1:access");
    }

    #[test]
    fn without_a_language_the_one_that_most_words_are_of_is_taken() {
        check("spotify ligt eruit", "complaint spotify:0.6:access");
        check_post(
            &Post { lang: Some("sv"), ..Post::of_text("spotify ligt eruit") },
            "complaint spotify:0.6:access",
        );
    }

    #[test]
    fn a_language_without_cues_is_judged_by_its_rules_alone() {
        check_post(&Post { lang: Some("de"), ..Post::of_text("spotify ligt eruit") }, "no_complaint");
    }

    #[test]
    fn the_words_of_a_name_are_no_cues() {
        let hier = "[[service]]\nid='hier'\nname='Hier'\naliases=['hier niks hier niks']\n";
        let catalogue = Catalogue::load(false, &[SourceText::new("hier", hier)]).expect("a good catalogue");
        let lexicon = Lexicon::load(false, &[SourceText::new("nl", DUTCH)]).expect("a good lexicon");
        let judge = Judge::new(&catalogue, lexicon, [7; 16]);
        let mut judgement = Judgement::default();
        let post = Post { lang: Some("nl"), ..Post::of_text("hier niks hier niks") };
        assert_eq!(judge.judge(&post, &mut judgement), Outcome::NoComplaint);
        let post = Post { lang: Some("nl"), ..Post::of_text("hier niks hier niks. niks hier!") };
        assert_eq!(judge.judge(&post, &mut judgement), Outcome::Complaint);
    }

    #[test]
    fn a_word_that_only_cues_have_may_be_a_form_of_a_name() {
        check_dutch("netflixs site ligt eruit", "complaint netflix:0.6:playback");
    }

    #[test]
    fn the_kind_of_service_has_a_say_in_what_fails_but_a_phrase_has_more() {
        check("telco is down", "complaint telco:1:connection");
        check("netflix is down", "complaint netflix:1:access");
        check("telco: cant log in", "complaint telco:0.5:login");
        check("netflix: cant log in", "complaint netflix:0.5:login");
    }

    #[test]
    fn a_name_needs_no_context_where_it_is_no_common_word() {
        check("orange is down", "no_service");
        check("orange geht nicht", "complaint orange:0.5:access");
        check_post(
            &Post { lang: Some("de"), ..Post::of_text("orange is down") },
            "complaint orange:1:access",
        );
        check_post(&Post { lang: Some("en"), ..Post::of_text("orange is down") }, "no_service");
        check_post(
            &Post { lang: Some("en"), ..Post::of_text("orange fibre is down") },
            "complaint orange:1:access",
        );
    }

    #[test]
    fn a_text_over_the_limit_is_not_looked_at() {
        let long = "spotify is down ".repeat(TEXT_BYTES_MAX / 16 + 1);
        check(&long, "too_long");
    }

    #[test]
    fn authors_are_hashed_under_the_key_and_unknown_ones_by_their_post() {
        let (judge, catalogue) = judge();
        let other = Judge::new(&catalogue, Lexicon::default(), [8; 16]);
        assert_ne!(judge.hash(b"author", b"a"), other.hash(b"author", b"a"), "another key, another hash");
        let mut judgement = Judgement::default();
        let mut author_of = |post: &Post<'_>| {
            judge.judge(post, &mut judgement);
            judgement.take_complaint().expect("it complains").author
        };
        let first = author_of(&Post { author: "", id: "1", ..Post::of_text("spotify is down") });
        let second = author_of(&Post { author: "", id: "2", ..Post::of_text("spotify is down") });
        assert_ne!(first, second, "two posts without author are two authors");
    }
}
