//! Submit, plan, work, cancel, show.

mod planning;
mod working;

use std::time::Duration;

use nextbasket_domain::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::Site;
use crate::error::{JobError, Refusal};
use crate::job::{Job, JobId, JobState, Progress, Stage};
use crate::kind::{AnyKind, Estimate, Kinds};
use crate::objects::Objects;
use crate::stage::BatchTask;
use crate::store::{BatchRecord, BatchState, JobsPage, LogLine, Store};

/// The most bytes of parameters.
const PARAMETERS_BYTES: usize = 64 * 1024;
/// How many lines of its log a job shows.
const SHOWN_LINES: u32 = 100;

/// The engine: the kinds of job, and where jobs run.
#[derive(Debug, Clone)]
pub struct Engine {
    site: Site,
    kinds: Kinds,
}

/// What is to be done next for a job.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Its batches are to be worked on.
    Work(WorkStep),
    /// Plan again after this time.
    Wait(Duration),
    /// Another job has the lock; plan again after a while.
    Locked {
        /// The lock.
        name: String,
        /// Who has it.
        holder: String,
    },
    /// The job has ended.
    Ended(Box<Job>),
}

/// A stage that is to be worked on.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkStep {
    /// The stage's number.
    pub stage: u32,
    /// How many batches it has.
    pub batches: u32,
    /// How many are worked on at a time.
    pub width: u32,
    /// How many may fail for good, in percent.
    pub tolerated: f64,
    /// The key of the plan's object: a JSON array of [`BatchTask`]s in the order in which they go out.
    pub plan: String,
}

/// How working on a batch ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Worked {
    /// It is done or has failed for good.
    Ended(BatchState),
    /// Another worker has it, or it waits before it is tried again: not before this time.
    Later(Timestamp),
    /// It was told to stop; its checkpoint is saved.
    Stopped,
    /// It met an error that every batch would meet: the job is ending.
    Systemic(String),
}

/// A batch that failed for good.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Failure {
    /// The stage's number.
    pub stage: u32,
    /// The batch's number.
    pub batch: u32,
    /// Why.
    pub reason: String,
}

/// A job with what its batches say now.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobView {
    /// The job; the progress of the stage that is worked on is that of now.
    #[serde(flatten)]
    pub job: Job,
    /// Batches of the last stage that failed for good, at most 100.
    pub failures: Vec<Failure>,
    /// The newest lines of its log, the oldest of them first.
    pub log: Vec<LogLine>,
}

impl Engine {
    /// Jobs of these kinds at this site.
    #[must_use]
    pub fn new(site: Site, kinds: Kinds) -> Self {
        Self { site, kinds }
    }

    /// Where jobs run.
    #[must_use]
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The kinds.
    #[must_use]
    pub fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    fn store(&self) -> Store {
        Store::new(&self.site)
    }

    /// What a job with these parameters would take.
    ///
    /// # Errors
    /// [`JobError`] if they are refused, or a table cannot be looked at.
    pub async fn estimate(&self, kind: &str, parameters: &Value) -> Result<Estimate, JobError> {
        self.asked(kind, parameters)?.estimate(&self.site, parameters).await
    }

    /// The kind, if the parameters are of a size that it may be asked about.
    fn asked(&self, kind: &str, parameters: &Value) -> Result<&dyn AnyKind, JobError> {
        let named = self.kinds.named(kind)?;
        if parameters.to_string().len() > PARAMETERS_BYTES {
            let problem = format!("must have at most {PARAMETERS_BYTES} bytes");
            return Err(Refusal { field: "parameters".to_owned(), problem }.into());
        }
        Ok(named)
    }

    /// Accepts a job. The same id with the same kind and parameters again is the same job.
    ///
    /// # Errors
    /// [`JobError::Refused`] if the kind refuses the parameters, or the id is another job's.
    pub async fn submit(&self, id: Option<JobId>, kind: &str, parameters: Value) -> Result<Job, JobError> {
        self.asked(kind, &parameters)?.check(&parameters)?;
        let now = self.site.clock.now();
        let job_id = id.unwrap_or_else(|| JobId::new(now, &self.site.random));
        let job = Job {
            job_id,
            kind: kind.to_owned(),
            parameters,
            state: JobState::Waiting,
            created_at: now,
            started_at: None,
            ended_at: None,
            stages: Vec::new(),
            total: Progress::default(),
            lock: None,
            cancelling: false,
            failure: None,
            result: None,
            waits_until: None,
            revision: 0,
        };
        if self.store().create(&job).await? {
            return Ok(job);
        }
        let known = self.store().load(&job.job_id).await?;
        if known.kind == job.kind && known.parameters == job.parameters {
            return Ok(known);
        }
        let problem = "is that of another job".to_owned();
        Err(Refusal { field: "jobId".to_owned(), problem }.into())
    }

