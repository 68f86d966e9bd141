//! One service under watch: joins its baseline, its evidence and the state of its outage, bin by bin.
//!
//! A bin without complaints changes nothing while there is no evidence and no outage; then [`Monitor::is_idle`] holds
//! and the bin is not visited at all. Only the end of a chunk visits every service.

use serde::{Deserialize, Serialize};

use crate::assessment::{Assessment, Status};
use crate::baseline::{Baseline, ChunkShape};
use crate::catalogue::ServiceIndex;
use crate::config::Config;
use crate::event::{Decision, EventKind, OutageEvent, Peak, Severity};
use crate::evidence::{Bank, Clearing, Evidence, Reading, RunLengths, Tier};
use crate::expectation::Expectation;
use crate::lexicon::Symptom;
use crate::outage::{OutageState, Raise, Signal, Transition};
use crate::profile::{GroupHours, GroupProfile};
use crate::recent::Recent;
use crate::tally::Tally;
use crate::time::{Bin, BinWidth, WeekPosition};

/// Severity is judged on the rate over this time, so that one crowded minute does not make an outage critical.
const SEVERITY_SECONDS: u32 = 300;
/// A peak is worth an update when it is this much higher than the one last told.
const PEAK_GROWTH: f64 = 1.5;
/// The cool-down is at least this part of the outage.
const COOLDOWN_SHARE: i64 = 20;
const HOUR_SECONDS: u32 = 3600;
/// Outages with less than this between them are one trouble, which may become the new normal as a whole: a rate that is
/// somewhat higher for good is called an outage, and over, time and again.
const APART_SECONDS: u32 = 6 * HOUR_SECONDS;

/// What all monitors share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) width: BinWidth,
    pub(crate) chunk: ChunkShape,
    run_lengths: RunLengths,
    cooldown_bins: i64,
    update_bins: i64,
    outage_bins_max: i64,
    severity_bins: i64,
    hour_bins: i64,
    apart_bins: i64,
}

impl Rules {
    pub(crate) fn of(config: &Config) -> Self {
        let width = config.bin_width;
        Self {
            width,
            chunk: ChunkShape::of(width),
            run_lengths: RunLengths::of_promise(
                config.suspected_false_alarms_per_service_year,
                config.started_false_alarms_per_service_year,
                width,
            ),
            cooldown_bins: width.bins_covering(config.cooldown_s),
            update_bins: width.bins_covering(config.update_interval_s),
            outage_bins_max: width.bins_covering(config.outage_hours_max * HOUR_SECONDS),
            severity_bins: width.bins_covering(SEVERITY_SECONDS),
            hour_bins: width.bins_covering(HOUR_SECONDS),
            apart_bins: width.bins_covering(APART_SECONDS),
        }
    }

    fn bank(&self, expectation: &Expectation, tier: Tier) -> Bank {
        Bank::of(expectation, tier, self.run_lengths, self.width)
    }
}

/// An outage under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Outage {
    opened: Bin,
    onset: Bin,
    detected: Bin,
    n_events: u32,
    clearing: Clearing,
    severity: Severity,
    peak: (Bin, u32),
    told: Told,
}

/// What the last event said, so that an update comes only on a change.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Told {
    bin: Bin,
    severity: Severity,
    leading: Option<Symptom>,
    peak: u32,
}

/// Outages that follow each other closely.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Trouble {
    onset: Bin,
    ended: Bin,
}

/// The state of one service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Monitor {
    baseline: Baseline,
    expectation: Expectation,
    /// Evidence for the lower tier, and for the higher.
    suspicion: Evidence,
    confirmation: Evidence,
    state: OutageState,
    /// Bins of the last hour that had complaints.
    recent: Recent,
    tally: Tally,
    outage: Option<Box<Outage>>,
    /// The outages up to the last one that ended.
    trouble: Option<Trouble>,
}

