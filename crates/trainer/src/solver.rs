//! Accelerated gradient descent (Nesterov 1983; restarts after O'Donoghue and Candès 2015, which need no constant of the
//! problem).

const STEPS_MAX: usize = 2000;
/// Stop when no weight moves by more in a step.
const TOLERANCE: f64 = 1e-5;

/// The `n` weights at which a convex loss is least, the weights named in `at_least` not below the value with them (each
/// step is projected: Beck and Teboulle 2009).
pub(crate) fn minimise(
    n: usize,
    at_least: &[(usize, f64)],
    loss_and_gradient: impl Fn(&[f64]) -> (f64, Vec<f64>),
) -> Vec<f64> {
    let mut at = vec![0.0; n];
    at_least.iter().for_each(|&(weight, value)| at[weight] = f64::max(value, 0.0));
    let mut ahead = at.clone();
    let mut momentum: f64 = 1.0;
    let mut step = 1.0;
    for _ in 0..STEPS_MAX {
        let (loss, gradient) = loss_and_gradient(&ahead);
        let next = loop {
            let mut next: Vec<f64> = ahead.iter().zip(&gradient).map(|(x, g)| x - step * g).collect();
            at_least.iter().for_each(|&(weight, value)| next[weight] = next[weight].max(value));
            let moved = || next.iter().zip(&ahead).map(|(a, b)| a - b);
            let promised: f64 = gradient.iter().zip(moved()).map(|(g, d)| g * d + d * d / (2.0 * step)).sum();
            // A step is short enough when it falls by what the slope and its length promise.
            if loss_and_gradient(&next).0 <= loss + promised {
                break next;
            }
            step /= 2.0;
            if step < 1e-12 {
                return at;
            }
        };
        let moved = next.iter().zip(&at).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        let turns_back: f64 = gradient.iter().zip(next.iter().zip(&at)).map(|(g, (a, b))| g * (a - b)).sum();
        let momentum_next =
            if turns_back > 0.0 { 1.0 } else { (1.0 + (1.0 + 4.0 * momentum * momentum).sqrt()) / 2.0 };
        let share = if turns_back > 0.0 { 0.0 } else { (momentum - 1.0) / momentum_next };
        ahead = next.iter().zip(&at).map(|(a, b)| a + share * (a - b)).collect();
        momentum = momentum_next;
        at = next;
        if moved < TOLERANCE {
            break;
        }
    }
    at
}
