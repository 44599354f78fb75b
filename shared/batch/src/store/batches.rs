//! Batches: where they stand, their checkpoints, their results.

use nextbasket_domain::Timestamp;
use nextbasket_dynamodb::TableError;
use nextbasket_dynamodb::item::{Item, Reader};
use nextbasket_locks::LeaseKey;
use serde::{Deserialize, Serialize};

use super::{
    ATTEMPTS, CHECKPOINT, FAILURE, PROGRESS, RESULT, RESULT_OBJECT, RETRY_AT, SAVES, SK, STATE, Store,
    partition,
};
use crate::job::{JobId, Progress};
use crate::objects::{ObjectError, Objects};

/// Where a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BatchState {
    /// Not begun, being worked on, or to be tried again.
    Open,
    /// Done, with a result.
    Done,
    /// Failed for good.
    Failed,
}

impl BatchState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "open" => Ok(Self::Open),
            "done" => Ok(Self::Done),
            "failed" => Ok(Self::Failed),
            _ => Err("is not a batch's state"),
        }
    }
}

/// A batch as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchRecord {
    /// Its number in its stage.
    pub batch: u32,
    /// Where it stands.
    pub state: BatchState,
    /// How far it has come.
    pub progress: Progress,
    /// Its checkpoint, as JSON.
    pub checkpoint: Option<String>,
    /// How often a checkpoint was saved.
    pub saves: u64,
    /// How often it was begun.
    pub attempts: u32,
    /// Why it failed, or why its last attempt did.
    pub failure: Option<String>,
    /// Not to be tried again before this time.
    pub retry_at: Option<Timestamp>,
    /// Who has it, until when.
    pub held: Option<(String, Timestamp)>,
    result: Option<Vec<u8>>,
    result_object: Option<String>,
}

impl BatchRecord {
    /// Its result; `None` if it is not done.
    ///
    /// # Errors
    /// [`ObjectError`] if the object cannot be read.
    pub async fn result(&self, objects: &Objects) -> Result<Option<Vec<u8>>, ObjectError> {
        match (&self.result, &self.result_object) {
            _ if self.state != BatchState::Done => Ok(None),
            (Some(result), _) => Ok(Some(result.clone())),
            (None, Some(key)) => objects.get(key).await.map(Some),
            (None, None) => Ok(Some(Vec::new())),
        }
    }
}

impl Store {
    /// The batches of a stage that have been begun, by number.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer.
    pub async fn batches(&self, job: &JobId, stage: u32) -> Result<Vec<BatchRecord>, TableError> {
        let items = self.query(&partition(job), &format!("batch/{stage:06}/"), true).await?;
        items.into_iter().map(|item| self.batch_record(item)).collect()
    }

    /// A batch; `None` if it has not been begun.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer.
    pub async fn batch(&self, key: &LeaseKey) -> Result<Option<BatchRecord>, TableError> {
        let get = self.client.get_item().table_name(&self.table).set_key(Some(super::key(&key.pk, &key.sk)));
        let output = get.consistent_read(true).send().await.map_err(|error| self.failed(error))?;
        output.item.map(|item| self.batch_record(item)).transpose()
    }

    fn batch_record(&self, item: Item) -> Result<BatchRecord, TableError> {
        let mut reader = Reader { table: &self.table, key: "batch".to_owned(), item };
        let sk = reader.text(SK)?;
        reader.key = sk.clone();
        let batch = sk.rsplit('/').next().and_then(|digits| digits.parse().ok());
        let progress = reader.optional(PROGRESS, |reader, name| {
            reader.parsed(name, |text| serde_json::from_str::<Progress>(text))
        })?;
        let state = reader.optional(STATE, |reader, name| reader.parsed(name, BatchState::parse))?;
        let released = reader.optional("released", Reader::truth)?.unwrap_or(true);
        let held =
            match (reader.optional("holder", Reader::text)?, reader.optional("expiresAt", Reader::number)?) {
                (Some(holder), Some(at)) if !released => {
                    Some((holder, Timestamp::from_millis(at).unwrap_or(Timestamp::EPOCH)))
                }
                _ => None,
            };
        Ok(BatchRecord {
            batch: batch.ok_or_else(|| reader.corrupt(SK, "does not end with a batch's number"))?,
            state: state.unwrap_or(BatchState::Open),
            progress: progress.unwrap_or_default(),
            checkpoint: reader.optional(CHECKPOINT, Reader::text)?,
            saves: reader.optional(SAVES, Reader::number)?.unwrap_or(0),
            attempts: reader.optional(ATTEMPTS, Reader::number)?.unwrap_or(0),
            failure: reader.optional(FAILURE, Reader::text)?,
            retry_at: reader
                .optional(RETRY_AT, Reader::number)?
                .map(|at| Timestamp::from_millis(at).unwrap_or(Timestamp::EPOCH)),
            held,
            result: reader.optional(RESULT, Reader::bytes)?,
            result_object: reader.optional(RESULT_OBJECT, Reader::text)?,
        })
    }
}

/// The item of a batch.
#[must_use]
pub fn batch_key(job: &JobId, stage: u32, batch: u32) -> LeaseKey {
    LeaseKey::new(partition(job), format!("batch/{stage:06}/{batch:08}"))
}
