//! The purchases as a training sees them: read once, by pseudonym; all later stages work on this reading.

use nextbasket_domain::Purchase;
use nextbasket_job_engine::JobKey;
use nextbasket_recommender::{Catalogue, Dataset, DatasetBuilder, DatasetError};
use serde::{Deserialize, Serialize};

/// A purchase as a training sees it.
///
/// The user is known by a pseudonym under the job's own key, which dies with the job: what a training writes contains no
/// user ids, and nobody can find a known user in it afterwards. A key of the stack would serve no purpose here, since no
/// training reads what another has read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainingPurchase {
    pub user: String,
    /// The purchase's id, which orders purchases of the same time.
    pub purchase: String,
    /// Milliseconds since 1970.
    pub time_ms: i64,
    /// Product ids, as often as they were bought.
    pub products: Vec<String>,
}

impl TrainingPurchase {
    pub fn new(purchase: &Purchase, key: &JobKey) -> Self {
        Self {
            user: key.pseudonym(purchase.user_id.as_str()),
            purchase: purchase.purchase_id.to_string(),
            time_ms: purchase.purchased_at.as_millis(),
            products: purchase.lines.iter().map(|line| line.product_id.to_string()).collect(),
        }
    }
}

/// What the plan needs to know of purchases that it does not read. Merge: associative and commutative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PurchaseStatistics {
    pub users: u64,
    /// Users with more than one purchase: those whose newest can be held out.
    pub repeat_users: u64,
    pub purchases: u64,
    /// Products of purchases, each once a purchase.
    pub lines: u64,
    /// The maximum number of pairs of products that the users can have added to.
    pub pairs: u64,
    /// The time of the newest purchase, in milliseconds since 1970.
    pub newest_ms: Option<i64>,
}

impl PurchaseStatistics {
    pub fn of(data: &Dataset) -> Self {
        let mut statistics = Self { newest_ms: data.newest_ms(), ..Self::default() };
        for user in 0..data.user_count() {
            let baskets = data.baskets_of(user);
            let purchases = baskets.len() as u64;
            let lines: u64 = baskets.map(|(_, products)| products.len() as u64).sum();
            statistics.users += 1;
            statistics.repeat_users += u64::from(purchases > 1);
            statistics.purchases += purchases;
            statistics.lines += lines;
            statistics.pairs = statistics.pairs.saturating_add(lines.saturating_mul(lines));
        }
        statistics
    }

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

/// A data set of purchases in any order.
///
/// # Errors
/// More purchases than a data set can hold.
pub fn dataset<'a>(
    purchases: impl IntoIterator<Item = &'a TrainingPurchase>,
) -> Result<Dataset, DatasetError> {
    let mut builder = DatasetBuilder::new();
    for purchase in purchases {
        add(&mut builder, purchase)?;
    }
    builder.build()
}

/// Adds a purchase to a data set.
///
/// # Errors
/// More purchases than a data set can hold.
pub fn add(builder: &mut DatasetBuilder, purchase: &TrainingPurchase) -> Result<(), DatasetError> {
    let products = purchase.products.iter().map(String::as_str);
    builder.push(&purchase.user, &purchase.purchase, purchase.time_ms, products)
}

/// The products of all segments.
///
/// # Errors
/// [`DatasetError::TooLarge`] if the ids add up to more than 4 GiB.
pub fn merge_catalogues<'a>(
    catalogues: impl IntoIterator<Item = &'a Catalogue>,
) -> Result<Catalogue, DatasetError> {
    Catalogue::new(catalogues.into_iter().flat_map(Catalogue::ids))
        .ok_or(DatasetError::TooLarge("the ids of the products add up to more than 4 GiB"))
}
