//! A user's newest purchases as the recommender sees them.

use crate::{ProductId, Purchase, PurchaseId, Timestamp};

/// How many of a user's newest purchases a history holds.
pub const HISTORY_BASKETS: usize = 100;

/// The distinct products of one purchase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basket {
    pub purchased_at: Timestamp,
    /// What was bought, sorted, each product once.
    pub products: Vec<ProductId>,
}

/// The baskets of the newest [`HISTORY_BASKETS`] purchases, newest first, whatever the order in which they are
/// given: purchases of the same millisecond are ordered by id.
#[must_use]
pub fn fold(mut purchases: Vec<Purchase>) -> Vec<Basket> {
    fn order(purchase: &Purchase) -> (Timestamp, &PurchaseId) {
        (purchase.purchased_at, &purchase.purchase_id)
    }
    purchases.sort_by(|a, b| order(b).cmp(&order(a)));
    purchases.truncate(HISTORY_BASKETS);
    purchases.into_iter().map(Basket::from).collect()
}

impl From<Purchase> for Basket {
    fn from(purchase: Purchase) -> Self {
        let mut products: Vec<_> = purchase.lines.into_iter().map(|line| line.product_id).collect();
        products.sort_unstable();
        products.dedup();
        Self { purchased_at: purchase.purchased_at, products }
    }
}
