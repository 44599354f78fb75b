//! The secret of the stack: 32 random bytes that key hashes of personal data.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use hmac::{Hmac, KeyInit, Mac};
use nextbasket_domain::{Random, Timestamp};
use nextbasket_dynamodb::item::{Item, bytes, number, text};
use nextbasket_dynamodb::{TableClient, TableError};
use sha2::Sha256;

use crate::erased_users;

pub(crate) const PK: &str = "pk";
pub(crate) const SK: &str = "sk";
/// The partition of all secrets, which the template's roles name too.
const SECRETS: &str = "secrets";
const CURRENT: &str = "current";
const RETIRED: &str = "retired/";
const SECRET_ID: &str = "secretId";
const KEY: &str = "key";
const CREATED_AT: &str = "createdAt";
const RETIRED_AT: &str = "retiredAt";

/// A retired secret is kept for at least this long, so that no erasure that read it before the rotation writes a hash
/// after its removal.
const KEPT_RETIRED: Duration = Duration::from_secs(24 * 60 * 60);

/// A secret of the stack. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    id: String,
    key: [u8; 32],
    created_at: Timestamp,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.id)
    }
}

impl Secret {
    fn draw(random: &Random, now: Timestamp) -> Self {
        let key = random.draw_key();
        Self { id: format!("{:016x}", random.draw()), key, created_at: now }
    }

    /// Its id: 16 hexadecimal digits, which say nothing of it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The HMAC-SHA-256 of the content. The purpose separates the uses of the secret from each other.
    #[must_use]
    pub fn mac(&self, purpose: &str, content: &[u8]) -> [u8; 32] {
        // HMAC accepts keys of any length, and this one is as long as the hash.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else { return [0; 32] };
        mac.update(purpose.as_bytes());
        // Purposes contain no such byte, so the input is unambiguous.
        mac.update(&[0]);
        mac.update(content);
        mac.finalize().into_bytes().into()
    }

    fn read(item: &Item) -> Option<Self> {
        let id = item.get(SECRET_ID)?.as_s().ok()?.clone();
        let AttributeValue::B(key) = item.get(KEY)? else { return None };
        let key = key.as_ref().try_into().ok()?;
        let created_at = time_in(item, CREATED_AT).unwrap_or(Timestamp::EPOCH);
        Some(Self { id, key, created_at })
    }

    fn item(&self, sk: &str) -> Item {
        let mut item = key(SECRETS, sk);
        item.insert(SECRET_ID.to_owned(), text(&self.id));
        item.insert(KEY.to_owned(), bytes(self.key.to_vec()));
        item.insert(CREATED_AT.to_owned(), number(self.created_at.as_millis()));
        item
    }
}

/// What a rotation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The id of the secret that is now in use.
    pub current: String,
    /// Retired secrets that erased users are still remembered with, or that were retired less than a day ago.
    pub kept: usize,
    /// Retired secrets that nothing needed any more, and that are gone.
    pub removed: usize,
}

/// The stack's secrets in the operations table. Every call fails with a [`TableError`] if DynamoDB does not answer.
#[derive(Debug, Clone)]
pub struct Secrets {
    pub(crate) table: TableClient,
}

impl Secrets {
    /// Those in this operations table.
    #[must_use]
    pub fn new(client: Client, operations: impl Into<String>) -> Self {
        Self { table: TableClient::new(client, operations.into()) }
    }

    /// The secret in use; `None` before its first use. Strongly consistent.
    pub async fn find(&self) -> Result<Option<Secret>, TableError> {
        let item = self.table.get(key(SECRETS, CURRENT), true).await?;
        item.map(|item| self.secret_in(&item)).transpose()
    }

    /// The secret in use, which is made if there is none.
    pub async fn find_or_draw(&self, random: &Random, now: Timestamp) -> Result<Secret, TableError> {
        if let Some(found) = self.find().await? {
            return Ok(found);
        }
        let drawn = Secret::draw(random, now);
        let put = self.table.put(drawn.item(CURRENT)).condition_expression("attribute_not_exists(pk)");
        match self.table.put_or_find(put).await? {
            None => Ok(drawn),
            // Made by another caller, or by this one whose answer was lost.
            Some(found) => self.secret_in(&found),
        }
    }

