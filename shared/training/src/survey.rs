//! The purchases of a segment of users, read once; all stages after it work on what was read.

use nextbasket_domain::{Purchase, digest};
use nextbasket_recommender::{Catalogue, Dataset, DatasetBuilder, DatasetError};
use serde::{Deserialize, Serialize};

/// A purchase as a training sees it.
///
/// The user stands under a pseudonym, a digest of the id: what a training writes down names nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bought {
    /// The user's pseudonym.
    pub user: String,
    /// The purchase's id: of purchases at the same time, it tells the order.
    pub purchase: String,
    /// Milliseconds since 1970.
    pub time_ms: i64,
    /// Product ids, as often as they were bought.
    pub products: Vec<String>,
}

impl From<&Purchase> for Bought {
    fn from(purchase: &Purchase) -> Self {
        Self {
            user: pseudonym(purchase.user_id.as_str()),
            purchase: purchase.purchase_id.to_string(),
            time_ms: purchase.purchased_at.as_millis(),
            products: purchase.lines.iter().map(|line| line.product_id.to_string()).collect(),
        }
    }
}

/// The user's pseudonym: 128 bits of the id's SHA-256, in hexadecimal.
#[must_use]
pub fn pseudonym(user: &str) -> String {
    digest(user, 16)
}

/// What a plan has to know of purchases that it does not see. Merge: associative and commutative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Survey {
    /// Users.
    pub users: u64,
    /// Users with more than one purchase: those whose newest can be held out.
    pub repeat_users: u64,
    /// Purchases.
    pub purchases: u64,
    /// Products of purchases, each once a purchase.
    pub lines: u64,
    /// How many pairs of products the users can have added to, at the most.
    pub pairs: u64,
    /// The time of the newest purchase, in milliseconds since 1970.
    pub newest_ms: Option<i64>,
}

impl Survey {
    /// Of these baskets.
    #[must_use]
    pub fn of(data: &Dataset) -> Self {
        let mut survey = Self { newest_ms: data.newest_ms(), ..Self::default() };
        for user in 0..data.user_count() {
            let baskets = data.baskets_of(user);
            let purchases = baskets.len() as u64;
            let lines: u64 = baskets.map(|(_, products)| products.len() as u64).sum();
            survey.users += 1;
            survey.repeat_users += u64::from(purchases > 1);
            survey.purchases += purchases;
            survey.lines += lines;
            survey.pairs = survey.pairs.saturating_add(lines.saturating_mul(lines));
        }
        survey
    }

    /// Of both.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self {
            users: self.users + other.users,
            repeat_users: self.repeat_users + other.repeat_users,
            purchases: self.purchases + other.purchases,
            lines: self.lines + other.lines,
            pairs: self.pairs.saturating_add(other.pairs),
            newest_ms: self.newest_ms.max(other.newest_ms),
        }
    }
}

/// Lays out purchases, in any order.
///
/// # Errors
/// More than a data set holds.
pub fn baskets<'a>(purchases: impl IntoIterator<Item = &'a Bought>) -> Result<Dataset, DatasetError> {
    let mut builder = DatasetBuilder::new();
    for bought in purchases {
        push(&mut builder, bought)?;
    }
    builder.build()
}

/// Adds a purchase to those that are laid out.
///
/// # Errors
/// More than a data set holds.
pub fn push(builder: &mut DatasetBuilder, bought: &Bought) -> Result<(), DatasetError> {
    let products = bought.products.iter().map(String::as_str);
    builder.push(&bought.user, &bought.purchase, bought.time_ms, products)
}

/// The products of all segments.
///
/// # Errors
/// [`DatasetError::TooLarge`] if the ids add up to more than 4 GiB.
pub fn union<'a>(catalogues: impl IntoIterator<Item = &'a Catalogue>) -> Result<Catalogue, DatasetError> {
    Catalogue::new(catalogues.into_iter().flat_map(Catalogue::ids))
        .ok_or(DatasetError::TooLarge("the ids of the products add up to more than 4 GiB"))
}