impl Monitor {
    /// A service first seen in `bin`, after `n_silent_bins` of watching.
    pub(crate) fn new(
        service: ServiceIndex,
        bin: Bin,
        n_silent_bins: i64,
        group: &GroupHours,
        rules: &Rules,
    ) -> Self {
        let n_bins = rules.chunk.bins_into_chunk(bin, service);
        let baseline = Baseline::after_silence(n_silent_bins, n_bins, rules.chunk);
        let expectation = baseline.expect(group, rules.chunk);
        Self {
            baseline,
            expectation,
            suspicion: Evidence::none_since(bin, rules.bank(&expectation, Tier::Suspected)),
            confirmation: Evidence::none_since(bin, rules.bank(&expectation, Tier::Started)),
            state: OutageState::Normal,
            recent: Recent::default(),
            tally: Tally::default(),
            outage: None,
            trouble: None,
        }
    }

    /// Whether a bin without complaints would change nothing.
    pub(crate) fn is_idle(&self) -> bool {
        self.state == OutageState::Normal && self.suspicion.is_zero() && self.confirmation.is_zero()
    }

    /// Whether an outage is suspected, and no more.
    pub(crate) fn is_suspected(&self) -> bool {
        self.state == OutageState::Suspected
    }

    /// Whether an outage is told and not over.
    pub(crate) fn is_ongoing(&self) -> bool {
        matches!(self.state, OutageState::Ongoing | OutageState::Recovering { .. })
    }

    /// Ends the chunk that lay at `position` and learns what is old enough.
    pub(crate) fn end_chunk(&mut self, position: WeekPosition, group: &mut GroupProfile, rules: &Rules) {
        self.baseline.end_chunk(position, &self.expectation, group, rules.chunk);
    }

    /// Takes the expectation for the chunk that begins.
    pub(crate) fn begin_chunk(&mut self, group: &GroupHours, rules: &Rules) {
        let expectation = self.baseline.expect(group, rules.chunk);
        self.expect(expectation, rules);
    }

    fn expect(&mut self, expectation: Expectation, rules: &Rules) {
        self.expectation = expectation;
        self.suspicion.expect(rules.bank(&expectation, Tier::Suspected));
        self.confirmation.expect(rules.bank(&expectation, Tier::Started));
    }

    fn forget_evidence(&mut self, next: Bin) {
        self.suspicion.forget(next);
        self.confirmation.forget(next);
    }

    /// Leaves `bin` out: nothing is known of it, so nothing is learned, raised or cleared.
    pub(crate) fn skip_bin(&mut self) {
        self.baseline.skip_bin();
    }

    /// Takes the count of `bin`; gives the event that it brings about, if any.
    pub(crate) fn observe(
        &mut self,
        service: ServiceIndex,
        bin: Bin,
        said: &Tally,
        rules: &Rules,
    ) -> Option<OutageEvent> {
        let observed = u32::try_from(said.n_complaints()).unwrap_or(u32::MAX);
        self.recent.push(bin, observed, rules.hour_bins);
        if self.is_idle() {
            self.tally = Tally::default();
        }
        self.tally.merge(said);
        if self.expectation.is_usable {
            self.suspicion.weigh(bin, observed);
            self.confirmation.weigh(bin, observed);
        }
        let (reading, confirmed) = (self.reading(), self.confirmation.read(self.recent.total()));
        let state_before = self.state;
        let signal = self.signal(bin, observed, (&reading, &confirmed), rules);
        // What went on for long is not taken to be over for a short calm.
        let n_bins = self.outage.as_ref().map_or(0, |outage| bin.since(outage.onset));
        let cooldown_bins = rules.cooldown_bins.max(n_bins / COOLDOWN_SHARE);
        let (state, transition) = self.state.step(signal, cooldown_bins);
        self.state = state;
        if state == OutageState::Normal && state_before == OutageState::Normal {
            if observed > 0 {
                self.baseline.gather(observed, &self.expectation, rules.chunk);
            }
        } else {
            self.baseline.gather_in_outage(observed);
        }
        self.follow_outage(bin, observed, state_before, &reading, rules);
        let kind = match transition {
            Some(transition) => Some(kind_of(transition)),
            None => self.update_is_due(bin, rules).then_some(EventKind::Updated),
        };
        let ended = match transition {
            Some(Transition::Ended(since)) => Some(since.unwrap_or(bin.plus(1))),
            Some(Transition::Retracted) => Some(signal.returned.unwrap_or(bin.plus(1))),
            Some(Transition::Suspected | Transition::Started) | None => None,
        };
        let is_new_normal = signal.outlasted && ended.is_some();
        let deciding = |kind| if kind == EventKind::Suspected { &reading } else { &confirmed };
        let event = kind.map(|kind| OutageEvent {
            is_new_normal: transition == Some(Transition::Ended(None)),
            ..self.event(service, bin, kind, ended, observed, deciding(kind), rules)
        });
        if ended.is_some() {
            self.close_outage(bin, is_new_normal, rules);
        }
        event
    }

