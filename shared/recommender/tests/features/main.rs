//! What the ranker looks at, beside a second implementation without a scratch buffer.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the message")]

#[allow(dead_code, reason = "other tests take more of it")]
#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code, reason = "features need a part of the formula")]
#[path = "../formula/naive.rs"]
mod formula;
mod naive;

use common::{DAY, Purchase, dataset, purchases_of};
use naive::NaiveFeatures;
use nextbasket_recommender::ranker::{FEATURES, HiddenBasket, HiddenBasketKey};
use nextbasket_recommender::{
    ANCHORS, Dataset, History, Params, ProductIx, ScoreRequest, Scorer, ScratchBuffers, TrainedModel, train,
};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::num::NonZero;

const MINUTE: i64 = 60_000;

/// Features that say nothing by themselves: others are computed from them.
const HELPERS: [&str; 2] = ["newestDays", "gapDays"];

fn params() -> Params {
    Params {
        next_neighbours: 1000,
        together_neighbours: 1000,
        too_soon_factor: 0.4,
        count_shrinkage: 0.5,
        ..Params::default()
    }
}

fn model(data: &Dataset) -> TrainedModel {
    train(data, &params(), NonZero::<usize>::MIN, &|_| Vec::new()).unwrap()
}

/// The candidates of a history with their features, asked at some time.
fn features(model: &TrainedModel, history: &History, at_ms: i64, rows: bool) -> HiddenBasket {
    let (scorer, mut scratch) = (Scorer::new(&model.priors), ScratchBuffers::new());
    let anchors = scorer.anchors(&mut scratch, history, ANCHORS);
    let rows = |product: ProductIx| model.rows.get(product.get() as usize).filter(|_| rows);
    let request = ScoreRequest {
        history,
        anchors: &anchors,
        next_row: &|product| rows(product).map(|rows| &rows.next),
        cart: &[],
        together_row: &|product| rows(product).map(|rows| &rows.together),
        exclude: &[],
        filter: None,
        at_ms,
        limit: 0,
    };
    let key = HiddenBasketKey { fold: 0, position: 0, user: 0 };
    HiddenBasket::new(&scorer, &mut scratch, &request, BTreeSet::new(), key)
}

fn newest_first(purchases: &[Purchase], user: &str) -> Vec<(i64, BTreeSet<String>)> {
    let mut own: Vec<&Purchase> = purchases.iter().filter(|purchase| purchase.user == user).collect();
    own.sort_by(|a, b| (b.time_ms, &b.id).cmp(&(a.time_ms, &a.id)));
    own.iter().map(|purchase| (purchase.time_ms, purchase.products.iter().cloned().collect())).collect()
}

/// Baskets at any time, in any order, of products of which p40 to p44 are unknown.
fn histories() -> impl Strategy<Value = Vec<(i64, BTreeSet<u8>)>> {
    let time =
        prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX), 1_290_000_000_000i64..1_330_000_000_000];
    prop::collection::vec((time, prop::collection::btree_set(0u8..45, 1..9)), 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn features_agree_to_four_places_whenever_they_are_asked_for(
        purchases in purchases_of(4, 40), minutes in -90_000i64..400_000
    ) {
        let params = params();
        let data = dataset(&purchases);
        let model = model(&data);
        let naive = NaiveFeatures::new(&purchases, &params, &model.priors);
        for user in 0..data.user_count() {
            let baskets = newest_first(&purchases, data.user_id(user).unwrap());
            let history = History::of_user(&data, user, 100);
            for at_ms in [naive.now_ms(), naive.now_ms() + minutes * MINUTE, naive.now_ms() + 20 * DAY] {
                let asked = features(&model, &history, at_ms, true);
                prop_assert_eq!(asked.candidates.len(), model.priors.len());
                let rows = asked.features().chunks_exact(FEATURES.len());
                prop_assert_eq!(rows.len(), asked.candidates.len());
                for (&product, row) in asked.candidates.iter().zip(rows) {
                    let id = model.priors.id(product);
                    let expected = naive.of(&baskets, id, at_ms);
                    for (&name, &value) in FEATURES.iter().zip(row).filter(|(name, _)| !HELPERS.contains(name)) {
                        let wanted = *expected.get(name).ok_or_else(|| TestCaseError::fail(name))?;
                        prop_assert!(
                            (f64::from(value) - wanted).abs() < 1e-4,
                            "{name} of {id}: {value}, but {wanted}; {baskets:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn features_are_finite_for_any_history_at_any_time(
        purchases in purchases_of(4, 40), baskets in histories(), at_ms in any::<i64>(), rows in any::<bool>()
    ) {
        let model = model(&dataset(&purchases));
        let named: Vec<(i64, Vec<String>)> = baskets
            .iter()
            .map(|(time, products)| (*time, products.iter().map(|product| format!("p{product}")).collect()))
            .collect();
        let history =
            History::new(&model.priors, named.iter().map(|(time, ids)| (*time, ids.iter().map(String::as_str))));
        for at_ms in [at_ms, i64::MIN, i64::MAX, 0, model.priors.now_ms()] {
            let asked = features(&model, &history, at_ms, rows);
            prop_assert_eq!(asked.features().len(), FEATURES.len() * model.priors.len());
            let not_finite = asked.features().iter().position(|value| !value.is_finite());
            prop_assert_eq!(not_finite.map(|at| FEATURES[at % FEATURES.len()]), None);
        }
    }
}

#[test]
fn features_have_different_names() {
    assert_eq!(FEATURES.iter().collect::<BTreeSet<_>>().len(), FEATURES.len());
}
