//! The first items of an order, as many as are wanted.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use nextbasket_dynamodb::item::Item;

use super::{FindError, MAX_SORTED};
use crate::expression::Order;
use crate::expression::order::Rank;

/// A heap of the first items: the last of them is on top, and goes when a better one comes.
pub(super) struct SortedItems<'a> {
    order: &'a Order,
    keys: &'a [String],
    limit: Option<u64>,
    heap: BinaryHeap<Ranked>,
}

struct Ranked {
    rank: Rank,
    item: Item,
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank
    }
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank.cmp(&other.rank)
    }
}

impl<'a> SortedItems<'a> {
    /// `keys` are the attributes that decide between items that are equal in the order.
    pub(super) fn new(order: &'a Order, keys: &'a [String], limit: Option<u64>) -> Self {
        Self { order, keys, limit, heap: BinaryHeap::new() }
    }

    /// # Errors
    /// [`FindError::TooManyToSort`] if all are wanted and they are too many.
    pub(super) fn add(&mut self, items: Vec<Item>) -> Result<(), FindError> {
        for item in items {
            let rank = self.order.rank(&item, self.keys.iter().map(String::as_str));
            let is_full = self.heap.len() as u64 >= self.limit.unwrap_or(MAX_SORTED);
            if is_full && self.limit.is_none() {
                return Err(FindError::TooManyToSort);
            }
            if is_full {
                match self.heap.peek_mut() {
                    Some(mut last) if rank < last.rank => *last = Ranked { rank, item },
                    _ => {}
                }
            } else {
                self.heap.push(Ranked { rank, item });
            }
        }
        Ok(())
    }

    pub(super) fn into_items(self) -> Vec<Item> {
        self.heap.into_sorted_vec().into_iter().map(|ranked| ranked.item).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nextbasket_dynamodb::item::number;

    fn item(n: u64) -> Item {
        Item::from([("n".to_owned(), number(n))])
    }

    #[test]
    fn only_as_many_are_kept_as_are_wanted() {
        let order = Order::parse("n desc").unwrap();
        let keys = ["n".to_owned()];
        let mut sorted = SortedItems::new(&order, &keys, Some(3));
        for chunk in [[5, 1, 9], [2, 8, 7], [3, 4, 6]] {
            sorted.add(chunk.into_iter().map(item).collect()).unwrap();
            assert!(sorted.heap.len() <= 3);
        }
        assert_eq!(sorted.into_items(), [item(9), item(8), item(7)]);
    }

    #[test]
    fn an_order_of_too_many_items_is_refused() {
        let order = Order::parse("n").unwrap();
        let keys = ["n".to_owned()];
        let mut sorted = SortedItems::new(&order, &keys, None);
        sorted.add((0..MAX_SORTED).map(item).collect()).unwrap();
        let refused = sorted.add(vec![item(0)]).unwrap_err().to_string();
        assert!(refused.starts_with("more than 100000 items meet the condition"), "{refused}");
    }
}
