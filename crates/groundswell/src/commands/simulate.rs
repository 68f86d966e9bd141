//! `groundswell simulate`.

use crate::failure::Outcome;

/// Options of `simulate`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: Args) -> Outcome {
    Ok(())
}
