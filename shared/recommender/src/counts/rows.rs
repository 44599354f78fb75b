//! One product's row of pair counts at a time, summed into dense cells.
//!
//! Both ways of training use these: block by block with counts written out, and at once with only the best
//! neighbours kept. That is why they agree to the bit.
#![allow(
    clippy::indexing_slicing,
    reason = "cells are sized by the catalogue whose numbers index them, and occurrences lie in the data set"
)]

use super::merge::CheckedSum;
use super::{Counting, MergeError};
use std::ops::Range;

/// What the baskets after one with a product add to another product.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Transitions {
    /// Σ of the pairs' weights, within reach.
    pub(crate) weight: u64,
    /// The next basket alone, by the weight 0.5^(age / 7 days) of that basket.
    pub(crate) recent_next: u64,
    /// How often it was in the next basket.
    pub(crate) next: u32,
    /// Users.
    pub(crate) shoppers: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct NextCell {
    counted: Transitions,
    /// Number + 1 of the user who was counted last.
    user: u32,
}

/// c(j, ·) of the next-basket model for one j.
#[derive(Debug)]
pub(crate) struct NextRow {
    cells: Vec<NextCell>,
    touched: Vec<u32>,
}

impl NextRow {
    pub(crate) fn new(products: usize) -> Self {
        Self { cells: vec![NextCell::default(); products], touched: Vec::new() }
    }

    /// Sums, over pairs of one user's baskets at most `max_gap` apart with `product` in the earlier, the pair's
    /// weight into every product of the later, and counts the users.
    pub(crate) fn fill(&mut self, counting: &Counting<'_>, product: u32, baskets: &Range<u32>) {
        let data = counting.data;
        let reach = u32::from(counting.params.max_gap);
        let mut rest = counting.index.occurrences(product, baskets);
        let dense = rest.len() * counting.lines_per_basket >= self.cells.len();
        while let Some(&first) = rest.first() {
            let user = counting.index.user(first);
            let end = data.baskets_in(user..user + 1).end;
            let (own, others) = rest.split_at(rest.partition_point_near(end));
            rest = others;
            // Window of own occurrences within reach before `later`: each later basket is visited once.
            let (mut from, mut to) = (0, 0);
            let mut later = first + 1;
            while later < end {
                while to < own.len() && own[to] < later {
                    to += 1;
                }
                while from < to && own[from] + reach < later {
                    from += 1;
                }
                if from == to {
                    match own.get(to) {
                        Some(&next) => later = next + 1,
                        None => break,
                    }
                    continue;
                }
                let is_next = own[to - 1] + 1 == later;
                let pair = Transitions {
                    weight: own[from..to].iter().map(|&b| counting.pair_weight(later, later - b)).sum(),
                    recent_next: if is_next { counting.recent_weight(later) } else { 0 },
                    next: u32::from(is_next),
                    shoppers: 0,
                };
                if dense {
                    self.add::<true>(user + 1, pair, data.products(later));
                } else {
                    self.add::<false>(user + 1, pair, data.products(later));
                }
                later += 1;
            }
        }
        let own = std::mem::take(&mut self.cells[product as usize]);
        if dense {
            let seen = self.cells.iter().zip(0u32..).filter(|(cell, _)| cell.counted.shoppers > 0);
            self.touched.extend(seen.map(|(_, neighbour)| neighbour));
        } else if own.counted.shoppers > 0 {
            self.touched.retain(|&neighbour| neighbour != product);
        }
    }

    /// A row that reaches most products is cheaper to look through at the end than to keep a list of.
    #[inline]
    fn add<const DENSE: bool>(&mut self, user: u32, pair: Transitions, products: &[u32]) {
        for &product in products {
            let cell = &mut self.cells[product as usize];
            if !DENSE && cell.counted.shoppers == 0 {
                self.touched.push(product);
            }
            cell.counted.weight += pair.weight;
            cell.counted.recent_next += pair.recent_next;
            cell.counted.next += pair.next;
            // Without a branch: whether a product comes a second time cannot be foretold.
            cell.counted.shoppers += u32::from(cell.user != user);
            cell.user = user;
        }
    }

    /// Adds what a block of users was counted to; the shoppers are not 0.
    pub(crate) fn add_counted(&mut self, neighbour: u32, counted: Transitions) -> Result<(), MergeError> {
        let cell = self.cells.get_mut(neighbour as usize).ok_or(MergeError::OtherRun)?;
        if cell.counted.shoppers == 0 {
            self.touched.push(neighbour);
        }
        cell.counted = cell.counted.sum(counted).ok_or(MergeError::Overflow)?;
        Ok(())
    }

