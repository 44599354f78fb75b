//! The purchases table: the truth, one item a purchase.
//!
//! Key `userId` / `purchaseId`, so that writing a purchase twice is one conditional put. The local index `byTime`
//! on `purchasedAt` gives a user's newest first, strongly consistent.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::types::{
    AttributeValue, DeleteRequest, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure, WriteRequest,
};
use nextbasket_domain::{
    HISTORY_BASKETS, Line, ProductId, Purchase, PurchaseId, RecommendationId, Timestamp, UserId,
};

use nextbasket_dynamodb::bulk::{scan, write_batch};
use nextbasket_dynamodb::item::{Item, Reader, hashed, money_from_value, money_to_value, number, text};
use nextbasket_dynamodb::{TableError, capacity};

use crate::damaged::{self, Damaged, Readable};
use crate::segment::{self, Page, Segment, Size};

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
pub struct Place {
    purchased_at: String,
    purchase_id: String,
}

impl Place {
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
    /// The purchases of the page.
    pub purchases: Vec<Purchase>,
    /// The damaged items among them.
    pub damaged: Vec<Damaged>,
    /// Where the page ended, if there are more.
    pub end: Option<Place>,
}

#[derive(Debug, Clone)]
pub struct PurchasesTable {
    client: Client,
    name: String,
}

