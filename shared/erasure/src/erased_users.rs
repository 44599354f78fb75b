//! Who was erased, and until when their purchases are not to come back.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use nextbasket_domain::{Random, Timestamp};
use nextbasket_dynamodb::item::{number, text};
use nextbasket_dynamodb::{TableClient, TableError};

use crate::secret::{SK, Secret, Secrets, key, time_in};

/// The partition of all erased users, which the template's roles name too.
const ERASED: &str = "erased";
const ERASED_AT: &str = "erasedAt";
/// What these hashes are for, among other uses of the secret.
const PURPOSE: &str = "erased user";
/// How many bytes of a hash are kept: two users in 2^64 may have the same.
const HASH_BYTES: usize = 16;
/// How many times an erasure is written whose secret was rotated away meanwhile.
const WRITES: usize = 5;

type Hash = [u8; HASH_BYTES];

/// The erased users in the operations table. Every call fails with a [`TableError`] if DynamoDB does not answer.
#[derive(Debug, Clone)]
pub struct ErasedUsers {
    secrets: Secrets,
}

impl ErasedUsers {
    /// Those in this operations table.
    #[must_use]
    pub fn new(client: Client, operations: impl Into<String>) -> Self {
        Self { secrets: Secrets::new(client, operations) }
    }

    /// The stack's secrets, which are in the same table.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Remembers that the user was erased: purchases that are dated at or before `until` are not to come back. Done
    /// again, the later time stays.
    ///
    /// To be called before anything of the user is deleted, so that a crash in between loses nothing.
    ///
    /// # Errors
    /// [`TableError::Contended`] if the secret was rotated away again and again meanwhile.
    pub async fn remember(
        &self,
        user: &str,
        until: Timestamp,
        random: &Random,
        now: Timestamp,
    ) -> Result<(), TableError> {
        for _ in 0..WRITES {
            let secret = self.secrets.find_or_draw(random, now).await?;
            self.put(&secret, user, until).await?;
            // The secret may have been retired, and removed as unused, between the two calls.
            let all = self.secrets.all().await?;
            if !all.contains(&secret) {
                continue;
            }
            return self.forget_others(&secret, &all, user, until).await;
        }
        Err(self.table().contended(ERASED, WRITES))
    }

    /// Moves what is remembered of the user with other secrets to this one, so that those can go.
    async fn forget_others(
        &self,
        current: &Secret,
        all: &[Secret],
        user: &str,
        until: Timestamp,
    ) -> Result<(), TableError> {
        let mut latest = until;
        let mut others = Vec::new();
        for secret in all.iter().filter(|secret| *secret != current) {
            let key = key(ERASED, &sort_key(secret, user));
            if let Some(item) = self.table().get(key.clone(), true).await? {
                latest = latest.max(time_in(&item, ERASED_AT).unwrap_or(until));
                others.push(key);
            }
        }
        if latest > until {
            self.put(current, user, latest).await?;
        }
        for key in others {
            self.table().write(self.table().delete(key).send().await)?;
        }
        Ok(())
    }

    async fn put(&self, secret: &Secret, user: &str, until: Timestamp) -> Result<(), TableError> {
        let mut item = key(ERASED, &sort_key(secret, user));
        item.insert(ERASED_AT.to_owned(), number(until.as_millis()));
        let put = self
            .table()
            .put(item)
            .condition_expression("attribute_not_exists(#at) OR #at < :at")
            .expression_attribute_names("#at", ERASED_AT)
            .expression_attribute_values(":at", number(until.as_millis()));
        self.table().write_if(put.send().await).map(drop)
    }

    /// Until when this user was erased, if that ever happened: a read for each secret. Strongly consistent.
    pub async fn until(&self, user: &str) -> Result<Option<Timestamp>, TableError> {
        let mut until = None;
        for secret in self.secrets.all().await? {
            let item = self.table().get(key(ERASED, &sort_key(&secret, user)), true).await?;
            until = until.max(item.and_then(|item| time_in(&item, ERASED_AT)));
        }
        Ok(until)
    }

    /// All of them: a query page for some eight thousand. Strongly consistent.
    pub async fn load(&self) -> Result<Erasures, TableError> {
        let query = self
            .table()
            .query()
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(ERASED))
            .consistent_read(true);
        let mut by_secret: HashMap<String, HashMap<Hash, Timestamp>> = HashMap::new();
        self.table()
            .query_all(query, |item| {
                let mut reader = self.table().reader(ERASED, item);
                let (id, hash) = reader.parsed(SK, parsed)?;
                let at = time_in(&reader.item, ERASED_AT)
                    .ok_or_else(|| reader.corrupt(ERASED_AT, "is not a time in milliseconds since 1970"))?;
                by_secret.entry(id).or_default().insert(hash, at);
                Ok(())
            })
            .await?;
        if by_secret.is_empty() {
            return Ok(Erasures::default());
        }
        // Read afterwards: the secret of what was read is there.
        let secrets = self.secrets.all().await?;
        let mut erasures = Erasures::default();
        for secret in secrets {
            if let Some(users) = by_secret.remove(secret.id()) {
                erasures.by_secret.push((secret, users));
            }
        }
        for (secret, users) in by_secret {
            // Left by an erasure that was cut off before it was answered.
            tracing::warn!(
                secret,
                users = users.len(),
                "erased users cannot be recognised: their secret is gone"
            );
        }
        Ok(erasures)
    }

    fn table(&self) -> &TableClient {
        &self.secrets.table
    }
}

/// Whether some user is remembered with the secret of this id.
pub(crate) async fn any_of_secret(table: &TableClient, id: &str) -> Result<bool, TableError> {
    let query = table
        .query()
        .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
        .expression_attribute_values(":pk", text(ERASED))
        .expression_attribute_values(":sk", text(format!("{id}/")))
        .consistent_read(true)
        .limit(1);
    Ok(table.read(query.send().await)?.count() > 0)
}

/// The erased users as they were when they were read.
#[derive(Debug, Clone, Default)]
pub struct Erasures {
    by_secret: Vec<(Secret, HashMap<Hash, Timestamp>)>,
}

impl Erasures {
    /// Whether nobody was ever erased.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_secret.is_empty()
    }

    /// Until when the user was erased, if that ever happened.
    #[must_use]
    pub fn until(&self, user: &str) -> Option<Timestamp> {
        self.by_secret.iter().filter_map(|(secret, users)| users.get(&hash(secret, user)).copied()).max()
    }

    /// Whether a purchase of this time must not come back. One whose time cannot be read must not, either.
    #[must_use]
    pub fn covers(&self, user: &str, purchased_at: Option<Timestamp>) -> bool {
        self.until(user).is_some_and(|until| purchased_at.is_none_or(|at| at <= until))
    }
}

fn hash(secret: &Secret, user: &str) -> Hash {
    let mut hash = [0; HASH_BYTES];
    hash.iter_mut().zip(secret.mac(PURPOSE, user.as_bytes())).for_each(|(to, from)| *to = from);
    hash
}

fn sort_key(secret: &Secret, user: &str) -> String {
    format!("{}/{}", secret.id(), hex::encode(hash(secret, user)))
}

fn parsed(sk: &str) -> Result<(String, Hash), &'static str> {
    const WRONG: &str = "is not a secret's id and a hash";
    let (id, digits) = sk.split_once('/').ok_or(WRONG)?;
    let hash = hex::decode(digits).ok().and_then(|hash| hash.try_into().ok());
    Ok((id.to_owned(), hash.ok_or(WRONG)?))
}
