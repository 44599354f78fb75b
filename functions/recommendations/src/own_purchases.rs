//! What the purchases of the shopper whom an answer is for are of the model's counts, so that a reason counts others.
//!
//! A history holds the newest purchases only, and a model the purchases up to its training. What cannot be told is
//! counted against the reason: the rest is what is sure.

use std::collections::HashMap;

use nextbasket_recommender::{History, Priors, ProductIx};

use crate::reason::{CountedShoppers, Reason, SureCount};

/// The shopper's purchases that are in the model, by product.
#[derive(Debug)]
pub(crate) struct OwnPurchases {
    /// Per product one bit for each basket that holds it; the newest basket is bit 0.
    baskets: HashMap<ProductIx, u128>,
    /// Whether there are no other purchases of the shopper.
    complete: bool,
    of: CountedShoppers,
    /// How many of the shopper's baskets apart those of a `next` pair may be.
    reach: u32,
    all: u32,
}

impl OwnPurchases {
    /// `complete`: whether the history holds all of the shopper's purchases.
    pub(crate) fn new(priors: &Priors, history: &History, complete: bool) -> Self {
        let mut baskets: HashMap<ProductIx, u128> = HashMap::new();
        let mut all = 0;
        for (lag, basket) in (0..u128::BITS).zip(history.baskets()) {
            // Later ones were not counted; an earlier one may have come in after the training, which cannot be told.
            if basket.time_ms <= priors.now_ms() {
                all += 1;
                for &product in basket.products {
                    *baskets.entry(product).or_default() |= 1 << lag;
                }
            }
        }
        let complete = complete && history.len() <= u128::BITS as usize;
        let reach = u32::from(priors.params().max_gap);
        Self { baskets, complete, of: CountedShoppers::Others, reach, all }
    }

    fn with(&self, product: ProductIx) -> u128 {
        self.baskets.get(&product).copied().unwrap_or(0)
    }

    /// Whose purchases the counts are of that this gives.
    pub(crate) fn of(&self) -> CountedShoppers {
        self.of
    }

    /// Of `shoppers` who bought `later` after `earlier`, those who are not this one.
    pub(crate) fn others_next(&self, earlier: ProductIx, later: ProductIx, shoppers: u32) -> SureCount {
        let (earlier, later) = (self.with(earlier), self.with(later));
        let pair = (1..=self.reach).any(|gap| earlier.checked_shr(gap).unwrap_or(0) & later != 0);
        self.others(pair, shoppers)
    }

    /// Of `baskets` that hold both products, those of others; `None` if it cannot be told.
    pub(crate) fn others_together(&self, a: ProductIx, b: ProductIx, baskets: u32) -> Option<SureCount> {
        let own = (self.with(a) & self.with(b)).count_ones();
        self.complete.then(|| SureCount::exactly(baskets.saturating_sub(own)))
    }

    /// That others bought the product, if enough did.
    pub(crate) fn popular(&self, priors: &Priors, product: ProductIx) -> Option<Reason> {
        let own = self.with(product).count_ones();
        let buyers = self.others(own > 0, priors.buyers(product));
        let buyers = Reason::popular_with_shoppers(buyers, self.of)?;
        if !self.complete {
            return Some(buyers);
        }
        let baskets = priors.product_baskets(product).saturating_sub(own);
        let purchases = priors.baskets().saturating_sub(u64::from(self.all));
        Reason::popular_ever(baskets, purchases, self.of)
    }

    /// `own`: whether this shopper is surely one of `shoppers`.
    fn others(&self, own: bool, shoppers: u32) -> SureCount {
        let maybe = own || !self.complete;
        SureCount { count: shoppers.saturating_sub(u32::from(maybe)), at_least: maybe && !own }
    }
}

impl Default for OwnPurchases {
    /// Of nobody: it is not known whom the answer is for, and all are counted.
    fn default() -> Self {
        Self { baskets: HashMap::new(), complete: true, of: CountedShoppers::All, reach: 0, all: 0 }
    }
}
