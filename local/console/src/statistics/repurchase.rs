//! When a product is bought again.
//!
//! The share of buyers who have bought a product again within so many days cannot be counted, since most of those who have
//! not bought it again yet bought it too short a time ago. It is estimated as survival times are, with everybody counted
//! for as long as they could be observed (E. L. Kaplan and P. Meier, *Nonparametric Estimation from Incomplete
//! Observations*, JASA 53, 1958): the share that has not yet bought again after `t` days is
//! `S(t) = Π (1 − d(s)/R(s))` over the days `s ≤ t`, with `d(s)` the gaps that ended on day `s`, and `R(s)` those that
//! lasted at least so long.
//!
//! A shopper has many gaps, and those of one shopper are alike. So each shopper counts once, as in M.-C. Wang and
//! S.-H. Chang, *Nonparametric Estimation of a Recurrent Survival Function*, JASA 94, 1999: each of the `m` gaps of a
//! shopper weighs `1/m`, and the one that has not ended counts only if there is no other. With it, those who buy often would
//! count more often, and their last gap is longer than a gap of theirs as a rule.

use serde::Serialize;

/// The least number of shoppers that a point of the curve must rest on to be shown.
const LEAST_AT_RISK: f64 = 5.0;

/// A half, with what sums of fractions may lack.
const HALF: f64 = 0.5 - 1e-9;

/// How far a curve is shown, in days.
const LAST_DAY: u32 = 730;

/// Numbers by day, in the order of the days.
#[derive(Debug, Default)]
pub(super) struct DayCounts {
    days: Vec<u32>,
    /// Apart from the days, since each pair would take as much memory as two of these.
    counts: Vec<f64>,
}

impl DayCounts {
    fn add(&mut self, day: u32, count: f64) {
        match self.days.binary_search(&day) {
            Ok(at) => {
                if let Some(sum) = self.counts.get_mut(at) {
                    *sum += count;
                }
            }
            Err(at) => {
                self.days.insert(at, day);
                self.counts.insert(at, count);
            }
        }
    }

    fn iter(&self) -> impl DoubleEndedIterator<Item = (u32, f64)> {
        self.days.iter().copied().zip(self.counts.iter().copied())
    }
}

/// The gaps between purchases of one product.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    buyers: u32,
    again_buyers: u32,
    /// By their length in days; longer ones than are shown as one.
    ended: DayCounts,
    /// Those who bought once, by the day on which they did.
    once: DayCounts,
}

/// When buyers buy a product again.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Repurchase {
    pub buyers: u32,
    /// Those who bought it on more than one day.
    pub again_buyers: u32,
    /// The days on which the share of those who have bought it again grows, and the last day that is shown.
    pub curve: Vec<CurvePoint>,
    /// The first day on which the share is at least a half.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_days: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct CurvePoint {
    pub days: u32,
    /// Of the buyers, those who have bought it again within these days.
    pub share: f64,
}

impl Gaps {
    /// Adds a shopper who bought the product on these days, ascending, each once.
    pub(super) fn add_buyer(&mut self, days: impl ExactSizeIterator<Item = u32>) {
        let mut days = days;
        let gaps = days.len().saturating_sub(1);
        let Some(first) = days.next() else { return };
        self.buyers = self.buyers.saturating_add(1);
        if gaps == 0 {
            self.once.add(first, 1.0);
            return;
        }
        self.again_buyers = self.again_buyers.saturating_add(1);
        #[allow(clippy::cast_precision_loss, reason = "a number of purchases")]
        let weight = 1.0 / gaps as f64;
        let mut before = first;
        for day in days {
            self.ended.add(day.saturating_sub(before).min(LAST_DAY + 1), weight);
            before = day;
        }
    }

    /// Of a table whose newest purchase is of day `last`.
    pub(super) fn repurchase(&self, last: u32) -> Repurchase {
        let mut lasting = DayCounts::default();
        for (day, buyers) in self.once.iter().rev() {
            lasting.add(last.saturating_sub(day).min(LAST_DAY + 1), buyers);
        }
        let curve = curve(&self.ended, &lasting);
        let median_days = curve.iter().find(|point| point.share > HALF).map(|point| point.days);
        Repurchase { buyers: self.buyers, again_buyers: self.again_buyers, curve, median_days }
    }
}

/// `ended`: the weights of gaps by their lengths; `lasting`: of those that have not ended, by how long they have lasted.
fn curve(ended: &DayCounts, lasting: &DayCounts) -> Vec<CurvePoint> {
    let sum = |counts: &DayCounts| counts.iter().map(|(_, count)| count).sum::<f64>();
    let mut at_risk = sum(ended) + sum(lasting);
    let mut lasting = lasting.iter().peekable();
    let (mut survival, mut points) = (1.0, Vec::new());
    let mut shown_until = None;
    for (days, weight) in ended.iter() {
        // Who has been observed for these days is still at risk on the last of them.
        while let Some((observed, count)) = lasting.next_if(|(observed, _)| *observed < days) {
            if enough(at_risk) {
                shown_until = Some(observed);
            }
            at_risk -= count;
        }
        if !enough(at_risk) {
            break;
        }
        if days > LAST_DAY {
            shown_until = Some(LAST_DAY);
            break;
        }
        survival *= 1.0 - (weight / at_risk).min(1.0);
        points.push(CurvePoint { days, share: 1.0 - survival });
        at_risk -= weight;
    }
    for (observed, count) in lasting {
        if enough(at_risk) {
            shown_until = Some(observed.min(LAST_DAY));
        }
        at_risk -= count;
    }
    let last = points.last().map_or(CurvePoint { days: 0, share: 0.0 }, |last| *last);
    points.extend(shown_until.filter(|days| *days > last.days).map(|days| CurvePoint { days, ..last }));
    points
}

