//! Holds detections against known outages: who matches whom, and how well.
//!
//! Matching is one to one and anchored on the onset (METHODS §5): a detection belongs to an outage if its estimated
//! onset lies between a tolerance before the true start and the true end, and it was raised between the true start and
//! a tolerance after the true end. A detection that merely overlaps an outage that it did not see begin does not count.
//! Among all pairs that may match, those with the closest onsets are taken first.

use groundswell_core::{Catalogue, EventTime, OutageEvent};
use statrs::distribution::{ChiSquared, ContinuousCDF};

use crate::told::{Told, tell};

const MS_PER_MINUTE: f64 = 60_000.0;
const SECONDS_PER_YEAR: f64 = 31_557_600.0;

/// A known outage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Truth {
    pub(crate) service: String,
    pub(crate) start: EventTime,
    pub(crate) end: EventTime,
    /// A word for what it is; only people read it.
    pub(crate) kind: String,
    /// Whether it is neither truth nor false alarm: what matches it is left out.
    pub(crate) is_ignored: bool,
}

/// An outage that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Detection {
    pub(crate) service: String,
    pub(crate) onset: EventTime,
    pub(crate) raised: EventTime,
    /// When the rate was back, and when that was decided; `None` while it goes on.
    pub(crate) ended: Option<(EventTime, EventTime)>,
}

/// Which outages count as found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Tier {
    /// Outages that were suspected, whether or not they were confirmed.
    Suspected,
    /// Outages that were confirmed.
    Started,
}

/// The outages of `events` that reached `tier`, in the order in which they were raised to it.
pub(crate) fn detections(events: &[OutageEvent], services: &Catalogue, tier: Tier) -> Vec<Detection> {
    let detection = |told: Told| {
        let raised = match tier {
            Tier::Suspected => Some(told.suspected),
            Tier::Started => told.started,
        }?;
        let service = services.service(told.service).id.clone();
        Some(Detection { service, onset: raised.onset, raised: raised.at, ended: told.ended })
    };
    let mut detections: Vec<Detection> = tell(events).into_iter().filter_map(detection).collect();
    detections.sort_by(|a, b| (a.raised, &a.service).cmp(&(b.raised, &b.service)));
    detections
}

/// Which detection belongs to which known outage, by index.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Matching {
    pub(crate) pairs: Vec<(usize, usize)>,
    pub(crate) missed: Vec<usize>,
    pub(crate) false_alarms: Vec<usize>,
    pub(crate) n_ignored: usize,
}

/// Matches `detections` to `truths`.
pub(crate) fn match_onsets(truths: &[Truth], detections: &[Detection], tolerance_ms: i64) -> Matching {
    let mut candidates = Vec::new();
    for (t, truth) in truths.iter().enumerate() {
        for (d, detection) in detections.iter().enumerate() {
            let is_near = detection.service == truth.service
                && detection.onset >= truth.start.plus_ms(-tolerance_ms)
                && detection.onset <= truth.end
                && detection.raised >= truth.start
                && detection.raised <= truth.end.plus_ms(tolerance_ms);
            if is_near {
                // A true outage goes before one that is ignored.
                candidates.push((truth.is_ignored, detection.onset.ms_since(truth.start).abs(), t, d));
            }
        }
    }
    candidates.sort_unstable();
    let mut matched_truth = vec![false; truths.len()];
    let mut matched_detection = vec![false; detections.len()];
    let mut matching = Matching::default();
    for (is_ignored, _, t, d) in candidates {
        // An ignored stretch may hold any number of detections.
        if matched_detection[d] || (matched_truth[t] && !is_ignored) {
            continue;
        }
        matched_truth[t] = true;
        matched_detection[d] = true;
        if is_ignored {
            matching.n_ignored += 1;
        } else {
            matching.pairs.push((t, d));
        }
    }
    matching.pairs.sort_unstable();
    matching.missed = (0..truths.len()).filter(|&t| !matched_truth[t] && !truths[t].is_ignored).collect();
    matching.false_alarms = (0..detections.len()).filter(|&d| !matched_detection[d]).collect();
    matching
}

