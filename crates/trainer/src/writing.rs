//! What was learned, as a lexicon file.

use std::collections::BTreeMap;

use groundswell_core::Symptom;

use crate::features::Examples;
use crate::fit::{Fitted, WEIGHT_STEPS};
use crate::rows::Row;

const LINE_CHARS_MAX: usize = 110;
/// A cue names a symptom from this share of the complaints it stands in; below, complaints of all kinds use it.
const SYMPTOM_SHARE_MIN: f64 = 0.4;
/// So many complaints of the language's usual mix are mixed in, so that two rows do not settle a symptom.
const PRIOR_ROWS: f64 = 1.0;

/// The file for `lang`.
pub(crate) fn toml(lang: &str, rows: &[Row], examples: &Examples, fitted: &Fitted) -> String {
    let n_complaints = rows.iter().filter(|row| row.label == 1).count();
    let mut out = format!(
        "# Learned by crates/trainer from {} rows, {n_complaints} of them complaints; not written by hand.\n\
         language = \"{lang}\"\nextend = true\n",
        rows.len()
    );
    let symptoms = symptoms(examples, fitted);
    // By weight in steps, so that equal weights are equal keys; the greatest first.
    let mut groups: BTreeMap<(std::cmp::Reverse<i64>, Option<&str>), Vec<&str>> = BTreeMap::new();
    for &cue in &fitted.cues {
        let weight = (fitted.weight(cue) * WEIGHT_STEPS).round() as i64;
        let symptom = symptoms.get(&cue).map(|symptom| symptom.name());
        groups.entry((std::cmp::Reverse(weight), symptom)).or_default().push(&examples.vocabulary.cues[cue]);
    }
    for ((std::cmp::Reverse(weight), symptom), mut cues) in groups {
        cues.sort_unstable();
        out += &format!("\n[[cues]]\nweight = {:.2}\n", weight as f64 / WEIGHT_STEPS);
        if let Some(symptom) = symptom {
            out += &format!("symptom = \"{symptom}\"\n");
        }
        write_list(&mut out, &cues);
    }
    if !fitted.signs.is_empty() {
        out.push_str("\n[signs]\n");
        for (sign, weight) in &fitted.signs {
            out += &format!("{} = {weight:.2}\n", sign.name());
        }
    }
    out
}

/// For each cue that speaks for a complaint the symptom that it tells, if it tells one.
fn symptoms(examples: &Examples, fitted: &Fitted) -> BTreeMap<usize, Symptom> {
    let mut counts: BTreeMap<usize, [f64; Symptom::ALL.len()]> = BTreeMap::new();
    let mut usual = [0.0; Symptom::ALL.len()];
    for row in 0..examples.len() {
        let named = examples.symptoms(row);
        for &symptom in named {
            let share = 1.0 / named.len() as f64;
            usual[symptom as usize] += share;
            for &cue in examples.cues(row) {
                counts.entry(cue).or_default()[symptom as usize] += share;
            }
        }
    }
    let n_usual: f64 = usual.iter().sum::<f64>().max(1.0);
    let told = |&cue: &usize| {
        let counts = counts.get(&cue).filter(|_| fitted.weight(cue) > 0.0)?;
        let n: f64 = counts.iter().sum::<f64>() + PRIOR_ROWS;
        let share = |symptom: Symptom| {
            (counts[symptom as usize] + PRIOR_ROWS * usual[symptom as usize] / n_usual) / n
        };
        let best = Symptom::ALL.iter().copied().max_by(|&a, &b| share(a).total_cmp(&share(b)))?;
        (share(best) >= SYMPTOM_SHARE_MIN).then_some((cue, best))
    };
    fitted.cues.iter().filter_map(told).collect()
}

fn write_list(out: &mut String, cues: &[&str]) {
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
