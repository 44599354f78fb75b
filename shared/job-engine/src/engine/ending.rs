//! The end of a job: whatever it is, nothing is left that only a running job needs.
//!
//! How a job ends is decided first, and written. Its batches then stop; once nobody has a claim on any of them, its
//! objects and batches are removed, and last the end is written, with the parameters as an ended job keeps them. Each
//! step may be done again, so a process that dies in between is continued by the next that plans the job, and by every
//! process that has just ended another one.

use std::time::Duration;

use nextbasket_erasure::Secret;
use serde_json::Value;

use super::planning::Planned;
use super::{Engine, Step, count};
use crate::error::JobError;
use crate::job::{Ending, Job, JobId, JobState};
use crate::redaction::Redaction;
use crate::session::held_lock;

/// How long to wait for the batches of a job that ends, before they are looked at again.
const LOOK: Duration = Duration::from_secs(1);
/// A job that nobody has planned for this long, and that nobody works on, has been given up by whoever drove it.
const ABANDONED: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The purpose of the code of a job's parameters, among other uses of the stack's secret.
const PARAMETERS: &str = "parameters of a job";

impl Engine {
    /// Decides how the job ends, and ends it if nobody works on it.
    pub(super) async fn end(
        &self,
        mut job: Job,
        state: JobState,
        failure: Option<String>,
        result: Option<Value>,
    ) -> Result<Planned, JobError> {
        let failure = failure.map(|failure| self.masked(&job, &failure));
        job.ending = Some(Ending { state, failure, result, at: self.site.clock.now() });
        job.failure = None;
        job.cancelling = false;
        job.waits_until = None;
        self.store().save(&mut job).await?;
        self.finish(job).await
    }

    /// Ends a job of which it is decided how it ends.
    pub(super) async fn finish(&self, mut job: Job) -> Result<Planned, JobError> {
        let store = self.store();
        if let Some(stage) = job.stage().filter(|stage| stage.ended_at.is_none()) {
            let batches = store.batches(&job.job_id, job.stage_size(stage.number)).await?;
            if batches.iter().any(|batch| self.is_held(batch)) {
                // It might still write objects.
                return Ok(Planned::Step(Step::Wait(LOOK)));
            }
            if let Some(stage) = job.stages.last_mut() {
                // This includes the progress of batches whose workers died, which is not counted yet.
                count(stage, &batches);
                stage.ended_at = Some(self.site.clock.now());
                job.total += stage.progress;
            }
            // Before the batches are removed that it was counted from.
            store.save(&mut job).await?;
        }
        match self.clean(&job).await {
            Err(error) if error.is_transient() => Ok(Planned::Unanswered(Box::new(job), error)),
            cleaned => self.write_end(job, cleaned).await,
        }
    }

    /// Removes the objects of the job except its outputs and refused items, and then its batches.
    async fn clean(&self, job: &Job) -> Result<(), JobError> {
        let objects = &self.site.objects;
        let mut keys = objects.list(&job.job_id.object_key("")).await?;
        keys.retain(|key| !job.job_id.keeps(key));
        objects.delete_all(&keys).await?;
        Ok(self.store().forget_all(job).await?)
    }

    /// Writes the job's end. If not everything could be removed, that is noted, and tried again whenever a job ends.
    pub(super) async fn write_end(
        &self,
        mut job: Job,
        cleaned: Result<(), JobError>,
    ) -> Result<Planned, JobError> {
        let store = self.store();
        let Some(Ending { state, failure, mut result, at }) = job.ending.take() else {
            return Ok(Planned::Step(Step::Wait(LOOK)));
        };
        if let Err(error) = &cleaned {
            let line =
                format!("what the job has left could not be removed, which is tried again later: {error}");
            tracing::warn!(job = %job.job_id, line);
            store.log(&job.job_id, &line).await?;
        }
        let redaction = self.redact(&job.kind, &mut job.parameters)?;
        if !redaction.1.is_empty() {
            let secret = self.site.secrets().find_or_draw(&self.site.random, self.site.clock.now()).await?;
            job.parameters_code = Some(code(&secret, &redaction.0));
            result.iter_mut().for_each(|result| redaction.1.mask(result));
            job.stages.iter_mut().for_each(|stage| redaction.1.mask(&mut stage.split));
        }
        (job.state, job.failure, job.result, job.ended_at) = (state, failure, result, Some(at));
        (job.voucher, job.key) = (None, None);
        let lock = held_lock(&self.site, &job);
        job.lock = None;
        store.save_end(&mut job, cleaned.is_ok()).await?;
        if let Some(lock) = lock
            && let Err(error) = lock.release().await
        {
            tracing::warn!(job = %job.job_id, %error, "the job's lock was not released; it will expire");
        }
        Ok(Planned::Ended(Box::new(job)))
    }

