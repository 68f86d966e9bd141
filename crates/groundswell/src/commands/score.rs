//! `groundswell score`: a table of counts in, the same rows with expectation, score and state out.

use std::fs::File;
use std::io::{self, BufWriter, StdoutLock, Write};
use std::path::{Path, PathBuf};

use groundswell_core::{Assessment, BinWidth, Catalogue, Config, ConfigHash, OutageEvent};
use groundswell_io::counts::CountRow;
use groundswell_io::encode::EventEncoder;
use groundswell_io::table::CountsWriter;

use crate::failure::{Failure, Outcome, usage};
use crate::interrupt;
use crate::output_file::create;
use crate::scoring::{self, Missing, ScoreOptions, ScoreSinks};

const EXAMPLES: &str = "\
Examples:
  groundswell score counts.csv > scored.csv
  groundswell score --bin 5m --events events.jsonl counts.csv
  my-query | groundswell score --false-alarms-per-service-year 12 -

In:  timestamp,service,count  or  timestamp,count  (or `value` for `count`); other columns are ignored. Times are RFC
     3339, `YYYY-MM-DD HH:MM:SS` (UTC) or seconds since 1970, in order and on a fixed step from 10 s to 1 h; rows of
     one time in any order. Counts are whole numbers; 12.0 is 12.
Out: timestamp,service,count,expected,score,state  a row for each row, in order. `score` is in [0, 1) and reaches 0.5
     where the *suspected* threshold is crossed. From there it says how unusual the row is for its service: what comes
     once in d days, by its own past, has 0.5 + 0.5 d / (d + 7). A row that adds nothing to a burst stays at 0.5.
     `state` is normal, suspected, ongoing, recovering or learning.
What is said of a row depends on the rows up to its time alone.";

/// Options of `score`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The table, plain, gzip or zstd; `-` is standard input.
    #[arg(value_name = "INPUT.csv")]
    input: PathBuf,
    /// The step of the table, such as `60s`, `5m` or `1h`; by default the distance of the first two times.
    #[arg(long, value_name = "WIDTH", value_parser = parse_width)]
    bin: Option<BinWidth>,
    /// How often a year a service may be suspected without an outage; a hundredth of it for *started*.
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    false_alarms_per_service_year: f64,
    /// What a service that has no row at some time had: no complaint, or nothing is known.
    #[arg(long, value_enum, default_value_t = Missing::Zero)]
    missing: Missing,
    /// Write the outage events, as JSON lines, to this file.
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
}

/// `60`, `60s`, `5m` or `1h`.
pub(crate) fn parse_seconds(text: &str) -> Option<u32> {
    let (number, factor) = match text.as_bytes().last()? {
        b's' => (&text[..text.len() - 1], 1),
        b'm' => (&text[..text.len() - 1], 60),
        b'h' => (&text[..text.len() - 1], 3600),
        _ => (text, 1),
    };
    number.parse::<u32>().ok()?.checked_mul(factor)
}

fn parse_width(text: &str) -> Result<BinWidth, String> {
    let width = parse_seconds(text).and_then(BinWidth::from_seconds);
    width.ok_or_else(|| "write a step from 10s to 1h, such as `60s` or `5m`".to_owned())
}

/// Scores the table.
pub(crate) fn run(args: Args) -> Outcome {
    let promise = args.false_alarms_per_service_year;
    let config = Config {
        bin_width: args.bin.or(BinWidth::from_seconds(BinWidth::SECONDS_MIN)).unwrap_or(BinWidth::MINUTE),
        suspected_false_alarms_per_service_year: promise,
        started_false_alarms_per_service_year: promise / 100.0,
        ..Config::default()
    };
    // An inferred step is checked when it is known; until then the promise may be any that some step can keep.
    config.validate().map_err(usage)?;
    let events = create(args.events.as_ref(), std::slice::from_ref(&args.input))?;
    let stop = interrupt::stop_flag()?;
    let reader = scoring::open(&args.input, &stop)?;
    let table = CountsWriter::new(BufWriter::new(io::stdout().lock()))?;
    let mut outputs = Outputs { table, events, is_live: args.input == Path::new("-") };
    let options = ScoreOptions { width: args.bin, missing: args.missing, config, keeps_rows: false };
    let scored = scoring::score(reader, options, &stop, &mut outputs);
    // What was said of the rows before a bad one stands.
    outputs.table.flush()?;
    if let Some(events) = &mut outputs.events {
        events.flush()?;
    }
    scored.map(|_| ())
}

struct Outputs {
    table: CountsWriter<BufWriter<StdoutLock<'static>>>,
    events: Option<BufWriter<File>>,
    /// Whether somebody may be waiting for each answer.
    is_live: bool,
}

impl ScoreSinks for Outputs {
    fn row(&mut self, row: &CountRow, assessment: &Assessment) -> Result<(), Failure> {
        Ok(self.table.write(&row.timestamp, &row.service, &row.count_text, assessment)?)
    }

    fn event(&mut self, event: &OutageEvent, services: &Catalogue, hash: ConfigHash) -> Result<(), Failure> {
        if let Some(events) = &mut self.events {
            writeln!(events, "{}", EventEncoder::new(services, hash).outage_event(event).to_json()?)?;
        }
        Ok(())
    }

    fn time_over(&mut self) -> Result<(), Failure> {
        if self.is_live {
            self.table.flush()?;
            if let Some(events) = &mut self.events {
                events.flush()?;
            }
        }
        Ok(())
    }
}
