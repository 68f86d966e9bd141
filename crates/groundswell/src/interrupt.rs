//! Ctrl-C: the first asks every loop to end with what it has, the second ends the process.

use anyhow::Context;
use groundswell_io::lines::StopFlag;

use crate::failure::Failure;

/// The exit code of a process that Ctrl-C ended, by the shells' convention.
const EXIT_INTERRUPTED: i32 = 130;

/// A flag that is raised by the first Ctrl-C or SIGTERM. Call once.
pub(crate) fn stop_flag() -> Result<StopFlag, Failure> {
    let flag = StopFlag::default();
    let raised = flag.clone();
    ctrlc::set_handler(move || {
        if raised.is_raised() {
            std::process::exit(EXIT_INTERRUPTED);
        }
        raised.raise();
    })
    .context("cannot catch Ctrl-C")?;
    Ok(flag)
}
