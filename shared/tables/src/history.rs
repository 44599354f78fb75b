//! The history table: each user's newest baskets, folded from the purchases.
//!
//! A history is never added to. It is computed from the newest purchases and put if the stored item is still what was
//! read before them, so that a purchase that is delivered twice, late or out of order leads to the same baskets, byte
//! for byte. The item's `version` is a digest of the baskets and the number of the write, so that no version comes back:
//! a put whose answer was lost, and which was sent again, may arrive at any time later, when the baskets are once more
//! what it was conditional on. [`refresh`](crate::refresh) explains when a refresh may end.

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Put, TransactWriteItem};
use nextbasket_domain::history::{HISTORY_BASKETS, fold};
use nextbasket_domain::{Basket, Purchase, PurchaseId, UserId, digest};

use crate::damaged::{Damaged, Readable};
use crate::history_codec::{is_without_older, pack, unpack};
use crate::purchases::{self, PurchasesTable};
use crate::refresh::{Refresh, RefreshStep};
use crate::segment::{self, Segment, SegmentPage, TableSize};
use nextbasket_dynamodb::item::{Item, ItemReader, bytes, hashed, text};
use nextbasket_dynamodb::{TableClient, TableError};

const USER_ID: &str = "userId";
const VERSION: &str = "version";
const BASKETS: &str = "baskets";

/// How much of the SHA-256 of the packed baskets is their version.
const VERSION_BYTES: usize = 16;

/// Stands in a version between the digest and the number of the write.
const WRITE_SIGN: char = '.';

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

/// A user's history as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredHistory {
    /// Newest first.
    pub baskets: Vec<Basket>,
    /// How many bytes they took.
    pub bytes: usize,
    /// Whether the user surely has no older purchases.
    pub is_complete: bool,
}

#[derive(Debug, Clone)]
pub struct HistoryTable {
    pub(crate) table: TableClient,
}

/// What the stored item must be for a write to succeed.
#[derive(Debug, Clone, PartialEq)]
enum HistoryGuard {
    Absent,
    /// It must have this version, of whatever type that is in a damaged item.
    Version(AttributeValue),
    /// It must exist, without a version.
    Unversioned,
}

impl HistoryGuard {
    /// Whether the stored item is a history with these baskets.
    fn fits(&self, baskets: &[u8]) -> bool {
        let Self::Version(AttributeValue::S(stored)) = self else { return false };
        // Items of earlier versions of the program have the digest alone.
        let (digest, _) = stored.split_once(WRITE_SIGN).unwrap_or((stored, ""));
        digest == digest_of(baskets)
    }

