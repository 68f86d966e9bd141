//! The detector: complaints in, outage events out.
//!
//! Inputs are `handle_*`, outputs `poll_*`. Complaints that an [`crate::Intake`] found on time are handed to
//! [`Detector::handle_complaint`], and [`Detector::close_until`] closes the bins that can get no more of them; counts
//! that come from elsewhere go through [`Detector::handle_counts`]. One detector takes either the one or the other.
//! After each input, poll until nothing comes.
//!
//! Everything that later input could change is still open, and everything closed is final: nothing said about a bin
//! depends on what comes after its end plus the allowed lateness.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::assessment::Assessment;
use crate::catalogue::ServiceIndex;
use crate::config::Config;
use crate::event::{Event, FeedEvent, OutageEvent};
use crate::feed::Feed;
use crate::judgement::Complaint;
use crate::monitor::{Monitor, Rules};
use crate::monitors::Monitors;
use crate::novelty::Novelty;
use crate::post::OutcomeCounts;
use crate::profile::GroupProfile;
use crate::tally::Tally;
use crate::time::{Bin, EventTime, week_position};
use crate::window::Window;

/// One row of the per-bin table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Start of the bin.
    pub time: EventTime,
    /// The service.
    pub service: ServiceIndex,
    /// What is said of it.
    pub assessment: Assessment,
}

/// All that a detector remembers. Everything else is derived from configuration and catalogue.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DetectorState {
    pub(crate) window: Window,
    pub(crate) overall: Overall,
    pub(crate) monitors: Monitors,
    /// What is unusual for each service, if scores are calibrated.
    pub(crate) novelties: Option<BTreeMap<ServiceIndex, Novelty>>,
}

/// What is remembered beside the services' own state and the open bins.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Overall {
    /// The first bin that is still open, once there is one.
    next_bin: Option<Bin>,
    /// The bin with which watching began.
    first_bin: Option<Bin>,
    group: GroupProfile,
    feed: Feed,
    outcomes: OutcomeCounts,
    n_bins_closed: u64,
}

/// Detects outages from complaints or counts.
#[derive(Debug)]
pub struct Detector {
    config: Config,
    rules: Rules,
    state: DetectorState,
    /// The services that are not idle.
    active: BTreeSet<ServiceIndex>,
    events: VecDeque<OutageEvent>,
    feed_events: VecDeque<FeedEvent>,
    rows: Option<VecDeque<Row>>,
}

impl Detector {
    /// A detector that has seen nothing. `config` must be valid ([`Config::validate`]).
    pub fn new(config: Config) -> Self {
        let state = DetectorState {
            window: Window::default(),
            overall: Overall {
                next_bin: None,
                first_bin: None,
                group: GroupProfile::new(),
                feed: Feed::default(),
                outcomes: OutcomeCounts::default(),
                n_bins_closed: 0,
            },
            monitors: Monitors::default(),
            novelties: None,
        };
        Self::with_state(config, state)
    }

    pub(crate) fn with_state(config: Config, state: DetectorState) -> Self {
        debug_assert!(config.validate().is_ok(), "a detector is made of a valid configuration");
        let rules = Rules::of(&config);
        let awake = state.monitors.iter().filter(|(_, monitor)| !monitor.is_idle());
        let active = awake.map(|(service, _)| service).collect();
        Self {
            config,
            rules,
            state,
            active,
            events: VecDeque::new(),
            feed_events: VecDeque::new(),
            rows: None,
        }
    }

    pub(crate) fn state_mut(&mut self) -> &mut DetectorState {
        debug_assert!(
            self.events.is_empty() && self.feed_events.is_empty(),
            "poll everything before changes are taken"
        );
        &mut self.state
    }

    pub(crate) fn state(&self) -> &DetectorState {
        debug_assert!(
            self.events.is_empty() && self.feed_events.is_empty(),
            "poll everything before a snapshot"
        );
        &self.state
    }

    /// Keeps a row for each closed bin and each service of which something is known for it, from now on, for
    /// [`Detector::poll_row`].
    pub fn keep_rows(&mut self) {
        self.rows.get_or_insert_default();
    }

    /// Lets the score of a bin that is raised say how unusual it is for its service ([`Assessment`]), by what comes from
    /// now on. A snapshot keeps what was learned for it.
    pub fn calibrate_scores(&mut self) {
        self.state.novelties.get_or_insert_default();
    }

    /// Takes a complaint that is on time: its bin must be open.
    pub fn handle_complaint(&mut self, complaint: Complaint) {
        let bin = self.rules.width.bin_of(complaint.event_time);
        debug_assert!(
            self.state.overall.next_bin.is_none_or(|next| next <= bin),
            "the bin of a complaint is open"
        );
        self.state.window.hold(bin, complaint);
    }

    /// Watching begins with `bin`, if it has not begun.
    pub fn begin(&mut self, bin: Bin) {
        self.state.overall.first_bin.get_or_insert(bin);
        self.state.overall.next_bin.get_or_insert(bin);
    }

