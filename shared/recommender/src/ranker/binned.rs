//! Features as small integers: trees ask whether a feature is above one of at most 254 bounds.
#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "bins and rows are those of the column"
)]

use super::examples::{Examples, ExamplesError};
use super::parallel;
use super::random::SplitMix64;
use std::num::NonZero;
use std::ops::Range;

/// Bins of a column, so that one byte holds them.
pub(super) const BINS: usize = 255;
/// Rows whose values bounds are made of.
const SAMPLE: usize = 200_000;
/// Rows that are read for all columns before the next ones: they fit into the processor's cache.
const ROWS_AT_ONCE: usize = 512;

/// Examples with a start score per candidate, ready for boosting: one byte per feature and candidate beside the
/// examples. The start score is one more feature, the last.
///
/// Made once for all folds: bounds look at no label.
#[derive(Debug)]
pub struct BinnedExamples<'e> {
    examples: &'e Examples,
    start: Vec<f64>,
    columns: Vec<BinnedColumn>,
}

#[derive(Debug)]
pub(super) struct BinnedColumn {
    /// Ascending; bin `b` holds the values above bound `b` - 1, up to and with bound `b`.
    bounds: Vec<f32>,
    bins: Vec<u8>,
}

impl<'e> BinnedExamples<'e> {
    /// `start` has the score of each candidate that trees are to improve.
    ///
    /// # Errors
    /// Not one finite score per candidate.
    pub fn new(
        examples: &'e Examples,
        start: Vec<f64>,
        threads: NonZero<usize>,
    ) -> Result<Self, ExamplesError> {
        let rows = examples.rows();
        if start.len() != rows || start.iter().any(|score| !(*score as f32).is_finite()) {
            return Err(ExamplesError::Scores { rows });
        }
        let all: Vec<u32> = (0..u32::try_from(rows).unwrap_or(u32::MAX)).collect();
        let sample = SplitMix64::new(0).choose(&all, SAMPLE);
        drop(all);
        let value = |row: usize, column: usize| {
            examples.values(row..row + 1).get(column).copied().unwrap_or_else(|| start[row] as f32)
        };
        let shares = columns_per_thread(examples.columns() + 1, threads);
        let columns = parallel::map(shares, threads, |columns| {
            let mut binned: Vec<BinnedColumn> = columns
                .clone()
                .map(|column| {
                    let mut values: Vec<f32> =
                        sample.iter().map(|&row| value(row as usize, column)).collect();
                    values.sort_unstable_by(f32::total_cmp);
                    BinnedColumn { bounds: bounds(&values), bins: vec![0; rows] }
                })
                .collect();
            for first in (0..rows).step_by(ROWS_AT_ONCE) {
                for (column, binned) in columns.clone().zip(&mut binned) {
                    for row in first..(first + ROWS_AT_ONCE).min(rows) {
                        binned.bins[row] = binned.bin(value(row, column));
                    }
                }
            }
            binned
        });
        let columns = columns.into_iter().flatten().collect();
        Ok(Self { examples, start, columns })
    }

    /// The examples that were given.
    pub fn examples(&self) -> &'e Examples {
        self.examples
    }

    /// The start scores that were given.
    pub fn start(&self) -> &[f64] {
        &self.start
    }

    pub(super) fn columns(&self) -> &[BinnedColumn] {
        &self.columns
    }
}

impl BinnedColumn {
    pub(super) fn bounds(&self) -> &[f32] {
        &self.bounds
    }

    pub(super) fn bins(&self) -> &[u8] {
        &self.bins
    }

    fn bin(&self, value: f32) -> u8 {
        self.bounds.partition_point(|&bound| bound < value) as u8
    }
}

fn columns_per_thread(columns: usize, threads: NonZero<usize>) -> Vec<Range<usize>> {
    let share = columns.div_ceil(threads.get()).max(1);
    (0..columns).step_by(share).map(|first| first..(first + share).min(columns)).collect()
}

