//! A job's log, its failed batches, and the processes that work on it.

use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use nextbasket_domain::Timestamp;
use nextbasket_dynamodb::TableError;
use nextbasket_dynamodb::item::{Item, ItemReader, number, text};
use serde::{Deserialize, Serialize};

use super::{EXPIRE_AT, SK, Store, key, partition, refused};
use crate::engine::BatchFailure;
use crate::job::JobId;
use crate::stage::BatchTask;

const REASON: &str = "reason";

/// A line of a job's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When the line was written.
    pub at: Timestamp,
    /// The text of the line.
    pub line: String,
}

impl Store {
    /// Adds a line to the job's log.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not accept it.
    pub async fn log(&self, job: &JobId, line: &str) -> Result<(), TableError> {
        let now = self.clock.now();
        let mut item = key(&partition(job), &format!("log/{now}/{:08x}", self.random.draw() >> 32));
        item.insert("line".to_owned(), text(line));
        self.put(item).await
    }

    async fn put(&self, mut item: Item) -> Result<(), TableError> {
        item.insert(EXPIRE_AT.to_owned(), self.expiry());
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        put.send().await.map(drop).map_err(|error| self.failed(error))
    }

    /// The newest lines of the job's log, in the order in which they were written.
    pub async fn logs(&self, job: &JobId, limit: u32) -> Result<Vec<LogLine>, TableError> {
        let mut lines = Vec::new();
        for item in self.some(job, "log/", limit, false).await?.into_iter().rev() {
            let mut reader = ItemReader { table: &self.table, key: "log".to_owned(), item };
            let at = reader.parsed(SK, |sk| {
                let at = sk.split('/').nth(1).unwrap_or_default();
                Timestamp::parse(at)
            })?;
            lines.push(LogLine { at, line: reader.text("line")? });
        }
        Ok(lines)
    }

    async fn some(
        &self,
        job: &JobId,
        prefix: &str,
        limit: u32,
        forward: bool,
    ) -> Result<Vec<Item>, TableError> {
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let query = self.select(&partition(job), prefix).scan_index_forward(forward).limit(limit);
        let output = query.send().await.map_err(|error| self.failed(error))?;
        Ok(output.items.unwrap_or_default())
    }

    /// The record that a batch has failed for good, to be written with its end.
    pub(crate) fn failure(
        &self,
        job: &JobId,
        task: &BatchTask,
        reason: &str,
    ) -> Result<TransactWriteItem, TableError> {
        let sk = format!("{}{:08}", failures_of(task.stage), task.batch);
        let mut item = key(&partition(job), &sk);
        item.insert(REASON.to_owned(), text(reason));
        item.insert(EXPIRE_AT.to_owned(), self.expiry());
        let put = Put::builder().table_name(&self.table).set_item(Some(item));
        let put = put.build().map_err(refused(&self.table))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// The stage's batches that failed for good, by their numbers; at most `limit`.
    pub async fn failures(
        &self,
        job: &JobId,
        stage: u32,
        limit: u32,
    ) -> Result<Vec<BatchFailure>, TableError> {
        let mut failures = Vec::new();
        for item in self.some(job, &failures_of(stage), limit, true).await? {
            let mut reader = ItemReader { table: &self.table, key: "failed".to_owned(), item };
            let batch = reader.parsed(SK, |sk| sk.rsplit('/').next().unwrap_or_default().parse::<u32>())?;
            failures.push(BatchFailure { stage, batch, reason: reader.text(REASON)? });
        }
        Ok(failures)
    }

    /// Records, until a while from now, that a process works on the job with this many workers.
    pub(crate) async fn present(
        &self,
        job: &JobId,
        process: &str,
        workers: u32,
        until: Timestamp,
    ) -> Result<(), TableError> {
        let mut item = key(&partition(job), &format!("process/{process}"));
        item.insert("workers".to_owned(), number(workers));
        item.insert("until".to_owned(), number(until.as_millis()));
        self.put(item).await
    }

    /// Removes the record of [`present`](Self::present).
    pub(crate) async fn absent(&self, job: &JobId, process: &str) -> Result<(), TableError> {
        self.delete(key(&partition(job), &format!("process/{process}"))).await
    }

    /// The number of workers of all processes that work on the job now.
    pub(crate) async fn workers(&self, job: &JobId) -> Result<u32, TableError> {
        let now = self.clock.now().as_millis();
        let mut workers = 0;
        for item in self.query(&partition(job), "process/").await? {
            let mut reader = ItemReader { table: &self.table, key: "process".to_owned(), item };
            if reader.number::<i64>("until")? >= now {
                workers += reader.number::<u32>("workers")?;
            }
        }
        Ok(workers)
    }
}

pub(super) fn failures_of(stage: u32) -> String {
    format!("failed/{stage:06}/")
}
