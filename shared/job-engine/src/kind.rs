//! What a kind of job has to say, and the kinds that there are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use nextbasket_domain::Clock;
use nextbasket_objects::Bucket;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Site;
use crate::error::{JobError, Refusal, WorkError};
use crate::job::{Job, OUTPUT};
use crate::redaction::Redaction;
use crate::stage::{Aggregate, StagePlan};
use crate::store::{BatchRecord, Store};
use crate::trust::Trust;
use crate::work::Work;

/// A kind of job: how it is split into stages of batches, and how one batch is done.
///
/// Planning may be done more than once after a crash, so it has to be without effects of its own, or idempotent.
pub trait Kind: Send + Sync + 'static {
    /// What its parameters say, read and checked.
    type Task: Send + Sync + 'static;

    /// Its name in requests: `count`, `train`.
    fn name(&self) -> &'static str;

    /// Whether its jobs write to tables. Those that only read may have their state in another DynamoDB than the tables.
    fn writes_tables(&self) -> bool {
        true
    }

    /// Reads and checks the parameters, and nothing else. A job whose parameters have `"dryRun": true` is never planned:
    /// its result is its estimate. A job whose parameters are refused is not accepted; one that
    /// was accepted elsewhere fails. Parameters that need more trust than the job has are refused as well.
    ///
    /// # Errors
    /// [`Refusal`] that names the first field that is wrong.
    fn task(&self, parameters: &Value, trust: Trust) -> Result<Self::Task, Refusal>;

    /// The lock that the job holds from its first stage to its end, if any: two jobs that must not run at the same time
    /// name the same one.
    fn lock(&self, _task: &Self::Task) -> Option<String> {
        None
    }

    /// Takes out of the parameters what may be of persons, such as ids, and constants that items are compared with. The
    /// record of a job that has ended keeps its parameters without them, and no message of a job contains them.
    fn redact(&self, _parameters: &mut Value, _redaction: &mut Redaction) {}

    /// What the job would read and write, how long it would take and what it would cost.
    fn estimate(
        &self,
        site: &Site,
        task: &Self::Task,
    ) -> impl Future<Output = Result<Estimate, JobError>> + Send;

    /// The next stage, once all batches of the stages before have ended.
    fn plan(
        &self,
        planning: &Planning<'_>,
        task: &Self::Task,
    ) -> impl Future<Output = Result<Next, JobError>> + Send;

    /// Does one batch, from its checkpoint if it has one.
    fn work(
        &self,
        work: &mut Work,
        task: Self::Task,
    ) -> impl Future<Output = Result<Outcome, WorkError>> + Send;
}

/// A [`Kind`] whatever its tasks are.
pub(crate) trait AnyKind: Send + Sync {
    fn writes_tables(&self) -> bool;

    fn task(&self, parameters: &Value, trust: Trust) -> Result<Box<dyn AnyTask + '_>, Refusal>;

    fn redact(&self, parameters: &mut Value, redaction: &mut Redaction);
}

/// A task, with the kind that it is one of.
pub(crate) trait AnyTask: Send + Sync {
    fn lock(&self) -> Option<String>;

    fn estimate<'a>(&'a self, site: &'a Site) -> BoxFuture<'a, Result<Estimate, JobError>>;

    fn plan<'a>(&'a self, planning: &'a Planning<'_>) -> BoxFuture<'a, Result<Next, JobError>>;

    fn work<'a>(self: Box<Self>, work: &'a mut Work) -> BoxFuture<'a, Result<Outcome, WorkError>>
    where
        Self: 'a;
}

impl<K: Kind> AnyKind for K {
    fn writes_tables(&self) -> bool {
        Kind::writes_tables(self)
    }

    fn task(&self, parameters: &Value, trust: Trust) -> Result<Box<dyn AnyTask + '_>, Refusal> {
        Ok(Box::new((self, Kind::task(self, parameters, trust)?)))
    }

    fn redact(&self, parameters: &mut Value, redaction: &mut Redaction) {
        Kind::redact(self, parameters, redaction);
    }
}

impl<K: Kind> AnyTask for (&K, K::Task) {
    fn lock(&self) -> Option<String> {
        self.0.lock(&self.1)
    }

    fn estimate<'a>(&'a self, site: &'a Site) -> BoxFuture<'a, Result<Estimate, JobError>> {
        Box::pin(self.0.estimate(site, &self.1))
    }

    fn plan<'a>(&'a self, planning: &'a Planning<'_>) -> BoxFuture<'a, Result<Next, JobError>> {
        Box::pin(self.0.plan(planning, &self.1))
    }

    fn work<'a>(self: Box<Self>, work: &'a mut Work) -> BoxFuture<'a, Result<Outcome, WorkError>>
    where
        Self: 'a,
    {
        let (kind, task) = *self;
        Box::pin(kind.work(work, task))
    }
}

