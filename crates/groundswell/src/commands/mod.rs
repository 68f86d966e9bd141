//! One file a command: its options, and a thin `run` that joins the core to files and the terminal.

pub(crate) mod check;
pub(crate) mod evaluate;
pub(crate) mod explain;
#[cfg(feature = "kafka")]
pub(crate) mod health;
pub(crate) mod replay;
#[cfg(feature = "kafka")]
pub(crate) mod run;
pub(crate) mod score;
pub(crate) mod simulate;
#[cfg(feature = "kafka")]
pub(crate) mod tail;
pub(crate) mod test;
#[cfg(feature = "kafka")]
pub(crate) mod topics;

/// A time on the command line.
fn parse_time(text: &str) -> Result<groundswell_core::EventTime, String> {
    groundswell_io::times::parse_table_time(text)
        .ok_or_else(|| "not a time; write it like 2023-04-20T12:00:00Z".to_owned())
}
