//! What is measured of a method's lists, over all who were asked for.

use super::bootstrap::{BootstrapMean, ResampleWeights};
use super::{CUTOFFS, LONGEST, ListMeasures};
use crate::catalogue::ProductIx;
use crate::counts::MergeError;
use crate::dataset::Dataset;
use crate::fixed_point::narrow;
use crate::priors::Priors;
use std::collections::BTreeSet;

/// Somebody for whom methods make lists.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// What they bought then.
    pub(super) bought: &'a BTreeSet<ProductIx>,
    /// What they had bought before.
    pub(super) known: &'a BTreeSet<ProductIx>,
    /// How often they are in each sample.
    pub(super) weights: &'a ResampleWeights,
}

/// Who had bought what, for the novelty of a list.
pub(super) struct Audience {
    users: f64,
    products: usize,
    buyers: Vec<u32>,
}

impl Audience {
    /// The users of a data set, and the priors that were counted over it.
    pub(super) fn new(before: &Dataset, priors: &Priors) -> Self {
        let users = (0..before.user_count()).filter(|&user| before.baskets_of(user).len() > 0).count();
        let buyers: Vec<u32> =
            (0..narrow(priors.len())).map(|product| priors.buyers(ProductIx::new(product))).collect();
        let products = buyers.iter().filter(|&&buyers| buyers > 0).count();
        Self { users: users.max(1) as f64, products, buyers }
    }

    /// The number of products that somebody had bought.
    pub(super) fn products(&self) -> usize {
        self.products
    }

    /// The self-information of a product, in bits: that of an event as rare as its buyers are among the users.
    fn surprise(&self, product: ProductIx) -> f64 {
        let buyers = self.buyers.get(product.at()).copied().unwrap_or(0).max(1);
        (self.users / f64::from(buyers)).log2().max(0.0)
    }
}

/// What is measured of a list of one length.
#[derive(Debug, Clone, Default)]
pub(super) struct MeasureMeans {
    pub(super) recall: BootstrapMean,
    pub(super) ndcg: BootstrapMean,
    pub(super) hit_rate: BootstrapMean,
    pub(super) repeat_recall: BootstrapMean,
    pub(super) explore_recall: BootstrapMean,
    pub(super) novelty: BootstrapMean,
    pub(super) bought_before: BootstrapMean,
}

impl MeasureMeans {
    fn merge(self, other: &Self) -> Result<Self, MergeError> {
        Ok(Self {
            recall: self.recall.merge(&other.recall)?,
            ndcg: self.ndcg.merge(&other.ndcg)?,
            hit_rate: self.hit_rate.merge(&other.hit_rate)?,
            repeat_recall: self.repeat_recall.merge(&other.repeat_recall)?,
            explore_recall: self.explore_recall.merge(&other.explore_recall)?,
            novelty: self.novelty.merge(&other.novelty)?,
            bought_before: self.bought_before.merge(&other.bought_before)?,
        })
    }
}

/// What is measured of a method's lists.
#[derive(Debug, Clone)]
pub(super) struct MethodScores {
    pub(super) at: [MeasureMeans; CUTOFFS.len()],
    /// The best place that each product had in a list, from 1; 0 if it was in none.
    best_places: Vec<u8>,
}

impl MethodScores {
    pub(super) fn new(data: &Dataset) -> Self {
        Self { at: Default::default(), best_places: vec![0; data.catalogue().len()] }
    }

    /// Adds the list of somebody who was asked for.
    pub(super) fn add(&mut self, list: &[ProductIx], asked: &Asked<'_>, audience: &Audience) {
        let Asked { bought, known, weights } = *asked;
        let is_known = |product| known.contains(&product);
        for (means, k) in self.at.iter_mut().zip(CUTOFFS) {
            let Some(measures) = ListMeasures::of(list, bought, is_known, k) else { return };
            means.recall.add(measures.recall, weights);
            means.ndcg.add(measures.ndcg, weights);
            means.hit_rate.add(f64::from(u8::from(measures.hit)), weights);
            let shown = list.get(..k).unwrap_or(list);
            let share = |sum: f64| (!shown.is_empty()).then(|| sum / shown.len() as f64);
            let optional = [
                (&mut means.repeat_recall, measures.repeat_recall),
                (&mut means.explore_recall, measures.explore_recall),
                (&mut means.novelty, share(shown.iter().map(|&product| audience.surprise(product)).sum())),
                (
                    &mut means.bought_before,
                    share(shown.iter().filter(|&&product| is_known(product)).count() as f64),
                ),
            ];
            for (mean, measure) in optional {
                if let Some(measure) = measure {
                    mean.add(measure, weights);
                }
            }
        }
        for (&product, place) in list.iter().take(LONGEST).zip(1u8..) {
            if let Some(best) = self.best_places.get_mut(product.at()) {
                *best = if *best == 0 { place } else { place.min(*best) };
            }
        }
    }

    pub(super) fn merge(mut self, other: &Self) -> Result<Self, MergeError> {
        let [a, b, c] = self.at;
        let [d, e, f] = &other.at;
        self.at = [a.merge(d)?, b.merge(e)?, c.merge(f)?];
        for (best, &place) in self.best_places.iter_mut().zip(&other.best_places) {
            *best = if *best == 0 || place == 0 { (*best).max(place) } else { place.min(*best) };
        }
        Ok(self)
    }

    /// Different products in the first k places of all lists.
    pub(super) fn coverage(&self, k: usize) -> u64 {
        self.best_places.iter().filter(|&&place| place > 0 && usize::from(place) <= k).count() as u64
    }
}
