//! Finds names and phrases that no text can bring to count, by giving the judge the text most in their favour.

use crate::catalogue::{Catalogue, ServiceIndex};
use crate::findings::{Finding, Verdict};
use crate::judgement::{Judge, Judgement};
use crate::lexicon::Lexicon;
use crate::matching::LanguageTag;
use crate::post::Post;
use crate::time::EventTime;

/// The entries of `catalogue` and `lexicon` that are never reached, a sentence each.
///
/// A name is tried alone, with the context that it asks for beside it; it fails when its own exclusions cover it or a
/// longer name of another service always takes its place. A phrase is tried alone in a post addressed to a service; it
/// fails when it is always figurative.
pub fn unreachable_entries(judge: &Judge, catalogue: &Catalogue, lexicon: &Lexicon) -> Vec<String> {
    let mut judgement = Judgement::default();
    let mut found = Vec::new();
    for (position, service) in catalogue.services().iter().enumerate() {
        for alias in &service.aliases {
            let context = service.require_any.first().map_or("", String::as_str);
            let text = format!("{alias} . {context}");
            judge.explain(&post(&text, None, None), &mut judgement);
            if !judgement.mentioned().contains(&ServiceIndex::of(position)) {
                found.push(format!(
                    "service `{}`: the alias {alias:?} is never reached: an exclusion or a longer name covers it",
                    service.id
                ));
            }
        }
    }
    let Some(addressed) = catalogue.services().first() else { return found };
    for language in lexicon.languages() {
        let tag = LanguageTag::primary_of(&language.language);
        for phrase in language.phrases.iter().flat_map(|group| &group.any) {
            let text = phrase.replace('*', "");
            judge.explain(&post(&text, Some(&addressed.id), Some(&language.language)), &mut judgement);
            let own =
                |finding: &&Finding| finding.language == tag && judge.phrase_text(finding) == phrase.as_str();
            let is_covered =
                judgement.findings().iter().find(own).is_none_or(|own| own.verdict == Verdict::Figurative);
            if is_covered {
                found.push(format!(
                    "language `{}`: the phrase {phrase:?} is never reached: a figurative phrase covers it",
                    language.language
                ));
            }
        }
    }
    found
}

fn post<'a>(text: &'a str, service: Option<&'a str>, lang: Option<&'a str>) -> Post<'a> {
    Post {
        id: "check",
        event_time: EventTime::MIN,
        author: "",
        text,
        lang,
        country: None,
        is_repost: false,
        service,
    }
}
