//! What the baseline borrows from the normal distribution: residuals of counts and quantiles of rates.

/// 1.5 (y^⅔ − μ^⅔) / μ^⅙: a Poisson count made nearly standard normal (Anscombe 1953). `mean` > 0.
pub(crate) fn anscombe_residual(y: f64, mean: f64) -> f64 {
    let two_thirds = |x: f64| {
        let root = libm::cbrt(x);
        root * root
    };
    1.5 * (two_thirds(y) - two_thirds(mean)) / libm::sqrt(libm::cbrt(mean))
}

/// A quantile of a Gamma distribution with mean 1 and this shape, from that of the standard normal distribution
/// (Wilson & Hilferty 1931); its error is below 3 % for shapes from 0.5, and smaller shapes count as 0.3.
pub(crate) fn gamma_quantile(shape: f64, normal_quantile: f64) -> f64 {
    let shape = shape.max(0.3);
    let root = 1.0 - 1.0 / (9.0 * shape) + normal_quantile / (3.0 * libm::sqrt(shape));
    root * root * root
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUANTILES: [(f64, f64, f64); 4] = [
        (0.5, 2.705_543, 6.634_897),
        (2.0, 1.944_860, 3.319_176),
        (4.0, 1.670_196, 2.511_279),
        (25.0, 1.263_342, 1.523_078),
    ];

    #[test]
    fn gamma_quantiles_are_close_to_exact_ones() {
        // scipy.stats.gamma.ppf([0.9, 0.99], a) / a
        for (shape, exact_90, exact_99) in QUANTILES {
            let (ours_90, ours_99) =
                (gamma_quantile(shape, 1.281_551_565_5), gamma_quantile(shape, 2.326_347_874));
            assert!((ours_90 / exact_90 - 1.0).abs() < 0.03, "shape {shape}: {ours_90} against {exact_90}");
            assert!((ours_99 / exact_99 - 1.0).abs() < 0.03, "shape {shape}: {ours_99} against {exact_99}");
        }
    }

    #[test]
    fn what_is_hardly_known_has_a_quantile_above_its_mean_all_the_same() {
        assert!(gamma_quantile(1e-6, 1.281_551_565_5) > 1.0);
    }

    #[test]
    fn anscombe_residuals_are_close_to_normal_ones() {
        // 1.5 (16^⅔ − 9^⅔) / 9^⅙ by hand: (6.3496 − 4.3267) × 1.5 / 1.4422.
        assert!((anscombe_residual(16.0, 9.0) - 2.1040).abs() < 1e-3);
        assert!(anscombe_residual(9.0, 9.0).abs() < 1e-12);
    }
}
