//! The purchases table: the truth, one item a purchase.
//!
//! Key `userId` / `purchaseId`, so that writing a purchase twice is one conditional put. The local index `byTime`
//! on `purchasedAt` gives a user's newest first, strongly consistent.

mod change;

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, WriteRequest};
use nextbasket_domain::{
    HISTORY_BASKETS, Line, ProductId, Purchase, PurchaseId, RecommendationId, Timestamp, UserId,
};

use nextbasket_dynamodb::item::{Item, hashed, money_from_value, money_to_value, number, text};
use nextbasket_dynamodb::{TableClient, TableError};

use crate::damaged::{self, Damaged, Readable};
use crate::segment::{self, Segment, SegmentPage, TableSize};

pub use change::{ChangeOutcome, OnChange};

const BY_TIME: &str = "byTime";
const USER_ID: &str = "userId";
const PURCHASE_ID: &str = "purchaseId";
const PURCHASED_AT: &str = "purchasedAt";
const LINES: &str = "lines";
const RECOMMENDATION_ID: &str = "recommendationId";
const PRODUCT_ID: &str = "productId";
const QUANTITY: &str = "quantity";
const UNIT_PRICE: &str = "unitPrice";

const KEYS: [&str; 2] = [USER_ID, PURCHASE_ID];
/// The maximum size of a sort key in bytes.
const MAX_KEY_BYTES: usize = 1_024;

/// The outcome of recording a purchase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// It was not there and is now.
    New,
    /// A purchase of this user and id was there, and stays as it is.
    Before(Box<Purchase>),
    /// The stored item is damaged; it stays as it is.
    Damaged(Damaged),
}

/// Where a page of a user's purchases ended: the raw attribute, since the last item of the page may be damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurchasePosition {
    purchased_at: String,
    purchase_id: String,
}

impl PurchasePosition {
    /// The time and the id, from which [`parse`](Self::parse) makes the position again.
    #[must_use]
    pub fn as_parts(&self) -> (&str, &str) {
        (&self.purchased_at, &self.purchase_id)
    }

    /// Makes a position from what [`as_parts`](Self::as_parts) returned.
    #[must_use]
    pub fn parse(purchased_at: String, purchase_id: String) -> Option<Self> {
        let fits = |text: &str| (1..=MAX_KEY_BYTES).contains(&text.len());
        (fits(&purchased_at) && fits(&purchase_id)).then_some(Self { purchased_at, purchase_id })
    }
}

/// A page of a user's purchases, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserPage {
    pub purchases: Vec<Purchase>,
    /// The damaged items among them.
    pub damaged: Vec<Damaged>,
    /// Where the page ended, if there are more.
    pub end: Option<PurchasePosition>,
}

#[derive(Debug, Clone)]
pub struct PurchasesTable {
    pub(crate) table: TableClient,
}

impl PurchasesTable {
    /// Records the purchase unless one of the same user and id is there: one conditional put.
    ///
    /// After a lost response the caller finds its own purchase under [`Recorded::Before`].
    pub async fn record(&self, purchase: &Purchase) -> Result<Recorded, TableError> {
        let put = self.table.put(to_item(purchase)).condition_expression("attribute_not_exists(userId)");
        let Some(found) = self.table.put_or_find(put).await? else { return Ok(Recorded::New) };
        Ok(match damaged::one(&self.table, &KEYS, found, |item| from_item(&self.table, item)) {
            Ok(before) => Recorded::Before(Box::new(before)),
            Err(damaged) => Recorded::Damaged(damaged),
        })
    }

    /// Removes the purchase; nothing happens if it is not there.
    pub async fn remove(&self, user: &UserId, purchase: &PurchaseId) -> Result<(), TableError> {
        let delete = self.table.delete(key(user, purchase.as_str()));
        self.table.write(delete.send().await).map(drop)
    }

