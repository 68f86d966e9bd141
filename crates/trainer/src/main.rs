//! Learns from labelled posts: `training/learn` has the command.
//!
//! The cues of each language are fitted by themselves, from its own rows; what fails in each category of services is
//! counted over all languages. There is no chance in it: the same rows give the same files, which are read by people and
//! by the core alike (`crates/core/data/cues`, and `categories.toml` among the files of the catalogue). The model is
//! described in `crates/core/src/cues.rs`.

mod features;
mod fit;
mod measuring;
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
use groundswell_core::{Judge, Lexicon, Problem};

use crate::features::Examples;
use crate::fit::{Settings, fit};
use crate::measuring::Tally;
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
    /// Learn nothing: tell how the lexicon that is built in judges the rows, the certain ones and all.
    #[arg(long, conflicts_with_all = [
        "out", "categories", "penalty", "rows_min", "weight_min", "false_cost", "by_category", "strange_words",
        "constant", "folds",
    ])]
    measure: bool,
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
    /// In how many rows a cue must stand to have a weight, and in how many complaints to tell what fails.
    /// What stands in a single one tells of that one only.
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
    /// Learn besides what a post without a phrase that counts weighs before its words.
    #[arg(long)]
    constant: bool,
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
    let catalogue = features::catalogue().map_err(first)?;
    let lexicon = Lexicon::load(true, &[]).map_err(first)?;
    let mut out = io::stdout().lock();
    if args.measure {
        let judge = Judge::new(&catalogue, lexicon, [0; 16]);
        return measuring::report(&by_language, &catalogue, &judge, &mut out);
    }
    let judge = Judge::new(&catalogue, lexicon.without_cues(), [0; 16]);
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
        constant: args.constant,
    };
    writeln!(out, "lang   rows   precision recall F1     right symptom, of rows left out")?;
    let mut by_category = ByCategory::default();
    for (lang, rows) in &by_language {
        let examples = Examples::of(rows, &catalogue, &judge);
        by_category.add(&examples, &catalogue);
        write!(out, "{lang:<5} {:>5}", rows.len())?;
        if args.folds > 1 {
            let found = cross_validate(&examples, &settings, args.folds);
            write!(
                out,
                "   {found}   {:.3}",
                symptoms::share_right(&examples, settings.rows_min, args.folds)
            )?;
        }
        writeln!(out)?;
        if let Some(folder) = &args.out {
            let fitted = fit(&examples, &settings, |_| true);
            let tells = symptoms::tells(&examples, settings.rows_min, |_| true);
            let text = writing::toml(lang, rows, &examples, &fitted, &tells);
            write(&folder.join(format!("{lang}.toml")), &text)?;
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
fn cross_validate(examples: &Examples, settings: &Settings, folds: usize) -> Tally {
    let mut tally = Tally::default();
    for part in 0..folds {
        let fitted = fit(examples, settings, |row| row % folds != part);
        let left_out = examples.rows.iter().skip(part).step_by(folds);
        left_out
            .filter(|row| row.is_certain)
            .for_each(|row| tally.add(fitted.complains(row), row.is_complaint));
    }
    tally
}
