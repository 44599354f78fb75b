//! LambdaRank: which way, and how strongly, each candidate of a group should move to raise the list's nDCG.
//!
//! Burges, *From RankNet to LambdaRank to LambdaMART* (2010), with LightGBM's normalisation: each pair is weighted by
//! the nDCG that swapping it would change, divided by the distance of its scores, and a group's sum is dampened by
//! its logarithm, so that groups with many pairs do not outweigh the others.
#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "positions lie within the group"
)]

use super::quality::discount;

/// Pairs count if one of the two is among so many best: lists of ten are judged, and candidates move.
const TRUNCATION: usize = 20;
/// Keeps the weight of a pair with equal scores finite.
const LEAST_DISTANCE: f64 = 0.01;

/// First and second derivative of the loss by a candidate's score. Single precision, as histograms sum them in double.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Gradient {
    pub(super) first: f32,
    pub(super) second: f32,
}

/// Discounts by position, and memory that one group after the other uses.
#[derive(Debug, Default)]
pub(super) struct LambdaRank {
    discounts: Vec<f64>,
    order: Vec<u128>,
    hits: Vec<usize>,
    sums: Vec<[f64; 2]>,
}

impl LambdaRank {
    /// Writes the derivatives for a group with these scores; equal scores stand in the candidates' order.
    pub(super) fn gradients(&mut self, scores: &[f64], labels: &[bool], gradients: &mut [Gradient]) {
        self.sort(scores);
        let row = |key: u128| (key & u128::from(u32::MAX)) as usize;
        self.sums.clear();
        self.sums.resize(scores.len(), [0.0; 2]);
        self.hits.clear();
        self.hits.extend((0..scores.len()).filter(|&at| labels[row(self.order[at])]));
        let ideal: f64 = self.discounts.iter().take(self.hits.len().min(TRUNCATION)).sum();
        let (best, worst) = match (self.order.first(), self.order.last()) {
            (Some(&best), Some(&worst)) if ideal > 0.0 => (scores[row(best)], scores[row(worst)]),
            _ => return gradients.fill(Gradient::default()),
        };

        let mut total = 0.0;
        let mut pair = |hit: usize, other: usize| {
            let (hit_row, other_row) = (row(self.order[hit]), row(self.order[other]));
            let distance = scores[hit_row] - scores[other_row];
            let mut weight = (self.discounts[hit] - self.discounts[other]).abs() / ideal;
            if best > worst {
                weight /= LEAST_DISTANCE + distance.abs();
            }
            let wrong = 1.0 / (1.0 + distance.exp());
            let (first, second) = (weight * wrong, weight * wrong * (1.0 - wrong));
            self.sums[hit_row][0] -= first;
            self.sums[other_row][0] += first;
            self.sums[hit_row][1] += second;
            self.sums[other_row][1] += second;
            total += 2.0 * first;
        };
        let mut hits_before = 0;
        for at in 0..scores.len().min(TRUNCATION) {
            if self.hits.get(hits_before) == Some(&at) {
                hits_before += 1;
                let mut later_hits = self.hits[hits_before..].iter().copied().peekable();
                for other in at + 1..scores.len() {
                    if later_hits.next_if_eq(&other).is_none() {
                        pair(at, other);
                    }
                }
            } else {
                self.hits[hits_before..].iter().for_each(|&hit| pair(hit, at));
            }
        }

        let dampen = if total > 0.0 { (1.0 + total).log2() / total } else { 1.0 };
        for (gradient, [first, second]) in gradients.iter_mut().zip(&self.sums) {
            *gradient = Gradient { first: (first * dampen) as f32, second: (second * dampen) as f32 };
        }
    }

