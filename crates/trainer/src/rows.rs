//! Labelled rows as they are read.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use groundswell_core::Symptom;
use groundswell_io::cases::{CaseFile, TextCase, symptom};
use serde::Deserialize;
use serde::de::{Deserializer, Error};

/// One labelled post.
#[derive(Debug, Deserialize)]
pub(crate) struct Row {
    #[serde(default)]
    pub(crate) id: String,
    pub(crate) lang: String,
    /// Empty if it is not ours to publish: it is then looked up by id among the posts.
    #[serde(default)]
    pub(crate) text: String,
    /// The service that it is about, by id, if that is known.
    #[serde(default)]
    pub(crate) service: String,
    /// 1 if the author reports a failure of now.
    pub(crate) label: u8,
    /// Symptoms that fit, the best first; a file joins them by `|`.
    #[serde(default, rename = "symptom", deserialize_with = "symptoms")]
    pub(crate) symptoms: Vec<Symptom>,
    /// 0 if readers disagree; absent for certain.
    #[serde(default)]
    pub(crate) certain: Option<u8>,
    /// 1 if the post is addressed to `service`, as a reply or a review is.
    #[serde(default)]
    pub(crate) addressed: Option<u8>,
}

impl Row {
    pub(crate) fn is_certain(&self) -> bool {
        self.certain != Some(0)
    }
}

fn symptoms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Symptom>, D::Error> {
    let names = String::deserialize(deserializer)?;
    let names = names.split('|').map(str::trim).filter(|name| !name.is_empty());
    names.map(|name| symptom(name).map_err(D::Error::custom)).collect()
}

/// A post of a data set, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Post {
    id: String,
    text: String,
}

/// Reads files of rows (CSV) and of cases (TOML), and the texts that they lack from `posts` (JSON lines).
pub(crate) fn read_all(paths: &[PathBuf], posts: Option<&Path>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for path in paths {
        let is_toml = path.extension().is_some_and(|extension| extension == "toml");
        rows.extend(if is_toml { read_cases(path)? } else { read_csv(path)? });
    }
    if let Some(posts) = posts {
        let texts = read_texts(posts)?;
        for row in rows.iter_mut().filter(|row| row.text.is_empty()) {
            row.text = texts.get(&row.id).cloned().unwrap_or_default();
        }
    }
    let n_lacking = rows.iter().filter(|row| row.text.is_empty()).count();
    ensure!(n_lacking == 0, "{n_lacking} rows have no text; name the file of posts that has it with --posts");
    Ok(rows)
}

pub(crate) fn read_csv(path: &Path) -> Result<Vec<Row>> {
    let mut reader = csv::Reader::from_path(path).with_context(|| path.display().to_string())?;
    let mut rows = Vec::new();
    for (number, row) in reader.deserialize().enumerate() {
        let place = || format!("{}: row {}", path.display(), number + 1);
        let row: Row = row.with_context(place)?;
        ensure!(row.label <= 1, "{}: `label` is {}; it must be 0 or 1", place(), row.label);
        rows.push(row);
    }
    Ok(rows)
}

/// The cases that name their language.
fn read_cases(path: &Path) -> Result<Vec<Row>> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let cases: CaseFile = toml::from_str(&text).with_context(|| path.display().to_string())?;
    let row = |case: TextCase| {
        Some(Row {
            id: String::new(),
            lang: case.lang?,
            text: case.text,
            addressed: case.service.is_some().then_some(1),
            service: case.service.or_else(|| case.complains.first().cloned()).unwrap_or_default(),
            label: u8::from(!case.complains.is_empty()),
            symptoms: case.symptoms,
            certain: None,
        })
    };
    Ok(cases.text.into_iter().filter_map(|case| row(case.into_inner())).collect())
}

fn read_texts(path: &Path) -> Result<HashMap<String, String>> {
    let lines = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let post = |(number, line): (usize, &str)| {
        let post: Post =
            serde_json::from_str(line).with_context(|| format!("{}: line {}", path.display(), number + 1))?;
        Ok((post.id, post.text))
    };
    lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(post).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
        let entries = fs::read_dir(folder).expect("a folder of the repository");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
    }

    #[test]
    fn no_row_that_is_held_out_is_learned_from() {
        let held_out = read_all(&files("cases/held-out", "toml"), None).expect("cases");
        let held_out: BTreeSet<String> = held_out.into_iter().map(|row| row.text.to_lowercase()).collect();
        assert!(held_out.len() >= 900, "{} rows are held out", held_out.len());
        let posts = files("training/held-out", "csv");
        let posts: BTreeSet<String> =
            posts.iter().flat_map(|path| read_csv(path).expect("rows")).map(|row| row.id).collect();
        assert!(posts.len() >= 1000, "{} posts are held out", posts.len());
        let mut learned_from = read_all(&files("cases", "toml"), None).expect("cases");
        learned_from.extend(files("training", "csv").iter().flat_map(|path| read_csv(path).expect("rows")));
        for row in learned_from {
            assert!(!held_out.contains(&row.text.to_lowercase()), "{}", row.text);
            assert!(row.id.is_empty() || !posts.contains(&row.id), "{}", row.id);
        }
    }

    /// A post in two languages would be learned from twice, perhaps with two labels.
    #[test]
    fn no_post_is_labelled_twice() {
        let mut ids = BTreeSet::new();
        let files = files("training/held-out", "csv").into_iter().chain(files("training", "csv"));
        for row in files.flat_map(|path| read_csv(&path).expect("rows")).filter(|row| row.text.is_empty()) {
            assert!(ids.insert(row.id.clone()), "{}", row.id);
        }
    }
}