/// What comes after the stages so far.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// A further stage.
    Stage(StagePlan),
    /// Nothing yet: plan again after this time. For jobs that follow a table.
    Wait(Duration),
    /// The job has succeeded, with this result (at most some 100 KB of JSON).
    Done(Value),
}

/// How a batch ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done; this is its result.
    Done(Vec<u8>),
    /// It was told to stop ([`Work::save`] said so) and goes on later from its checkpoint.
    Stopped,
}

impl Outcome {
    /// Done, with a result in JSON.
    ///
    /// # Errors
    /// [`WorkError::Failed`] if the value has no JSON.
    pub fn done(result: &impl Serialize) -> Result<Self, WorkError> {
        Ok(Self::Done(serde_json::to_vec(result)?))
    }
}

/// What a job would take.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Estimate {
    /// Items (or lines) to look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<u64>,
    /// Of them, how many are likely to be changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<u64>,
    /// Their size in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Read units.
    pub read_units: f64,
    /// Write units.
    pub write_units: f64,
    /// Seconds at the rates given; `None` without a rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// US dollars, by on-demand prices of us-east-1.
    pub cost_usd: f64,
    /// What else is to be said, one sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// US dollars per million on-demand read request units in us-east-1 (<https://aws.amazon.com/dynamodb/pricing/on-demand/>).
const USD_PER_MILLION_READ: f64 = 0.125;
/// US dollars per million on-demand write request units in us-east-1, from the same page.
const USD_PER_MILLION_WRITE: f64 = 0.625;

/// What these units cost in US dollars, by on-demand prices of us-east-1.
pub fn on_demand_usd(read_units: f64, write_units: f64) -> f64 {
    (read_units * USD_PER_MILLION_READ + write_units * USD_PER_MILLION_WRITE) / 1e6
}

impl Estimate {
    /// Fills in seconds and cost from the units and the rates.
    #[must_use]
    pub fn at(mut self, rates: crate::Rates) -> Self {
        self.cost_usd = on_demand_usd(self.read_units, self.write_units);
        let read = rates.read.map(|rate| self.read_units / rate);
        let write = rates.write.map(|rate| self.write_units / rate);
        self.seconds = match (read, write) {
            (Some(read), Some(write)) => Some(read.max(write)),
            (one, other) => one.or(other),
        };
        self
    }
}

/// What a kind plans with. What is read fails with a [`JobError`] if the operations table or the bucket does not answer.
pub struct Planning<'a> {
    /// Where the job runs.
    pub site: &'a Site,
    /// The job, with the stages so far; all of them have ended.
    pub job: &'a Job,
}