    /// A page of the user's purchases, newest first, strongly consistent, and where it ended if there are more. It
    /// ends before the limit where DynamoDB's own page does, at 1 MB: an answer made of it is then within what a
    /// function may answer.
    pub async fn page(
        &self,
        user: &UserId,
        limit: usize,
        after: Option<&PurchasePosition>,
    ) -> Result<UserPage, TableError> {
        let query = self
            .query_user(user)
            .index_name(BY_TIME)
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(after.map(|position| position_key(user, position)));
        let output = self.table.read(query.send().await)?;
        let Readable { items, damaged } =
            Readable::of(&self.table, &KEYS, output.items, |item| from_item(&self.table, item));
        let end = output.last_evaluated_key.and_then(|mut key| {
            let mut text = |name| key.remove(name)?.as_s().ok().cloned();
            PurchasePosition::parse(text(PURCHASED_AT)?, text(PURCHASE_ID)?)
        });
        Ok(UserPage { purchases: items, damaged, end })
    }

    /// The user's newest purchases, as many as a history holds, strongly consistent. Damaged items do not count
    /// towards that number.
    pub async fn newest(&self, user: &UserId) -> Result<Readable<Purchase>, TableError> {
        let mut newest = Readable::default();
        let mut after = None;
        loop {
            let missing = HISTORY_BASKETS.saturating_sub(newest.items.len());
            let UserPage { purchases, damaged, end } = self.page(user, missing, after.as_ref()).await?;
            newest.extend(Readable { items: purchases, damaged });
            after = end;
            if after.is_none() || newest.items.len() >= HISTORY_BASKETS {
                return Ok(newest);
            }
        }
    }

    fn query_user(&self, user: &UserId) -> QueryFluentBuilder {
        self.table
            .query()
            .key_condition_expression("userId = :user")
            .expression_attribute_values(":user", text(user.as_str()))
            .consistent_read(true)
    }

    /// Removes all purchases of the user and tells how many there were. Safe to call again after it was cut off.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not take it; some may be gone by then.
    pub async fn remove_all(&self, user: &UserId) -> Result<usize, TableError> {
        let mut removed = 0;
        let query = self.query_user(user).projection_expression("userId, purchaseId");
        let mut start = None;
        loop {
            let output = self.table.read(query.clone().set_exclusive_start_key(start).send().await)?;
            let keys = output.items.unwrap_or_default();
            removed += keys.len();
            for keys in keys.chunks(25) {
                self.delete_batch(keys).await?;
            }
            start = output.last_evaluated_key;
            if start.is_none() {
                return Ok(removed);
            }
        }
    }

    /// Removes the user's purchases that are dated at or before `until`, or whose time cannot be read, and tells how many
    /// there were. Safe to call again after it was cut off.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not take it; some may be gone by then.
    pub async fn remove_until(&self, user: &UserId, until: Timestamp) -> Result<usize, TableError> {
        let mut removed = 0;
        let query = self.query_user(user).projection_expression("userId, purchaseId, purchasedAt");
        let mut start = None;
        loop {
            let output = self.table.read(query.clone().set_exclusive_start_key(start).send().await)?;
            let mut keys = output.items.unwrap_or_default();
            keys.retain(|item| purchased_at(item).is_none_or(|at| at <= until));
            keys.iter_mut().for_each(|item| drop(item.remove(PURCHASED_AT)));
            removed += keys.len();
            for keys in keys.chunks(25) {
                self.delete_batch(keys).await?;
            }
            start = output.last_evaluated_key;
            if start.is_none() {
                return Ok(removed);
            }
        }
    }

    async fn delete_batch(&self, keys: &[Item]) -> Result<(), TableError> {
        let request = |key: &Item| {
            let delete = DeleteRequest::builder().set_key(Some(key.clone())).build();
            Ok(WriteRequest::builder().delete_request(self.table.built(delete)?).build())
        };
        self.table.write_batch(keys.iter().map(request).collect::<Result<_, TableError>>()?).await
    }

    /// Reads the whole table with `segments` parallel scans, passes each purchase to `take`, in no order, and returns
    /// the damaged items. Eventually consistent.
    pub async fn scan(&self, segments: usize, take: impl Fn(Purchase)) -> Result<Vec<Damaged>, TableError> {
        damaged::scan(&self.table, segments, &KEYS, |item| from_item(&self.table, item), take).await
    }

    /// A page of a segment's purchases, starting after `after`: all of a user's purchases are adjacent. Eventually
    /// consistent.
    pub async fn purchases_in(
        &self,
        segment: Segment,
        after: Option<&segment::SegmentPosition>,
    ) -> Result<SegmentPage<Purchase>, TableError> {
        segment::page(&self.table, segment, after, None, &KEYS, |item| from_item(&self.table, item)).await
    }

