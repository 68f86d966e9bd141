//! The settings that decide results, checked once; everything after that may rely on them.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::judgement::AuthorKey;
use crate::time::BinWidth;

/// Settings of the core. Equal settings, catalogue and lexicon give equal events for equal posts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// The width of a bin.
    pub bin_width: BinWidth,
    /// The promise for *suspected*: how often a year a service without an outage may be suspected.
    pub suspected_false_alarms_per_service_year: f64,
    /// The promise for *started*.
    pub started_false_alarms_per_service_year: f64,
    /// How long a bin stays open for posts that arrive out of order, milliseconds.
    pub allowed_lateness_ms: u32,
    /// A post further ahead of the others than this has to be borne out before it moves the watermark, milliseconds.
    pub ahead_ms_max: u32,
    /// An author counts once per service in this time, milliseconds.
    pub author_window_ms: u32,
    /// The same long text counts at most this often a bin.
    pub copies_max: u32,
    /// How long a rate must have been back before the outage is over, seconds.
    pub cooldown_s: u32,
    /// Updates of one outage are at least this far apart, seconds.
    pub update_interval_s: u32,
    /// An outage that lasts longer than this is taken for the new normal, hours.
    pub outage_hours_max: u32,
    /// Key of the author hash.
    pub author_key: AuthorKey,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bin_width: BinWidth::MINUTE,
            suspected_false_alarms_per_service_year: 1.0,
            started_false_alarms_per_service_year: 0.01,
            allowed_lateness_ms: 30_000,
            ahead_ms_max: 60_000,
            author_window_ms: 3_600_000,
            copies_max: 3,
            cooldown_s: 600,
            update_interval_s: 300,
            outage_hours_max: 24,
            author_key: *b"groundswell-open",
        }
    }
}

/// A setting outside its range.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("`{key}` is {value}; it must be {range}")]
pub struct ConfigError {
    /// The setting.
    pub key: &'static str,
    /// The value it was given.
    pub value: String,
    /// The values it may have.
    pub range: String,
}

impl Config {
    /// Fewest bins between false alarms that the thresholds are solved for.
    const RUN_LENGTH_BINS_MIN: f64 = 100.0;
    /// Fewest false alarms a year that make sense to ask for: one in ten thousand years.
    const FALSE_ALARMS_MIN: f64 = 1e-4;

    /// Checks every setting.
    ///
    /// # Errors
    /// The first setting outside its range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let most = self.bin_width.bins_per_year() / Self::RUN_LENGTH_BINS_MIN;
        let suspected = self.suspected_false_alarms_per_service_year;
        let started = self.started_false_alarms_per_service_year;
        within("false_alarms_per_service_year", suspected, Self::FALSE_ALARMS_MIN, most)?;
        within("started_false_alarms_per_service_year", started, Self::FALSE_ALARMS_MIN, suspected)?;
        within("allowed_lateness_s", f64::from(self.allowed_lateness_ms) / 1e3, 0.0, 3600.0)?;
        within("ahead_s_max", f64::from(self.ahead_ms_max) / 1e3, 1.0, 3600.0)?;
        within("author_window_s", f64::from(self.author_window_ms) / 1e3, 60.0, 86_400.0)?;
        within("copies_max", f64::from(self.copies_max), 1.0, 1e6)?;
        within("cooldown_s", f64::from(self.cooldown_s), 60.0, 7200.0)?;
        within("update_interval_s", f64::from(self.update_interval_s), 60.0, 86_400.0)?;
        within("outage_hours_max", f64::from(self.outage_hours_max), 1.0, 720.0)
    }
}

fn within(key: &'static str, value: f64, least: f64, most: f64) -> Result<(), ConfigError> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(ConfigError { key, value: value.to_string(), range: format!("between {least} and {most}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_outside_its_range_is_named_with_value_and_range() {
        assert_eq!(Config::default().validate(), Ok(()));
        let config = Config { suspected_false_alarms_per_service_year: 0.0, ..Config::default() };
        let error = config.validate().expect_err("zero false alarms cannot be promised");
        let text = error.to_string();
        assert!(
            text.starts_with("`false_alarms_per_service_year` is 0; it must be between 0.0001"),
            "{text}"
        );
        let config = Config { suspected_false_alarms_per_service_year: f64::NAN, ..Config::default() };
        assert!(config.validate().is_err(), "not a number is outside every range");
    }
}
