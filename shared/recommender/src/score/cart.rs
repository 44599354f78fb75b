//! Carts: how much what is bought together with their products weighs, and what comes of other weights.

use super::recommendation::add_reason;
use super::{CART_ROWS, NeighbourReason, Recommendation, ScoreRequest, Scorer, ScratchBuffers, placed};
use crate::catalogue::ProductIx;
use crate::evaluate::LONGEST;
use crate::row::NeighbourRow;

/// What a candidate scores at a weight: `rest + weight · together`.
#[derive(Clone, Copy)]
struct Line {
    rest: f64,
    together: f64,
    popularity: f32,
    product: ProductIx,
}

impl Line {
    fn total(&self, weight: f64) -> f64 {
        self.rest + weight * self.together
    }

    /// Whether it comes first, in the order of [`Scorer::score`].
    fn is_before(&self, other: &Self, weight: f64) -> bool {
        let by_total = self.total(weight).total_cmp(&other.total(weight));
        let order = by_total.then(self.popularity.total_cmp(&other.popularity));
        order.then(other.product.cmp(&self.product)).is_gt()
    }
}

/// The products of a cart whose rows are read: the newest [`CART_ROWS`].
pub fn cart_rows(cart: &[ProductIx]) -> &[ProductIx] {
    cart.get(cart.len().saturating_sub(CART_ROWS)..).unwrap_or(cart)
}

/// Keeps of each product the largest cosine to one of the cart.
pub(super) fn add_together(scratch: &mut ScratchBuffers, request: &ScoreRequest<'_>) {
    for &product in request.cart {
        for neighbour in (request.together_row)(product).into_iter().flat_map(NeighbourRow::iter) {
            if let Some(slot) = scratch.touch(neighbour.product) {
                slot.together = slot.together.max(f64::from(neighbour.score));
            }
        }
    }
}

impl Scorer<'_> {
    /// The products of the cart that an entry of the answer goes with. The first one carries the entry's part; the others
    /// say what it would be without.
    pub(super) fn explain_together(
        &self,
        scratch: &ScratchBuffers,
        request: &ScoreRequest<'_>,
        answer: &mut [Recommendation],
    ) {
        for &product in request.cart {
            for neighbour in (request.together_row)(product).into_iter().flat_map(NeighbourRow::iter) {
                if let Some(recommendation) = placed(scratch, answer, neighbour.product) {
                    let contribution = self.params.together_weight * f64::from(neighbour.score);
                    let reason = NeighbourReason { product, contribution, evidence: neighbour.evidence };
                    add_reason(&mut recommendation.together_reasons, reason);
                }
            }
        }
    }

    /// For each weight of what is bought together with the cart, in place of the parameters' own, the place of a product
    /// in the answer, from 1; none if [`LONGEST`] products come before it. The request's limit does not count.
    pub(crate) fn places_by_weight(
        &self,
        scratch: &mut ScratchBuffers,
        request: &ScoreRequest<'_>,
        product: ProductIx,
        weights: &[f64],
    ) -> Vec<Option<u32>> {
        // Of what no row and no basket names, only the most popular can be before another in a list of this length.
        let shares = self.candidates(scratch, request, LONGEST);
        let candidates = scratch.take_candidates();
        let line = |product: ProductIx| {
            let slot = scratch.seen(product).copied().unwrap_or_default();
            let rest = self.parts(product, &slot, &shares);
            Line {
                rest: rest.personal + rest.next + rest.popular,
                together: slot.together,
                popularity: self.popularity(product),
                product,
            }
        };
        let lines: Vec<Line> = candidates.iter().map(|candidate| line(candidate.product)).collect();
        let own = lines.iter().find(|line| line.product == product);
        let place = |&weight: &f64| {
            let own = own?;
            let before = lines.iter().filter(|line| line.is_before(own, weight)).take(LONGEST).count();
            u32::try_from(before + 1).ok().filter(|_| before < LONGEST)
        };
        let places = weights.iter().map(place).collect();
        scratch.restore(candidates);
        places
    }
}