    pub(crate) fn neighbours(&self) -> &[u32] {
        &self.touched
    }

    pub(crate) fn get(&self, neighbour: u32) -> Transitions {
        self.cells[neighbour as usize].counted
    }

    pub(crate) fn clear(&mut self) {
        for &neighbour in &self.touched {
            self.cells[neighbour as usize] = NextCell::default();
        }
        self.touched.clear();
    }
}

/// Plain counts of one product with all others.
#[derive(Debug)]
pub(crate) struct CountRow {
    cells: Vec<u32>,
    touched: Vec<u32>,
}

impl CountRow {
    pub(crate) fn new(products: usize) -> Self {
        Self { cells: vec![0; products], touched: Vec::new() }
    }

    /// Baskets that hold `product` and the neighbour.
    pub(crate) fn fill_together(&mut self, counting: &Counting<'_>, product: u32, baskets: &Range<u32>) {
        let occurrences = counting.index.occurrences(product, baskets);
        let dense = occurrences.len() * counting.lines_per_basket >= self.cells.len();
        for &basket in occurrences {
            self.add(dense, counting.data.products(basket));
        }
        self.finish(dense, product);
    }

    /// Users who bought `product` in one basket and the neighbour in another.
    ///
    /// That is every product of a user who bought `product` in several baskets; of a user with one such basket
    /// it is all but the products that are in that basket and in no other.
    pub(crate) fn fill_similar(&mut self, counting: &Counting<'_>, product: u32, baskets: &Range<u32>) {
        let index = &counting.index;
        let mut rest = index.occurrences(product, baskets);
        let dense = rest.len() * counting.lines_per_user >= self.cells.len();
        while let Some(&first) = rest.first() {
            let user = index.user(first);
            let all = counting.data.baskets_in(user..user + 1);
            let own = rest.partition_point_near(all.end);
            rest = &rest[own..];
            if own == 1 {
                self.add(dense, index.singles(all.start..first));
                self.add(dense, index.singles(first + 1..all.end));
            } else {
                self.add(dense, index.singles(all));
            }
            self.add(dense, index.multiples(user));
        }
        self.finish(dense, product);
    }

    #[inline]
    fn add(&mut self, dense: bool, products: &[u32]) {
        if dense {
            for &product in products {
                self.cells[product as usize] += 1;
            }
            return;
        }
        for &product in products {
            let cell = &mut self.cells[product as usize];
            if *cell == 0 {
                self.touched.push(product);
            }
            *cell += 1;
        }
    }

    /// Lists what was counted, without the product itself.
    fn finish(&mut self, dense: bool, product: u32) {
        let own = std::mem::take(&mut self.cells[product as usize]);
        if dense {
            let seen = self.cells.iter().zip(0u32..).filter(|&(&count, _)| count > 0);
            self.touched.extend(seen.map(|(_, neighbour)| neighbour));
        } else if own > 0 {
            self.touched.retain(|&neighbour| neighbour != product);
        }
    }

    /// Adds what a block of users was counted to, which is not 0.
    pub(crate) fn add_counted(&mut self, neighbour: u32, counted: u32) -> Result<(), MergeError> {
        let cell = self.cells.get_mut(neighbour as usize).ok_or(MergeError::OtherRun)?;
        if *cell == 0 {
            self.touched.push(neighbour);
        }
        *cell = cell.sum(counted).ok_or(MergeError::Overflow)?;
        Ok(())
    }

    pub(crate) fn neighbours(&self) -> &[u32] {
        &self.touched
    }

    pub(crate) fn get(&self, neighbour: u32) -> u32 {
        self.cells[neighbour as usize]
    }

    pub(crate) fn clear(&mut self) {
        for &neighbour in &self.touched {
            self.cells[neighbour as usize] = 0;
        }
        self.touched.clear();
    }
}

trait PartitionNear {
    /// How many ascending numbers at the front are below `end`: few as a rule, so looked for from the front.
    fn partition_point_near(&self, end: u32) -> usize;
}

impl PartitionNear for [u32] {
    #[inline]
    fn partition_point_near(&self, end: u32) -> usize {
        self.iter().position(|&basket| basket >= end).unwrap_or(self.len())
    }
}
