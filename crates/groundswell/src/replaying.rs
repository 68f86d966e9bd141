//! Drives files of posts through the core, and hands what comes out to its sinks.
//!
//! This is all the I/O around one loop: read a line, decode it, hand it to the pipeline, poll the pipeline. Each line
//! read ends in exactly one outcome; [`Replay::finish`] asserts that they add up.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::anyhow;
use groundswell_core::{
    Assessment, Catalogue, ConfigHash, Event, EventTime, Lexicon, OutageEvent, Outcome, Pipeline, Receipt,
    Row, ServiceIndex,
};
use groundswell_io::decode::{Rejection, decode};
use groundswell_io::lines::{Line, Lines, StopFlag};
use groundswell_io::merge::Merge;

use crate::failure::{Failure, usage};
use crate::report::Histories;
use crate::settings::Settings;

/// Where the outputs of a replay go.
pub(crate) trait Sinks {
    /// An event, in the order of event time.
    fn event(&mut self, event: &Event) -> Result<(), Failure>;
    /// A row of the per-minute table.
    fn row(&mut self, time: EventTime, service: ServiceIndex, row: &Assessment) -> Result<(), Failure>;
    /// An input that could not be used.
    fn dead_letter(
        &mut self,
        place: &Place,
        rejection: &Rejection,
        raw: Option<&[u8]>,
    ) -> Result<(), Failure>;
}

/// Where a line stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) input: usize,
    pub(crate) line: u64,
}

/// The place of a post that was set aside before a snapshot: its line is not at hand any more.
const BEFORE_SNAPSHOT: Place = Place { input: usize::MAX, line: 0 };

/// A half-open range of event time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TimeRange {
    pub(crate) from: Option<EventTime>,
    pub(crate) to: Option<EventTime>,
}

impl TimeRange {
    fn contains(&self, time: EventTime) -> bool {
        self.from.is_none_or(|from| from <= time) && self.to.is_none_or(|to| time < to)
    }
}

/// Opens all inputs before any is read, so that a missing file fails at once.
pub(crate) fn open(files: &[PathBuf], stop: &StopFlag) -> Result<Merge, Failure> {
    let lines: Result<Vec<Lines>, _> = files.iter().map(|file| Lines::open(file, stop)).collect();
    Ok(Merge::new(lines.map_err(usage)?))
}

/// A post that was set aside, kept for its dead letter.
#[derive(Debug)]
struct SetAside {
    place: Place,
    raw: Vec<u8>,
}

/// A replay under way.
#[derive(Debug)]
pub(crate) struct Replay {
    pipeline: Pipeline,
    range: TimeRange,
    set_aside: BTreeMap<u64, SetAside>,
    keeps_rows: bool,
    /// Inputs that were counted before, under a snapshot.
    n_before: u64,
    n_lines: u64,
    n_without_author: u64,
    first_time: Option<EventTime>,
}

impl Replay {
    pub(crate) fn new(mut pipeline: Pipeline, range: TimeRange, keeps_rows: bool) -> Self {
        if keeps_rows {
            pipeline.detector().keep_rows();
            pipeline.detector().calibrate_scores();
        }
        let n_before = pipeline.outcomes().total() + pipeline.n_undecided();
        Self {
            pipeline,
            range,
            set_aside: BTreeMap::new(),
            keeps_rows,
            n_before,
            n_lines: 0,
            n_without_author: 0,
            first_time: None,
        }
    }

    /// Takes the next line of `merge`; gives its event time if it is a post, and `None` at the end.
    pub(crate) fn step(
        &mut self,
        merge: &mut Merge,
        sinks: &mut impl Sinks,
    ) -> Result<Option<Option<EventTime>>, Failure> {
        let taken = merge.with_next(|input, line, content| self.take(Place { input, line }, content, sinks));
        match taken.map_err(anyhow::Error::from)? {
            None => Ok(None),
            Some(time) => {
                let time = time?;
                self.poll(sinks)?;
                Ok(Some(time))
            }
        }
    }

    fn take(
        &mut self,
        place: Place,
        line: Line<'_>,
        sinks: &mut impl Sinks,
    ) -> Result<Option<EventTime>, Failure> {
        let ticket = self.n_before + self.n_lines;
        self.n_lines += 1;
        let raw = match line {
            Line::Whole(raw) => raw,
            Line::TooLong(raw) => {
                let detail = "the line is over 1 MiB".to_owned();
                let rejection = Rejection { outcome: Outcome::TooLong, detail };
                return self.reject(place, rejection, raw, sinks).map(|()| None);
            }
        };
        let decoded = match decode(raw) {
            Ok(decoded) => decoded,
            Err(rejection) => return self.reject(place, rejection, raw, sinks).map(|()| None),
        };
        let post = decoded.as_post();
        if !self.range.contains(post.event_time) {
            self.pipeline.handle_reject(Outcome::OutOfRange);
            return Ok(Some(post.event_time));
        }
        self.n_without_author += u64::from(post.author.is_empty());
        self.first_time.get_or_insert(post.event_time);
        match self.pipeline.handle_post(ticket, &post) {
            Receipt::Decided(outcome) if outcome.is_dead_letter() => {
                sinks.dead_letter(&place, &rejection(outcome, post.service), Some(raw))?;
            }
            Receipt::Decided(_) | Receipt::Held => {}
            Receipt::SetAside => {
                self.set_aside.insert(ticket, SetAside { place, raw: raw.to_vec() });
            }
        }
        Ok(Some(post.event_time))
    }

