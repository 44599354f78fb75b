//! Generated purchases.

use nextbasket_recommender::{Dataset, DatasetBuilder};

/// SplitMix64, after Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators".
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

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
