//! Priors out of merged sums.

use super::{Categories, MINUTE_MS, Priors, PriorsColumn, PriorsParts};
use crate::catalogue::Catalogue;
use crate::counts::{ProductTotals, Totals};
use crate::fixed_point::{from_fixed, narrow};
use crate::params::Params;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

/// Added to the chances of a repeat purchase: seldom bought products lean towards 0.
const REPEAT_SHRINKAGE: f64 = 10.0;
/// No product's relative repeat rate counts as less.
const LEAST_REPEAT_RATE: f64 = 0.05;
/// Added to the recent popularity, so that what did not sell lately keeps a factor.
const TREND_OFFSET: f64 = 0.001;

/// The index of the trend in the sums per half-life; the windows come before it.
const TREND: usize = 5;

impl Priors {
    /// Priors of the products of `catalogue`, out of sums over all users. `categories` names the categories of a
    /// product id, in any order.
    pub fn new(
        catalogue: &Catalogue,
        totals: &Totals,
        params: &Params,
        now_ms: i64,
        categories: &dyn Fn(&str) -> Vec<String>,
    ) -> Self {
        let products = &totals.products;
        let share = |window: usize| -> Vec<f64> {
            let all = totals.basket_weights.get(window).map_or(0.0, |&weight| from_fixed(weight));
            let part = |p: &ProductTotals| p.popularity.get(window).map_or(0.0, |&weight| from_fixed(weight));
            products.iter().map(|p| if all > 0.0 { part(p) / all } else { 0.0 }).collect()
        };
        let rates: Vec<f64> = products
            .iter()
            .map(|p| from_fixed(p.repeats) / (from_fixed(p.repeat_chances) + REPEAT_SHRINKAGE))
            .collect();
        let mean_repeat_rate = mean(&rates, products.iter().map(|p| from_fixed(p.repeat_chances)));
        let factors = repurchase_factors(products, &rates, mean_repeat_rate, &share(TREND), params);
        let minutes =
            |ms: i64| u32::try_from(now_ms.saturating_sub(ms).max(0) / MINUTE_MS).unwrap_or(u32::MAX);
        Self::assemble(PriorsParts {
            params: params.clone(),
            now_ms,
            users: totals.users,
            baskets: totals.baskets,
            mean_repeat_rate,
            catalogue: catalogue.clone(),
            popularity: [0, 1, 2, 3, 4].map(|at| PriorsColumn::new(&share(at), if at == 4 { 3 } else { 2 })),
            factor: PriorsColumn::new(&factors, 2),
            repeat_rate: PriorsColumn::new(&rates, 2),
            product_baskets: products.iter().map(|p| p.baskets).collect(),
            buyers: products.iter().map(|p| p.buyers).collect(),
            first_sale: products.iter().map(|p| minutes(p.first_ms)).collect(),
            last_sale: products.iter().map(|p| minutes(p.last_ms.max(p.first_ms))).collect(),
            categories: Categories::new(catalogue, categories),
        })
    }

    pub(super) fn assemble(parts: PriorsParts) -> Self {
        let [.., scoring] = &parts.popularity;
        Self {
            scoring: scoring.singles(),
            factors: parts.factor.singles(),
            ranked: [const { OnceLock::new() }; super::WINDOWS],
            parts,
        }
    }
}

fn mean(values: &[f64], weights: impl Iterator<Item = f64>) -> f64 {
    let (sum, all) = values.iter().zip(weights).fold((0.0, 0.0), |(s, a), (v, w)| (s + v * w, a + w));
    if all > 0.0 { sum / all } else { 0.0 }
}

/// `f_i = (rate_i / mean)^q · (recent popularity_i + 0.001)^θ`, mean 1 over purchases if θ is not 0.
/// Without any repeat purchase every rate counts as the mean.
fn repurchase_factors(
    products: &[ProductTotals],
    rates: &[f64],
    mean_rate: f64,
    recent: &[f64],
    params: &Params,
) -> Vec<f64> {
    let relative = |rate: f64| if mean_rate > 0.0 { rate / mean_rate } else { 1.0 };
    let mut factors: Vec<f64> = rates
        .iter()
        .zip(recent)
        .map(|(&rate, &popularity)| {
            relative(rate).max(LEAST_REPEAT_RATE).powf(params.repurchase_power)
                * (popularity + TREND_OFFSET).powf(params.trend_power)
        })
        .collect();
    if params.trend_power != 0.0 {
        let mean = mean(&factors, products.iter().map(|p| f64::from(p.baskets)));
        if mean > 0.0 {
            factors.iter_mut().for_each(|factor| *factor /= mean);
        }
    }
    factors
}

impl Categories {
    fn new(catalogue: &Catalogue, of: &dyn Fn(&str) -> Vec<String>) -> Self {
        let listed: Vec<BTreeSet<String>> = catalogue.ids().map(|id| of(id).into_iter().collect()).collect();
        let mut codes: BTreeMap<&str, u32> = listed.iter().flatten().map(|name| (name.as_str(), 0)).collect();
        codes.values_mut().zip(0u32..).for_each(|(code, number)| *code = number);
        let mut categories = Self {
            names: codes.keys().map(|&name| name.to_owned()).collect(),
            starts: vec![0],
            codes: Vec::new(),
        };
        for names in &listed {
            categories.codes.extend(names.iter().filter_map(|name| codes.get(name.as_str())));
            categories.starts.push(narrow(categories.codes.len()));
        }
        categories
    }
}
