//! Scores at answer time, from a history, a handful of neighbour rows and the priors.

mod history;
mod recommendation;
mod scratch_buffers;

pub use history::{History, HistoryBasket};
pub use recommendation::{Anchor, Bought, MOST_REASONS, NeighbourReason, Recommendation, ScoreParts};
pub use scratch_buffers::ScratchBuffers;

use crate::catalogue::ProductIx;
use crate::fixed_point::narrow;
use crate::params::Params;
use crate::priors::{Priors, Window};
use crate::row::NeighbourRow;
use recommendation::add_reason;
use scratch_buffers::{Candidate, ScratchSlot};

/// How many anchors' rows an answer should read: each costs half a read unit in the table that holds them.
///
/// Chosen on held-out baskets of a gift shop (Online Retail, validation split), where 4 to all anchors lie within
/// 0.0014 of each other in recall@10 and nDCG@10; more than 12 gained nothing. N is the mean over these anchors, not
/// over the whole history: the anchors left out would only damp it.
pub const ANCHORS: usize = 12;

/// Added to the baskets of a cart's product: a pair seen once in two baskets is no certainty.
const TOGETHER_SHRINKAGE: f64 = 5.0;
/// A product bought at least twice is not due before this share of its mean gap.
const TOO_SOON: f64 = 0.35;

/// Scores products for one user or cart.
///
/// `score(u,i) = f_i · d(u,i) · P(u,i) + a · N(u,i) + g · pop_i`, with
/// - `P = Σ_t r^lag·[i ∈ b_t] / Σ_t r^lag` over the user's baskets, r the personal decay;
/// - `N = Σ_j w_j·S[j,i] / Σ_j w_j` over the anchors j, `w_j = Σ_t q^lag / |b_t|^power`, q the next decay;
/// - `d = c/(c + shrinkage)`, times the too-soon factor if c ≥ 2 and `lag + 1 < 0.35 · max(mean gap, 1)`, for a
///   product bought c times; gaps and lags are counted in the user's baskets;
/// - for a cart, the mean over its products j whose rows were read of `baskets(j,i) / (baskets(j) + 5)` on top.
#[derive(Debug, Clone)]
pub struct Scorer<'m> {
    priors: &'m Priors,
    params: &'m Params,
}

/// A question to a [`Scorer`].
#[derive(Clone, Copy)]
pub struct ScoreRequest<'a> {
    /// What the user bought; empty for a visitor.
    pub history: &'a History,
    /// The user's anchors whose rows were read, from [`Scorer::anchors`].
    pub anchors: &'a [Anchor],
    /// The `next` row of an anchor; `None` if it has none.
    pub next_row: &'a dyn Fn(ProductIx) -> Option<&'a NeighbourRow>,
    /// Products that are being bought now; they are not recommended.
    pub cart: &'a [ProductIx],
    /// The `together` row of a product of the cart; `None` if it has none.
    pub together_row: &'a dyn Fn(ProductIx) -> Option<&'a NeighbourRow>,
    /// Products not to recommend.
    pub exclude: &'a [ProductIx],
    /// Whether a product may be recommended.
    pub filter: Option<&'a dyn Fn(ProductIx) -> bool>,
    /// How many products to answer with at most.
    pub limit: usize,
}

impl<'m> Scorer<'m> {
    /// Scores with the parameters that the model was counted with.
    pub fn new(priors: &'m Priors) -> Self {
        Self { priors, params: priors.params() }
    }

    /// The strongest products of a history, strongest first, equal ones by number.
    pub fn anchors(&self, scratch: &mut ScratchBuffers, history: &History, most: usize) -> Vec<Anchor> {
        scratch.begin(self.priors.len());
        let mut decay = 1.0;
        for basket in history.baskets() {
            let weight = decay / f64::from(basket.size).powf(self.params.basket_size_power);
            for &product in basket.products {
                if let Some(slot) = scratch.touch(product) {
                    slot.next += weight;
                }
            }
            decay *= self.params.next_decay;
        }
        let mut anchors: Vec<Anchor> =
            scratch.touched().map(|(product, slot)| Anchor { product, weight: slot.next }).collect();
        let order = |a: &Anchor, b: &Anchor| b.weight.total_cmp(&a.weight).then(a.product.cmp(&b.product));
        keep_best(&mut anchors, most, order);
        anchors
    }

