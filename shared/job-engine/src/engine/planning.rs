//! Where a job stands, and its next stage.

use std::time::Duration;

use nextbasket_domain::Timestamp;
use nextbasket_dynamodb::TableError;
use nextbasket_dynamodb::item::{Item, ItemReader, number};
use nextbasket_locks::record::HOLDER;
use nextbasket_locks::{AcquisitionTerms, Attempt, AttributeChanges, LeaseError, LeaseKey, LeaseRequest};
use serde_json::{Value, json};

use super::working::MOST_ATTEMPTS;
use super::{BatchFailure, Engine, Step, WorkStep, counted};
use crate::error::{JobError, Refusal};
use crate::job::{HeldLock, Job, JobId, JobState, LAYOUT, Progress, Stage};
use crate::kind::{Next, Planning};
use crate::pause::{doubled, millis};
use crate::session::{LOCK_LEASE, held_lock, process_name};
use crate::stage::{BatchTask, StagePlan};
use crate::store::{ATTEMPTS, BEFORE, EXPIRE_AT, RETRY_AT, plan_key};

/// How long the right to plan holds.
const PLAN_LEASE: Duration = Duration::from_secs(60);
/// How many failures a job names when it fails over them.
const NAMED_FAILURES: u32 = 3;

/// How many times in a row planning may get no answer before the job fails: about a quarter of an hour.
const MOST_TRIES: u32 = 20;
/// The first pause before planning is tried again; it doubles, with jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The attribute of the plan's item that counts consecutive attempts without an answer.
const TRIES: &str = "tries";

pub(super) enum Planned {
    /// The caller should do this.
    Step(Step),
    /// The job has ended just now.
    Ended(Box<Job>),
    /// A table or file that the kind needs does not answer.
    Unanswered(Box<Job>, JobError),
}

/// The attributes of the plan's item beside its lease.
struct PlanRecord {
    /// How many times planning was begun since it last ended normally, this time included.
    attempts: u32,
    tries: u32,
    retry_at: Option<Timestamp>,
    before: Option<String>,
}

impl PlanRecord {
    fn read(table: &str, item: Item) -> Result<Self, TableError> {
        let mut reader = ItemReader { table, key: "plan".to_owned(), item };
        let retry_at = reader.optional(RETRY_AT, ItemReader::number)?;
        Ok(Self {
            attempts: reader.optional(ATTEMPTS, ItemReader::number)?.unwrap_or(0),
            tries: reader.optional(TRIES, ItemReader::number)?.unwrap_or(0),
            retry_at: retry_at.and_then(|at| Timestamp::from_millis(at).ok()),
            before: reader.optional(BEFORE, ItemReader::text)?.filter(|holder| !holder.is_empty()),
        })
    }
}

impl Engine {
    /// Looks where the job stands, ends its stage if all batches have ended, and plans the next one.
    ///
    /// Any number of processes may call this at any time: one plans, the others get a step that says to wait. They
    /// also get it while a table or file that planning needs does not answer; if that lasts, the job fails. A job
    /// whose planning kills its process again and again fails too.
    ///
    /// # Errors
    /// [`JobError`] if there is no such job, or the operations table does not answer.
    pub async fn plan(&self, id: &JobId) -> Result<Step, JobError> {
        let (step, has_just_ended) = self.plan_one(id).await?;
        if has_just_ended {
            self.finish_others(id).await;
        }
        Ok(step)
    }

