//! Pair counts of a block of users and a block of products.

use super::{CountRow, Counting, NextRow, Transitions};
use std::ops::Range;

/// Rows of neighbours, ascending, with a value each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SparseRows<V> {
    pub(crate) starts: Vec<usize>,
    pub(crate) neighbours: Vec<u32>,
    pub(crate) values: Vec<V>,
}

impl<V: Copy> SparseRows<V> {
    pub(crate) fn new() -> Self {
        Self { starts: vec![0], neighbours: Vec::new(), values: Vec::new() }
    }

    pub(crate) fn push(&mut self, neighbour: u32, value: V) {
        self.neighbours.push(neighbour);
        self.values.push(value);
    }

    pub(crate) fn end_row(&mut self) {
        self.starts.push(self.neighbours.len());
    }

    pub(crate) fn row(&self, row: usize) -> (&[u32], &[V]) {
        let range = match self.starts.get(row..row + 2) {
            Some(&[start, end]) => start..end,
            _ => 0..0,
        };
        (self.neighbours.get(range.clone()).unwrap_or(&[]), self.values.get(range).unwrap_or(&[]))
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = (&[u32], &[V])> {
        (0..self.starts.len() - 1).map(|row| self.row(row))
    }
}

/// The three models' counts for a block of products, of a block of users. Merge: associative, commutative, exact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairCounts {
    pub(crate) stamp: u64,
    pub(crate) products: Range<u32>,
    pub(crate) next: SparseRows<Transitions>,
    /// Baskets.
    pub(crate) together: SparseRows<u32>,
    /// Users.
    pub(crate) similar: SparseRows<u32>,
}

impl PairCounts {
    /// The products whose rows these are.
    pub fn products(&self) -> Range<u32> {
        self.products.clone()
    }

    /// How many pairs have a count, over the three models.
    pub fn len(&self) -> usize {
        self.next.neighbours.len() + self.together.neighbours.len() + self.similar.neighbours.len()
    }

    /// Whether no pair has a count.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Counting<'_> {
    /// What these users add to the rows of these products.
    pub fn pairs(&self, users: Range<u32>, products: Range<u32>) -> PairCounts {
        let baskets = self.data.baskets_in(users.clone());
        let mut counts = self.list_pairs(users, products);
        let mut plain = CountRow::new(self.data.catalogue().len());
        for product in counts.products.clone() {
            plain.fill_similar(self, product, &baskets);
            push_row(&mut counts.similar, plain.neighbours(), |neighbour| plain.get(neighbour));
            plain.clear();
        }
        counts
    }

    /// What these users add to the `next` and `together` rows of these products; of `similar` nothing is counted.
    pub fn list_pairs(&self, users: Range<u32>, products: Range<u32>) -> PairCounts {
        let known = self.data.catalogue().len();
        let products =
            products.start..products.end.min(crate::fixed_point::narrow(known)).max(products.start);
        let baskets = self.data.baskets_in(users);
        let mut counts = PairCounts {
            stamp: self.stamp,
            products: products.clone(),
            next: SparseRows::new(),
            together: SparseRows::new(),
            similar: SparseRows::new(),
        };
        let (mut next, mut plain) = (NextRow::new(known), CountRow::new(known));
        for product in products {
            next.fill(self, product, &baskets);
            push_row(&mut counts.next, next.neighbours(), |neighbour| next.get(neighbour));
            next.clear();
            plain.fill_together(self, product, &baskets);
            push_row(&mut counts.together, plain.neighbours(), |neighbour| plain.get(neighbour));
            plain.clear();
        }
        counts
    }
}

fn push_row<V: Copy>(sparse: &mut SparseRows<V>, neighbours: &[u32], value: impl Fn(u32) -> V) {
    let mut sorted = neighbours.to_vec();
    sorted.sort_unstable();
    for neighbour in sorted {
        sparse.push(neighbour, value(neighbour));
    }
    sparse.end_row();
}
