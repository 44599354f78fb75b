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

/// The products in most baskets of those that share a category with one of the cart's, which are not among them; all
/// products where the cart's have no category.
pub fn category_top(priors: &Priors, cart: &[ProductIx], limit: usize) -> Vec<ProductIx> {
    let wanted: BTreeSet<u32> =
        cart.iter().flat_map(|&product| priors.category_codes(product)).copied().collect();
    let fits = |product: ProductIx| {
        wanted.is_empty() || priors.category_codes(product).iter().any(|code| wanted.contains(code))
    };
    let others = priors.popular(Window::AllTime).iter().copied().filter(|product| !cart.contains(product));
    others.filter(|&product| fits(product)).take(limit).collect()
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

    #[test]
    fn a_cart_is_offered_what_sells_best_in_its_categories() {
        let mut builder = DatasetBuilder::new();
        for (purchase, products) in
            [("1", vec!["ale", "gin"]), ("2", vec!["ale", "pen"]), ("3", vec!["ink", "gin"])]
        {
            builder.push("u", purchase, 1, products).unwrap();
        }
        let categories = |id: &str| match id {
            "ale" | "gin" => vec!["drinks".to_owned()],
            "ink" => Vec::new(),
            _ => vec!["paper".to_owned()],
        };
        let data = builder.build().unwrap();
        let priors = train(&data, &Params::default(), NonZero::<usize>::MIN, &categories).unwrap().priors;
        let top = |cart: &[&str]| {
            let cart: Vec<ProductIx> = cart.iter().map(|id| priors.index_of(id).unwrap()).collect();
            category_top(&priors, &cart, 5).into_iter().map(|p| priors.id(p).to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(top(&["gin"]), ["ale"]);
        assert_eq!(top(&["gin", "pen"]), ["ale"]);
        assert_eq!(top(&["ink"]), ["ale", "gin", "pen"], "without a category all of them");
    }
}
