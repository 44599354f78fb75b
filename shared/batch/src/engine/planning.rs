//! Where a job stands, and its next stage.

use std::time::Duration;

use nextbasket_locks::{Attempt, LeaseError, LeaseKey, Request};
use serde_json::Value;

use super::{Engine, Step, WorkStep, count, failed};
use crate::error::{JobError, Refusal};
use crate::job::{HeldLock, Job, JobId, JobState, Progress, Stage};
use crate::kind::{Next, Planning};
use crate::objects::Objects;
use crate::session::{LOCK_LEASE, held_lock};
use crate::stage::{BatchTask, StagePlan};
use crate::store::{BatchRecord, plan_key};

/// How long the right to plan holds.
const PLAN_LEASE: Duration = Duration::from_secs(60);
/// How many failures a job names when it fails over them.
const NAMED_FAILURES: usize = 3;

impl Engine {
    /// Looks where the job stands, ends its stage if all batches have ended, and plans the next one.
    ///
    /// Any number of processes may call this at any time: one plans, the others are told to wait.
    ///
    /// # Errors
    /// [`JobError`] if there is no such job, or a table or the bucket does not answer.
    pub async fn plan(&self, id: &JobId) -> Result<Step, JobError> {
        let job = self.store().load(id).await?;
        if job.state.has_ended() {
            return Ok(Step::Ended(Box::new(job)));
        }
        let request = Request { holder: format!("plan/{id}"), length: PLAN_LEASE, note: None };
        match self.site.leases().try_acquire(&plan_key(id), &request).await? {
            Attempt::Busy(_) => Ok(Step::Wait(Duration::from_secs(1))),
            Attempt::Held(lease) => {
                let keeper = lease.keep();
                let step = self.plan_alone(id).await;
                // If it was lost, another one plans too: they meet at the job's revision.
                if let Err(LeaseError::Table(error)) = keeper.release().await {
                    tracing::warn!(%error, "the right to plan was not given back; it will expire");
                }
                step
            }
        }
    }

    async fn plan_alone(&self, id: &JobId) -> Result<Step, JobError> {
        let mut job = self.store().load(id).await?;
        if job.state.has_ended() {
            return Ok(Step::Ended(Box::new(job)));
        }
        if let Some(reason) = job.failure.clone() {
            return self.end(job, JobState::Failed, Some(reason), None).await;
        }
        if job.cancelling {
            return self.end(job, JobState::Cancelled, None, None).await;
        }
        let kind = self.kinds.named(&job.kind)?;
        if let Some(name) = kind.lock(&job.parameters)
            && let Some(holder) = self.take_lock(&mut job, &name).await?
        {
            return Ok(Step::Locked { name, holder });
        }
        let now = self.site.clock.now();
        if let Some(until) = job.waits_until
            && until > now
        {
            let millis = u64::try_from(until.as_millis() - now.as_millis()).unwrap_or(0);
            return Ok(Step::Wait(Duration::from_millis(millis)));
        }
        if let Some(stage) = job.stages.last_mut().filter(|stage| stage.ended_at.is_none()) {
            let batches = self.store().batches(id, stage.number).await?;
            count(stage, &batches);
            if stage.done + stage.failed < stage.batches {
                return Ok(Step::Work(work_step(id, stage)));
            }
            if f64::from(stage.failed) * 100.0 > stage.tolerated * f64::from(stage.batches) {
                let reason = failed_stage(stage, &batches);
                return self.end(job, JobState::Failed, Some(reason), None).await;
            }
            stage.ended_at = Some(now);
            job.total += stage.progress;
        }
        loop {
            let next = match kind.plan(&Planning { site: &self.site, job: &job }).await {
                Ok(next) => next,
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => return self.end(job, JobState::Failed, Some(error.to_string()), None).await,
            };
            job.waits_until = None;
            match next {
                Next::Done(result) => return self.end(job, JobState::Succeeded, None, Some(result)).await,
                Next::Wait(wait) => {
                    job.waits_until =
                        Some(now.plus_millis(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)));
                    self.store().save(&mut job).await?;
                    return Ok(Step::Wait(wait));
                }
                Next::Stage(plan) => {
                    let empty = plan.batches.is_empty();
                    let stage = self.begin_stage(&mut job, plan).await?;
                    if !empty {
                        self.store().save(&mut job).await?;
                        return Ok(Step::Work(stage));
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
        let content = serde_json::to_vec(&tasks).map_err(|error| JobError::Failed(error.to_string()))?;
        self.site.objects.put(&step.plan, content).await?;
        job.state = JobState::Running;
        job.started_at.get_or_insert(now);
        job.stages.push(stage);
        if job.stages.len() > Job::KEPT_STAGES {
            job.stages.remove(0);
        }
        Ok(step)
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
        let request = Request { holder: holder.clone(), length: LOCK_LEASE, note: Some(job.kind.clone()) };
        let held = match self.site.leases().try_acquire(&key, &request).await? {
            Attempt::Held(lease) => {
                HeldLock { name: name.to_owned(), owner: lease.owner().to_owned(), fence: lease.fence() }
            }
            // Taken by this job, whose planner ended before it could say so.
            Attempt::Busy(record) if record.holder == holder => {
                HeldLock { name: name.to_owned(), owner: record.owner, fence: record.fence }
            }
            Attempt::Busy(record) => return Ok(Some(record.holder)),
        };
        job.lock = Some(held);
        self.store().save(job).await?;
        Ok(None)
    }

    async fn end(
        &self,
        mut job: Job,
        state: JobState,
        failure: Option<String>,
        result: Option<Value>,
    ) -> Result<Step, JobError> {
        let now = self.site.clock.now();
        if let Some(stage) = job.stages.last_mut().filter(|stage| stage.ended_at.is_none()) {
            count(stage, &self.store().batches(&job.job_id, stage.number).await?);
            stage.ended_at = Some(now);
            job.total += stage.progress;
        }
        job.state = state;
        job.ended_at = Some(now);
        job.failure = failure;
        job.result = result;
        job.waits_until = None;
        let lock = held_lock(&self.site, &job);
        job.lock = None;
        self.store().save(&mut job).await?;
        if let Some(lock) = lock
            && let Err(error) = lock.release().await
        {
            tracing::warn!(job = %job.job_id, %error, "the job's lock was not given back; it will expire");
        }
        Ok(Step::Ended(Box::new(job)))
    }
}

fn work_step(id: &JobId, stage: &Stage) -> WorkStep {
    WorkStep {
        stage: stage.number,
        batches: stage.batches,
        width: stage.width,
        tolerated: stage.tolerated,
        plan: Objects::key(id, &format!("stage-{:06}/plan.json", stage.number)),
    }
}

fn failed_stage(stage: &Stage, batches: &[BatchRecord]) -> String {
    let named: Vec<String> = failed(stage.number, batches)
        .take(NAMED_FAILURES)
        .map(|failure| format!("batch {}: {}", failure.batch, failure.reason))
        .collect();
    let Stage { name, failed, batches, tolerated, .. } = stage;
    format!(
        "stage {name}: {failed} of {batches} batches failed, {tolerated} % are tolerated; {}",
        named.join("; ")
    )
}
