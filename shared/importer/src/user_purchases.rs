//! How many purchases each user has.

use std::collections::BTreeMap;

use nextbasket_domain::UserId;
use serde::{Deserialize, Serialize};

use crate::tally::ImportTally;

/// The maximum number of users that are reported for the number of their purchases: more than nine cannot have more than
/// a tenth each.
const MAX_FREQUENT: usize = 9;

/// A user, and how many purchases it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserCount {
    pub user_id: UserId,
    pub purchases: u64,
}

/// The number of purchases of each user.
#[derive(Debug, Default)]
pub struct UserPurchases(BTreeMap<UserId, u64>);

impl UserPurchases {
    /// Adds purchases of a user.
    pub fn add(&mut self, user: UserCount) {
        *self.0.entry(user.user_id).or_default() += user.purchases;
    }

    /// The counts of all users, each of whom must have been added with all of its purchases.
    #[must_use]
    pub fn tally(&self) -> ImportTally {
        let mut tally = ImportTally {
            users: u64::try_from(self.0.len()).unwrap_or(u64::MAX),
            repeat_users: self.0.values().map(|purchases| u64::from(*purchases > 1)).sum(),
            ..ImportTally::default()
        };
        let user = |(user_id, purchases): (&UserId, &u64)| UserCount {
            user_id: user_id.clone(),
            purchases: *purchases,
        };
        // Of the most frequent only these are needed; all of them would double the memory.
        for user in self.0.iter().filter(|(_, purchases)| **purchases > 1).map(user) {
            tally.frequent_users.push(user);
            if tally.frequent_users.len() > 64 * MAX_FREQUENT {
                UserCount::keep_most_frequent(&mut tally.frequent_users);
            }
        }
        UserCount::keep_most_frequent(&mut tally.frequent_users);
        tally
    }

    /// The users with their counts, sorted.
    pub(crate) fn into_counts(self) -> Vec<UserCount> {
        self.0.into_iter().map(|(user_id, purchases)| UserCount { user_id, purchases }).collect()
    }

    /// The users, sorted.
    #[must_use]
    pub fn into_users(self) -> Vec<UserId> {
        self.0.into_keys().collect()
    }
}

impl UserCount {
    pub(crate) fn keep_most_frequent(users: &mut Vec<Self>) {
        users.sort_by(|a, b| (b.purchases, &a.user_id).cmp(&(a.purchases, &b.user_id)));
        users.truncate(MAX_FREQUENT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_users_are_the_same_however_they_are_divided() {
        let count = |n: u64| UserCount {
            user_id: UserId::parse(&format!("u{n}")).unwrap(),
            purchases: n * 7_919 % 101,
        };
        let (mut whole, mut parts) = (UserPurchases::default(), ImportTally::default());
        (0..2_000).map(count).for_each(|user| whole.add(user));
        for part in 0..5 {
            let mut users = UserPurchases::default();
            (0..2_000).filter(|n| n % 5 == part).map(count).for_each(|user| users.add(user));
            parts += users.tally();
        }
        assert_eq!(whole.tally(), parts);
        assert_eq!((parts.users, parts.frequent_users.len()), (2_000, MAX_FREQUENT));
        assert!(parts.frequent_users.iter().all(|user| user.purchases == 100), "{parts:?}");
    }
}
