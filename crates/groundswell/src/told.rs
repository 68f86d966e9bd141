//! Joins the events of each outage: what was told of it, at either tier.

use std::collections::BTreeMap;

use groundswell_core::{EventKind, EventTime, OutageEvent, ServiceIndex};

/// An outage reached a tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Raised {
    /// The onset as it was estimated then.
    pub(crate) onset: EventTime,
    /// When it was decided.
    pub(crate) at: EventTime,
}

/// What was told of one outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) service: ServiceIndex,
    /// At the first event, of whichever tier: what is started at once counts as suspected, too.
    pub(crate) suspected: Raised,
    pub(crate) started: Option<Raised>,
    /// When the rate was back, and when that was decided; `None` while it goes on.
    pub(crate) ended: Option<(EventTime, EventTime)>,
}

impl Told {
    /// The onset as it was last estimated.
    pub(crate) fn onset(&self) -> EventTime {
        self.started.unwrap_or(self.suspected).onset
    }
}

/// The outages of `events`, which come in event time, by service and then in time.
pub(crate) fn tell<'a>(events: impl IntoIterator<Item = &'a OutageEvent>) -> Vec<Told> {
    let mut outages: BTreeMap<(ServiceIndex, EventTime), Told> = BTreeMap::new();
    for event in events {
        let raised = Raised { onset: event.started_at, at: event.time };
        let first = Told { service: event.service, suspected: raised, started: None, ended: None };
        let told = outages.entry((event.service, event.opened_at)).or_insert(first);
        if event.kind == EventKind::Started {
            told.started.get_or_insert(raised);
        }
        told.ended = event.ended_at.map(|ended| (ended, event.time));
    }
    outages.into_values().collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use groundswell_core::{Catalogue, Decision, Peak, Scope, Severity};

    use super::*;

    pub(crate) fn at(minute: i64) -> EventTime {
        EventTime::from_ms(minute * 60_000).expect("a time in range")
    }

    /// An event of the only service, `s`; times in minutes.
    pub(crate) fn event(
        kind: EventKind,
        opened: i64,
        time: i64,
        onset: i64,
        ended: Option<i64>,
    ) -> OutageEvent {
        OutageEvent {
            kind,
            service: Catalogue::of_ids(["s"]).index_of("s").expect("it is in there"),
            opened_at: at(opened),
            sequence: 1,
            time: at(time),
            started_at: at(onset),
            detected_at: at(opened),
            ended_at: ended.map(at),
            is_new_normal: false,
            severity: Severity::Minor,
            decision: Decision {
                observed: 5,
                expected: 1.0,
                evidence: 14.0,
                threshold: 13.0,
                n_authors_recent: 9,
            },
            peak: Peak { at: at(time), observed: 5 },
            scope: Scope::default(),
        }
    }

    #[test]
    fn an_outage_is_raised_to_either_tier_and_ends_once() {
        let events = [
            event(EventKind::Suspected, 10, 10, 8, None),
            event(EventKind::Started, 10, 12, 7, None),
            event(EventKind::Updated, 10, 20, 7, None),
            event(EventKind::Ended, 10, 60, 7, Some(45)),
            event(EventKind::Started, 90, 90, 89, None),
        ];
        let service = events[0].service;
        let raised = |onset, time| Raised { onset: at(onset), at: at(time) };
        let first = Told {
            service,
            suspected: raised(8, 10),
            started: Some(raised(7, 12)),
            ended: Some((at(45), at(60))),
        };
        let second = Told { service, suspected: raised(89, 90), started: Some(raised(89, 90)), ended: None };
        assert_eq!(tell(&events), [first, second]);
        assert_eq!((first.onset(), second.onset()), (at(7), at(89)));
    }

    #[test]
    fn what_came_to_nothing_was_suspected_only() {
        let events =
            [event(EventKind::Suspected, 10, 10, 8, None), event(EventKind::Retracted, 10, 40, 8, Some(20))];
        let told = tell(&events);
        assert_eq!((told[0].started, told[0].ended), (None, Some((at(20), at(40)))));
    }
}
