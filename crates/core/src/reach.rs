//! Finds names and phrases that no text can bring to count, by giving the judge the text most in their favour; and cues
//! of a category that no service has.

use std::collections::BTreeSet;

use crate::builtin::CATALOGUE_FILES;
use crate::catalogue::{Catalogue, ServiceIndex};
use crate::findings::Verdict;
use crate::judgement::{Judge, Judgement};
use crate::lexicon::Lexicon;
use crate::phrases::n_words;
use crate::post::Post;

/// The entries of `catalogue` and `lexicon` that are never reached, a sentence each.
///
/// A name is tried alone and with each context that it may ask for behind it; it fails when its own exclusions cover it
/// or a longer name of another service always takes its place. A phrase is tried alone in a post addressed to a service;
/// it fails when it is always figurative. Cues may name a category of the built-in catalogue even where that is left out.
pub fn unreachable_entries(judge: &Judge, catalogue: &Catalogue, lexicon: &Lexicon) -> Vec<String> {
    let mut judgement = Judgement::default();
    let mut found = Vec::new();
    for (position, service) in catalogue.services().iter().enumerate() {
        let mut is_reached = |name: &str, context: &str| {
            judge.explain(&Post::of_text(&format!("{name} . {context}")), &mut judgement);
            judgement.begins_with(ServiceIndex::of(position), n_words(name))
        };
        for name in service.names() {
            if !is_reached(name, "") && !service.context().any(|context| is_reached(name, context)) {
                found.push(format!(
                    "service `{}`: the name {name:?} is never reached: an exclusion or a longer name covers it",
                    service.id
                ));
            }
        }
    }
    let of_services = catalogue.services().iter().map(|service| service.category.as_str());
    // The file of a category has its name; `categories` is of all.
    let of_files = CATALOGUE_FILES.iter().map(|&(name, _)| name).filter(|&name| name != "categories");
    let categories: BTreeSet<&str> = of_files.chain(of_services).collect();
    for language in lexicon.languages() {
        let named: BTreeSet<&str> =
            language.cues.iter().filter_map(|cues| cues.category.as_deref()).collect();
        found.extend(named.difference(&categories).map(|category| {
            format!(
                "language `{}`: cues of the category `{category}`, which no service has",
                language.language
            )
        }));
    }
    let Some(addressed) = catalogue.services().first() else { return found };
    for language in lexicon.languages() {
        for phrase in language.phrases.iter().flat_map(|group| &group.any) {
            let post = Post {
                service: Some(&addressed.id),
                lang: Some(&language.language),
                ..Post::of_text(phrase)
            };
            judge.explain(&post, &mut judgement);
            let whole = (0, n_words(phrase));
            let is_reached = judgement
                .findings()
                .iter()
                .any(|finding| finding.words == whole && finding.verdict != Verdict::Figurative);
            if !is_reached {
                found.push(format!(
                    "language `{}`: the phrase {phrase:?} is never reached: a figurative phrase covers it",
                    language.language
                ));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::SourceText;

    #[track_caller]
    fn check(catalogue: &str, lexicon: &str, expected: &[&str]) {
        let catalogue = Catalogue::load(false, &[SourceText::new("c", catalogue)]).expect("it can be read");
        let lexicon = Lexicon::load(false, &[SourceText::new("l", lexicon)]).expect("it can be read");
        let judge = Judge::new(&catalogue, lexicon.clone(), [0; 16]);
        let found = unreachable_entries(&judge, &catalogue, &lexicon);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found:?} must name {expected:?}");
        }
    }

    const SOUND: &str = "[[service]]\nid = 'a'\nname = 'A'\naliases = ['alpha']\nrequire_any = ['app']\n";

    #[test]
    fn the_builtin_files_are_reached_throughout() {
        let catalogue = Catalogue::load(true, &[]).expect("the built-in catalogue is sound");
        let lexicon = Lexicon::load(true, &[]).expect("the built-in lexicon is sound");
        let judge = Judge::new(&catalogue, lexicon.clone(), [0; 16]);
        assert_eq!(unreachable_entries(&judge, &catalogue, &lexicon), [] as [&str; 0]);
    }

    #[test]
    fn a_name_covered_by_its_own_exclusion_is_found() {
        check(SOUND, "language = 'en'", &[]);
        check(&format!("{SOUND}exclude = ['alpha']"), "language = 'en'", &["the name \"alpha\""]);
    }

    /// A name that is clear by itself does not hide one that is not reached, and one context of several is enough.
    #[test]
    fn each_name_is_tried_with_each_context() {
        let clear = format!("{SOUND}unambiguous = ['alpha beta', 'gamma.example']\n");
        check(&clear, "language = 'en'", &[]);
        check(&format!("{clear}exclude = ['alpha app', 'alpha beta app']"), "language = 'en'", &[]);
        check(&format!("{clear}exclude = ['alpha']"), "language = 'en'", &["the name \"alpha\""]);
    }

    #[test]
    fn cues_of_a_category_that_no_service_has_are_found() {
        let cues = |category| {
            format!("language = 'en'\n[[cues]]\nweight = 1\ncategory = '{category}'\nany = ['slow']\n")
        };
        check(&format!("{SOUND}category = 'bank'"), &(cues("bank") + &cues("energy")[16..]), &[]);
        check(SOUND, &cues("bnak"), &["`bnak`, which no service has"]);
        check(SOUND, &cues("categories"), &["`categories`, which no service has"]);
    }

    #[test]
    fn a_phrase_that_is_always_figurative_is_found() {
        let lexicon =
            "language = 'en'\nfigurative = ['down to earth']\n[[phrases]]\ntier = 'A'\nsymptom = 'access'\n";
        check(SOUND, &format!("{lexicon}any = ['is down', 'is down to earth', 'can * go']"), &[]);
        check(SOUND, &format!("{lexicon}any = ['down to', 'down to earth']"), &["\"down to earth\""]);
    }
}