    /// The version of these baskets, if they are written over what is stored.
    fn next_version(&self, baskets: &[u8]) -> AttributeValue {
        let stored = match self {
            Self::Version(AttributeValue::S(stored)) => stored.split_once(WRITE_SIGN),
            _ => None,
        };
        let writes = stored.and_then(|(_, writes)| writes.parse::<u64>().ok()).unwrap_or(0);
        text(format!("{}{WRITE_SIGN}{}", digest_of(baskets), writes.saturating_add(1)))
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

fn digest_of(baskets: &[u8]) -> String {
    digest(baskets, VERSION_BYTES)
}

/// The user whose history an item is, whatever else it holds.
pub(crate) fn user_in(item: &Item) -> Option<&str> {
    Some(item.get(USER_ID)?.as_s().ok()?)
}

fn from_item(reader: &mut ItemReader<'_>) -> Result<StoredHistory, TableError> {
    let packed = reader.bytes(BASKETS)?;
    let baskets = unpack(&packed)
        .ok_or_else(|| reader.corrupt(BASKETS, "is not a packed history of this version of the program"))?;
    let is_complete = baskets.len() < HISTORY_BASKETS && !is_without_older(&packed);
    Ok(StoredHistory { baskets, bytes: packed.len(), is_complete })
}

fn to_item(user: &UserId, baskets: Vec<u8>, guard: &HistoryGuard) -> Item {
    Item::from([
        (USER_ID.to_owned(), text(user.as_str())),
        (VERSION.to_owned(), guard.next_version(&baskets)),
        (BASKETS.to_owned(), bytes(baskets)),
    ])
}

/// A user's history beside the purchases that it is made of.
#[derive(Debug)]
pub struct InspectedHistory {
    /// The newest purchases, as many as a history holds.
    pub purchases: Readable<Purchase>,
    /// The history and its version; `None` if there is none, or it is damaged.
    pub stored: Option<(StoredHistory, String)>,
    /// Whether the history is what follows from the purchases. It is not for the moment that a stream record takes.
    pub matches: bool,
}

impl HistoryTable {
    /// The user's baskets, newest first; none for a user without a history. Eventually consistent.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer or the item is not a history.
    pub async fn baskets(&self, user: &UserId) -> Result<Vec<Basket>, TableError> {
        Ok(self.stored(user).await?.baskets)
    }

    /// As [`HistoryTable::baskets`], with what else is known of them.
    pub async fn stored(&self, user: &UserId) -> Result<StoredHistory, TableError> {
        let Some(item) = self.table.get(key(user), false).await? else {
            return Ok(StoredHistory { baskets: Vec::new(), bytes: 0, is_complete: true });
        };
        from_item(&mut self.table.reader(hashed(user.as_str()), item))
    }

    /// The history and the purchases that it has to follow from, both strongly consistent.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer.
    pub async fn inspect(
        &self,
        user: &UserId,
        purchases: &PurchasesTable,
    ) -> Result<InspectedHistory, TableError> {
        let item = self.table.get(key(user), true).await?;
        let purchases = purchases.newest(user).await?;
        let baskets = fold(purchases.items.clone());
        let matches = match item.as_ref().map(|item| item.get(VERSION)) {
            None => baskets.is_empty(),
            Some(None) => false,
            Some(Some(version)) => HistoryGuard::Version(version.clone()).fits(&pack(&baskets)),
        };
        let readable = |item| {
            let mut reader = self.table.reader(hashed(user.as_str()), item);
            let version = reader.text(VERSION).ok()?;
            Some((from_item(&mut reader).ok()?, version))
        };
        let (exists, stored) = (item.is_some(), item.and_then(readable));
        Ok(InspectedHistory { purchases, matches: matches && exists == stored.is_some(), stored })
    }

    /// The histories of some users, one call of `limit` items: which ones is up to DynamoDB. Eventually consistent.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer.
    pub async fn some(&self, limit: u16) -> Result<Readable<(UserId, StoredHistory)>, TableError> {
        let output = self.table.read(self.table.scan().limit(limit.into()).send().await)?;
        Ok(Readable::of(&self.table, &[USER_ID], output.items, |item| {
            let mut reader = self.table.reader("history", item);
            Ok((reader.parsed(USER_ID, UserId::parse)?, from_item(&mut reader)?))
        }))
    }

    /// Updates the user's history, even a damaged one, from the purchases that were made before this call. A user
    /// without purchases has no history. It ends even if the user keeps buying: see [`refresh`](crate::refresh).
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer, or other writers kept changing the history.
    pub async fn refresh(&self, user: &UserId, purchases: &PurchasesTable) -> Result<Refreshed, TableError> {
        let mut refresh = Refresh::new(WRITES);
        let (mut guard, mut damaged, mut newest_read) = (HistoryGuard::Absent, Vec::new(), None);
        loop {
            match refresh.next() {
                RefreshStep::ReadHistory => {
                    let stored = self.table.get(key(user), true).await?;
                    guard = match stored.as_ref().map(|item| item.get(VERSION)) {
                        None => HistoryGuard::Absent,
                        Some(None) => HistoryGuard::Unversioned,
                        Some(Some(version)) => HistoryGuard::Version(version.clone()),
                    };
                    let packed = stored.map(|mut item| match item.remove(BASKETS) {
                        Some(AttributeValue::B(baskets)) => Some(baskets.into_inner()),
                        _ => None,
                    });
                    // An item without baskets, or whose version does not match its baskets, is damaged.
                    let sound = match &packed {
                        None => true,
                        Some(baskets) => baskets.as_deref().is_some_and(|baskets| guard.fits(baskets)),
                    };
                    refresh.history(sound.then(|| packed.flatten()));
                }
                RefreshStep::ReadPurchases => {
                    let newest = purchases.newest(user).await?;
                    damaged = newest.damaged;
                    newest_read = newest.items.first().map(|purchase| purchase.purchase_id.clone());
                    let baskets = fold(newest.items);
                    refresh.purchases((!baskets.is_empty()).then(|| pack(&baskets)));
                }
                RefreshStep::Write(packed) => {
                    let after = match &packed {
                        Some(baskets) => HistoryGuard::Version(guard.next_version(baskets)),
                        None => HistoryGuard::Absent,
                    };
                    let made = match (packed, &newest_read) {
                        (Some(baskets), Some(newest)) if guard == HistoryGuard::Absent => {
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
                RefreshStep::Done { changed } => return Ok(Refreshed { changed, damaged }),
                RefreshStep::GiveUp => {
                    return Err(self.table.contended(hashed(user.as_str()), WRITES));
                }
            }
        }
    }

    /// The users with a history in a page of a segment, from behind `after` on. Eventually consistent.
    pub async fn users_in(
        &self,
        segment: Segment,
        after: Option<&segment::SegmentPosition>,
    ) -> Result<SegmentPage<UserId>, TableError> {
        let read = |item| self.table.reader("history", item).parsed(USER_ID, UserId::parse);
        segment::page(&self.table, segment, after, Some(USER_ID), &[USER_ID], read).await
    }

    /// How large the table is.
    pub async fn size(&self) -> Result<TableSize, TableError> {
        segment::size(&self.table).await
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
        let exists = ConditionCheck::builder()
            .table_name(purchases.table.name())
            .set_key(Some(purchases::key(user, newest.as_str())))
            .condition_expression("attribute_exists(userId)")
            .build();
        let put = Put::builder()
            .table_name(self.table.name())
            .set_item(Some(to_item(user, baskets, &HistoryGuard::Absent)))
            .condition_expression(HistoryGuard::Absent.condition().0)
            .build();
        let writes = vec![
            TransactWriteItem::builder().condition_check(self.table.built(exists)?).build(),
            TransactWriteItem::builder().put(self.table.built(put)?).build(),
        ];
        self.table.transact_if(writes).await
    }

    /// Puts the baskets if what is stored is still what was read; tells whether it did.
    async fn put(&self, user: &UserId, baskets: Vec<u8>, guard: &HistoryGuard) -> Result<bool, TableError> {
        let (condition, values) = guard.condition();
        let put = self.table.put(to_item(user, baskets, guard)).condition_expression(condition);
        let put = put.set_expression_attribute_values(values);
        Ok(self.table.write_if(put.send().await)?.is_some())
    }

    /// Removes the history if the stored item is still what was read; returns whether it did.
    async fn remove(&self, user: &UserId, guard: &HistoryGuard) -> Result<bool, TableError> {
        let (condition, values) = guard.condition();
        let delete = self.table.delete(key(user)).condition_expression(condition);
        let delete = delete.set_expression_attribute_values(values);
        Ok(self.table.write_if(delete.send().await)?.is_some())
    }
}

fn key(user: &UserId) -> Item {
    Item::from([(USER_ID.to_owned(), text(user.as_str()))])
}