/// The figures, times in minutes. A ratio of nothing to nothing is `None`.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Figures {
    pub(crate) outages: usize,
    pub(crate) detections: usize,
    pub(crate) true_positives: usize,
    pub(crate) ignored: usize,
    pub(crate) precision: Option<f64>,
    pub(crate) recall: Option<f64>,
    pub(crate) f1: f64,
    pub(crate) delay_min_mean: Option<f64>,
    pub(crate) delay_min_median: Option<f64>,
    pub(crate) delay_min_p95: Option<f64>,
    pub(crate) onset_error_min_median: Option<f64>,
    pub(crate) end_error_min_median: Option<f64>,
    pub(crate) end_decision_delay_min_median: Option<f64>,
    pub(crate) ongoing: usize,
    pub(crate) false_alarms: usize,
    pub(crate) service_years: f64,
    pub(crate) false_alarms_per_service_year: Option<f64>,
    /// The exact 95 % interval of that rate.
    pub(crate) false_alarms_per_service_year_95: Option<(f64, f64)>,
}

impl Figures {
    /// Judges a matching; `n_services` were watched from `first` to `last`.
    pub(crate) fn of(
        matching: &Matching,
        truths: &[Truth],
        detections: &[Detection],
        n_services: usize,
        watched_ms: i64,
    ) -> Self {
        let n_pairs = matching.pairs.len();
        let minutes = |later: EventTime, earlier: EventTime| later.ms_since(earlier) as f64 / MS_PER_MINUTE;
        let pairs = || matching.pairs.iter().map(|&(t, d)| (&truths[t], &detections[d]));
        let delays: Vec<f64> = pairs().map(|(truth, found)| minutes(found.raised, truth.start)).collect();
        let onset_errors = pairs().map(|(truth, found)| minutes(found.onset, truth.start).abs()).collect();
        let ends: Vec<(f64, f64)> = pairs()
            .filter_map(|(truth, found)| {
                let (ended, decided) = found.ended?;
                Some((minutes(ended, truth.end).abs(), minutes(decided, truth.end)))
            })
            .collect();
        let n_truths = truths.iter().filter(|truth| !truth.is_ignored).count();
        let n_judged = detections.len() - matching.n_ignored;
        let n_false = matching.false_alarms.len();
        let service_years = n_services as f64 * watched_ms as f64 / 1000.0 / SECONDS_PER_YEAR;
        let per_year = |n: f64| (service_years > 0.0).then(|| n / service_years);
        let (low, high) = poisson_interval_95(n_false as u64);
        Self {
            outages: n_truths,
            detections: n_judged,
            true_positives: n_pairs,
            ignored: matching.n_ignored,
            precision: ratio(n_pairs, n_judged),
            recall: ratio(n_pairs, n_truths),
            // 2TP / (2TP + FP + FN); with nothing to find and nothing found, nothing is wrong.
            f1: ratio(2 * n_pairs, n_truths + n_judged).unwrap_or(1.0),
            delay_min_mean: (n_pairs > 0).then(|| delays.iter().sum::<f64>() / n_pairs as f64),
            delay_min_median: quantile(delays.clone(), 0.5),
            delay_min_p95: quantile(delays, 0.95),
            onset_error_min_median: quantile(onset_errors, 0.5),
            end_error_min_median: quantile(ends.iter().map(|end| end.0).collect(), 0.5),
            end_decision_delay_min_median: quantile(ends.iter().map(|end| end.1).collect(), 0.5),
            ongoing: detections.iter().filter(|found| found.ended.is_none()).count(),
            false_alarms: n_false,
            service_years,
            false_alarms_per_service_year: per_year(n_false as f64),
            false_alarms_per_service_year_95: per_year(low).zip(per_year(high)),
        }
    }
}

/// A part of a whole; `None` of nothing.
pub(crate) fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The same for people.
pub(crate) fn share(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}

/// The median; `None` of nothing.
pub(crate) fn median(values: Vec<f64>) -> Option<f64> {
    quantile(values, 0.5)
}

/// The q-quantile, by linear interpolation between order statistics (R's type 7).
fn quantile(mut values: Vec<f64>, q: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let at = q * values.len().checked_sub(1)? as f64;
    let (below, above) = (values[at.floor() as usize], values[at.ceil() as usize]);
    Some(below + (above - below) * at.fract())
}