    /// As [`plan`](Self::plan), without a look at other jobs. Tells whether the job has ended with this call.
    pub(super) async fn plan_one(&self, id: &JobId) -> Result<(Step, bool), JobError> {
        let store = self.store();
        let job = store.load(id).await?;
        if job.state.has_ended() {
            return Ok((Step::Ended(Box::new(job)), false));
        }
        let _room = self.room.read().await;
        let now = self.site.clock.now();
        let request =
            LeaseRequest { holder: process_name(&self.site.random), length: PLAN_LEASE, note: None };
        let mut terms =
            AcquisitionTerms::new(AttributeChanges::new().add(ATTEMPTS, number(1)).copy(BEFORE, HOLDER));
        if job.ending.is_some() || (!job.cancelling && job.failure.is_none()) {
            terms = terms.if_at_most(RETRY_AT, number(now.as_millis()));
        }
        let (lease, item) = self.site.leases().try_acquire_with(&plan_key(id), &request, terms).await?;
        let record = PlanRecord::read(store.table(), item)?;
        let Some(lease) = lease else {
            let rest = record.retry_at.map_or(0, |at| at.as_millis() - now.as_millis());
            let rest = Duration::from_millis(u64::try_from(rest).unwrap_or(0));
            return Ok((Step::Wait(if rest.is_zero() { Duration::from_secs(1) } else { rest }), false));
        };
        let keeper = lease.keep();
        if record.attempts > MOST_ATTEMPTS {
            store.failing(id, &given_up(&job, &record)).await?;
        }
        let planned = match self.plan_alone(id).await {
            Ok(Planned::Unanswered(job, error)) if record.tries + 1 >= MOST_TRIES && job.ending.is_some() => {
                self.write_end(*job, Err(error)).await
            }
            Ok(Planned::Unanswered(job, error)) if record.tries + 1 >= MOST_TRIES => {
                let tries = record.tries + 1;
                let reason = format!("planning {} failed {tries} times: {error}", after(&job));
                self.end(*job, JobState::Failed, Some(reason), None).await
            }
            planned => planned,
        };
        let mut changes = AttributeChanges::new().set(ATTEMPTS, number(0)).set(EXPIRE_AT, store.expiry());
        let step = match planned {
            Ok(Planned::Step(step)) => {
                changes = changes.set(TRIES, number(0)).remove(RETRY_AT);
                Ok((step, false))
            }
            Ok(Planned::Ended(job)) => {
                changes = changes.set(TRIES, number(0)).remove(RETRY_AT);
                Ok((Step::Ended(job), true))
            }
            Ok(Planned::Unanswered(job, error)) => {
                let pause = doubled(FIRST_PAUSE, record.tries, LONGEST_PAUSE, &self.site.random);
                let tries = record.tries + 1;
                let line = format!("planning {}: try {tries}: {error}", after(&job));
                let line = self.masked(&job, &line);
                if let Err(error) = store.log(id, &line).await {
                    tracing::warn!(%error, line, "not in the job's log");
                }
                let at = self.site.clock.now().plus_millis(millis(pause));
                changes = changes.set(TRIES, number(tries)).set(RETRY_AT, number(at.as_millis()));
                Ok((Step::Wait(pause), false))
            }
            Err(error) => Err(error),
        };
        let released = match keeper.stop().await {
            Ok(lease) => lease.release_with(changes).await.map_err(LeaseError::from),
            // If the lease was lost, another process plans too: the job's revision decides between them.
            Err(_) => Ok(()),
        };
        if let Err(LeaseError::Table(error)) = released {
            tracing::warn!(%error, "the right to plan was not released; it will expire");
        }
        step
    }

