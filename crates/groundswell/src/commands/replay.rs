//! `groundswell replay`: files of posts in, outage events out.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::ValueEnum;
use groundswell_core::{Assessment, Event, EventTime, ServiceIndex};
use groundswell_io::dead_letter::{self, DeadLetter};
use groundswell_io::decode::Rejection;
use groundswell_io::encode::EventEncoder;
use groundswell_io::lines::StopFlag;
use groundswell_io::merge::Merge;
use groundswell_io::table::CountsWriter;
use groundswell_io::times;

#[cfg(feature = "kafka")]
use crate::connecting::KafkaArgs;
use crate::failure::{Failure, Outcome, usage};
use crate::interrupt;
use crate::output_file::{create, refuse_input};
use crate::pace::{Pace, Speed};
use crate::progress::ProgressLine;
use crate::replaying::{self, Place, Replay, Sinks, TimeRange};
use crate::settings::{Settings, SettingsArgs};
use crate::summary::Summary;

const EXAMPLES: &str = "\
Examples:
  groundswell replay posts.jsonl.zst                     events as JSON lines on stdout
  groundswell replay a.jsonl b.jsonl.gz --format text    two files merged in event time, for reading
  zcat posts.gz | groundswell replay -                   from standard input
  groundswell replay posts.jsonl --catalog mine.toml     with services of your own
  groundswell replay posts.jsonl --counts table.csv      the per-minute table behind every decision
  groundswell replay day1.jsonl --snapshot-out s.bin     stop here, keep the state ...
  groundswell replay day2.jsonl --snapshot-in s.bin      ... and go on from it
  groundswell replay posts.jsonl --to kafka --bootstrap kafka:9092 --speed 60x
                                                         publish them to the topic `posts`
  groundswell replay --from kafka --bootstrap kafka:9092
                                                         what is on the topic `posts` now

A post is a JSON object a line: id, created_at (RFC 3339 or epoch milliseconds), text, and \
optionally author, lang, country, is_repost, service. Files may be gzip or zstd. What cannot be \
used is counted by reason, never fatal.";

/// Options of `replay`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Files of posts, a JSON object a line, plain, gzip or zstd; `-` is standard input.
    #[arg(value_name = "FILES")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    settings: SettingsArgs,
    /// Use posts from this time on (RFC 3339). Or `kafka`: instead of files, read what is on the posts topic now; nothing
    /// is committed, so a `run` beside it is not disturbed.
    #[arg(long, value_name = "TIME|kafka", value_parser = parse_end)]
    from: Vec<End>,
    /// Use posts before this time (RFC 3339). Or `kafka`: instead of looking for outages, publish the lines of the files
    /// to the posts topic as they are.
    #[arg(long, value_name = "TIME|kafka", value_parser = parse_end)]
    to: Vec<End>,
    #[cfg(feature = "kafka")]
    #[command(flatten)]
    kafka: KafkaArgs,
    /// How fast to replay: `max`, or a multiple of real time such as `1x` or `60x`.
    #[arg(long, default_value = "max", value_name = "SPEED")]
    speed: Speed,
    /// Form of the events on stdout.
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
    /// Write the events, as JSON lines, to this file too.
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Write what could not be used to this file, with the reason and where it stood.
    #[arg(long, value_name = "FILE")]
    dead_letters: Option<PathBuf>,
    /// Write the per-minute table (CSV: timestamp, service, count, expected, score, state) to this file.
    #[arg(long, value_name = "FILE")]
    counts: Option<PathBuf>,
    /// Go on from the state in this file.
    #[arg(long, value_name = "FILE")]
    snapshot_in: Option<PathBuf>,
    /// Keep the state in this file at the end; the last minutes then stay open instead of being closed.
    #[arg(long, value_name = "FILE")]
    snapshot_out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// CloudEvents, a line each.
    Json,
    /// A line for people.
    Text,
}

/// An end of a replay: a time, or Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Time(EventTime),
    Kafka,
}

fn parse_end(text: &str) -> Result<End, String> {
    match text {
        "kafka" => Ok(End::Kafka),
        _ => super::parse_time(text).map(End::Time).map_err(|error| format!("{error}, or `kafka`")),
    }
}

/// The time among the ends, and whether Kafka is.
fn split(ends: &[End], option: &str) -> Result<(Option<EventTime>, bool), Failure> {
    let times: Vec<EventTime> = ends
        .iter()
        .filter_map(|end| match end {
            End::Time(time) => Some(*time),
            End::Kafka => None,
        })
        .collect();
    match times.as_slice() {
        [] => Ok((None, ends.contains(&End::Kafka))),
        [time] => Ok((Some(*time), ends.contains(&End::Kafka))),
        _ => Err(usage(anyhow!("{option} is given more than one time"))),
    }
}