    /// Rows by falling score. Sorts integers, which takes a third of the time: the bits of the score, whose order is
    /// made to be the numbers', above the row.
    fn sort(&mut self, scores: &[f64]) {
        self.discounts.extend((self.discounts.len()..scores.len()).map(discount));
        self.order.clear();
        self.order.extend(scores.iter().zip(0u32..).map(|(&score, row)| {
            // Adding 0 makes -0 equal to 0.
            let bits = (score + 0.0).to_bits();
            let falling = if bits >> 63 == 0 { !bits ^ 1 << 63 } else { bits };
            u128::from(falling) << 32 | u128::from(row)
        }));
        self.order.sort_unstable();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The loss whose derivatives LambdaRank takes: weights of pairs are constants, those of the order `at`.
    fn loss(at: &[f64], scores: &[f64], labels: &[bool]) -> f64 {
        let mut order: Vec<usize> = (0..at.len()).collect();
        order.sort_by(|&a, &b| at[b].partial_cmp(&at[a]).unwrap());
        let hits = labels.iter().filter(|&&hit| hit).count();
        let ideal: f64 = (0..hits.min(20)).map(|rank| 1.0 / (rank as f64 + 2.0).log2()).sum();
        let spread = at[order[0]] > at[order[at.len() - 1]];
        let (mut sum, mut strength) = (0.0, 0.0);
        for (rank, &a) in order.iter().enumerate() {
            for (other_rank, &b) in order.iter().enumerate() {
                if labels[a] && !labels[b] && rank.min(other_rank) < 20 {
                    let gain = |rank: usize| 1.0 / (rank as f64 + 2.0).log2();
                    let mut weight = (gain(rank) - gain(other_rank)).abs() / ideal;
                    if spread {
                        weight /= 0.01 + (at[a] - at[b]).abs();
                    }
                    sum += weight * (1.0 + (scores[b] - scores[a]).exp()).ln();
                    strength += 2.0 * weight / (1.0 + (at[a] - at[b]).exp());
                }
            }
        }
        if strength > 0.0 { sum * (1.0 + strength).log2() / strength } else { sum }
    }

    proptest! {
        #[test]
        fn derivatives_are_finite_differences_of_the_weighted_pairs(
            candidates in prop::collection::vec((prop_oneof![-2f64..2.0, Just(0.5)], prop::bool::weighted(0.2)), 1..45),
        ) {
            let scores: Vec<f64> = candidates.iter().map(|&(score, _)| score).collect();
            let labels: Vec<bool> = candidates.iter().map(|&(_, label)| label).collect();
            let mut gradients = vec![Gradient { first: 9.0, second: 9.0 }; scores.len()];
            LambdaRank::default().gradients(&scores, &labels, &mut gradients);
            for (row, gradient) in gradients.iter().enumerate() {
                let moved = |step: f64| {
                    let mut there = scores.clone();
                    there[row] += step;
                    loss(&scores, &there, &labels)
                };
                let (before, here, after) = (moved(-1e-3), moved(0.0), moved(1e-3));
                let first = (after - before) / 2e-3;
                let second = (after - 2.0 * here + before) / 1e-6;
                prop_assert!((f64::from(gradient.first) - first).abs() < 1e-5 * (1.0 + first.abs()), "{row}: {first} {gradient:?}");
                prop_assert!((f64::from(gradient.second) - second).abs() < 1e-4 * (1.0 + second.abs()), "{row}: {second} {gradient:?}");
            }
        }
    }

    #[test]
    fn equal_scores_have_the_candidates_order_and_groups_without_a_pair_do_not_move() {
        let mut gradients = [Gradient::default(); 3];
        let mut lambda_rank = LambdaRank::default();
        lambda_rank.gradients(&[0.0, -0.0, 0.0], &[false, false, true], &mut gradients);
        assert!(gradients[0].first > gradients[1].first, "{gradients:?}");
        for labels in [[true; 3], [false; 3]] {
            lambda_rank.gradients(&[3.0, 1.0, 2.0], &labels, &mut gradients);
            assert_eq!(gradients, [Gradient::default(); 3]);
        }
    }
}
