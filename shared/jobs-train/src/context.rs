//! What all parts of a training agree on before they count.

use std::ops::Range;

use nextbasket_recommender::Params;
use serde::{Deserialize, Serialize};

use crate::parameters::{MAX_PARTS, TrainParameters};
use crate::training_data::PurchaseStatistics;

/// What all parts of a training agree on before they count, besides the catalogue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrainingContext {
    /// How the model is counted and scored.
    pub params: Params,
    /// The present: the newest purchase of all. It is the same for the model and for the trial, since a
    /// trial with a present of its own would age its counts differently.
    pub now_ms: i64,
    pub sample: EvaluationSample,
}

impl TrainingContext {
    pub fn new(parameters: &TrainParameters, statistics: &PurchaseStatistics) -> Self {
        let sample = if parameters.evaluate {
            EvaluationSample::at_most(parameters.max_evaluated_users, statistics.repeat_users)
        } else {
            EvaluationSample { share: 0 }
        };
        Self { params: parameters.params.clone(), now_ms: statistics.newest_ms.unwrap_or_default(), sample }
    }
}

/// The users who are evaluated on their newest basket: those whose pseudonym is below a bound.
///
/// The choice depends on the pseudonym alone and not on how users are split. Pseudonyms are of one job, so each training
/// of a shop with more such users than are evaluated draws its own; the live model is evaluated on the same ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvaluationSample {
    /// Out of 2^32.
    share: u64,
}

impl EvaluationSample {
    /// About `max` of this number of users, or all if they are fewer.
    pub fn at_most(max: u32, users: u64) -> Self {
        let share = (u128::from(max) << 32).checked_div(u128::from(users)).unwrap_or(1 << 32);
        Self { share: u64::try_from(share.min(1 << 32)).unwrap_or(0) }
    }

    pub fn is_on(self) -> bool {
        self.share > 0
    }

    /// Whether this user is evaluated, given a basket that can be held out.
    pub fn contains(self, pseudonym: &str) -> bool {
        let place = pseudonym.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        place.is_some_and(|place| u64::from(place) < self.share)
    }
}

/// The number of segments in which a table of this size is read and counted, so that each fits the memory of a small
/// function.
pub fn segment_count(parameters: &TrainParameters, purchases: u64, bytes: u64) -> u32 {
    const PURCHASES: u64 = 100_000;
    const BYTES: u64 = 64 << 20;
    /// So that several workers have something to do.
    const MIN_SEGMENTS: u32 = 8;
    let wanted = purchases.div_ceil(PURCHASES).max(bytes.div_ceil(BYTES));
    let wanted = u32::try_from(wanted).unwrap_or(MAX_PARTS);
    parameters.segments.unwrap_or_else(|| wanted.clamp(MIN_SEGMENTS, MAX_PARTS))
}

/// The blocks that products are ranked in, whose counts of all segments have to fit a small function's memory.
pub fn product_blocks(
    parameters: &TrainParameters,
    statistics: &PurchaseStatistics,
    products: usize,
) -> Vec<Range<u32>> {
    /// On the shops we know a pair comes to 1 to 3 bytes of counts: many users add to the same.
    const PAIRS: u64 = 8_000_000;
    let products = u32::try_from(products).unwrap_or(u32::MAX);
    let wanted = u32::try_from(statistics.pairs.div_ceil(PAIRS)).unwrap_or(MAX_PARTS);
    let blocks = parameters.product_blocks.unwrap_or_else(|| wanted.clamp(4, MAX_PARTS));
    let width = products.div_ceil(blocks.max(1)).max(1);
    (0..products.div_ceil(width))
        .map(|block| block * width..block.saturating_add(1).saturating_mul(width).min(products))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nextbasket_job_engine::JobKey;

    fn pseudonym(user: &str) -> String {
        JobKey::new([7; 32]).pseudonym(user)
    }

    #[test]
    fn about_as_many_users_are_evaluated_as_asked_for_and_all_if_they_are_few() {
        let chosen = |sample: EvaluationSample, users: u32| {
            (0..users).filter(|user| sample.contains(&pseudonym(&user.to_string()))).count()
        };
        assert_eq!(chosen(EvaluationSample::at_most(20_000, 5_000), 5_000), 5_000);
        let some = chosen(EvaluationSample::at_most(1_000, 10_000), 10_000);
        assert!((900..1_100).contains(&some), "{some}");
        assert!(!EvaluationSample::at_most(0, 10).is_on());
        assert_eq!(chosen(EvaluationSample::at_most(5, 0), 10), 10);
    }

    #[test]
    fn whoever_is_evaluated_among_many_is_evaluated_among_fewer() {
        let (few, many) = (EvaluationSample::at_most(100, 1_000), EvaluationSample::at_most(100, 5_000));
        let users: Vec<String> = (0..1_000).map(|user: u32| pseudonym(&user.to_string())).collect();
        assert!(users.iter().all(|user| few.contains(user) || !many.contains(user)));
    }

    #[test]
    fn blocks_hold_every_product_once_and_none_is_empty() {
        for products in [0, 1, 2, 7, 8, 1_000] {
            for wanted in [1, 3, 8, 1_000] {
                let parameters =
                    TrainParameters { product_blocks: Some(wanted), ..TrainParameters::default() };
                let blocks = product_blocks(&parameters, &PurchaseStatistics::default(), products);
                assert!(blocks.len() <= wanted as usize && blocks.iter().all(|block| !block.is_empty()));
                let all: Vec<u32> = blocks.into_iter().flatten().collect();
                assert_eq!(all, (0..u32::try_from(products).unwrap()).collect::<Vec<_>>());
            }
        }
    }
}
