//! How good one list of one user was.

use crate::catalogue::ProductIx;
use std::collections::BTreeSet;

/// The measures of the first k places of a list; see [`super::Quality`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ListMeasures {
    /// Share of the bought products that are in the list.
    pub recall: f64,
    /// Normalised discounted cumulative gain.
    pub ndcg: f64,
    /// Whether a bought product is in the list.
    pub hit: bool,
    /// Recall of products that the user had bought before; none if none of those was bought.
    pub repeat_recall: Option<f64>,
    /// Recall of products new to the user; none if none of those was bought.
    pub explore_recall: Option<f64>,
}

impl ListMeasures {
    /// Of a list, best first and without repetitions; `None` if nothing was bought. `known` says whether the user had
    /// bought a product before.
    pub fn of(
        list: &[ProductIx],
        bought: &BTreeSet<ProductIx>,
        known: impl Fn(ProductIx) -> bool,
        k: usize,
    ) -> Option<Self> {
        if bought.is_empty() {
            return None;
        }
        let repeats = bought.iter().filter(|&&product| known(product)).count();
        let hits = || list.iter().take(k).zip(1u32..).filter(|(product, _)| bought.contains(product));
        let count = hits().count();
        let repeated = hits().filter(|&(&product, _)| known(product)).count();
        let gained: f64 = hits().map(|(_, place)| gain(place)).sum();
        let ideal: f64 = (1u32..).take(k.min(bought.len())).map(gain).sum();
        let share = |hits: usize, of: usize| (of > 0).then(|| hits as f64 / of as f64);
        Some(Self {
            recall: count as f64 / bought.len() as f64,
            ndcg: gained / ideal,
            hit: count > 0,
            repeat_recall: share(repeated, repeats),
            explore_recall: share(count - repeated, bought.len() - repeats),
        })
    }
}

fn gain(place: u32) -> f64 {
    1.0 / f64::from(place + 1).log2()
}
