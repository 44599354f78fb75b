//! Products that the model has not seen: bought for the first time after the last training.
//!
//! Of the score only the personal part is known, with a repurchase factor of 1:
//! `P(u,i) = Σ_t r^lag·[i ∈ b_t] / Σ_t r^lag`.

use std::collections::HashMap;

use nextbasket_domain::{Basket, ProductId, Timestamp};
use nextbasket_recommender::{Params, Priors};

use crate::fill::Ranked;

/// How the user bought a product.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct BoughtUnmodelled {
    pub times: u32,
    pub of_purchases: u32,
    pub last: Timestamp,
}

/// Those of the user's products that the model has not seen, best first.
pub(crate) fn rank(baskets: &[Basket], priors: Option<&Priors>) -> Vec<Ranked<BoughtUnmodelled>> {
    let decay =
        priors.map_or_else(|| Params::default().personal_decay, |priors| priors.params().personal_decay);
    let of_purchases = u32::try_from(baskets.len()).unwrap_or(u32::MAX);
    let mut seen: HashMap<&ProductId, (f64, BoughtUnmodelled)> = HashMap::new();
    let (mut weight, mut all) = (1.0, 0.0);
    for basket in baskets {
        for product in &basket.products {
            if priors.is_none_or(|priors| priors.index_of(product.as_str()).is_none()) {
                let first = BoughtUnmodelled { times: 0, of_purchases, last: basket.purchased_at };
                let (sum, bought) = seen.entry(product).or_insert((0.0, first));
                *sum += weight;
                bought.times += 1;
            }
        }
        all += weight;
        weight *= decay;
    }
    let ranked = seen.into_iter().map(|(id, (sum, why))| Ranked { id: id.clone(), score: sum / all, why });
    let mut ranked: Vec<_> = ranked.collect();
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
    ranked
}
