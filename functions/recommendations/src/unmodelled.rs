//! Products that the model has not seen: bought for the first time after the last training.
//!
//! Of the score only the personal part is known, with a repurchase factor of 1:
//! `P(u,i) = Σ_t r^lag·[i ∈ b_t] / Σ_t r^lag`.

use std::collections::HashMap;

use nextbasket_domain::{Basket, ProductId, Timestamp};
use nextbasket_recommender::{Params, Priors};

use crate::fill::Ranked;
use crate::reason::Reason;

struct Seen<'a> {
    product: &'a ProductId,
    weight: f64,
    times: u32,
    last: Timestamp,
}

/// Those of the user's products that the model has not seen, best first.
pub(crate) fn rank(baskets: &[Basket], priors: Option<&Priors>) -> Vec<Ranked> {
    let decay =
        priors.map_or_else(|| Params::default().personal_decay, |priors| priors.params().personal_decay);
    let mut seen: HashMap<&ProductId, Seen<'_>> = HashMap::new();
    let (mut weight, mut all) = (1.0, 0.0);
    for basket in baskets {
        for product in &basket.products {
            if priors.is_none_or(|priors| priors.index_of(product.as_str()).is_none()) {
                let seen = seen.entry(product).or_insert(Seen {
                    product,
                    weight: 0.0,
                    times: 0,
                    last: basket.purchased_at,
                });
                seen.weight += weight;
                seen.times += 1;
            }
        }
        all += weight;
        weight *= decay;
    }
    let purchases = u32::try_from(baskets.len()).unwrap_or(u32::MAX);
    let mut ranked: Vec<Ranked> = seen
        .into_values()
        .map(|seen| Ranked {
            id: seen.product.clone(),
            score: seen.weight / all,
            reasons: vec![Reason::bought_again(seen.times, purchases, seen.last)],
        })
        .collect();
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
    ranked
}