/// Bounds that split sorted values into at most [`BINS`] bins of about equal size; a frequent value shares its bin with
/// few others, as in LightGBM.
fn bounds(sorted: &[f32]) -> Vec<f32> {
    let mut values: Vec<(f32, usize)> = Vec::new();
    for &value in sorted {
        match values.last_mut() {
            Some((last, times)) if *last == value => *times += 1,
            _ => values.push((value, 1)),
        }
    }
    let mut bounds = Vec::new();
    if values.len() <= BINS {
        bounds.extend(values.windows(2).map(|pair| between(pair[0].0, pair[1].0)));
        return bounds;
    }
    let frequent = |times: usize| times * BINS >= sorted.len();
    let own = values.iter().filter(|&&(_, times)| frequent(times));
    let (mut bins, mut rest) =
        own.fold((BINS, sorted.len()), |(bins, rest), &(_, times)| (bins - 1, rest - times));
    let mut filled = 0;
    for pair in values.windows(2) {
        let [(value, times), (next, next_times)] = [pair[0], pair[1]];
        filled += times;
        if !frequent(times) {
            rest -= times;
        }
        // Compared without dividing: filled >= (rest before this bin) / bins.
        let mean = (rest + if frequent(times) { 0 } else { filled }) / bins.max(1);
        let full = filled >= mean.max(1) || frequent(next_times) && 2 * filled >= mean;
        if frequent(times) || full {
            bounds.push(between(value, next));
            if !frequent(times) {
                bins = bins.saturating_sub(1);
            }
            filled = 0;
        }
        if bounds.len() == BINS - 1 {
            break;
        }
    }
    bounds
}

/// A bound that `low` is not above and `high` is.
fn between(low: f32, high: f32) -> f32 {
    let middle = f64::midpoint(f64::from(low), f64::from(high)) as f32;
    if middle < high { middle } else { low }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn few_values_have_a_bin_each_and_bounds_are_halfway() {
        assert_eq!(bounds(&[-1.0, 0.0, 0.0, 0.0, 3.0]), [-0.5, 1.5]);
        assert_eq!(bounds(&[-0.0, 0.0]), [0.0f32; 0]);
        assert_eq!(bounds(&[]), [0.0f32; 0]);
        let next = 1f32.next_up();
        assert_eq!(bounds(&[1.0, next]), [1.0]);
    }

    #[test]
    fn a_frequent_value_shares_its_bin_with_few_and_the_other_bins_are_of_equal_size() {
        let mut values: Vec<f32> = (0..3000u16).map(f32::from).collect();
        values.extend([1500.5; 3000]);
        values.sort_unstable_by(f32::total_cmp);
        let column = BinnedColumn { bounds: bounds(&values), bins: Vec::new() };
        let mut sizes = vec![0; column.bounds.len() + 1];
        values.iter().for_each(|&value| sizes[usize::from(column.bin(value))] += 1);
        let frequent = sizes.remove(usize::from(column.bin(1500.5)));
        assert!((3000..=3006).contains(&frequent), "{frequent}");
        assert!(sizes.len() > 240 && sizes.iter().all(|size| (5..=24).contains(size)), "{sizes:?}");
    }

    #[test]
    fn scores_that_are_not_one_finite_number_per_candidate_are_rejected() {
        let mut examples = Examples::new(1);
        examples.push(&[1.0, 2.0], &[true, false], 1, 0).unwrap();
        let one = NonZero::<usize>::MIN;
        for start in [vec![0.0], vec![0.0, f64::NAN], vec![1e300, 0.0]] {
            assert_eq!(
                BinnedExamples::new(&examples, start, one).err(),
                Some(ExamplesError::Scores { rows: 2 })
            );
        }
    }

    proptest! {
        #[test]
        fn bins_are_at_most_255_keep_the_order_and_agree_with_their_bounds(
            values in prop::collection::vec(prop_oneof![4 => -1e3f32..1e3, 1 => Just(0.0), 1 => -3e38f32..3e38], 2..2000),
            threads in 1usize..4,
        ) {
            let mut examples = Examples::new(2);
            for &value in &values {
                examples.push(&[value, 1.0], &[false], 1, 0).unwrap();
            }
            let start = values.iter().map(|&value| f64::from(-value)).collect();
            let binned = BinnedExamples::new(&examples, start, NonZero::new(threads).unwrap()).unwrap();
            let [column, constant, negative] = &binned.columns[..] else { panic!("three columns") };
            prop_assert!(constant.bounds.is_empty() && constant.bins.iter().all(|&bin| bin == 0));
            prop_assert!(column.bounds.len() < BINS && negative.bounds.len() < BINS);
            prop_assert!(column.bounds.is_sorted_by(|a, b| a < b), "{:?}", column.bounds);
            for (&value, &bin) in values.iter().zip(&column.bins) {
                for (at, &bound) in column.bounds.iter().enumerate() {
                    prop_assert_eq!(value > bound, usize::from(bin) > at);
                }
            }
        }
    }
}
