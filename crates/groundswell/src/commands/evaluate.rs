//! `groundswell evaluate`: how good are the events, held against known outages?

use std::fs::File;
use std::io::{BufWriter, Write, stdout};
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use groundswell_core::{Assessment, Catalogue, Config, ConfigHash, OutageEvent, Row};
use groundswell_io::counts::{CountRow, TableReader};
use groundswell_io::lines::StopFlag;
use groundswell_io::times;

use crate::commands::score::parse_seconds;
use crate::failure::{Failure, Outcome, usage};
use crate::interrupt;
use crate::judging::{Detection, Figures, Matching, Tier, Truth, detections, match_onsets, share};
use crate::output_file;
use crate::progress;
use crate::replaying;
use crate::report::{self, Histories, Outages};
use crate::scoring::{self, Missing, ScoreOptions, ScoreSinks};
use crate::settings::SettingsArgs;
use crate::synthetic::{self, Extent, Figure};

const EXAMPLES: &str = "\
Examples:
  groundswell evaluate --posts posts.jsonl.zst --truth truth.csv
  groundswell evaluate --counts counts.csv --truth truth.csv --tier suspected
  groundswell evaluate --posts posts.jsonl --truth truth.csv --min-f1 0.9     exit code 1 below it, for CI
  groundswell evaluate --posts posts.jsonl --truth truth.csv --report r.html  a page: why each alarm was raised
  groundswell evaluate --synthetic                                            does the promise hold? Minutes of all cores

The truth is a table (CSV): service,start_utc,end_utc,kind. Rows of kind `other` are neither truth nor false alarm.
A detection matches an outage of its service, one to one, if its onset lies from --tolerance before the true start to
the true end and it was raised from the true start to --tolerance after the true end.
With --json: {\"figures\": {...}, \"missed\": [{service, start}], \"false_alarms\": [{service, onset, raised}]}; times in
minutes (`_min_`), ratios of nothing to nothing null.
--synthetic needs no data: seeded worlds of 60 services and six weeks each, with rates from 0.02 to 100 a minute, with and
without outages, and a table of what was measured and the bar for it. The same seed gives the same table on any machine.";

/// Options of `evaluate`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(group(clap::ArgGroup::new("input").required(true).args(["posts", "counts", "synthetic"])))]
pub(crate) struct Args {
    /// Replay these files of posts.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    posts: Vec<PathBuf>,
    /// Score this table of counts.
    #[arg(long, value_name = "FILE")]
    counts: Option<PathBuf>,
    /// Watch synthetic services of which everything is known.
    #[arg(long, conflicts_with_all = ["truth", "tier", "tolerance", "min_f1"])]
    synthetic: bool,
    /// A tenth of the synthetic worlds: enough to see that nothing is broken, too little to prove the promise.
    #[arg(long)]
    quick: bool,
    /// The seed of the synthetic worlds.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The known outages.
    #[arg(long, value_name = "TRUTH.csv", required_unless_present = "synthetic")]
    truth: Option<PathBuf>,
    /// Which events count as detections.
    #[arg(long, value_enum, default_value_t = Tier::Started)]
    tier: Tier,
    /// How far onset and detection may lie outside the true outage.
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = parse_tolerance)]
    tolerance: u32,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Write all of it to this file, too, as one HTML page with drawings: every outage and alarm with what was observed,
    /// expected and decided, or what the synthetic worlds came to.
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Fail (exit code 1) if F1 is below this.
    #[arg(long, value_name = "X", value_parser = parse_share)]
    min_f1: Option<f64>,
    #[command(flatten)]
    settings: SettingsArgs,
}

fn parse_tolerance(text: &str) -> Result<u32, String> {
    parse_seconds(text).ok_or_else(|| "write a time such as `15m` or `900s`".to_owned())
}

fn parse_share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "write a number from 0 to 1".to_owned())
}

/// What was watched, and what was said of it.
struct Watched {
    services: Catalogue,
    events: Vec<OutageEvent>,
    n_services: usize,
    watched_ms: i64,
}

