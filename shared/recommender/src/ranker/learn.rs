//! From hidden baskets to a ranker, and how much better than the hand formula it is on baskets that it has not seen.
#![allow(
    clippy::indexing_slicing,
    reason = "scores have one number per row of the examples, and stages one list of scores per number of trees"
)]

use super::Ranker;
use super::binned::BinnedExamples;
use super::boosting::BoostSettings;
use super::conditional_logit::fit;
use super::examples::{Examples, ExamplesError, Group};
use super::features::FEATURES;
use super::folds::FOLDS;
use super::forest::Forest;
use super::hidden_basket::HiddenBasket;
use super::quality::{Quality, qualities};
use super::time_choice::{TimeChoice, choose};
use crate::fixed_point::narrow;
use std::num::NonZero;

/// With fewer hidden baskets than this the hand formula stays.
const LEAST_BASKETS: usize = 50;
/// With fewer hidden baskets than this no trees are grown.
const LEAST_FOR_TREES: usize = 200;
/// How many trees may be taken.
const TREES: [usize; 3] = [0, 40, 120];

/// Hidden baskets to learn from.
#[derive(Debug)]
pub struct HiddenBaskets {
    pub(super) examples: Examples,
    /// Without their features, which the examples have.
    pub(super) baskets: Vec<HiddenBasket>,
}

impl Default for HiddenBaskets {
    fn default() -> Self {
        Self { examples: Examples::new(FEATURES.len()), baskets: Vec::new() }
    }
}

/// A ranker, and what it makes of baskets that it has not seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Learned {
    /// Learned from all baskets.
    pub ranker: Ranker,
    /// How time enters it, and why.
    pub time: TimeChoice,
    /// By feature, then of the linear score: by how much the trees' questions about it reduced the loss.
    pub gains: Vec<f64>,
    /// Basket after basket, the scores of its candidates by rankers that were learned from other folds alone.
    unseen: Vec<f64>,
    rows: Vec<std::ops::Range<usize>>,
}

impl Learned {
    /// The candidates' scores for a basket, by a ranker that has not seen it.
    pub fn unseen(&self, basket: usize) -> &[f64] {
        self.rows.get(basket).and_then(|rows| self.unseen.get(rows.clone())).unwrap_or(&[])
    }
}

impl HiddenBaskets {
    /// Makes room for so many baskets with so many candidates in all.
    pub fn reserve(&mut self, baskets: usize, candidates: usize) {
        self.examples.reserve(baskets, candidates);
    }

    /// Adds a basket. Only baskets in the order of their keys give equal rankers.
    ///
    /// # Errors
    /// Numbers that are not of one form, or are not finite; more candidates than can be counted.
    pub fn push(&mut self, mut basket: HiddenBasket) -> Result<(), ExamplesError> {
        let features = std::mem::take(&mut basket.features);
        let products = narrow(basket.bought.len());
        self.examples.push(&features, &basket.labels(), products, basket.key.fold)?;
        self.baskets.push(basket);
        Ok(())
    }

    /// The baskets, in the order in which they were added.
    pub fn baskets(&self) -> &[HiddenBasket] {
        &self.baskets
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.baskets.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.baskets.is_empty()
    }

    /// A ranker, or `None` if there are too few baskets for one. The number of threads does not show in the result.
    ///
    /// Memory beside the baskets: some 60 bytes per candidate. For 8,000 baskets of 150 candidates 250 MB in all.
    ///
    /// # Errors
    /// [`ExamplesError`] if scores are not finite.
    pub fn learn(&self, seed: u64, threads: NonZero<usize>) -> Result<Option<Learned>, ExamplesError> {
        if self.len() < LEAST_BASKETS {
            return Ok(None);
        }
        let (time, linear) = choose(self, threads);
        let unused = time.features.unused();
        let learning = Learning { examples: &self.examples, unused: &unused, seed, threads };
        let (stages, binned) = learning.stages(linear, self.len() >= LEAST_FOR_TREES)?;
        let all = self.examples.all();
        let measured: Vec<Vec<Quality>> = stages.iter().map(|scores| qualities(&all, scores)).collect();
        let trees = TREES[best(&measured, all.groups(), |_| true)];
        let (forest, gains) = learning.forest(&binned, trees);
        // The number of trees for a fold is chosen on the others, so that nothing has seen what it is judged by.
        let stage_of: Vec<usize> =
            (0..FOLDS).map(|fold| best(&measured, all.groups(), |group| group.fold() != fold)).collect();
        let mut unseen = Vec::with_capacity(self.examples.rows());
        for group in all.groups() {
            unseen.extend_from_slice(&stages[stage_of[usize::from(group.fold())]][group.rows()]);
        }
        let weights = fit(&self.examples.all().without(&unused), threads);
        Ok(Some(Learned {
            ranker: Ranker::new(time.features, weights, forest),
            time,
            gains,
            unseen,
            rows: all.groups().iter().map(Group::rows).collect(),
        }))
    }
}

