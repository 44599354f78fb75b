//! Model and scores agree with the formula written down in floats.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the message")]

#[path = "../common/mod.rs"]
mod common;
mod naive;

use common::{DAY, dataset, purchases};
use naive::{Naive, cosine};
use nextbasket_recommender::{
    History, NeighbourRow, Params, Priors, ProductIx, ProductRows, ScoreRequest, Scorer, ScratchBuffers,
    TrainedModel, Window, train,
};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::num::NonZero;

/// The model after a round through its bytes.
fn stored(model: &TrainedModel) -> (Priors, Vec<ProductRows>) {
    let priors = Priors::decode(&model.priors.encode(700).unwrap()).unwrap();
    let rows = model.rows.iter().map(|row| ProductRows::decode(&row.encode()).unwrap()).collect();
    (priors, rows)
}

fn params() -> impl Strategy<Value = Params> {
    let decays = (0.3f64..=1.0, 0.3f64..=1.0, 0.3f64..=1.0);
    let half_lives = (1f64..100.0, 1f64..50.0, 1f64..50.0);
    let factors = (0f64..1.0, 0f64..0.5, 0f64..1.0, 0f64..2.0);
    (decays, half_lives, factors, 1u8..12, 0f64..1.5, 0f64..2.0, 0f64..2.0).prop_map(
        |(decays, half_lives, factors, max_gap, basket_size_power, next_weight, popularity_weight)| Params {
            personal_decay: decays.0,
            next_decay: decays.1,
            gap_decay: decays.2,
            transition_half_life_days: half_lives.0,
            trend_half_life_days: half_lives.1,
            popularity_half_life_days: half_lives.2,
            repurchase_power: factors.0,
            trend_power: factors.1,
            too_soon_factor: factors.2,
            count_shrinkage: factors.3,
            max_gap,
            basket_size_power,
            next_weight,
            popularity_weight,
            next_neighbours: 1000,
            together_neighbours: 1000,
            similar_neighbours: 1000,
            ..Params::default()
        },
    )
}

