//! Writes a data set's rows, one user after the other.

use super::Dataset;
use crate::catalogue::Catalogue;
use crate::fixed_point::narrow;

/// A data set that grows: users in the order of their ids, each with their baskets by time.
#[derive(Debug)]
pub(super) struct DatasetWriter(Dataset);

impl DatasetWriter {
    pub(super) fn new(catalogue: Catalogue, users: usize, baskets: usize, lines: usize) -> Self {
        Self(Dataset {
            catalogue,
            users: Vec::with_capacity(users),
            user_starts: Vec::with_capacity(users + 1),
            times: Vec::with_capacity(baskets),
            basket_starts: Vec::with_capacity(baskets + 1),
            lines: Vec::with_capacity(lines),
        })
    }

    pub(super) fn user(&mut self, id: Box<str>) {
        self.0.users.push(id);
        self.0.user_starts.push(narrow(self.0.times.len()));
    }

    /// Adds a basket to the last user; its products ascend.
    pub(super) fn basket(&mut self, time_ms: i64, products: &[u32]) {
        self.0.times.push(time_ms);
        self.0.basket_starts.push(narrow(self.0.lines.len()));
        self.0.lines.extend_from_slice(products);
    }

    pub(super) fn finish(self) -> Dataset {
        let mut data = self.0;
        data.basket_starts.push(narrow(data.lines.len()));
        data.user_starts.push(narrow(data.times.len()));
        data.lines.shrink_to_fit();
        data
    }
}
