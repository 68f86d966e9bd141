//! The summary after a replay: what became of every post, and the outages that were found.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Write as _, stderr};

use groundswell_core::{Catalogue, Event, EventKind, EventTime, FeedEventKind, OutageEvent, ServiceIndex};
use groundswell_io::times;

use crate::failure::Outcome;
use crate::replaying::Replay;

/// Collects the last word on every outage.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    last_events: BTreeMap<(EventTime, ServiceIndex), OutageEvent>,
    started: std::collections::BTreeSet<(EventTime, ServiceIndex)>,
    /// When the feed fell silent, and since when it is back.
    silences: Vec<(EventTime, Option<EventTime>)>,
}

impl Summary {
    /// Notes an event.
    pub(crate) fn event(&mut self, event: &Event) {
        let event = match event {
            Event::Outage(event) => event,
            Event::Feed(event) if event.kind == FeedEventKind::Silent => {
                return self.silences.push((event.since, None));
            }
            Event::Feed(event) => {
                if let Some(silence) = self.silences.last_mut() {
                    silence.1 = Some(event.time);
                }
                return;
            }
        };
        let outage = (event.opened_at, event.service);
        if matches!(event.kind, EventKind::Started | EventKind::Updated | EventKind::Ended) {
            self.started.insert(outage);
        }
        self.last_events.insert(outage, OutageEvent::clone(event));
    }

    /// Writes the summary to stderr.
    pub(crate) fn print(&self, replay: &mut Replay, catalogue: &Catalogue, is_interrupted: bool) -> Outcome {
        let mut out = String::new();
        if is_interrupted {
            out.push_str("interrupted: this is what was read so far\n");
        }
        write_outcomes(&mut out, replay)?;
        self.write_outages(&mut out, catalogue)?;
        Ok(stderr().write_all(out.as_bytes())?)
    }

    fn write_outages(&self, out: &mut String, catalogue: &Catalogue) -> Outcome {
        let n_suspected = self.last_events.len() - self.started.len();
        writeln!(
            out,
            "\n{}, {} suspected only",
            plural(self.started.len() as u64, "outage", "outages"),
            n_suspected
        )?;
        for &(since, back) in &self.silences {
            let end = back.map_or_else(|| "now".to_owned(), times::format);
            writeln!(out, "  the feed was silent from {} to {end}", times::format(since))?;
        }
        let told = self.last_events.iter().filter(|(outage, _)| self.started.contains(outage));
        for (_, event) in told {
            let end = match (event.kind, event.ended_at) {
                (EventKind::Ended, Some(end)) => times::format(end),
                _ => format!("ongoing (told at {})", times::format(event.time)),
            };
            let symptoms: Vec<String> = event
                .scope
                .symptoms
                .iter()
                .take(4)
                .map(|(symptom, n)| format!("{} {n}", symptom.name()))
                .collect();
            writeln!(out, "  {} ({})", catalogue.service(event.service).name, event.severity.name())?;
            writeln!(
                out,
                "    onset {}  detected {}  end {end}",
                times::format(event.started_at),
                times::format(event.detected_at)
            )?;
            writeln!(
                out,
                "    peak {} a minute at {}  complaints {}  {}",
                event.peak.observed,
                times::format(event.peak.at),
                event.scope.n_complaints,
                symptoms.join(", ")
            )?;
        }
        Ok(())
    }
}

fn write_outcomes(out: &mut String, replay: &mut Replay) -> Outcome {
    let (n_lines, n_before, n_without_author) =
        (replay.n_lines(), replay.n_before(), replay.n_without_author());
    let pipeline = replay.pipeline();
    let total = n_lines + n_before;
    match n_before {
        0 => writeln!(out, "{}", plural(n_lines, "line", "lines"))?,
        _ => writeln!(out, "{}, and {n_before} before the snapshot", plural(n_lines, "line", "lines"))?,
    }
    let mut write_row = |name: &str, n: u64, meaning: &str| {
        writeln!(out, "  {n:>10}  {:>5.1} %  {name:<17} {meaning}", n as f64 * 100.0 / total.max(1) as f64)
    };
    for (outcome, n) in pipeline.outcomes().occurred() {
        write_row(outcome.name(), n, outcome.meaning())?;
    }
    if pipeline.n_undecided() > 0 {
        write_row("open", pipeline.n_undecided(), "Kept in the snapshot: their minute is not closed.")?;
    }
    let detector = pipeline.detector();
    writeln!(
        out,
        "{} closed, {} complained about{}",
        plural(detector.n_bins_closed(), "minute", "minutes"),
        plural(detector.n_services_seen() as u64, "service", "services"),
        match n_without_author {
            0 => String::new(),
            n => format!(", {} without an author, each counted as its own", plural(n, "post", "posts")),
        }
    )?;
    Ok(())
}

fn plural(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}
