//! Popularity alone, for lists that are counted without a training.

use crate::counts::{DAY_MS, aged};
use crate::fixed_point::to_fixed;

/// The windows day, week, month and all time, in days: the half-life of the weights.
const DAYS: [f64; 4] = [1.0, 7.0, 30.0, f64::INFINITY];

/// The weight of a basket of this time in the windows day, week, month and all time: 0.5^(age / half-life), as a
/// fixed-point number with 32 binary places. Times are in milliseconds; `now_ms` is the newest basket's.
///
/// A product's popularity is the sum over the baskets that hold it divided by the sum over all baskets, just as in
/// [`Priors::popularity`](crate::Priors::popularity) (which rounds it to some four digits). Sums of integers do not
/// depend on their order. A `u64` holds 2^32 baskets.
#[must_use]
pub fn window_weights(now_ms: i64, time_ms: i64) -> [u64; 4] {
    DAYS.map(|half_life| to_fixed(aged(now_ms, time_ms, half_life)))
}

/// Whether a basket of this time is one of the last day, the last seven and the last thirty days before `now_ms`, and
/// of all time: for counts that a person can recount, where the weights are for the order.
#[must_use]
pub fn in_windows(now_ms: i64, time_ms: i64) -> [bool; 4] {
    #[allow(clippy::cast_precision_loss, reason = "exact for the milliseconds of a thousand centuries")]
    let age = now_ms.saturating_sub(time_ms) as f64;
    DAYS.map(|days| age < days * DAY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_basket_as_old_as_a_half_life_weighs_a_half() {
        const DAY: i64 = 86_400_000;
        let one = 1_u64 << 32;
        assert_eq!(window_weights(40 * DAY, 40 * DAY), [one; 4]);
        assert_eq!(window_weights(40 * DAY, 39 * DAY)[0], one / 2);
        assert_eq!(window_weights(40 * DAY, 33 * DAY)[1], one / 2);
        assert_eq!(window_weights(40 * DAY, 10 * DAY)[2], one / 2);
        assert_eq!(window_weights(40 * DAY, 0)[3], one);
        assert_eq!(window_weights(40 * DAY, 41 * DAY), [one; 4]);
    }

    #[test]
    fn a_window_ends_at_its_first_millisecond() {
        const DAY: i64 = 86_400_000;
        assert_eq!(in_windows(40 * DAY, 40 * DAY), [true; 4]);
        assert_eq!(in_windows(40 * DAY, 39 * DAY + 1), [true; 4]);
        assert_eq!(in_windows(40 * DAY, 39 * DAY), [false, true, true, true]);
        assert_eq!(in_windows(40 * DAY, 33 * DAY), [false, false, true, true]);
        assert_eq!(in_windows(40 * DAY, 10 * DAY), [false, false, false, true]);
        assert_eq!(in_windows(i64::MAX, i64::MIN), [false, false, false, true]);
    }
}
