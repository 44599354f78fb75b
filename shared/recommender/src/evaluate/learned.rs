//! What is learned from the purchases that are known, and what of it a list uses.

use super::{CUTOFFS, ListMeasures};
use crate::counts::MergeError;
use crate::dataset::Dataset;
use crate::params::Params;
use crate::ranker::examples::ExamplesError;
use crate::ranker::{Folds, HiddenBaskets, Learned, NewestBaskets, Ranker, hidden_baskets_and_carts};
use crate::train::TrainError;
use serde::Serialize;
use std::num::NonZero;

/// About how many users of each fold are learned from.
const USERS_PER_FOLD: u32 = 2_000;
/// What the trees are drawn from, as in a training.
const TREES_SEED: u64 = 0;

/// Why methods cannot be compared.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CompareError {
    /// There is no model.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Nothing can be learned from the hidden baskets.
    #[error(transparent)]
    Examples(#[from] ExamplesError),
    /// The measures do not add up.
    #[error(transparent)]
    Merge(#[from] MergeError),
}

/// What was learned from baskets that were hidden of the known purchases.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LearnedSummary {
    /// Whether the ranker orders the lists of returning users.
    pub ranker_used: bool,
    /// Why, in a sentence.
    pub reason: String,
    /// The baskets that were hidden.
    pub hidden_baskets: u64,
    /// The products that were hidden of them, one at a time, to weigh carts.
    pub hidden_cart_products: u64,
    /// The weight of what is bought together with a cart.
    pub cart_weight: f64,
}

/// The ranker, if it is better than the hand formula on baskets that it has not seen.
pub(super) fn learn(
    data: &Dataset,
    params: &Params,
    threads: NonZero<usize>,
) -> Result<(Option<Ranker>, LearnedSummary), CompareError> {
    let folds = Folds::new(&NewestBaskets::of(data), USERS_PER_FOLD);
    let (hidden, carts) = hidden_baskets_and_carts(data, params, folds, threads)?;
    let mut baskets = HiddenBaskets::default();
    baskets.reserve(hidden.len(), hidden.iter().map(|basket| basket.candidates.len()).sum());
    for basket in hidden {
        baskets.push(basket)?;
    }
    let learned = baskets.learn(TREES_SEED, threads)?;
    let (used, reason) = match &learned {
        None => {
            let few = format!("{} baskets of repeat customers are too few to learn from", baskets.len());
            (false, format!("No ranker, the hand formula is used: {few}."))
        }
        Some(learned) => {
            let (ranker, hand, users) = compared(&baskets, learned);
            let figures =
                format!("nDCG@10 {ranker:.4} against {hand:.4} on {users} baskets that it had not seen");
            if ranker > hand {
                (true, format!("The ranker is used: it is better than the hand formula, {figures}."))
            } else {
                (false, format!("No ranker, the hand formula is used: it is no better, {figures}."))
            }
        }
    };
    let summary = LearnedSummary {
        ranker_used: used,
        reason,
        hidden_baskets: baskets.len() as u64,
        hidden_cart_products: carts.questions(),
        cart_weight: carts.weight(params),
    };
    Ok((learned.filter(|_| used).map(|learned| learned.ranker), summary))
}

/// nDCG@10 of rankers that have not seen the baskets, and of the hand formula, on the newest baskets of so many users.
fn compared(baskets: &HiddenBaskets, learned: &Learned) -> (f64, f64, usize) {
    let [_, ten, _] = CUTOFFS;
    let newest = || baskets.baskets().iter().enumerate().filter(|(_, basket)| basket.key.position == 0);
    let (mut ranker, mut hand) = (0.0, 0.0);
    for (at, basket) in newest() {
        let ndcg = |list: &[_]| {
            ListMeasures::of(list, &basket.bought, |_| true, ten).map_or(0.0, |measures| measures.ndcg)
        };
        ranker += ndcg(&basket.list(learned.unseen(at)));
        hand += ndcg(basket.hand_list());
    }
    let users = newest().count();
    let mean = |sum: f64| sum / users.max(1) as f64;
    (mean(ranker), mean(hand), users)
}
