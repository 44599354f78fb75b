//! Scores of the three neighbour models, and the best of each row.
#![allow(clippy::indexing_slicing, reason = "totals are sized by the catalogue whose numbers index them")]

use crate::bytes::DecodeError;
use crate::catalogue::ProductIx;
use crate::counts::{CountRow, EncodedRows, MergeError, NextRow, Totals, Transitions, take_row};
use crate::fixed_point::{ONE, narrow};
use crate::params::Params;
use crate::row::{BestNeighbours, Neighbour, NeighbourRow, ProductRows};
use std::ops::Range;

/// Added to the denominator of a transition, and to a count's in a cosine: few observations are worth little.
const SHRINKAGE: u64 = 5;

/// Which of the three neighbour models are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeighbourModels {
    /// All.
    All,
    /// `next` and `together`, which a user's list is made of. `similar` stays empty.
    Lists,
}

/// Why counts cannot be ranked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RankError {
    /// The bytes are no counts.
    #[error(transparent)]
    Bytes(#[from] DecodeError),
    /// The counts do not belong together, or do not add up.
    #[error(transparent)]
    Merge(#[from] MergeError),
}

/// Adds counts up and ranks them: the best neighbours of each product of a block, in the order of the products.
///
/// `parts` are [`PairCounts`](crate::PairCounts) in bytes, each of other users, in any order; `totals` are merged
/// over all users. The parts are read side by side, a product at a time, so that beside their bytes and the answer
/// only some 24 bytes per product of the catalogue are held.
///
/// - `next`: `S[j,i] = c(j,i) / (n(j) + 5)`, the share of the weight of all that came after j that went to baskets
///   with i. Its further columns are the same of the very next basket alone: each counted once ([`NEXT_BASKET`]), and
///   by the weight 0.5^(age / 7 days) ([`RECENT_NEXT_BASKET`]).
/// - `together`: `C / sqrt(n_i n_j) · C / (C + 5)`, C baskets with both: cosine over baskets, shrunk.
/// - `similar`: the same over users, C users who bought the two in different baskets.
///
/// # Errors
/// A part is corrupt, of other products or of another training run; sums that do not fit their integers.
pub fn rank<B: AsRef<[u8]>>(
    products: Range<u32>,
    parts: &[B],
    totals: &Totals,
    params: &Params,
    models: NeighbourModels,
) -> Result<Vec<ProductRows>, RankError> {
    if products.end as usize > totals.products.len() {
        return Err(MergeError::OtherRun.into());
    }
    let mut parts =
        parts.iter().map(|part| EncodedRows::open(part.as_ref())).collect::<Result<Vec<_>, _>>()?;
    for part in &parts {
        if part.stamp != totals.stamp {
            return Err(MergeError::OtherRun.into());
        }
        if part.products != products {
            return Err(MergeError::OtherProducts.into());
        }
    }
    let mut block = BlockRanker {
        ranker: Ranker::new(totals, params),
        next: NextRow::new(totals.products.len()),
        plain: CountRow::new(totals.products.len()),
    };
    let rows = products.map(|product| block.rows(product, &mut parts, models)).collect::<Result<_, _>>()?;
    let ends = |part: &EncodedRows<'_>| match models {
        NeighbourModels::All => part.next.end().and(part.together.end()).and(part.similar.end()),
        NeighbourModels::Lists => part.next.end().and(part.together.end()),
    };
    parts.iter().try_for_each(ends)?;
    Ok(rows)
}

#[derive(Debug)]
struct BlockRanker<'t> {
    ranker: Ranker<'t>,
    next: NextRow,
    plain: CountRow,
}

