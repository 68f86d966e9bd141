//! `groundswell simulate`: a seeded stream of posts whose outages are known.
//!
//! Everything random is in the library; this command only reads the scenario, opens the files and writes.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use flate2::GzBuilder;
use flate2::write::GzEncoder;
use groundswell_core::EventTime;
use groundswell_io::times;
use groundswell_testkit::{Scenario, Truth, simulate};

use crate::failure::{Outcome, usage};

const EXAMPLES: &str = "\
Examples:
  groundswell simulate | head
      A day of six services with two outages, as JSON lines on stdout.

  groundswell simulate --seed 7 --posts posts.jsonl.zst --truth truth.csv
      The same day as other people would have lived it, compressed, and what really failed.

  groundswell simulate --scenario fixtures/noisy-real/scenario.toml --seed 4 --posts noisy.jsonl
      A scenario of your own; fixtures/*/scenario.toml show what one can say.

The same scenario and seed give the same bytes. Posts come in order of arrival, up to 20 s out of
order in event time, one JSON object a line: id, created_at, author, text, and on a part of them
lang, country, source, is_repost and service. The truth is CSV: service,start_utc,end_utc,kind,
where kind is outage, provider or dependant.";

/// High enough that a fixture of a week fits into a repository; the time it takes is paid once.
const ZSTD_LEVEL: i32 = 19;

/// Options of `simulate`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Scenario to play, as TOML; without it a built-in one of a day, six services and two outages.
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,

    /// What decides everything left to chance: the same number gives the same posts.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Where the posts go; `-` is stdout. A name that ends in .zst or .gz is compressed.
    #[arg(long, value_name = "FILE", default_value = "-")]
    posts: PathBuf,

    /// Where the truth goes, as CSV; without it the truth is not written.
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
}

pub(crate) fn run(args: Args) -> Outcome {
    let scenario = match &args.scenario {
        Some(path) => read_scenario(path).map_err(usage)?,
        None => Scenario::demo(),
    };
    let (posts, truth) = simulate(&scenario, args.seed);
    if let Some(path) = &args.truth {
        write_truth(path, &truth).with_context(|| format!("cannot write the truth to {}", path.display()))?;
    }
    let lines = posts.map(|post| post.line);
    if args.posts == Path::new("-") {
        write_lines(BufWriter::new(io::stdout().lock()), lines)?.flush()?;
        return Ok(());
    }
    write_posts(&args.posts, lines)
        .with_context(|| format!("cannot write posts to {}", args.posts.display()))?;
    Ok(())
}

fn read_scenario(path: &Path) -> anyhow::Result<Scenario> {
    let text =
        fs::read_to_string(path).map_err(|error| anyhow!("cannot read {}: {error}", path.display()))?;
    Scenario::parse(&text).with_context(|| path.display().to_string())
}

/// Writes the lines, compressed as the name of the file asks; nothing about the time of writing gets into it.
fn write_posts(path: &Path, lines: impl Iterator<Item = Vec<u8>>) -> io::Result<()> {
    let file = BufWriter::new(File::create(path)?);
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("zst") => {
            let encoder = zstd::Encoder::new(file, ZSTD_LEVEL)?;
            write_lines(encoder, lines)?.finish()?.flush()
        }
        Some("gz") => {
            let encoder: GzEncoder<_> = GzBuilder::new().mtime(0).write(file, flate2::Compression::best());
            write_lines(encoder, lines)?.finish()?.flush()
        }
        _ => write_lines(file, lines)?.flush(),
    }
}

fn write_lines<W: Write>(mut writer: W, lines: impl Iterator<Item = Vec<u8>>) -> io::Result<W> {
    for line in lines {
        writer.write_all(&line)?;
    }
    Ok(writer)
}

fn write_truth(path: &Path, truth: &[Truth]) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_path(path)?;
    writer.write_record(["service", "start_utc", "end_utc", "kind"])?;
    for row in truth {
        let text = |ms| EventTime::from_ms(ms).map(times::format).context("a time outside 1970 to 2999");
        let (start, end) = (text(row.start_ms)?, text(row.end_ms)?);
        writer.write_record([row.service.as_str(), &start, &end, row.kind.as_str()])?;
    }
    writer.flush()?;
    Ok(())
}
