//! What can be simulated: every rule names the key, the value and the range, so that a scenario is mended in one go.

use std::collections::BTreeSet;
use std::fmt::Display;

use super::{Outage, Scenario, ScenarioError, Service, Surge};

/// Longest stretch: ten years of minutes is where a slip in a date shows up, not a wish.
const DURATION_MS_MAX: i64 = 3_660 * 86_400_000;
/// Rates and multipliers above this would fill a disk before anybody noticed.
const RATE_MAX: f64 = 1_000_000.0;
const MINUTE_MS: i64 = 60_000;

type Checked = Result<(), ScenarioError>;

/// Checks the whole scenario, in the order of the file.
pub(super) fn check(scenario: &Scenario) -> Checked {
    check_time(scenario)?;
    let people = &scenario.people;
    require(people.population >= 1, "people.population", people.population, "expected 1 or more")?;
    share("people.loud_share", people.loud_share)?;
    let no_loud = people.loud == 0 && people.loud_share > 0.0;
    require(!no_loud, "people.loud", people.loud, "expected 1 or more while loud_share is above 0")?;
    check_style(scenario)?;
    check_services(scenario)?;
    for (index, outage) in scenario.outages.iter().enumerate() {
        check_outage(scenario, &format!("outage[{index}]"), outage)?;
    }
    for (index, surge) in scenario.surges.iter().enumerate() {
        check_surge(scenario, &format!("surge[{index}]"), surge)?;
    }
    check_noise(scenario)
}

fn check_time(scenario: &Scenario) -> Checked {
    let (start, end) = (scenario.start_ms, scenario.end_ms);
    require(start >= 0, "start", start, "expected 1970 or later")?;
    require(start % MINUTE_MS == 0, "start", start, "expected a whole minute")?;
    require(end > start, "end", end, "expected a time after start")?;
    require(end - start <= DURATION_MS_MAX, "end", end, "expected at most ten years after start")
}

fn check_style(scenario: &Scenario) -> Checked {
    let style = &scenario.style;
    share("style.lang_share", style.lang_share)?;
    share("style.country_share", style.country_share)?;
    share("style.source_share", style.source_share)?;
    share("style.oblique_share", style.oblique_share)?;
    share("style.repost_share", style.repost_share)?;
    share("style.typo_share", style.typo_share)?;
    within("style.dispersion_phi", style.dispersion_phi, 1.0, 10.0)?;
    within("style.out_of_order_s_max", style.out_of_order_s_max, 0.0, 3_600.0)
}

fn check_services(scenario: &Scenario) -> Checked {
    require(!scenario.services.is_empty(), "service", "empty", "expected at least one")?;
    let mut seen = BTreeSet::new();
    for service in &scenario.services {
        require(seen.insert(&service.id), "service.id", &service.id, "expected each id once")?;
        check_service(service)?;
    }
    Ok(())
}

fn check_service(service: &Service) -> Checked {
    let key = |field: &str| format!("service {}: {field}", service.id);
    require(!service.id.is_empty(), "service.id", "empty", "expected a name")?;
    let named = !service.names.is_empty() && service.names.iter().all(|name| !name.is_empty());
    require(named, &key("names"), format!("{:?}", service.names), "expected spellings")?;
    for (language, names) in &service.local_names {
        require(!names.is_empty(), &key("local_names"), format!("{language:?}"), "expected spellings")?;
    }
    within(&key("complaints_per_hour"), service.complaints_per_hour, 0.0, RATE_MAX)?;
    within(&key("mentions_per_hour"), service.mentions_per_hour, 0.0, RATE_MAX)?;
    weights(&key("languages"), service.languages.values().copied())?;
    within(&key("rhythm.peak_hour"), service.rhythm.peak_hour, 0.0, 24.0)?;
    within(&key("rhythm.strength"), service.rhythm.strength, 0.0, 2.0)?;
    within(&key("rhythm.weekend"), service.rhythm.weekend, 0.0, 10.0)
}

