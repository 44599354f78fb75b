//! Weights of baskets summed up by window and product.

use std::collections::BTreeMap;

use nextbasket_recommender::window_weights;
use serde::{Deserialize, Serialize};

use super::read::BasketPage;

/// The windows, by their names in requests, in the order of the weights.
pub(super) const WINDOWS: [&str; 4] = ["day", "week", "month", "all"];

/// Sums of weights: fixed-point numbers with 32 binary places. Merge: associative and commutative, and its bytes are
/// sorted, so equal baskets give equal bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PopularitySums {
    /// The newest purchase, in milliseconds since 1970.
    pub newest: i64,
    pub purchases: u64,
    pub all: [u64; 4],
    /// Of the baskets that hold the product.
    pub products: BTreeMap<String, [u64; 4]>,
}

impl PopularitySums {
    /// Of nothing yet; `newest` is the newest purchase of all.
    pub(super) fn new(newest: i64) -> Self {
        Self { newest, ..Self::default() }
    }

    pub(super) fn add(&mut self, page: &BasketPage) {
        let mut sums = vec![[0_u64; 4]; page.products.len()];
        for (time, basket) in &page.baskets {
            let weights = window_weights(self.newest, *time);
            add(&mut self.all, weights);
            self.purchases += 1;
            for number in basket {
                if let Some(sum) = usize::try_from(*number).ok().and_then(|at| sums.get_mut(at)) {
                    add(sum, weights);
                }
            }
        }
        for (product, sum) in page.products.iter().zip(sums) {
            match self.products.get_mut(product) {
                Some(known) => add(known, sum),
                None => {
                    self.products.insert(product.clone(), sum);
                }
            }
        }
    }

    pub(super) fn merge(mut self, other: Self) -> Self {
        self.newest = self.newest.max(other.newest);
        self.purchases += other.purchases;
        add(&mut self.all, other.all);
        for (product, sum) in other.products {
            add(self.products.entry(product).or_default(), sum);
        }
        self
    }

    /// The products of a window with the highest sums, equal ones by id, with their shares.
    pub(super) fn best(&self, window: usize, most: usize) -> Vec<(&str, f64)> {
        let sum = |sums: &[u64; 4]| sums.get(window).copied().unwrap_or(0);
        let all = sum(&self.all);
        let mut products: Vec<(u64, &str)> = self
            .products
            .iter()
            .map(|(product, sums)| (sum(sums), product.as_str()))
            .filter(|(sum, _)| *sum > 0)
            .collect();
        products.sort_unstable_by(|a, b| (b.0, a.1).cmp(&(a.0, b.1)));
        products.truncate(most);
        products.into_iter().map(|(sum, product)| (product, share(sum, all))).collect()
    }
}

#[allow(clippy::cast_precision_loss, reason = "a share to some 15 digits")]
fn share(sum: u64, all: u64) -> f64 {
    sum as f64 / all.max(1) as f64
}

fn add(sum: &mut [u64; 4], weights: [u64; 4]) {
    for (sum, weight) in sum.iter_mut().zip(weights) {
        *sum = sum.saturating_add(weight);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn page(baskets: &[(i64, Vec<u32>)]) -> BasketPage {
        let products = (0..6).map(|n| format!("p{n}")).collect();
        BasketPage { products, baskets: baskets.to_vec() }
    }

    proptest! {
        #[test]
        fn however_baskets_are_split_and_merged_the_bytes_are_the_same(
            baskets in prop::collection::vec((0_i64..5_000_000_000, prop::collection::btree_set(0_u32..6, 1..4)), 1..40),
            cuts in prop::collection::vec(0_usize..40, 0..5),
        ) {
            let baskets: Vec<(i64, Vec<u32>)> =
                baskets.into_iter().map(|(time, basket)| (time, basket.into_iter().collect())).collect();
            let newest = baskets.iter().map(|(time, _)| *time).max().unwrap();
            let mut whole = PopularitySums::new(newest);
            whole.add(&page(&baskets));
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(baskets.len())).collect();
            cuts.extend([0, baskets.len()]);
            cuts.sort_unstable();
            let parts: Vec<PopularitySums> = cuts.windows(2).map(|cut| {
                let mut part = PopularitySums::new(newest);
                part.add(&page(&baskets[cut[0]..cut[1]]));
                part
            }).collect();
            let merged = |parts: Vec<PopularitySums>| {
                serde_json::to_vec(&parts.into_iter().reduce(PopularitySums::merge).unwrap()).unwrap()
            };
            let forwards = merged(parts.clone());
            let backwards = merged(parts.into_iter().rev().collect());
            prop_assert_eq!(&forwards, &backwards);
            prop_assert_eq!(forwards, serde_json::to_vec(&whole).unwrap());
        }
    }

    #[test]
    fn a_window_forgets_what_is_many_half_lives_old() {
        const DAY: i64 = 86_400_000;
        let mut sums = PopularitySums::new(100 * DAY);
        sums.add(&page(&[(100 * DAY, vec![0]), (0, vec![1]), (0, vec![1, 2])]));
        assert_eq!(sums.best(0, 10).iter().map(|(id, _)| *id).collect::<Vec<_>>(), ["p0"]);
        assert_eq!(sums.best(3, 2), [("p1", 2.0 / 3.0), ("p0", 1.0 / 3.0)]);
    }
}
