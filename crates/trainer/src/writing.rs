//! What was learned, as a lexicon file.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use groundswell_core::Symptom;

use crate::features::Examples;
use crate::fit::{Fitted, WEIGHT_STEPS};
use crate::rows::Row;
use crate::symptoms::{Tell, VOTE_STEPS};

const LINE_CHARS_MAX: usize = 110;

/// The file for `lang`.
pub(crate) fn toml(lang: &str, rows: &[Row], examples: &Examples, fitted: &Fitted, tells: &[Tell]) -> String {
    let n_complaints = rows.iter().filter(|row| row.label == 1).count();
    let mut out = format!(
        "# Learned by crates/trainer from {} rows, {n_complaints} of them complaints; not written by hand.\n\
         language = \"{lang}\"\nextend = true\n",
        rows.len()
    );
    // By weight in steps, so that equal weights are equal keys; what counts for all first, and the greatest.
    let mut by_weight: BTreeMap<(Option<&str>, Reverse<i64>), Vec<&str>> = BTreeMap::new();
    let for_all = fitted.cues.iter().map(|&cue| (None, cue, fitted.weight(cue)));
    let by_category = fitted.by_category.iter();
    let by_category = by_category.map(|(&(of, cue), &weight)| (Some(&*examples.categories[of]), cue, weight));
    for (category, cue, weight) in for_all.chain(by_category) {
        let steps = (weight * WEIGHT_STEPS).round() as i64;
        by_weight.entry((category, Reverse(steps))).or_default().push(&examples.vocabulary.cues[cue]);
    }
    for ((category, Reverse(steps)), cues) in by_weight {
        out += "\n[[cues]]\n";
        if let Some(category) = category {
            out += &format!("category = \"{category}\"\n");
        }
        out += &format!("weight = {:.2}\n", steps as f64 / WEIGHT_STEPS);
        write_list(&mut out, cues);
    }
    let mut by_symptom: BTreeMap<(Symptom, Reverse<i64>), Vec<&str>> = BTreeMap::new();
    for &(cue, symptom, votes) in tells {
        let steps = (votes * VOTE_STEPS).round() as i64;
        by_symptom.entry((symptom, Reverse(steps))).or_default().push(&examples.vocabulary.cues[cue]);
    }
    for ((symptom, Reverse(steps)), cues) in by_symptom {
        let (symptom, votes) = (symptom.name(), steps as f64 / VOTE_STEPS);
        out += &format!("\n[[tells]]\nsymptom = \"{symptom}\"\nvotes = {votes:.1}\n");
        write_list(&mut out, cues);
    }
    if !fitted.signs.is_empty() {
        out.push_str("\n[signs]\n");
        for (sign, weight) in &fitted.signs {
            out += &format!("{} = {weight:.2}\n", sign.name());
        }
    }
    out
}

/// The file of what fails in services of each category.
pub(crate) fn categories_toml(categories: &BTreeMap<String, BTreeMap<Symptom, f64>>) -> String {
    let mut out = "# What fails in services of a category more often than in others, or less often, in the unit of the\n\
                   # lexicon's tells. Learned by crates/trainer; not written by hand.\n"
        .to_owned();
    for (name, symptoms) in categories {
        let votes = symptoms.iter().map(|(symptom, votes)| format!("{} = {votes:.1}", symptom.name()));
        let votes: Vec<String> = votes.collect();
        out += &format!("\n[[category]]\nname = \"{name}\"\nsymptoms = {{ {} }}\n", votes.join(", "));
    }
    out
}

