//! Jobs and batches in the operations table.
//!
//! | `pk` | `sk` | item |
//! |---|---|---|
//! | `jobs` | job id | the job |
//! | `jobs-by-time` | time of submission, job id | an entry for each job, for lists |
//! | `active` | job id | that the job has not ended |
//! | `uncleaned` | job id | that the job has ended and not all of its objects and batches could be removed |
//! | `job#ID#PART` | `batch/STAGE/BATCH` | a batch: its lease, its checkpoint, its result |
//! | `job#ID` | `count/STAGE/SHARD` | how far a stage has come |
//! | `job#ID` | `failed/STAGE/BATCH` | a batch that failed for good, with the reason |
//! | `job#ID` | `plan` | the lease of whoever plans |
//! | `job#ID` | `log/TIME/…` | a line of its log |
//! | `job#ID` | `process/…` | a process that works on it |
//!
//! A run of a hundred consecutive batches is one part, and parts alternate between [`PARTS`] partitions. So a job of
//! ten thousand batches has no hot partition, and a small job is read with one query. [`counts`] has the progress of
//! a stage, counted in the same transactions that end its batches, so that nobody who watches a job reads batches.
//!
//! When a job ends, its batches, counts and processes are removed before the end is written, and what its parameters say
//! of persons is taken out of its own item. A job expires [`KEPT`] after its end, and its data [`KEPT`] after it was
//! written (`expireAt`, in seconds). A job that has not ended does not expire.

mod batches;
mod counts;
mod forget;
mod list;
mod log;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConsumedCapacity, Delete, Put, ReturnConsumedCapacity,
    ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use nextbasket_domain::{Clock, Random, Timestamp};
use nextbasket_dynamodb::item::{Item, ItemReader, bytes, number, text};
use nextbasket_dynamodb::request::get_item;
use nextbasket_dynamodb::{TableError, TransactionError};
use nextbasket_locks::LeaseKey;

pub use batches::{BatchRecord, BatchState, ROW as BATCH_ROW, batch_key};
pub(crate) use counts::CountChange;
pub use counts::Counts;
pub use list::{JobsPage, JobsPosition};
pub use log::LogLine;

use crate::Site;
use crate::error::JobError;
use crate::job::{Job, JobId, JobKey};

/// How long jobs, batches and logs are kept after they were last written.
pub const KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// The number of partitions that a job's batches are in.
pub const PARTS: u32 = 16;

const PK: &str = "pk";
const SK: &str = "sk";
const JOBS: &str = "jobs";
const ACTIVE: &str = "active";
const UNCLEANED: &str = "uncleaned";
const JOB: &str = "job";
const CANCELLING: &str = "cancelling";
const FAILING: &str = "failing";
const REVISION: &str = "revision";
const OF_LAYOUT: &str = "layout";
/// Only a job that has ended has this attribute.
const ENDED: &str = "ended";
/// Superseded stages whose data is still to be removed, as JSON.
const LEFTOVERS: &str = "leftovers";
const VOUCHER: &str = "voucher";
/// Only a job that has not ended has this attribute.
const JOB_KEY: &str = "jobKey";
/// How the job ends, as JSON, while what it has left is removed.
const ENDING: &str = "ending";
const PARAMETERS_CODE: &str = "parametersCode";
/// The table's attribute of time to live.
pub(crate) const EXPIRE_AT: &str = "expireAt";
/// Only a batch that has ended has this attribute.
pub(crate) const STATE: &str = "state";
pub(crate) const CHECKPOINT: &str = "checkpoint";
pub(crate) const PROGRESS: &str = "progress";
/// The part of a batch's progress that is already in its stage's counts.
pub(crate) const COUNTED: &str = "counted";
pub(crate) const SAVES: &str = "saves";
/// The number of claims since its checkpoint last moved.
pub(crate) const ATTEMPTS: &str = "attempts";
/// How many of these attempts ended without a message.
pub(crate) const SILENT: &str = "silent";
/// The digest of the checkpoint when the count of attempts started again.
pub(crate) const SEEN: &str = "seen";
/// The holder in the attempt before.
pub(crate) const BEFORE: &str = "before";
pub(crate) const RESULT: &str = "result";
pub(crate) const RESULT_OBJECT: &str = "resultObject";
pub(crate) const FAILURE: &str = "failure";
pub(crate) const RETRY_AT: &str = "retryAt";
/// How long a transaction is retried when others conflict with it.
const PATIENCE: Duration = Duration::from_secs(4);
/// The first pause before such a retry; it doubles, with jitter.
const PAUSE: Duration = Duration::from_millis(20);

