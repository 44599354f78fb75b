//! The plain counts that a model has to beat. Names after Li et al., "A Next Basket Recommendation Reality Check".

use crate::catalogue::ProductIx;
use crate::priors::{Priors, Window};
use crate::score::History;
use std::collections::{BTreeMap, BTreeSet};

/// G-TopFreq: the products in most baskets of all users.
pub fn global_top(priors: &Priors, limit: usize) -> Vec<ProductIx> {
    priors.popular(Window::AllTime).iter().copied().take(limit).collect()
}

/// P-TopFreq: the products in most baskets of the user; of equal ones those bought later, then by number. As short
/// as the user's list of products.
pub fn personal_top(history: &History, limit: usize) -> Vec<ProductIx> {
    let mut counts: BTreeMap<ProductIx, (u32, u32)> = BTreeMap::new();
    for (lag, basket) in (0u32..).zip(history.baskets()) {
        for &product in basket.products {
            counts.entry(product).or_insert((0, lag)).0 += 1;
        }
    }
    let mut products: Vec<_> = counts.into_iter().collect();
    products.sort_by_key(|&(product, (count, lag))| (std::cmp::Reverse(count), lag, product));
    products.into_iter().map(|(product, _)| product).take(limit).collect()
}

/// GP-TopFreq: the user's own, filled up with everybody's.
pub fn global_personal_top(priors: &Priors, history: &History, limit: usize) -> Vec<ProductIx> {
    let mut list = personal_top(history, limit);
    let own: BTreeSet<ProductIx> = list.iter().copied().collect();
    let others = priors.popular(Window::AllTime).iter().copied().filter(|product| !own.contains(product));
    list.extend(others.take(limit - list.len()));
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DatasetBuilder, Params, train};
    use std::num::NonZero;

    #[test]
    fn own_products_come_first_and_popular_ones_fill_up() {
        let mut builder = DatasetBuilder::new();
        for (user, purchase, time, products) in [
            ("u", "1", 1, vec!["tea", "jam"]),
            ("u", "2", 2, vec!["tea", "oil"]),
            ("v", "3", 3, vec!["rye", "jam"]),
            ("w", "4", 4, vec!["rye", "jam"]),
        ] {
            builder.push(user, purchase, time, products).unwrap();
        }
        let data = builder.build().unwrap();
        let model = train(&data, &Params::default(), NonZero::<usize>::MIN, &|_| Vec::new()).unwrap();
        let history = History::of_user(&data, 0, 100);
        let ids =
            |list: Vec<ProductIx>| list.iter().map(|&p| model.priors.id(p).to_owned()).collect::<Vec<_>>();
        assert_eq!(ids(personal_top(&history, 5)), ["tea", "oil", "jam"]);
        assert_eq!(ids(global_top(&model.priors, 2)), ["jam", "rye"]);
        assert_eq!(ids(global_personal_top(&model.priors, &history, 4)), ["tea", "oil", "jam", "rye"]);
        assert_eq!(ids(global_personal_top(&model.priors, &history, 1)), ["tea"]);
    }
}