impl BlockRanker<'_> {
    fn rows(
        &mut self,
        product: u32,
        parts: &mut [EncodedRows<'_>],
        models: NeighbourModels,
    ) -> Result<ProductRows, RankError> {
        let other = |neighbour| {
            if neighbour == product { Err(DecodeError::Invalid("neighbour")) } else { Ok(neighbour) }
        };
        for part in parts.iter_mut() {
            take_row(&mut part.next, |neighbour, counted| -> Result<(), RankError> {
                Ok(self.next.add_counted(other(neighbour)?, counted)?)
            })?;
        }
        let next = self.ranker.next_row(product, &self.next);
        self.next.clear();
        let mut rows = ProductRows {
            product: ProductIx::new(product),
            next,
            together: NeighbourRow::default(),
            similar: NeighbourRow::default(),
        };
        for part in parts.iter_mut() {
            take_row(&mut part.together, |neighbour, counted| -> Result<(), RankError> {
                Ok(self.plain.add_counted(other(neighbour)?, counted)?)
            })?;
        }
        rows.together = self.ranker.together_row(product, &self.plain);
        self.plain.clear();
        if models == NeighbourModels::All {
            for part in parts.iter_mut() {
                take_row(&mut part.similar, |neighbour, counted| -> Result<(), RankError> {
                    Ok(self.plain.add_counted(other(neighbour)?, counted)?)
                })?;
            }
            rows.similar = self.ranker.similar_row(product, &self.plain);
            self.plain.clear();
        }
        Ok(rows)
    }
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
    next: BestNeighbours,
    together: BestNeighbours,
    similar: BestNeighbours,
}

impl<'t> Ranker<'t> {
    pub(super) fn new(totals: &'t Totals, params: &Params) -> Self {
        let norm = |count: u32| 1.0 / f64::from(count.max(1)).sqrt();
        Self {
            totals,
            basket_norms: totals.products.iter().map(|p| norm(p.baskets)).collect(),
            user_norms: totals.products.iter().map(|p| norm(p.buyers)).collect(),
            gains: (0..1024).map(gain).collect(),
            next: BestNeighbours::new(usize::from(params.next_neighbours)),
            together: BestNeighbours::new(usize::from(params.together_neighbours)),
            similar: BestNeighbours::new(usize::from(params.similar_neighbours)),
        }
    }

    pub(super) fn next_row(&mut self, product: u32, row: &NextRow) -> NeighbourRow {
        let totals = &self.totals.products[product as usize];
        let all = totals.transitions.saturating_add(SHRINKAGE * ONE) as f64;
        for &i in row.neighbours() {
            // Within a row the order of the weights is the order of the scores, and exact.
            let weight = row.get(i).weight;
            if weight > 0 {
                self.next.offer(weight, i);
            }
        }
        let best: Vec<(u64, u32)> = self.next.take().collect();
        let column = |value: fn(Transitions) -> u64, all: u64| {
            let all = all.saturating_add(SHRINKAGE * ONE) as f64;
            best.iter().map(move |&(_, i)| single(value(row.get(i)) as f64 / all)).collect::<Vec<f32>>()
        };
        NeighbourRow::new(best.iter().map(|&(weight, i)| Neighbour {
            product: ProductIx::new(i),
            score: single(weight as f64 / all),
            evidence: row.get(i).shoppers,
        }))
        .with_column(column(|counted| u64::from(counted.next) * ONE, u64::from(totals.next) * ONE))
        .with_column(column(|counted| counted.recent_next, totals.recent_next))
    }

    pub(super) fn together_row(&mut self, product: u32, row: &CountRow) -> NeighbourRow {
        cosine(product, row, &self.basket_norms, &self.gains, &mut self.together)
    }

    pub(super) fn similar_row(&mut self, product: u32, row: &CountRow) -> NeighbourRow {
        cosine(product, row, &self.user_norms, &self.gains, &mut self.similar)
    }
}

fn cosine(
    product: u32,
    row: &CountRow,
    norms: &[f64],
    gains: &[f64],
    best: &mut BestNeighbours,
) -> NeighbourRow {
    let own = norms[product as usize];
    for &i in row.neighbours() {
        let count = row.get(i);
        let gain = gains.get(count as usize).copied().unwrap_or_else(|| gain(count));
        let score = gain * own * norms[i as usize];
        best.offer(score.to_bits(), i);
    }
    NeighbourRow::new(best.take().map(|(bits, i)| Neighbour {
        product: ProductIx::new(i),
        score: single(f64::from_bits(bits)),
        evidence: row.get(i),
    }))
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
