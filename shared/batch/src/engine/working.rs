//! One batch: its claim, its work, its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nextbasket_dynamodb::item::{bytes, number, text};
use nextbasket_locks::{Also, Attempt, Lease, LeaseError, Request};
use tokio::sync::Mutex;

use super::{Engine, Worked};
use crate::error::{JobError, WorkError};
use crate::kind::Outcome;
use crate::session::Session;
use crate::stage::BatchTask;
use crate::store::{
    ATTEMPTS, BatchState, EXPIRE_AT, FAILURE, PROGRESS, RESULT, RESULT_OBJECT, RETRY_AT, STATE, batch_key,
};
use crate::work::{Work, json};

/// How long a claim on a batch holds without being renewed.
const BATCH_LEASE: Duration = Duration::from_secs(15);
/// How often a batch is tried before it has failed for good.
const MOST_ATTEMPTS: u32 = 8;
/// The first pause before a further attempt; it doubles, with jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause before a further attempt.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Results up to this size stand in the batch's item.
const INLINE_RESULT: usize = 4096;

impl Engine {
    /// Works on one batch until it ends, has to stop, or the deadline is near.
    ///
    /// # Errors
    /// [`JobError`] if the operations table does not answer.
    pub async fn work(
        &self,
        task: BatchTask,
        session: &Session,
        deadline: Option<Instant>,
    ) -> Result<Worked, JobError> {
        if session.must_stop() {
            return Ok(Worked::Stopped);
        }
        let job = session.job();
        let kind = self.kinds.named(&job.kind)?;
        let key = batch_key(&job.job_id, task.stage, task.batch);
        let request = Request { holder: session.process().to_owned(), length: BATCH_LEASE, note: None };
        let lease = match self.site.leases().try_acquire(&key, &request).await? {
            // It may be given back before it expires.
            Attempt::Busy(record) => {
                let soon = self.site.clock.now().plus_millis(2000);
                return Ok(Worked::Later(record.expires_at.min(soon)));
            }
            Attempt::Held(lease) => lease,
        };
        let store = self.store();
        let record = store.batch(&key).await?;
        let state = record.as_ref().map_or(BatchState::Open, |record| record.state);
        let retry_at = record.as_ref().and_then(|record| record.retry_at);
        if state != BatchState::Open {
            release(lease, Also::new()).await?;
            return Ok(Worked::Ended(state));
        }
        if let Some(at) = retry_at.filter(|&at| at > self.site.clock.now()) {
            release(lease, Also::new()).await?;
            return Ok(Worked::Later(at));
        }
        let attempts = record.as_ref().map_or(0, |record| record.attempts);
        let fence = lease.fence();
        let lease = Arc::new(Mutex::new(lease));
        let mut work = Work {
            site: self.site.clone(),
            store,
            task,
            session: session.clone(),
            lease: lease.clone(),
            key,
            fence,
            deadline,
            checkpoint: record.as_ref().and_then(|record| record.checkpoint.clone()),
            saves: record.as_ref().map_or(0, |record| record.saves),
            refusals: Vec::new(),
            progress: record.map(|record| record.progress).unwrap_or_default(),
        };
        let outcome = tokio::select! {
            outcome = kind.work(&mut work) => outcome,
            lost = beat(&lease) => Err(lost),
        };
        // The work has the only one then, to give it back.
        drop(lease);
        self.settle(work, outcome, attempts).await
    }

