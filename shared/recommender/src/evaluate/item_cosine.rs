//! Item-item cosine, the usual peer: what `CosineRecommender` of the library `implicit` computes.
#![allow(
    clippy::indexing_slicing,
    reason = "all arrays are sized by the data set whose numbers index them, or filled by prefix sums of their lengths"
)]

use crate::catalogue::ProductIx;
use crate::dataset::Dataset;
use crate::fixed_point::narrow;
use crate::row::BestNeighbours;
use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// The neighbours kept per product. How many of them a list is made of is said when it is made.
pub const COSINE_NEIGHBOURS: usize = 50;

/// The nearest products of each product by the cosine of their columns in a table of counts: row by row a user, with in
/// how many baskets the user bought each product; or row by row a basket.
///
/// As in `implicit`, a product is a neighbour of itself, with similarity 1, and nothing is shrunk. Counts are integers,
/// so that the number of threads does not show.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemCosine {
    starts: Vec<usize>,
    neighbours: Vec<(u32, f32)>,
}

/// Rows of products with counts, one after the other.
#[derive(Debug, Default)]
struct CountRows {
    starts: Vec<usize>,
    products: Vec<u32>,
    counts: Vec<u16>,
}

impl CountRows {
    fn of_users(data: &Dataset) -> Self {
        let mut rows = Self { starts: vec![0], ..Self::default() };
        let mut products = Vec::new();
        for user in 0..data.user_count() {
            products.clear();
            data.baskets_of(user).for_each(|(_, basket)| products.extend_from_slice(basket));
            products.sort_unstable();
            for same in products.chunk_by(|a, b| a == b) {
                rows.products.push(same[0]);
                rows.counts.push(u16::try_from(same.len()).unwrap_or(u16::MAX));
            }
            rows.starts.push(rows.products.len());
        }
        rows
    }

    fn of_baskets(data: &Dataset) -> Self {
        let mut rows = Self { starts: vec![0], ..Self::default() };
        for user in 0..data.user_count() {
            for (_, basket) in data.baskets_of(user) {
                rows.products.extend_from_slice(basket);
                rows.starts.push(rows.products.len());
            }
        }
        rows.counts.resize(rows.products.len(), 1);
        rows
    }

    fn row(&self, at: u32) -> impl Iterator<Item = (u32, u16)> {
        let range = self.starts[at as usize]..self.starts[at as usize + 1];
        self.products[range.clone()].iter().copied().zip(self.counts[range].iter().copied())
    }

    /// The rows that hold each product.
    fn transposed(&self, products: usize) -> Self {
        let mut starts = vec![0; products + 1];
        self.products.iter().for_each(|&product| starts[product as usize + 1] += 1);
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut next = starts.clone();
        let (mut rows, mut counts) = (vec![0; self.products.len()], vec![0; self.products.len()]);
        for row in 0..narrow(self.starts.len() - 1) {
            for (product, count) in self.row(row) {
                let place = &mut next[product as usize];
                (rows[*place], counts[*place]) = (row, count);
                *place += 1;
            }
        }
        Self { starts, products: rows, counts }
    }
}

impl ItemCosine {
    /// Over the users' counts of baskets with a product.
    pub fn of_users(data: &Dataset, neighbours: usize, threads: NonZero<usize>) -> Self {
        Self::of(&CountRows::of_users(data), data.catalogue().len(), neighbours, threads)
    }

    /// Over baskets.
    pub fn of_baskets(data: &Dataset, neighbours: usize, threads: NonZero<usize>) -> Self {
        Self::of(&CountRows::of_baskets(data), data.catalogue().len(), neighbours, threads)
    }

