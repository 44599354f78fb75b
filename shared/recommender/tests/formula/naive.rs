//! The formula in floats, pair by pair, with nothing clever.

use crate::common::{DAY, Purchase};
use nextbasket_recommender::Params;
use std::collections::{BTreeMap, BTreeSet};

type Basket = (i64, BTreeSet<String>);

pub(crate) struct Naive<'p> {
    params: &'p Params,
    users: BTreeMap<String, Vec<Basket>>,
    products: BTreeSet<String>,
    now_ms: i64,
}

impl<'p> Naive<'p> {
    pub(crate) fn new(purchases: &[Purchase], params: &'p Params) -> Self {
        let mut sorted: Vec<&Purchase> = purchases.iter().collect();
        sorted.sort_by(|a, b| (a.time_ms, &a.id).cmp(&(b.time_ms, &b.id)));
        let mut users: BTreeMap<String, Vec<Basket>> = BTreeMap::new();
        for purchase in sorted {
            let basket = (purchase.time_ms, purchase.products.iter().cloned().collect());
            users.entry(purchase.user.clone()).or_default().push(basket);
        }
        let products = purchases.iter().flat_map(|p| p.products.iter().cloned()).collect();
        Self { params, users, products, now_ms: purchases.iter().map(|p| p.time_ms).max().unwrap() }
    }

    fn age_weight(&self, time_ms: i64, half_life: f64) -> f64 {
        0.5f64.powf((self.now_ms - time_ms) as f64 / DAY as f64 / half_life)
    }

    /// Sum over pairs of one user's baskets, `j` in the earlier and `i` (or anything) in the later.
    fn pair_weight(&self, j: &str, i: Option<&str>, gap: usize, decay: f64, half_life: f64) -> f64 {
        let mut sum = 0.0;
        for baskets in self.users.values() {
            for (a, (_, earlier)) in baskets.iter().enumerate() {
                for (b, (time, later)) in baskets.iter().enumerate().skip(a + 1).take(gap) {
                    if earlier.contains(j) && i.is_none_or(|i| later.contains(i)) {
                        let apart = i32::try_from(b - a).unwrap() - 1;
                        sum += decay.powi(apart) * self.age_weight(*time, half_life);
                    }
                }
            }
        }
        sum
    }

    pub(crate) fn transition(&self, j: &str, i: &str) -> f64 {
        let p = self.params;
        let weight =
            |i| self.pair_weight(j, i, usize::from(p.max_gap), p.gap_decay, p.transition_half_life_days);
        if i == j { 0.0 } else { weight(Some(i)) / (weight(None) + 5.0) }
    }

    /// The share of the very next baskets after one with `j` that hold `i`, by age.
    pub(crate) fn next_basket(&self, j: &str, i: &str, half_life: f64) -> f64 {
        let weight = |i| self.pair_weight(j, i, 1, 1.0, half_life);
        if i == j { 0.0 } else { weight(Some(i)) / (weight(None) + 5.0) }
    }

    /// Cosine over baskets, shrunk.
    pub(crate) fn together(&self, j: &str, i: &str) -> f64 {
        cosine(self.baskets_with(&[j, i]), self.baskets_with(&[j]), self.baskets_with(&[i]))
    }

    /// Users who bought `j` and `i` within reach after it.
    pub(crate) fn shoppers(&self, j: &str, i: &str) -> usize {
        let reach = usize::from(self.params.max_gap);
        let bought = |baskets: &&Vec<Basket>| {
            (0..baskets.len()).any(|a| {
                baskets[a].1.contains(j) && baskets.iter().skip(a + 1).take(reach).any(|b| b.1.contains(i))
            })
        };
        self.users.values().filter(bought).count()
    }

    pub(crate) fn baskets_with(&self, products: &[&str]) -> usize {
        let baskets = self.users.values().flatten();
        baskets.filter(|(_, basket)| products.iter().all(|&p| basket.contains(p))).count()
    }

    /// Users who bought the two in different baskets.
    pub(crate) fn users_apart(&self, j: &str, i: &str) -> usize {
        let apart = |baskets: &&Vec<Basket>| {
            (0..baskets.len()).any(|a| {
                (0..baskets.len()).any(|b| a != b && baskets[a].1.contains(j) && baskets[b].1.contains(i))
            })
        };
        self.users.values().filter(apart).count()
    }

