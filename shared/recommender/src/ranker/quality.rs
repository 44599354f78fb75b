//! How good an order of the candidates is.
#![allow(clippy::cast_precision_loss, reason = "counts of products are far below 2^52")]

use super::examples::View;
use serde::{Deserialize, Serialize};

/// Products of a list that are judged.
const LIST: usize = 10;

/// How much of the hidden basket the ten best candidates of a group hold.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Quality {
    /// Share of the hidden basket's products that are among them.
    pub recall: f64,
    /// Discounted cumulative gain, as a share of the best that any list could have.
    pub ndcg: f64,
}

impl Quality {
    /// Of candidates with these scores; equal scores stay in the candidates' order. `products` is the number of
    /// products in the hidden basket, candidates or not.
    pub fn of(scores: &[f64], labels: &[bool], products: u32) -> Self {
        let mut best: Vec<(usize, f64)> = scores.iter().copied().enumerate().collect();
        let by_score = |a: &(usize, f64), b: &(usize, f64)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if best.len() > LIST {
            best.select_nth_unstable_by(LIST - 1, by_score);
            best.truncate(LIST);
        }
        best.sort_unstable_by(by_score);
        let hit = |&(at, _): &(usize, f64)| labels.get(at).copied().unwrap_or(false);
        let (mut hits, mut gain) = (0u32, 0.0);
        for (rank, _) in best.iter().enumerate().filter(|(_, candidate)| hit(candidate)) {
            hits += 1;
            gain += discount(rank);
        }
        if hits == 0 {
            return Self::default();
        }
        let products = products.max(hits);
        let ideal: f64 = (0..LIST.min(products as usize)).map(discount).sum();
        Self { recall: f64::from(hits) / f64::from(products), ndcg: gain / ideal }
    }

    /// What stages are compared by.
    pub fn mean(self) -> f64 {
        f64::midpoint(self.recall, self.ndcg)
    }
}

/// Of each group of a view, in its order. `scores` has one number per row of all the examples.
pub fn qualities(view: &View<'_>, scores: &[f64]) -> Vec<Quality> {
    let quality = |group: &super::examples::Group| {
        let scores = scores.get(group.rows()).unwrap_or(&[]);
        Quality::of(scores, view.examples().labels(group.rows()), group.products())
    };
    view.groups().iter().map(quality).collect()
}

/// The mean of recall and nDCG over the groups; 0 without groups.
pub fn mean_quality(view: &View<'_>, scores: &[f64]) -> f64 {
    let all = qualities(view, scores);
    all.iter().map(|quality| quality.mean()).sum::<f64>() / all.len().max(1) as f64
}

/// Discount of a position, counted from 0.
pub(super) fn discount(position: usize) -> f64 {
    1.0 / (position as f64 + 2.0).log2()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranker::examples::Examples;
    use proptest::prelude::*;

    #[test]
    fn products_outside_the_candidates_count_against_recall_and_the_ideal() {
        let scores = [0.5, 3.0, 1.0, 2.0];
        let quality = Quality::of(&scores, &[true, true, false, false], 4);
        // Positions 1 and 4 of 4 that an ideal list would have.
        let ideal = 1.0 + 1.0 / 3f64.log2() + 0.5 + 1.0 / 5f64.log2();
        assert!((quality.ndcg - (1.0 + 1.0 / 5f64.log2()) / ideal).abs() < 1e-12, "{quality:?}");
        assert!((quality.recall - 0.5).abs() < 1e-12, "{quality:?}");
    }

    #[test]
    fn equal_scores_stay_in_the_candidates_order() {
        let mut labels = vec![false; 12];
        labels[9] = true;
        assert!(Quality::of(&[0.0; 12], &labels, 1).recall > 0.99);
        labels.swap(9, 10);
        assert_eq!(Quality::of(&[0.0; 12], &labels, 1), Quality::default());
    }

    #[test]
    fn the_mean_is_over_the_groups_of_the_view() {
        let mut examples = Examples::new(1);
        examples.push(&[0.0, 0.0], &[true, false], 1, 0).unwrap();
        examples.push(&[0.0, 0.0], &[false, false], 5, 1).unwrap();
        let scores = [1.0, 0.0, 1.0, 0.0];
        assert!((mean_quality(&examples.all(), &scores) - 0.5).abs() < 1e-12);
        let first = examples.view(|group| group.fold() == 0);
        assert!((mean_quality(&first, &scores) - 1.0).abs() < 1e-12);
        assert_eq!(mean_quality(&examples.view(|_| false), &scores), 0.0);
    }

    proptest! {
        #[test]
        fn it_is_what_a_full_sort_gives(
            candidates in prop::collection::vec((0i8..6, any::<bool>()), 0..40),
            outside in 0u32..5,
        ) {
            let scores: Vec<f64> = candidates.iter().map(|&(score, _)| f64::from(score)).collect();
            let labels: Vec<bool> = candidates.iter().map(|&(_, label)| label).collect();
            let hits = labels.iter().filter(|&&hit| hit).count();
            let products = u32::try_from(hits).unwrap() + outside;
            let mut order: Vec<usize> = (0..scores.len()).collect();
            order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
            let found: Vec<f64> = order.iter().take(10).enumerate()
                .filter(|&(_, &row)| labels[row]).map(|(rank, _)| 1.0 / (rank as f64 + 2.0).log2()).collect();
            let ideal: f64 = (0..10.min(products)).map(|rank| 1.0 / (f64::from(rank) + 2.0).log2()).sum();
            let quality = Quality::of(&scores, &labels, products);
            if found.is_empty() {
                prop_assert_eq!(quality, Quality::default());
            } else {
                prop_assert!((quality.recall - found.len() as f64 / f64::from(products)).abs() < 1e-12);
                prop_assert!((quality.ndcg - found.iter().sum::<f64>() / ideal).abs() < 1e-12);
            }
        }
    }
}
