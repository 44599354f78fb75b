//! What an answer may read beside the cards of the products that it shows.

use nextbasket_tables::products::shelf::Shelves;

/// The limit in half read units: what a small, eventually consistent read costs.
pub(crate) const MAX_HALF_UNITS: usize = 32;

/// What is left of the limit. What the pinned products and the shelves may take is set aside at once, so that a list
/// that needs them still keeps to it.
#[derive(Debug)]
pub(crate) struct ReadBudget {
    left: usize,
    for_shelves: usize,
}

impl ReadBudget {
    pub(crate) fn new(pinned: usize, shelves: &Shelves) -> Self {
        let for_shelves = shelves.queries();
        Self { left: MAX_HALF_UNITS.saturating_sub(pinned + for_shelves), for_shelves }
    }

    /// How many more half units may be spent.
    pub(crate) fn left(&self) -> usize {
        self.left
    }

    /// Whether what is left, with what was set aside for the shelves, is enough for this many queries of them.
    pub(crate) fn allows_queries(&self, queries: usize) -> bool {
        self.left + self.for_shelves >= queries
    }

    pub(crate) fn spend(&mut self, half_units: usize) {
        self.left = self.left.saturating_sub(half_units);
    }

    /// Spends what was set aside for the shelves first.
    pub(crate) fn spend_on_shelves(&mut self, half_units: usize) {
        let set_aside = self.for_shelves.min(half_units);
        self.for_shelves -= set_aside;
        self.spend(half_units - set_aside);
    }

    /// How many half units the item takes that was read.
    pub(crate) fn of_item(bytes: usize) -> usize {
        bytes.div_ceil(4_096).max(1)
    }
}
