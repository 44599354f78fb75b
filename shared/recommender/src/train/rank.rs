//! Scores of the three neighbour models, and the best of each row.
#![allow(clippy::indexing_slicing, reason = "totals are sized by the catalogue whose numbers index them")]

use crate::counts::{CountRow, MergeError, NextRow, PairCounts, Totals};
use crate::fixed::{ONE, narrow};
use crate::params::Params;
use crate::product::ProductIx;
use crate::row::{Best, Neighbour, NeighbourRow, ProductRows};

/// Added to the denominator of a transition, and to a count's in a cosine: few observations are worth little.
const SHRINKAGE: u64 = 5;

/// Ranks merged counts: the best neighbours of each product of the block, in the order of the products.
///
/// - `next`: `S[j,i] = c(j,i) / (n(j) + 5)`, the share of the weight of all that came after j that went to baskets
///   with i.
/// - `together`: `C / sqrt(n_i n_j) · C / (C + 5)`, C baskets with both: cosine over baskets, shrunk.
/// - `similar`: the same over users, C users who bought the two in different baskets.
///
/// # Errors
/// Counts and sums are not of the same training run.
pub fn rank(pairs: &PairCounts, totals: &Totals, params: &Params) -> Result<Vec<ProductRows>, MergeError> {
    let known =
        |neighbours: &[u32]| neighbours.last().is_none_or(|&last| (last as usize) < totals.products.len());
    let fits = pairs.products.end as usize <= totals.products.len()
        && pairs.next.rows().all(|(neighbours, _)| known(neighbours))
        && pairs.together.rows().chain(pairs.similar.rows()).all(|(neighbours, _)| known(neighbours));
    if pairs.stamp != totals.stamp || !fits {
        return Err(MergeError::OtherRun);
    }
    let mut ranker = Ranker::new(totals, params);
    let rows = pairs.products.clone().enumerate().map(|(row, product)| {
        let (neighbours, values) = pairs.next.row(row);
        let next = ranker.next(product, neighbours.iter().zip(values).map(|(&i, &(w, _))| (i, w)), |i| {
            values[neighbours.partition_point(|&n| n < i)].1
        });
        let mut plain = |(neighbours, counts): (&[u32], &[u32]), over: Over| {
            let get = |i| counts[neighbours.partition_point(|&n| n < i)];
            ranker.cosine(product, neighbours.iter().copied().zip(counts.iter().copied()), get, over)
        };
        let together = plain(pairs.together.row(row), Over::Baskets);
        let similar = plain(pairs.similar.row(row), Over::Users);
        ProductRows { product: ProductIx::new(product), next, together, similar }
    });
    Ok(rows.collect())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    Baskets,
    Users,
}

/// Turns one product's counts into rows, whichever way they were counted.
#[derive(Debug)]
pub(super) struct Ranker<'t> {
    totals: &'t Totals,
    /// 1 / sqrt(baskets), 1 / sqrt(buyers) per product.
    basket_norms: Vec<f64>,
    user_norms: Vec<f64>,
    /// C · C / (C + 5) for small C: most counts are small, and a division costs more than a look.
    gains: Vec<f64>,
    next: Best,
    together: Best,
    similar: Best,
}

impl<'t> Ranker<'t> {
    pub(super) fn new(totals: &'t Totals, params: &Params) -> Self {
        let norm = |count: u32| 1.0 / f64::from(count.max(1)).sqrt();
        Self {
            totals,
            basket_norms: totals.products.iter().map(|p| norm(p.baskets)).collect(),
            user_norms: totals.products.iter().map(|p| norm(p.buyers)).collect(),
            gains: (0..1024).map(gain).collect(),
            next: Best::new(usize::from(params.next_neighbours)),
            together: Best::new(usize::from(params.together_neighbours)),
            similar: Best::new(usize::from(params.similar_neighbours)),
        }
    }

    pub(super) fn next_row(&mut self, product: u32, row: &NextRow) -> NeighbourRow {
        self.next(product, row.neighbours().iter().map(|&i| (i, row.get(i).0)), |i| row.get(i).1)
    }

    pub(super) fn together_row(&mut self, product: u32, row: &CountRow) -> NeighbourRow {
        let counts = row.neighbours().iter().map(|&i| (i, row.get(i)));
        self.cosine(product, counts, |i| row.get(i), Over::Baskets)
    }

    pub(super) fn similar_row(&mut self, product: u32, row: &CountRow) -> NeighbourRow {
        let counts = row.neighbours().iter().map(|&i| (i, row.get(i)));
        self.cosine(product, counts, |i| row.get(i), Over::Users)
    }

    fn next(
        &mut self,
        product: u32,
        weights: impl Iterator<Item = (u32, u64)>,
        shoppers: impl Fn(u32) -> u32,
    ) -> NeighbourRow {
        let all = self.totals.products[product as usize].transitions.saturating_add(SHRINKAGE * ONE) as f64;
        // Within a row the order of the weights is the order of the scores, and exact.
        weights.filter(|&(_, weight)| weight > 0).for_each(|(i, weight)| self.next.offer(weight, i));
        NeighbourRow::new(self.next.take().map(|(weight, i)| Neighbour {
            product: ProductIx::new(i),
            score: single(weight as f64 / all),
            evidence: shoppers(i),
        }))
    }

    fn cosine(
        &mut self,
        product: u32,
        counts: impl Iterator<Item = (u32, u32)>,
        count: impl Fn(u32) -> u32,
        over: Over,
    ) -> NeighbourRow {
        let (norms, best) = match over {
            Over::Baskets => (&self.basket_norms, &mut self.together),
            Over::Users => (&self.user_norms, &mut self.similar),
        };
        let own = norms[product as usize];
        for (i, count) in counts {
            let gain = self.gains.get(count as usize).copied().unwrap_or_else(|| gain(count));
            let score = gain * own * norms[i as usize];
            best.offer(score.to_bits(), i);
        }
        NeighbourRow::new(best.take().map(|(bits, i)| Neighbour {
            product: ProductIx::new(i),
            score: single(f64::from_bits(bits)),
            evidence: count(i),
        }))
    }
}

fn gain(count: u32) -> f64 {
    let both = f64::from(count);
    both * both / (both + SHRINKAGE as f64)
}

#[allow(clippy::cast_possible_truncation, reason = "scores lie between 0 and 1; single precision is meant")]
fn single(value: f64) -> f32 {
    value as f32
}

/// Products in blocks of this many are handed to the threads of the one-process path.
pub(super) fn blocks(products: usize) -> impl Iterator<Item = std::ops::Range<u32>> + Clone {
    const BLOCK: usize = 32;
    (0..products.div_ceil(BLOCK)).map(move |b| narrow(b * BLOCK)..narrow(((b + 1) * BLOCK).min(products)))
}