fn check_outage(scenario: &Scenario, key: &str, outage: &Outage) -> Checked {
    let at = |field: &str| format!("{key}.{field}");
    known(scenario, &at("service"), &outage.service)?;
    inside(scenario, &at("start"), outage.start_ms)?;
    within(&at("duration_min"), outage.duration_min, 1.0, 1e6)?;
    within(&at("multiplier"), outage.multiplier, 1.0, RATE_MAX)?;
    within(&at("course.ramp_min"), outage.course.ramp_min, 0.0, 1e6)?;
    within(&at("course.fatigue_half_life_min"), outage.course.fatigue_half_life_min, 0.0, 1e6)?;
    within(&at("course.decay_min"), outage.course.decay_min, 0.1, 1e6)?;
    let mut from_min = 0.0;
    for phase in &outage.phases {
        require(phase.from_min >= from_min, &at("phase.from_min"), phase.from_min, "expected rising times")?;
        from_min = phase.from_min;
        weights(&at("phase.symptoms"), phase.symptoms.values().copied())?;
    }
    let echo = &outage.echo;
    share(&at("echo.oblique_share"), echo.oblique_share)?;
    within(&at("echo.joke_share"), echo.joke_share, 0.0, 10.0)?;
    within(&at("echo.repost_share"), echo.repost_share, 0.0, 10.0)?;
    within(&at("echo.unaffected_share"), echo.unaffected_share, 0.0, 10.0)?;
    within(&at("echo.recovery_share"), echo.recovery_share, 0.0, 10.0)?;
    within(&at("echo.news_per_hour"), echo.news_per_hour, 0.0, RATE_MAX)?;
    within(&at("echo.official_per_hour"), echo.official_per_hour, 0.0, RATE_MAX)?;
    for dependant in &outage.dependants {
        let at = |field: &str| format!("{key}.dependant {}: {field}", dependant.service);
        known(scenario, &at("service"), &dependant.service)?;
        let itself = dependant.service == outage.service;
        require(!itself, &at("service"), &dependant.service, "expected another service than the provider")?;
        within(&at("lag_min"), dependant.lag_min, 0.0, 1e5)?;
        within(&at("duration_min"), dependant.duration_min, 1.0, 1e6)?;
        within(&at("multiplier"), dependant.multiplier, 1.0, RATE_MAX)?;
        share(&at("blame_share"), dependant.blame_share)?;
    }
    Ok(())
}

fn check_surge(scenario: &Scenario, key: &str, surge: &Surge) -> Checked {
    let at = |field: &str| format!("{key}.{field}");
    require(!surge.services.is_empty(), &at("services"), "empty", "expected at least one")?;
    for service in &surge.services {
        known(scenario, &at("services"), service)?;
    }
    inside(scenario, &at("start"), surge.start_ms)?;
    within(&at("duration_min"), surge.duration_min, 1.0, 1e6)?;
    within(&at("multiplier"), surge.multiplier, 1.0, RATE_MAX)?;
    within(&at("ramp_min"), surge.ramp_min, 0.0, 1e6)?;
    within(&at("decay_min"), surge.decay_min, 0.1, 1e6)?;
    within(&at("complaints"), surge.complaints, 0.0, RATE_MAX)
}

fn check_noise(scenario: &Scenario) -> Checked {
    let noise = &scenario.noise;
    let exclusive = noise.exclusive_shares();
    for (name, value) in exclusive {
        share(&format!("noise.{name}"), value)?;
    }
    // One post has one fault, so that every fault can be counted by its reason.
    let total: f64 = exclusive.iter().map(|(_, value)| value).sum();
    require(total <= 1.0, "noise (sum of faults)", total, "expected at most 1")?;
    share("noise.epoch_ms", noise.epoch_ms)?;
    share("noise.offset_time", noise.offset_time)?;
    share("noise.crlf", noise.crlf)?;
    share("noise.empty_line", noise.empty_line)
}

fn require(holds: bool, key: &str, value: impl Display, allowed: &str) -> Checked {
    if holds {
        return Ok(());
    }
    Err(ScenarioError::Invalid { key: key.to_owned(), value: value.to_string(), allowed: allowed.to_owned() })
}

fn within(key: &str, value: f64, low: f64, high: f64) -> Checked {
    require((low..=high).contains(&value), key, value, &format!("expected {low} to {high}"))
}

fn share(key: &str, value: f64) -> Checked {
    within(key, value, 0.0, 1.0)
}

fn weights(key: &str, values: impl Iterator<Item = f64> + Clone) -> Checked {
    for value in values.clone() {
        within(key, value, 0.0, RATE_MAX)?;
    }
    let total: f64 = values.sum();
    require(total > 0.0, key, total, "expected at least one share above 0")
}

fn known(scenario: &Scenario, key: &str, id: &str) -> Checked {
    require(scenario.position(id).is_some(), key, id, "expected the id of a [[service]] of this scenario")
}

fn inside(scenario: &Scenario, key: &str, time_ms: i64) -> Checked {
    let holds = (scenario.start_ms..scenario.end_ms).contains(&time_ms);
    require(holds, key, time_ms, "expected a time between start and end of the scenario (epoch ms)")
}
