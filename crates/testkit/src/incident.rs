//! What goes wrong, when and how strongly: the scenario's outages and surges as functions of time.
//!
//! The *truth* of a simulated outage is when the service fails, not when people complain. Complaints lag the start
//! (people have to notice) and outlast the end (they read and repeat), and exactly that difference is what a detector
//! has to bridge. Hence truth comes from `start` and `duration_min` alone, and the curves below come after it.

use std::collections::BTreeMap;

use crate::corpus::{Symptom, Topic};
use crate::scenario::{Course, Dependant, Echo, Onset, Outage, Phase, Scenario, Surge, SurgeTopic};

const MINUTE_MS: f64 = 60_000.0;

/// What kind of failure a row of the truth is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TruthKind {
    /// A failure of its own.
    Outage,
    /// The failure that others follow.
    Provider,
    /// A failure that follows a provider's.
    Dependant,
}

impl TruthKind {
    /// The word used in truth files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Outage => "outage",
            Self::Provider => "provider",
            Self::Dependant => "dependant",
        }
    }
}

/// One real failure: `[start_ms, end_ms)`, whatever people made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// Id of the service that failed.
    pub service: String,
    /// When it began to fail, in epoch milliseconds.
    pub start_ms: i64,
    /// When it worked again, in epoch milliseconds.
    pub end_ms: i64,
    /// How it relates to the others.
    pub kind: TruthKind,
}

/// A failure of one service, with all that decides how people react.
#[derive(Debug, Clone)]
pub(crate) struct Incident {
    pub(crate) service: usize,
    pub(crate) provider: Option<usize>,
    pub(crate) blame_share: f64,
    pub(crate) echo: Echo,
    kind: TruthKind,
    start_ms: i64,
    duration_min: f64,
    multiplier: f64,
    course: Course,
    phases: Vec<Phase>,
}

impl Incident {
    /// The failures of a scenario, a provider before its dependants.
    pub(crate) fn all(scenario: &Scenario) -> Vec<Self> {
        let mut incidents = Vec::new();
        for outage in &scenario.outages {
            let Some(service) = scenario.position(&outage.service) else { continue };
            incidents.push(Self::of_outage(outage, service));
            for dependant in &outage.dependants {
                let Some(position) = scenario.position(&dependant.service) else { continue };
                incidents.push(Self::of_dependant(outage, dependant, position, service));
            }
        }
        incidents
    }

    fn of_outage(outage: &Outage, service: usize) -> Self {
        let kind = if outage.dependants.is_empty() { TruthKind::Outage } else { TruthKind::Provider };
        Self {
            service,
            provider: None,
            blame_share: 0.0,
            echo: outage.echo.clone(),
            kind,
            start_ms: outage.start_ms,
            duration_min: outage.duration_min,
            multiplier: outage.multiplier,
            course: outage.course.clone(),
            phases: outage.phases.clone(),
        }
    }

    /// A dependant fails in its own way (its usual symptoms), but rises and falls as its provider does.
    fn of_dependant(outage: &Outage, dependant: &Dependant, service: usize, provider: usize) -> Self {
        Self {
            service,
            provider: Some(provider),
            blame_share: dependant.blame_share,
            echo: outage.echo.clone(),
            kind: TruthKind::Dependant,
            start_ms: outage.start_ms + (dependant.lag_min * MINUTE_MS) as i64,
            duration_min: dependant.duration_min,
            multiplier: dependant.multiplier,
            course: outage.course.clone(),
            phases: Vec::new(),
        }
    }

    /// The row of the truth.
    pub(crate) fn truth(&self, scenario: &Scenario) -> Truth {
        Truth {
            service: scenario.services[self.service].id.clone(),
            start_ms: self.start_ms,
            end_ms: self.start_ms + (self.duration_min * MINUTE_MS) as i64,
            kind: self.kind,
        }
    }

    fn minutes_in(&self, time_ms: i64) -> f64 {
        (time_ms - self.start_ms) as f64 / MINUTE_MS
    }

    /// Complaints caused, over ordinary complaints: 0 before the start, `multiplier - 1` at the height.
    pub(crate) fn excess(&self, time_ms: i64) -> f64 {
        let minutes = self.minutes_in(time_ms);
        if minutes < 0.0 {
            return 0.0;
        }
        let lasting = minutes.min(self.duration_min);
        let after = minutes - lasting;
        (self.multiplier - 1.0)
            * self.rise(lasting)
            * self.fatigue(lasting)
            * libm::exp(-after / self.course.decay_min)
    }

    fn rise(&self, minutes: f64) -> f64 {
        let ramp = self.course.ramp_min;
        if ramp == 0.0 {
            return 1.0;
        }
        match self.course.onset {
            // 97 % of the height at the end of the ramp.
            Onset::Sudden => 1.0 - libm::exp(-3.5 * minutes / ramp),
            Onset::Ramp => (minutes / ramp).min(1.0),
        }
    }