    /// Whether the lower tier's evidence has reached its threshold.
    pub(crate) fn is_raised(&self) -> bool {
        self.reading().is_raised()
    }

    /// What the table says of a bin in which `observed` people complained.
    pub(crate) fn assess(&self, observed: u32) -> Assessment {
        let status = match self.state {
            OutageState::Normal if self.expectation.is_learning => Status::Learning,
            OutageState::Normal => Status::Normal,
            OutageState::Suspected => Status::Suspected,
            OutageState::Ongoing => Status::Ongoing,
            OutageState::Recovering { .. } => Status::Recovering,
        };
        let evidence = self.reading().share();
        Assessment {
            observed,
            expected: self.expectation.guarded,
            evidence,
            score: evidence,
            status,
            expectation: self.expectation,
        }
    }

    fn reading(&self) -> Reading {
        self.suspicion.read(self.recent.total())
    }

    fn signal(
        &mut self,
        bin: Bin,
        observed: u32,
        (suspected, confirmed): (&Reading, &Reading),
        rules: &Rules,
    ) -> Signal {
        let is_recovering = matches!(self.state, OutageState::Recovering { .. });
        let raise = if confirmed.is_raised() {
            Raise::Start
        } else if suspected.is_raised() || (is_recovering && suspected.is_flaring_up()) {
            Raise::Suspect
        } else {
            Raise::Quiet
        };
        let mut signal = Signal { bin, raise, returned: None, outlasted: false };
        if let Some(outage) = &mut self.outage {
            let onset = self.trouble.map_or(outage.onset, |trouble| trouble.onset);
            // Only an outage of some hours says what would be normal: a fresh one may be a worse one.
            signal.outlasted = bin.since(onset) > rules.outage_bins_max
                && bin.since(outage.onset) >= rules.chunk.rebase_bins();
            if matches!(self.state, OutageState::Suspected | OutageState::Ongoing) {
                signal.returned = outage.clearing.weigh(bin, observed, &self.expectation, rules.width);
            }
        }
        // While a return is being weighed the old evidence still stands high; it must not hold the outage up.
        if signal.returned.is_some() && raise == Raise::Suspect && self.state == OutageState::Suspected {
            signal.raise = Raise::Quiet;
        }
        signal
    }

    /// Keeps the record of the outage in step with a change of state.
    fn follow_outage(
        &mut self,
        bin: Bin,
        observed: u32,
        before: OutageState,
        reading: &Reading,
        rules: &Rules,
    ) {
        match (before, self.state) {
            (OutageState::Normal, OutageState::Suspected | OutageState::Ongoing) => {
                self.open_outage(bin, reading, rules);
            }
            (OutageState::Suspected, OutageState::Ongoing) => {
                if let Some(outage) = &mut self.outage {
                    outage.onset = reading.onset.max(outage.onset);
                    outage.detected = bin;
                    // The evidence says that it goes on, so what spoke for a return before now was wrong.
                    outage.clearing = outage.clearing.renewed(bin.plus(1));
                }
            }
            (OutageState::Ongoing, OutageState::Recovering { .. }) => {
                self.forget_evidence(bin.plus(1));
            }
            (OutageState::Recovering { .. }, OutageState::Ongoing) => {
                if let Some(outage) = &mut self.outage {
                    outage.clearing = outage.clearing.renewed(bin.plus(1));
                }
            }
            _ => {}
        }
        if self.outage.is_none() {
            return;
        }
        let severity = self.severity(bin, rules);
        if let Some(outage) = &mut self.outage {
            outage.severity = outage.severity.max(severity);
            if observed > outage.peak.1 {
                outage.peak = (bin, observed);
            }
        }
    }