/// Replays the files.
pub(crate) fn run(args: Args) -> Outcome {
    let (from, from_kafka) = split(&args.from, "--from")?;
    let (to, to_kafka) = split(&args.to, "--to")?;
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        return Err(usage(anyhow!(
            "--from {} is not before --to {}",
            times::format(from),
            times::format(to)
        )));
    }
    let (settings, lexicon) = args.settings.load()?;
    check_inputs(&args.files, from_kafka, to_kafka)?;
    if to_kafka {
        refuse_results(&args, from.or(to).is_some())?;
        return publish(&args, &settings);
    }
    let pipeline = match &args.snapshot_in {
        Some(path) => settings.pipeline_from(path, lexicon)?,
        None => settings.pipeline(lexicon),
    };
    let stop = interrupt::stop_flag()?;
    let mut merge =
        if from_kafka { open_topic(&args, &settings, &stop)? } else { replaying::open(&args.files, &stop)? };
    let names = (0..merge.n_inputs()).map(|input| merge.name(input).to_owned()).collect();
    if let Some(path) = &args.snapshot_out {
        refuse_input(path, &args.files)?;
    }
    let mut outputs = Outputs::open(&args, &settings, names)?;
    let range = TimeRange { from, to };
    let mut replay = Replay::new(pipeline, range, args.counts.is_some());
    let mut pace = Pace::new(args.speed);
    let mut progress = ProgressLine::start(merge.n_bytes_total());
    let outcome = loop {
        match replay.step(&mut merge, &mut outputs) {
            Ok(Some(time)) => {
                progress.step(time, || merge.n_bytes_read());
                pace.wait_for(time, &stop);
            }
            Ok(None) => break Ok(()),
            Err(failure) => break Err(failure),
        }
        if stop.is_raised() {
            break Ok(());
        }
    };
    progress.finish();
    if is_broken_pipe(&outcome) {
        return outcome;
    }
    // A state that lacks what could not be read is not kept.
    let finished = match args.snapshot_out.as_deref() {
        Some(_) if outcome.is_err() => outputs.flush(),
        snapshot => finish(&mut replay, &mut outputs, snapshot, &settings),
    };
    let outcome = outcome.and(finished);
    replay.assert_totals();
    outputs.summary.print(&mut replay, &settings.catalogue, stop.is_raised())?;
    outcome
}

fn check_inputs(files: &[PathBuf], from_kafka: bool, to_kafka: bool) -> Result<(), Failure> {
    match (files.is_empty(), from_kafka, to_kafka) {
        (_, true, true) => Err(usage(anyhow!("--from kafka and --to kafka do not go together"))),
        (true, false, _) => Err(usage(anyhow!("no posts to read: name files, `-`, or --from kafka"))),
        (false, true, _) => Err(usage(anyhow!("--from kafka reads a topic; leave the files out"))),
        _ => Ok(()),
    }
}

/// What is published is not looked at, so there are no results to write.
fn refuse_results(args: &Args, has_range: bool) -> Result<(), Failure> {
    let options = [
        ("a time", has_range),
        ("--events", args.events.is_some()),
        ("--dead-letters", args.dead_letters.is_some()),
        ("--counts", args.counts.is_some()),
        ("--snapshot-in", args.snapshot_in.is_some()),
        ("--snapshot-out", args.snapshot_out.is_some()),
    ];
    match options.iter().find(|(_, is_given)| *is_given) {
        Some((option, _)) => {
            Err(usage(anyhow!("--to kafka publishes the posts as they are: {option} does not go with it")))
        }
        None => Ok(()),
    }
}

#[cfg(feature = "kafka")]
fn open_topic(args: &Args, settings: &Settings, stop: &StopFlag) -> Result<Merge, Failure> {
    let (connection, names) = args.kafka.resolve(&settings.section)?;
    connection.probe(stop)?;
    Ok(Merge::new(groundswell_io::kafka::lines::open_topic(&connection, &names.posts, stop)?))
}

#[cfg(feature = "kafka")]
fn publish(args: &Args, settings: &Settings) -> Outcome {
    let (connection, names) = args.kafka.resolve(&settings.section)?;
    let stop = interrupt::stop_flag()?;
    let mut merge = replaying::open(&args.files, &stop)?;
    connection.probe(&stop)?;
    let mut pace = Pace::new(args.speed);
    crate::publishing::publish(&connection, &names.posts, &mut merge, &mut pace, &stop)
}