/// Evaluates.
pub(crate) fn run(args: Args) -> Outcome {
    if args.quick && !args.synthetic {
        return Err(usage(anyhow!("--quick is for --synthetic")));
    }
    let inputs: Vec<PathBuf> = args.posts.iter().chain(&args.counts).chain(&args.truth).cloned().collect();
    let report = output_file::create(args.report.as_ref(), &inputs)?;
    let stop = interrupt::stop_flag()?;
    let Some(truth) = &args.truth else { return measure_synthetic(&args, report, &stop) };
    let truths = read_truth(truth, &stop)?;
    let mut histories = report.is_some().then(|| Histories::new(&truths));
    let watched = match &args.counts {
        Some(path) => watch_counts(path, &args, &stop, histories.as_mut())?,
        None => watch_posts(&args, &stop, histories.as_mut())?,
    };
    let Watched { services, events, n_services, watched_ms } = watched;
    let detections = detections(&events, &services, args.tier);
    let matching = match_onsets(&truths, &detections, i64::from(args.tolerance) * 1000);
    let figures = Figures::of(&matching, &truths, &detections, n_services, watched_ms);
    // Before stdout, whose reader may have gone: the page is wanted all the same.
    if let Some((mut file, histories)) = report.zip(histories) {
        let outages = Outages {
            services: &services,
            histories: &histories,
            events: &events,
            truths: &truths,
            detections: &detections,
            matching: &matching,
        };
        let page = report::of_outages(&outages, &figures, &in_words(&figures), n_services)?;
        file.write_all(page.as_bytes())?;
        file.flush()?;
    }
    let out = if args.json {
        to_json(&figures, &matching, &truths, &detections)?
    } else {
        to_text(&figures, &matching, &truths, &detections)
    };
    stdout().write_all(out.as_bytes())?;
    match args.min_f1 {
        Some(least) if figures.f1 < least => {
            Err(anyhow!("F1 is {:.3}, below the {least} that was asked for", figures.f1).into())
        }
        _ => Ok(()),
    }
}

fn measure_synthetic(args: &Args, report: Option<BufWriter<File>>, stop: &StopFlag) -> Outcome {
    let config = args.settings.load()?.0.config;
    let extent = if args.quick { Extent::QUICK } else { Extent::FULL };
    let bar = progress::steps_bar(extent.n_worlds());
    let measured = synthetic::measure(args.seed, extent, &config, stop, &|| bar.inc(1));
    bar.finish_and_clear();
    let Some(measured) = measured else { return Err(anyhow!("interrupted").into()) };
    if let Some(mut file) = report {
        let example = synthetic::watch_example(args.seed, &config, stop);
        let Some(example) = example else { return Err(anyhow!("interrupted").into()) };
        file.write_all(report::of_worlds(&measured, &config, &example.outages())?.as_bytes())?;
        file.flush()?;
    }
    let figures = measured.figures();
    let out = if args.json { serde_json::to_string(&figures)? + "\n" } else { figures_to_text(&figures) };
    stdout().write_all(out.as_bytes())?;
    Ok(())
}

fn figures_to_text(figures: &[Figure]) -> String {
    let width = figures.iter().map(|figure| figure.name.len()).max().unwrap_or(0);
    let line = |figure: &Figure| {
        let Figure { name, measured, bar, holds } = figure;
        let verdict = match holds {
            Some(true) => "holds",
            Some(false) => "FAILS",
            None => "",
        };
        let bar = if bar.is_empty() { String::new() } else { format!("  [{bar}]") };
        format!("{verdict:<6} {name:<width$}  {measured}{bar}\n")
    };
    figures.iter().map(line).collect()
}

fn read_truth(path: &Path, stop: &StopFlag) -> Result<Vec<Truth>, Failure> {
    let mut table = TableReader::open(path, stop).map_err(usage)?;
    let column = |names: &[&str]| table.required_column(names).map_err(usage);
    let (service, start, end) = (column(&["service"])?, column(&["start_utc"])?, column(&["end_utc"])?);
    let kind_column = table.column(&["kind"]);
    let mut truths = Vec::new();
    while table.next_row().map_err(usage)? {
        let kind =
            kind_column.as_ref().and_then(|column| table.text(column).ok()).unwrap_or("outage").to_owned();
        let truth = Truth {
            service: table.text(&service).map_err(usage)?.to_owned(),
            start: table.time(&start).map_err(usage)?,
            end: table.time(&end).map_err(usage)?,
            is_ignored: kind == "other",
            kind,
        };
        if truth.end < truth.start {
            return Err(usage(table.refuse(end.fault("is before the start"))));
        }
        truths.push(truth);
    }
    Ok(truths)
}

fn watch_posts(args: &Args, stop: &StopFlag, histories: Option<&mut Histories>) -> Result<Watched, Failure> {
    let (settings, lexicon) = args.settings.load()?;
    let replayed = replaying::collect_events(&settings, lexicon, &args.posts, stop, histories)?;
    let watched_ms = replayed.last.zip(replayed.first).map_or(0, |(last, first)| last.ms_since(first));
    Ok(Watched {
        services: settings.catalogue,
        events: replayed.events,
        n_services: replayed.n_services_seen,
        watched_ms,
    })
}