impl PurchasesTable {
    pub(crate) fn new(client: Client, name: String) -> Self {
        Self { client, name }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Records the purchase unless one of the same user and id is there: one conditional put.
    ///
    /// After a lost response the caller finds its own purchase under [`Recorded::Before`].
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not take it.
    pub async fn record(&self, purchase: &Purchase) -> Result<Recorded, TableError> {
        let result = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(to_item(purchase)))
            .condition_expression("attribute_not_exists(userId)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        match result {
            Ok(output) => {
                capacity::write(&output.consumed_capacity);
                Ok(Recorded::New)
            }
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                    let item = failed.item().cloned().unwrap_or_default();
                    Ok(match damaged::one(&self.name, &KEYS, item, |item| from_item(&self.name, item)) {
                        Ok(before) => Recorded::Before(Box::new(before)),
                        Err(damaged) => Recorded::Damaged(damaged),
                    })
                }
                _ => Err(TableError::from_sdk(&self.name, error)),
            },
        }
    }

    /// Removes the purchase; nothing happens if it is not there.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not take it.
    pub async fn remove(&self, user: &UserId, purchase: &PurchaseId) -> Result<(), TableError> {
        let output = self
            .client
            .delete_item()
            .table_name(&self.name)
            .set_key(Some(key(user, purchase.as_str())))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| TableError::from_sdk(&self.name, error))?;
        capacity::write(&output.consumed_capacity);
        Ok(())
    }

    /// A page of the user's purchases, newest first, strongly consistent, and where it ended if there are more. It
    /// ends before the limit where DynamoDB's own page does, at 1 MB: an answer made of it is then within what a
    /// function may answer.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer.
    pub async fn page(
        &self,
        user: &UserId,
        limit: usize,
        after: Option<&Place>,
    ) -> Result<UserPage, TableError> {
        let start = after.map(|place| place_key(user, place));
        let output = self.query_newest(user, limit, start).await?;
        let Readable { items, damaged } = self.readable(output.items.unwrap_or_default());
        let end = output.last_evaluated_key.and_then(|mut key| {
            let mut text = |name| key.remove(name)?.as_s().ok().cloned();
            Place::parse(text(PURCHASED_AT)?, text(PURCHASE_ID)?)
        });
        Ok(UserPage { purchases: items, damaged, end })
    }

    /// The user's newest purchases, as many as a history holds, strongly consistent. Damaged items do not count
    /// towards that number.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer.
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

    fn readable(&self, items: Vec<Item>) -> Readable<Purchase> {
        Readable::of(&self.name, &KEYS, items, |item| from_item(&self.name, item))
    }

    async fn query_newest(
        &self,
        user: &UserId,
        limit: usize,
        start: Option<Item>,
    ) -> Result<QueryOutput, TableError> {
        let output = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(BY_TIME)
            .key_condition_expression("userId = :user")
            .expression_attribute_values(":user", text(user.as_str()))
            .scan_index_forward(false)
            .consistent_read(true)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(start)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| TableError::from_sdk(&self.name, error))?;
        capacity::read(&output.consumed_capacity);
        Ok(output)
    }

    /// Removes all purchases of the user and tells how many there were. Safe to call again after it was cut off.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not take it; some may be gone by then.
    pub async fn remove_all(&self, user: &UserId) -> Result<usize, TableError> {
        let mut removed = 0;
        let mut start = None;
        loop {
            let output = self
                .client
                .query()
                .table_name(&self.name)
                .key_condition_expression("userId = :user")
                .expression_attribute_values(":user", text(user.as_str()))
                .projection_expression("userId, purchaseId")
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(|error| TableError::from_sdk(&self.name, error))?;
            capacity::read(&output.consumed_capacity);
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

    async fn delete_batch(&self, keys: &[Item]) -> Result<(), TableError> {
        let mut requests = Vec::with_capacity(keys.len());
        for key in keys {
            let delete = DeleteRequest::builder().set_key(Some(key.clone())).build().map_err(|error| {
                TableError::Refused { table: self.name.clone(), reason: error.to_string() }
            })?;
            requests.push(WriteRequest::builder().delete_request(delete).build());
        }
        write_batch(&self.client, &self.name, requests).await
    }

    /// Reads the whole table with `segments` parallel scans, passes each purchase to `take`, in no order, and returns
    /// the damaged items. Eventually consistent.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer.
    pub async fn scan(&self, segments: usize, take: impl Fn(Purchase)) -> Result<Vec<Damaged>, TableError> {
        let all = Mutex::new(Vec::new());
        scan(&self.client, &self.name, segments, |item| {
            match damaged::one(&self.name, &KEYS, item, |item| from_item(&self.name, item)) {
                Ok(purchase) => take(purchase),
                Err(damaged) => all.lock().unwrap_or_else(PoisonError::into_inner).push(damaged),
            }
        })
        .await?;
        Ok(all.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// A page of a segment's purchases, starting after `after`: all of a user's purchases are adjacent. Eventually
    /// consistent.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer.
    pub async fn purchases_in(
        &self,
        segment: Segment,
        after: Option<&segment::Place>,
    ) -> Result<Page<Purchase>, TableError> {
        let (items, end) = segment::page(&self.client, &self.name, segment, after, None).await?;
        Ok(Page::new(self.readable(items), end))
    }

    /// The users of a page of a segment's purchases, starting after `after`: one entry for each purchase, all of a
    /// user's adjacent. A user whose purchases are in several pages is in each of them. Eventually consistent.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer.
    pub async fn users_in(
        &self,
        segment: Segment,
        after: Option<&segment::Place>,
    ) -> Result<Page<UserId>, TableError> {
        let attributes = Some("userId, purchaseId");
        let (items, end) = segment::page(&self.client, &self.name, segment, after, attributes).await?;
        let readable = Readable::of(&self.name, &KEYS, items, |item| {
            Reader { table: &self.name, key: "purchase".to_owned(), item }.parsed(USER_ID, UserId::parse)
        });
        Ok(Page::new(readable, end))
    }

    /// How large the table is.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer.
    pub async fn size(&self) -> Result<Size, TableError> {
        segment::size(&self.client, &self.name).await
    }
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

fn place_key(user: &UserId, place: &Place) -> Item {
    let mut key = key(user, &place.purchase_id);
    key.insert(PURCHASED_AT.to_owned(), text(&place.purchased_at));
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

fn from_item(table: &str, item: Item) -> Result<Purchase, TableError> {
    let mut reader = Reader { table, key: format!("{:?}", item.get(PURCHASE_ID)), item };
    let user_id = reader.parsed(USER_ID, UserId::parse)?;
    let purchase_id = reader.parsed(PURCHASE_ID, PurchaseId::parse)?;
    reader.key = format!("{}/{purchase_id}", hashed(user_id.as_str()));
    let purchased_at = reader.parsed(PURCHASED_AT, Timestamp::parse)?;
    let recommendation_id =
        reader.optional(RECOMMENDATION_ID, |r, a| r.parsed(a, RecommendationId::parse))?;
    let mut lines = Vec::new();
    for value in reader.list(LINES)? {
        let AttributeValue::M(item) = value else {
            return Err(reader.corrupt(LINES, "holds a line that is not a map"));
        };
        let mut line = Reader { table, key: reader.key.clone(), item };
        lines.push(Line {
            product_id: line.parsed(PRODUCT_ID, ProductId::parse)?,
            quantity: line.number(QUANTITY)?,
            unit_price: line.optional(UNIT_PRICE, money_from_value)?,
        });
    }
    Ok(Purchase { purchase_id, user_id, purchased_at, lines, recommendation_id })
}