    async fn plan_alone(&self, id: &JobId) -> Result<Planned, JobError> {
        let store = self.store();
        let mut job = store.load(id).await?;
        if job.state.has_ended() {
            return Ok(Planned::Step(Step::Ended(Box::new(job))));
        }
        if job.ending.is_some() {
            return self.finish(job).await;
        }
        if let Some(reason) = job.failure.clone() {
            return self.end(job, JobState::Failed, Some(reason), None).await;
        }
        if job.cancelling {
            return self.end(job, JobState::Cancelled, None, None).await;
        }
        if job.layout != LAYOUT && job.stage().is_some() {
            let reason =
                "it was started by another version of nextbasket, with another layout of batches. Submit it again."
                    .to_owned();
            return self.end(job, JobState::Failed, Some(reason), None).await;
        }
        let task = match self.task_of(&job) {
            Err(error @ JobError::Unvouched { is_final: true, .. }) => {
                return self.end(job, JobState::Failed, Some(error.to_string()), None).await;
            }
            task => task?,
        };
        // Such a job has no stages, and holds no lock.
        let is_dry_run = job.parameters.get("dryRun").and_then(Value::as_bool) == Some(true);
        if let Ok(task) = &task
            && !is_dry_run
            && let Some(name) = task.lock()
            && let Some(holder) = self.take_lock(&mut job, &name).await?
        {
            return Ok(Planned::Step(Step::Locked { name, holder }));
        }
        let now = self.site.clock.now();
        if let Some(until) = job.waits_until
            && until > now
        {
            let millis = u64::try_from(until.as_millis() - now.as_millis()).unwrap_or(0);
            return Ok(Planned::Step(Step::Wait(Duration::from_millis(millis))));
        }
        if let Some(stage) = job.stages.last_mut().filter(|stage| stage.ended_at.is_none()) {
            let counts = store.counts(id, stage.number, true).await?;
            counted(stage, &counts);
            if counts.ended() < stage.batches {
                return Ok(Planned::Step(Step::Work(work_step(id, stage))));
            }
            if f64::from(stage.failed) * 100.0 > stage.tolerated * f64::from(stage.batches) {
                let failures = store.failures(id, stage.number, NAMED_FAILURES).await?;
                let reason = failed_stage(stage, &failures);
                return self.end(job, JobState::Failed, Some(reason), None).await;
            }
            stage.ended_at = Some(now);
            job.total += stage.progress;
        }
        loop {
            let planned = match &task {
                Ok(task) if is_dry_run => task
                    .estimate(&self.site)
                    .await
                    .map(|estimate| Next::Done(json!({ "dryRun": true, "estimate": estimate }))),
                Ok(task) => task.plan(&Planning { site: &self.site, job: &job }).await,
                Err(refusal) => Err(refusal.clone().into()),
            };
            let next = match planned {
                Ok(next) => next,
                Err(error) if error.is_transient() => {
                    return Ok(Planned::Unanswered(Box::new(job), error));
                }
                Err(error) => {
                    let reason = Some(error.to_string());
                    return self.end(job, JobState::Failed, reason, None).await;
                }
            };
            job.waits_until = None;
            match next {
                Next::Done(result) => {
                    return self.end(job, JobState::Succeeded, None, Some(result)).await;
                }
                Next::Wait(wait) => {
                    job.waits_until = Some(now.plus_millis(millis(wait)));
                    store.save(&mut job).await?;
                    return Ok(Planned::Step(Step::Wait(wait)));
                }
                Next::Stage(plan) => {
                    let empty = plan.batches.is_empty();
                    let stage = match self.begin_stage(&mut job, plan).await {
                        Err(error) if error.is_transient() => {
                            return Ok(Planned::Unanswered(Box::new(job), error));
                        }
                        stage => stage?,
                    };
                    if !empty {
                        store.save(&mut job).await?;
                        return Ok(Planned::Step(Step::Work(stage)));
                    }
                    if let Some(stage) = job.stages.last_mut() {
                        stage.ended_at = Some(now);
                    }
                }
            }
        }
    }

    /// Writes the stage's plan and adds the stage to the job, which is saved afterwards.
    async fn begin_stage(&self, job: &mut Job, plan: StagePlan) -> Result<WorkStep, JobError> {
        let number = job.stage().map_or(0, |stage| stage.number + 1);
        if plan.supersedes {
            match self.remove_leftovers(job).await {
                Err(error) if error.is_transient() => return Err(error),
                // What cannot be removed now goes when the job ends.
                Err(error) => {
                    tracing::warn!(job = %job.job_id, %error, "what earlier passes left is not removed");
                }
                Ok(()) => {}
            }
            job.leftovers = job.stages.iter().map(|stage| job.stage_size(stage.number)).collect();
            job.stages.clear();
        }
        let now = self.site.clock.now();
        let order = plan.order(&self.site.random);
        let tasks: Vec<BatchTask> = order
            .into_iter()
            .filter_map(|at| {
                let batch = plan.batches.get(at)?;
                Some(BatchTask {
                    job_id: job.job_id.to_string(),
                    stage: number,
                    batch: u32::try_from(at).ok()?,
                    input: batch.input.clone(),
                    of: batch.of,
                })
            })
            .collect();
        let of = plan.batches.iter().map(|batch| batch.of).sum::<Option<u64>>();
        let stage = Stage {
            number,
            name: plan.name,
            batches: u32::try_from(plan.batches.len()).unwrap_or(u32::MAX),
            split: plan.split,
            assign: plan.assign,
            width: plan.width.max(1),
            aggregate: plan.aggregate,
            tolerated: plan.tolerated,
            rates: plan.rates,
            of,
            started_at: now,
            ended_at: None,
            progress: Progress::default(),
            done: 0,
            failed: 0,
        };
        let step = work_step(&job.job_id, &stage);
        self.site.objects.put(&step.plan, serde_json::to_vec(&tasks)?).await?;
        job.state = JobState::Running;
        job.started_at.get_or_insert(now);
        job.stages.push(stage);
        if job.stages.len() > Job::KEPT_STAGES {
            job.stages.remove(0);
        }
        Ok(step)
    }