    fn of(rows: &CountRows, products: usize, most: usize, threads: NonZero<usize>) -> Self {
        let columns = rows.transposed(products);
        let norm = |product: u32| {
            let squares: u64 = columns.row(product).map(|(_, count)| u64::from(count).pow(2)).sum();
            (squares as f64).sqrt()
        };
        let norms: Vec<f64> = (0..narrow(products)).map(norm).collect();
        let next = AtomicU32::new(0);
        let work = || {
            let (mut dots, mut touched) = (vec![0u64; products], Vec::new());
            let mut best = BestNeighbours::new(most);
            let mut done = Vec::new();
            loop {
                let product = next.fetch_add(1, Ordering::Relaxed);
                if product as usize >= products {
                    return done;
                }
                for (row, count) in columns.row(product) {
                    for (other, other_count) in rows.row(row) {
                        let dot = &mut dots[other as usize];
                        if *dot == 0 {
                            touched.push(other);
                        }
                        *dot += u64::from(count) * u64::from(other_count);
                    }
                }
                for other in touched.drain(..) {
                    let dot = std::mem::take(&mut dots[other as usize]);
                    let cosine = dot as f64 / (norms[product as usize] * norms[other as usize]);
                    best.offer(cosine.to_bits(), other);
                }
                let row: Vec<(u32, f32)> =
                    best.take().map(|(bits, other)| (other, single(f64::from_bits(bits)))).collect();
                done.push((product, row));
            }
        };
        let mut all = thread::scope(|scope| {
            let workers: Vec<_> = (1..threads.get()).map(|_| scope.spawn(work)).collect();
            let mut all = work();
            for worker in workers {
                all.extend(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            all
        });
        all.sort_unstable_by_key(|(product, _)| *product);
        let (mut starts, mut neighbours) = (vec![0], Vec::new());
        for (_, row) in all {
            neighbours.extend(row);
            starts.push(neighbours.len());
        }
        Self { starts, neighbours }
    }

    /// A product's neighbours, nearest first.
    pub fn neighbours(&self, product: ProductIx) -> impl Iterator<Item = (ProductIx, f32)> {
        let row = match self.starts.get(product.at()..product.at().saturating_add(2)) {
            Some(&[start, end]) => self.neighbours.get(start..end).unwrap_or(&[]),
            _ => &[],
        };
        row.iter().map(|&(other, cosine)| (ProductIx::new(other), cosine))
    }

    /// The best products for somebody with these products, as often as they come: by the sum of the similarities to those
    /// that they are among the `nearest` neighbours of; of equal ones the smaller number. As short as the list of all
    /// these neighbours.
    pub fn list(
        &self,
        products: impl IntoIterator<Item = ProductIx>,
        nearest: usize,
        exclude: &[ProductIx],
        limit: usize,
    ) -> Vec<ProductIx> {
        let mut counts: BTreeMap<ProductIx, u32> = BTreeMap::new();
        products.into_iter().for_each(|product| *counts.entry(product).or_default() += 1);
        let mut scores: BTreeMap<ProductIx, f64> = BTreeMap::new();
        for (product, count) in counts {
            for (other, cosine) in self.neighbours(product).take(nearest) {
                *scores.entry(other).or_default() += f64::from(count) * f64::from(cosine);
            }
        }
        let mut best: Vec<(ProductIx, f64)> =
            scores.into_iter().filter(|(product, _)| !exclude.contains(product)).collect();
        best.sort_by(|a, b| b.1.total_cmp(&a.1));
        best.truncate(limit);
        best.into_iter().map(|(product, _)| product).collect()
    }
}

#[allow(clippy::cast_possible_truncation, reason = "a cosine; single precision is meant")]
fn single(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DatasetBuilder;
    use proptest::prelude::*;

    fn shop(baskets: &[(u8, Vec<u8>)]) -> Dataset {
        let mut builder = DatasetBuilder::new();
        for (at, (user, products)) in (0..).zip(baskets) {
            let products: Vec<String> = products.iter().map(|product| format!("p{product}")).collect();
            let products = products.iter().map(String::as_str);
            builder.push(&format!("u{user}"), &at.to_string(), at, products).unwrap();
        }
        builder.build().unwrap()
    }

    #[test]
    fn a_list_is_the_one_worked_out_by_hand() {
        // Counts of (tea, jam, oil): u0 (2, 1, 0), u1 (1, 0, 1).
        let data = shop(&[(0, vec![0, 1]), (0, vec![0]), (1, vec![0, 2])]);
        let cosine = ItemCosine::of_users(&data, 50, NonZero::<usize>::MIN);
        let of = |product: u32| {
            let row = cosine.neighbours(ProductIx::new(product));
            row.map(|(other, cosine)| (other.get(), (f64::from(cosine) * 1e4).round())).collect::<Vec<_>>()
        };
        assert_eq!(of(0), [(0, 10_000.0), (1, 8944.0), (2, 4472.0)]);
        assert_eq!(of(1), [(1, 10_000.0), (0, 8944.0)]);
        // Tea twice and jam once: tea 2.89, jam 2.79, oil 0.89.
        let bought = || [0, 0, 1].map(ProductIx::new);
        let list = |nearest, exclude: &[ProductIx], limit| {
            cosine
                .list(bought(), nearest, exclude, limit)
                .iter()
                .map(|product| product.get())
                .collect::<Vec<_>>()
        };
        assert_eq!(list(50, &[], 20), [0, 1, 2]);
        assert_eq!(list(50, &[ProductIx::new(0)], 1), [1]);
        assert_eq!(list(2, &[], 20), [0, 1], "oil is the third neighbour of tea");
        let cosine = ItemCosine::of_baskets(&data, 1, NonZero::<usize>::MIN);
        assert_eq!(cosine.neighbours(ProductIx::new(2)).count(), 1);
    }

    proptest! {
        #[test]
        fn cosines_are_those_of_the_definition_whatever_the_threads(
            baskets in prop::collection::vec((0u8..6, prop::collection::vec(0u8..12, 1..5)), 1..30)
        ) {
            let data = shop(&baskets);
            let cosine = ItemCosine::of_users(&data, usize::from(u8::MAX), NonZero::<usize>::MIN);
            prop_assert_eq!(&ItemCosine::of_users(&data, usize::from(u8::MAX), NonZero::new(3).unwrap()), &cosine);
            let column = |product: u32| -> Vec<f64> {
                let of = |user| data.baskets_of(user).filter(|(_, basket)| basket.contains(&product)).count();
                (0..data.user_count()).map(|user| of(user) as f64).collect()
            };
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            for one in 0..narrow(data.catalogue().len()) {
                let a = column(one);
                let found: BTreeMap<u32, f32> =
                    cosine.neighbours(ProductIx::new(one)).map(|(other, cosine)| (other.get(), cosine)).collect();
                for other in 0..narrow(data.catalogue().len()) {
                    let b = column(other);
                    let expected = dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt();
                    let found = f64::from(found.get(&other).copied().unwrap_or(0.0));
                    prop_assert!((found - expected).abs() < 1e-6, "{} {}: {} {}", one, other, found, expected);
                }
            }
        }
    }
}
