//! Scores at answer time, from a history, a handful of neighbour rows and the priors.

mod cart;
mod history;
mod recommendation;
mod scratch_buffers;

pub use cart::cart_rows;
pub use history::{History, HistoryBasket};
pub use recommendation::{Anchor, Bought, MOST_REASONS, NeighbourReason, Recommendation, ScoreParts};
pub use scratch_buffers::ScratchBuffers;

use crate::catalogue::ProductIx;
use crate::fixed_point::narrow;
use crate::params::Params;
use crate::priors::{Priors, Window};
use crate::ranker::{Evidence, Observations, Ranker, softmax};
use crate::row::NeighbourRow;
use recommendation::add_reason;
use scratch_buffers::{Candidate, ScratchSlot};

/// How many anchors' rows an answer should read: each costs half a read unit in the table that holds them.
///
/// N is the mean over these anchors, not over the whole history: the anchors left out would only damp it.
pub const ANCHORS: usize = 20;

/// What one basket further back counts where anchors are chosen: less steep than N's decay, since the ranker also looks
/// at longer histories.
const ANCHOR_DECAY: f64 = 0.8;

/// How many of the best products by the hand formula the ranker orders.
pub const CANDIDATES: usize = 150;

/// How many of a cart's products an answer reads the rows of, out of those that [`ANCHORS`] allows: the newest ones.
pub const CART_ROWS: usize = 12;

/// A product bought at least twice is not due before this share of its mean gap.
const TOO_SOON: f64 = 0.35;

/// Scores products for one user or cart.
///
/// `score(u,i) = f_i · d(u,i) · P(u,i) + a · N(u,i) + g · pop_i`, with
/// - `P = Σ_t r^lag·[i ∈ b_t] / Σ_t r^lag` over the user's baskets, r the personal decay;
/// - `N = Σ_j w_j·S[j,i] / Σ_j w_j` over the anchors j, `w_j = Σ_t q^lag / |b_t|^power`, q the next decay;
/// - `d = c/(c + shrinkage)`, times the too-soon factor if c ≥ 2 and `lag + 1 < 0.35 · max(mean gap, 1)`, for a
///   product bought c times; gaps and lags are counted in the user's baskets;
/// - for a cart, `c · T(i)` on top, T the largest cosine over baskets, shrunk as in [`crate::rank`], to one of its
///   products whose rows were read. A sum over the cart's products would favour what goes a little with each of them,
///   and that is mostly what sells well. The weight c is learned: [`crate::CartTrials`].
#[derive(Debug, Clone)]
pub struct Scorer<'m> {
    priors: &'m Priors,
    params: &'m Params,
    ranker: Option<&'m Ranker>,
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
    /// When the answer is asked for, in milliseconds since 1970. Only a ranker looks at it.
    pub at_ms: i64,
    /// How many products to answer with at most.
    pub limit: usize,
}

impl<'m> Scorer<'m> {
    /// Scores with the parameters that the model was counted with.
    pub fn new(priors: &'m Priors) -> Self {
        Self { priors, params: priors.params(), ranker: None }
    }

    /// Orders the best candidates of users with a history by what a ranker has learned.
    #[must_use]
    pub fn with_ranker(self, ranker: Option<&'m Ranker>) -> Self {
        Self { ranker, ..self }
    }

    /// The strongest products of a history, strongest first, equal ones by number.
    pub fn anchors(&self, scratch: &mut ScratchBuffers, history: &History, most: usize) -> Vec<Anchor> {
        scratch.begin(self.priors.len());
        let (mut decay, mut choice) = (1.0, 1.0);
        for basket in history.baskets() {
            let share = f64::from(basket.size).powf(self.params.basket_size_power).recip();
            for &product in basket.products {
                if let Some(slot) = scratch.touch(product) {
                    slot.next += share * decay;
                    slot.personal += share * choice;
                }
            }
            decay *= self.params.next_decay;
            choice *= ANCHOR_DECAY;
        }
        let mut anchors: Vec<(f64, Anchor)> = scratch
            .touched()
            .map(|(product, slot)| (slot.personal, Anchor { product, weight: slot.next }))
            .collect();
        keep_best(&mut anchors, most, |(a, left), (b, right)| {
            b.total_cmp(a).then(left.product.cmp(&right.product))
        });
        anchors.into_iter().map(|(_, anchor)| anchor).collect()
    }

    /// The best products for the request, best first: by total, then popularity, then number.
    ///
    /// Without history and cart that is the order of popularity; the list is only short if the catalogue or the
    /// filter is. With a ranker, the [`CANDIDATES`] best of a user without a cart stand in its order, and what they score
    /// together is shared out as the ranker has it; the others follow.
    pub fn score(&self, scratch: &mut ScratchBuffers, request: &ScoreRequest<'_>) -> Vec<Recommendation> {
        let ranker = self.ranker.filter(|_| request.cart.is_empty() && !request.history.is_empty());
        let most = if ranker.is_some() { request.limit.max(CANDIDATES) } else { request.limit };
        let (mut best, shares) = self.best(scratch, request, most);
        let carried = ranker.map(|ranker| self.reorder(scratch, request, &shares, ranker, &mut best));
        best.truncate(request.limit);
        let mut answer: Vec<Recommendation> = best
            .iter()
            .map(|candidate| self.recommendation(scratch, candidate, request.history, &shares))
            .collect();
        for (recommendation, parts) in answer.iter_mut().zip(carried.into_iter().flatten()) {
            recommendation.parts = parts;
        }
        scratch.restore(best);
        self.explain(scratch, request, &shares, &mut answer);
        answer
    }

