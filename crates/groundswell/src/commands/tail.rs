//! `groundswell tail`: follow the alerts topic.

use std::io::{self, Write};
use std::time::Duration;

use groundswell_core::EventTime;
use groundswell_io::encode::CloudEvent;
use groundswell_io::kafka::alerts::event_of;
use groundswell_io::kafka::reader::{From, Next, TopicReader};
use groundswell_io::times;

use crate::connecting::KafkaArgs;
use crate::failure::Outcome;
use crate::interrupt;
use crate::running::PROBE_DEADLINE;
use crate::settings::SettingsArgs;

/// How long to wait for a message before looking at the stop flag.
const POLL: Duration = Duration::from_millis(100);

const EXAMPLES: &str = "\
Examples:
  groundswell tail --bootstrap kafka:9092                            what is published from now on
  groundswell tail --bootstrap kafka:9092 --from-beginning --until-end --json > events.jsonl
  groundswell tail --bootstrap kafka:9092 --since 2026-01-01T00:00:00Z --service spotify";

/// Options of `tail`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    kafka: KafkaArgs,
    #[command(flatten)]
    settings: SettingsArgs,
    /// Print each event exactly as `replay` does, a line of JSON each.
    #[arg(long)]
    json: bool,
    /// Begin with the oldest event that is kept.
    #[arg(long)]
    from_beginning: bool,
    /// Begin with the first event whose time (event time, RFC 3339) is not before this.
    #[arg(long, value_name = "TIME", value_parser = super::parse_time)]
    since: Option<EventTime>,
    /// Print the events of this service alone (its id; repeatable).
    #[arg(long, value_name = "ID")]
    service: Vec<String>,
    /// Stop at the end of what is there now.
    #[arg(long)]
    until_end: bool,
}

/// Follows until Ctrl-C.
pub(crate) fn run(args: Args) -> Outcome {
    let settings = args.settings.load()?;
    let (connection, names) = args.kafka.resolve(&settings.run, &settings.kafka)?;
    let stop = interrupt::stop_flag()?;
    connection.probe(PROBE_DEADLINE)?;
    let from = if args.from_beginning || args.since.is_some() { From::Beginning } else { From::End };
    let mut reader = TopicReader::open(&connection, &names.alerts(), from)?;
    let mut out = io::stdout().lock();
    while !(stop.is_raised() || (args.until_end && reader.is_at_end())) {
        let Next::Message(message) = reader.poll(POLL)? else { continue };
        let Some(event) = event_of(&message).filter(|event| is_wanted(&args, event)) else { continue };
        let line = if args.json { event.to_json()? } else { event.to_text() };
        writeln!(out, "{line}")?;
        out.flush()?;
    }
    Ok(())
}

fn is_wanted(args: &Args, event: &CloudEvent) -> bool {
    let is_late_enough =
        args.since.is_none_or(|since| times::parse_table_time(&event.time).is_some_and(|time| time >= since));
    is_late_enough && (args.service.is_empty() || args.service.contains(&event.subject))
}