    /// Takes the counts of one bin, which must be later than any before; bins in between had no complaints for the
    /// services already known. Services in `unknown` have no count for this bin: it is left out for them.
    ///
    /// Gives what is said of each of `counts`, in their order. It is taken before the bin's end changes what is
    /// expected, so that it shows the numbers that decided, as the rows of the per-bin table do.
    pub fn handle_counts(
        &mut self,
        bin: Bin,
        counts: &[(ServiceIndex, u32)],
        unknown: &[ServiceIndex],
    ) -> Vec<Assessment> {
        debug_assert!(self.state.overall.next_bin.is_none_or(|next| next <= bin), "bins come in order");
        self.close_until(bin, None);
        let mut tallies = BTreeMap::new();
        for &(service, observed) in counts {
            // A service's own history begins with its first row, not with the first row of another's.
            if !self.state.monitors.contains(service) {
                self.add_monitor(service, bin, 0);
            }
            let tally: &mut Tally = tallies.entry(service).or_default();
            tally.add_bare(observed);
        }
        for &service in unknown {
            if let Some(monitor) = self.state.monitors.get_mut(service) {
                monitor.skip_bin();
            }
        }
        let unknown: BTreeSet<ServiceIndex> = unknown.iter().copied().collect();
        let is_unknown = |service: &ServiceIndex| unknown.contains(service);
        self.observe_bin(bin, &tallies, is_unknown);
        let assess =
            |&(service, observed)| Some(self.assess(service, self.state.monitors.get(service)?, observed));
        let assessments = counts.iter().filter_map(assess).collect();
        self.end_bin(bin);
        assessments
    }

    /// The next that there is to say, in the order of event time; of one bin, the feed first.
    pub fn poll(&mut self) -> Option<Event> {
        let feed_first = match (self.feed_events.front(), self.events.front()) {
            (Some(feed), Some(outage)) => feed.time <= outage.time,
            (feed, _) => feed.is_some(),
        };
        if feed_first {
            return self.feed_events.pop_front().map(Event::Feed);
        }
        self.events.pop_front().map(|event| Event::Outage(Box::new(event)))
    }

    /// The next event of a service, in the order of event time: for counts, which have no feed.
    pub fn poll_event(&mut self) -> Option<OutageEvent> {
        self.events.pop_front()
    }

    /// The next row of the per-bin table, if rows are kept.
    pub fn poll_row(&mut self) -> Option<Row> {
        self.rows.as_mut()?.pop_front()
    }

    /// How many complaining posts ended in each outcome so far.
    pub fn outcomes(&self) -> &OutcomeCounts {
        &self.state.overall.outcomes
    }

    /// Complaining posts whose bin is still open.
    pub fn n_held(&self) -> usize {
        self.state.window.n_held()
    }

    /// The first bin that is still open, once watching has begun.
    pub fn next_bin(&self) -> Option<Bin> {
        self.state.overall.next_bin
    }

    /// Bins closed so far.
    pub fn n_bins_closed(&self) -> u64 {
        self.state.overall.n_bins_closed
    }

    /// Services that have been complained about.
    pub fn n_services_seen(&self) -> usize {
        self.state.monitors.iter().count()
    }

    /// Whether the feed is silent, as far as bins are closed.
    pub fn is_feed_silent(&self) -> bool {
        self.state.overall.feed.is_silent()
    }

    /// Closes the bins before `end`: they can get no more complaints. Watching begins with it, if it has not begun.
    /// `n_posts` says how many posts each bin had, where that is known: bins that are left out had none.
    pub fn close_until(&mut self, end: Bin, n_posts: Option<&BTreeMap<Bin, u64>>) {
        self.begin(end);
        let mut bin = self.state.overall.next_bin.unwrap_or(end);
        while bin < end {
            let closed = self.state.window.close(bin, self.config.author_window_ms, self.config.copies_max);
            let closed = closed.unwrap_or_default();
            closed.outcomes.iter().for_each(|&outcome| self.state.overall.outcomes.record(outcome));
            for &service in closed.counts.keys() {
                if !self.state.monitors.contains(service) {
                    self.add_monitor(
                        service,
                        bin,
                        self.state.overall.first_bin.map_or(0, |first| bin.since(first)),
                    );
                }
            }
            if self.is_blank(bin, n_posts) {
                self.state.monitors.visit_every(0, 1, Monitor::skip_bin);
            } else {
                self.observe_bin(bin, &closed.counts, |_| false);
            }
            self.end_bin(bin);
            bin = bin.plus(1);
        }
    }

    /// Whether `bin` says nothing of the services, because the feed does not live.
    fn is_blank(&mut self, bin: Bin, n_posts: Option<&BTreeMap<Bin, u64>>) -> bool {
        let Some(n_posts) = n_posts else { return false };
        let n = n_posts.get(&bin).copied().unwrap_or(0);
        let (is_blank, event) = self.state.overall.feed.observe(bin, n, self.rules.width);
        self.feed_events.extend(event);
        is_blank
    }

