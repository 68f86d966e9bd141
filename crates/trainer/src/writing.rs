//! What was learned, as a lexicon file.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use groundswell_core::Symptom;

use crate::features::Examples;
use crate::fit::{Fitted, WEIGHT_STEPS};
use crate::rows::Row;

const LINE_CHARS_MAX: usize = 110;
/// A cue tells a symptom from this share of the complaints it stands in; below, complaints of all kinds use it.
const SHARE_MIN: f64 = 0.3;
const VOTES_MIN: f64 = 0.15;
/// Votes are written in so many steps a unit.
const VOTE_STEPS: f64 = 10.0;
/// So many complaints of the language's usual mix are mixed in, so that two rows do not settle a symptom.
const PRIOR_ROWS: f64 = 3.0;

/// The file for `lang`.
pub(crate) fn toml(lang: &str, rows: &[Row], examples: &Examples, fitted: &Fitted) -> String {
    let n_complaints = rows.iter().filter(|row| row.label == 1).count();
    let mut out = format!(
        "# Learned by crates/trainer from {} rows, {n_complaints} of them complaints; not written by hand.\n\
         language = \"{lang}\"\nextend = true\n",
        rows.len()
    );
    // By weight in steps, so that equal weights are equal keys; the greatest first.
    let mut by_weight: BTreeMap<Reverse<i64>, Vec<&str>> = BTreeMap::new();
    for &cue in &fitted.cues {
        let weight = (fitted.weight(cue) * WEIGHT_STEPS).round() as i64;
        by_weight.entry(Reverse(weight)).or_default().push(&examples.vocabulary.cues[cue]);
    }
    for (Reverse(weight), cues) in by_weight {
        out += &format!("\n[[cues]]\nweight = {:.2}\n", weight as f64 / WEIGHT_STEPS);
        write_list(&mut out, cues);
    }
    let mut by_symptom: BTreeMap<(Symptom, Reverse<i64>), Vec<&str>> = BTreeMap::new();
    for (cue, (symptom, votes)) in tells(examples) {
        let votes = (votes * VOTE_STEPS).round() as i64;
        by_symptom.entry((symptom, Reverse(votes))).or_default().push(&examples.vocabulary.cues[cue]);
    }
    for ((symptom, Reverse(votes)), cues) in by_symptom {
        let (symptom, votes) = (symptom.name(), votes as f64 / VOTE_STEPS);
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

/// For each cue that tells a symptom which, and how clearly: its share of the complaints with the cue, times the
/// logarithm of how much more that is than its share of all complaints.
fn tells(examples: &Examples) -> BTreeMap<usize, (Symptom, f64)> {
    let mut counts: BTreeMap<usize, [f64; Symptom::ALL.len()]> = BTreeMap::new();
    let mut usual = [0.0; Symptom::ALL.len()];
    for row in &examples.rows {
        if let Some(&symptom) = row.symptoms.first() {
            usual[symptom as usize] += 1.0;
            for &cue in &row.cues {
                counts.entry(cue).or_default()[symptom as usize] += 1.0;
            }
        }
    }
    let n_usual: f64 = usual.iter().sum::<f64>().max(1.0);
    let told = |(cue, counts): (usize, [f64; Symptom::ALL.len()])| {
        let n = counts.iter().sum::<f64>();
        let share_of = |symptom: Symptom| {
            let usual = usual[symptom as usize] / n_usual;
            let share = (counts[symptom as usize] + PRIOR_ROWS * usual) / (n + PRIOR_ROWS);
            (symptom, share, share / usual.max(1.0 / n_usual))
        };
        let shares = Symptom::ALL.iter().map(|&symptom| share_of(symptom));
        let (symptom, share, lift) = shares.max_by(|a, b| (a.1 * a.2).total_cmp(&(b.1 * b.2)))?;
        let votes = share * libm::log(lift);
        (n >= 2.0 && share >= SHARE_MIN && votes >= VOTES_MIN).then_some((cue, (symptom, votes)))
    };
    counts.into_iter().filter_map(told).collect()
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
    use groundswell_core::{Catalogue, Judge, Lexicon, SourceText};

    use super::*;
    use crate::fit::{Settings, fit};

    fn row(text: &str, label: u8, symptom: &str) -> Row {
        Row {
            id: String::new(),
            lang: "en".to_owned(),
            text: text.to_owned(),
            service: String::new(),
            label,
            symptom: symptom.to_owned(),
            certain: None,
            addressed: None,
        }
    }

    /// What is learned from a few rows about a shop.
    fn learned() -> String {
        let shop = SourceText::new("shop", "[[service]]\nid = 'shop'\nname = 'Shop'\naliases = ['shop']\n");
        let catalogue = Catalogue::load(false, &[shop]).expect("a good catalogue");
        let english = SourceText::new("en", "language = 'en'\nrecovery = ['is back']\n");
        let lexicon = Lexicon::load(false, &[english]).expect("a good lexicon");
        let judge = Judge::new(&catalogue, &lexicon, [0; 16]);
        let mut rows = Vec::new();
        for _ in 0..20 {
            rows.push(row("shop spinning forever", 1, "loading"));
            rows.push(row("card refused at shop", 1, "payment"));
            rows.push(row("shop is back", 0, ""));
            rows.push(row("love the shop", 0, ""));
        }
        let examples = Examples::of(&rows, &catalogue, &judge);
        let settings = Settings { penalty: 0.5, rows_min: 2, weight_min: 0.02 };
        toml("en", &rows, &examples, &fit(&examples, &settings, |_| true))
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
        assert_eq!(weight("shop"), None, "a name is no cue: {text}");
        let tells = |cue: &str| english.tells.iter().find(|group| group.any.iter().any(|known| known == cue));
        assert_eq!(tells("card").map(|group| group.symptom), Some(Symptom::Payment), "{text}");
        assert!(text.contains("says_recovery = -"), "what says that it works again speaks against: {text}");
    }

    #[test]
    fn the_same_rows_give_the_same_file() {
        assert_eq!(learned(), learned());
    }
}
