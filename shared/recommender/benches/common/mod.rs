//! Generated purchases.

use nextbasket_recommender::{Dataset, DatasetBuilder};
use random::Random;

#[path = "../../tests/common/random.rs"]
mod random;

/// Users with 1 to 12 baskets of 1 to 30 products; small product numbers are bought more.
pub(crate) fn purchases(users: u64, products: u64) -> Dataset {
    let mut random = Random(1);
    let mut builder = DatasetBuilder::new();
    for user in 0..users {
        for basket in 0..=random.below(12) {
            let time = i64::try_from(random.below(400 * 86_400_000)).unwrap();
            let lines: Vec<String> = (0..=random.below(30))
                .map(|_| random.below(products) * random.below(1000) / 1000)
                .map(|product| format!("product {product:06}"))
                .collect();
            let lines = lines.iter().map(String::as_str);
            builder.push(&format!("user {user}"), &format!("{user}-{basket}"), time, lines).unwrap();
        }
    }
    builder.build().unwrap()
}

/// The baskets of the first users as if they were one user's, newest first.
pub(crate) fn newest_first(data: &Dataset, most: usize) -> Vec<(i64, Vec<&str>)> {
    let mut baskets: Vec<(i64, Vec<&str>)> = (0..data.user_count())
        .flat_map(|user| data.baskets_of(user).collect::<Vec<_>>())
        .take(most)
        .map(|(time, products)| (time, Dataset::typed(products).map(|p| data.catalogue().id(p)).collect()))
        .collect();
    baskets.sort_by_key(|basket| std::cmp::Reverse(basket.0));
    baskets
}