    fn open_outage(&mut self, bin: Bin, reading: &Reading, rules: &Rules) {
        let onset = reading.onset;
        let mut peak = (bin, 0);
        let mut observed = 0.0;
        for (at, n) in self.recent.since(onset) {
            observed += f64::from(n);
            if n > peak.1 {
                peak = (at, n);
            }
        }
        let n_bins = bin.since(onset) + 1;
        let n_told = n_bins.min(rules.hour_bins) as f64;
        let strength = observed / (self.expectation.guarded * n_told);
        self.baseline.note_outage(n_bins, rules.chunk);
        if self.trouble.is_some_and(|trouble| onset.since(trouble.ended) > rules.apart_bins) {
            self.trouble = None;
        }
        self.outage = Some(Box::new(Outage {
            opened: bin,
            onset,
            detected: bin,
            n_events: 0,
            clearing: Clearing::new(bin.plus(1), strength, n_told),
            severity: Severity::Minor,
            peak,
            told: Told { bin, severity: Severity::Minor, leading: None, peak: peak.1 },
        }));
    }

    fn close_outage(&mut self, bin: Bin, is_new_normal: bool, rules: &Rules) {
        let Some(outage) = self.outage.take() else { return };
        let onset = self.trouble.map_or(outage.onset, |trouble| trouble.onset);
        self.trouble = (!is_new_normal).then_some(Trouble { onset, ended: bin });
        if is_new_normal {
            let factor = self.baseline.rebase();
            self.expect(self.expectation.times(factor), rules);
        }
        self.forget_evidence(bin.plus(1));
        self.tally = Tally::default();
    }

    fn severity(&self, bin: Bin, rules: &Rules) -> Severity {
        let since = bin.plus(1 - rules.severity_bins);
        let observed: f64 = self.recent.since(since).map(|(_, n)| f64::from(n)).sum();
        let per_minute = 60.0 / f64::from(rules.width.seconds());
        let rate = observed / rules.severity_bins as f64 * per_minute;
        Severity::of_rates(rate, self.expectation.guarded * per_minute)
    }

    fn update_is_due(&self, bin: Bin, rules: &Rules) -> bool {
        let Some(outage) = &self.outage else { return false };
        let told = &outage.told;
        let leading = self.tally.leading_symptom();
        self.is_ongoing()
            && bin.since(told.bin) >= rules.update_bins
            && (outage.severity > told.severity
                || (leading.is_some() && leading != told.leading)
                || f64::from(outage.peak.1) >= PEAK_GROWTH * f64::from(told.peak))
    }

    #[expect(clippy::too_many_arguments, reason = "the event is made of just these")]
    fn event(
        &mut self,
        service: ServiceIndex,
        bin: Bin,
        kind: EventKind,
        ended: Option<Bin>,
        observed: u32,
        reading: &Reading,
        rules: &Rules,
    ) -> OutageEvent {
        let decision = Decision {
            observed,
            expected: reading.null,
            evidence: reading.evidence,
            threshold: reading.threshold,
            n_authors_recent: self.recent.total(),
        };
        let leading = self.tally.leading_symptom();
        let scope = self.tally.scope();
        let outage =
            self.outage.as_mut().expect("an event is of an outage, which is opened before its first event");
        outage.n_events += 1;
        outage.told = Told { bin, severity: outage.severity, leading, peak: outage.peak.1 };
        OutageEvent {
            kind,
            service,
            opened_at: rules.width.end_of(outage.opened),
            sequence: outage.n_events,
            time: rules.width.end_of(bin),
            started_at: rules.width.start_of(outage.onset),
            detected_at: rules.width.end_of(outage.detected),
            ended_at: ended.map(|ended| rules.width.start_of(ended)),
            is_new_normal: false,
            severity: outage.severity,
            decision,
            peak: Peak { at: rules.width.start_of(outage.peak.0), observed: outage.peak.1 },
            scope,
        }
    }
}

fn kind_of(transition: Transition) -> EventKind {
    match transition {
        Transition::Suspected => EventKind::Suspected,
        Transition::Started => EventKind::Started,
        Transition::Retracted => EventKind::Retracted,
        Transition::Ended(_) => EventKind::Ended,
    }
}
