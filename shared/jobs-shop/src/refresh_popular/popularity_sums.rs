//! Baskets summed up by window and product, plainly and by weight.

use std::collections::{BTreeMap, HashMap};

use nextbasket_recommender::{in_windows, window_weights};
use serde::{Deserialize, Serialize};

use super::read::{BasketPage, DatedBasket};

/// The windows, by their names in requests, in the order of the weights.
pub(super) const WINDOWS: [&str; 4] = ["day", "week", "month", "all"];

/// Sums of baskets by window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WindowSums {
    /// By weight, which is what products are ordered by: fixed-point numbers with 32 binary places.
    pub weights: [u64; 4],
    /// The baskets in the window, each as one.
    pub baskets: [u64; 4],
    /// The shoppers of these baskets.
    pub shoppers: [u64; 4],
}

impl WindowSums {
    fn of_basket(now_ms: i64, time_ms: i64) -> Self {
        Self {
            weights: window_weights(now_ms, time_ms),
            baskets: in_windows(now_ms, time_ms).map(u64::from),
            shoppers: [0; 4],
        }
    }

    fn add(&mut self, other: &Self) {
        for (sums, others) in [
            (&mut self.weights, other.weights),
            (&mut self.baskets, other.baskets),
            (&mut self.shoppers, other.shoppers),
        ] {
            for (sum, other) in sums.iter_mut().zip(others) {
                *sum = sum.saturating_add(other);
            }
        }
    }
}

/// One of the best products of a window.
#[derive(Debug, PartialEq)]
pub(super) struct BestProduct<'a> {
    pub product: &'a str,
    pub share: f64,
    pub baskets: u64,
    pub shoppers: u64,
}

/// What was bought. Merge: associative and commutative, and its bytes are sorted, so equal baskets give equal bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PopularitySums {
    /// The newest purchase, in milliseconds since 1970.
    pub newest: i64,
    pub purchases: u64,
    pub all: WindowSums,
    /// Of the baskets that hold the product.
    pub products: BTreeMap<String, WindowSums>,
    /// In which windows the shopper of the last basket has bought which product.
    #[serde(skip)]
    own: HashMap<String, [bool; 4]>,
}

fn at(sums: [u64; 4], window: usize) -> u64 {
    sums.get(window).copied().unwrap_or(0)
}

impl PopularitySums {
    /// Of nothing yet; `newest` is the newest purchase of all.
    pub(super) fn new(newest: i64) -> Self {
        Self { newest, ..Self::default() }
    }

    /// The pages of a segment come in their order.
    pub(super) fn add(&mut self, page: &BasketPage) {
        let mut sums = vec![WindowSums::default(); page.products.len()];
        for DatedBasket { time, products, same_shopper } in &page.baskets {
            if !same_shopper {
                self.own.clear();
            }
            let basket = WindowSums::of_basket(self.newest, *time);
            self.all.add(&basket);
            self.purchases += 1;
            for number in products {
                let Ok(place) = usize::try_from(*number) else { continue };
                if let (Some(sum), Some(product)) = (sums.get_mut(place), page.products.get(place)) {
                    sum.add(&basket);
                    self.add_shopper(sum, basket.baskets, product);
                }
            }
        }
        for (product, sum) in page.products.iter().zip(sums) {
            match self.products.get_mut(product) {
                Some(known) => known.add(&sum),
                None => {
                    self.products.insert(product.clone(), sum);
                }
            }
        }
    }

    /// Counts the shopper in those of the windows where this is the first such basket.
    fn add_shopper(&mut self, sum: &mut WindowSums, windows: [u64; 4], product: &str) {
        if !self.own.contains_key(product) {
            self.own.insert(product.to_owned(), [false; 4]);
        }
        let Some(known) = self.own.get_mut(product) else { return };
        for ((known, shoppers), inside) in known.iter_mut().zip(&mut sum.shoppers).zip(windows) {
            if inside > 0 && !std::mem::replace(known, true) {
                *shoppers = shoppers.saturating_add(1);
            }
        }
    }

    pub(super) fn merge(mut self, other: Self) -> Self {
        self.newest = self.newest.max(other.newest);
        self.purchases += other.purchases;
        self.all.add(&other.all);
        for (product, sum) in other.products {
            self.products.entry(product).or_default().add(&sum);
        }
        self
    }

    /// The purchases of a window.
    pub(super) fn purchases_in(&self, window: usize) -> u64 {
        at(self.all.baskets, window)
    }

    /// The products of a window with the highest weights, equal ones by id.
    pub(super) fn best(&self, window: usize, most: usize) -> Vec<BestProduct<'_>> {
        let mut products: Vec<(u64, &str, &WindowSums)> = self
            .products
            .iter()
            .map(|(product, sums)| (at(sums.weights, window), product.as_str(), sums))
            .filter(|(weight, ..)| *weight > 0)
            .collect();
        products.sort_unstable_by(|a, b| (b.0, a.1).cmp(&(a.0, b.1)));
        products.truncate(most);
        let all = at(self.all.weights, window);
        let best = |(weight, product, sums): (u64, _, &WindowSums)| BestProduct {
            product,
            share: share(weight, all),
            baskets: at(sums.baskets, window),
            shoppers: at(sums.shoppers, window),
        };
        products.into_iter().map(best).collect()
    }
}

#[allow(clippy::cast_precision_loss, reason = "a share to some 15 digits")]
fn share(sum: u64, all: u64) -> f64 {
    sum as f64 / all.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Each basket of another shopper.
    fn page(baskets: &[(i64, Vec<u32>)]) -> BasketPage {
        let products = (0..6).map(|n| format!("p{n}")).collect();
        let dated = |(time, products): &(i64, Vec<u32>)| DatedBasket {
            time: *time,
            products: products.clone(),
            same_shopper: false,
        };
        BasketPage { products, baskets: baskets.iter().map(dated).collect() }
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
    fn a_shopper_counts_once_in_each_window_over_all_pages() {
        const DAY: i64 = 86_400_000;
        let basket =
            |time, product: u32, same_shopper| DatedBasket { time, products: vec![product], same_shopper };
        let products = || vec!["a".to_owned(), "b".to_owned()];
        let mut sums = PopularitySums::new(100 * DAY);
        for baskets in [
            vec![basket(0, 0, true), basket(100 * DAY, 0, true), basket(100 * DAY, 1, true)],
            vec![basket(100 * DAY, 0, true), basket(95 * DAY, 0, false)],
            vec![basket(0, 1, false)],
        ] {
            sums.add(&BasketPage { products: products(), baskets });
        }
        let shoppers = |product: &str| sums.products[product].shoppers;
        assert_eq!((shoppers("a"), shoppers("b")), ([1, 2, 2, 2], [1, 1, 1, 2]));
        assert_eq!(sums.products["a"].baskets, [2, 3, 3, 4]);
    }

    #[test]
    fn a_window_forgets_what_is_many_half_lives_old() {
        const DAY: i64 = 86_400_000;
        let mut sums = PopularitySums::new(100 * DAY);
        sums.add(&page(&[(100 * DAY, vec![0]), (0, vec![1]), (0, vec![1, 2])]));
        assert_eq!(sums.best(0, 10).iter().map(|best| best.product).collect::<Vec<_>>(), ["p0"]);
        assert_eq!((sums.purchases_in(0), sums.purchases_in(3)), (1, 3));
        let ever = |product, share, baskets| BestProduct { product, share, baskets, shoppers: baskets };
        assert_eq!(sums.best(3, 2), [ever("p1", 2.0 / 3.0, 2), ever("p0", 1.0 / 3.0, 1)]);
    }
}
