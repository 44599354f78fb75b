//! What one user bought, in the numbers of a model.

use crate::catalogue::ProductIx;
use crate::dataset::Dataset;
use crate::fixed_point::narrow;
use crate::priors::Priors;

/// A user's baskets, newest first; the number of a basket in this order is its lag.
///
/// Products that the model does not know are dropped, but they count for the size of their basket, and a basket
/// of nothing else still counts as a step back in time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    baskets: Vec<PackedBasket>,
    products: Vec<ProductIx>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PackedBasket {
    time_ms: i64,
    size: u32,
    end: usize,
}

/// One basket of a [`History`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryBasket<'h> {
    /// Milliseconds since 1970.
    pub time_ms: i64,
    /// How many different products it has, known or not.
    pub size: u32,
    /// The known ones, ascending, each once.
    pub products: &'h [ProductIx],
}

impl History {
    /// Takes baskets newest first: time in milliseconds and product ids, which may repeat. Empty ones are left out.
    pub fn new<'a, P>(priors: &Priors, baskets: impl IntoIterator<Item = (i64, P)>) -> Self
    where
        P: IntoIterator<Item = &'a str>,
    {
        let mut history = Self::default();
        let mut known = Vec::new();
        let mut unknown = Vec::new();
        for (time_ms, products) in baskets {
            known.clear();
            unknown.clear();
            for id in products {
                match priors.index_of(id) {
                    Some(product) => known.push(product),
                    None => unknown.push(id),
                }
            }
            unknown.sort_unstable();
            unknown.dedup();
            history.push(time_ms, &mut known, unknown.len());
        }
        history
    }

    /// The newest `most` baskets of a user of a data set that has the model's catalogue.
    pub fn of_user(data: &Dataset, user: u32, most: usize) -> Self {
        let mut history = Self::default();
        for (time_ms, products) in data.baskets_of(user).rev().take(most) {
            history.push(time_ms, &mut Dataset::typed(products).collect(), 0);
        }
        history
    }

    fn push(&mut self, time_ms: i64, known: &mut Vec<ProductIx>, unknown: usize) {
        known.sort_unstable();
        known.dedup();
        let size = narrow(known.len() + unknown);
        if size > 0 {
            self.products.extend_from_slice(known);
            self.baskets.push(PackedBasket { time_ms, size, end: self.products.len() });
        }
    }

    /// How many baskets there are.
    pub fn len(&self) -> usize {
        self.baskets.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.baskets.is_empty()
    }

    /// The baskets, newest first.
    pub fn baskets(&self) -> impl Iterator<Item = HistoryBasket<'_>> {
        let mut start = 0;
        self.baskets.iter().map(move |basket| {
            let products = self.products.get(start..basket.end).unwrap_or(&[]);
            start = basket.end;
            HistoryBasket { time_ms: basket.time_ms, size: basket.size, products }
        })
    }

    /// The known products of all baskets, newest first; one bought several times comes as often.
    pub fn products(&self) -> impl Iterator<Item = ProductIx> {
        self.products.iter().copied()
    }

    /// When the basket with this lag was bought.
    pub fn time_ms(&self, lag: u32) -> Option<i64> {
        self.baskets.get(lag as usize).map(|basket| basket.time_ms)
    }
}