fn watch_counts(
    path: &Path,
    args: &Args,
    stop: &StopFlag,
    histories: Option<&mut Histories>,
) -> Result<Watched, Failure> {
    let config: Config = args.settings.load()?.0.config;
    let options =
        ScoreOptions { width: None, missing: Missing::Zero, config, keeps_rows: histories.is_some() };
    let mut kept = Keep { events: Vec::new(), histories };
    let scored = scoring::score(scoring::open(path, stop)?, options, stop, &mut kept)?;
    if stop.is_raised() {
        return Err(anyhow!("interrupted").into());
    }
    let watched_ms = scored.last.zip(scored.first).map_or(0, |(last, first)| last.ms_since(first));
    let n_services = scored.services.services().len();
    Ok(Watched { services: scored.services, events: kept.events, n_services, watched_ms })
}

/// Keeps the events of a table, and histories if they are wanted.
struct Keep<'a> {
    events: Vec<OutageEvent>,
    histories: Option<&'a mut Histories>,
}

impl ScoreSinks for Keep<'_> {
    fn row(&mut self, _: &CountRow, _: &Assessment) -> Result<(), Failure> {
        Ok(())
    }

    fn event(&mut self, event: &OutageEvent, services: &Catalogue, _: ConfigHash) -> Result<(), Failure> {
        self.events.push(event.clone());
        if let Some(histories) = &mut self.histories {
            histories.note(event, services);
        }
        Ok(())
    }

    fn known(&mut self, row: &Row, services: &Catalogue) {
        if let Some(histories) = &mut self.histories {
            histories.take(row, services);
        }
    }
}

fn to_json(
    figures: &Figures,
    matching: &Matching,
    truths: &[Truth],
    detections: &[Detection],
) -> Result<String, Failure> {
    let missed: Vec<_> = matching
        .missed
        .iter()
        .map(|&t| serde_json::json!({"service": truths[t].service, "start": times::format(truths[t].start)}))
        .collect();
    let false_alarms: Vec<_> = matching
        .false_alarms
        .iter()
        .map(|&d| {
            let found = &detections[d];
            let (onset, raised) = (times::format(found.onset), times::format(found.raised));
            serde_json::json!({"service": found.service, "onset": onset, "raised": raised})
        })
        .collect();
    let all = serde_json::json!({"figures": figures, "missed": missed, "false_alarms": false_alarms});
    Ok(serde_json::to_string(&all)? + "\n")
}

/// Each figure by its name, in words.
fn in_words(figures: &Figures) -> [(&'static str, String); 17] {
    let minutes =
        |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1} min"));
    let interval = figures
        .false_alarms_per_service_year_95
        .map_or_else(|| "-".to_owned(), |(low, high)| format!("{low:.3} to {high:.3}"));
    [
        ("known outages", figures.outages.to_string()),
        ("detections", format!("{}, and {} ignored", figures.detections, figures.ignored)),
        ("true positives", figures.true_positives.to_string()),
        ("precision", share(figures.precision)),
        ("recall", share(figures.recall)),
        ("F1", format!("{:.3}", figures.f1)),
        ("delay, median", minutes(figures.delay_min_median)),
        ("delay, 95th percentile", minutes(figures.delay_min_p95)),
        ("delay, mean", minutes(figures.delay_min_mean)),
        ("onset error, median", minutes(figures.onset_error_min_median)),
        ("end error, median", minutes(figures.end_error_min_median)),
        ("end decided after it, median", minutes(figures.end_decision_delay_min_median)),
        ("still going on", figures.ongoing.to_string()),
        ("false alarms", figures.false_alarms.to_string()),
        ("service-years", format!("{:.3}", figures.service_years)),
        ("false alarms a service-year", share(figures.false_alarms_per_service_year)),
        ("  95 % interval (exact Poisson)", interval),
    ]
}

fn to_text(figures: &Figures, matching: &Matching, truths: &[Truth], detections: &[Detection]) -> String {
    let rows = in_words(figures);
    let mut out: String = rows.iter().map(|(name, value)| format!("{name:<32} {value}\n")).collect();
    for &t in &matching.missed {
        let truth = &truths[t];
        out.push_str(&format!("missed: {} from {}\n", truth.service, times::format(truth.start)));
    }
    for &d in &matching.false_alarms {
        let found = &detections[d];
        let (onset, raised) = (times::format(found.onset), times::format(found.raised));
        out.push_str(&format!("false alarm: {} raised {raised}, onset {onset}\n", found.service));
    }
    out
}
