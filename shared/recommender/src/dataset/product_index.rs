//! The data set seen from its products, for counting.
#![allow(clippy::indexing_slicing, reason = "all arrays are sized by the data set whose numbers index them")]

use super::Dataset;
use crate::fixed_point::narrow;
use std::ops::Range;

/// Which baskets hold a product, and what each user bought once or more often.
#[derive(Debug)]
pub(crate) struct ProductIndex {
    basket_users: Vec<u32>,
    product_starts: Vec<u32>,
    occurrences: Vec<u32>,
    /// Products that the user has in this basket and in no other, basket by basket.
    single_starts: Vec<u32>,
    singles: Vec<u32>,
    /// Products that the user has in several baskets, user by user.
    multiple_starts: Vec<u32>,
    multiples: Vec<u32>,
}

impl ProductIndex {
    pub(crate) fn new(data: &Dataset) -> Self {
        let mut basket_users = Vec::with_capacity(data.basket_count());
        for user in 0..data.user_count() {
            basket_users.resize(data.baskets_in(user..user + 1).end as usize, user);
        }
        let (product_starts, occurrences) = transpose(data);
        let mut index = Self {
            basket_users,
            product_starts,
            occurrences,
            single_starts: Vec::with_capacity(data.basket_count() + 1),
            singles: Vec::new(),
            multiple_starts: Vec::with_capacity(data.user_count() as usize + 1),
            multiples: Vec::new(),
        };
        index.split_by_repetition(data);
        index
    }

    fn split_by_repetition(&mut self, data: &Dataset) {
        const LISTED: u32 = u32::MAX;
        let mut times_bought = vec![0u32; data.catalogue().len()];
        for user in 0..data.user_count() {
            self.multiple_starts.push(narrow(self.multiples.len()));
            let baskets = data.baskets_in(user..user + 1);
            if baskets.is_empty() {
                continue;
            }
            let lines = data.line_range(baskets.start).start..data.line_range(baskets.end.max(1) - 1).end;
            for &product in &data.lines()[lines.clone()] {
                times_bought[product as usize] += 1;
            }
            for basket in baskets {
                self.single_starts.push(narrow(self.singles.len()));
                for &product in data.products(basket) {
                    match times_bought[product as usize] {
                        1 => self.singles.push(product),
                        LISTED => {}
                        _ => {
                            self.multiples.push(product);
                            times_bought[product as usize] = LISTED;
                        }
                    }
                }
            }
            for &product in &data.lines()[lines] {
                times_bought[product as usize] = 0;
            }
        }
        self.multiple_starts.push(narrow(self.multiples.len()));
        self.single_starts.push(narrow(self.singles.len()));
    }

    pub(crate) fn user(&self, basket: u32) -> u32 {
        self.basket_users[basket as usize]
    }

    /// The baskets among `baskets` that hold `product`, ascending.
    pub(crate) fn occurrences(&self, product: u32, baskets: &Range<u32>) -> &[u32] {
        let at = product as usize;
        let all = &self.occurrences[self.product_starts[at] as usize..self.product_starts[at + 1] as usize];
        let from = all.partition_point(|&basket| basket < baskets.start);
        let to = all.partition_point(|&basket| basket < baskets.end);
        &all[from..to]
    }

    pub(crate) fn singles(&self, baskets: Range<u32>) -> &[u32] {
        let from = self.single_starts[baskets.start as usize] as usize;
        &self.singles[from..self.single_starts[baskets.end as usize] as usize]
    }

    pub(crate) fn multiples(&self, user: u32) -> &[u32] {
        let from = self.multiple_starts[user as usize] as usize;
        &self.multiples[from..self.multiple_starts[user as usize + 1] as usize]
    }
}

fn transpose(data: &Dataset) -> (Vec<u32>, Vec<u32>) {
    let mut starts = vec![0u32; data.catalogue().len() + 2];
    for &product in data.lines() {
        starts[product as usize + 2] += 1;
    }
    for at in 2..starts.len() {
        starts[at] += starts[at - 1];
    }
    let mut occurrences = vec![0u32; data.line_count()];
    for basket in 0..narrow(data.basket_count()) {
        for &product in data.products(basket) {
            let next = &mut starts[product as usize + 1];
            occurrences[*next as usize] = basket;
            *next += 1;
        }
    }
    starts.pop();
    (starts, occurrences)
}
