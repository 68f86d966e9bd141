//! The floor of the delay: what the best test there can be needs, knowing rate, dispersion and strength beforehand.
//!
//! A CUSUM for exactly this change has the shortest worst-case mean delay of all tests with its run length between false
//! alarms (Moustakides, *Ann. Statist.* 14, 1986). The table gives it for a run length of a service-year in minutes, the
//! onset on a minute's edge and the statistic at zero. It was computed by importance sampling: run length = mean length
//! of a cycle under the null / probability that a cycle ends above the threshold, the latter as the mean of e^−S under
//! the changed law; the threshold by bisection, 8,000 cycles a step; Monte-Carlo error 1 to 3 %.

/// Columns: rate, multiplier, size, delay.
const TABLE: &str = include_str!("../data/oracle_delay.csv");

/// The shortest possible mean delay in minutes for a rate that is `multiplier` times the expected `rate` a minute, with
/// counts of negative binomial `size`; between the rates of the table by a straight line in the logarithms, beyond them
/// the last. `None` for a multiplier or size that the table does not have.
pub fn oracle_delay_min(rate: f64, multiplier: f64, size: f64) -> Option<f64> {
    let mut below: Option<(f64, f64)> = None;
    for line in TABLE.lines().skip(1) {
        let fields: Vec<f64> = line.split(',').filter_map(|field| field.parse().ok()).collect();
        let [at, m, r, delay] = fields[..] else { panic!("the table has four columns: {line}") };
        if m != multiplier || r != size {
            continue;
        }
        if at >= rate {
            let Some((low, at_low)) = below else { return Some(delay * at / rate) };
            let share = libm::log(rate / low) / libm::log(at / low);
            return Some(at_low * libm::pow(delay / at_low, share));
        }
        below = Some((at, delay));
    }
    below.map(|(_, delay)| delay)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rate: f64, multiplier: f64, size: f64, expected: f64) {
        let found = oracle_delay_min(rate, multiplier, size).expect("the table has it");
        assert!((found / expected - 1.0).abs() < 0.05, "{rate} ×{multiplier}, r = {size}: {found}");
    }

    /// METHODS of the design, §2: another run of the same method, with more cycles.
    #[test]
    fn the_table_agrees_with_published_delays() {
        check(0.1, 2.0, f64::INFINITY, 226.0);
        check(0.1, 20.0, 5.0, 4.06);
        check(1.0, 5.0, f64::INFINITY, 3.61);
        check(10.0, 2.0, 5.0, 11.3);
        check(100.0, 2.0, 5.0, 8.6);
        check(100.0, 20.0, f64::INFINITY, 1.0);
    }

    #[test]
    fn between_and_beyond_the_rates_it_is_continued() {
        let at = |rate| oracle_delay_min(rate, 5.0, 5.0).expect("the table has it");
        assert!(at(0.1) > at(0.2) && at(0.2) > at(0.3));
        assert!((at(0.01) / at(0.02) - 2.0).abs() < 1e-9, "below it, time scales with the rate");
        assert_eq!(at(300.0), at(3000.0));
        assert_eq!(oracle_delay_min(1.0, 7.0, 5.0), None);
    }
}