    /// Closes every bin: there is no more input, and `frontier` is how far it came.
    pub fn close_until_end(&mut self, frontier: Option<EventTime>, n_posts: Option<&BTreeMap<Bin, u64>>) {
        let last_seen = frontier.map(|time| self.rules.width.bin_of(time));
        if let Some(last) = last_seen.max(self.state.window.last_bin()) {
            self.close_until(last.plus(1), n_posts);
        }
    }

    fn add_monitor(&mut self, service: ServiceIndex, bin: Bin, n_silent_bins: i64) {
        let group = self.state.overall.group.at(week_position(self.rules.width.start_of(bin)));
        self.state.monitors.insert(service, Monitor::new(service, bin, n_silent_bins, &group, &self.rules));
    }

    /// Takes `bin` for every service that was complained about or is not idle.
    fn observe_bin(
        &mut self,
        bin: Bin,
        counts: &BTreeMap<ServiceIndex, Tally>,
        is_unknown: impl Fn(&ServiceIndex) -> bool,
    ) {
        let nothing = Tally::default();
        let mut services: Vec<(ServiceIndex, &Tally)> =
            counts.iter().map(|(&service, said)| (service, said)).collect();
        let silent = self.active.iter().filter(|service| !counts.contains_key(service));
        services.extend(silent.map(|&service| (service, &nothing)));
        services.sort_unstable_by_key(|&(service, _)| service);
        for (service, said) in services {
            let Some(monitor) = self.state.monitors.get_mut(service).filter(|_| !is_unknown(&service)) else {
                continue;
            };
            let was_idle = monitor.is_idle();
            self.events.extend(monitor.observe(service, bin, said, &self.rules));
            match (was_idle, monitor.is_idle()) {
                (true, false) => _ = self.active.insert(service),
                (false, true) => _ = self.active.remove(&service),
                (true, true) | (false, false) => {}
            }
        }
        let observed = |service: ServiceIndex| {
            let observed = counts.get(&service).map_or(0, Tally::n_complaints);
            u32::try_from(observed).unwrap_or(u32::MAX)
        };
        if let Some(novelties) = &mut self.state.novelties {
            for (service, monitor) in self.state.monitors.iter() {
                let novelty = novelties.entry(service).or_insert_with(|| Novelty::new(self.rules.width));
                if is_unknown(&service) {
                    novelty.skip();
                } else {
                    novelty.weigh(observed(service), monitor.is_raised());
                }
            }
        }
        let time = self.rules.width.start_of(bin);
        let Some(mut rows) = self.rows.take() else { return };
        let known = self.state.monitors.iter().filter(|(service, _)| !is_unknown(service));
        rows.extend(known.map(|(service, monitor)| Row {
            time,
            service,
            assessment: self.assess(service, monitor, observed(service)),
        }));
        self.rows = Some(rows);
    }

    fn assess(&self, service: ServiceIndex, monitor: &Monitor, observed: u32) -> Assessment {
        let assessment = monitor.assess(observed);
        let novelty = self.state.novelties.as_ref().and_then(|novelties| novelties.get(&service));
        novelty.map_or(assessment, |novelty| assessment.calibrated(novelty.news()))
    }

    /// Ends `bin`, and with it the chunk of some services: their chunks are staggered, so that no single bin has to
    /// learn for all of them.
    fn end_bin(&mut self, bin: Bin) {
        let next = bin.plus(1);
        self.state.overall.next_bin = Some(next);
        self.state.overall.n_bins_closed += 1;
        let chunk = self.rules.chunk;
        let middle = |bin: Bin| week_position(self.rules.width.start_of(bin.plus(chunk.bins / 2)));
        let ended = middle(next.plus(-chunk.bins));
        let state = &mut self.state;
        // Service n ends its chunk with the bins for which this is zero: `bins_into_chunk` of its index.
        let n_bins = chunk.bins;
        let first = (n_bins - chunk.bins_into_chunk(next, ServiceIndex::of(0))) % n_bins;
        let (first, step) = (bin_count(first), bin_count(n_bins));
        let overall = &mut state.overall;
        state
            .monitors
            .visit_every(first, step, |monitor| monitor.end_chunk(ended, &mut overall.group, &self.rules));
        let group = overall.group.at(middle(next));
        state.monitors.visit_every(first, step, |monitor| monitor.begin_chunk(&group, &self.rules));
    }

    /// Services that are suspected, and no more.
    pub fn suspected(&self) -> impl Iterator<Item = ServiceIndex> + '_ {
        self.state.monitors.iter().filter(|(_, monitor)| monitor.is_suspected()).map(|(service, _)| service)
    }

    /// Services with an outage that is told and not over.
    pub fn ongoing(&self) -> impl Iterator<Item = ServiceIndex> + '_ {
        self.state.monitors.iter().filter(|(_, monitor)| monitor.is_ongoing()).map(|(service, _)| service)
    }
}

fn bin_count(n: i64) -> usize {
    usize::try_from(n).expect("a chunk has at least one bin, and no chunk has a negative number of them")
}
