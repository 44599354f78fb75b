//! What the ranker looks at: numbers of a user and a candidate, from the history, the anchors' rows and the priors.

use super::time_features::{ElapsedOfCandidate, ElapsedOfUser, LEAST_ELAPSED_GAP};
use crate::catalogue::ProductIx;
use crate::counts::DAY_MS;
use crate::priors::{Priors, Window};
use crate::row::{NEXT_BASKET, NeighbourRow, RECENT_NEXT_BASKET};
use crate::score::{Anchor, History, ScoreParts, ScoreRequest};

/// The names of the features, in the order of their columns.
///
/// A personal share is the share of the user's baskets with the product, weighed by r^lag. The `next` are means over the
/// user's anchors, as the hand formula's N: `next` itself, `nextOfNewest` of the newest basket alone and of what was in
/// the very next baskets, `nextOfMany` over a longer history, `nextRecent` of the very next baskets of the last days;
/// `together` is of what was in the same baskets.
pub const FEATURES: [&str; 44] = [
    "hand",
    "personalShare",
    "personalShare95",
    "personalShare80",
    "personalShare50",
    "next",
    "nextOfNewest",
    "nextOfMany",
    "nextRecent",
    "together",
    "popularity",
    "popularityMonth",
    "popularityWeek",
    "popularityDay",
    "bought",
    "boughtOnce",
    "timesBought",
    "repeatRate",
    "boughtRepeatRate",
    "notDue",
    "dueBaskets",
    "inNewest",
    "boughtBaskets",
    "boughtRepeatShare",
    "boughtNextOfMany",
    "newPopularityWeek",
    "newNext",
    "boughtPerBasket",
    "boughtBasketSize",
    "daysSold",
    "daysUnsold",
    "buyers",
    "basketsPerBuyer",
    // STANDING
    "daysSinceBought",
    "dueDays",
    // ELAPSED
    "elapsedDaysSinceBought",
    "elapsedDueDays",
    "boughtElapsedDays",
    "newElapsedDays",
    "boughtElapsedByGap",
    "newElapsedByGap",
    "nearlyDue",
    // ELAPSED_FROM
    "newestDays",
    "gapDays",
];

/// The decays of the personal shares.
const PERSONAL_DECAYS: [f64; 4] = [1.0, 0.95, 0.8, 0.5];
/// The decays of an anchor's weights beside the hand formula's own.
const MANY_DECAY: f64 = 0.95;
const TOGETHER_DECAY: f64 = 0.8;

/// What is added to a share before its logarithm is taken: about the smallest share that says something.
const HAND_OFFSET: f64 = 1e-5;
const PERSONAL_OFFSET: f64 = 0.02;
const NEXT_OFFSET: f64 = 0.002;
const TOGETHER_OFFSET: f64 = 0.005;
const POPULARITY_OFFSET: f64 = 0.0003;
const RATE_OFFSET: f64 = 0.1;
pub(super) const DUE_OFFSET: f64 = 0.1;

/// A product is not due before this share of its mean gap.
const NOT_DUE: f64 = 0.35;
/// The bound of what is due, in mean gaps.
const MOST_DUE_BASKETS: f64 = 6.0;
/// The smallest mean gap.
pub(super) const LEAST_GAP: f64 = 0.5;

/// What may speak for a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// That the user bought it.
    History,
    /// What others bought with and after the user's products.
    Neighbours,
    /// That many buy it.
    Popularity,
}

impl Evidence {
    pub(crate) const ALL: [Self; 3] = [Self::History, Self::Neighbours, Self::Popularity];
}

/// What a user's purchases and the anchors' rows say of one candidate.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    product: ProductIx,
    /// The hand formula's score.
    hand: ScoreParts,
    /// Whether its popularity counts.
    popular: bool,
    personal: [f64; PERSONAL_DECAYS.len()],
    next: f64,
    next_of_newest: f64,
    next_of_many: f64,
    next_recent: f64,
    together: f64,
    times: u32,
    newest_lag: u32,
    oldest_lag: u32,
    /// Days from the last and from the first time to the newest purchase of the model.
    newest_days: f64,
    oldest_days: f64,
}

