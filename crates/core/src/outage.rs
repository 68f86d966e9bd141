//! The state machine of one service's outage.
//!
//! It sees two signals a bin: how far the forward evidence has come, and whether the reverse test says that the rate
//! is back. It knows no counts and no thresholds, so that all of it fits in one table:
//!
//! | state | quiet | suspect | start | returned | outlasted |
//! |---|---|---|---|---|---|
//! | Normal | – | Suspected, *suspected* | Ongoing, *started* | – | – |
//! | Suspected | – | – | Ongoing, *started* | Normal, *retracted* | Normal, *retracted* |
//! | Ongoing | – | – | – | Recovering | Normal, *ended* |
//! | Recovering, cooling | – | Ongoing | Ongoing | – | Normal, *ended* |
//! | Recovering, cooled down | Normal, *ended* | Ongoing | Ongoing | Normal, *ended* | Normal, *ended* |
//!
//! Raising needs evidence for an outage, clearing needs evidence against one, and between the two nothing moves: that
//! is the hysteresis. Where signals meet in one bin, *start* wins over *suspect*, both over *returned* (an outage that
//! flares up has not returned), and *outlasted* over all.

use serde::{Deserialize, Serialize};

use crate::time::Bin;

/// Where a service's outage stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum OutageState {
    /// No outage.
    Normal,
    /// Enough evidence for the lower tier.
    Suspected,
    /// Enough for the higher.
    Ongoing,
    /// The rate is back since `since`; the outage is over unless it flares up before `until`.
    Recovering { since: Bin, until: Bin },
}

/// How far the forward evidence has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Raise {
    Quiet,
    Suspect,
    Start,
}

/// What a bin said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signal {
    pub(crate) bin: Bin,
    pub(crate) raise: Raise,
    /// The first bin of the return, if the reverse test fired.
    pub(crate) returned: Option<Bin>,
    /// Whether the outage has lasted so long that its rate is the new normal.
    pub(crate) outlasted: bool,
}

/// A change that is told to the outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transition {
    Suspected,
    Started,
    Retracted,
    /// Over since the bin; `None` when it was taken for the new normal.
    Ended(Option<Bin>),
}

impl OutageState {
    /// The next state and what to tell. `cooldown_bins` is the length of the cool-down.
    pub(crate) fn step(self, signal: Signal, cooldown_bins: i64) -> (Self, Option<Transition>) {
        match self {
            Self::Normal => match signal.raise {
                Raise::Quiet => (Self::Normal, None),
                Raise::Suspect => (Self::Suspected, Some(Transition::Suspected)),
                Raise::Start => (Self::Ongoing, Some(Transition::Started)),
            },
            Self::Suspected => match (signal.raise, signal.returned) {
                _ if signal.outlasted => (Self::Normal, Some(Transition::Retracted)),
                (Raise::Start, _) => (Self::Ongoing, Some(Transition::Started)),
                (Raise::Quiet, Some(_)) => (Self::Normal, Some(Transition::Retracted)),
                (Raise::Quiet, None) | (Raise::Suspect, _) => (Self::Suspected, None),
            },
            Self::Ongoing => match signal.returned {
                _ if signal.outlasted => (Self::Normal, Some(Transition::Ended(None))),
                Some(since) => (Self::Recovering { since, until: signal.bin.plus(cooldown_bins) }, None),
                None => (Self::Ongoing, None),
            },
            Self::Recovering { since, until } => match signal.raise {
                _ if signal.outlasted => (Self::Normal, Some(Transition::Ended(None))),
                Raise::Suspect | Raise::Start => (Self::Ongoing, None),
                Raise::Quiet if signal.bin >= until => (Self::Normal, Some(Transition::Ended(Some(since)))),
                Raise::Quiet => (self, None),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{BinWidth, EventTime};

    const COOLDOWN: i64 = 12;

    fn bin(n: i64) -> Bin {
        BinWidth::MINUTE.bin_of(EventTime::from_ms(0).expect("the epoch")).plus(n)
    }

    fn recovering() -> OutageState {
        OutageState::Recovering { since: bin(90), until: bin(112) }
    }

    fn signal(at: i64, raise: Raise, returned: bool, outlasted: bool) -> Signal {
        Signal { bin: bin(at), raise, returned: returned.then(|| bin(95)), outlasted }
    }

    #[track_caller]
    fn check(state: OutageState, signal: Signal, next: OutageState, told: Option<Transition>) {
        assert_eq!(state.step(signal, COOLDOWN), (next, told), "{state:?} on {signal:?}");
    }

    #[test]
    fn normal_is_left_by_evidence_alone() {
        use OutageState::{Normal, Ongoing, Suspected};
        check(Normal, signal(100, Raise::Quiet, false, false), Normal, None);
        check(Normal, signal(100, Raise::Quiet, true, false), Normal, None);
        check(Normal, signal(100, Raise::Suspect, false, false), Suspected, Some(Transition::Suspected));
        check(Normal, signal(100, Raise::Start, false, false), Ongoing, Some(Transition::Started));
    }

    #[test]
    fn suspected_is_confirmed_or_retracted() {
        use OutageState::{Normal, Ongoing, Suspected};
        check(Suspected, signal(100, Raise::Quiet, false, false), Suspected, None);
        check(Suspected, signal(100, Raise::Suspect, false, false), Suspected, None);
        check(Suspected, signal(100, Raise::Suspect, true, false), Suspected, None);
        check(Suspected, signal(100, Raise::Start, true, false), Ongoing, Some(Transition::Started));
        check(Suspected, signal(100, Raise::Quiet, true, false), Normal, Some(Transition::Retracted));
        check(Suspected, signal(100, Raise::Start, false, true), Normal, Some(Transition::Retracted));
    }

    #[test]
    fn ongoing_needs_a_return_to_move() {
        use OutageState::{Normal, Ongoing, Recovering};
        for raise in [Raise::Quiet, Raise::Suspect, Raise::Start] {
            check(Ongoing, signal(100, raise, false, false), Ongoing, None);
            check(
                Ongoing,
                signal(100, raise, true, false),
                Recovering { since: bin(95), until: bin(112) },
                None,
            );
            check(Ongoing, signal(100, raise, true, true), Normal, Some(Transition::Ended(None)));
        }
    }

    #[test]
    fn recovering_ends_only_after_the_cooldown_and_reopens_before() {
        use OutageState::{Normal, Ongoing};
        for returned in [false, true] {
            check(recovering(), signal(111, Raise::Quiet, returned, false), recovering(), None);
            let ended = Some(Transition::Ended(Some(bin(90))));
            check(recovering(), signal(112, Raise::Quiet, returned, false), Normal, ended);
            check(recovering(), signal(112, Raise::Suspect, returned, false), Ongoing, None);
            check(recovering(), signal(111, Raise::Start, returned, false), Ongoing, None);
        }
        check(recovering(), signal(100, Raise::Quiet, false, true), Normal, Some(Transition::Ended(None)));
    }
}
