//! How good a list of recommendations is, measured by what was bought next.
//!
//! * [`ListMeasures`]: one list of one user; [`Evaluation`]: means over users, as a training keeps them
//! * [`BootstrapMean`]: means, and differences of two methods, with their intervals
//! * [`global_top`] and others, [`ItemCosine`]: what a model has to beat
//! * [`ListEvaluator`]: lists as an answer makes them
//! * [`Method`], [`ComparedModels`]: the methods by their names; [`compare_methods`]: all of them on the same hidden
//!   baskets, to a [`ComparisonReport`]

mod baselines;
mod bootstrap;
mod comparison;
mod evaluator;
mod item_cosine;
mod learned;
mod measures;
mod method_scores;
mod methods;
mod report;

pub use baselines::{category_top, global_personal_top, global_top, personal_top};
pub use bootstrap::{BootstrapMean, Estimate, MIN_USERS, REPLICATES, ResampleWeights, user_hash};
pub(crate) use bootstrap::{drawn, user_state};
pub use comparison::{ComparisonOptions, HoldOut, compare_methods};
pub use evaluator::{ListEvaluator, Methods};
pub use item_cosine::{COSINE_NEIGHBOURS, ItemCosine};
pub use learned::{CompareError, LearnedSummary};
pub use measures::ListMeasures;
pub use methods::{ComparedModels, Method, Question};
pub use report::{Advantage, ComparisonReport, GroupReport, MeasuresAt, MethodReport, PurchaseSummary};

use crate::catalogue::ProductIx;
use crate::counts::MergeError;
use crate::fixed_point::{from_fixed, to_fixed};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The list lengths that are evaluated.
pub const CUTOFFS: [usize; 3] = [5, 10, 20];

/// The longest of them.
pub const LONGEST: usize = 20;

/// Means over users, for one list length k.
///
/// Definitions after Li et al., "A Next Basket Recommendation Reality Check" (TOIS 2023), except that nDCG's ideal
/// is the best that k places allow.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Quality {
    /// The list length.
    pub k: usize,
    /// Share of the bought products that are in the list.
    pub recall: f64,
    /// Σ over hits of 1/log2(place + 1), divided by the same of min(k, bought) hits in a row.
    pub ndcg: f64,
    /// Share of the users with at least one hit.
    pub hit_rate: f64,
    /// Recall of products that the user had bought before, over users who bought such.
    pub repeat_recall: f64,
    /// Recall of products new to the user, over users who bought such.
    pub explore_recall: f64,
}

/// A report over all users.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EvaluationReport {
    /// The number of evaluated users.
    pub users: u64,
    /// One entry per length in [`CUTOFFS`].
    pub at: Vec<Quality>,
    /// Different products in the lists, up to the longest length.
    pub coverage: usize,
}

impl EvaluationReport {
    /// The means for lists of this length, if it is one of [`CUTOFFS`].
    pub fn at(&self, k: usize) -> Option<&Quality> {
        self.at.iter().find(|quality| quality.k == k)
    }
}