    fn reject(
        &mut self,
        place: Place,
        rejection: Rejection,
        raw: &[u8],
        sinks: &mut impl Sinks,
    ) -> Result<(), Failure> {
        self.pipeline.handle_reject(rejection.outcome);
        if rejection.outcome.is_dead_letter() {
            sinks.dead_letter(&place, &rejection, Some(raw))?;
        }
        Ok(())
    }

    /// Hands on everything that the detector has to say.
    fn poll(&mut self, sinks: &mut impl Sinks) -> Result<(), Failure> {
        while let Some((ticket, outcome)) = self.pipeline.poll_decided() {
            let kept = self.set_aside.remove(&ticket);
            if outcome.is_dead_letter() {
                let place = kept.as_ref().map_or(BEFORE_SNAPSHOT, |kept| kept.place);
                let raw = kept.as_ref().map(|kept| kept.raw.as_slice());
                let decoded = raw.and_then(|raw| decode(raw).ok());
                let service = decoded.as_ref().and_then(|post| post.as_post().service);
                sinks.dead_letter(&place, &rejection(outcome, service), raw)?;
            }
        }
        let detector = self.pipeline.detector();
        while let Some(event) = detector.poll() {
            sinks.event(&event)?;
        }
        if self.keeps_rows {
            while let Some(row) = detector.poll_row() {
                sinks.row(row.time, row.service, &row.assessment)?;
            }
        }
        Ok(())
    }

    /// Closes every minute: the input is over.
    pub(crate) fn finish(&mut self, sinks: &mut impl Sinks) -> Result<(), Failure> {
        self.pipeline.finish();
        self.poll(sinks)
    }

    /// Checks that each input ended in exactly one outcome.
    ///
    /// # Panics
    /// If not: the totals are a promise, and a wrong one must not pass in silence.
    pub(crate) fn assert_totals(&mut self) {
        let (n_before, n_lines) = (self.n_before, self.n_lines);
        let n_after = self.pipeline.outcomes().total() + self.pipeline.n_undecided();
        assert_eq!(n_before + n_lines, n_after, "every input must end in exactly one outcome");
    }

    /// The state as a snapshot.
    pub(crate) fn snapshot(&self, hash: ConfigHash) -> Vec<u8> {
        groundswell_core::save(self.pipeline.stream(), hash)
    }

    pub(crate) fn pipeline(&mut self) -> &mut Pipeline {
        &mut self.pipeline
    }

    /// Lines read.
    pub(crate) fn n_lines(&self) -> u64 {
        self.n_lines
    }

    /// Inputs that a snapshot brought along.
    pub(crate) fn n_before(&self) -> u64 {
        self.n_before
    }

    /// Posts whose author is unknown.
    pub(crate) fn n_without_author(&self) -> u64 {
        self.n_without_author
    }
}

/// Why a post that was read is not used; `service` is what it was addressed to.
pub(crate) fn rejection(outcome: Outcome, service: Option<&str>) -> Rejection {
    let detail = match (outcome, service) {
        (Outcome::UnknownService, Some(id)) => format!("the catalogue has no service `{id}`"),
        _ => outcome.meaning().to_owned(),
    };
    Rejection { outcome, detail }
}

/// What a replay came to, for judging it.
#[derive(Debug)]
pub(crate) struct Replayed {
    pub(crate) events: Vec<OutageEvent>,
    pub(crate) first: Option<EventTime>,
    pub(crate) last: Option<EventTime>,
    pub(crate) n_services_seen: usize,
}

/// Sinks that keep the events, and histories if they are wanted.
struct Keep<'a> {
    services: &'a Catalogue,
    events: Vec<OutageEvent>,
    histories: Option<&'a mut Histories>,
}

impl Sinks for Keep<'_> {
    fn event(&mut self, event: &Event) -> Result<(), Failure> {
        if let Event::Outage(event) = event {
            self.events.push(OutageEvent::clone(event));
            if let Some(histories) = &mut self.histories {
                histories.note(event, self.services);
            }
        }
        Ok(())
    }

    fn row(&mut self, time: EventTime, service: ServiceIndex, row: &Assessment) -> Result<(), Failure> {
        if let Some(histories) = &mut self.histories {
            histories.take(&Row { time, service, assessment: *row }, self.services);
        }
        Ok(())
    }

    fn dead_letter(&mut self, _: &Place, _: &Rejection, _: Option<&[u8]>) -> Result<(), Failure> {
        Ok(())
    }
}

/// Replays `files` and collects the events, and the histories of the services if they are wanted.
pub(crate) fn collect_events(
    settings: &Settings,
    lexicon: Lexicon,
    files: &[PathBuf],
    stop: &StopFlag,
    histories: Option<&mut Histories>,
) -> Result<Replayed, Failure> {
    let mut merge = open(files, stop)?;
    let mut replay = Replay::new(settings.pipeline(lexicon), TimeRange::default(), histories.is_some());
    let mut sinks = Keep { services: &settings.catalogue, events: Vec::new(), histories };
    while replay.step(&mut merge, &mut sinks)?.is_some() {
        if stop.is_raised() {
            return Err(anyhow!("interrupted").into());
        }
    }
    replay.finish(&mut sinks)?;
    replay.assert_totals();
    let first = replay.first_time;
    let pipeline = replay.pipeline();
    Ok(Replayed {
        events: sinks.events,
        first,
        last: pipeline.frontier(),
        n_services_seen: pipeline.detector().n_services_seen(),
    })
}
