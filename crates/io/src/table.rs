//! Writes the per-bin table: `timestamp,service,count,expected,score,state`.

use std::io::Write;

use groundswell_core::Assessment;

/// Decimal places of `expected` and `score`.
const SCALE: f64 = 1e6;

/// Writes assessments as CSV, header first.
#[derive(Debug)]
pub struct CountsWriter<W: Write> {
    out: csv::Writer<W>,
}

impl<W: Write> CountsWriter<W> {
    /// Begins a table.
    ///
    /// # Errors
    /// If `out` cannot be written.
    pub fn new(out: W) -> csv::Result<Self> {
        let mut out = csv::Writer::from_writer(out);
        out.write_record(["timestamp", "service", "count", "expected", "score", "state"])?;
        Ok(Self { out })
    }

    /// Writes a row; `timestamp` and `count` as they are to be read.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub fn write(
        &mut self,
        timestamp: &str,
        service: &str,
        count: &str,
        assessment: &Assessment,
    ) -> csv::Result<()> {
        let expected = round_down(assessment.expected).to_string();
        let score = round_down(assessment.score).to_string();
        self.out.write_record([timestamp, service, count, &expected, &score, assessment.status.name()])
    }

    /// Passes on what is buffered.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// Down, never up: a score just below 0.5 must not read as one that crossed the threshold, and none may read 1.
fn round_down(value: f64) -> f64 {
    (value * SCALE).floor() / SCALE
}
