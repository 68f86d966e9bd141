//! Outages that come in the same hour every day or every week: what is a habit is no outage.

use serde::{Deserialize, Serialize};

use crate::profile::{HOURS_PER_DAY, HOURS_PER_WEEK};

/// Days of the last outages, by the hour of the week.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Habits {
    last: Box<[LastOutage]>,
}

impl Habits {
    pub(crate) fn new() -> Self {
        Self { last: vec![LastOutage::default(); HOURS_PER_WEEK].into() }
    }

    /// Notes an outage in `hour` of the week on `day`; whether there was one in that hour a day or a week before.
    pub(crate) fn note(&mut self, hour: usize, day: u32) -> bool {
        let yesterday = self.last[(hour + HOURS_PER_WEEK - HOURS_PER_DAY) % HOURS_PER_WEEK];
        self.last[hour].note(day) || yesterday.was_on(day, 1)
    }
}

/// A day, in a circle of 127 from 1, or 0 for none; and a bit for whether there was another outage a week before it.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct LastOutage(u8);

impl LastOutage {
    const CIRCLE: u32 = 127;
    const WEEKLY: u8 = 128;

    fn was_on(self, day: u32, n_days_ago: u32) -> bool {
        let on = u32::from(self.0 & !Self::WEEKLY);
        on > 0 && (day + Self::CIRCLE - n_days_ago) % Self::CIRCLE == on - 1
    }

    fn note(&mut self, day: u32) -> bool {
        // Days are counted from when the service was met, so an hour may lie on two.
        if !self.was_on(day, 0) && !self.was_on(day, 1) {
            let is_weekly = (6..=8).any(|n_days| self.was_on(day, n_days));
            let on = u8::try_from(1 + day % Self::CIRCLE).expect("it is at most 127");
            *self = Self(on | if is_weekly { Self::WEEKLY } else { 0 });
        }
        self.0 & Self::WEEKLY != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_a_habit_a_day_and_a_week_after_another() {
        let mut habits = Habits::new();
        assert!(!habits.note(30, 100));
        assert!(!habits.note(30, 100), "the same day is the same outage");
        assert!(!habits.note(31, 101), "another hour");
        assert!(habits.note(54, 101), "the same hour of the next day");
        assert!(!habits.note(78, 103), "two days later");
        assert!(habits.note(30, 107), "a week later");
        assert!(habits.note(30, 107), "and all of that hour");
        assert!(!habits.note(54, 115), "a fortnight later");
        assert!(!Habits::new().note(30, 5), "nothing comes of no outage");
    }
}
