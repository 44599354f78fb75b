//! Submit, plan, work, cancel, show.

mod ending;
mod planning;
mod working;

use std::sync::Arc;
use std::time::Duration;

use nextbasket_domain::Timestamp;
use nextbasket_dynamodb::TableError;
use nextbasket_objects::in_function;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::RwLock;

use crate::Site;
use crate::error::{JobError, Refusal};
use crate::job::{Job, JobId, JobKey, Progress, REFUSED, Stage};
use crate::kind::{AnyTask, Estimate, Kinds};
use crate::pause::doubled;
use crate::stage::BatchTask;
use crate::store::{BatchRecord, BatchState, Counts, JobsPage, JobsPosition, LogLine, Store};
use crate::trust::{Trust, Vouching};

/// The most bytes of parameters.
const PARAMETERS_BYTES: usize = 64 * 1024;
/// How many lines of its log a job shows.
const SHOWN_LINES: u32 = 100;
/// The number of failures that a job shows.
const SHOWN_FAILURES: u32 = 100;
/// How many times an estimate is tried whose tables or files do not answer.
const ESTIMATES: u32 = 5;
/// The first pause before a retry; it doubles, with jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(800);

/// The engine: the kinds of job, and where jobs run. Every call fails with a [`JobError`] if the operations table does
/// not answer; what else may go wrong is said with it.
#[derive(Debug, Clone)]
pub struct Engine {
    site: Site,
    kinds: Kinds,
    /// The batches that this process works on hold it shared; a batch that may kill the process holds it exclusively.
    room: Arc<RwLock<()>>,
    vouching: Option<Vouching>,
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
    /// The number of batches that have ended.
    pub ended: u32,
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

/// The outcome of a cancellation.
#[derive(Debug, Clone, PartialEq)]
pub enum Cancelled {
    /// No process worked on the job, so it has ended.
    Ended(Job),
    /// Its batches stop at their next checkpoints; then it ends.
    Stopping(Job),
    /// It had ended before. Nothing was changed.
    Before(Job),
}

impl Cancelled {
    /// The job as it is now.
    #[must_use]
    pub fn job(self) -> Job {
        match self {
            Self::Ended(job) | Self::Stopping(job) | Self::Before(job) => job,
        }
    }
}

/// A batch that failed for good.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BatchFailure {
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
    pub failures: Vec<BatchFailure>,
    /// The newest lines of its log, the oldest of them first.
    pub log: Vec<LogLine>,
}

impl Engine {
    /// Jobs of these kinds at this site.
    pub fn new(site: Site, kinds: Kinds) -> Self {
        Self { site, kinds, vouching: None, room: Arc::default() }
    }

    /// Sets how this process vouches for jobs. Those that it submits, and others with a valid voucher, may do all
    /// that [`Trust::Machine`] allows. In a function nothing changes: nobody has put files or commands there.
    #[must_use]
    pub fn vouching(self, vouching: Vouching) -> Self {
        Self { vouching: Some(vouching).filter(|_| !in_function()), ..self }
    }