/// Jobs and batches in the operations table. Every call fails with a [`TableError`] if DynamoDB does not answer; what
/// else may go wrong is said with it.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
    table: String,
    clock: Clock,
    random: Random,
}

impl Store {
    /// The site's.
    pub fn new(site: &Site) -> Self {
        Self {
            client: site.operations_dynamodb().clone(),
            table: site.operations.clone(),
            clock: site.clock.clone(),
            random: site.random.clone(),
        }
    }

    pub(crate) fn table(&self) -> &str {
        &self.table
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

    /// Makes a transaction, and returns its write units. The same transaction is retried while others have its items,
    /// DynamoDB asks for a slower pace, or no answer says whether it was made.
    pub(crate) async fn transact(&self, writes: Vec<TransactWriteItem>) -> Result<f64, TransactionError> {
        let token = format!("{:016x}{:016x}", self.random.draw(), self.random.draw());
        let began = Instant::now();
        let mut pause = PAUSE;
        loop {
            let sent = self
                .client
                .transact_write_items()
                .client_request_token(&token)
                .set_transact_items(Some(writes.clone()))
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await;
            let error = match sent {
                Ok(output) => {
                    let units =
                        output.consumed_capacity().iter().filter_map(ConsumedCapacity::capacity_units);
                    return Ok(units.sum());
                }
                Err(error) => TransactionError::from_sdk(&self.table, error),
            };
            if !error.is_transient() || began.elapsed() >= PATIENCE {
                return Err(error);
            }
            tokio::time::sleep(crate::pause::jittered(pause, &self.random)).await;
            pause *= 2;
        }
    }

    /// Writes a new job. `false` if there is one of this id.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not take it.
    pub async fn create(&self, job: &Job) -> Result<bool, JobError> {
        let put = |item: Item| Put::builder().table_name(&self.table).set_item(Some(item));
        let mut item = key(JOBS, job.job_id.as_str());
        item.insert(JOB.to_owned(), text(json(&self.table, job)?));
        item.insert(REVISION.to_owned(), number(job.revision));
        item.insert(OF_LAYOUT.to_owned(), number(job.layout));
        item.extend(job.voucher.as_ref().map(|voucher| (VOUCHER.to_owned(), text(voucher))));
        item.extend(job.key.as_ref().map(|key| (JOB_KEY.to_owned(), bytes(key.0.to_vec()))));
        let puts = [
            put(item).condition_expression("attribute_not_exists(pk)"),
            put(key(list::BY_TIME, JobsPosition::of(job).as_str())),
            put(key(ACTIVE, job.job_id.as_str())),
        ];
        let writes = puts
            .into_iter()
            .map(|put| Ok(TransactWriteItem::builder().put(put.build()?).build()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(refused::<aws_sdk_dynamodb::error::BuildError>(&self.table))?;
        match self.transact(writes).await {
            Ok(_) => Ok(true),
            Err(error) if error.failed_condition(0) => Ok(false),
            Err(error) => Err(error.into_table(&self.table).into()),
        }
    }

    /// The job as it is now.
    ///
    /// # Errors
    /// [`JobError::Unknown`] if there is none.
    pub async fn load(&self, id: &JobId) -> Result<Job, JobError> {
        self.find(id, true).await?.ok_or_else(|| JobError::Unknown(id.to_string()))
    }

    /// The job as it is now, or as it was a moment ago; `None` if there is no such job.
    pub(crate) async fn find(&self, id: &JobId, consistent: bool) -> Result<Option<Job>, TableError> {
        let item = get_item(&self.client, &self.table, key(JOBS, id.as_str()), consistent).await?;
        item.map(|item| self.job(item)).transpose()
    }

    fn job(&self, item: Item) -> Result<Job, TableError> {
        let mut reader = ItemReader { table: &self.table, key: JOBS.to_owned(), item };
        reader.key = format!("{JOBS}/{}", reader.text(SK)?);
        let mut job: Job = reader.parsed(JOB, |text| serde_json::from_str(text))?;
        job.revision = reader.number(REVISION)?;
        job.voucher = reader.optional(VOUCHER, ItemReader::text)?;
        job.key =
            reader.optional(JOB_KEY, ItemReader::bytes)?.and_then(|key| key.try_into().ok()).map(JobKey);
        job.parameters_code = reader.optional(PARAMETERS_CODE, ItemReader::text)?;
        let leftovers = reader
            .optional(LEFTOVERS, |reader, name| reader.parsed(name, |text| serde_json::from_str(text)))?;
        job.leftovers = leftovers.unwrap_or_default();
        job.layout = reader.optional(OF_LAYOUT, ItemReader::number)?.unwrap_or(1);
        if job.state.has_ended() {
            job.cancelling = false;
            return Ok(job);
        }
        job.ending =
            reader.optional(ENDING, |reader, name| reader.parsed(name, |text| serde_json::from_str(text)))?;
        if job.ending.is_some() {
            // It is decided how the job ends.
            return Ok(job);
        }
        job.cancelling = reader.optional(CANCELLING, ItemReader::truth)?.unwrap_or_default();
        if let Some(failing) = reader.optional(FAILING, ItemReader::text)? {
            job.failure = Some(failing);
        }
        Ok(job)
    }

    /// Writes the job if nobody wrote it since it was read.
    ///
    /// # Errors
    /// [`TableError::Contended`] if somebody did.
    pub async fn save(&self, job: &mut Job) -> Result<(), JobError> {
        let ending = job.ending.as_ref().map(serde_json::to_string).transpose();
        let ending = ending.map_err(refused(&self.table))?;
        let set = if ending.is_some() { ", ending = :ending" } else { "" };
        let set = format!("SET #job = :job, revision = :next, leftovers = :leftovers{set} REMOVE expireAt");
        let leftovers = serde_json::to_string(&job.leftovers).map_err(refused(&self.table))?;
        let mut values = vec![(":leftovers", text(leftovers))];
        values.extend(ending.map(|ending| (":ending", text(ending))));
        self.write_job(job, &set, values, Vec::new()).await
    }

    /// Writes the job that has ended, if nobody wrote it since it was read. It is not active any more, and nothing is
    /// left of what only a running job needs. If it is not `cleaned`, that is noted for [`Store::uncleaned`].
    ///
    /// # Errors
    /// [`TableError::Contended`] if somebody wrote it.
    pub(crate) async fn save_end(&self, job: &mut Job, cleaned: bool) -> Result<(), JobError> {
        let code = job.parameters_code.clone();
        let set = format!(
            "SET #job = :job, revision = :next, expireAt = :expiry, ended = :ended{} \
             REMOVE leftovers, ending, cancelling, failing, voucher, jobKey",
            if code.is_some() { ", parametersCode = :code" } else { "" }
        );
        let mut values = vec![(":expiry", self.expiry()), (":ended", text(job.state.as_str()))];
        values.extend(code.map(|code| (":code", text(code))));
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(key(ACTIVE, job.job_id.as_str())))
            .build()
            .map_err(refused(&self.table))?;
        let listed = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key(list::BY_TIME, JobsPosition::of(job).as_str())))
            .update_expression("SET expireAt = :expiry")
            .expression_attribute_values(":expiry", self.expiry())
            .build()
            .map_err(refused(&self.table))?;
        let mut others = vec![
            TransactWriteItem::builder().delete(delete).build(),
            TransactWriteItem::builder().update(listed).build(),
        ];
        if !cleaned {
            let put = Put::builder().table_name(&self.table);
            let put = put.set_item(Some(key(UNCLEANED, job.job_id.as_str()))).build();
            others.push(TransactWriteItem::builder().put(put.map_err(refused(&self.table))?).build());
        }
        self.write_job(job, &set, values, others).await
    }