impl Candidate {
    fn new(product: ProductIx, hand: ScoreParts) -> Self {
        Self {
            product,
            hand,
            popular: true,
            personal: [0.0; PERSONAL_DECAYS.len()],
            next: 0.0,
            next_of_newest: 0.0,
            next_of_many: 0.0,
            next_recent: 0.0,
            together: 0.0,
            times: 0,
            newest_lag: 0,
            oldest_lag: 0,
            newest_days: 0.0,
            oldest_days: 0.0,
        }
    }

    fn without(&self, evidence: Evidence) -> Self {
        match evidence {
            Evidence::History => {
                let hand = ScoreParts { personal: 0.0, ..self.hand };
                Self {
                    personal: [0.0; PERSONAL_DECAYS.len()],
                    times: 0,
                    newest_lag: 0,
                    oldest_lag: 0,
                    hand,
                    ..*self
                }
            }
            Evidence::Neighbours => Self {
                hand: ScoreParts { next: 0.0, ..self.hand },
                next: 0.0,
                next_of_newest: 0.0,
                next_of_many: 0.0,
                next_recent: 0.0,
                together: 0.0,
                ..*self
            },
            Evidence::Popularity => {
                Self { hand: ScoreParts { popular: 0.0, ..self.hand }, popular: false, ..*self }
            }
        }
    }

    fn elapsed(&self) -> ElapsedOfCandidate {
        ElapsedOfCandidate {
            bought: self.times > 0,
            twice: self.times > 1,
            newest_days: self.newest_days,
            gap: self.days_gap(),
        }
    }

    /// Mean days between two purchases.
    fn days_gap(&self) -> f64 {
        (self.oldest_days - self.newest_days) / f64::from(self.times.max(2) - 1)
    }
}

/// An anchor's weights.
#[derive(Debug, Clone, Copy, Default)]
struct AnchorWeights {
    next: f64,
    newest: f64,
    many: f64,
    together: f64,
}

/// Of each product that matters its place among the candidates and among the anchors, from 1; 0 for none.
pub(crate) trait Places {
    fn candidate(&self, product: ProductIx) -> u32;
    fn anchor(&self, product: ProductIx) -> u32;
    /// How many different products the user bought.
    fn bought_products(&self) -> u32;
}

/// What is known of a user and their candidates; features are computed from it for any time.
#[derive(Debug)]
pub(crate) struct Observations<'p> {
    priors: &'p Priors,
    user: UserObservations,
    candidates: Vec<Candidate>,
}

/// What is known of the user.
#[derive(Debug, Clone, Copy, Default)]
struct UserObservations {
    baskets: f64,
    basket_size: f64,
    repeat_share: f64,
    /// Days from the newest basket to the newest purchase of the model; negative if the model is older.
    newest_days: f64,
    /// Mean days between baskets.
    mean_gap: f64,
}

impl<'p> Observations<'p> {
    /// Of the candidates of a request, with their scores by the hand formula, and the user's `anchors`.
    pub(crate) fn new(
        priors: &'p Priors,
        request: &ScoreRequest<'_>,
        candidates: impl Iterator<Item = (ProductIx, ScoreParts)>,
        places: &impl Places,
    ) -> Self {
        let candidates = candidates.map(|(product, hand)| Candidate::new(product, hand)).collect();
        let mut observations = Self { priors, user: UserObservations::default(), candidates };
        let weights = observations.observe_history(request.history, request.anchors, places);
        observations.observe_rows(request, &weights, places);
        observations.observe_times(request.history);
        observations
    }

    fn at(&mut self, place: u32) -> Option<&mut Candidate> {
        self.candidates.get_mut(place.checked_sub(1)? as usize)
    }

