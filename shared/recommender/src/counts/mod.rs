//! Counting: what a block of users adds to the model, as integers that merge in any order.

mod merge;
mod pairs;
mod pairs_codec;
mod rows;
mod totals;

pub use merge::MergeError;
pub use pairs::PairCounts;
pub(crate) use pairs_codec::{EncodedRows, take_row};
pub(crate) use rows::{CountRow, NextRow, Transitions};
pub use totals::{ProductTotals, Totals};

use crate::catalogue::Catalogue;
use crate::dataset::{Dataset, ProductIndex};
use crate::fixed_point::{ONE, scaled_to_fixed, to_fixed};
use crate::fnv;
use crate::params::{Params, ParamsError};
use std::ops::Range;

pub(crate) const DAY_MS: f64 = 86_400_000.0;

/// A data set ready to be counted, under fixed parameters and a fixed present.
///
/// Any partition of the users, counted apart and merged in any order, gives the same bits as all users at once.
#[derive(Debug)]
pub struct Counting<'d> {
    pub(crate) data: &'d Dataset,
    pub(crate) index: ProductIndex,
    pub(crate) params: Params,
    pub(crate) now_ms: i64,
    pub(crate) stamp: u64,
    /// 0.5^(age / half-life) per basket.
    ages: Vec<f64>,
    /// 0.5^(age / 7 days) per basket, as a fixed-point number.
    recent: Vec<u64>,
    /// 2^32 · gap decay^(gap - 1).
    gaps: Vec<f64>,
    pub(crate) lines_per_basket: usize,
    pub(crate) lines_per_user: usize,
}

impl<'d> Counting<'d> {
    /// `now_ms` is the newest purchase time of the whole training set, known before any part is counted.
    /// A basket newer than that counts as new.
    pub fn new(data: &'d Dataset, params: &Params, now_ms: i64) -> Result<Self, ParamsError> {
        params.validate()?;
        let half_life = params.transition_half_life_days;
        let ages = data.times().iter().map(|&time| aged(now_ms, time, half_life)).collect();
        let recent =
            data.times().iter().map(|&time| to_fixed(aged(now_ms, time, RECENT_HALF_LIFE_DAYS))).collect();
        let gaps = decays(params.gap_decay, params.max_gap);
        Ok(Self {
            data,
            index: ProductIndex::new(data),
            params: params.clone(),
            now_ms,
            stamp: stamp(data.catalogue(), params, now_ms),
            ages,
            recent,
            gaps,
            lines_per_basket: data.line_count() / data.basket_count().max(1),
            lines_per_user: data.line_count() / (data.user_count() as usize).max(1),
        })
    }

    /// All users of the data set.
    pub fn all_users(&self) -> Range<u32> {
        0..self.data.user_count()
    }

    /// Weight of a pair of baskets `gap` apart whose later one is `later`: gap decay^(gap-1) · 0.5^(age/half-life).
    #[inline]
    #[allow(clippy::indexing_slicing, reason = "later is a basket of the data set and 1 <= gap <= max_gap")]
    pub(crate) fn pair_weight(&self, later: u32, gap: u32) -> u64 {
        scaled_to_fixed(self.ages[later as usize] * self.gaps[gap as usize - 1])
    }

    /// Weight of a next basket in what is bought next these days.
    #[inline]
    #[allow(clippy::indexing_slicing, reason = "later is a basket of the data set")]
    pub(crate) fn recent_weight(&self, later: u32) -> u64 {
        self.recent[later as usize]
    }
}

/// Days after which a next basket counts half in what is bought next these days.
const RECENT_HALF_LIFE_DAYS: f64 = 7.0;

/// 0.5^(age / half-life), both in days; 1 for what lies in the future.
pub(crate) fn aged(now_ms: i64, time_ms: i64, half_life_days: f64) -> f64 {
    let age = now_ms.saturating_sub(time_ms).max(0) as f64 / DAY_MS;
    (-age / half_life_days).exp2()
}

pub(crate) fn decays(decay: f64, most: u8) -> Vec<f64> {
    (0..i32::from(most)).map(|exponent| ONE as f64 * decay.powi(exponent)).collect()
}

/// Tells counts of one training run from those of another (FNV-1a, 64 bits).
fn stamp(catalogue: &Catalogue, params: &Params, now_ms: i64) -> u64 {
    let mut hash = fnv::START;
    let mut add = |bytes: &[u8]| hash = fnv::add(fnv::add(hash, bytes), &[0xFF]);
    add(&now_ms.to_le_bytes());
    add(&serde_json::to_vec(params).unwrap_or_default());
    catalogue.ids().for_each(|id| add(id.as_bytes()));
    hash
}
