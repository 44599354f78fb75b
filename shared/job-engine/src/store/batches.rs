//! Batches: where they stand, their checkpoints, their results.

use std::ops::Range;

use futures::{StreamExt, TryStreamExt};
use nextbasket_domain::Timestamp;
use nextbasket_dynamodb::TableError;
use nextbasket_dynamodb::item::{Item, ItemReader, text};
use nextbasket_dynamodb::request::get_item;
use nextbasket_locks::LeaseKey;
use nextbasket_locks::record::{ACQUIRED_AT, EXPIRES_AT, FENCE, HOLDER, RELEASED};
use strum::{EnumString, IntoStaticStr};

use super::{
    ATTEMPTS, BEFORE, CHECKPOINT, COUNTED, FAILURE, PARTS, PROGRESS, RESULT, RESULT_OBJECT, RETRY_AT, SAVES,
    SEEN, SILENT, SK, STATE, Store,
};
use crate::job::{JobId, Progress, StageSize};
use nextbasket_objects::{Bucket, ObjectError};

/// The number of consecutive batches that are in one partition.
pub const ROW: u32 = 100;
/// The number of partitions that are read at a time.
const READERS: usize = 4;

/// Where a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "camelCase")]
pub enum BatchState {
    /// Not begun, being worked on, or to be tried again.
    Open,
    /// Done, with a result.
    Done,
    /// Failed for good.
    Failed,
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
    /// The fencing token of its current or last holder.
    pub(crate) fence: u64,
    /// Its checkpoint, as JSON.
    pub checkpoint: Option<String>,
    /// How often a checkpoint was saved.
    pub saves: u64,
    /// The part of its progress that is already in its stage's counts.
    pub counted: Progress,
    /// The number of claims since its checkpoint last moved, this one included. Attempts that ended normally and
    /// without an error do not count.
    pub attempts: u32,
    /// How many of these attempts ended without a message; a running attempt is included.
    pub silent: u32,
    /// The digest of the checkpoint when the count of attempts started again.
    pub(crate) seen: Option<String>,
    /// The holder in the attempt before.
    pub before: Option<String>,
    /// Why it failed, or why its last attempt did.
    pub failure: Option<String>,
    /// Not to be tried again before this time.
    pub retry_at: Option<Timestamp>,
    /// Who has it, until when.
    pub held: Option<(String, Timestamp)>,
    /// When it was claimed last.
    pub claimed_at: Option<Timestamp>,
    result: Option<Vec<u8>>,
    result_object: Option<String>,
}

impl BatchRecord {
    /// Its result; `None` if it is not done.
    ///
    /// # Errors
    /// [`ObjectError`] if the object cannot be read.
    pub async fn result(&self, objects: &Bucket) -> Result<Option<Vec<u8>>, ObjectError> {
        match (&self.result, &self.result_object) {
            _ if self.state != BatchState::Done => Ok(None),
            (Some(result), _) => Ok(Some(result.clone())),
            (None, Some(key)) => objects.get(key).await.map(Some),
            (None, None) => Ok(Some(Vec::new())),
        }
    }
}

impl Store {
    /// The batches of a stage that have been claimed at least once, by number. Each of them is read.
    pub async fn batches(&self, job: &JobId, stage: StageSize) -> Result<Vec<BatchRecord>, TableError> {
        let prefix = batches_of(stage.number);
        let parts: Vec<Vec<Item>> = futures::stream::iter(parts_of(stage.batches))
            .map(|part| {
                let (pk, prefix) = (part_of(job, part), prefix.clone());
                async move { self.query(&pk, &prefix).await }
            })
            .buffered(READERS)
            .try_collect()
            .await?;
        let records = parts.into_iter().flatten().map(|item| self.batch_record(item));
        let mut records = records.collect::<Result<Vec<_>, _>>()?;
        records.sort_unstable_by_key(|record| record.batch);
        Ok(records)
    }