    fn observe_history(
        &mut self,
        history: &History,
        anchors: &[Anchor],
        places: &impl Places,
    ) -> Vec<AnchorWeights> {
        let mut weights: Vec<AnchorWeights> = anchors
            .iter()
            .map(|anchor| AnchorWeights { next: anchor.weight, ..AnchorWeights::default() })
            .collect();
        let mut decays = [1.0; PERSONAL_DECAYS.len()];
        let mut sums = [0.0; PERSONAL_DECAYS.len()];
        let (mut many, mut together) = (1.0, 1.0);
        let mut size = 0.0;
        for (lag, basket) in (0u32..).zip(history.baskets()) {
            let share = f64::from(basket.size).powf(self.priors.params().basket_size_power).recip();
            for &product in basket.products {
                if let Some(observed) = self.at(places.candidate(product)) {
                    if observed.times == 0 {
                        observed.newest_lag = lag;
                    }
                    observed.oldest_lag = lag;
                    observed.times += 1;
                    observed.personal.iter_mut().zip(decays).for_each(|(sum, decay)| *sum += decay);
                }
                let anchor = places.anchor(product).checked_sub(1);
                if let Some(anchor) = anchor.and_then(|at| weights.get_mut(at as usize)) {
                    anchor.newest += if lag == 0 { share } else { 0.0 };
                    anchor.many += share * many;
                    anchor.together += share * together;
                }
            }
            size += f64::from(basket.size);
            sums.iter_mut().zip(decays).for_each(|(sum, decay)| *sum += decay);
            decays.iter_mut().zip(PERSONAL_DECAYS).for_each(|(decay, by)| *decay *= by);
            many *= MANY_DECAY;
            together *= TOGETHER_DECAY;
        }
        for observed in &mut self.candidates {
            observed.personal.iter_mut().zip(sums).for_each(|(sum, all)| *sum /= f64::max(all, 1e-9));
        }
        let baskets = history.len() as f64;
        self.user.baskets = baskets;
        self.user.basket_size = size / f64::max(baskets, 1.0);
        self.user.repeat_share = 1.0 - f64::from(places.bought_products()) / f64::max(size, 1.0);
        weights
    }

    fn observe_rows(&mut self, request: &ScoreRequest<'_>, weights: &[AnchorWeights], places: &impl Places) {
        let sum = |weight: fn(&AnchorWeights) -> f64| {
            let sum: f64 = weights.iter().map(weight).sum();
            if sum > 0.0 { sum.recip() } else { 0.0 }
        };
        let (next, newest, many, together) =
            (sum(|w| w.next), sum(|w| w.newest), sum(|w| w.many), sum(|w| w.together));
        for (anchor, weight) in request.anchors.iter().zip(weights) {
            if let Some(row) = (request.next_row)(anchor.product) {
                let [score, of_next, recent] =
                    [0, NEXT_BASKET, RECENT_NEXT_BASKET].map(|column| row.column(column));
                for (at, product) in row.products().enumerate() {
                    let Some(observed) = self.at(places.candidate(product)) else { continue };
                    let value = |column: &[f32]| f64::from(column.get(at).copied().unwrap_or(0.0));
                    observed.next += value(score) * weight.next * next;
                    observed.next_of_many += value(score) * weight.many * many;
                    observed.next_of_newest += value(of_next) * weight.newest * newest;
                    observed.next_recent += value(recent) * weight.next * next;
                }
            }
            for neighbour in (request.together_row)(anchor.product).into_iter().flat_map(NeighbourRow::iter) {
                if let Some(observed) = self.at(places.candidate(neighbour.product)) {
                    observed.together += f64::from(neighbour.score) * weight.together * together;
                }
            }
        }
    }

    fn observe_times(&mut self, history: &History) {
        let now = self.priors.now_ms();
        let days = |lag: u32| now.saturating_sub(history.time_ms(lag).unwrap_or(now)) as f64 / DAY_MS;
        for candidate in &mut self.candidates {
            candidate.newest_days = days(candidate.newest_lag);
            candidate.oldest_days = days(candidate.oldest_lag);
        }
        let last = crate::fixed_point::narrow(history.len()).saturating_sub(1);
        self.user.newest_days = days(0);
        self.user.mean_gap = ((days(last) - days(0)) / f64::max(f64::from(last), 1.0)).max(LEAST_ELAPSED_GAP);
    }

    pub(crate) fn len(&self) -> usize {
        self.candidates.len()
    }

    /// Appends the [`FEATURES`] of all candidates, one candidate after the other. `at_ms` is the time of the request.
    pub(crate) fn put(&self, at_ms: i64, into: &mut Vec<f32>) {
        into.reserve(self.len() * FEATURES.len());
        self.candidates.iter().for_each(|candidate| self.put_candidate(candidate, at_ms, into));
    }