/// Takes users one by one. Users who bought nothing are skipped.
///
/// Each user's measures are rounded to 32 binary places and summed as integers, so that blocks of users, evaluated apart
/// and merged in any order, come to the bits of all users at once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Evaluation {
    users: u64,
    sums: [QualitySums; CUTOFFS.len()],
    recommended: BTreeSet<ProductIx>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct QualitySums {
    recall: u64,
    ndcg: u64,
    hits: u64,
    repeat: Mean,
    explore: Mean,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Mean {
    sum: u64,
    count: u64,
}

impl Mean {
    fn add(&mut self, share: Option<f64>) {
        if let Some(share) = share {
            self.sum += to_fixed(share);
            self.count += 1;
        }
    }

    fn value(self) -> f64 {
        share(self.sum, self.count)
    }
}

fn share(sum: u64, count: u64) -> f64 {
    if count > 0 { from_fixed(sum) / count as f64 } else { 0.0 }
}

impl QualitySums {
    fn numbers(&mut self) -> [&mut u64; 7] {
        let Self { recall, ndcg, hits, repeat, explore } = self;
        [recall, ndcg, hits, &mut repeat.sum, &mut repeat.count, &mut explore.sum, &mut explore.count]
    }
}

impl Evaluation {
    /// No users yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Evaluates one user's list, best first and without repetitions, by what was bought. `known` says whether the
    /// user had bought a product before.
    pub fn add(
        &mut self,
        list: &[ProductIx],
        bought: &BTreeSet<ProductIx>,
        known: impl Fn(ProductIx) -> bool,
    ) {
        if bought.is_empty() {
            return;
        }
        self.users += 1;
        for (sums, k) in self.sums.iter_mut().zip(CUTOFFS) {
            let Some(measures) = ListMeasures::of(list, bought, &known, k) else { return };
            sums.recall += to_fixed(measures.recall);
            sums.ndcg += to_fixed(measures.ndcg);
            sums.hits += u64::from(measures.hit);
            sums.repeat.add(measures.repeat_recall);
            sums.explore.add(measures.explore_recall);
        }
        self.recommended.extend(list.iter().take(LONGEST));
    }

    /// Adds other users, whose products have the same numbers.
    ///
    /// # Errors
    /// [`MergeError::Overflow`] above some four thousand million users.
    pub fn merge(mut self, other: &Self) -> Result<Self, MergeError> {
        let add = |sum: &mut u64, more: u64| match sum.checked_add(more) {
            Some(all) => {
                *sum = all;
                Ok(())
            }
            None => Err(MergeError::Overflow),
        };
        add(&mut self.users, other.users)?;
        for (sums, mut more) in self.sums.iter_mut().zip(other.sums) {
            for (sum, more) in sums.numbers().into_iter().zip(more.numbers()) {
                add(sum, *more)?;
            }
        }
        self.recommended.extend(&other.recommended);
        Ok(self)
    }

    /// The number of users evaluated so far.
    pub fn users(&self) -> u64 {
        self.users
    }

    /// The means over the users so far; zeros without any.
    pub fn report(&self) -> EvaluationReport {
        let quality = |(sums, k): (&QualitySums, usize)| Quality {
            k,
            recall: share(sums.recall, self.users),
            ndcg: share(sums.ndcg, self.users),
            hit_rate: if self.users > 0 { sums.hits as f64 / self.users as f64 } else { 0.0 },
            repeat_recall: sums.repeat.value(),
            explore_recall: sums.explore.value(),
        };
        EvaluationReport {
            users: self.users,
            at: self.sums.iter().zip(CUTOFFS).map(quality).collect(),
            coverage: self.recommended.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn products(numbers: impl IntoIterator<Item = u32>) -> Vec<ProductIx> {
        numbers.into_iter().map(ProductIx::new).collect()
    }

    #[test]
    fn measures_are_those_worked_out_by_hand() {
        let mut evaluation = Evaluation::new();
        // Hits at places 1, 3 and 7; 1 and 7 were bought before, 3 and 50 are new.
        let bought = products([1, 3, 7, 50]).into_iter().collect();
        evaluation.add(&products(1..=20), &bought, |product| matches!(product.get(), 1 | 7));
        let report = evaluation.report();
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
        let ideal = 1.0 + 1.0 / 3f64.log2() + 0.5 + 1.0 / 5f64.log2();
        let [five, ten, _] = report.at[..] else { panic!("three lengths") };
        near(five.recall, 0.5);
        near(five.ndcg, 1.5 / ideal);
        near(five.repeat_recall, 0.5);
        near(five.explore_recall, 0.5);
        near(ten.recall, 0.75);
        near(ten.ndcg, (1.5 + 1.0 / 3.0) / ideal);
        near(ten.repeat_recall, 1.0);
        near(ten.hit_rate, 1.0);
        assert_eq!((report.users, report.coverage), (1, 20));
    }

    #[test]
    fn the_ideal_has_no_more_hits_than_the_list_has_places() {
        let mut evaluation = Evaluation::new();
        let bought = products(1..=30).into_iter().collect();
        evaluation.add(&products(1..=20), &bought, |_| false);
        let report = evaluation.report();
        assert!(report.at.iter().all(|quality| (quality.ndcg - 1.0).abs() < 1e-9));
        assert!((report.at[1].recall - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!(report.at[1].repeat_recall, 0.0);
    }

    #[test]
    fn a_user_with_an_empty_list_counts_as_a_miss_and_one_who_bought_nothing_not_at_all() {
        let mut evaluation = Evaluation::new();
        evaluation.add(&[], &products([1]).into_iter().collect(), |_| false);
        evaluation.add(&products([1]), &BTreeSet::new(), |_| false);
        evaluation.add(&products([1]), &products([1]).into_iter().collect(), |_| false);
        let report = evaluation.report();
        assert_eq!((report.users, report.at[0].hit_rate, report.coverage), (2, 0.5, 1));
    }
}
