//! The key of this stack that authenticates the ids of answers: see [`RecommendationId`].
//!
//! It is generated once, by the first caller that needs it, and stored in the model table under its own partition
//! key, so that roles can name it. It is no more secret than the tables: somebody who can read all of them gains
//! nothing from a forged conversion.
//!
//! [`RecommendationId`]: nextbasket_domain::RecommendationId

use std::sync::Arc;
use std::sync::OnceLock;

use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_domain::Random;
use nextbasket_domain::recommendation::AnswerKey;
use nextbasket_dynamodb::item::{Item, bytes};
use nextbasket_dynamodb::{TableClient, TableError};

use crate::model;

/// The partition key, which the template's roles name too.
const ANSWER_KEY: &str = "answer-key";
/// The sort key: it is not a slot of a product, so a product with the id `answer-key` causes no conflict.
const CURRENT: &str = "current";
const KEY: &str = "key";

/// The location of the key in the model table, and the key itself once it was read. Clones share it.
#[derive(Debug, Clone)]
pub struct AnswerKeys {
    table: TableClient,
    known: Arc<OnceLock<AnswerKey>>,
}

impl AnswerKeys {
    pub(crate) fn new(table: TableClient) -> Self {
        Self { table, known: Arc::default() }
    }

    /// The key, if there is one; without one, no id was ever issued. Strongly consistent, and read once.
    pub async fn find(&self) -> Result<Option<AnswerKey>, TableError> {
        if let Some(known) = self.known.get() {
            return Ok(Some(known.clone()));
        }
        let found = self.read().await?.and_then(|item| key_in(&item));
        Ok(found.map(|found| self.known.get_or_init(|| found).clone()))
    }

    /// The key, which is generated if there is none.
    pub async fn find_or_draw(&self, random: &Random) -> Result<AnswerKey, TableError> {
        if let Some(known) = self.known.get() {
            return Ok(known.clone());
        }
        let read = self.read().await?;
        if let Some(found) = read.as_ref().and_then(key_in) {
            return Ok(self.known.get_or_init(|| found).clone());
        }
        let drawn = AnswerKey::draw(random);
        if !self.put(&drawn, read.and_then(|mut damaged| damaged.remove(KEY))).await?
            && let Some(found) = self.read().await?.as_ref().and_then(key_in)
        {
            return Ok(self.known.get_or_init(|| found).clone());
        }
        Ok(self.known.get_or_init(|| drawn).clone())
    }

    async fn read(&self) -> Result<Option<Item>, TableError> {
        self.table.get(key(), true).await
    }

    /// Puts the key unless another was put meanwhile; returns whether it did.
    async fn put(&self, key: &AnswerKey, damaged: Option<AttributeValue>) -> Result<bool, TableError> {
        let mut item = self::key();
        item.insert(KEY.to_owned(), bytes(key.as_bytes().to_vec()));
        let put = self.table.put(item).expression_attribute_names("#key", KEY);
        let put = match damaged {
            None => put.condition_expression("attribute_not_exists(#key)"),
            Some(damaged) => {
                put.condition_expression("#key = :damaged").expression_attribute_values(":damaged", damaged)
            }
        };
        Ok(self.table.write_if(put.send().await)?.is_some())
    }
}

fn key() -> Item {
    model::key(ANSWER_KEY, CURRENT)
}

/// `None` for a damaged item: a new key is generated.
fn key_in(item: &Item) -> Option<AnswerKey> {
    match item.get(KEY)? {
        AttributeValue::B(key) => AnswerKey::from_bytes(key.as_ref()),
        _ => None,
    }
}