/// The scores of every candidate by weights of other folds.
pub(super) fn unseen_linear(examples: &Examples, unused: &[usize], threads: NonZero<usize>) -> Vec<f64> {
    let mut scores = vec![0.0; examples.rows()];
    for fold in 0..FOLDS {
        let others = examples.view(|group| group.fold() != fold).without(unused);
        fit(&others, threads).write_scores(&examples.view(|group| group.fold() == fold), &mut scores);
    }
    scores
}

struct Learning<'l> {
    examples: &'l Examples,
    unused: &'l [usize],
    seed: u64,
    threads: NonZero<usize>,
}

impl<'l> Learning<'l> {
    /// For each of [`TREES`], or for none alone, the scores of every candidate by weights and trees of other folds.
    /// `linear` has those by weights alone, if they are known.
    fn stages(
        &self,
        linear: Option<Vec<f64>>,
        with_trees: bool,
    ) -> Result<(Vec<Vec<f64>>, BinnedExamples<'l>), ExamplesError> {
        let examples = self.examples;
        let of_fold = |fold: u8| examples.view(move |group| group.fold() == fold);
        let others = |fold: u8| examples.view(move |group| group.fold() != fold).without(self.unused);
        let linear = linear.unwrap_or_else(|| unseen_linear(examples, self.unused, self.threads));
        let stages = if with_trees { TREES.len() } else { 1 };
        let mut stages = vec![linear.clone(); stages];
        let binned = BinnedExamples::new(examples, linear, self.threads)?;
        for fold in (0..FOLDS).filter(|_| with_trees) {
            let boosted = binned.boost(&others(fold), &self.settings(TREES[TREES.len() - 1]), self.threads);
            for group in of_fold(fold).groups() {
                let start = &binned.start()[group.rows()];
                let mut scores = start.to_vec();
                let mut before = 0;
                for (stage, trees) in stages.iter_mut().zip(TREES) {
                    boosted.forest.add_to(&mut scores, before..trees, examples.values(group.rows()), start);
                    stage[group.rows()].copy_from_slice(&scores);
                    before = trees;
                }
            }
        }
        Ok((stages, binned))
    }

    /// So many trees, learned from all baskets: twice, from other seeds, and averaged.
    fn forest(&self, binned: &BinnedExamples<'_>, trees: usize) -> (Forest, Vec<f64>) {
        if trees == 0 {
            return (Forest::new(FEATURES.len()), Vec::new());
        }
        let view = self.examples.all().without(self.unused);
        let [one, other] = [self.seed, self.seed.wrapping_add(1)]
            .map(|seed| binned.boost(&view, &BoostSettings { seed, ..self.settings(trees) }, self.threads));
        let gains = one.gains.iter().zip(&other.gains).map(|(one, other)| one + other).collect();
        (one.forest.averaged(&other.forest), gains)
    }

    fn settings(&self, trees: usize) -> BoostSettings {
        BoostSettings { trees, seed: self.seed, ..BoostSettings::default() }
    }
}

/// The stage with the best mean quality over some groups; of equal ones the first.
fn best(stages: &[Vec<Quality>], groups: &[Group], counts: impl Fn(&Group) -> bool) -> usize {
    let quality = |all: &Vec<Quality>| -> f64 {
        all.iter().zip(groups).filter(|(_, group)| counts(group)).map(|(quality, _)| quality.mean()).sum()
    };
    let mut best = 0;
    for at in 1..stages.len() {
        if quality(&stages[at]) > quality(&stages[best]) {
            best = at;
        }
    }
    best
}