    fn put_candidate(&self, candidate: &Candidate, at_ms: i64, into: &mut Vec<f32>) {
        self.put_timeless(candidate, into);
        put(into, candidate.elapsed().standing());
        put(into, candidate.elapsed().features(self.elapsed(at_ms)));
        put(into, [candidate.newest_days, candidate.days_gap()]);
    }

    /// Appends the features that one candidate would have without some of what speaks for it.
    pub(crate) fn put_without(&self, candidate: usize, evidence: Evidence, at_ms: i64, into: &mut Vec<f32>) {
        if let Some(candidate) = self.candidates.get(candidate) {
            self.put_candidate(&candidate.without(evidence), at_ms, into);
        }
    }

    pub(super) fn elapsed(&self, at_ms: i64) -> ElapsedOfUser {
        let ahead = at_ms.saturating_sub(self.priors.now_ms()) as f64 / DAY_MS;
        ElapsedOfUser { ahead, newest_days: self.user.newest_days, mean_gap: self.user.mean_gap }
    }

    fn put_timeless(&self, observed: &Candidate, into: &mut Vec<f32>) {
        let (priors, user, product) = (self.priors, &self.user, observed.product);
        let times = f64::from(observed.times);
        let (has, new) = if observed.times > 0 { (1.0, 0.0) } else { (0.0, 1.0) };
        let twice = if observed.times > 1 { 1.0 } else { 0.0 };
        let gap = f64::from(observed.oldest_lag - observed.newest_lag) / (times - 1.0).max(1.0);
        let due = ((f64::from(observed.newest_lag) + 1.0) / gap.max(LEAST_GAP)).min(MOST_DUE_BASKETS);
        let rate = priors.relative_repeat_rate(product);
        let rate = (rate + RATE_OFFSET).ln();
        let baskets = user.baskets.ln_1p();
        let next = (observed.next + NEXT_OFFSET).ln();
        let next_of_many = (observed.next_of_many + NEXT_OFFSET).ln();
        let popularity = |window| {
            let share = if observed.popular { priors.popularity(product, window) } else { 0.0 };
            (share + POPULARITY_OFFSET).ln()
        };
        let week = popularity(Window::Week);
        let days = |ms: Option<i64>| {
            let ms = ms.map_or(0, |ms| priors.now_ms().saturating_sub(ms));
            (ms.max(0) as f64 / DAY_MS).ln_1p()
        };
        let buyers = f64::from(priors.buyers(product));
        let [all, p95, p80, p50] = observed.personal.map(|share| (share + PERSONAL_OFFSET).ln());
        put(
            into,
            [
                (observed.hand.sum() + HAND_OFFSET).ln(),
                all,
                p95,
                p80,
                p50,
                next,
                (observed.next_of_newest + NEXT_OFFSET).ln(),
                next_of_many,
                (observed.next_recent + NEXT_OFFSET).ln(),
                (observed.together + TOGETHER_OFFSET).ln(),
                popularity(Window::AllTime),
                popularity(Window::Month),
                week,
                popularity(Window::Day),
                has,
                if observed.times == 1 { 1.0 } else { 0.0 },
                times.ln_1p(),
                rate,
                rate * has,
                if due < NOT_DUE { twice } else { 0.0 },
                (due + DUE_OFFSET).ln() * twice,
                if observed.newest_lag == 0 { has } else { 0.0 },
                has * baskets,
                has * user.repeat_share,
                has * next_of_many,
                new * week * baskets,
                new * next * baskets,
                times / user.baskets.max(1.0),
                has * user.basket_size.ln_1p(),
                days(priors.first_sale_ms(product)),
                days(priors.last_sale_ms(product)),
                buyers.ln_1p(),
                (f64::from(priors.product_baskets(product)) / buyers.max(1.0)).ln_1p(),
            ],
        );
    }
}

/// Features are finite by what they are made of: histories may have any times, but their logarithms are small.
#[allow(clippy::cast_possible_truncation, reason = "single precision is meant")]
pub(super) fn put<const N: usize>(into: &mut Vec<f32>, values: [f64; N]) {
    into.extend(values.map(|value| if value.is_finite() { value as f32 } else { 0.0 }));
}
