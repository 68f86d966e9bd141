//! The progress bar of a long replay: posts a second, event time, time left. Only on a terminal.

use std::io::{IsTerminal, stderr};
use std::time::Instant;

use groundswell_core::EventTime;
use groundswell_io::times;
use indicatif::{ProgressBar, ProgressStyle};

/// Lines between looks at the clock: a few milliseconds' worth.
const LINES_PER_UPDATE: u64 = 8192;

/// A bar towards so many steps, or nothing: for work that threads do step by step.
pub(crate) fn steps_bar(n_steps: u64) -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = "{wide_bar} {pos} of {len}  {eta} left";
    ProgressBar::new(n_steps)
        .with_style(ProgressStyle::with_template(template).expect("the template is well formed"))
}

/// A progress bar, or nothing.
#[derive(Debug)]
pub(crate) struct ProgressLine {
    bar: Option<ProgressBar>,
    started: Instant,
    n_lines: u64,
}

impl ProgressLine {
    /// Starts a bar towards `n_bytes_total`, or a spinner if that is not known.
    pub(crate) fn start(n_bytes_total: Option<u64>) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let (bar, template) = match n_bytes_total {
                Some(total) => (ProgressBar::new(total), "{wide_bar} {percent:>3} %  {msg}  {eta} left"),
                None => (ProgressBar::new_spinner(), "{spinner} {msg}"),
            };
            bar.with_style(ProgressStyle::with_template(template).expect("the template is well formed"))
        });
        Self { bar, started: Instant::now(), n_lines: 0 }
    }

    /// Counts a line; `n_bytes_read` is asked only when the bar is redrawn.
    pub(crate) fn step(&mut self, time: Option<EventTime>, n_bytes_read: impl FnOnce() -> u64) {
        self.n_lines += 1;
        let Some(bar) = &self.bar else { return };
        if self.n_lines.is_multiple_of(LINES_PER_UPDATE) {
            let per_second = self.n_lines as f64 / self.started.elapsed().as_secs_f64().max(1e-3);
            let time = time.map(times::format).unwrap_or_default();
            bar.set_position(n_bytes_read());
            bar.set_message(format!("{per_second:.0} posts/s  {time}"));
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
