//! Labelled rows as they are read.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// One labelled post.
#[derive(Debug, Deserialize)]
pub(crate) struct Row {
    pub(crate) lang: String,
    pub(crate) text: String,
    /// The service that it is about, by id, if that is known.
    pub(crate) service: String,
    /// 1 if the author reports a failure of now.
    pub(crate) label: u8,
    /// Symptoms that fit, the best first, joined by `|`.
    #[serde(default)]
    pub(crate) symptom: String,
    /// 0 if readers disagree; absent for certain.
    #[serde(default)]
    pub(crate) certain: Option<u8>,
    /// 1 if the post is addressed to `service`, as a reply or a review is.
    #[serde(default)]
    pub(crate) addressed: Option<u8>,
}

/// Reads a file of rows.
pub(crate) fn read(path: &Path) -> Result<Vec<Row>> {
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