    pub(crate) fn buyers(&self, product: &str) -> usize {
        self.users
            .values()
            .filter(|baskets| baskets.iter().any(|(_, basket)| basket.contains(product)))
            .count()
    }

    pub(crate) fn popularity(&self, product: &str, half_life: f64) -> f64 {
        let weight = |chosen: &dyn Fn(&Basket) -> bool| -> f64 {
            let baskets = self.users.values().flatten().filter(|&basket| chosen(basket));
            baskets.map(|(time, _)| self.age_weight(*time, half_life)).sum()
        };
        weight(&|(_, basket)| basket.contains(product)) / weight(&|_| true)
    }

    fn factors(&self) -> BTreeMap<&str, f64> {
        let p = self.params;
        let chances = |j: &str| self.pair_weight(j, None, 3, 0.8, 1e12);
        let rate = |j: &str| self.pair_weight(j, Some(j), 3, 0.8, 1e12) / (chances(j) + 10.0);
        let all: f64 = self.products.iter().map(|j| chances(j)).sum();
        let mean = if all > 0.0 {
            self.products.iter().map(|j| rate(j) * chances(j)).sum::<f64>() / all
        } else {
            0.0
        };
        let factor = |j: &str| {
            let relative = if mean > 0.0 { rate(j) / mean } else { 1.0 };
            let trend = (self.popularity(j, p.trend_half_life_days) + 0.001).powf(p.trend_power);
            relative.max(0.05).powf(p.repurchase_power) * trend
        };
        let mut factors: BTreeMap<&str, f64> =
            self.products.iter().map(|j| (j.as_str(), factor(j))).collect();
        if p.trend_power != 0.0 {
            let count = |j: &str| self.baskets_with(&[j]) as f64;
            let lines: f64 = self.products.iter().map(|j| count(j)).sum();
            let mean = factors.iter().map(|(j, f)| f * count(j)).sum::<f64>() / lines;
            factors.values_mut().for_each(|f| *f /= mean);
        }
        factors
    }

    /// Scores of all products for baskets given newest first.
    pub(crate) fn scores(&self, history: &[(i64, BTreeSet<String>)]) -> BTreeMap<&str, f64> {
        let p = self.params;
        let factors = self.factors();
        let decay = |decay: f64, lag: usize| decay.powi(i32::try_from(lag).unwrap());
        let all: f64 = (0..history.len()).map(|lag| decay(p.personal_decay, lag)).sum();
        let mut anchors: BTreeMap<&str, f64> = BTreeMap::new();
        for (lag, (_, basket)) in history.iter().enumerate() {
            let weight = decay(p.next_decay, lag) / (basket.len() as f64).powf(p.basket_size_power);
            for product in basket.iter().filter(|product| self.products.contains(*product)) {
                *anchors.entry(product).or_default() += weight;
            }
        }
        let weights: f64 = anchors.values().sum();
        let score = |i: &str| {
            let lags: Vec<usize> = (0..history.len()).filter(|&lag| history[lag].1.contains(i)).collect();
            let share: f64 =
                lags.iter().map(|&lag| decay(p.personal_decay, lag)).sum::<f64>() / all.max(1e-9);
            let next: f64 = anchors.iter().map(|(j, weight)| weight * self.transition(j, i)).sum();
            factors[i] * self.due(&lags) * share
                + p.next_weight * next / weights.max(1e-9)
                + p.popularity_weight * self.popularity(i, p.popularity_half_life_days)
        };
        self.products.iter().map(|i| (i.as_str(), score(i))).collect()
    }

    fn due(&self, lags: &[usize]) -> f64 {
        let (Some(&newest), Some(&oldest)) = (lags.first(), lags.last()) else { return 0.0 };
        let count = lags.len() as f64;
        let gap = if lags.len() > 1 { (oldest - newest) as f64 / (count - 1.0) } else { 1.0 };
        let soon = lags.len() > 1 && ((newest + 1) as f64) < 0.35 * gap.max(1.0);
        count / (count + self.params.count_shrinkage) * if soon { self.params.too_soon_factor } else { 1.0 }
    }
}

pub(crate) fn cosine(both: usize, j: usize, i: usize) -> f64 {
    if both == 0 {
        return 0.0;
    }
    let both = both as f64;
    both / ((j * i) as f64).sqrt() * (both / (both + 5.0))
}