    /// Jobs, newest first.
    ///
    /// # Errors
    /// [`JobError`] if the operations table does not answer.
    pub async fn list(&self, limit: u32, after: Option<&JobId>) -> Result<JobsPage, JobError> {
        Ok(self.store().list(limit, after).await?)
    }

    /// The jobs that have not ended, oldest first.
    ///
    /// # Errors
    /// [`JobError`] if the operations table does not answer.
    pub async fn active(&self) -> Result<Vec<JobId>, JobError> {
        Ok(self.store().active().await?)
    }

    /// The job as it was last written: without its batches' progress.
    ///
    /// # Errors
    /// [`JobError::Unknown`] if there is none.
    pub async fn job(&self, id: &JobId) -> Result<Job, JobError> {
        self.store().load(id).await
    }

    /// The job with its batches' progress, failures and log.
    ///
    /// # Errors
    /// [`JobError::Unknown`] if there is none.
    pub async fn show(&self, id: &JobId) -> Result<JobView, JobError> {
        let store = self.store();
        let mut job = store.load(id).await?;
        let mut failures = Vec::new();
        if let Some(stage) = job.stages.last_mut() {
            let batches = store.batches(id, stage.number).await?;
            if stage.ended_at.is_none() {
                count(stage, &batches);
            }
            failures = failed(stage.number, &batches).take(100).collect();
        }
        Ok(JobView { job, failures, log: store.logs(id, SHOWN_LINES).await? })
    }

    /// Asks for a job's end: its batches stop at their next checkpoint.
    ///
    /// # Errors
    /// [`JobError::Unknown`] if there is none.
    pub async fn cancel(&self, id: &JobId) -> Result<(), JobError> {
        self.store().cancel(id).await
    }

    /// Ends a job that cannot go on, from outside: what the state machine does when its own attempts are used up.
    ///
    /// # Errors
    /// [`JobError`] if the operations table does not answer.
    pub async fn fail(&self, id: &JobId, reason: &str) -> Result<(), JobError> {
        self.store().failing(id, reason).await
    }

    /// The keys of the job's files of refused items, in order.
    ///
    /// # Errors
    /// [`JobError`] if S3 does not answer.
    pub async fn refused(&self, id: &JobId) -> Result<Vec<String>, JobError> {
        Ok(self.site.objects.list(&Objects::key(id, "refused/")).await?)
    }

    /// The batches of a stage, in the order in which they go out.
    ///
    /// # Errors
    /// [`JobError`] if the plan cannot be read.
    pub async fn tasks(&self, step: &WorkStep) -> Result<Vec<BatchTask>, JobError> {
        let content = self.site.objects.get(&step.plan).await?;
        serde_json::from_slice(&content).map_err(|error| JobError::Failed(format!("{}: {error}", step.plan)))
    }

    /// The batches of a stage that have been begun.
    ///
    /// # Errors
    /// [`JobError`] if the operations table does not answer.
    pub async fn batches(&self, id: &JobId, stage: u32) -> Result<Vec<BatchRecord>, JobError> {
        Ok(self.store().batches(id, stage).await?)
    }
}

/// Sums up what the batches say.
fn count(stage: &mut Stage, batches: &[BatchRecord]) {
    let in_state = |state| batches.iter().filter(|batch| batch.state == state).count();
    stage.done = u32::try_from(in_state(BatchState::Done)).unwrap_or(u32::MAX);
    stage.failed = u32::try_from(in_state(BatchState::Failed)).unwrap_or(u32::MAX);
    stage.progress = Progress::default();
    for batch in batches {
        stage.progress += batch.progress;
    }
}

fn failed(stage: u32, batches: &[BatchRecord]) -> impl Iterator<Item = Failure> {
    batches.iter().filter(|batch| batch.state == BatchState::Failed).map(move |batch| Failure {
        stage,
        batch: batch.batch,
        reason: batch.failure.clone().unwrap_or_default(),
    })
}