/// Sums of thirds are a little less than a whole.
fn enough(at_risk: f64) -> bool {
    at_risk > LEAST_AT_RISK - 1e-6
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn gaps(buyers: &[Vec<u32>]) -> Gaps {
        let mut gaps = Gaps::default();
        for days in buyers {
            gaps.add_buyer(days.iter().copied());
        }
        gaps
    }

    #[test]
    fn those_who_could_not_be_observed_for_long_do_not_lower_the_share() {
        // Six bought again after 10 days; as many bought for the first time yesterday.
        let again = vec![vec![10, 20]; 6];
        let alone = gaps(&again).repurchase(100);
        assert_eq!(alone.curve, [CurvePoint { days: 10, share: 1.0 }]);
        let with_new = gaps(&[again, vec![vec![99]; 6]].concat()).repurchase(100);
        assert_eq!((with_new.buyers, with_new.again_buyers), (12, 6));
        assert_eq!((with_new.curve, with_new.median_days), (alone.curve, Some(10)));
    }

    #[test]
    fn those_who_were_observed_and_did_not_buy_again_lower_it() {
        let found = gaps(&[vec![vec![10, 20]; 4], vec![vec![0]; 12]].concat()).repurchase(100);
        assert_eq!(
            found.curve,
            [CurvePoint { days: 10, share: 0.25 }, CurvePoint { days: 100, share: 0.25 }]
        );
        assert_eq!(found.median_days, None);
    }

    #[test]
    fn who_buys_often_counts_once() {
        let often: Vec<u32> = (0..100).collect();
        let found = gaps(&[vec![often; 5], vec![vec![0, 30]; 15]].concat()).repurchase(100);
        let [day, month] = found.curve.as_slice() else { panic!("{found:?}") };
        assert!((day.share - 0.25).abs() < 1e-9 && day.days == 1, "{day:?}");
        assert!((month.share - 1.0).abs() < 1e-9 && month.days == 30, "{month:?}");
    }

    #[test]
    fn fewer_than_five_shoppers_are_no_curve() {
        let found = gaps(&vec![vec![0, 7]; 4]).repurchase(100);
        assert_eq!((found.buyers, found.again_buyers, found.curve.len()), (4, 4, 0));
    }

    /// The same from the list of all gaps, by the definition: quadratic, and without a running sum.
    fn naive(buyers: &[Vec<u32>], last: u32) -> Vec<CurvePoint> {
        let mut spells: Vec<(u32, f64, bool)> = Vec::new();
        for days in buyers {
            let gaps: Vec<u32> = days.windows(2).map(|pair| pair[1] - pair[0]).collect();
            match gaps.len() {
                0 => spells.push((last - days[0], 1.0, false)),
                n => spells.extend(gaps.iter().map(|gap| (*gap, 1.0 / n as f64, true))),
            }
        }
        let at_risk =
            |day: u32| spells.iter().filter(|spell| spell.0 >= day).map(|spell| spell.1).sum::<f64>();
        let mut points: Vec<CurvePoint> = Vec::new();
        let mut survival = 1.0;
        for day in 1..=LAST_DAY {
            if at_risk(day) < LEAST_AT_RISK - 1e-6 {
                break;
            }
            let ended: f64 =
                spells.iter().filter(|spell| spell.2 && spell.0 == day).map(|spell| spell.1).sum();
            survival *= 1.0 - ended / at_risk(day);
            points.push(CurvePoint { days: day, share: 1.0 - survival });
        }
        points
    }

    proptest! {
        #[test]
        fn the_curve_is_that_of_a_naive_computation(
            buyers in prop::collection::vec(prop::collection::btree_set(0_u32..900, 1..8), 0..60),
            later in 0_u32..50,
        ) {
            let buyers: Vec<Vec<u32>> = buyers.into_iter().map(|days| days.into_iter().collect()).collect();
            let last = buyers.iter().flatten().max().map_or(0, |last| last + later);
            let found = gaps(&buyers).repurchase(last);
            let naive = naive(&buyers, last);
            for point in &naive {
                let reached = found.curve.iter().rev().find(|found| found.days <= point.days);
                let share = reached.map_or(0.0, |reached| reached.share);
                prop_assert!((share - point.share).abs() < 1e-9, "day {}: {share}, not {}", point.days, point.share);
            }
            let last_shown = found.curve.last().map_or(0, |last| last.days);
            let last_known = naive.last().map_or(0, |last| last.days);
            prop_assert!(last_shown <= last_known, "shown until day {last_shown}, known until {last_known}");
            prop_assert_eq!(found.buyers as usize, buyers.len());
            prop_assert_eq!(found.again_buyers as usize, buyers.iter().filter(|days| days.len() > 1).count());
        }
    }
}
