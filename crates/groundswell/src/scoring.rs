//! Drives a table of counts through the detector: all rows of one time together, each row answered at once.
//!
//! What is said of a row depends on the rows up to its time alone. Even the width of the bins, which is inferred from
//! the first two times, plays no part in what is said of the first: nothing is known then.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, anyhow};
use groundswell_core::{
    Assessment, Bin, BinWidth, Catalogue, Config, ConfigHash, Detector, EventTime, Lexicon, OutageEvent, Row,
    ServiceIndex,
};
use groundswell_io::counts::{CountRow, CountsReader, TableError};
use groundswell_io::lines::{InputError, StopFlag};

use crate::failure::{Failure, usage};

/// The width of the bins of a table with a single time.
const WIDTH_DEFAULT: BinWidth = BinWidth::MINUTE;

/// The longest time without rows. What is longer is rather a wrong date, and to walk its bins would look like a hang.
const GAP_MS_MAX: i64 = 366 * 86_400_000;

/// What a service without a row at some time had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Missing {
    /// No complaint.
    Zero,
    /// Nothing is known.
    Gap,
}

/// How to read and weigh a table.
#[derive(Debug, Clone)]
pub(crate) struct ScoreOptions {
    pub(crate) width: Option<BinWidth>,
    pub(crate) missing: Missing,
    pub(crate) config: Config,
    /// Whether the sinks want every known service at every time, with a row or without.
    pub(crate) keeps_rows: bool,
}

