//! A basket that was hidden from a count, and the candidates that the count has for it.

use super::time_features::ElapsedOfUser;
use crate::catalogue::ProductIx;
use crate::dataset::{Dataset, HeldOut};
use crate::evaluate::LONGEST;
use crate::score::{ScoreRequest, Scorer, ScratchBuffers};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Whose basket, and which.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HiddenBasketKey {
    /// The part of the users that this one is in.
    pub fold: u8,
    /// How many newer baskets of the user were hidden as well.
    pub position: u8,
    /// A hash of what the user had bought before, and of the basket.
    pub user: u64,
}

impl HiddenBasketKey {
    /// Of a basket that was hidden from a data set.
    pub fn new(before: &Dataset, held: &HeldOut, fold: u8, position: u8) -> Self {
        let mut user = before.fingerprint(held.user);
        for product in &held.products {
            user = (user ^ u64::from(*product)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        }
        Self { fold, position, user }
    }
}

/// What one user bought next, and what could have been foretold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HiddenBasket {
    /// Baskets are learned from in the order of their keys, so that it does not show how users were split.
    pub key: HiddenBasketKey,
    /// When it was bought, in milliseconds since 1970.
    pub time_ms: i64,
    /// What is in it.
    pub bought: BTreeSet<ProductIx>,
    /// What of it the user had bought before.
    pub bought_before: BTreeSet<ProductIx>,
    /// The best by the hand formula, best first.
    pub candidates: Vec<ProductIx>,
    pub(super) features: Vec<f32>,
    pub(super) elapsed: ElapsedOfUser,
}

impl HiddenBasket {
    /// Takes the candidates of a user, asked at the time of the basket, from a model that has not seen it. The request
    /// has the history before it, and no cart.
    pub fn new(
        scorer: &Scorer<'_>,
        scratch: &mut ScratchBuffers,
        request: &ScoreRequest<'_>,
        bought: BTreeSet<ProductIx>,
        key: HiddenBasketKey,
    ) -> Self {
        let (candidates, observations) = scorer.observations(scratch, request);
        let mut features = Vec::new();
        observations.put(request.at_ms, &mut features);
        let before: BTreeSet<ProductIx> = request.history.products().collect();
        Self {
            key,
            time_ms: request.at_ms,
            bought_before: bought.intersection(&before).copied().collect(),
            bought,
            candidates,
            features,
            elapsed: observations.elapsed(request.at_ms),
        }
    }

    /// The [`FEATURES`](super::FEATURES) of one candidate after the other; empty once the basket is among those that are
    /// learned from.
    pub fn features(&self) -> &[f32] {
        &self.features
    }

    /// Whether each candidate was bought.
    pub fn labels(&self) -> Vec<bool> {
        self.candidates.iter().map(|product| self.bought.contains(product)).collect()
    }

    /// The list that scores of the candidates make, as long as lists that are evaluated. Equal scores stay in the hand
    /// formula's order.
    pub fn list(&self, scores: &[f64]) -> Vec<ProductIx> {
        let mut order: Vec<(f64, ProductIx)> =
            scores.iter().copied().zip(self.candidates.iter().copied()).collect();
        order.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        order.into_iter().take(LONGEST).map(|(_, product)| product).collect()
    }

    /// The hand formula's list.
    pub fn hand_list(&self) -> &[ProductIx] {
        self.candidates.get(..LONGEST).unwrap_or(&self.candidates)
    }
}
