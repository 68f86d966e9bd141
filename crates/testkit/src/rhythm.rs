//! When do people post, and from where?
//!
//! A flat rate would make any baseline look good. Real traffic of a worldwide service is a sum of regional days that
//! are shifted against each other, with a weekend on top, and a detector that cannot follow that raises an alarm
//! every morning. So a service's rate at an instant is the sum over languages and countries of their share times
//! where their local day stands; the same terms then decide which language and country a post of that minute has.

use crate::corpus::Language;
use crate::dice::Dice;
use crate::scenario::Service;

const DAY_MIN: i64 = 1_440;
const MINUTE_MS: i64 = 60_000;

/// A country in which a language is posted, its share of that language, and its offset from UTC in minutes.
///
/// One offset a country and no daylight saving: an hour's error in a synthetic rhythm changes no conclusion.
#[derive(Debug, Clone, Copy)]
struct Region {
    language: Language,
    country: &'static str,
    share: f64,
    offset_min: i64,
}

const fn region(language: Language, country: &'static str, share: f64, offset_min: i64) -> Region {
    Region { language, country, share, offset_min }
}

const REGIONS: [Region; 22] = [
    region(Language::En, "US", 0.52, -330),
    region(Language::En, "GB", 0.19, 60),
    region(Language::En, "CA", 0.06, -300),
    region(Language::En, "IN", 0.09, 330),
    region(Language::En, "AU", 0.05, 600),
    region(Language::En, "PH", 0.05, 480),
    region(Language::En, "IE", 0.04, 60),
    region(Language::Es, "ES", 0.27, 120),
    region(Language::Es, "MX", 0.34, -360),
    region(Language::Es, "AR", 0.18, -180),
    region(Language::Es, "CO", 0.13, -300),
    region(Language::Es, "CL", 0.08, -240),
    region(Language::Pt, "BR", 0.91, -180),
    region(Language::Pt, "PT", 0.09, 60),
    region(Language::Fr, "FR", 0.80, 120),
    region(Language::Fr, "BE", 0.08, 120),
    region(Language::Fr, "CA", 0.08, -240),
    region(Language::Fr, "CH", 0.04, 120),
    region(Language::De, "DE", 0.82, 120),
    region(Language::De, "AT", 0.10, 120),
    region(Language::De, "CH", 0.08, 120),
    region(Language::Ja, "JP", 1.0, 540),
];

/// Where one service's people are in their day.
#[derive(Debug, Clone)]
pub(crate) struct Pulse {
    /// Rate of each local minute of a day over the mean of a day.
    day: Vec<f64>,
    weekday_factor: f64,
    weekend_factor: f64,
    /// Share of each region of [`REGIONS`] in the service's posts, over a week.
    shares: Vec<f64>,
    /// The same, times where the region's day stands in the minute last asked for.
    now: Vec<f64>,
}

impl Pulse {
    pub(crate) fn new(service: &Service) -> Self {
        let rhythm = &service.rhythm;
        let mut day: Vec<f64> = (0..DAY_MIN)
            .map(|minute| swing(minute as f64 / 60.0, rhythm.peak_hour, rhythm.strength))
            .collect();
        let mean = day.iter().sum::<f64>() / DAY_MIN as f64;
        day.iter_mut().for_each(|rate| *rate /= mean);
        // A week has the mean rate, however the weekend differs from the working days.
        let week_mean = (5.0 + 2.0 * rhythm.weekend) / 7.0;
        let total: f64 = service.languages.values().sum();
        let language_share = |language| service.languages.get(&language).copied().unwrap_or(0.0) / total;
        let shares = REGIONS.iter().map(|region| region.share * language_share(region.language)).collect();
        Self {
            day,
            weekday_factor: 1.0 / week_mean,
            weekend_factor: rhythm.weekend / week_mean,
            shares,
            now: vec![0.0; REGIONS.len()],
        }
    }

    /// Moves to a minute and gives its rate over the mean rate of a week.
    pub(crate) fn at(&mut self, minute_ms: i64) -> f64 {
        let utc_min = minute_ms.div_euclid(MINUTE_MS);
        for ((now, share), region) in self.now.iter_mut().zip(&self.shares).zip(&REGIONS) {
            let local_min = utc_min + region.offset_min;
            let minute_of_day = local_min.rem_euclid(DAY_MIN) as usize;
            let weekend = is_weekend(local_min.div_euclid(DAY_MIN));
            let factor = if weekend { self.weekend_factor } else { self.weekday_factor };
            *now = share * self.day[minute_of_day] * factor;
        }
        self.now.iter().sum()
    }

    /// Language and country of one post of the minute last asked for.
    pub(crate) fn place(&self, dice: &mut Dice) -> (Language, &'static str) {
        let region = &REGIONS[dice.weighted(self.now.iter().copied())];
        (region.language, region.country)
    }
}

/// Day 0, 1 January 1970, was a Thursday.
pub(crate) fn is_weekend(day: i64) -> bool {
    matches!((day + 4).rem_euclid(7), 0 | 6)
}

/// The daily curve before it is scaled to a mean of 1: one broad maximum at the peak, a shoulder half a day apart.
pub(crate) fn swing(hour: f64, peak_hour: f64, strength: f64) -> f64 {
    let angle = 2.0 * core::f64::consts::PI * (hour - peak_hour) / 24.0;
    libm::exp(strength * (libm::cos(angle) + 0.3 * libm::cos(2.0 * angle)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    fn week(service: &Service) -> Vec<f64> {
        let mut pulse = Pulse::new(service);
        (0..7 * DAY_MIN).map(|minute| pulse.at(minute * MINUTE_MS)).collect()
    }

    #[test]
    fn a_week_has_the_mean_rate() {
        for service in &Scenario::demo().services {
            let rates = week(service);
            let mean = rates.iter().sum::<f64>() / rates.len() as f64;
            assert!((mean - 1.0).abs() < 1e-9, "{}: mean {mean}", service.id);
        }
    }

    #[test]
    fn a_day_swings_and_the_weekend_differs() {
        let mut service = Scenario::demo().services[0].clone();
        service.rhythm.weekend = 0.3;
        service.rhythm.strength = 1.0;
        let rates = week(&service);
        let high = rates.iter().copied().fold(0.0, f64::max);
        let low = rates.iter().copied().fold(f64::MAX, f64::min);
        assert!(high > 3.0 * low, "from {low} to {high}");
    }

    #[test]
    fn shares_of_each_language_add_up_to_one() {
        use Language::{De, En, Es, Fr, Ja, Pt};
        for language in [En, Es, Pt, Fr, De, Ja] {
            let total: f64 = REGIONS.iter().filter(|r| r.language == language).map(|r| r.share).sum();
            assert!((total - 1.0).abs() < 1e-9, "{language:?}: {total}");
        }
    }
}