    /// Continues the ends of other jobs whose processes died, and ends jobs that were abandoned. What cannot be done now
    /// is tried again when the next job ends.
    pub(super) async fn finish_others(&self, but: &JobId) {
        let store = self.store();
        let listed = async { Ok::<_, JobError>((store.uncleaned().await?, store.active().await?)) };
        let (uncleaned, active) = match listed.await {
            Ok(listed) => listed,
            Err(error) => return tracing::warn!(%error, "other jobs were not looked for"),
        };
        for id in uncleaned {
            if let Err(error) = self.clean_ended(&id).await {
                tracing::warn!(job = %id, %error, "what the job has left is not removed yet");
            }
        }
        for id in active.into_iter().filter(|id| id != but) {
            if let Err(error) = self.finish_other(&id).await {
                tracing::warn!(job = %id, %error, "the job's end was not continued");
            }
        }
    }

    async fn clean_ended(&self, id: &JobId) -> Result<(), JobError> {
        // A job that has expired has no objects any more, either.
        if let Some(job) = self.store().find(id, true).await? {
            self.clean(&job).await?;
        }
        Ok(self.store().cleaned(id).await?)
    }

    async fn finish_other(&self, id: &JobId) -> Result<(), JobError> {
        let Some(job) = self.store().find(id, true).await? else { return Ok(()) };
        if job.ending.is_none() {
            if !self.is_abandoned(&job).await? {
                return Ok(());
            }
            let days = ABANDONED.as_secs() / (24 * 60 * 60);
            self.store().failing(id, &format!("nobody has worked on the job for {days} days")).await?;
        }
        self.plan_one(id).await.map(drop)
    }

    async fn is_abandoned(&self, job: &Job) -> Result<bool, JobError> {
        let now = self.site.clock.now();
        let planned = self.store().planned_at(&job.job_id).await?.unwrap_or(job.created_at);
        let idle = u128::try_from(now.as_millis() - planned.as_millis()).unwrap_or(0);
        Ok(idle > ABANDONED.as_millis() && !self.is_worked_on(job).await?)
    }

    /// Takes out of the parameters what an ended job does not keep. Returns the parameters as they were, in their one form
    /// as text, and what was taken out.
    fn redact(&self, kind: &str, parameters: &mut Value) -> Result<(String, Redaction), JobError> {
        let before = text_of(kind, parameters);
        let mut redaction = Redaction::default();
        self.kinds.named(kind)?.redact(parameters, &mut redaction);
        Ok((before, redaction))
    }

    /// A message of the job without what its parameters say of persons.
    pub(super) fn masked(&self, job: &Job, message: &str) -> String {
        let mut parameters = job.parameters.clone();
        match self.redact(&job.kind, &mut parameters) {
            Ok((_, redaction)) => redaction.masked(message),
            Err(_) => message.to_owned(),
        }
    }

    /// Whether the job was submitted with these parameters.
    pub(super) async fn has_parameters(&self, job: &Job, parameters: &Value) -> Result<bool, JobError> {
        let Some(known) = &job.parameters_code else { return Ok(job.parameters == *parameters) };
        let Some((id, _)) = known.split_once('/') else { return Ok(false) };
        // Without the secret nobody can tell any more.
        let Some(secret) = self.site.secrets().of_id(id).await? else { return Ok(false) };
        Ok(*known == code(&secret, &text_of(&job.kind, parameters)))
    }
}

/// Kind and parameters as text, the same whatever order a map of JSON keeps.
fn text_of(kind: &str, parameters: &Value) -> String {
    let mut parameters = parameters.clone();
    parameters.sort_all_objects();
    format!("{kind} {parameters}")
}

fn code(secret: &Secret, parameters: &str) -> String {
    format!("{}/{}", secret.id(), hex::encode(secret.mac(PARAMETERS, parameters.as_bytes())))
}
