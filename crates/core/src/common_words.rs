//! Finds names that posts have as common words too, and that stand without context.

use std::collections::BTreeMap;

use crate::catalogue::{Catalogue, Service};
use crate::lexicon::Lexicon;
use crate::phrases::folded_key;

/// The names of `service`, as words are compared, that are one word and name it whatever stands beside them.
pub fn names_without_context(service: &Service) -> impl Iterator<Item = String> {
    let folded = service.clear_names().iter().map(|name| folded_key(name));
    folded.filter(|word| !word.is_empty() && !word.contains(' '))
}

/// The names of `catalogue` that are common words and stand without context, a sentence each.
///
/// A word is common if `lexicon` learned it: if it is by itself one of a language's cues or tells. These were learned
/// from posts about hundreds of services, less the words by which a service was named, so that what is left of "line"
/// or "target" is what people mean by it otherwise.
pub fn names_that_are_common_words(catalogue: &Catalogue, lexicon: &Lexicon) -> Vec<String> {
    let mut languages_of: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for language in lexicon.languages() {
        let cues = language.cues.iter().map(|group| &group.any);
        let words = cues.chain(language.tells.iter().map(|group| &group.any)).flat_map(|any| any.iter());
        for word in words.filter(|word| !word.contains([' ', '*'])) {
            let languages = languages_of.entry(word).or_default();
            if languages.last() != Some(&language.language.as_str()) {
                languages.push(&language.language);
            }
        }
    }
    let mut found = Vec::new();
    for service in catalogue.services() {
        for word in names_without_context(service) {
            if let Some(languages) = languages_of.get(word.as_str()) {
                found.push(format!(
                    "service `{}`: the name \"{word}\" is a common word ({}); it needs context: `require_any` or \
                     `unambiguous`, and `ambiguous_in` if not in every language",
                    service.id,
                    languages.join(", ")
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

    const LEXICON: &str = "language = 'en'\n\
        [[cues]]\nweight = 0.2\nany = ['target', 'grün', 'acme pay', 'shel*']\n\
        [[tells]]\nsymptom = 'login'\nvotes = 1\nany = ['target', 'code']\n";

    #[track_caller]
    fn check(entry: &str, expected: &[&str]) {
        let text = format!("[[service]]\nid = 'a'\nname = 'A'\n{entry}");
        let catalogue = Catalogue::load(false, &[SourceText::new("c", text)]).expect("it can be read");
        let lexicon = Lexicon::load(false, &[SourceText::new("l", LEXICON)]).expect("it can be read");
        let found = names_that_are_common_words(&catalogue, &lexicon);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found:?} must name {expected:?}");
        }
    }

    #[test]
    fn a_name_that_is_a_word_of_posts_needs_context() {
        check(
            "aliases = ['Target', 'target app', 'acme pay', 'shell']",
            &["\"target\" is a common word (en)"],
        );
        check("aliases = ['code', 'quill']", &["\"code\""]);
        check("aliases = ['target']\nrequire_any = ['store']", &[]);
        check("aliases = ['target']\nunambiguous = ['target app']", &[]);
        check("aliases = ['quill']\nunambiguous = ['target']", &["\"target\""]);
    }

    #[test]
    fn the_builtin_names_are_no_common_words() {
        let catalogue = Catalogue::load(true, &[]).expect("the built-in catalogue is sound");
        let lexicon = Lexicon::load(true, &[]).expect("the built-in lexicon is sound");
        assert_eq!(names_that_are_common_words(&catalogue, &lexicon), [] as [&str; 0]);
    }
}