    /// What the job asks for, if its parameters are not refused; it may do more if it has a valid voucher.
    ///
    /// # Errors
    /// [`JobError::Unvouched`] if the job needs a voucher and has no valid one.
    fn task_of(&self, job: &Job) -> Result<Result<Box<dyn AnyTask + '_>, Refusal>, JobError> {
        let kind = self.kinds.named(&job.kind)?;
        let task = |trust| kind.task(&job.parameters, trust);
        let Some(vouching) = &self.vouching else { return Ok(task(Trust::Open)) };
        if vouching.vouches(job) {
            return Ok(task(Trust::Machine));
        }
        match task(Trust::Open) {
            Err(refusal) if task(Trust::Machine).is_ok() => {
                let (job, field) = (job.job_id.to_string(), refusal.field);
                Err(JobError::Unvouched { job, field, is_final: vouching.is_final() })
            }
            task => Ok(task),
        }
    }

    /// Where jobs run.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Opens a function's connection before its first call, while the sandbox has a full CPU. A failure is left to
    /// the first call to report.
    pub async fn warm_up(&self) {
        if let Ok(nothing) = JobId::parse("-") {
            let _ = self.job(&nothing).await;
        }
    }

    /// The kinds.
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
        let task = self.asked(kind, parameters)?;
        let mut tries = 1;
        loop {
            match task.estimate(&self.site).await {
                Err(error) if error.is_transient() && tries < ESTIMATES => {
                    let pause = doubled(FIRST_PAUSE, tries - 1, LONGEST_PAUSE, &self.site.random);
                    tokio::time::sleep(pause).await;
                    tries += 1;
                }
                result => return result,
            }
        }
    }

    /// The task, if the parameters are of a size that the kind may be asked about.
    fn asked(&self, kind: &str, parameters: &Value) -> Result<Box<dyn AnyTask + '_>, JobError> {
        let name = kind;
        let kind = self.kinds.named(name)?;
        if self.site.operations_dynamodb.is_some() && kind.writes_tables() {
            let problem = "writes to tables, so its state cannot be kept in another database than theirs";
            return Err(Refusal { field: format!("kind {name}"), problem: problem.to_owned() }.into());
        }
        if parameters.to_string().len() > PARAMETERS_BYTES {
            let problem = format!("must have at most {PARAMETERS_BYTES} bytes");
            return Err(Refusal { field: "parameters".to_owned(), problem }.into());
        }
        let trust = if self.vouching.is_some() { Trust::Machine } else { Trust::Open };
        Ok(kind.task(parameters, trust)?)
    }

    /// Accepts a job. The same id with the same kind and parameters again is the same job.
    ///
    /// # Errors
    /// [`JobError::Refused`] if the kind refuses the parameters, [`JobError::Differs`] if the id is another job's.
    pub async fn submit(&self, id: Option<JobId>, kind: &str, parameters: Value) -> Result<Job, JobError> {
        self.asked(kind, &parameters)?;
        let now = self.site.clock.now();
        let job_id = id.unwrap_or_else(|| JobId::new(now, &self.site.random));
        let vouching = self.vouching.as_ref();
        let voucher = vouching.and_then(|vouching| vouching.vouch(&job_id, kind, &parameters));
        let key = Some(JobKey::draw(&self.site.random));
        let job = Job { voucher, key, ..Job::new(job_id, kind.to_owned(), parameters, now) };
        if self.store().create(&job).await? {
            return Ok(job);
        }
        let Some(known) = self.store().find(&job.job_id, true).await? else {
            // It existed a moment ago, and its time has come to be removed.
            let (table, key) = (self.site.operations.clone(), job.job_id.to_string());
            return Err(TableError::Contended { table, key, attempts: 1 }.into());
        };
        if known.kind == job.kind && self.has_parameters(&known, &job.parameters).await? {
            return Ok(known);
        }
        Err(JobError::Differs(job.job_id.to_string()))
    }

    /// Lists jobs, the newest submission first.
    pub async fn list(&self, limit: u32, after: Option<&JobsPosition>) -> Result<JobsPage, JobError> {
        Ok(self.store().list(limit, after).await?)
    }

    /// The jobs that have not ended, by their ids.
    pub async fn active(&self) -> Result<Vec<JobId>, JobError> {
        Ok(self.store().active().await?)
    }

    /// The job as it was last written, without the progress of the running stage.
    ///
    /// # Errors
    /// [`JobError::Unknown`] if there is none.
    pub async fn job(&self, id: &JobId) -> Result<Job, JobError> {
        self.store().load(id).await
    }

    /// The job with its progress of a moment ago, for callers that ask again and again: one or two read units,
    /// however many batches it has.
    ///
    /// The progress of a batch is counted when it ends or stops. While it runs, it is counted every two seconds, or
    /// every 40 ms for each batch that runs at the same time, whichever is longer.
    ///
    /// # Errors
    /// [`JobError::Unknown`] if there is no such job.
    pub async fn progress(&self, id: &JobId) -> Result<Job, JobError> {
        let store = self.store();
        let mut job = match store.find(id, false).await? {
            Some(job) => job,
            // The job may be too new for an eventually consistent read.
            None => store.load(id).await?,
        };
        if let Some(stage) = job.stages.last_mut().filter(|stage| stage.ended_at.is_none()) {
            counted(stage, &store.counts(id, stage.number, false).await?);
        }
        Ok(job)
    }

    /// The job with its progress, its failures and its log.
    ///
    /// # Errors
    /// [`JobError::Unknown`] if there is none.
    pub async fn show(&self, id: &JobId) -> Result<JobView, JobError> {
        let store = self.store();
        let mut job = store.load(id).await?;
        let mut failures = Vec::new();
        if let Some(stage) = job.stages.last_mut() {
            if stage.ended_at.is_none() {
                counted(stage, &store.counts(id, stage.number, true).await?);
            }
            if stage.failed > 0 {
                failures = store.failures(id, stage.number, SHOWN_FAILURES).await?;
            }
        }
        Ok(JobView { job, failures, log: store.logs(id, SHOWN_LINES).await? })
    }

    /// Asks for a job's end: its batches stop at their next checkpoint. If no process works on it, it ends at once
    /// and releases its lock.
    ///
    /// # Errors
    /// [`JobError::Unknown`] if there is none.
    pub async fn cancel(&self, id: &JobId) -> Result<Cancelled, JobError> {
        let job = self.store().load(id).await?;
        if job.state.has_ended() {
            return Ok(Cancelled::Before(job));
        }
        if job.ending.is_some() {
            // It is decided how it ends.
            return Ok(match self.plan(id).await? {
                Step::Ended(job) => Cancelled::Before(*job),
                _ => Cancelled::Stopping(job),
            });
        }
        if let Some(ended) = self.store().cancel(id).await? {
            return Ok(Cancelled::Before(ended));
        }
        if !self.is_worked_on(&job).await?
            && let Step::Ended(job) = self.plan(id).await?
        {
            return Ok(Cancelled::Ended(*job));
        }
        let job = self.store().load(id).await?;
        Ok(if job.state.has_ended() { Cancelled::Ended(job) } else { Cancelled::Stopping(job) })
    }

    /// Whether some worker has a claim on one of the job's batches.
    async fn is_worked_on(&self, job: &Job) -> Result<bool, JobError> {
        let Some(stage) = job.stages.last().filter(|stage| stage.ended_at.is_none()) else {
            return Ok(false);
        };
        let batches = self.store().batches(&job.job_id, job.stage_size(stage.number)).await?;
        Ok(batches.iter().any(|batch| self.is_held(batch)))
    }

    /// A claim that expired less than the clock skew ago may still be held.
    fn is_held(&self, batch: &BatchRecord) -> bool {
        let skew = i64::try_from(self.site.leases().skew().as_millis()).unwrap_or(i64::MAX);
        let now = self.site.clock.now();
        batch.held.as_ref().is_some_and(|(_, expires)| expires.plus_millis(skew) >= now)
    }

    /// Ends a job that cannot go on, from outside: what the state machine does when its own attempts are used up.
    pub async fn fail(&self, id: &JobId, reason: &str) -> Result<(), JobError> {
        let job = self.store().load(id).await?;
        self.store().failing(id, &self.masked(&job, reason)).await
    }

    /// The keys of the job's files of refused items, in order.
    ///
    /// # Errors
    /// [`JobError`] if S3 does not answer.
    pub async fn refused(&self, id: &JobId) -> Result<Vec<String>, JobError> {
        Ok(self.site.objects.list(&id.object_key(REFUSED)).await?)
    }

    /// The batches of a stage, in the order in which they go out.
    ///
    /// # Errors
    /// [`JobError`] if the plan cannot be read.
    pub async fn tasks(&self, step: &WorkStep) -> Result<Vec<BatchTask>, JobError> {
        let content = self.site.objects.get(&step.plan).await?;
        serde_json::from_slice(&content)
            .map_err(|error| JobError::Failed(format!("plan {} is invalid: {error}", step.plan)))
    }

    /// Those of [`BATCH_ROW`](crate::store::BATCH_ROW) consecutive batches of a stage that have been claimed at least once.
    pub async fn batch_row(&self, id: &JobId, stage: u32, row: u32) -> Result<Vec<BatchRecord>, JobError> {
        Ok(self.store().batch_row(id, stage, row).await?)
    }

    /// The batches of a stage that have been claimed at least once. Each of them is read. Of a job that has ended there
    /// are none.
    pub async fn batches(&self, id: &JobId, stage: u32) -> Result<Vec<BatchRecord>, JobError> {
        let job = self.store().load(id).await?;
        Ok(self.store().batches(id, job.stage_size(stage)).await?)
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

fn counted(stage: &mut Stage, counts: &Counts) {
    stage.done = counts.done;
    stage.failed = counts.failed;
    stage.progress = counts.progress;
}
