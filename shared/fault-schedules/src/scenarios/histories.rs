//! Histories compared with an independent fold of the purchases.

use std::collections::{BTreeMap, BTreeSet};

use nextbasket_domain::{Purchase, UserId};
use nextbasket_tables::Tables;

use crate::world::broken;
use crate::{Checked, ensure};

/// A basket: its time in milliseconds, and its products.
type Basket = (i64, BTreeSet<String>);

/// The expected history: the newest hundred baskets, newest first, by id where times are equal.
#[must_use]
pub(super) fn folded<'p>(purchases: impl IntoIterator<Item = &'p Purchase>) -> Vec<Basket> {
    let mut by_time: BTreeMap<(i64, String), BTreeSet<String>> = BTreeMap::new();
    for purchase in purchases {
        let products = purchase.lines.iter().map(|line| line.product_id.to_string()).collect();
        by_time.insert((purchase.purchased_at.as_millis(), purchase.purchase_id.to_string()), products);
    }
    by_time.into_iter().rev().take(100).map(|((at, _), products)| (at, products)).collect()
}

/// Compares the stored history of a user with their purchases.
pub(super) async fn check<'p>(
    tables: &Tables,
    user: &str,
    purchases: impl IntoIterator<Item = &'p Purchase>,
) -> Checked {
    let id = UserId::parse(user).map_err(broken)?;
    let baskets = tables.history().map_err(broken)?.baskets(&id).await.map_err(broken)?;
    let stored: Vec<Basket> = baskets
        .into_iter()
        .map(|basket| {
            let products = basket.products.iter().map(ToString::to_string).collect();
            (basket.purchased_at.as_millis(), products)
        })
        .collect();
    let wanted = folded(purchases);
    ensure!(stored == wanted, "the history of {user} says {stored:?}, the purchases {wanted:?}");
    Ok(())
}