fn write_list(out: &mut String, mut cues: Vec<&str>) {
    cues.sort_unstable();
    out.push_str("any = [");
    let mut line = String::new();
    for cue in cues {
        if line.chars().count() + cue.chars().count() + 5 > LINE_CHARS_MAX {
            *out += &format!("\n {line}");
            line.clear();
        }
        line += &format!(" \"{cue}\",");
    }
    *out += &format!("\n {line}\n]\n");
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use groundswell_core::{Catalogue, Judge, Judgement, Lexicon, Outcome, SourceText};

    use super::*;
    use crate::fit::{Settings, fit};
    use crate::{features, rows, symptoms};

    fn row(text: &str, label: u8, symptom: Option<Symptom>) -> Row {
        Row {
            id: String::new(),
            lang: "en".to_owned(),
            text: text.to_owned(),
            service: String::new(),
            label,
            symptoms: symptom.into_iter().collect(),
            certain: None,
            addressed: None,
        }
    }

    /// What is learned from a few rows about a shop.
    fn learned() -> String {
        let shop = SourceText::new(
            "shop",
            "[[service]]\nid = 'shop'\nname = 'Shop'\ncategory = 'shops'\naliases = ['shop']\n",
        );
        let catalogue = Catalogue::load(false, &[shop]).expect("a good catalogue");
        let english = SourceText::new("en", "language = 'en'\nrecovery = ['is back']\n");
        let lexicon = Lexicon::load(false, &[english]).expect("a good lexicon");
        let judge = Judge::new(&catalogue, lexicon, [0; 16]);
        let mut rows = Vec::new();
        for _ in 0..20 {
            rows.push(row("shop spinning forever", 1, Some(Symptom::Loading)));
            rows.push(row("card refused at shop", 1, Some(Symptom::Payment)));
            rows.push(row("shop is back", 0, None));
            rows.push(row("love the shop", 0, None));
        }
        let examples = Examples::of(&rows, &catalogue, &judge);
        let settings = Settings {
            penalty: 0.5,
            rows_min: 2,
            weight_min: 0.02,
            false_cost: 1.0,
            by_category: true,
            strange_words: false,
            constant: false,
        };
        let tells = symptoms::tells(&examples, settings.rows_min, |_| true);
        toml("en", &rows, &examples, &fit(&examples, &settings, |_| true), &tells)
    }

    #[test]
    fn what_is_learned_is_a_lexicon_with_cues_tells_and_signs_and_no_names() {
        let text = learned();
        let base = SourceText::new("base", "language = 'en'\n");
        let lexicon = Lexicon::load(false, &[base, SourceText::new("cues", text.as_str())]);
        let lexicon = lexicon.unwrap_or_else(|problems| panic!("{problems:?} in\n{text}"));
        let english = &lexicon.languages()[0];
        let weight = |cue: &str| {
            let group = english.cues.iter().find(|group| group.any.iter().any(|known| known == cue));
            group.map(|group| group.weight)
        };
        assert!(weight("spinning").is_some_and(|weight| weight > 0.0), "{text}");
        assert!(weight("love").is_some_and(|weight| weight < 0.0), "{text}");
        let of_category = english.cues.iter().any(|group| group.category.as_deref() == Some("shops"));
        assert!(of_category, "what words mean in the shop's category is written too: {text}");
        assert_eq!(weight("shop"), None, "a name is no cue: {text}");
        let tells = |cue: &str| english.tells.iter().find(|group| group.any.iter().any(|known| known == cue));
        assert_eq!(tells("card").map(|group| group.symptom), Some(Symptom::Payment), "{text}");
        assert!(text.contains("says_recovery = -"), "what says that it works again speaks against: {text}");
    }

    /// Rows as they are learned from, every fifth with a number that is no cue, and each way to learn.
    #[test]
    fn the_core_judges_with_what_is_written_as_the_fit_does() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let polish =
            std::fs::read_to_string(root.join("crates/core/data/lexicon/pl.toml")).expect("a lexicon");
        let polish = SourceText::new("pl", polish);
        let mut rows = rows::read_csv(&root.join("training/pl.csv")).expect("rows");
        rows.truncate(600);
        rows.iter_mut().step_by(5).for_each(|row| row.text += " tel. 09087493040");
        let catalogue = features::catalogue().expect("a sound catalogue");
        let judge = |files: &[SourceText]| {
            Judge::new(&catalogue, Lexicon::load(false, files).expect("a sound lexicon"), [0; 16])
        };
        let examples = Examples::of(&rows, &catalogue, &judge(std::slice::from_ref(&polish)));
        for (by_category, strange_words) in [(true, false), (false, true)] {
            let settings = Settings {
                penalty: 0.5,
                rows_min: 2,
                weight_min: 0.05,
                false_cost: 1.2,
                by_category,
                strange_words,
                constant: true,
            };
            let fitted = fit(&examples, &settings, |_| true);
            let cues = SourceText::new("cues", toml("pl", &rows, &examples, &fitted, &[]));
            let judge = judge(&[polish.clone(), cues]);
            let mut judgement = Judgement::default();
            for (row, example) in rows.iter().zip(&examples.rows) {
                let counted =
                    features::explain(row, &catalogue, &judge, &mut judgement) == Outcome::Complaint;
                assert_eq!(counted, fitted.complains(example), "{}", row.text);
            }
        }
    }

    #[test]
    fn what_is_learned_of_categories_is_a_catalogue_file() {
        let symptoms = BTreeMap::from([(Symptom::Payment, 0.8), (Symptom::Slow, -1.1)]);
        let text = categories_toml(&BTreeMap::from([("bank".to_owned(), symptoms.clone())]));
        let bank = "[[service]]\nid = 'b'\nname = 'B'\ncategory = 'bank'\n";
        let files = [SourceText::new("categories", text), SourceText::new("bank", bank)];
        let catalogue = Catalogue::load(false, &files).expect("a good catalogue");
        assert_eq!(catalogue.categories()[0].symptoms, symptoms);
    }

    #[test]
    fn the_same_rows_give_the_same_file() {
        assert_eq!(learned(), learned());
    }
}