    /// The best products for the request, best first: by total, then popularity, then number.
    ///
    /// Without history and cart that is the order of popularity; the list is only short if the catalogue or the
    /// filter is.
    pub fn score(&self, scratch: &mut ScratchBuffers, request: &ScoreRequest<'_>) -> Vec<Recommendation> {
        scratch.begin(self.priors.len());
        for &product in request.exclude.iter().chain(request.cart) {
            if let Some(slot) = scratch.touch(product) {
                slot.excluded = true;
            }
        }
        let shares = Shares {
            personal: self.add_personal(scratch, request.history),
            next: add_next(scratch, request),
            together: self.add_together(scratch, request),
        };
        self.collect(scratch, request, &shares);
        let mut best = scratch.take_candidates();
        keep_best(&mut best, request.limit, |a: &Candidate, b: &Candidate| {
            let by_total = b.total.total_cmp(&a.total).then(b.popularity.total_cmp(&a.popularity));
            by_total.then(a.product.cmp(&b.product))
        });
        let mut answer: Vec<Recommendation> = best
            .iter()
            .map(|candidate| self.recommendation(scratch, candidate, request.history, &shares))
            .collect();
        scratch.restore(best);
        self.explain(scratch, request, &shares, &mut answer);
        answer
    }

    /// Sums P's numerators and counts purchases; answers what to multiply with.
    fn add_personal(&self, scratch: &mut ScratchBuffers, history: &History) -> f64 {
        let (mut decay, mut all) = (1.0, 0.0);
        for (lag, basket) in (0u32..).zip(history.baskets()) {
            for &product in basket.products {
                if let Some(slot) = scratch.touch(product) {
                    if slot.times == 0 {
                        slot.newest_lag = lag;
                    }
                    slot.oldest_lag = lag;
                    slot.times += 1;
                    slot.personal += decay;
                }
            }
            all += decay;
            decay *= self.params.personal_decay;
        }
        inverse(all)
    }

    fn add_together(&self, scratch: &mut ScratchBuffers, request: &ScoreRequest<'_>) -> f64 {
        let mut read = 0u32;
        for &product in request.cart {
            let Some(row) = (request.together_row)(product) else { continue };
            read += 1;
            let all = f64::from(self.priors.product_baskets(product)) + TOGETHER_SHRINKAGE;
            for neighbour in row.iter() {
                if let Some(slot) = scratch.touch(neighbour.product) {
                    slot.together += f64::from(neighbour.evidence) / all;
                }
            }
        }
        inverse(f64::from(read))
    }

    /// Lists what was touched, and of the rest the most popular.
    fn collect(&self, scratch: &mut ScratchBuffers, request: &ScoreRequest<'_>, shares: &Shares) {
        let fits = |product| request.filter.is_none_or(|filter| filter(product));
        let mut candidates = scratch.take_candidates();
        for (product, slot) in scratch.touched().filter(|(_, slot)| !slot.excluded) {
            if fits(product) {
                let total = self.parts(product, slot, shares).sum();
                candidates.push(Candidate { total, popularity: self.popularity(product), product });
            }
        }
        let popular = self.priors.popular(Window::Scoring).iter().copied();
        let others = popular.filter(|&product| scratch.seen(product).is_none() && fits(product));
        candidates.extend(others.take(request.limit).map(|product| {
            let popularity = self.popularity(product);
            Candidate { total: f64::from(popularity) * self.params.popularity_weight, popularity, product }
        }));
        scratch.restore(candidates);
    }

    fn popularity(&self, product: ProductIx) -> f32 {
        self.priors.scoring().0.get(product.at()).copied().unwrap_or(0.0)
    }

    fn parts(&self, product: ProductIx, slot: &ScratchSlot, shares: &Shares) -> ScoreParts {
        let factor = self.priors.scoring().1.get(product.at()).copied().unwrap_or(1.0);
        ScoreParts {
            personal: f64::from(factor) * self.due(slot) * slot.personal * shares.personal,
            next: self.params.next_weight * slot.next * shares.next,
            popular: self.params.popularity_weight * f64::from(self.popularity(product)),
            together: self.params.together_weight * slot.together * shares.together,
        }
    }

