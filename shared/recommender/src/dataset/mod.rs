//! Purchases in the order the model looks at them: users, their baskets by time, each basket's products.

mod builder;
mod codec;
mod dataset_writer;
mod holdout;
mod product_index;
mod reindex;

pub use builder::{DatasetBuilder, DatasetError};
use dataset_writer::DatasetWriter;
pub use holdout::HeldOut;
pub(crate) use product_index::ProductIndex;

use crate::catalogue::{Catalogue, ProductIx};
use crate::fixed_point::narrow;
use crate::fnv;
use std::ops::Range;

/// All baskets of some users, in compressed rows: users → baskets by (time, purchase id) → sorted distinct products.
///
/// Users are in the order of their ids, products are numbered in the order of theirs, so equal purchases give
/// an equal data set whatever order they came in.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    catalogue: Catalogue,
    users: Vec<Box<str>>,
    user_starts: Vec<u32>,
    times: Vec<i64>,
    basket_starts: Vec<u32>,
    lines: Vec<u32>,
}

impl Dataset {
    /// The products, numbered.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// How many users there are; their numbers run from 0.
    pub fn user_count(&self) -> u32 {
        narrow(self.users.len())
    }

    /// How many baskets all users have together.
    pub fn basket_count(&self) -> usize {
        self.times.len()
    }

    /// How many (basket, product) pairs there are.
    pub fn line_count(&self) -> usize {
        self.lines.len()
    }

    /// The newest purchase time in milliseconds; `None` without baskets.
    pub fn newest_ms(&self) -> Option<i64> {
        self.times.iter().copied().max()
    }

    /// The id of a user.
    pub fn user_id(&self, user: u32) -> Option<&str> {
        self.users.get(user as usize).map(AsRef::as_ref)
    }

    /// The number of a user.
    pub fn user_of(&self, id: &str) -> Option<u32> {
        self.users.binary_search_by(|u| u.as_ref().cmp(id)).ok().map(narrow)
    }

    /// A user's baskets, oldest first: time in milliseconds and sorted product numbers.
    pub fn baskets_of(
        &self,
        user: u32,
    ) -> impl DoubleEndedIterator<Item = (i64, &[u32])> + ExactSizeIterator {
        self.baskets_in(user..user.saturating_add(1)).map(|basket| (self.time(basket), self.products(basket)))
    }

    /// A hash of what a user bought and when, for choices that neither users' names nor their order may change (FNV-1a,
    /// with the finaliser of MurmurHash3). Products count by their numbers.
    pub fn fingerprint(&self, user: u32) -> u64 {
        let mut hash = fnv::START;
        let mut add = |bytes: &[u8]| hash = fnv::add(hash, bytes);
        for (time_ms, products) in self.baskets_of(user) {
            add(&time_ms.to_le_bytes());
            products.iter().for_each(|product| add(&product.to_le_bytes()));
        }
        let mix = |hash: u64, by: u64| (hash ^ hash >> 33).wrapping_mul(by);
        mix(mix(hash, 0xff51_afd7_ed55_8ccd), 0xc4ce_b9fe_1a85_ec53)
    }

    /// The products of one of a user's baskets as [`ProductIx`].
    pub fn typed(products: &[u32]) -> impl Iterator<Item = ProductIx> + '_ {
        products.iter().copied().map(ProductIx::new)
    }

    /// The baskets of a run of users; baskets are numbered user by user.
    pub(crate) fn baskets_in(&self, users: Range<u32>) -> Range<u32> {
        let start = |user: u32| {
            let at = (user as usize).min(self.users.len());
            self.user_starts.get(at).copied().unwrap_or(0)
        };
        start(users.start)..start(users.end).max(start(users.start))
    }

    pub(crate) fn time(&self, basket: u32) -> i64 {
        self.times.get(basket as usize).copied().unwrap_or_default()
    }

    pub(crate) fn times(&self) -> &[i64] {
        &self.times
    }

    pub(crate) fn line_range(&self, basket: u32) -> Range<usize> {
        let at = basket as usize;
        match self.basket_starts.get(at..at + 2) {
            Some(&[start, end]) => start as usize..end as usize,
            _ => 0..0,
        }
    }

    pub(crate) fn products(&self, basket: u32) -> &[u32] {
        self.lines.get(self.line_range(basket)).unwrap_or(&[])
    }

    pub(crate) fn lines(&self) -> &[u32] {
        &self.lines
    }
}
