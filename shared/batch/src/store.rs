//! Jobs and batches in the operations table.
//!
//! | `pk` | `sk` | item |
//! |---|---|---|
//! | `jobs` | job id | the job |
//! | `active` | job id | that the job has not ended |
//! | `job#ID` | `batch/STAGE/BATCH` | a batch: its lease, its checkpoint, its result |
//! | `job#ID` | `plan` | the lease of whoever plans |
//! | `job#ID` | `log/TIME/…` | a line of its log |
//! | `job#ID` | `process/…` | a process that works on it |
//!
//! All of them carry `expireAt` (seconds): they go [`KEPT`] after they were last written.

mod batches;

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem};
use nextbasket_domain::{Clock, Random, Timestamp};
use nextbasket_dynamodb::TableError;
use nextbasket_dynamodb::item::{Item, Reader, number, text};
use nextbasket_locks::LeaseKey;
use serde::{Deserialize, Serialize};

pub use batches::{BatchRecord, BatchState, batch_key};

use crate::Site;
use crate::error::JobError;
use crate::job::{Job, JobId};

/// How long jobs, batches and logs are kept after they were last written.
pub const KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);

const PK: &str = "pk";
const SK: &str = "sk";
const JOBS: &str = "jobs";
const ACTIVE: &str = "active";
const JOB: &str = "job";
const CANCELLING: &str = "cancelling";
const FAILING: &str = "failing";
const REVISION: &str = "revision";
/// The table's attribute of time to live.
pub(crate) const EXPIRE_AT: &str = "expireAt";
pub(crate) const STATE: &str = "state";
pub(crate) const CHECKPOINT: &str = "checkpoint";
pub(crate) const PROGRESS: &str = "progress";
pub(crate) const SAVES: &str = "saves";
pub(crate) const ATTEMPTS: &str = "attempts";
pub(crate) const RESULT: &str = "result";
pub(crate) const RESULT_OBJECT: &str = "resultObject";
pub(crate) const FAILURE: &str = "failure";
pub(crate) const RETRY_AT: &str = "retryAt";

/// A line of a job's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When.
    pub at: Timestamp,
    /// What.
    pub line: String,
}

/// A page of jobs, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct JobsPage {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// Where the next page begins, if there is one.
    pub next: Option<JobId>,
}

/// Jobs and batches in the operations table.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
    table: String,
    clock: Clock,
    random: Random,
}

impl Store {
    /// The site's.
    #[must_use]
    pub fn new(site: &Site) -> Self {
        Self {
            client: site.dynamodb.clone(),
            table: site.operations.clone(),
            clock: site.clock.clone(),
            random: site.random.clone(),
        }
    }

    pub(crate) fn expiry(&self) -> AttributeValue {
        let at = self.clock.now().as_millis() / 1000;
        number(at.saturating_add(i64::try_from(KEPT.as_secs()).unwrap_or(0)))
    }