    /// The candidates of a request whose history is not empty, best first by the hand formula, and what a ranker looks
    /// at. Of the request the limit does not count, and the cart has to be empty.
    pub(crate) fn observations(
        &self,
        scratch: &mut ScratchBuffers,
        request: &ScoreRequest<'_>,
    ) -> (Vec<ProductIx>, Observations<'m>) {
        let (best, shares) = self.best(scratch, request, CANDIDATES);
        let observations = self.observe(scratch, request, &shares, &best);
        let products = best.iter().map(|candidate| candidate.product).collect();
        scratch.restore(best);
        (products, observations)
    }

    /// The best `most` candidates by the hand formula, best first.
    fn best(
        &self,
        scratch: &mut ScratchBuffers,
        request: &ScoreRequest<'_>,
        most: usize,
    ) -> (Vec<Candidate>, Shares) {
        let shares = self.candidates(scratch, request, most);
        let mut best = scratch.take_candidates();
        keep_best(&mut best, most, |a: &Candidate, b: &Candidate| {
            let by_total = b.total.total_cmp(&a.total).then(b.popularity.total_cmp(&a.popularity));
            by_total.then(a.product.cmp(&b.product))
        });
        (best, shares)
    }

    /// Leaves all that may be among the best `most` in the scratch buffers, in no order.
    fn candidates(&self, scratch: &mut ScratchBuffers, request: &ScoreRequest<'_>, most: usize) -> Shares {
        scratch.begin(self.priors.len());
        for &product in request.exclude.iter().chain(request.cart) {
            if let Some(slot) = scratch.touch(product) {
                slot.excluded = true;
            }
        }
        let shares = Shares {
            personal: self.add_personal(scratch, request.history),
            next: add_next(scratch, request),
        };
        cart::add_together(scratch, request);
        self.collect(scratch, request, &shares, most);
        shares
    }

    /// What the ranker looks at.
    fn observe(
        &self,
        scratch: &mut ScratchBuffers,
        request: &ScoreRequest<'_>,
        shares: &Shares,
        candidates: &[Candidate],
    ) -> Observations<'m> {
        for (place, candidate) in (1u32..).zip(candidates) {
            if let Some(slot) = scratch.touch(candidate.product) {
                slot.place = place;
            }
        }
        for (place, anchor) in (1u32..).zip(request.anchors) {
            if let Some(slot) = scratch.touch(anchor.product) {
                slot.anchor = place;
            }
        }
        let hand = candidates.iter().map(|candidate| {
            let slot = scratch.seen(candidate.product).copied().unwrap_or_default();
            (candidate.product, self.parts(candidate.product, &slot, shares))
        });
        let observations = Observations::new(self.priors, request, hand, scratch);
        for candidate in candidates {
            if let Some(slot) = scratch.touch(candidate.product) {
                slot.place = 0;
            }
        }
        observations
    }

    /// Puts the first candidates into the ranker's order. Answers what carries each of those that are asked for: each
    /// kind of evidence has the part of the total that goes with the drop of the score without it.
    fn reorder(
        &self,
        scratch: &mut ScratchBuffers,
        request: &ScoreRequest<'_>,
        shares: &Shares,
        ranker: &Ranker,
        best: &mut [Candidate],
    ) -> Vec<ScoreParts> {
        let (ranked, others) = best.split_at_mut(best.len().min(CANDIDATES));
        let mut features = scratch.take_features();
        let observations = self.observe(scratch, request, shares, ranked);
        observations.put(request.at_ms, &mut features);
        let scores = ranker.scores(&features);
        let all: f64 = ranked.iter().map(|candidate| candidate.total).sum();
        ranked.iter_mut().zip(softmax(&scores)).for_each(|(candidate, share)| candidate.total = share * all);
        let mut order: Vec<usize> = (0..ranked.len()).collect();
        let total = |at: usize| ranked.get(at).map_or(0.0, |candidate| candidate.total);
        // Stable: of equal ones the hand formula's better comes first.
        order.sort_by(|&a, &b| total(b).total_cmp(&total(a)));
        let sorted: Vec<Candidate> = order.iter().filter_map(|&at| ranked.get(at).copied()).collect();
        features.clear();
        for &at in order.iter().take(request.limit) {
            for evidence in Evidence::ALL {
                observations.put_without(at, evidence, request.at_ms, &mut features);
            }
        }
        let without = ranker.scores(&features);
        let carried =
            order.iter().zip(&sorted).zip(without.as_chunks().0).map(|((&at, candidate), without)| {
                let score = scores.get(at).copied().unwrap_or(0.0);
                let [personal, next, popular] = without.map(|without: f64| (score - without).max(0.0));
                let part = candidate.total * inverse(personal + next + popular);
                ScoreParts {
                    personal: personal * part,
                    next: next * part,
                    popular: popular * part,
                    together: 0.0,
                }
            });
        let carried = carried.collect();
        scratch.restore_features(features);
        ranked.copy_from_slice(&sorted);
        let least = ranked.last().map_or(0.0, |candidate| candidate.total);
        others.iter_mut().for_each(|candidate| candidate.total = candidate.total.min(least));
        carried
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

    /// Lists what was touched, and of the rest the most popular.
    fn collect(
        &self,
        scratch: &mut ScratchBuffers,
        request: &ScoreRequest<'_>,
        shares: &Shares,
        most: usize,
    ) {
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
        candidates.extend(others.take(most).map(|product| {
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
            together: self.params.together_weight * slot.together,
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
        self.explain_together(scratch, request, answer);
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