    fn fatigue(&self, minutes: f64) -> f64 {
        let half_life = self.course.fatigue_half_life_min;
        let tiring = minutes - self.course.ramp_min;
        if half_life == 0.0 || tiring <= 0.0 {
            return 1.0;
        }
        libm::exp(-core::f64::consts::LN_2 * tiring / half_life)
    }

    /// Posts that say it is back, over ordinary complaints: none before the end, most some ten minutes after it.
    pub(crate) fn relief(&self, time_ms: i64) -> f64 {
        let after = self.minutes_in(time_ms) - self.duration_min;
        if after <= 0.0 {
            return 0.0;
        }
        let height = self.excess(time_ms - (after * MINUTE_MS) as i64);
        let phase = after / 10.0;
        self.echo.recovery_share * height * phase * libm::exp(1.0 - phase)
    }

    /// Whether it fails at that instant.
    pub(crate) fn lasts(&self, time_ms: i64) -> bool {
        (0.0..self.duration_min).contains(&self.minutes_in(time_ms))
    }

    /// Whether news and the service's own account write about it: from ten minutes in to half an hour after the end.
    pub(crate) fn in_the_news(&self, time_ms: i64) -> bool {
        (10.0..self.duration_min + 30.0).contains(&self.minutes_in(time_ms))
    }

    /// Share of each symptom at that instant.
    pub(crate) fn symptoms(&self, time_ms: i64, topic: Topic) -> BTreeMap<Symptom, f64> {
        let minutes = self.minutes_in(time_ms);
        let phase = self.phases.iter().rev().find(|phase| phase.from_min <= minutes);
        phase.map_or_else(|| topic.usual_symptoms(), |phase| phase.symptoms.clone())
    }
}

/// A time of much talk, as a function of time.
#[derive(Debug, Clone)]
pub(crate) struct Wave {
    pub(crate) about: SurgeTopic,
    services: Vec<usize>,
    surge: Surge,
}

impl Wave {
    /// The surges of a scenario.
    pub(crate) fn all(scenario: &Scenario) -> Vec<Self> {
        let wave = |surge: &Surge| Self {
            about: surge.about,
            services: surge.services.iter().filter_map(|id| scenario.position(id)).collect(),
            surge: surge.clone(),
        };
        scenario.surges.iter().map(wave).collect()
    }

    /// Whether it is about that service.
    pub(crate) fn concerns(&self, service: usize) -> bool {
        self.services.contains(&service)
    }

    /// Mentions caused, over ordinary mentions.
    pub(crate) fn excess(&self, time_ms: i64) -> f64 {
        (self.surge.multiplier - 1.0) * self.level(time_ms)
    }

    /// Ordinary complaints during it, over ordinary complaints outside it.
    pub(crate) fn complaints_factor(&self, time_ms: i64) -> f64 {
        1.0 + (self.surge.complaints - 1.0) * self.level(time_ms)
    }

    fn level(&self, time_ms: i64) -> f64 {
        let minutes = (time_ms - self.surge.start_ms) as f64 / MINUTE_MS;
        if minutes < 0.0 {
            return 0.0;
        }
        let lasting = minutes.min(self.surge.duration_min);
        let rise = if self.surge.ramp_min == 0.0 { 1.0 } else { (lasting / self.surge.ramp_min).min(1.0) };
        rise * libm::exp(-(minutes - lasting) / self.surge.decay_min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first() -> (Scenario, Incident) {
        let scenario = Scenario::demo();
        let incident = Incident::all(&scenario).remove(0);
        (scenario, incident)
    }

    #[test]
    fn nothing_happens_before_the_start_and_the_height_is_the_multiplier() {
        let (_, incident) = first();
        let at = |minutes: f64| incident.start_ms + (minutes * MINUTE_MS) as i64;
        assert_eq!(incident.excess(at(-0.1)), 0.0);
        let height = incident.excess(at(incident.course.ramp_min * 2.0));
        assert!((height / (incident.multiplier - 1.0) - 1.0).abs() < 0.15, "height {height}");
        assert!(incident.excess(at(incident.duration_min + 60.0)) < 0.1, "an hour later it is over");
    }

    #[test]
    fn relief_comes_after_the_end_only() {
        let (_, incident) = first();
        let at = |minutes: f64| incident.start_ms + (minutes * MINUTE_MS) as i64;
        assert_eq!(incident.relief(at(incident.duration_min)), 0.0);
        assert!(incident.relief(at(incident.duration_min + 10.0)) > 0.0);
    }

    #[test]
    fn symptoms_change_with_the_phase() {
        let (_, mut incident) = first();
        let phase = |from_min, symptom| Phase { from_min, symptoms: BTreeMap::from([(symptom, 1.0)]) };
        incident.phases = vec![phase(0.0, Symptom::Access), phase(30.0, Symptom::Login)];
        let at = |minutes: i64| incident.symptoms(incident.start_ms + minutes * 60_000, Topic::Music);
        assert!(at(29).contains_key(&Symptom::Access));
        assert!(at(30).contains_key(&Symptom::Login));
    }
}
