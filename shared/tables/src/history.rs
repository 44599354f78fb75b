//! The history table: each user's newest baskets, folded from the purchases.
//!
//! A history is never added to. It is computed from the newest purchases and put if the stored item is still what was
//! read before them, so that a purchase that is delivered twice, late or out of order leads to the same item, byte
//! for byte: the item holds nothing that does not follow from the purchases. Its `version` is a digest of the
//! baskets. [`refresh`](crate::refresh) explains when a refresh may end.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Put, ReturnConsumedCapacity, TransactWriteItem,
};
use nextbasket_domain::history::fold;
use nextbasket_domain::{Basket, PurchaseId, UserId, digest};

use crate::damaged::{Damaged, Readable};
use crate::history_codec::{pack, unpack};
use crate::purchases::{self, PurchasesTable};
use crate::refresh::{Packed, Refresh, Step};
use crate::segment::{self, Page, Segment, Size};
use nextbasket_dynamodb::item::{Item, Reader, bytes, hashed, text};
use nextbasket_dynamodb::request::{self, if_condition_held};
use nextbasket_dynamodb::{TableError, TransactionError, capacity};

const USER_ID: &str = "userId";
const VERSION: &str = "version";
const BASKETS: &str = "baskets";

/// How much of the SHA-256 of the packed baskets is their version.
const VERSION_BYTES: usize = 16;

/// The maximum number of writes of one refresh, if purchases or other consumers change the history meanwhile.
const WRITES: usize = 20;

/// The outcome of a refresh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refreshed {
    /// Whether the history had to be written.
    pub changed: bool,
    /// Damaged items among the user's newest purchases: the history was folded without them.
    pub damaged: Vec<Damaged>,
}

#[derive(Debug, Clone)]
pub struct HistoryTable {
    client: Client,
    name: String,
}

/// What the stored item must be for a write to succeed.
#[derive(Debug, Clone, PartialEq)]
enum Guard {
    Absent,
    /// It must have this version, of whatever type that is in a damaged item.
    Version(AttributeValue),
    /// It must exist, without a version.
    Unversioned,
}

impl Guard {
    /// The guard for what was written.
    fn of(packed: &Packed) -> Self {
        packed.as_deref().map_or(Self::Absent, |baskets| Self::Version(version(baskets)))
    }

    fn condition(&self) -> (&'static str, Option<Item>) {
        match self {
            Self::Absent => ("attribute_not_exists(userId)", None),
            Self::Unversioned => ("attribute_exists(userId) AND attribute_not_exists(version)", None),
            Self::Version(version) => {
                ("version = :read", Some(Item::from([(":read".to_owned(), version.clone())])))
            }
        }
    }
}

/// The version of packed baskets: their digest.
fn version(baskets: &[u8]) -> AttributeValue {
    text(digest(baskets, VERSION_BYTES))
}

fn to_item(user: &UserId, baskets: Vec<u8>) -> Item {
    Item::from([
        (USER_ID.to_owned(), text(user.as_str())),
        (VERSION.to_owned(), version(&baskets)),
        (BASKETS.to_owned(), bytes(baskets)),
    ])
}

impl HistoryTable {
    pub(crate) fn new(client: Client, name: String) -> Self {
        Self { client, name }
    }

    /// The user's baskets, newest first; none for a user without a history. Eventually consistent.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer or the item is not a history.
    pub async fn baskets(&self, user: &UserId) -> Result<Vec<Basket>, TableError> {
        let Some(item) = self.get(user, false).await? else { return Ok(Vec::new()) };
        let mut reader = Reader { table: &self.name, key: hashed(user.as_str()), item };
        let baskets = reader.bytes(BASKETS)?;
        unpack(&baskets)
            .ok_or_else(|| reader.corrupt(BASKETS, "is not a packed history of this version of the program"))
    }

