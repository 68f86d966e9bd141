//! Learns from labelled posts: `training/learn` has the command.
//!
//! The cues of each language are fitted by themselves, from its own rows; what fails in each category of services is
//! counted over all languages. There is no chance in it: the same rows give the same files, which are read by people and
//! by the core alike (`crates/core/data/cues`, and `categories.toml` among the files of the catalogue). The model is
//! described in `crates/core/src/cues.rs`.

mod features;
mod fit;
mod rows;
mod solver;
mod symptoms;
mod writing;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use groundswell_core::{Catalogue, Judge, Lexicon, Problem};

use crate::features::Examples;
use crate::fit::{Settings, fit};
use crate::rows::Row;
use crate::symptoms::ByCategory;

/// Learns the cues of each language from labelled posts, and tells how well they do on rows left out.
#[derive(Debug, Parser)]
struct Args {
    /// CSV files with the columns id, lang, text, service, label, and if they have them symptom, certain, addressed; or
    /// files of cases of `groundswell test`.
    #[arg(required = true, value_name = "ROWS")]
    rows: Vec<PathBuf>,
    /// Posts as JSON lines with `id` and `text`, for rows without a text.
    #[arg(long, value_name = "POSTS.jsonl")]
    posts: Option<PathBuf>,
    /// Where to write the cues of each language.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Where to write what fails in services of each category.
    #[arg(long, value_name = "FILE")]
    categories: Option<PathBuf>,
    /// Only these languages (repeatable).
    #[arg(long, value_name = "TAG")]
    lang: Vec<String>,
    /// How strongly weights are drawn to zero.
    #[arg(long, default_value_t = 0.5)]
    penalty: f64,
    /// How many rows a cue must stand in.
    #[arg(long, default_value_t = 2)]
    rows_min: usize,
    /// Weights smaller than this are left out.
    #[arg(long, default_value_t = 0.05)]
    weight_min: f64,
    /// For how many missed complaints a false one counts.
    #[arg(long, default_value_t = 1.6)]
    false_cost: f64,
    /// Learn besides what words mean more for services of one category than for others.
    #[arg(long)]
    by_category: bool,
    /// Learn besides what words weigh of which nothing is known: most speak of something else.
    #[arg(long)]
    strange_words: bool,
    /// In how many parts the rows are cut, each judged by what was learned from the others; 0 for not at all.
    #[arg(long, default_value_t = 5)]
    folds: usize,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let mut by_language: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in rows::read_all(&args.rows, args.posts.as_deref())? {
        by_language.entry(row.lang.clone()).or_default().push(row);
    }
    by_language.retain(|lang, _| args.lang.is_empty() || args.lang.contains(lang));
    ensure!(!by_language.is_empty(), "no row is left");
    let catalogue = Catalogue::load(true, &[]).map_err(first)?;
    let lexicon = Lexicon::load(true, &[]).map_err(first)?.without_cues();
    let judge = Judge::new(&catalogue, &lexicon, [0; 16]);
    if let Some(folder) = &args.out {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let settings = Settings {
        penalty: args.penalty,
        rows_min: args.rows_min,
        weight_min: args.weight_min,
        false_cost: args.false_cost,
        by_category: args.by_category,
        strange_words: args.strange_words,
    };
    let mut out = io::stdout().lock();
    writeln!(out, "lang   rows   precision recall F1     right symptom, of rows left out")?;
    let mut by_category = ByCategory::default();
    for (lang, rows) in &by_language {
        let examples = Examples::of(rows, &catalogue, &judge);
        by_category.add(&examples, &catalogue);
        write!(out, "{lang:<5} {:>5}", rows.len())?;
        if args.folds > 1 {
            let found = cross_validate(&examples, &settings, args.folds);
            write!(out, "   {found}   {:.3}", symptoms::share_right(&examples, args.folds))?;
        }
        writeln!(out)?;
        if let Some(folder) = &args.out {
            let fitted = fit(&examples, &settings, |_| true);
            write(&folder.join(format!("{lang}.toml")), &writing::toml(lang, rows, &examples, &fitted))?;
        }
    }
    if let Some(path) = &args.categories {
        write(path, &writing::categories_toml(&by_category.votes()))?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| path.display().to_string())
}

fn first(problems: Vec<Problem>) -> anyhow::Error {
    anyhow::anyhow!("{}", problems.first().map(ToString::to_string).unwrap_or_default())
}

/// Precision, recall and F1 on certain rows, each judged by what the other parts taught.
fn cross_validate(examples: &Examples, settings: &Settings, folds: usize) -> String {
    let (mut found, mut wrong, mut missed) = (0.0, 0.0, 0.0);
    for part in 0..folds {
        let fitted = fit(examples, settings, |row| row % folds != part);
        let left_out = examples.rows.iter().skip(part).step_by(folds);
        for row in left_out.filter(|row| row.is_certain) {
            match (fitted.complains(row), row.is_complaint) {
                (true, true) => found += 1.0,
                (true, false) => wrong += 1.0,
                (false, true) => missed += 1.0,
                (false, false) => {}
            }
        }
    }
    let ratio = |part: f64, rest: f64| if part + rest > 0.0 { part / (part + rest) } else { 0.0 };
    let (precision, recall) = (ratio(found, wrong), ratio(found, missed));
    let f1 = if found > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 };
    format!("{precision:.3}     {recall:.3}  {f1:.3}")
}