    /// The secret of this id, in use or retired; `None` if it is gone.
    pub async fn of_id(&self, id: &str) -> Result<Option<Secret>, TableError> {
        if let Some(current) = self.find().await?
            && current.id == id
        {
            return Ok(Some(current));
        }
        let item = self.table.get(key(SECRETS, &format!("{RETIRED}{id}")), true).await?;
        item.map(|item| self.secret_in(&item)).transpose()
    }

    /// All secrets, in use and retired.
    pub async fn all(&self) -> Result<Vec<Secret>, TableError> {
        self.items().await?.iter().map(|item| self.secret_in(item)).collect()
    }

    /// Takes a new secret into use. The one before is kept for as long as erased users are remembered with it: a user
    /// cannot be hashed anew without the id. Other retired secrets are removed.
    ///
    /// # Errors
    /// [`TableError::Contended`] if another rotation was made at the same time.
    pub async fn rotate(&self, random: &Random, now: Timestamp) -> Result<Rotation, TableError> {
        let before = self.find_or_draw(random, now).await?;
        let next = Secret::draw(random, now);
        let mut retired = before.item(&format!("{RETIRED}{}", before.id));
        retired.insert(RETIRED_AT.to_owned(), number(now.as_millis()));
        // First the copy: at no time is a secret missing that something was hashed with.
        let put = self.table.put(retired);
        self.table.write(put.send().await)?;
        let put = self
            .table
            .put(next.item(CURRENT))
            .condition_expression("#id = :before OR #id = :next")
            .expression_attribute_names("#id", SECRET_ID)
            .expression_attribute_values(":before", text(&before.id))
            .expression_attribute_values(":next", text(&next.id));
        if self.table.write_if(put.send().await)?.is_none() {
            return Err(self.table.contended(format!("{SECRETS}/{CURRENT}"), 1));
        }
        let (mut kept, mut removed) = (0, 0);
        for item in self.items().await? {
            let Some(sk) = item.get(SK).and_then(|sk| sk.as_s().ok()) else { continue };
            let Some(id) = sk.strip_prefix(RETIRED) else { continue };
            let age = time_in(&item, RETIRED_AT).map_or(0, |at| now.as_millis() - at.as_millis());
            let is_old = u128::try_from(age).is_ok_and(|age| age > KEPT_RETIRED.as_millis());
            if is_old && id != next.id && !erased_users::any_of_secret(&self.table, id).await? {
                self.table.write(self.table.delete(key(SECRETS, sk)).send().await)?;
                removed += 1;
            } else {
                kept += 1;
            }
        }
        Ok(Rotation { current: next.id, kept, removed })
    }

    async fn items(&self) -> Result<Vec<Item>, TableError> {
        let query = self
            .table
            .query()
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(SECRETS))
            .consistent_read(true);
        let mut items = Vec::new();
        self.table
            .query_all(query, |item| {
                items.push(item);
                Ok(())
            })
            .await?;
        Ok(items)
    }

    /// A damaged secret is never replaced: what was hashed with it would be lost.
    fn secret_in(&self, item: &Item) -> Result<Secret, TableError> {
        let damaged = || {
            let reader = self.table.reader(SECRETS, Item::new());
            reader.corrupt(KEY, "is not a secret of 32 bytes with an id. Restore the item from a backup.")
        };
        Secret::read(item).ok_or_else(damaged)
    }
}

pub(crate) fn key(pk: &str, sk: &str) -> Item {
    HashMap::from([(PK.to_owned(), text(pk)), (SK.to_owned(), text(sk))])
}

pub(crate) fn time_in(item: &Item, name: &str) -> Option<Timestamp> {
    Timestamp::from_millis(item.get(name)?.as_n().ok()?.parse().ok()?).ok()
}