    /// Removes the data of superseded stages. The objects of the last one are still read while the next one runs.
    async fn remove_leftovers(&self, job: &Job) -> Result<(), JobError> {
        for stage in &job.leftovers {
            self.store().forget(&job.job_id, *stage).await?;
            let prefix = job.job_id.object_key(&format!("stage-{:06}/", stage.number));
            self.site.objects.delete_prefix(&prefix).await?;
        }
        Ok(())
    }

    /// Makes sure that the job holds its lock; otherwise says who does.
    async fn take_lock(&self, job: &mut Job, name: &str) -> Result<Option<String>, JobError> {
        if let Some(mut lease) = held_lock(&self.site, job) {
            match lease.renew().await {
                Ok(()) => return Ok(None),
                Err(LeaseError::Table(error)) => return Err(error.into()),
                Err(LeaseError::Lost(lost)) => {
                    self.store().log(&job.job_id, &format!("the lock {name} was lost: {lost}")).await?;
                }
            }
        }
        let key = LeaseKey::lock(name)
            .map_err(|error| Refusal { field: "lock".to_owned(), problem: error.to_string() })?;
        let holder = format!("job/{}", job.job_id);
        let request =
            LeaseRequest { holder: holder.clone(), length: LOCK_LEASE, note: Some(job.kind.clone()) };
        let held = loop {
            match self.site.leases().try_acquire(&key, &request).await? {
                Attempt::Held(lease) => {
                    break HeldLock {
                        name: name.to_owned(),
                        owner: lease.owner().to_owned(),
                        fence: lease.fence(),
                    };
                }
                // Taken by this job, whose planner ended before it could say so.
                Attempt::Busy(record) if record.holder == holder => {
                    break HeldLock { name: name.to_owned(), owner: record.owner, fence: record.fence };
                }
                Attempt::Busy(record) if self.has_ended(&record.holder).await? => {
                    // Its planner was killed after it ended the job, and before it released the lock.
                    let left = self.site.leases().resume(&key, record.owner, record.fence, LOCK_LEASE);
                    match left.release().await {
                        Ok(()) | Err(LeaseError::Lost(_)) => {}
                        Err(LeaseError::Table(error)) => return Err(error.into()),
                    }
                }
                Attempt::Busy(record) => return Ok(Some(record.holder)),
            }
        };
        job.lock = Some(held);
        self.store().save(job).await?;
        Ok(None)
    }

    /// Whether this holder of a lock is a job that has ended.
    async fn has_ended(&self, holder: &str) -> Result<bool, JobError> {
        let Some(id) = holder.strip_prefix("job/").and_then(|id| JobId::parse(id).ok()) else {
            return Ok(false);
        };
        Ok(self.store().find(&id, true).await?.is_some_and(|job| job.state.has_ended()))
    }
}

fn work_step(id: &JobId, stage: &Stage) -> WorkStep {
    WorkStep {
        stage: stage.number,
        batches: stage.batches,
        width: stage.width,
        tolerated: stage.tolerated,
        ended: stage.done.saturating_add(stage.failed),
        plan: id.object_key(&format!("stage-{:06}/plan.json", stage.number)),
    }
}

fn failed_stage(stage: &Stage, failures: &[BatchFailure]) -> String {
    let named: Vec<String> =
        failures.iter().map(|failure| format!("batch {}: {}", failure.batch, failure.reason)).collect();
    let Stage { name, failed, batches, tolerated, .. } = stage;
    format!(
        "stage {name}: {failed} of {batches} batches failed, {tolerated} % are tolerated; {}",
        named.join("; ")
    )
}

/// What is planned, for messages.
fn after(job: &Job) -> String {
    if job.ending.is_some() {
        return "the job's end, with the removal of what it has left".to_owned();
    }
    job.stage()
        .map_or_else(|| "the first stage".to_owned(), |stage| format!("what follows stage {}", stage.name))
}

/// The reason why a job is not planned any more after its planners died.
fn given_up(job: &Job, record: &PlanRecord) -> String {
    let tried = record.attempts.saturating_sub(1);
    let last = record.before.as_deref().unwrap_or("unknown");
    format!(
        "planning {}: the planner ended without a message {tried} times, the last time {last}; it may need more memory than \
         the planner has",
        after(job)
    )
}