#[cfg(not(feature = "kafka"))]
const WITHOUT_KAFKA: &str = "this program was built without Kafka: build it with the feature `kafka`";

#[cfg(not(feature = "kafka"))]
fn open_topic(_: &Args, _: &Settings, _: &StopFlag) -> Result<Merge, Failure> {
    Err(usage(anyhow!(WITHOUT_KAFKA)))
}

#[cfg(not(feature = "kafka"))]
fn publish(_: &Args, _: &Settings) -> Outcome {
    Err(usage(anyhow!(WITHOUT_KAFKA)))
}

/// A reader of our stdout that has gone away wants no summary either.
fn is_broken_pipe(outcome: &Outcome) -> bool {
    matches!(outcome, Err(Failure::Failed(error)) if crate::failure::is_broken_pipe(error))
}

/// Closes the last minutes, or keeps them open in a snapshot.
fn finish(
    replay: &mut Replay,
    outputs: &mut Outputs<'_>,
    snapshot: Option<&Path>,
    settings: &Settings,
) -> Outcome {
    match snapshot {
        None => replay.finish(outputs)?,
        Some(path) => write_whole(path, &replay.snapshot(settings.hash))?,
    }
    outputs.flush()
}

/// Writes a file beside its place and moves it there, so that a full disk cannot leave half a snapshot.
fn write_whole(path: &Path, bytes: &[u8]) -> Outcome {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".partial");
    let beside = PathBuf::from(beside);
    let result = std::fs::write(&beside, bytes).and_then(|()| std::fs::rename(&beside, path));
    Ok(result.with_context(|| format!("cannot write {}", path.display()))?)
}

/// Everything that a replay writes.
struct Outputs<'a> {
    encoder: EventEncoder<'a>,
    settings: &'a Settings,
    format: Format,
    stdout: io::Stdout,
    events: Option<BufWriter<File>>,
    dead_letters: Option<BufWriter<File>>,
    counts: Option<CountsWriter<BufWriter<File>>>,
    input_names: Vec<String>,
    summary: Summary,
}

impl<'a> Outputs<'a> {
    fn open(args: &Args, settings: &'a Settings, input_names: Vec<String>) -> Result<Self, Failure> {
        Ok(Self {
            encoder: EventEncoder::new(&settings.catalogue, settings.hash),
            settings,
            format: args.format,
            stdout: io::stdout(),
            events: create(args.events.as_ref(), &args.files)?,
            dead_letters: create(args.dead_letters.as_ref(), &args.files)?,
            counts: create(args.counts.as_ref(), &args.files)?.map(CountsWriter::new).transpose()?,
            input_names,
            summary: Summary::default(),
        })
    }

    fn flush(&mut self) -> Outcome {
        if let Some(events) = &mut self.events {
            events.flush()?;
        }
        if let Some(dead_letters) = &mut self.dead_letters {
            dead_letters.flush()?;
        }
        if let Some(counts) = &mut self.counts {
            counts.flush()?;
        }
        Ok(self.stdout.flush()?)
    }
}

impl Sinks for Outputs<'_> {
    fn event(&mut self, event: &Event) -> Result<(), Failure> {
        let cloud_event = self.encoder.to_cloud_event(event);
        let json = cloud_event.to_json()?;
        let line = match self.format {
            Format::Json => &json,
            Format::Text => &cloud_event.to_text(),
        };
        writeln!(self.stdout, "{line}")?;
        self.stdout.flush()?;
        if let Some(events) = &mut self.events {
            writeln!(events, "{json}")?;
        }
        self.summary.event(event);
        Ok(())
    }

    fn row(&mut self, time: EventTime, service: ServiceIndex, row: &Assessment) -> Result<(), Failure> {
        if let Some(counts) = &mut self.counts {
            let id = &self.settings.catalogue.service(service).id;
            counts.write(&times::format(time), id, &row.observed.to_string(), row)?;
        }
        Ok(())
    }

    fn dead_letter(
        &mut self,
        place: &Place,
        rejection: &Rejection,
        raw: Option<&[u8]>,
    ) -> Result<(), Failure> {
        if let Some(out) = &mut self.dead_letters {
            let input = self.input_names.get(place.input).map_or("before the snapshot", String::as_str);
            let letter = DeadLetter {
                outcome: rejection.outcome,
                detail: &rejection.detail,
                input,
                line: place.line,
                raw,
            };
            dead_letter::write(out, &letter)?;
        }
        Ok(())
    }
}
