//! What all parts of a training have to agree on before they count.

use std::ops::Range;

use nextbasket_recommender::Params;
use serde::{Deserialize, Serialize};

use crate::settings::{MOST_PARTS, Settings};
use crate::survey::Survey;

/// What all parts of a training have to agree on before they count, besides the catalogue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Terms {
    /// How the model is counted and scored.
    pub params: Params,
    /// The present: the newest purchase of all. It is the same for the model and for the trial that is judged, since
    /// a trial with a present of its own would age its counts otherwise than the model does.
    pub now_ms: i64,
    /// Who is judged.
    pub judging: Judging,
}

impl Terms {
    /// For purchases of which this is known.
    #[must_use]
    pub fn new(settings: &Settings, survey: &Survey) -> Self {
        let judging = if settings.evaluate {
            Judging::at_most(settings.max_evaluated_users, survey.repeat_users)
        } else {
            Judging { share: 0 }
        };
        Self { params: settings.params.clone(), now_ms: survey.newest_ms.unwrap_or_default(), judging }
    }
}

/// Which users are judged by their newest basket: those whose pseudonym begins below a bound.
///
/// The choice depends on the user alone and not on how users are split, and a user who was judged once is judged
/// again as long as the shop does not grow, so that reports of one training and the next are of much the same users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judging {
    /// Out of 2^32.
    share: u64,
}

impl Judging {
    /// Some `most` of so many users, or all if they are fewer.
    #[must_use]
    pub fn at_most(most: u32, users: u64) -> Self {
        let share = (u128::from(most) << 32).checked_div(u128::from(users)).unwrap_or(1 << 32);
        Self { share: u64::try_from(share.min(1 << 32)).unwrap_or(0) }
    }

    /// Whether anybody is.
    #[must_use]
    pub fn is_on(self) -> bool {
        self.share > 0
    }

    /// Whether this user is, given a basket that can be held out.
    #[must_use]
    pub fn takes(self, pseudonym: &str) -> bool {
        let place = pseudonym.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        place.is_some_and(|place| u64::from(place) < self.share)
    }
}

/// How many segments a table of so many purchases and bytes is read and counted in, so that each of them fits a small
/// function's memory.
#[must_use]
pub fn segments(settings: &Settings, purchases: u64, bytes: u64) -> u32 {
    const PURCHASES: u64 = 100_000;
    const BYTES: u64 = 64 << 20;
    /// So that several workers have something to do.
    const FEWEST: u32 = 8;
    let wanted = purchases.div_ceil(PURCHASES).max(bytes.div_ceil(BYTES));
    let wanted = u32::try_from(wanted).unwrap_or(MOST_PARTS);
    settings.segments.unwrap_or_else(|| wanted.clamp(FEWEST, MOST_PARTS))
}

/// The blocks that products are ranked in, whose counts of all segments have to fit a small function's memory.
#[must_use]
pub fn blocks(settings: &Settings, survey: &Survey, products: usize) -> Vec<Range<u32>> {
    /// On the shops we know a pair comes to 1 to 3 bytes of counts: many users add to the same.
    const PAIRS: u64 = 8_000_000;
    let products = u32::try_from(products).unwrap_or(u32::MAX);
    let wanted = u32::try_from(survey.pairs.div_ceil(PAIRS)).unwrap_or(MOST_PARTS);
    let blocks = settings.product_blocks.unwrap_or_else(|| wanted.clamp(4, MOST_PARTS));
    let width = products.div_ceil(blocks.max(1)).max(1);
    (0..products.div_ceil(width))
        .map(|block| block * width..block.saturating_add(1).saturating_mul(width).min(products))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::pseudonym;

    #[test]
    fn about_as_many_users_are_judged_as_asked_for_and_all_if_they_are_few() {
        let chosen = |judging: Judging, users: u32| {
            (0..users).filter(|user| judging.takes(&pseudonym(&user.to_string()))).count()
        };
        assert_eq!(chosen(Judging::at_most(20_000, 5_000), 5_000), 5_000);
        let some = chosen(Judging::at_most(1_000, 10_000), 10_000);
        assert!((900..1_100).contains(&some), "{some}");
        assert!(!Judging::at_most(0, 10).is_on());
        assert_eq!(chosen(Judging::at_most(5, 0), 10), 10);
    }

    #[test]
    fn whoever_is_judged_among_many_is_judged_among_fewer() {
        let (few, many) = (Judging::at_most(100, 1_000), Judging::at_most(100, 5_000));
        let users: Vec<String> = (0..1_000).map(|user: u32| pseudonym(&user.to_string())).collect();
        assert!(users.iter().all(|user| few.takes(user) || !many.takes(user)));
    }

    #[test]
    fn blocks_hold_every_product_once_and_none_is_empty() {
        for products in [0, 1, 2, 7, 8, 1_000] {
            for wanted in [1, 3, 8, 1_000] {
                let settings = Settings { product_blocks: Some(wanted), ..Settings::default() };
                let blocks = blocks(&settings, &Survey::default(), products);
                assert!(blocks.len() <= wanted as usize && blocks.iter().all(|block| !block.is_empty()));
                let all: Vec<u32> = blocks.into_iter().flatten().collect();
                assert_eq!(all, (0..u32::try_from(products).unwrap()).collect::<Vec<_>>());
            }
        }
    }
}