impl Planning<'_> {
    /// The time.
    pub fn clock(&self) -> &Clock {
        &self.site.clock
    }

    /// How many stages have been planned so far: the number of the next one.
    pub fn stages(&self) -> u32 {
        self.job.stage().map_or(0, |stage| stage.number + 1)
    }

    /// The batches of a stage, in their order; those that failed (within what is tolerated) have no result.
    pub async fn batches(&self, stage: u32) -> Result<Vec<BatchRecord>, JobError> {
        Ok(Store::new(self.site).batches(&self.job.job_id, self.job.stage_size(stage)).await?)
    }

    /// A batch's result; `None` if it failed.
    ///
    /// # Errors
    /// [`JobError`] if the object cannot be read.
    pub async fn result(&self, batch: &BatchRecord) -> Result<Option<Vec<u8>>, JobError> {
        Ok(batch.result(&self.site.objects).await?)
    }

    /// The results of a stage's batches from JSON, in the batches' order, without those of batches that failed.
    ///
    /// # Errors
    /// [`JobError`] if a result cannot be read.
    pub async fn results<T: DeserializeOwned>(&self, stage: u32) -> Result<Vec<T>, JobError> {
        let mut results = Vec::new();
        for batch in self.batches(stage).await? {
            if let Some(result) = self.result(&batch).await? {
                let number = batch.batch;
                results.push(serde_json::from_slice(&result).map_err(|error| {
                    JobError::Failed(format!("result of batch {number} of stage {stage} is invalid: {error}"))
                })?);
            }
        }
        Ok(results)
    }

    /// The results of a stage from JSON, put together by `plus`, which must be associative: see
    /// [`merged`](Self::merged). `None` if no batch has a result.
    ///
    /// # Errors
    /// [`JobError`] if a result cannot be read.
    pub async fn sum<T>(&self, stage: u32, plus: fn(T, T) -> T) -> Result<Option<T>, JobError>
    where
        T: Serialize + DeserializeOwned + 'static,
    {
        fn parsed<T: DeserializeOwned>(result: &[u8]) -> Result<T, String> {
            serde_json::from_slice(result).map_err(|error| format!("result of a batch is invalid: {error}"))
        }
        let merge = move |left: Vec<u8>, right: Vec<u8>| {
            let sum = plus(parsed(&left)?, parsed(&right)?);
            serde_json::to_vec(&sum).map_err(|error| error.to_string())
        };
        let sum = self.merged(stage, merge).await?;
        sum.map(|sum| parsed(&sum)).transpose().map_err(JobError::Failed)
    }

    /// The results of a stage put together by `merge`, which must be associative: in the batches' order one after
    /// the other, or in a tree of neighbours on all cores, as the stage says. `None` if no batch has a result.
    ///
    /// # Errors
    /// [`JobError`] if a result cannot be read, or [`JobError::Failed`] with what `merge` says.
    pub async fn merged(
        &self,
        stage: u32,
        merge: impl Fn(Vec<u8>, Vec<u8>) -> Result<Vec<u8>, String> + Clone + Send + Sync + 'static,
    ) -> Result<Option<Vec<u8>>, JobError> {
        let aggregate = self
            .job
            .stages
            .iter()
            .find(|known| known.number == stage)
            .map_or(Aggregate::Serial, |known| known.aggregate);
        crate::merge::merged(&self.site.objects, &self.batches(stage).await?, aggregate, merge).await
    }

    /// The bucket of plans and results.
    pub fn objects(&self) -> &Bucket {
        &self.site.objects
    }

    /// Writes what all batches of a stage read, or a later plan, as an object of the job, and returns its key. It is
    /// removed when the job ends.
    ///
    /// # Errors
    /// [`JobError`] if the bucket does not take it.
    pub async fn put_json(&self, name: &str, value: &impl Serialize) -> Result<String, JobError> {
        let key = self.job.job_id.object_key(name);
        self.objects().put(&key, serde_json::to_vec(value)?).await?;
        Ok(key)
    }

    /// Writes an object that is kept when the job ends, for its result to name, and returns its key.
    ///
    /// # Errors
    /// [`JobError`] if the bucket does not take it.
    pub async fn put_output(&self, name: &str, value: &impl Serialize) -> Result<String, JobError> {
        self.put_json(&format!("{OUTPUT}{name}"), value).await
    }

    /// Reads what [`put_json`](Self::put_json) wrote under this name.
    ///
    /// # Errors
    /// [`JobError`] if the object cannot be read, or is of another form.
    pub async fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<T, JobError> {
        let key = self.job.job_id.object_key(name);
        let content = self.objects().get(&key).await?;
        serde_json::from_slice(&content).map_err(|error| JobError::Failed(format!("{key}: {error}")))
    }
}

/// The parameters as a type of the kind's own.
///
/// # Errors
/// [`Refusal`] that names the field that is wrong.
pub fn parameters<P: DeserializeOwned>(parameters: &Value) -> Result<P, Refusal> {
    serde_path_to_error::deserialize(parameters).map_err(|error| {
        let field = error.path().to_string();
        Refusal::parameter(&field, error.into_inner().to_string())
    })
}

/// Rejects a number out of its range.
///
/// # Errors
/// [`Refusal`] of the parameter `field`.
pub fn check_range(field: &str, value: Option<impl Into<u64>>, min: u64, max: u64) -> Result<(), Refusal> {
    match value.map(Into::into) {
        Some(value) if !(min..=max).contains(&value) => {
            Err(Refusal::parameter(field, format!("must be from {min} to {max}")))
        }
        _ => Ok(()),
    }
}

/// Rejects a rate that is no rate.
///
/// # Errors
/// [`Refusal`] of the parameter `field`.
pub fn check_rate(field: &str, rate: Option<f64>) -> Result<(), Refusal> {
    if rate.is_some_and(|rate| !(rate.is_finite() && rate >= 0.1)) {
        return Err(Refusal::parameter(field, "must be at least 0.1 units per second"));
    }
    Ok(())
}

/// Rejects what is not a percentage of batches that may fail for good.
///
/// # Errors
/// [`Refusal`] of the parameter `tolerated`.
pub fn check_tolerated(percent: f64) -> Result<(), Refusal> {
    if (0.0..=100.0).contains(&percent) {
        return Ok(());
    }
    Err(Refusal::parameter("tolerated", "must be from 0 to 100 percent"))
}

/// The kinds of job that there are, by name.
#[derive(Clone, Default)]
pub struct Kinds(BTreeMap<&'static str, Arc<dyn AnyKind>>);

impl Kinds {
    /// With one more kind.
    #[must_use]
    pub fn with(mut self, kind: impl Kind) -> Self {
        self.0.insert(kind.name(), Arc::new(kind));
        self
    }

    /// The kind of this name.
    ///
    /// # Errors
    /// [`JobError::UnknownKind`].
    pub(crate) fn named(&self, name: &str) -> Result<&dyn AnyKind, JobError> {
        self.0.get(name).map(AsRef::as_ref).ok_or_else(|| JobError::UnknownKind(name.to_owned()))
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.keys().copied()
    }
}

impl std::fmt::Debug for Kinds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
