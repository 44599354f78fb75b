//! Training in one process, on several threads, without ever holding the pairs.

use super::rank::{Ranker, blocks};
use crate::catalogue::ProductIx;
use crate::counts::{CountRow, Counting, MergeError, NextRow, Totals};
use crate::dataset::Dataset;
use crate::params::{Params, ParamsError};
use crate::priors::Priors;
use crate::row::ProductRows;
use std::num::NonZero;
use std::ops::Range;
use std::sync::Mutex;
use std::thread;

/// A trained model: what an answer needs to know of all products, and each product's neighbours.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainedModel {
    /// What is known per product.
    pub priors: Priors,
    /// Neighbours, in the order of the products.
    pub rows: Vec<ProductRows>,
}

/// Why there is no model.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TrainError {
    /// A parameter is outside its range.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// The counts do not add up.
    #[error(transparent)]
    Merge(#[from] MergeError),
}

/// Counts and ranks the whole data set. `categories` names the categories of a product id, in any order.
///
/// Bit-equal to counting any partition of the users, merging and [`super::rank`]; the number of threads does not
/// show in the result. Memory beside the data set: some 8 bytes a line, 16 a basket, and 50 per product and thread.
///
/// # Errors
/// A parameter outside its range; sums that do not fit their integers.
pub fn train(
    data: &Dataset,
    params: &Params,
    threads: NonZero<usize>,
    categories: &dyn Fn(&str) -> Vec<String>,
) -> Result<TrainedModel, TrainError> {
    train_at(data, params, data.newest_ms().unwrap_or(0), threads, categories)
}

/// The same, where the newest purchase time is that of a larger data set.
pub(crate) fn train_at(
    data: &Dataset,
    params: &Params,
    now_ms: i64,
    threads: NonZero<usize>,
    categories: &dyn Fn(&str) -> Vec<String>,
) -> Result<TrainedModel, TrainError> {
    let counting = Counting::new(data, params, now_ms)?;
    let totals = all_totals(&counting, threads)?;
    let rows = all_rows(&counting, &totals, threads);
    drop(counting);
    let priors = Priors::new(data.catalogue(), &totals, params, now_ms, categories);
    Ok(TrainedModel { priors, rows })
}

fn all_totals(counting: &Counting<'_>, threads: NonZero<usize>) -> Result<Totals, MergeError> {
    let users = counting.all_users();
    let width = users.end.div_ceil(u32::try_from(threads.get()).unwrap_or(u32::MAX)).max(1);
    let parts: Vec<Range<u32>> =
        (0..users.end).step_by(width as usize).map(|start| start..(start + width).min(users.end)).collect();
    thread::scope(|scope| {
        let workers: Vec<_> =
            parts.into_iter().map(|part| scope.spawn(move || counting.totals(part))).collect();
        let mut all = counting.totals(0..0);
        for worker in workers {
            let part = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            all = all.merge(&part)?;
        }
        Ok(all)
    })
}

fn all_rows(counting: &Counting<'_>, totals: &Totals, threads: NonZero<usize>) -> Vec<ProductRows> {
    let queue = Mutex::new(blocks(totals.products.len()));
    let next_block = || queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
    let work = || {
        let mut worker = RowWorker::new(counting, totals);
        let mut done = Vec::new();
        while let Some(block) = next_block() {
            done.extend(block.map(|product| worker.rows(product)));
        }
        done
    };
    let mut rows: Vec<ProductRows> = thread::scope(|scope| {
        let workers: Vec<_> = (1..threads.get()).map(|_| scope.spawn(work)).collect();
        let mut rows = work();
        for worker in workers {
            rows.extend(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        rows
    });
    rows.sort_unstable_by_key(|row| row.product);
    rows
}

#[derive(Debug)]
struct RowWorker<'c, 'd> {
    counting: &'c Counting<'d>,
    baskets: Range<u32>,
    ranker: Ranker<'c>,
    next: NextRow,
    plain: CountRow,
}

impl<'c, 'd> RowWorker<'c, 'd> {
    fn new(counting: &'c Counting<'d>, totals: &'c Totals) -> Self {
        let products = totals.products.len();
        Self {
            counting,
            baskets: counting.data.baskets_in(counting.all_users()),
            ranker: Ranker::new(totals, &counting.params),
            next: NextRow::new(products),
            plain: CountRow::new(products),
        }
    }

    fn rows(&mut self, product: u32) -> ProductRows {
        self.next.fill(self.counting, product, &self.baskets);
        let next = self.ranker.next_row(product, &self.next);
        self.next.clear();
        self.plain.fill_together(self.counting, product, &self.baskets);
        let together = self.ranker.together_row(product, &self.plain);
        self.plain.clear();
        self.plain.fill_similar(self.counting, product, &self.baskets);
        let similar = self.ranker.similar_row(product, &self.plain);
        self.plain.clear();
        ProductRows { product: ProductIx::new(product), next, together, similar }
    }
}
