//! What is summed per product rather than per pair.
#![allow(
    clippy::indexing_slicing,
    reason = "products are numbered by the catalogue that sizes every array here"
)]

use super::{Counting, aged, decays};
use crate::fixed_point::{narrow, to_fixed};
use crate::params::Params;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Repeat purchases are looked for within this many baskets.
const REPEAT_GAP: u8 = 3;
const REPEAT_DECAY: f64 = 0.8;

/// The half-lives under which popularity is counted: a day, a week, a month, all time, the score's, the trend's.
pub(crate) const POPULARITIES: usize = 6;

/// Sums of one product. Weights are fixed-point numbers with 32 binary places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductTotals {
    /// Baskets that hold it, by weight 0.5^(age / half-life), for six half-lives.
    pub(crate) popularity: [u64; POPULARITIES],
    /// n(j): weight of all later baskets within reach of one that holds it.
    pub(crate) transitions: u64,
    /// How many baskets that hold it have a next one, by the weight 0.5^(age / 7 days) of that one.
    pub(crate) recent_next: u64,
    /// How many baskets that hold it have a next one.
    pub(crate) next: u32,
    /// n(j) within 3 baskets, without age.
    pub(crate) repeat_chances: u64,
    /// The part of it in which the later basket holds it again.
    pub(crate) repeats: u64,
    /// Baskets that hold it.
    pub(crate) baskets: u32,
    /// Users who bought it.
    pub(crate) buyers: u32,
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
}

impl Default for ProductTotals {
    fn default() -> Self {
        Self {
            popularity: [0; POPULARITIES],
            transitions: 0,
            recent_next: 0,
            next: 0,
            repeat_chances: 0,
            repeats: 0,
            baskets: 0,
            buyers: 0,
            first_ms: i64::MAX,
            last_ms: i64::MIN,
        }
    }
}

/// Sums per product, and over all baskets, of one block of users. Merge: associative, commutative, exact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    pub(crate) stamp: u64,
    pub(crate) users: u64,
    pub(crate) baskets: u64,
    /// Sum over all baskets of the same weights as `popularity`.
    pub(crate) basket_weights: [u64; POPULARITIES],
    pub(crate) products: Vec<ProductTotals>,
}

pub(crate) fn half_lives(params: &Params) -> [f64; POPULARITIES] {
    [1.0, 7.0, 30.0, f64::INFINITY, params.popularity_half_life_days, params.trend_half_life_days]
}

impl Counting<'_> {
    /// What these users add to the sums per product.
    pub fn totals(&self, users: Range<u32>) -> Totals {
        let data = self.data;
        let mut totals = Totals {
            stamp: self.stamp,
            users: u64::from(users.end.min(data.user_count()).saturating_sub(users.start)),
            baskets: 0,
            basket_weights: [0; POPULARITIES],
            products: vec![ProductTotals::default(); data.catalogue().len()],
        };
        for user in users.start..users.end.min(data.user_count()) {
            self.add_user(&mut totals, user);
        }
        self.add_repeats(&mut totals, &data.baskets_in(users));
        totals
    }

    fn add_user(&self, totals: &mut Totals, user: u32) {
        let half_lives = half_lives(&self.params);
        let repeat_gaps = decays(REPEAT_DECAY, REPEAT_GAP);
        let baskets = self.data.baskets_in(user..user + 1);
        for basket in baskets.clone() {
            let time = self.data.time(basket);
            let weights = half_lives.map(|half_life| to_fixed(aged(self.now_ms, time, half_life)));
            let later = baskets.end - 1 - basket;
            let reach = later.min(u32::from(self.params.max_gap));
            let transitions: u64 = (1..=reach).map(|gap| self.pair_weight(basket + gap, gap)).sum();
            let recent_next = if later > 0 { self.recent_weight(basket + 1) } else { 0 };
            let chances: u64 = repeat_gaps
                .iter()
                .take(later as usize)
                .map(|&gap| crate::fixed_point::scaled_to_fixed(gap))
                .sum();
            totals.baskets += 1;
            totals.basket_weights.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += weight);
            for &product in self.data.products(basket) {
                let sums = &mut totals.products[product as usize];
                sums.popularity.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += weight);
                sums.transitions += transitions;
                sums.recent_next += recent_next;
                sums.next += u32::from(later > 0);
                sums.repeat_chances += chances;
                sums.baskets += 1;
                sums.first_ms = sums.first_ms.min(time);
                sums.last_ms = sums.last_ms.max(time);
            }
        }
        for &product in self.index.singles(baskets).iter().chain(self.index.multiples(user)) {
            totals.products[product as usize].buyers += 1;
        }
    }

    fn add_repeats(&self, totals: &mut Totals, baskets: &Range<u32>) {
        let gaps = decays(REPEAT_DECAY, REPEAT_GAP).into_iter().map(crate::fixed_point::scaled_to_fixed);
        let gaps: Vec<u64> = gaps.collect();
        for (product, sums) in totals.products.iter_mut().enumerate() {
            let occurrences = self.index.occurrences(narrow(product), baskets);
            for (at, &earlier) in occurrences.iter().enumerate() {
                for &later in &occurrences[at + 1..] {
                    let gap = (later - earlier) as usize;
                    if gap > gaps.len() || self.index.user(later) != self.index.user(earlier) {
                        break;
                    }
                    sums.repeats += gaps[gap - 1];
                }
            }
        }
    }
}