    /// Writes how the batch ended and gives its claim back.
    async fn settle(
        &self,
        mut work: Work,
        outcome: Result<Outcome, WorkError>,
        attempts: u32,
    ) -> Result<Worked, JobError> {
        let outcome = match outcome {
            Ok(Outcome::Done(result)) => {
                self.done(&mut work, result).await.map(|also| (also, BatchState::Done))
            }
            Ok(Outcome::Stopped) => {
                self.give_back(work, Also::new()).await?;
                return Ok(Worked::Stopped);
            }
            Err(error) => Err(error),
        };
        let (also, state) = match outcome {
            Ok(done) => done,
            Err(WorkError::Lost(_)) => {
                // Whoever took it will be done or expire; ask again then.
                let at = self.site.clock.now().plus_millis(1000);
                return Ok(Worked::Later(at));
            }
            Err(WorkError::Systemic(reason)) => {
                let store = work.store.clone();
                store.failing(&work.job().job_id, &reason).await?;
                store.log(&work.job().job_id, &format!("the job stops: {reason}")).await?;
                work.session.stop();
                self.give_back(work, Also::new().set(FAILURE, text(&reason))).await?;
                return Ok(Worked::Systemic(reason));
            }
            Err(WorkError::Transient(reason)) if attempts + 1 < MOST_ATTEMPTS => {
                let at = self.site.clock.now().plus_millis(self.pause(attempts));
                let line = format!("{}: attempt {}: {reason}", named(&work), attempts + 1);
                work.store.log(&work.job().job_id, &line).await?;
                let also = Also::new()
                    .set(ATTEMPTS, number(attempts + 1))
                    .set(FAILURE, text(&reason))
                    .set(RETRY_AT, number(at.as_millis()))
                    .set(EXPIRE_AT, work.store.expiry());
                self.give_back(work, also).await?;
                return Ok(Worked::Later(at));
            }
            Err(error) => {
                let reason = error.to_string();
                let line = format!("{} has failed: {reason}", named(&work));
                work.store.log(&work.job().job_id, &line).await?;
                let tolerated = work.job().stage().map_or(0.0, |stage| stage.tolerated);
                if tolerated <= 0.0 {
                    work.store.failing(&work.job().job_id, &line).await?;
                    work.session.stop();
                }
                let also = Also::new()
                    .set(STATE, text(BatchState::Failed.as_str()))
                    .set(ATTEMPTS, number(attempts + 1))
                    .set(FAILURE, text(&reason))
                    .set(EXPIRE_AT, work.store.expiry());
                (also, BatchState::Failed)
            }
        };
        if self.give_back(work, also).await? {
            Ok(Worked::Ended(state))
        } else {
            Ok(Worked::Later(self.site.clock.now().plus_millis(1000)))
        }
    }

    /// What is written with the end of a batch that is done.
    async fn done(&self, work: &mut Work, result: Vec<u8>) -> Result<Also, WorkError> {
        work.keep_refusals().await?;
        let also = Also::new()
            .set(STATE, text(BatchState::Done.as_str()))
            .set(PROGRESS, text(json(&work.progress)?))
            .set(EXPIRE_AT, work.store.expiry());
        if result.len() <= INLINE_RESULT {
            return Ok(also.set(RESULT, bytes(result)));
        }
        let key = work.own_object("result");
        self.site.objects.put(&key, result).await?;
        Ok(also.set(RESULT_OBJECT, text(key)))
    }

    /// Releases the claim together with these attributes. `false` if it was lost before.
    async fn give_back(&self, work: Work, also: Also) -> Result<bool, JobError> {
        let lease = work.lease.clone();
        drop(work);
        match Arc::into_inner(lease) {
            Some(lease) => release(lease.into_inner(), also).await,
            None => Ok(false),
        }
    }

    /// Before the next attempt: doubling, from half of it to all of it by chance.
    fn pause(&self, attempts: u32) -> i64 {
        let most = FIRST_PAUSE.saturating_mul(1 << attempts.min(10)).min(LONGEST_PAUSE);
        let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        i64::try_from(most / 2 + self.site.random.draw() % (most / 2 + 1)).unwrap_or(i64::MAX)
    }
}

/// Renews the claim while the work goes on; ends when it is lost.
async fn beat(lease: &Mutex<Lease>) -> WorkError {
    loop {
        tokio::time::sleep(BATCH_LEASE / 3).await;
        match lease.lock().await.renew().await {
            Ok(()) => {}
            Err(LeaseError::Lost(lost)) => return WorkError::Lost(lost),
            Err(LeaseError::Table(error)) => tracing::warn!(%error, "a claim was not renewed"),
        }
    }
}

/// `false` if the lease was lost before.
async fn release(lease: Lease, also: Also) -> Result<bool, JobError> {
    match lease.release_with(also).await {
        Ok(()) => Ok(true),
        Err(unreleased) => match LeaseError::from(unreleased) {
            LeaseError::Lost(_) => Ok(false),
            LeaseError::Table(error) => Err(error.into()),
        },
    }
}

fn named(work: &Work) -> String {
    let stage = work.job().stage().map_or("", |stage| &stage.name);
    format!("batch {} of stage {stage}", work.task.batch)
}