    /// The users of a page of a segment's purchases, starting after `after`: one entry for each purchase, all of a
    /// user's adjacent. A user whose purchases are in several pages is in each of them. Eventually consistent.
    pub async fn users_in(
        &self,
        segment: Segment,
        after: Option<&segment::SegmentPosition>,
    ) -> Result<SegmentPage<UserId>, TableError> {
        let attributes = Some("userId, purchaseId");
        let read = |item| self.table.reader("purchase", item).parsed(USER_ID, UserId::parse);
        segment::page(&self.table, segment, after, attributes, &KEYS, read).await
    }

    /// How large the table is.
    pub async fn size(&self) -> Result<TableSize, TableError> {
        segment::size(&self.table).await
    }
}

/// The user and the time of a purchase's item, whatever else it holds. The time is `None` if it cannot be read.
#[must_use]
pub fn user_and_time(item: &Item) -> Option<(&str, Option<Timestamp>)> {
    Some((item.get(USER_ID)?.as_s().ok()?, purchased_at(item)))
}

fn purchased_at(item: &Item) -> Option<Timestamp> {
    Timestamp::parse(item.get(PURCHASED_AT)?.as_s().ok()?).ok()
}

/// The user that a stream record of this table is about, from its keys.
#[must_use]
pub fn user_of_keys(keys: &serde_dynamo::Item) -> Option<UserId> {
    match keys.get(USER_ID)? {
        serde_dynamo::AttributeValue::S(user) => UserId::parse(user).ok(),
        _ => None,
    }
}

/// The key of a purchase.
pub(crate) fn key(user: &UserId, purchase_id: &str) -> Item {
    HashMap::from([(USER_ID.to_owned(), text(user.as_str())), (PURCHASE_ID.to_owned(), text(purchase_id))])
}

fn position_key(user: &UserId, position: &PurchasePosition) -> Item {
    let mut key = key(user, &position.purchase_id);
    key.insert(PURCHASED_AT.to_owned(), text(&position.purchased_at));
    key
}

fn to_item(purchase: &Purchase) -> Item {
    let lines = purchase.lines.iter().map(|line| {
        let mut map = HashMap::from([
            (PRODUCT_ID.to_owned(), text(line.product_id.as_str())),
            (QUANTITY.to_owned(), number(line.quantity)),
        ]);
        if let Some(price) = &line.unit_price {
            map.insert(UNIT_PRICE.to_owned(), money_to_value(price));
        }
        AttributeValue::M(map)
    });
    let mut item = HashMap::from([
        (USER_ID.to_owned(), text(purchase.user_id.as_str())),
        (PURCHASE_ID.to_owned(), text(purchase.purchase_id.as_str())),
        (PURCHASED_AT.to_owned(), text(purchase.purchased_at.to_string())),
        (LINES.to_owned(), AttributeValue::L(lines.collect())),
    ]);
    if let Some(id) = &purchase.recommendation_id {
        item.insert(RECOMMENDATION_ID.to_owned(), text(id.as_str()));
    }
    item
}

fn from_item(table: &TableClient, item: Item) -> Result<Purchase, TableError> {
    let mut reader = table.reader("purchase", item);
    let user_id = reader.parsed(USER_ID, UserId::parse)?;
    let purchase_id = reader.parsed(PURCHASE_ID, PurchaseId::parse)?;
    reader.key = format!("{}/{}", hashed(user_id.as_str()), hashed(purchase_id.as_str()));
    let purchased_at = reader.parsed(PURCHASED_AT, Timestamp::parse)?;
    let recommendation_id =
        reader.optional(RECOMMENDATION_ID, |r, a| r.parsed(a, RecommendationId::parse))?;
    let mut lines = Vec::new();
    for value in reader.list(LINES)? {
        let AttributeValue::M(item) = value else {
            return Err(reader.corrupt(LINES, "holds a line that is not a map"));
        };
        let mut line = table.reader(&reader.key, item);
        lines.push(Line {
            product_id: line.parsed(PRODUCT_ID, ProductId::parse)?,
            quantity: line.number(QUANTITY)?,
            unit_price: line.optional(UNIT_PRICE, money_from_value)?,
        });
    }
    Ok(Purchase { purchase_id, user_id, purchased_at, lines, recommendation_id })
}
