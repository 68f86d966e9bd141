use std::collections::BTreeSet;

use super::*;

const LANGUAGES: [Language; 6] =
    [Language::En, Language::Es, Language::Pt, Language::Fr, Language::De, Language::Ja];
const SYMPTOMS: [Symptom; 10] = [
    Symptom::Access,
    Symptom::Login,
    Symptom::Playback,
    Symptom::Loading,
    Symptom::Messaging,
    Symptom::Payment,
    Symptom::Connection,
    Symptom::Crash,
    Symptom::Slow,
    Symptom::Error,
];

fn distinct(language: Language, wanted: impl Fn(Kind) -> bool) -> BTreeSet<&'static str> {
    let templates = Corpus::of(language).templates.iter();
    templates
        .filter(|((kind, _), _)| wanted(*kind))
        .flat_map(|(_, list)| list.iter().map(String::as_str))
        .collect()
}

#[test]
fn english_has_at_least_25_complaints_of_every_symptom() {
    for symptom in SYMPTOMS {
        let n =
            distinct(Language::En, |k| k == Kind::Complaint(symptom) || k == Kind::Oblique(symptom)).len();
        assert!(n >= 25, "{symptom:?}: {n}");
    }
}

#[test]
fn every_language_has_at_least_30_complaints_some_of_them_oblique() {
    for language in LANGUAGES {
        let n = distinct(language, Kind::is_complaint).len();
        let n_oblique = distinct(language, |kind| matches!(kind, Kind::Oblique(_))).len();
        assert!(n >= 30, "{language:?}: {n}");
        assert!(n_oblique >= 5, "{language:?}: {n_oblique} oblique");
    }
}

#[test]
fn english_has_a_text_of_every_kind_for_every_topic() {
    use Kind::*;
    let kinds = [
        Complaint(Symptom::Access),
        Oblique(Symptom::Access),
        Blame,
        Ordinary,
        Praise,
        Howto,
        Price,
        Negated,
        Hypothetical,
        Past,
        Figurative,
        Joke,
        Recovery,
        News,
        NewsFixed,
        Official,
        OfficialFixed,
        Release,
        PriceRise,
    ];
    for topic in Topic::ALL {
        for kind in kinds {
            assert!(!Corpus::of(Language::En).templates(kind, topic).is_empty(), "{kind:?} {topic:?}");
        }
    }
}

#[test]
fn every_slot_of_every_template_can_be_filled() {
    const BUILT_IN: [&str; 5] = ["service", "provider", "handle", "tag", "n"];
    for language in LANGUAGES {
        let asides = ["aside", "aside_light"].into_iter().flat_map(|slot| Corpus::of(language).slot(slot));
        for template in distinct(language, |_| true).into_iter().chain(asides.map(String::as_str)) {
            for slot in template.split('{').skip(1) {
                let (slot, _) = slot.split_once('}').unwrap_or_else(|| panic!("unclosed slot: {template}"));
                let lists = [Corpus::of(language).slot(slot), Corpus::of(Language::En).slot(slot)];
                let known = BUILT_IN.contains(&slot) || lists.iter().any(|list| !list.is_empty());
                assert!(known, "{language:?}: no list for {{{slot}}} in {template}");
            }
        }
    }
}

#[test]
fn texts_that_are_not_complaints_are_not_among_the_complaints() {
    for language in LANGUAGES {
        let complaints = distinct(language, Kind::is_complaint);
        let others = distinct(language, |kind| !kind.is_complaint());
        let both: Vec<_> = complaints.intersection(&others).collect();
        assert!(both.is_empty(), "{language:?}: {both:?}");
    }
}