/// The exact 95 % interval of a Poisson mean of which `n` events were seen (Garwood, Biometrika 28, 1936): quantiles of
/// χ² with 2n and 2n + 2 degrees of freedom, halved.
pub(crate) fn poisson_interval_95(n: u64) -> (f64, f64) {
    let half_quantile = |freedom: f64, p: f64| {
        ChiSquared::new(freedom).expect("positive degrees of freedom").inverse_cdf(p) / 2.0
    };
    let low = if n == 0 { 0.0 } else { half_quantile(2.0 * n as f64, 0.025) };
    (low, half_quantile(2.0 * n as f64 + 2.0, 0.975))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> EventTime {
        EventTime::from_ms(1_700_000_000_000 + minute * 60_000).expect("a time in range")
    }

    fn truth(start: i64, end: i64) -> Truth {
        Truth {
            service: "s".to_owned(),
            start: at(start),
            end: at(end),
            kind: "outage".to_owned(),
            is_ignored: false,
        }
    }

    fn found(onset: i64, raised: i64) -> Detection {
        Detection {
            service: "s".to_owned(),
            onset: at(onset),
            raised: at(raised),
            ended: Some((at(70), at(80))),
        }
    }

    #[track_caller]
    fn check(truths: &[Truth], found: &[Detection], expected: Matching) {
        assert_eq!(match_onsets(truths, found, 15 * 60_000), expected);
    }

    fn matching(
        pairs: &[(usize, usize)],
        missed: &[usize],
        false_alarms: &[usize],
        n_ignored: usize,
    ) -> Matching {
        Matching { pairs: pairs.into(), missed: missed.into(), false_alarms: false_alarms.into(), n_ignored }
    }

    #[test]
    fn a_detection_must_see_the_outage_begin() {
        check(&[truth(0, 60)], &[found(-15, 5)], matching(&[(0, 0)], &[], &[], 0));
        check(&[truth(0, 60)], &[found(-16, 5)], matching(&[], &[0], &[0], 0));
        check(&[truth(0, 60)], &[found(60, 75)], matching(&[(0, 0)], &[], &[], 0));
        check(&[truth(0, 60)], &[found(60, 76)], matching(&[], &[0], &[0], 0));
        check(&[truth(0, 60)], &[found(-5, -1)], matching(&[], &[0], &[0], 0));
    }

    #[test]
    fn an_outage_has_one_detection_the_one_with_the_closest_onset() {
        check(&[truth(0, 60)], &[found(20, 25), found(1, 5)], matching(&[(0, 1)], &[], &[0], 0));
        check(
            &[truth(0, 60), truth(20, 90)],
            &[found(2, 5), found(22, 25)],
            matching(&[(0, 0), (1, 1)], &[], &[], 0),
        );
    }

    #[test]
    fn what_matches_an_ignored_stretch_is_left_out() {
        let ignored = Truth { is_ignored: true, ..truth(0, 60) };
        check(std::slice::from_ref(&ignored), &[found(1, 5), found(30, 35)], matching(&[], &[], &[], 2));
        check(&[ignored.clone(), truth(0, 60)], &[found(1, 5)], matching(&[(1, 0)], &[], &[], 0));
        check(&[ignored], &[], matching(&[], &[], &[], 0));
    }

    #[test]
    fn another_service_is_another_matter() {
        let other = Detection { service: "t".to_owned(), ..found(1, 5) };
        check(&[truth(0, 60)], &[other], matching(&[], &[0], &[0], 0));
    }

    #[test]
    fn poisson_intervals_are_the_published_ones() {
        // Garwood (1936), as tabulated in Ulm, Am. J. Epidemiol. 131 (1990) 373.
        for (n, low, high) in [(0, 0.0, 3.689), (1, 0.0253, 5.572), (10, 4.795, 18.39)] {
            let (ours_low, ours_high) = poisson_interval_95(n);
            assert!(
                (ours_low - low).abs() < 1e-3 && (ours_high - high).abs() < 1e-2,
                "{n}: {ours_low} {ours_high}"
            );
        }
    }

    #[test]
    fn figures_of_a_small_case_are_those_by_hand() {
        let truths = [truth(0, 60), truth(600, 660)];
        let detections = [found(2, 6), found(300, 310)];
        let found = match_onsets(&truths, &detections, 900_000);
        let figures = Figures::of(&found, &truths, &detections, 2, 31_557_600_000);
        assert_eq!((figures.precision, figures.recall, figures.f1), (Some(0.5), Some(0.5), 0.5));
        assert_eq!((figures.delay_min_median, figures.onset_error_min_median), (Some(6.0), Some(2.0)));
        assert_eq!(
            (figures.end_error_min_median, figures.end_decision_delay_min_median),
            (Some(10.0), Some(20.0))
        );
        assert_eq!((figures.service_years, figures.false_alarms_per_service_year), (2.0, Some(0.5)));
        let nothing = Figures::of(&Matching::default(), &[], &[], 0, 0);
        assert_eq!((nothing.f1, nothing.precision, nothing.false_alarms_per_service_year), (1.0, None, None));
    }
}
