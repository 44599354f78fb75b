//! Which baskets are hidden, and from which count.

use crate::dataset::{Dataset, HeldOut};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The parts that users are divided into: what is learned from the others is tried on each.
pub const FOLDS: u8 = 4;
/// Users with fewer baskets are in no fold: without two baskets before the hidden one there is no gap between them.
const LEAST_BASKETS: usize = 3;
/// The largest share of the users that lose baskets in one count; a count that lacks more is not the model's any more.
const MOST_SHARE: f64 = 0.24;
/// The baskets that are wanted of a shop: with fewer users, older ones of theirs are hidden too.
const WANTED_BASKETS: f64 = 6_000.0;
/// The most baskets of a user that are hidden, one after the other.
const MOST_POSITIONS: f64 = 5.0;
/// Baskets of these days may be hidden, and at least those of the more recent half of the users. What was bought long
/// ago is foretold from popularities of today, and was mostly bought by users who have not come back.
const RECENT_DAYS: i64 = 91;
const DAY_MS: i64 = 86_400_000;

/// How many users with at least 3 baskets bought their newest on each day since 1970. Merge:
/// associative, commutative, exact.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NewestBaskets(BTreeMap<i64, u64>);

impl NewestBaskets {
    /// Of the users of a data set.
    pub fn of(data: &Dataset) -> Self {
        let mut days = BTreeMap::new();
        for user in 0..data.user_count() {
            let mut baskets = data.baskets_of(user);
            if baskets.len() >= LEAST_BASKETS
                && let Some((time_ms, _)) = baskets.next_back()
            {
                *days.entry(time_ms.div_euclid(DAY_MS)).or_default() += 1;
            }
        }
        Self(days)
    }

    /// Adds other users.
    #[must_use]
    pub fn merge(mut self, other: &Self) -> Self {
        for (&day, users) in &other.0 {
            *self.0.entry(day).or_default() += users;
        }
        self
    }

    /// The first and the last day of the newest baskets that may be hidden, and how many those are.
    fn recent(&self) -> Option<(i64, i64, u64)> {
        let (&last, _) = self.0.last_key_value()?;
        let all: u64 = self.0.values().sum();
        let mut users = 0;
        let mut since = last;
        for (&day, more) in self.0.iter().rev() {
            if 2 * users >= all && day <= last.saturating_sub(RECENT_DAYS) {
                break;
            }
            users += more;
            since = day;
        }
        Some((since, last, users))
    }
}

/// Divides users into folds by what they bought ([`Dataset::fingerprint`]), so that the choice does not depend on how
/// users are split, nor on their names, which are pseudonyms of one training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Folds {
    /// A fold's share of the users, out of 2^32.
    share: u32,
    positions: u8,
    since_ms: i64,
}

impl Folds {
    /// Each fold has about `most` users, and at most 24 % of those who may be in one.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "shares below 1, and 1 to 5")]
    pub fn new(newest: &NewestBaskets, most: u32) -> Self {
        let Some((since, last, users)) = newest.recent() else { return Self::none() };
        let since = since.min(last.saturating_sub(RECENT_DAYS).saturating_add(1));
        let users = users as f64;
        let share = (f64::from(most) / users).min(MOST_SHARE);
        let baskets = f64::from(FOLDS) * share * users;
        let positions = (WANTED_BASKETS / baskets.max(1.0)).round().clamp(1.0, MOST_POSITIONS);
        Self {
            share: (share * 2f64.powi(32)) as u32,
            positions: positions as u8,
            since_ms: since.saturating_mul(DAY_MS),
        }
    }

    /// Nothing is hidden.
    pub const fn none() -> Self {
        Self { share: 0, positions: 0, since_ms: 0 }
    }

    /// Whether anything may be hidden.
    pub fn is_on(self) -> bool {
        self.share > 0
    }

    /// How many baskets of each user are hidden, one after the other, the newest first.
    pub fn positions(self) -> u8 {
        self.positions
    }