/// Baskets of anybody, newest first; products from p14 on are in no purchase.
fn histories() -> impl Strategy<Value = Vec<(i64, BTreeSet<String>)>> {
    let basket = prop::collection::btree_set(0u8..18, 1..5);
    prop::collection::vec(basket, 0..14).prop_map(|baskets| {
        let named = |basket: BTreeSet<u8>| basket.into_iter().map(|product| format!("p{product}")).collect();
        (0i64..).zip(baskets).map(|(lag, basket)| (1_320_000_000_000 - lag * DAY, named(basket))).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, ..ProptestConfig::default() })]

    #[test]
    fn scores_agree_to_four_places(purchases in purchases(), params in params(), baskets in histories()) {
        let naive = Naive::new(&purchases, &params);
        let model = train(&dataset(&purchases), &params, NonZero::<usize>::MIN, &|_| Vec::new()).unwrap();
        let (priors, rows) = stored(&model);
        let ids = baskets.iter().map(|(time, basket)| (*time, basket.iter().map(String::as_str)));
        let history = History::new(&priors, ids);
        let scorer = Scorer::new(&priors);
        let mut scratch = ScratchBuffers::new();
        let anchors = scorer.anchors(&mut scratch, &history, usize::MAX);
        let answer = scorer.score(&mut scratch, &ScoreRequest {
            history: &history,
            anchors: &anchors,
            next_row: &|product: ProductIx| Some(&rows[product.get() as usize].next),
            cart: &[],
            together_row: &|_| None::<&NeighbourRow>,
            exclude: &[],
            filter: None,
            at_ms: 0,
            limit: 100,
        });
        prop_assert_eq!(answer.len(), priors.len());
        prop_assert!(answer.is_sorted_by(|a, b| a.total >= b.total));
        let expected = naive.scores(&baskets);
        for item in &answer {
            let naive = expected[priors.id(item.product)];
            prop_assert!((item.total - naive).abs() < 1e-4, "{:?}, but {}", item, naive);
            prop_assert!((item.parts.sum() - item.total).abs() < 1e-12);
            let reasons: f64 = item.next_reasons.iter().map(|reason| reason.contribution).sum();
            prop_assert!(reasons <= item.parts.next + 1e-9);
        }
    }

    #[test]
    fn rows_and_their_evidence_agree(purchases in purchases(), params in params()) {
        let naive = Naive::new(&purchases, &params);
        let model = train(&dataset(&purchases), &params, NonZero::<usize>::MIN, &|_| Vec::new()).unwrap();
        let id = |product: ProductIx| model.priors.id(product);
        for rows in &model.rows {
            let j = id(rows.product);
            for (n, i) in rows.next.iter().map(|n| (n, id(n.product))) {
                prop_assert!((f64::from(n.score) - naive.transition(j, i)).abs() < 1e-6);
                prop_assert_eq!(n.evidence as usize, naive.shoppers(j, i));
            }
            prop_assert_eq!(rows.next.columns(), 3);
            for (column, half_life) in [(1, 1e12), (2, 7.0)] {
                for (&share, i) in rows.next.column(column).iter().zip(rows.next.products().map(id)) {
                    prop_assert!((f64::from(share) - naive.next_basket(j, i, half_life)).abs() < 1e-6);
                }
            }
            for (n, i) in rows.together.iter().map(|n| (n, id(n.product))) {
                prop_assert!((f64::from(n.score) - naive.together(j, i)).abs() < 1e-6);
                prop_assert_eq!(n.evidence as usize, naive.baskets_with(&[j, i]));
            }
            for (n, i) in rows.similar.iter().map(|n| (n, id(n.product))) {
                let both = naive.users_apart(j, i);
                let score = cosine(both, naive.buyers(j), naive.buyers(i));
                prop_assert!((f64::from(n.score) - score).abs() < 1e-6);
                prop_assert_eq!(n.evidence as usize, both);
            }
            let others = || model.rows.iter().map(|row| id(row.product)).filter(|&i| i != j);
            // Weights below 2^-32 count as nothing.
            prop_assert!(rows.next.len() >= others().filter(|i| naive.transition(j, i) > 1e-9).count());
            prop_assert!(rows.next.len() <= others().filter(|i| naive.shoppers(j, i) > 0).count());
            prop_assert_eq!(rows.together.len(), others().filter(|i| naive.baskets_with(&[j, i]) > 0).count());
            prop_assert_eq!(rows.similar.len(), others().filter(|i| naive.users_apart(j, i) > 0).count());
        }
    }

    #[test]
    fn fewer_neighbours_are_the_front_of_more(purchases in purchases(), neighbours in 1u16..6) {
        let data = dataset(&purchases);
        let few = Params {
            next_neighbours: neighbours, together_neighbours: neighbours, similar_neighbours: neighbours,
            ..Params::default()
        };
        let train = |params: &Params| train(&data, params, NonZero::<usize>::MIN, &|_| Vec::new()).unwrap();
        let (few, all) = (train(&few), train(&Params { next_neighbours: 1000, ..Params::default() }));
        for (few, all) in few.rows.iter().zip(&all.rows) {
            for (few, all) in [(&few.next, &all.next), (&few.together, &all.together), (&few.similar, &all.similar)] {
                prop_assert_eq!(few.len(), all.len().min(usize::from(neighbours)));
                prop_assert!(few.iter().eq(all.iter().take(few.len())));
            }
        }
    }

    #[test]
    fn priors_agree_and_come_back_from_pieces_in_any_order(purchases in purchases(), params in params()) {
        let naive = Naive::new(&purchases, &params);
        let categories = |id: &str| if id == "p3" { vec!["b".to_owned(), "a".to_owned()] } else { Vec::new() };
        let model = train(&dataset(&purchases), &params, NonZero::<usize>::MIN, &categories).unwrap();
        let mut pieces = model.priors.encode(620).unwrap();
        prop_assert!(pieces.iter().all(|piece| piece.len() <= 620));
        pieces.reverse();
        let priors = Priors::decode(&pieces).unwrap();
        prop_assert_eq!(&priors, &model.priors);
        for (number, id) in (0u32..).zip(priors.catalogue().ids()) {
            let product = ProductIx::new(number);
            prop_assert_eq!(priors.index_of(id), Some(product));
            let windows = [(Window::Day, 1.0), (Window::Month, 30.0), (Window::AllTime, 1e12)];
            for (window, half_life) in windows {
                let (have, want) = (priors.popularity(product, window), naive.popularity(id, half_life));
                prop_assert!((have - want).abs() < 3e-4 * want + 1e-9, "{} {}", have, want);
            }
            prop_assert_eq!(priors.buyers(product) as usize, naive.buyers(id));
            prop_assert_eq!(priors.product_baskets(product) as usize, naive.baskets_with(&[id]));
            prop_assert_eq!(priors.categories(product).collect::<Vec<_>>().len(), if id == "p3" { 2 } else { 0 });
            let bought = purchases.iter().filter(|p| p.products.iter().any(|p| p == id)).map(|p| p.time_ms);
            let last = bought.max().unwrap();
            prop_assert!((priors.last_sale_ms(product).unwrap() - last).abs() < 60_000);
        }
    }

    #[test]
    fn corrupt_priors_are_an_error_and_no_panic(
        purchases in purchases(), place: prop::sample::Index, byte: u8, cut: prop::sample::Index
    ) {
        let model = train(&dataset(&purchases), &Params::default(), NonZero::<usize>::MIN, &|_| Vec::new()).unwrap();
        let pieces = model.priors.encode(10_000).unwrap();
        let mut changed = pieces[0].clone();
        let at = place.index(changed.len());
        changed[at] = byte;
        if let Ok(priors) = Priors::decode(&[&changed]) {
            prop_assert_eq!(priors, model.priors);
        }
        prop_assert!(Priors::decode(&[&pieces[0][..cut.index(pieces[0].len())]]).is_err());
        prop_assert!(Priors::decode(&[&pieces[0], &pieces[0]]).is_err());
    }
}
