//! Replaying at the speed of life, or a multiple of it.

use std::str::FromStr;
use std::time::{Duration, Instant};

use groundswell_core::EventTime;
use groundswell_io::lines::StopFlag;

/// The longest sleep between looks at the stop flag.
const SLEEP_MAX: Duration = Duration::from_millis(100);

/// How fast event time passes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Speed {
    /// As fast as can be.
    Max,
    /// This many times as fast as real time.
    Times(f64),
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self::Max);
        }
        let factor = text.strip_suffix('x').and_then(|number| number.parse::<f64>().ok());
        match factor {
            Some(factor) if factor.is_finite() && factor > 0.0 => Ok(Self::Times(factor)),
            _ => Err("write `max`, or a multiple of real time such as `1x` or `60x`".to_owned()),
        }
    }
}

/// Holds a replay back to its speed.
#[derive(Debug)]
pub(crate) struct Pace {
    speed: Speed,
    /// The event time and the wall time that belong together.
    anchor: Option<(EventTime, Instant)>,
}

impl Pace {
    pub(crate) fn new(speed: Speed) -> Self {
        Self { speed, anchor: None }
    }

    /// Sleeps until `time` is due, or until stopping is asked for.
    pub(crate) fn wait_for(&mut self, time: Option<EventTime>, stop: &StopFlag) {
        let (Speed::Times(factor), Some(time)) = (self.speed, time) else { return };
        let (first, start) = *self.anchor.get_or_insert_with(|| (time, Instant::now()));
        let seconds = time.ms_since(first) as f64 / 1000.0 / factor;
        // A wild date would sleep for years: the core outvotes such a post, so a day is as good as for ever here.
        let due = start + Duration::from_secs_f64(seconds.clamp(0.0, 86_400.0));
        while !stop.is_raised() {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            std::thread::sleep(left.min(SLEEP_MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_max_or_a_positive_multiple() {
        assert_eq!("max".parse(), Ok(Speed::Max));
        assert_eq!("60x".parse(), Ok(Speed::Times(60.0)));
        assert_eq!("0.5x".parse(), Ok(Speed::Times(0.5)));
        for wrong in ["", "fast", "60", "0x", "-1x", "infx", "NaNx"] {
            assert!(wrong.parse::<Speed>().is_err(), "{wrong:?}");
        }
    }
}
