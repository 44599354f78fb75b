//! Generated purchases, and the formula written down once more in the plainest way.

use nextbasket_recommender::{Dataset, DatasetBuilder};
use proptest::prelude::*;

pub(crate) const DAY: i64 = 86_400_000;

#[derive(Debug, Clone)]
pub(crate) struct Purchase {
    pub(crate) user: String,
    pub(crate) id: String,
    pub(crate) time_ms: i64,
    pub(crate) products: Vec<String>,
}

/// A small shop with few products, so that they repeat.
pub(crate) fn purchases() -> impl Strategy<Value = Vec<Purchase>> {
    purchases_of(9, 14)
}

/// Up to 69 baskets of so many users and products, at whole minutes.
pub(crate) fn purchases_of(users: u8, products: u8) -> impl Strategy<Value = Vec<Purchase>> {
    let basket = (0..users, 0i64..200, prop::collection::btree_set(0..products, 1..6));
    prop::collection::vec(basket, 1..70).prop_map(|baskets| {
        let purchase =
            |(at, (user, day, products)): (usize, (u8, i64, std::collections::BTreeSet<u8>))| Purchase {
                user: format!("user {user}"),
                id: format!("{at}"),
                time_ms: 1_300_000_020_000 + day * DAY + i64::from(user) * 60_000,
                products: products.into_iter().map(|product| format!("p{product}")).collect(),
            };
        baskets.into_iter().enumerate().map(purchase).collect()
    })
}

pub(crate) fn dataset(purchases: &[Purchase]) -> Dataset {
    fill(DatasetBuilder::new(), purchases)
}

pub(crate) fn fill(mut builder: DatasetBuilder, purchases: &[Purchase]) -> Dataset {
    for purchase in purchases {
        let products = purchase.products.iter().map(String::as_str);
        builder.push(&purchase.user, &purchase.id, purchase.time_ms, products).unwrap();
    }
    builder.build().unwrap()
}
