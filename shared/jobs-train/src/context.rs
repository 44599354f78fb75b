//! What all parts of a training agree on before they count.

use std::ops::Range;

use nextbasket_recommender::Params;
use nextbasket_recommender::ranker::{FOLDS, Folds, NewestBaskets};
use serde::{Deserialize, Serialize};

use crate::parameters::{MAX_PARTS, TrainParameters};
use crate::training_data::PurchaseStatistics;

/// What all parts of a training agree on before they count, besides the catalogue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrainingContext {
    /// How the model is counted and scored.
    pub params: Params,
    /// The present: the newest purchase of all. It is the same for the model and for the trials, since a
    /// trial with a present of its own would age its counts differently.
    pub now_ms: i64,
    /// Whose newest baskets are hidden, to learn from and to evaluate the model on.
    pub folds: Folds,
}

impl TrainingContext {
    pub fn new(
        parameters: &TrainParameters,
        statistics: &PurchaseStatistics,
        newest: &NewestBaskets,
    ) -> Self {
        let folds = if parameters.evaluate {
            Folds::new(newest, parameters.max_evaluated_users.div_ceil(u32::from(FOLDS)))
        } else {
            Folds::none()
        };
        Self { params: parameters.params.clone(), now_ms: statistics.newest_ms.unwrap_or_default(), folds }
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
