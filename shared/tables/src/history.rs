//! The history table: each user's newest baskets, folded from the purchases.
//!
//! A history is never added to. It is made anew from the newest purchases and put if what is stored is still what
//! was read before them, so that a purchase told twice, late or out of order leads to the same item, byte for
//! byte: the item holds nothing that does not follow from the purchases. Its `version` is a digest of the
//! baskets.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use nextbasket_domain::history::fold;
use nextbasket_domain::{Basket, UserId, digest};

use crate::history_codec::{pack, unpack};
use crate::purchases::PurchasesTable;
use crate::segment::{self, Page, Segment, Size};
use nextbasket_dynamodb::item::{Item, Reader, bytes, hashed, text};
use nextbasket_dynamodb::{TableError, capacity};

const USER_ID: &str = "userId";
const VERSION: &str = "version";
const BASKETS: &str = "baskets";

/// How much of the SHA-256 of the packed baskets is their version.
const VERSION_BYTES: usize = 16;

/// How often a history is folded again because purchases or other consumers changed it meanwhile.
const ATTEMPTS: usize = 20;

/// The history table.
#[derive(Debug, Clone)]
pub struct HistoryTable {
    client: Client,
    name: String,
}

struct Stored {
    version: String,
    baskets: Vec<u8>,
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
        let Some(stored) = self.get(user, false).await? else { return Ok(Vec::new()) };
        unpack(&stored.baskets).ok_or_else(|| TableError::Corrupt {
            table: self.name.clone(),
            key: hashed(user.as_str()),
            attribute: BASKETS,
            problem: "is not a packed history of this version of the program".to_owned(),
        })
    }

    /// Brings the user's history in line with the purchases, and tells whether it had to be changed.
    ///
    /// It ends when a history read before the purchases says what they say. The last of several racing writers
    /// therefore finds what it wrote to be true, or writes again: no order of reads and writes leaves an old fold
    /// behind, not even one in which the history meanwhile became another and then the same again.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer, a purchase cannot be read, or others kept changing the history.
    pub async fn refresh(&self, user: &UserId, purchases: &PurchasesTable) -> Result<bool, TableError> {
        let mut changed = false;
        for _ in 0..ATTEMPTS {
            let stored = self.get(user, true).await?;
            let baskets = fold(purchases.newest(user).await?);
            let folded = if baskets.is_empty() { None } else { Some(pack(&baskets)) };
            if folded.as_deref() == stored.as_ref().map(|stored| stored.baskets.as_slice()) {
                return Ok(changed);
            }
            changed |= match folded {
                Some(baskets) => self.put(user, baskets, stored).await?,
                None => self.remove_if(user, stored).await?,
            };
        }
        Err(TableError::Contended {
            table: self.name.clone(),
            key: hashed(user.as_str()),
            attempts: ATTEMPTS,
        })
    }

    /// Removes the user's history, whatever it says; nothing happens if there is none.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not take it.
    pub async fn remove(&self, user: &UserId) -> Result<(), TableError> {
        let output = self
            .client
            .delete_item()
            .table_name(&self.name)
            .key(USER_ID, text(user.as_str()))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| TableError::from_sdk(&self.name, error))?;
        capacity::write(&output.consumed_capacity);
        Ok(())
    }

    /// The users with a history in a page of a segment, from behind `after` on. Eventually consistent.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer or an item is not a history.
    pub async fn users_in(
        &self,
        segment: Segment,
        after: Option<&segment::Place>,
    ) -> Result<Page<UserId>, TableError> {
        let page = segment::page(&self.client, &self.name, segment, after, Some(USER_ID)).await?;
        page.map(|item| {
            Reader { table: &self.name, key: "history".to_owned(), item }.parsed(USER_ID, UserId::parse)
        })
    }

    /// How large the table is.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer.
    pub async fn size(&self) -> Result<Size, TableError> {
        segment::size(&self.client, &self.name).await
    }

    async fn get(&self, user: &UserId, consistent: bool) -> Result<Option<Stored>, TableError> {
        let output = self
            .client
            .get_item()
            .table_name(&self.name)
            .key(USER_ID, text(user.as_str()))
            .consistent_read(consistent)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| TableError::from_sdk(&self.name, error))?;
        capacity::read(&output.consumed_capacity);
        let Some(item) = output.item else { return Ok(None) };
        let mut reader = Reader { table: &self.name, key: hashed(user.as_str()), item };
        Ok(Some(Stored { version: reader.text(VERSION)?, baskets: reader.bytes(BASKETS)? }))
    }

    /// Puts the baskets if what is stored is still what was read; tells whether it did.
    async fn put(&self, user: &UserId, baskets: Vec<u8>, read: Option<Stored>) -> Result<bool, TableError> {
        let item = Item::from([
            (USER_ID.to_owned(), text(user.as_str())),
            (VERSION.to_owned(), text(digest(&baskets, VERSION_BYTES))),
            (BASKETS.to_owned(), bytes(baskets)),
        ]);
        let put = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let put = match read {
            None => put.condition_expression("attribute_not_exists(userId)"),
            Some(stored) => put
                .condition_expression("version = :read")
                .expression_attribute_values(":read", text(stored.version)),
        };
        let result = put.send().await.map(|output| capacity::write(&output.consumed_capacity));
        self.won(result)
    }

    async fn remove_if(&self, user: &UserId, read: Option<Stored>) -> Result<bool, TableError> {
        let Some(stored) = read else { return Ok(false) };
        let result = self
            .client
            .delete_item()
            .table_name(&self.name)
            .key(USER_ID, text(user.as_str()))
            .condition_expression("version = :read")
            .expression_attribute_values(":read", text(stored.version))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map(|output| capacity::write(&output.consumed_capacity));
        self.won(result)
    }

    /// Whether a conditional write went through.
    fn won<E>(&self, result: Result<(), SdkError<E>>) -> Result<bool, TableError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        match result {
            Ok(()) => Ok(true),
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(false),
            Err(error) => Err(TableError::from_sdk(&self.name, error)),
        }
    }
}