    /// The fold of a user with so many baskets, by the fingerprint of all of them, if they are in one.
    pub fn of(self, fingerprint: u64, baskets: usize) -> Option<u8> {
        if baskets < LEAST_BASKETS {
            return None;
        }
        let fold = (fingerprint >> 32).checked_div(u64::from(self.share))?;
        u8::try_from(fold).ok().filter(|&fold| fold < FOLDS)
    }

    /// Hides the newest basket of each user of a fold, or one that so many are newer than; those are dropped. Users with
    /// too few baskets, and those whose basket is too old, keep theirs.
    pub fn hide(self, data: &Dataset, fold: u8, position: u8) -> (Dataset, Vec<HeldOut>) {
        data.hold_out(|user, times| {
            let left = times.len().checked_sub(usize::from(position))?;
            let basket = left.checked_sub(1)?;
            let fits =
                *times.get(basket)? >= self.since_ms && self.of(fingerprint(data, user), left) == Some(fold);
            fits.then_some(basket)
        })
    }
}

fn fingerprint(data: &Dataset, user: &str) -> u64 {
    data.user_of(user).map_or(0, |user| data.fingerprint(user))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DatasetBuilder;

    fn all_today(users: u64) -> NewestBaskets {
        NewestBaskets(BTreeMap::from([(20_000, users)]))
    }

    fn sizes(folds: Folds, users: u64) -> Vec<usize> {
        // Fingerprints that are spread evenly.
        let spread = |user: u64| user.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let chosen: Vec<u8> = (0..users).filter_map(|user| folds.of(spread(user), 3)).collect();
        (0..FOLDS).map(|fold| chosen.iter().filter(|&&chosen| chosen == fold).count()).collect()
    }

    #[test]
    fn folds_have_as_many_users_as_asked_for_but_no_more_than_a_quarter() {
        let large = Folds::new(&all_today(20_000), 2_000);
        assert!(sizes(large, 20_000).iter().all(|size| (1_850..2_150).contains(size)));
        let small = Folds::new(&all_today(1_000), 2_000);
        assert!(sizes(small, 1_000).iter().all(|size| (190..290).contains(size)));
        let tiny = Folds::new(&all_today(10), 2_000);
        assert_eq!((large.positions(), small.positions(), tiny.positions()), (1, 5, 5));
    }

    #[test]
    fn baskets_of_a_quarter_or_of_the_recent_half_of_the_users_may_be_hidden() {
        let days = |days: &[(i64, u64)]| NewestBaskets(days.iter().copied().collect()).recent();
        assert_eq!(days(&[(100, 1), (900, 1), (950, 6), (1_000, 6)]), Some((950, 1_000, 12)));
        assert_eq!(days(&[(100, 3), (200, 4), (1_000, 1)]), Some((200, 1_000, 5)));
        assert_eq!(days(&[]), None);
        assert!(!Folds::new(&NewestBaskets::default(), 9).is_on());
        assert_eq!(Folds::none().of(7, 9), None);
    }

    #[test]
    fn a_hidden_basket_takes_the_newer_ones_along_and_leaves_two() {
        let mut builder = DatasetBuilder::new();
        for basket in 0..5i64 {
            builder.push("ada", &basket.to_string(), (1_000 + basket) * DAY_MS, ["x"]).unwrap();
        }
        let data = builder.build().unwrap();
        let newest = NewestBaskets::of(&data);
        let folds = Folds { share: u32::MAX / 4, ..Folds::new(&newest, 9) };
        let fold = folds.of(data.fingerprint(0), 5).unwrap();
        for (position, left) in [(0, 4), (1, 3), (2, 2)] {
            let (before, held) = folds.hide(&data, fold, position);
            assert_eq!((before.basket_count(), held.len()), (left, 1), "{position}");
            assert_eq!(held[0].time_ms, (1_004 - i64::from(position)) * DAY_MS);
        }
        assert_eq!(folds.hide(&data, fold, 3).1, []);
        assert_eq!(folds.hide(&data, (fold + 1) % FOLDS, 0).1, []);
        assert_eq!(Folds { since_ms: 1_004 * DAY_MS, ..folds }.hide(&data, fold, 1).1, []);
        let both = newest.clone().merge(&newest);
        assert_eq!(both.recent(), Some((1_004, 1_004, 2)));
    }
}
