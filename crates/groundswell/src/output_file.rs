//! Creates the files that options name, but never over an input.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};

use crate::failure::{Failure, usage};

/// Refuses `path` as an output if it is one of `inputs`: opening it would empty what is to be read.
pub(crate) fn refuse_input(path: &Path, inputs: &[PathBuf]) -> Result<(), Failure> {
    let Ok(target) = fs::canonicalize(path) else { return Ok(()) };
    // Devices such as /dev/null may be both.
    if !target.is_file() {
        return Ok(());
    }
    match inputs.iter().find(|input| fs::canonicalize(input).is_ok_and(|input| input == target)) {
        Some(input) => {
            Err(usage(anyhow!("cannot write {}: it is the input {}", path.display(), input.display())))
        }
        None => Ok(()),
    }
}

/// Creates the file at `path`, if any is asked for.
pub(crate) fn create(path: Option<&PathBuf>, inputs: &[PathBuf]) -> Result<Option<BufWriter<File>>, Failure> {
    let Some(path) = path else { return Ok(None) };
    refuse_input(path, inputs)?;
    let file =
        File::create(path).with_context(|| format!("cannot create {}", path.display())).map_err(usage)?;
    Ok(Some(BufWriter::new(file)))
}