    fn failed<E>(&self, error: SdkError<E>) -> TableError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        TableError::from_sdk(&self.table, error)
    }

    /// Writes a new job. `false` if there is one of this id.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not take it.
    pub async fn create(&self, job: &Job) -> Result<bool, JobError> {
        let put = |item: Item| {
            Put::builder()
                .table_name(&self.table)
                .set_item(Some(item))
                .condition_expression("attribute_not_exists(pk)")
        };
        let mut active = key(ACTIVE, job.job_id.as_str());
        active.insert(EXPIRE_AT.to_owned(), self.expiry());
        let puts = [put(self.item(job)?), put(active)].map(|put| {
            put.build().map(|put| TransactWriteItem::builder().put(put).build()).map_err(refused(&self.table))
        });
        let [job_put, active_put] = puts;
        let sent =
            self.client.transact_write_items().transact_items(job_put?).transact_items(active_put?).send();
        match sent.await {
            Ok(_) => Ok(true),
            Err(error) if is_cancelled(&error) => Ok(false),
            Err(error) => Err(self.failed(error).into()),
        }
    }

    fn item(&self, job: &Job) -> Result<Item, JobError> {
        let mut item = key(JOBS, job.job_id.as_str());
        item.insert(JOB.to_owned(), text(json(&self.table, job)?));
        item.insert(REVISION.to_owned(), number(job.revision));
        item.insert(EXPIRE_AT.to_owned(), self.expiry());
        Ok(item)
    }

    /// The job as it is now.
    ///
    /// # Errors
    /// [`JobError::Unknown`] if there is none.
    pub async fn load(&self, id: &JobId) -> Result<Job, JobError> {
        let get = self.client.get_item().table_name(&self.table).set_key(Some(key(JOBS, id.as_str())));
        let output = get.consistent_read(true).send().await.map_err(|error| self.failed(error))?;
        let item = output.item.ok_or_else(|| JobError::Unknown(id.to_string()))?;
        Ok(self.job(item)?)
    }

    fn job(&self, item: Item) -> Result<Job, TableError> {
        let mut reader = Reader { table: &self.table, key: JOBS.to_owned(), item };
        reader.key = format!("{JOBS}/{}", reader.text(SK)?);
        let mut job: Job = reader.parsed(JOB, |text| serde_json::from_str(text))?;
        job.revision = reader.number(REVISION)?;
        job.cancelling = reader.optional(CANCELLING, Reader::truth)?.unwrap_or_default();
        if !job.state.has_ended()
            && let Some(failing) = reader.optional(FAILING, Reader::text)?
        {
            job.failure = Some(failing);
        }
        Ok(job)
    }

    /// Writes the job if nobody wrote it since it was read; once it has ended, it is not active any more.
    ///
    /// # Errors
    /// [`TableError::Contended`] if somebody did.
    pub async fn save(&self, job: &mut Job) -> Result<(), JobError> {
        let before = job.revision;
        job.revision += 1;
        let mut update = aws_sdk_dynamodb::types::Update::builder()
            .table_name(&self.table)
            .set_key(Some(key(JOBS, job.job_id.as_str())))
            .update_expression("SET #job = :job, revision = :next, expireAt = :expiry")
            .condition_expression("revision = :before")
            .expression_attribute_names("#job", JOB);
        let values = [
            (":job", text(json(&self.table, job)?)),
            (":next", number(job.revision)),
            (":before", number(before)),
            (":expiry", self.expiry()),
        ];
        for (name, value) in values {
            update = update.expression_attribute_values(name, value);
        }
        let update = update.build().map_err(refused(&self.table))?;
        let mut write = self
            .client
            .transact_write_items()
            .transact_items(TransactWriteItem::builder().update(update).build());
        if job.state.has_ended() {
            let delete = Delete::builder()
                .table_name(&self.table)
                .set_key(Some(key(ACTIVE, job.job_id.as_str())))
                .build()
                .map_err(refused(&self.table))?;
            write = write.transact_items(TransactWriteItem::builder().delete(delete).build());
        }
        match write.send().await {
            Ok(_) => Ok(()),
            Err(error) if is_cancelled(&error) => {
                // A lost answer is asked for again by the SDK under the same token, so this is another writer.
                let key = job.job_id.to_string();
                Err(TableError::Contended { table: self.table.clone(), key, attempts: 1 }.into())
            }
            Err(error) => Err(self.failed(error).into()),
        }
    }

    /// Asks for the job's end.
    ///
    /// # Errors
    /// [`JobError::Unknown`] if there is none.
    pub async fn cancel(&self, id: &JobId) -> Result<(), JobError> {
        self.mark(id, CANCELLING, AttributeValue::Bool(true)).await
    }

    /// Says why the job has to end; the first reason stays.
    ///
    /// # Errors
    /// [`JobError::Unknown`] if there is none.
    pub async fn failing(&self, id: &JobId, reason: &str) -> Result<(), JobError> {
        self.mark(id, FAILING, text(reason)).await
    }

    async fn mark(&self, id: &JobId, name: &str, value: AttributeValue) -> Result<(), JobError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(JOBS, id.as_str())))
            .update_expression("SET #name = if_not_exists(#name, :value)")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#name", name)
            .expression_attribute_values(":value", value);
        match update.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => {
                Err(JobError::Unknown(id.to_string()))
            }
            Err(error) => Err(self.failed(error).into()),
        }
    }

    /// Jobs, newest first, from behind `after` on.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer.
    pub async fn list(&self, limit: u32, after: Option<&JobId>) -> Result<JobsPage, TableError> {
        let output = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(JOBS))
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(after.map(|id| key(JOBS, id.as_str())))
            .send()
            .await
            .map_err(|error| self.failed(error))?;
        let jobs: Vec<Job> = output
            .items
            .unwrap_or_default()
            .into_iter()
            .map(|item| self.job(item))
            .collect::<Result<_, _>>()?;
        let more = output.last_evaluated_key.is_some();
        let next = jobs.last().filter(|_| more).map(|job| job.job_id.clone());
        Ok(JobsPage { jobs, next })
    }

    /// The ids of the jobs that have not ended, oldest first.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer.
    pub async fn active(&self) -> Result<Vec<JobId>, TableError> {
        let items = self.query(ACTIVE, "", true).await?;
        items
            .into_iter()
            .map(|item| {
                let mut reader = Reader { table: &self.table, key: ACTIVE.to_owned(), item };
                reader.parsed(SK, JobId::parse)
            })
            .collect()
    }

    /// All items of the partition whose sort key begins so.
    async fn query(&self, pk: &str, sk: &str, forward: bool) -> Result<Vec<Item>, TableError> {
        let mut query = self
            .client
            .query()
            .table_name(&self.table)
            .expression_attribute_values(":pk", text(pk))
            .consistent_read(true)
            .scan_index_forward(forward);
        query = if sk.is_empty() {
            query.key_condition_expression("pk = :pk")
        } else {
            query
                .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
                .expression_attribute_values(":sk", text(sk))
        };
        let mut pages = query.into_paginator().items().send();
        let mut items = Vec::new();
        while let Some(item) = pages.next().await {
            items.push(item.map_err(|error| self.failed(error))?);
        }
        Ok(items)
    }

    /// Adds a line to the job's log.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not take it.
    pub async fn log(&self, job: &JobId, line: &str) -> Result<(), TableError> {
        let now = self.clock.now();
        let mut item = key(&partition(job), &format!("log/{now}/{:08x}", self.random.draw() >> 32));
        item.insert("line".to_owned(), text(line));
        item.insert(EXPIRE_AT.to_owned(), self.expiry());
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        put.send().await.map(drop).map_err(|error| self.failed(error))
    }

    /// The newest lines of the job's log, oldest of them first.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer.
    pub async fn logs(&self, job: &JobId, limit: u32) -> Result<Vec<LogLine>, TableError> {
        let output = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
            .expression_attribute_values(":pk", text(partition(job)))
            .expression_attribute_values(":sk", text("log/"))
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|error| self.failed(error))?;
        let mut lines = Vec::new();
        for item in output.items.unwrap_or_default().into_iter().rev() {
            let mut reader = Reader { table: &self.table, key: "log".to_owned(), item };
            let at = reader.parsed(SK, |sk| {
                let at = sk.split('/').nth(1).unwrap_or_default();
                Timestamp::parse(at)
            })?;
            lines.push(LogLine { at, line: reader.text("line")? });
        }
        Ok(lines)
    }

    /// Says that a process works on the job with so many workers, until a while from now.
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
        item.insert(EXPIRE_AT.to_owned(), self.expiry());
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        put.send().await.map(drop).map_err(|error| self.failed(error))
    }

    /// Takes back what [`present`](Self::present) said.
    pub(crate) async fn absent(&self, job: &JobId, process: &str) -> Result<(), TableError> {
        let key = key(&partition(job), &format!("process/{process}"));
        let delete = self.client.delete_item().table_name(&self.table).set_key(Some(key));
        delete.send().await.map(drop).map_err(|error| self.failed(error))
    }

    /// How many workers all processes have on the job now.
    pub(crate) async fn workers(&self, job: &JobId) -> Result<u32, TableError> {
        let now = self.clock.now().as_millis();
        let mut workers = 0;
        for item in self.query(&partition(job), "process/", true).await? {
            let mut reader = Reader { table: &self.table, key: "process".to_owned(), item };
            if reader.number::<i64>("until")? >= now {
                workers += reader.number::<u32>("workers")?;
            }
        }
        Ok(workers)
    }
}

/// The partition of the job's batches, log and processes.
pub(crate) fn partition(job: &JobId) -> String {
    format!("job#{job}")
}

/// The lease of whoever plans the job.
pub(crate) fn plan_key(job: &JobId) -> LeaseKey {
    LeaseKey::new(partition(job), "plan".to_owned())
}

fn key(pk: &str, sk: &str) -> Item {
    HashMap::from([(PK.to_owned(), text(pk)), (SK.to_owned(), text(sk))])
}

fn json(table: &str, job: &Job) -> Result<String, TableError> {
    serde_json::to_string(job).map_err(refused(table))
}

pub(crate) fn refused<E: std::fmt::Display>(table: &str) -> impl Fn(E) -> TableError {
    let table = table.to_owned();
    move |error| TableError::Refused { table: table.clone(), reason: error.to_string() }
}

fn is_cancelled<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    error.code() == Some("TransactionCanceledException")
}
