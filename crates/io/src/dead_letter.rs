//! What could not be used, with the reason and where it stood, a JSON object a line.

use std::borrow::Cow;
use std::io::{self, Write};

use groundswell_core::Outcome;
use serde::Serialize;

/// Bytes of the original that are kept: enough to recognise it, not enough to fill a disk with one bad feed.
const RAW_BYTES_MAX: usize = 4096;

/// One input that could not be used.
#[derive(Debug, Clone, Copy)]
pub struct DeadLetter<'a> {
    /// Why, as it is counted.
    pub outcome: Outcome,
    /// Why, in particular.
    pub detail: &'a str,
    /// The file it came from.
    pub input: &'a str,
    /// Its line there, from 1.
    pub line: u64,
    /// The line itself; `None` if it is not at hand any more.
    pub raw: Option<&'a [u8]>,
}

#[derive(Serialize)]
struct WireDeadLetter<'a> {
    reason: &'static str,
    detail: &'a str,
    input: &'a str,
    line: u64,
    /// Bytes that are not UTF-8 are replaced by U+FFFD.
    raw: Option<Cow<'a, str>>,
    is_cut: bool,
}

/// Writes `letter` as a line.
///
/// # Errors
/// If `out` cannot be written.
pub fn write(out: &mut impl Write, letter: &DeadLetter<'_>) -> io::Result<()> {
    let kept = letter.raw.map(|raw| &raw[..raw.len().min(RAW_BYTES_MAX)]);
    let wire = WireDeadLetter {
        reason: letter.outcome.name(),
        detail: letter.detail,
        input: letter.input,
        line: letter.line,
        raw: kept.map(String::from_utf8_lossy),
        is_cut: kept.map(<[u8]>::len) != letter.raw.map(<[u8]>::len),
    };
    serde_json::to_writer(&mut *out, &wire)?;
    out.write_all(b"\n")
}