    fn due(&self, slot: &ScratchSlot) -> f64 {
        if slot.times == 0 {
            return 0.0;
        }
        let times = f64::from(slot.times);
        let mut due = times / (times + self.params.count_shrinkage);
        if slot.times >= 2 {
            let mean_gap = f64::from(slot.oldest_lag - slot.newest_lag) / (times - 1.0);
            if f64::from(slot.newest_lag + 1) < TOO_SOON * mean_gap.max(1.0) {
                due *= self.params.too_soon_factor;
            }
        }
        due
    }

    fn recommendation(
        &self,
        scratch: &ScratchBuffers,
        candidate: &Candidate,
        history: &History,
        shares: &Shares,
    ) -> Recommendation {
        let slot = scratch.seen(candidate.product).copied().unwrap_or_default();
        let bought = (slot.times > 0).then(|| Bought {
            times: slot.times,
            of_baskets: narrow(history.len()),
            lag: slot.newest_lag,
            time_ms: history.time_ms(slot.newest_lag).unwrap_or_default(),
        });
        Recommendation {
            product: candidate.product,
            total: candidate.total,
            parts: self.parts(candidate.product, &slot, shares),
            bought,
            next_reasons: Vec::new(),
            together_reasons: Vec::new(),
        }
    }

    /// Reads the rows once more, now that it is known for which products reasons are wanted.
    fn explain(
        &self,
        scratch: &mut ScratchBuffers,
        request: &ScoreRequest<'_>,
        shares: &Shares,
        answer: &mut [Recommendation],
    ) {
        for (place, recommendation) in (1u32..).zip(answer.iter()) {
            if let Some(slot) = scratch.touch(recommendation.product) {
                slot.place = place;
            }
        }
        for anchor in request.anchors {
            let weight = self.params.next_weight * anchor.weight * shares.next;
            for neighbour in (request.next_row)(anchor.product).into_iter().flat_map(NeighbourRow::iter) {
                if let Some(recommendation) = placed(scratch, answer, neighbour.product) {
                    let contribution = weight * f64::from(neighbour.score);
                    let reason = NeighbourReason {
                        product: anchor.product,
                        contribution,
                        evidence: neighbour.evidence,
                    };
                    add_reason(&mut recommendation.next_reasons, reason);
                }
            }
        }
        for &product in request.cart {
            let all = f64::from(self.priors.product_baskets(product)) + TOGETHER_SHRINKAGE;
            let weight = self.params.together_weight * shares.together / all;
            for neighbour in (request.together_row)(product).into_iter().flat_map(NeighbourRow::iter) {
                if let Some(recommendation) = placed(scratch, answer, neighbour.product) {
                    let contribution = weight * f64::from(neighbour.evidence);
                    let reason = NeighbourReason { product, contribution, evidence: neighbour.evidence };
                    add_reason(&mut recommendation.together_reasons, reason);
                }
            }
        }
    }
}

/// The answer's entry for a product, if it is in the answer.
fn placed<'r>(
    scratch: &ScratchBuffers,
    answer: &'r mut [Recommendation],
    product: ProductIx,
) -> Option<&'r mut Recommendation> {
    let place = scratch.seen(product)?.place.checked_sub(1)?;
    answer.get_mut(place as usize)
}

/// What the sums in the slots are multiplied with.
#[derive(Debug, Clone, Copy)]
struct Shares {
    personal: f64,
    next: f64,
    together: f64,
}

fn add_next(scratch: &mut ScratchBuffers, request: &ScoreRequest<'_>) -> f64 {
    let mut all = 0.0;
    for anchor in request.anchors {
        all += anchor.weight;
        for neighbour in (request.next_row)(anchor.product).into_iter().flat_map(NeighbourRow::iter) {
            if let Some(slot) = scratch.touch(neighbour.product) {
                slot.next += anchor.weight * f64::from(neighbour.score);
            }
        }
    }
    inverse(all)
}

fn inverse(sum: f64) -> f64 {
    if sum > 0.0 { 1.0 / sum } else { 0.0 }
}

/// Cuts to the first `most` in `order` and sorts them.
fn keep_best<T>(items: &mut Vec<T>, most: usize, order: impl Fn(&T, &T) -> std::cmp::Ordering) {
    if most == 0 {
        items.clear();
    } else if items.len() > most {
        items.select_nth_unstable_by(most - 1, &order);
        items.truncate(most);
    }
    items.sort_unstable_by(order);
}
