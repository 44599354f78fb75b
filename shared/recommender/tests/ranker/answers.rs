//! What a ranker changes of an answer, and what it does not.

use crate::shop::{DAY, LAST_DAY, Random};
use crate::trained::{Asked, any_ranker, threads};
use nextbasket_recommender::ranker::TimeFeatures;
use nextbasket_recommender::{
    CANDIDATES, DatasetBuilder, History, Params, ProductIx, ScratchBuffers, TrainedModel, train,
};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::LazyLock;

const PRODUCTS: u64 = 230;

/// More products than a ranker orders.
static MODEL: LazyLock<TrainedModel> = LazyLock::new(|| {
    let mut builder = DatasetBuilder::new();
    let mut random = Random(3);
    for basket in 0..900u64 {
        let lines: Vec<String> = (0..=random.below(7)).map(|_| name(&mut random)).collect();
        let day = LAST_DAY - i64::try_from(random.below(200)).unwrap();
        let lines = lines.iter().map(String::as_str);
        builder.push(&format!("user {}", basket % 150), &basket.to_string(), day * DAY, lines).unwrap();
    }
    for product in 0..PRODUCTS {
        builder.push("all", "all", (LAST_DAY - 9) * DAY, [format!("p{product:03}").as_str()]).unwrap();
    }
    train(&builder.build().unwrap(), &Params::default(), threads(2), &|_| Vec::new()).unwrap()
});

fn name(random: &mut Random) -> String {
    format!("p{:03}", random.below(PRODUCTS) * random.below(PRODUCTS) / PRODUCTS)
}

fn history(seed: u64, baskets: i64) -> History {
    let mut random = Random(seed);
    let baskets: Vec<(i64, Vec<String>)> = (0..baskets)
        .map(|lag| ((LAST_DAY - 3 * lag) * DAY, (0..=random.below(5)).map(|_| name(&mut random)).collect()))
        .collect();
    History::new(&MODEL.priors, baskets.iter().map(|(time, ids)| (*time, ids.iter().map(String::as_str))))
}

fn ask() -> Asked<'static> {
    Asked { model: &MODEL, ranker: None, at_ms: (LAST_DAY + 4) * DAY, cart: &[], limit: 1_000 }
}

fn time() -> impl Strategy<Value = TimeFeatures> {
    prop_oneof![Just(TimeFeatures::Standing), Just(TimeFeatures::Elapsed)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn totals_fall_along_the_list_and_only_the_candidates_are_reordered(
        seed: u64, baskets in 1i64..30, trees in 0usize..9, time in time()
    ) {
        let ranker = any_ranker(seed, trees, time);
        let (history, mut scratch) = (history(seed, baskets), ScratchBuffers::new());
        let hand = ask().answer(&mut scratch, &history);
        let ranked = Asked { ranker: Some(&ranker), ..ask() }.answer(&mut scratch, &history);
        prop_assert!(hand.len() > CANDIDATES + 20);
        prop_assert!(ranked.is_sorted_by(|a, b| a.total >= b.total));

        let (first, tail) = ranked.split_at(CANDIDATES);
        let (hand_first, hand_tail) = hand.split_at(CANDIDATES);
        let products = |answer: &[nextbasket_recommender::Recommendation]| -> Vec<ProductIx> {
            answer.iter().map(|item| item.product).collect()
        };
        prop_assert_eq!(
            products(first).into_iter().collect::<BTreeSet<_>>(),
            products(hand_first).into_iter().collect::<BTreeSet<_>>()
        );
        prop_assert_ne!(products(first), products(hand_first));
        prop_assert_eq!(products(tail), products(hand_tail));
        let sum = |answer: &[nextbasket_recommender::Recommendation]| answer.iter().map(|item| item.total).sum::<f64>();
        prop_assert!((sum(first) - sum(hand_first)).abs() < 1e-9 * sum(hand_first));
        for item in &ranked {
            let hand = hand.iter().find(|hand| hand.product == item.product).unwrap();
            prop_assert_eq!(item.bought, hand.bought);
            let parts = [item.parts.personal, item.parts.next, item.parts.popular, item.parts.together];
            prop_assert!(parts.iter().all(|&part| part >= 0.0), "{:?}", item);
        }
        for item in first {
            let sum = item.parts.sum();
            prop_assert!(sum == 0.0 || (sum - item.total).abs() < 1e-9 * item.total, "{:?}", item);
            prop_assert!(item.bought.is_some() || item.parts.personal == 0.0, "{:?}", item);
        }
        for (item, hand) in tail.iter().zip(hand_tail) {
            prop_assert_eq!(item.parts, hand.parts);
        }
    }

    #[test]
    fn a_shorter_answer_is_the_front_of_a_longer_one(seed: u64, baskets in 1i64..9, limit in 0usize..240) {
        let ranker = any_ranker(seed, 5, TimeFeatures::Elapsed);
        let (history, mut scratch) = (history(seed, baskets), ScratchBuffers::new());
        let all = Asked { ranker: Some(&ranker), ..ask() }.answer(&mut scratch, &history);
        let some = Asked { ranker: Some(&ranker), limit, ..ask() }.answer(&mut scratch, &history);
        prop_assert_eq!(&some[..], &all[..limit.min(all.len())]);
    }

    #[test]
    fn without_history_or_with_a_cart_a_ranker_changes_nothing(seed: u64, baskets in 1i64..9) {
        let ranker = any_ranker(seed, 5, TimeFeatures::Elapsed);
        let (known, mut scratch) = (history(seed, baskets), ScratchBuffers::new());
        let cart = [ProductIx::new(u32::try_from(seed % PRODUCTS).unwrap())];
        for (history, cart) in [(&History::default(), &[][..]), (&known, &cart[..]), (&History::default(), &cart[..])] {
            let hand = Asked { cart, ..ask() };
            let ranked = Asked { ranker: Some(&ranker), ..hand };
            prop_assert_eq!(ranked.answer(&mut scratch, history), hand.answer(&mut scratch, history));
        }
    }

    #[test]
    fn an_answer_does_not_depend_on_those_before_it(
        asked in prop::collection::vec((0u64..6, 0i64..20, prop::option::of(0u32..230), any::<bool>(), 0usize..240), 1..6)
    ) {
        let ranker = any_ranker(7, 5, TimeFeatures::Elapsed);
        let mut scratch = ScratchBuffers::new();
        for (seed, baskets, cart, ranked, limit) in asked {
            let history = history(seed, baskets);
            let cart: Vec<ProductIx> = cart.map(ProductIx::new).into_iter().collect();
            let ask = Asked { ranker: Some(&ranker).filter(|_| ranked), cart: &cart, limit, ..ask() };
            prop_assert_eq!(ask.answer(&mut scratch, &history), ask.answer(&mut ScratchBuffers::new(), &history));
        }
    }
}