    /// Makes one transaction of an update of the job's item and other writes, if nobody wrote the job since it was read.
    async fn write_job(
        &self,
        job: &mut Job,
        expression: &str,
        values: Vec<(&str, AttributeValue)>,
        others: Vec<TransactWriteItem>,
    ) -> Result<(), JobError> {
        let before = job.revision;
        job.revision += 1;
        let mut update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key(JOBS, job.job_id.as_str())))
            .update_expression(expression)
            .condition_expression("revision = :before")
            .expression_attribute_names("#job", JOB)
            .expression_attribute_values(":job", text(json(&self.table, job)?))
            .expression_attribute_values(":next", number(job.revision))
            .expression_attribute_values(":before", number(before));
        for (name, value) in values {
            update = update.expression_attribute_values(name, value);
        }
        let update = update.build().map_err(refused(&self.table))?;
        let mut writes = vec![TransactWriteItem::builder().update(update).build()];
        writes.extend(others);
        match self.transact(writes).await {
            Ok(_) => Ok(()),
            // A retried transaction with the same token succeeds if it was already made, so this conflict is with
            // another writer.
            Err(error) if error.failed_condition(0) => {
                let key = job.job_id.to_string();
                Err(TableError::Contended { table: self.table.clone(), key, attempts: 1 }.into())
            }
            Err(error) => Err(error.into_table(&self.table).into()),
        }
    }

    /// When the job was last planned; `None` if that never happened, or is so long ago that it is not known any more.
    pub(crate) async fn planned_at(&self, id: &JobId) -> Result<Option<Timestamp>, TableError> {
        let item = get_item(&self.client, &self.table, key(&partition(id), "plan"), true).await?;
        let Some(item) = item else { return Ok(None) };
        let mut reader = ItemReader { table: &self.table, key: "plan".to_owned(), item };
        let expires = reader.optional(EXPIRE_AT, ItemReader::number::<i64>)?;
        let kept = i64::try_from(KEPT.as_secs()).unwrap_or(0);
        Ok(expires.and_then(|at| Timestamp::from_millis((at - kept).saturating_mul(1000)).ok()))
    }

    /// Asks for the job's end. Returns the job if it has already ended: then nothing is changed.
    ///
    /// # Errors
    /// [`JobError::Unknown`] if there is none.
    pub async fn cancel(&self, id: &JobId) -> Result<Option<Job>, JobError> {
        self.mark(id, CANCELLING, AttributeValue::Bool(true)).await
    }

    /// Says why the job has to end; the first reason stays.
    ///
    /// # Errors
    /// [`JobError::Unknown`] if there is none.
    pub async fn failing(&self, id: &JobId, reason: &str) -> Result<(), JobError> {
        self.mark(id, FAILING, text(reason)).await.map(drop)
    }

    /// Sets an attribute of the job. Returns the job if it has already ended: then the attribute was not set.
    async fn mark(&self, id: &JobId, name: &str, value: AttributeValue) -> Result<Option<Job>, JobError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(JOBS, id.as_str())))
            .update_expression("SET #name = if_not_exists(#name, :value)")
            .condition_expression("attribute_exists(pk) AND attribute_not_exists(#ended)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .expression_attribute_names("#name", name)
            .expression_attribute_names("#ended", ENDED)
            .expression_attribute_values(":value", value);
        match update.send().await {
            Ok(_) => Ok(None),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    let item = failed.item.clone().ok_or_else(|| JobError::Unknown(id.to_string()))?;
                    Ok(Some(self.job(item)?))
                }
                _ => Err(self.failed(error).into()),
            },
        }
    }

    /// All items of the partition whose sort keys begin with `sk`, strongly consistent.
    async fn query(&self, pk: &str, sk: &str) -> Result<Vec<Item>, TableError> {
        self.query_with(pk, sk, true).await
    }

    /// A query for the items of the partition whose sort keys begin with `sk`.
    fn select(&self, pk: &str, sk: &str) -> QueryFluentBuilder {
        let query = self.client.query().table_name(&self.table).expression_attribute_values(":pk", text(pk));
        if sk.is_empty() {
            return query.key_condition_expression("pk = :pk");
        }
        query
            .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
            .expression_attribute_values(":sk", text(sk))
    }

    async fn delete(&self, key: Item) -> Result<(), TableError> {
        let delete = self.client.delete_item().table_name(&self.table).set_key(Some(key));
        delete.send().await.map(drop).map_err(|error| self.failed(error))
    }

    async fn query_with(&self, pk: &str, sk: &str, consistent: bool) -> Result<Vec<Item>, TableError> {
        let mut pages = self.select(pk, sk).consistent_read(consistent).into_paginator().items().send();
        let mut items = Vec::new();
        while let Some(item) = pages.next().await {
            items.push(item.map_err(|error| self.failed(error))?);
        }
        Ok(items)
    }
}

/// The partition of the job's counts, log and processes.
pub(crate) fn partition(job: &JobId) -> String {
    format!("job#{job}")
}

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