/// Where the outputs go.
pub(crate) trait ScoreSinks {
    /// A row and what is said of it, in the order of the rows.
    fn row(&mut self, row: &CountRow, assessment: &Assessment) -> Result<(), Failure>;
    /// An event; `services` names what its index stands for.
    fn event(&mut self, event: &OutageEvent, services: &Catalogue, hash: ConfigHash) -> Result<(), Failure>;
    /// What is said of a known service for one bin, with a row or without; if that is wanted.
    fn known(&mut self, _row: &Row, _services: &Catalogue) {}
    /// All rows and events of one time were given.
    fn time_over(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

/// What a table came to.
#[derive(Debug)]
pub(crate) struct Scored {
    pub(crate) services: Catalogue,
    pub(crate) first: Option<EventTime>,
    pub(crate) last: Option<EventTime>,
}

/// Opens the table at `path`.
pub(crate) fn open(path: &Path, stop: &StopFlag) -> Result<CountsReader, Failure> {
    CountsReader::open(path, stop).map_err(refusal)
}

/// Scores a table up to its end, or until `stop` is raised.
pub(crate) fn score(
    mut reader: CountsReader,
    options: ScoreOptions,
    stop: &StopFlag,
    sinks: &mut impl ScoreSinks,
) -> Result<Scored, Failure> {
    let mut scorer = Scorer::new(options);
    while !stop.is_raised() {
        let row = reader.next_row();
        if stop.is_raised() {
            // The last line may have been cut short by the stop.
            break;
        }
        let Some(row) = row.map_err(refusal)? else { break };
        scorer.take(row, &reader, sinks)?;
    }
    scorer.close_time(sinks)?;
    Ok(Scored { services: scorer.services, first: scorer.first, last: scorer.time })
}

fn refusal(error: TableError) -> Failure {
    match error {
        TableError::Row { .. } | TableError::Input(InputError::Open { .. }) => usage(error),
        TableError::Input(InputError::Read { .. }) => Failure::Failed(error.into()),
    }
}

/// Times on a grid of bins that need not start at a multiple of the width.
#[derive(Debug, Clone, Copy)]
struct Grid {
    width: BinWidth,
    /// From a multiple of the width to the grid, milliseconds.
    shift_ms: i64,
}

impl Grid {
    fn new(first: EventTime, width: BinWidth) -> Self {
        Self { width, shift_ms: first.as_ms().rem_euclid(i64::from(width.seconds()) * 1000) }
    }

    fn bin_of(self, time: EventTime) -> Option<Bin> {
        let time = time.plus_ms(-self.shift_ms);
        let bin = self.width.bin_of(time);
        (self.width.start_of(bin) == time).then_some(bin)
    }
}

struct Scorer {
    options: ScoreOptions,
    /// Made when the width of the bins is known.
    running: Option<(Grid, Detector, ConfigHash)>,
    services: Catalogue,
    indices: BTreeMap<String, ServiceIndex>,
    first: Option<EventTime>,
    time: Option<EventTime>,
    /// The rows of the present time.
    rows: Vec<CountRow>,
    /// The services of those rows, with their lines.
    present: BTreeMap<String, u64>,
    last_bin: Option<Bin>,
}

impl Scorer {
    fn new(options: ScoreOptions) -> Self {
        Self {
            options,
            running: None,
            services: Catalogue::default(),
            indices: BTreeMap::new(),
            first: None,
            time: None,
            rows: Vec::new(),
            present: BTreeMap::new(),
            last_bin: None,
        }
    }

    fn take(
        &mut self,
        row: CountRow,
        reader: &CountsReader,
        sinks: &mut impl ScoreSinks,
    ) -> Result<(), Failure> {
        let refuse = |reason: String| usage(reader.refuse(reason));
        if let Some(time) = self.time {
            if row.time < time {
                return Err(refuse("the time goes back; sort the table by timestamp".to_owned()));
            }
            if row.time.ms_since(time) > GAP_MS_MAX {
                return Err(refuse(
                    "over a year after the row before it: rather a wrong date than a gap".to_owned(),
                ));
            }
            if row.time > time {
                self.begin(row.time, refuse)?;
                self.close_time(sinks)?;
            }
        }
        if let Some((grid, ..)) = &self.running
            && grid.bin_of(row.time).is_none()
        {
            return Err(refuse(off_grid(row.time, *grid)));
        }
        if let Some(line) = self.present.insert(row.service.clone(), row.line) {
            return Err(refuse(format!(
                "service {:?} has a row for this time already, in line {line}",
                row.service
            )));
        }
        self.first.get_or_insert(row.time);
        self.time = Some(row.time);
        self.rows.push(row);
        Ok(())
    }

    /// Fixes the width of the bins, by option or by the first two times.
    fn begin(&mut self, second: EventTime, refuse: impl Fn(String) -> Failure) -> Result<(), Failure> {
        let (None, Some(first)) = (&self.running, self.first) else { return Ok(()) };
        let width = match self.options.width {
            Some(width) => width,
            None => inferred_width(second.ms_since(first)).map_err(refuse)?,
        };
        self.start(first, width)
    }

    /// Starts the detector. Which promises can be kept depends on the width, so that they are checked again.
    fn start(&mut self, first: EventTime, width: BinWidth) -> Result<(), Failure> {
        let config = Config { bin_width: width, ..self.options.config.clone() };
        config.validate().with_context(|| format!("with a step of {} s", width.seconds())).map_err(usage)?;
        let hash = ConfigHash::of(&config, &Catalogue::default(), &Lexicon::default());
        let mut detector = Detector::new(config);
        detector.calibrate_scores();
        if self.options.keeps_rows {
            detector.keep_rows();
        }
        self.running = Some((Grid::new(first, width), detector, hash));
        Ok(())
    }

    /// Hands the rows of the present time to the detector and answers them.
    fn close_time(&mut self, sinks: &mut impl ScoreSinks) -> Result<(), Failure> {
        let Some(time) = self.time.filter(|_| !self.rows.is_empty()) else { return Ok(()) };
        if self.running.is_none() {
            self.start(time, self.options.width.unwrap_or(WIDTH_DEFAULT))?;
        }
        // Numbered by name, so that the order of the rows of one time cannot show.
        for service in self.present.keys() {
            if !self.indices.contains_key(service) {
                self.indices.insert(service.clone(), self.services.push_bare(service));
            }
        }
        let counts: Vec<(ServiceIndex, u32)> =
            self.rows.iter().map(|row| (self.indices[&row.service], row.count)).collect();
        let Some((grid, detector, hash)) = &mut self.running else { return Ok(()) };
        let bin = grid.bin_of(time).ok_or_else(|| anyhow!("every row is checked against the grid"))?;
        let mut unknown = Vec::new();
        if self.options.missing == Missing::Gap {
            let known: Vec<ServiceIndex> = self.indices.values().copied().collect();
            let absent = self.indices.iter().filter(|(service, _)| !self.present.contains_key(*service));
            unknown.extend(absent.map(|(_, &service)| service));
            let mut missed = self.last_bin.map_or(bin, |last| last.plus(1));
            while missed < bin {
                detector.handle_counts(missed, &[], &known);
                missed = missed.plus(1);
            }
        }
        self.last_bin = Some(bin);
        let assessments = detector.handle_counts(bin, &counts, &unknown);
        while let Some(event) = detector.poll_event() {
            sinks.event(&event.moved_by_ms(grid.shift_ms), &self.services, *hash)?;
        }
        while let Some(row) = detector.poll_row() {
            sinks.known(&Row { time: row.time.plus_ms(grid.shift_ms), ..row }, &self.services);
        }
        for (row, assessment) in self.rows.iter().zip(&assessments) {
            sinks.row(row, assessment)?;
        }
        self.rows.clear();
        self.present.clear();
        sinks.time_over()
    }
}

/// Why a time off the grid is refused, with the step that would hold it and the grid alike.
fn off_grid(time: EventTime, grid: Grid) -> String {
    let step_ms = i64::from(grid.width.seconds()) * 1000;
    let past_ms = (time.as_ms() - grid.shift_ms).rem_euclid(step_ms);
    let (mut fits_ms, mut rest_ms) = (step_ms, past_ms);
    while rest_ms != 0 {
        (fits_ms, rest_ms) = (rest_ms, fits_ms % rest_ms);
    }
    let proposal = inferred_width(fits_ms).map_or_else(
        |_| "no step would hold it".to_owned(),
        |width| format!("give a step that holds it, such as --bin {}s", width.seconds()),
    );
    format!("the time is off the grid of {} s from the first row; {proposal}", grid.width.seconds())
}

fn inferred_width(ms: i64) -> Result<BinWidth, String> {
    let seconds = u32::try_from(ms / 1000).ok().filter(|_| ms % 1000 == 0);
    seconds.and_then(BinWidth::from_seconds).ok_or_else(|| {
        format!(
            "the first two times are {} s apart; a step is a whole number of seconds from {} to {}: give it with --bin",
            ms as f64 / 1000.0,
            BinWidth::SECONDS_MIN,
            BinWidth::SECONDS_MAX
        )
    })
}
