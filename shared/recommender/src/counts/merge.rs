//! Adding counts up: in any order and grouping, with the same result.

use super::pairs::SparseRows;
use super::totals::ProductTotals;
use super::{PairCounts, Totals, Transitions};

/// Why two counts cannot be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// Other products, parameters or newest purchase time.
    #[error("the counts belong to different trainings")]
    OtherRun,
    /// Pair counts are merged block of products by block of products, and of the same models.
    #[error("the counts belong to different products or models")]
    OtherProducts,
    /// More than the integers hold.
    #[error("the sum of the counts is too large to be exact")]
    Overflow,
}

/// Sums that refuse to wrap around.
pub(crate) trait CheckedSum: Copy {
    fn sum(self, other: Self) -> Option<Self>;
}

impl CheckedSum for u32 {
    fn sum(self, other: Self) -> Option<Self> {
        self.checked_add(other)
    }
}

impl CheckedSum for u64 {
    fn sum(self, other: Self) -> Option<Self> {
        self.checked_add(other)
    }
}

impl CheckedSum for Transitions {
    fn sum(self, other: Self) -> Option<Self> {
        Some(Self {
            weight: self.weight.sum(other.weight)?,
            recent_next: self.recent_next.sum(other.recent_next)?,
            next: self.next.sum(other.next)?,
            shoppers: self.shoppers.sum(other.shoppers)?,
        })
    }
}

fn add<T: CheckedSum>(into: &mut T, other: T) -> Result<(), MergeError> {
    *into = into.sum(other).ok_or(MergeError::Overflow)?;
    Ok(())
}

impl Totals {
    /// Adds the sums of other users.
    ///
    /// # Errors
    /// The two are not of one training run, or a sum overflows.
    pub fn merge(mut self, other: &Self) -> Result<Self, MergeError> {
        if self.stamp != other.stamp || self.products.len() != other.products.len() {
            return Err(MergeError::OtherRun);
        }
        add(&mut self.users, other.users)?;
        add(&mut self.baskets, other.baskets)?;
        for (sum, &more) in self.basket_weights.iter_mut().zip(&other.basket_weights) {
            add(sum, more)?;
        }
        for (sums, more) in self.products.iter_mut().zip(&other.products) {
            sums.merge(more)?;
        }
        Ok(self)
    }
}

impl ProductTotals {
    fn merge(&mut self, other: &Self) -> Result<(), MergeError> {
        for (sum, &more) in self.popularity.iter_mut().zip(&other.popularity) {
            add(sum, more)?;
        }
        add(&mut self.transitions, other.transitions)?;
        add(&mut self.recent_next, other.recent_next)?;
        add(&mut self.next, other.next)?;
        add(&mut self.repeat_chances, other.repeat_chances)?;
        add(&mut self.repeats, other.repeats)?;
        add(&mut self.baskets, other.baskets)?;
        add(&mut self.buyers, other.buyers)?;
        self.first_ms = self.first_ms.min(other.first_ms);
        self.last_ms = self.last_ms.max(other.last_ms);
        Ok(())
    }
}

impl PairCounts {
    /// Adds the counts of other users for the same products.
    ///
    /// # Errors
    /// The two are not of one training run or of other products, or a sum overflows.
    pub fn merge(&self, other: &Self) -> Result<Self, MergeError> {
        if self.stamp != other.stamp {
            return Err(MergeError::OtherRun);
        }
        if self.products != other.products {
            return Err(MergeError::OtherProducts);
        }
        Ok(Self {
            stamp: self.stamp,
            products: self.products.clone(),
            next: self.next.merge(&other.next)?,
            together: self.together.merge(&other.together)?,
            similar: self.similar.merge(&other.similar)?,
        })
    }
}

impl<V: CheckedSum> SparseRows<V> {
    fn merge(&self, other: &Self) -> Result<Self, MergeError> {
        if self.starts.len() != other.starts.len() {
            // One of the two has not counted this model.
            return Err(MergeError::OtherProducts);
        }
        let mut merged = Self::new();
        for ((left, left_values), (right, right_values)) in self.rows().zip(other.rows()) {
            let mut left = left.iter().zip(left_values).peekable();
            let mut right = right.iter().zip(right_values).peekable();
            loop {
                let (neighbour, value) = match (left.peek(), right.peek()) {
                    (Some(&(&l, &v)), Some(&(&r, &w))) if l == r => {
                        left.next();
                        right.next();
                        (l, v.sum(w).ok_or(MergeError::Overflow)?)
                    }
                    (Some(&(&l, &v)), Some(&(&r, _))) if l < r => {
                        left.next();
                        (l, v)
                    }
                    (Some(&(&l, &v)), None) => {
                        left.next();
                        (l, v)
                    }
                    (_, Some(&(&r, &w))) => {
                        right.next();
                        (r, w)
                    }
                    (None, None) => break,
                };
                merged.push(neighbour, value);
            }
            merged.end_row();
        }
        Ok(merged)
    }
}
