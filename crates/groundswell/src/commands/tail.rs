//! `groundswell tail`: follow the alerts topic.
//!
//! A topic with several partitions has no order of its own. Up to its end the partitions are merged by event time, so that
//! what is printed is what `replay` prints; while following, an event is printed when it comes, since nobody knows what
//! another partition will still have to say.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::anyhow;
use groundswell_core::EventTime;
use groundswell_io::encode::CloudEvent;
use groundswell_io::kafka::alerts::event_of;
use groundswell_io::kafka::connection::Connection;
use groundswell_io::kafka::reader::{From, Next, TopicReader};
use groundswell_io::kafka::topics::n_partitions;
use groundswell_io::lines::StopFlag;
use groundswell_io::times;
use rdkafka::Message;

use crate::connecting::{FileArgs, KafkaArgs};
use crate::failure::{Failure, Outcome, usage};
use crate::interrupt;

/// How long to wait for a message before looking at the stop flag.
const POLL: Duration = Duration::from_millis(100);

const EXAMPLES: &str = "\
Examples:
  groundswell tail --bootstrap kafka:9092                     what is published from now on
  groundswell tail --bootstrap kafka:9092 --from-beginning    what is there, and what comes
  groundswell tail --bootstrap kafka:9092 --until-end --json > events.jsonl
                                                              what is there, as `replay` writes it
  groundswell tail --bootstrap kafka:9092 --since 2026-01-01T00:00:00Z --service spotify

It reads and changes nothing: any number of people may follow. Ctrl-C ends it.";

/// Options of `tail`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, mut_arg("posts_topic", |arg| arg.hide(true)))]
pub(crate) struct Args {
    /// Print each event as `replay` does, a CloudEvent in a line of JSON, instead of a line for people.
    #[arg(long)]
    json: bool,
    /// Begin with the oldest event that is kept, instead of what comes from now on.
    #[arg(long)]
    from_beginning: bool,
    /// Begin with the first event that was decided at this time or later (event time, RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = super::parse_time)]
    since: Option<EventTime>,
    /// Print the events of this service alone, by its id (repeatable).
    #[arg(long, value_name = "ID")]
    service: Vec<String>,
    /// Print what is there now, in the order of event time, and end.
    #[arg(long)]
    until_end: bool,
    #[command(flatten)]
    kafka: KafkaArgs,
    #[command(flatten)]
    file: FileArgs,
}

/// Prints until the end or until Ctrl-C.
pub(crate) fn run(args: Args) -> Outcome {
    if let Some(unknown) = args.service.iter().find(|id| id.is_empty()) {
        return Err(usage(anyhow!("--service is `{unknown}`; it must be the id of a service")));
    }
    let (connection, names) = args.kafka.resolve(&args.file.load()?)?;
    let stop = interrupt::stop_flag()?;
    connection.probe(&stop)?;
    if args.until_end {
        print_until_end(&args, &connection, &names.alerts(), &stop)
    } else {
        follow(&args, &connection, &names.alerts(), &stop)
    }
}

fn follow(args: &Args, connection: &Connection, topic: &str, stop: &StopFlag) -> Outcome {
    let from = if args.from_beginning || args.since.is_some() { From::Beginning } else { From::End };
    let mut reader = TopicReader::open(connection, topic, from)?;
    // Without a word nobody knows whether it waits or hangs. Whoever reads this has missed nothing from here on.
    writeln!(io::stderr(), "groundswell: following topic {topic}; Ctrl-C ends")?;
    while !stop.is_raised() {
        if let Some(event) = take(reader.poll(POLL)?)? {
            print(args, &event)?;
        }
    }
    Ok(())
}

/// One partition, read up to its end as it was at the start.
struct Partition {
    reader: TopicReader,
    /// Its next event; none before it has been looked for, and at the end.
    head: Option<CloudEvent>,
    /// The event time of its last event that has one.
    event_time: Option<EventTime>,
}

impl Partition {
    /// Looks for the next event; `false` at the end, or when stopping is asked for.
    fn look_ahead(&mut self, stop: &StopFlag) -> Result<bool, Failure> {
        while self.head.is_none() && !self.reader.is_at_end() && !stop.is_raised() {
            self.head = take(self.reader.poll(POLL)?)?;
        }
        if let Some(head) = self.head.as_ref().filter(|head| has_event_time(head)) {
            self.event_time = times::parse_table_time(&head.time);
        }
        Ok(self.head.is_some())
    }

    /// What decides the order: event time, and at the same time the feed before the services by their ids, as the
    /// detector has them.
    fn key(&self) -> (Option<EventTime>, &str) {
        (self.event_time, self.head.as_ref().map_or("", |head| &head.subject))
    }
}

/// Whether the time of an event is an event time. A gap in the input is told at the time of the wall clock, and is
/// printed where it stands in its partition.
fn has_event_time(event: &CloudEvent) -> bool {
    event.event_type != "groundswell.feed.gap.v1"
}

fn print_until_end(args: &Args, connection: &Connection, topic: &str, stop: &StopFlag) -> Outcome {
    let numbers = 0..i32::try_from(n_partitions(connection, topic)?).unwrap_or(i32::MAX);
    let open = |number| {
        let reader = TopicReader::open_partition(connection, topic, number)?;
        Ok(Partition { reader, head: None, event_time: None })
    };
    let mut partitions: Vec<Partition> = numbers.map(open).collect::<Result<_, Failure>>()?;
    loop {
        let mut next: Option<usize> = None;
        for index in 0..partitions.len() {
            let is_there = partitions[index].look_ahead(stop)?;
            if is_there && next.is_none_or(|next| partitions[index].key() < partitions[next].key()) {
                next = Some(index);
            }
        }
        if stop.is_raised() {
            return Ok(());
        }
        match next.and_then(|next| partitions[next].head.take()) {
            Some(event) => print(args, &event)?,
            None => return Ok(()),
        }
    }
}

/// The event that was read; what is none of ours is told and left out.
fn take(next: Next<'_>) -> Result<Option<CloudEvent>, Failure> {
    let Next::Message(message) = next else { return Ok(None) };
    let event = event_of(&message);
    if event.is_none() {
        let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
        writeln!(
            io::stderr(),
            "groundswell: message {offset} of {topic}/{partition} is no event of ours; left out"
        )?;
    }
    Ok(event)
}

fn print(args: &Args, event: &CloudEvent) -> Outcome {
    if is_wanted(args, event) {
        let line = if args.json { event.to_json()? } else { event.to_text() };
        let mut out = io::stdout().lock();
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
