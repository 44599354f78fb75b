//! A ranker's bytes.

use crate::trained::any_ranker;
use nextbasket_recommender::ranker::conditional_logit::LinearWeights;
use nextbasket_recommender::ranker::forest::Forest;
use nextbasket_recommender::ranker::{FEATURES, Ranker, TimeFeatures};
use proptest::prelude::*;

/// What fits into an item beside the priors.
const MAX_BYTES: usize = 40_000;

fn time() -> impl Strategy<Value = TimeFeatures> {
    prop_oneof![Just(TimeFeatures::Standing), Just(TimeFeatures::Elapsed)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn bytes_come_back_as_the_same_ranker(seed: u64, trees in 0usize..=120, time in time()) {
        let ranker = any_ranker(seed, trees, time);
        let bytes = ranker.encode();
        prop_assert_eq!(Ranker::decode(&bytes), Ok(ranker));
        prop_assert!(bytes.len() <= MAX_BYTES, "{} bytes", bytes.len());
    }

    #[test]
    fn damaged_bytes_are_an_error_or_another_ranker_but_no_panic(
        seed: u64,
        trees in 0usize..4,
        time in time(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        keep in prop::option::of(any::<prop::sample::Index>()),
        features in prop::collection::vec(-1e3f32..1e3, 3 * FEATURES.len()),
    ) {
        let mut bytes = any_ranker(seed, trees, time).encode();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(keep) = keep {
            bytes.truncate(keep.index(bytes.len()));
        }
        if let Ok(other) = Ranker::decode(&bytes) {
            prop_assert_eq!(Ranker::decode(&other.encode()), Ok(other.clone()));
            let scores = other.scores(&features);
            prop_assert!(scores.len() == 3 && scores.iter().all(|score| score.is_finite()), "{:?}", scores);
        }
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..900)) {
        let _ = Ranker::decode(&bytes);
    }
}

#[test]
fn a_ranker_with_120_trees_of_16_leaves_fits_into_an_item() {
    let bytes = any_ranker(1, 120, TimeFeatures::Elapsed).encode().len();
    // Smaller trees would not say anything.
    assert!((120 * 140..=MAX_BYTES).contains(&bytes), "{bytes} bytes");
}

#[test]
fn rankers_of_other_features_or_with_weights_that_sums_overflow_with_are_invalid() {
    let ranker = |columns, weight| {
        let weights = LinearWeights::new(vec![weight; columns]);
        Ranker::decode(&Ranker::new(TimeFeatures::Standing, weights, Forest::new(columns)).encode())
    };
    let columns = FEATURES.len();
    assert!(ranker(columns, -1e30).is_ok());
    for weight in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
        assert!(ranker(columns, weight).is_err(), "{weight}");
    }
    for columns in [0, columns - 1, columns + 1] {
        let error = ranker(columns, 0.5).unwrap_err().to_string();
        assert!(error.contains("features of a ranker"), "{error}");
    }
}