    /// Updates the user's history, even a damaged one, from the purchases that were made before this call. A user
    /// without purchases has no history. It ends even if the user keeps buying: see [`refresh`](crate::refresh).
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer, or other writers kept changing the history.
    pub async fn refresh(&self, user: &UserId, purchases: &PurchasesTable) -> Result<Refreshed, TableError> {
        let mut refresh = Refresh::new(WRITES);
        let (mut guard, mut damaged, mut newest_read) = (Guard::Absent, Vec::new(), None);
        loop {
            match refresh.next() {
                Step::ReadHistory => {
                    let stored = self.get(user, true).await?;
                    guard = match stored.as_ref().map(|item| item.get(VERSION)) {
                        None => Guard::Absent,
                        Some(None) => Guard::Unversioned,
                        Some(Some(version)) => Guard::Version(version.clone()),
                    };
                    let packed = stored.map(|mut item| match item.remove(BASKETS) {
                        Some(AttributeValue::B(baskets)) => Some(baskets.into_inner()),
                        _ => None,
                    });
                    // An item without baskets, or whose version does not match its baskets, is damaged.
                    let sound = match &packed {
                        None => true,
                        Some(baskets) => baskets.is_some() && guard == Guard::of(baskets),
                    };
                    refresh.history(sound.then(|| packed.flatten()));
                }
                Step::ReadPurchases => {
                    let newest = purchases.newest(user).await?;
                    damaged = newest.damaged;
                    newest_read = newest.items.first().map(|purchase| purchase.purchase_id.clone());
                    let baskets = fold(newest.items);
                    refresh.purchases((!baskets.is_empty()).then(|| pack(&baskets)));
                }
                Step::Write(packed) => {
                    let after = Guard::of(&packed);
                    let made = match (packed, &newest_read) {
                        (Some(baskets), Some(newest)) if guard == Guard::Absent => {
                            self.put_first(user, baskets, newest, purchases).await?
                        }
                        (Some(baskets), _) => self.put(user, baskets, &guard).await?,
                        (None, _) => self.remove(user, &guard).await?,
                    };
                    if made {
                        guard = after;
                    }
                    refresh.written(made);
                }
                Step::Done { changed } => return Ok(Refreshed { changed, damaged }),
                Step::GiveUp => {
                    return Err(TableError::Contended {
                        table: self.name.clone(),
                        key: hashed(user.as_str()),
                        attempts: WRITES,
                    });
                }
            }
        }
    }

    /// The users with a history in a page of a segment, from behind `after` on. Eventually consistent.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer.
    pub async fn users_in(
        &self,
        segment: Segment,
        after: Option<&segment::Place>,
    ) -> Result<Page<UserId>, TableError> {
        let (items, end) = segment::page(&self.client, &self.name, segment, after, Some(USER_ID)).await?;
        let readable = Readable::of(&self.name, &[USER_ID], items, |item| {
            Reader { table: &self.name, key: "history".to_owned(), item }.parsed(USER_ID, UserId::parse)
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

    async fn get(&self, user: &UserId, consistent: bool) -> Result<Option<Item>, TableError> {
        let key = Item::from([(USER_ID.to_owned(), text(user.as_str()))]);
        request::get_item(&self.client, &self.name, key, consistent).await
    }

    /// Puts the user's first history if there still is none and the newest purchase that it was folded from still
    /// exists; returns whether it did. Without the second condition, a put that arrives after the user was erased
    /// would bring the history back: nothing distinguishes a history that was erased from one that never was.
    async fn put_first(
        &self,
        user: &UserId,
        baskets: Vec<u8>,
        newest: &PurchaseId,
        purchases: &PurchasesTable,
    ) -> Result<bool, TableError> {
        let refused = |error| TableError::Refused { table: self.name.clone(), reason: format!("{error}") };
        let exists = ConditionCheck::builder()
            .table_name(purchases.name())
            .set_key(Some(purchases::key(user, newest.as_str())))
            .condition_expression("attribute_exists(userId)")
            .build()
            .map_err(refused)?;
        let put = Put::builder()
            .table_name(&self.name)
            .set_item(Some(to_item(user, baskets)))
            .condition_expression(Guard::Absent.condition().0)
            .build()
            .map_err(refused)?;
        let sent = self
            .client
            .transact_write_items()
            .transact_items(TransactWriteItem::builder().condition_check(exists).build())
            .transact_items(TransactWriteItem::builder().put(put).build())
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        match sent.map_err(|error| TransactionError::from_sdk(&self.name, error)) {
            Ok(output) => {
                capacity::write(output.consumed_capacity());
                Ok(true)
            }
            // Somebody else is writing one of the two: what was read is out of date.
            Err(TransactionError::Conflict(_)) => Ok(false),
            Err(error) if error.failed_conditions_alone() => Ok(false),
            Err(error) => Err(error.into_table(&self.name)),
        }
    }

    /// Puts the baskets if what is stored is still what was read; tells whether it did.
    async fn put(&self, user: &UserId, baskets: Vec<u8>, guard: &Guard) -> Result<bool, TableError> {
        let (condition, values) = guard.condition();
        let put = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(to_item(user, baskets)))
            .condition_expression(condition)
            .set_expression_attribute_values(values)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let written = if_condition_held(&self.name, put.send().await)?;
        Ok(written.map(|output| capacity::write(&output.consumed_capacity)).is_some())
    }

    /// Removes the history if the stored item is still what was read; returns whether it did.
    async fn remove(&self, user: &UserId, guard: &Guard) -> Result<bool, TableError> {
        let (condition, values) = guard.condition();
        let delete = self
            .client
            .delete_item()
            .table_name(&self.name)
            .key(USER_ID, text(user.as_str()))
            .condition_expression(condition)
            .set_expression_attribute_values(values)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let removed = if_condition_held(&self.name, delete.send().await)?;
        Ok(removed.map(|output| capacity::write(&output.consumed_capacity)).is_some())
    }
}