    /// Those of the row's [`ROW`] consecutive batches that have been claimed at least once, by number: one query.
    pub async fn batch_row(&self, job: &JobId, stage: u32, row: u32) -> Result<Vec<BatchRecord>, TableError> {
        let first = row.saturating_mul(ROW);
        let (from, to) = (batch_key(job, stage, first), batch_key(job, stage, first.saturating_add(ROW - 1)));
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":pk", text(from.pk))
            .expression_attribute_values(":from", text(from.sk))
            .expression_attribute_values(":to", text(to.sk));
        let mut items = query.into_paginator().items().send();
        let mut records = Vec::new();
        while let Some(item) = items.next().await {
            records.push(self.batch_record(item.map_err(|error| self.failed(error))?)?);
        }
        Ok(records)
    }

    /// A batch; `None` if it has not been begun.
    pub async fn batch(&self, key: &LeaseKey) -> Result<Option<BatchRecord>, TableError> {
        let item = get_item(&self.client, &self.table, super::key(&key.pk, &key.sk), true).await?;
        item.map(|item| self.batch_record(item)).transpose()
    }

    pub(crate) fn batch_record(&self, item: Item) -> Result<BatchRecord, TableError> {
        let mut reader = ItemReader { table: &self.table, key: "batch".to_owned(), item };
        let sk = reader.text(SK)?;
        reader.key = sk.clone();
        let batch = sk.rsplit('/').next().and_then(|digits| digits.parse().ok());
        let mut progress = |name| {
            reader.optional(name, |reader, name| {
                reader.parsed(name, |text| serde_json::from_str::<Progress>(text))
            })
        };
        let (counted, progress) = (progress(COUNTED)?, progress(PROGRESS)?);
        let state = reader.optional(STATE, |reader, name| {
            reader.parsed(name, |text| text.parse::<BatchState>().map_err(|_| "is not a batch's state"))
        })?;
        let released = reader.optional(RELEASED, ItemReader::truth)?.unwrap_or(true);
        let held = match (
            reader.optional(HOLDER, ItemReader::text)?,
            reader.optional(EXPIRES_AT, ItemReader::number)?,
        ) {
            // Nobody needs the claim of a batch that has ended, so it is not released.
            (Some(holder), Some(at)) if !released && state.is_none() => {
                Some((holder, Timestamp::from_millis(at).unwrap_or(Timestamp::EPOCH)))
            }
            _ => None,
        };
        Ok(BatchRecord {
            batch: batch.ok_or_else(|| reader.corrupt(SK, "does not end with a batch's number"))?,
            state: state.unwrap_or(BatchState::Open),
            progress: progress.unwrap_or_default(),
            fence: reader.optional(FENCE, ItemReader::number)?.unwrap_or(0),
            checkpoint: reader.optional(CHECKPOINT, ItemReader::text)?,
            saves: reader.optional(SAVES, ItemReader::number)?.unwrap_or(0),
            counted: counted.unwrap_or_default(),
            attempts: reader.optional(ATTEMPTS, ItemReader::number)?.unwrap_or(0),
            silent: reader.optional(SILENT, ItemReader::number)?.unwrap_or(0),
            seen: reader.optional(SEEN, ItemReader::text)?,
            before: reader.optional(BEFORE, ItemReader::text)?.filter(|holder| !holder.is_empty()),
            failure: reader.optional(FAILURE, ItemReader::text)?,
            retry_at: reader
                .optional(RETRY_AT, ItemReader::number)?
                .map(|at| Timestamp::from_millis(at).unwrap_or(Timestamp::EPOCH)),
            held,
            claimed_at: reader
                .optional(ACQUIRED_AT, ItemReader::number)?
                .and_then(|at| Timestamp::from_millis(at).ok()),
            result: reader.optional(RESULT, ItemReader::bytes)?,
            result_object: reader.optional(RESULT_OBJECT, ItemReader::text)?,
        })
    }
}

/// The item of a batch.
#[must_use]
pub fn batch_key(job: &JobId, stage: u32, batch: u32) -> LeaseKey {
    LeaseKey::new(part_of(job, batch / ROW % PARTS), format!("{}{batch:08}", batches_of(stage)))
}

/// The key of a partition of the job's batches.
pub(super) fn part_of(job: &JobId, part: u32) -> String {
    format!("job#{job}#{part:x}")
}

/// The numbers of the partitions that this many batches are in.
pub(super) fn parts_of(batches: u32) -> Range<u32> {
    0..batches.div_ceil(ROW).min(PARTS)
}

pub(super) fn batches_of(stage: u32) -> String {
    format!("batch/{stage:06}/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_batches_of_a_large_stage_are_spread_and_all_of_them_are_found() {
        let job = JobId::parse("j").unwrap();
        for batches in [1, 99, 100, 101, 1_000, 10_000] {
            let parts: std::collections::BTreeMap<String, usize> =
                (0..batches).fold(std::collections::BTreeMap::new(), |mut parts, batch| {
                    *parts.entry(batch_key(&job, 0, batch).pk).or_default() += 1;
                    parts
                });
            let read: std::collections::BTreeSet<String> =
                parts_of(batches).map(|part| part_of(&job, part)).collect();
            assert!(parts.keys().eq(read.iter()), "{batches}: {parts:?}");
            assert!(parts.values().all(|&many| many <= 700), "{batches}: {parts:?}");
        }
    }
}
