//! One batch: its claim, its work, its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nextbasket_dynamodb::item::{bytes, number, text};
use nextbasket_locks::record::HOLDER;
use nextbasket_locks::{AcquisitionTerms, AttributeChanges, Lease, LeaseError, LeaseRequest};
use tokio::sync::{Mutex, OwnedRwLockReadGuard, OwnedRwLockWriteGuard};

use super::{Engine, Worked};
use crate::error::{JobError, WorkError};
use crate::kind::Outcome;
use crate::pause::{doubled, millis};
use crate::session::Session;
use crate::stage::BatchTask;
use crate::store::{
    ATTEMPTS, BEFORE, BatchRecord, BatchState, EXPIRE_AT, FAILURE, RESULT, RESULT_OBJECT, RETRY_AT, SEEN,
    SILENT, STATE, batch_key,
};
use crate::work::{Work, digest_of};

/// How long a claim on a batch holds without being renewed.
const BATCH_LEASE: Duration = Duration::from_secs(15);
/// The number of attempts without a new checkpoint after which a batch has failed for good.
pub(super) const MOST_ATTEMPTS: u32 = 8;
/// After this many attempts that ended without a message, a batch is worked on alone: if it kills its process, no
/// other batch is interrupted, which would use up that batch's attempts too.
const SUSPECT: u32 = 4;
/// The first pause before a further attempt; it doubles, with jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Results up to this size stand in the batch's item.
const INLINE_RESULT: usize = 4096;

/// One of the slots for batches that this process works on.
#[expect(dead_code, reason = "what it holds is held until it is dropped")]
enum Room {
    Shared(OwnedRwLockReadGuard<()>),
    Alone(OwnedRwLockWriteGuard<()>),
}

struct Claimed {
    lease: Lease,
    record: BatchRecord,
    /// Its attempts since its checkpoint last moved, this one included.
    attempts: u32,
    _room: Room,
}

impl Engine {
    /// Works on one batch until it ends, has to stop, or the deadline is near.
    pub async fn work(
        &self,
        task: BatchTask,
        session: &Session,
        deadline: Option<Instant>,
    ) -> Result<Worked, JobError> {
        let job = session.job();
        let task_of_kind = self.task_of(job)?;
        let claimed = match self.claim(&task, session, deadline).await? {
            Ok(claimed) => claimed,
            Err(worked) => return Ok(worked),
        };
        let Claimed { lease, record, attempts, _room } = claimed;
        // A job ends once nobody has a claim. This one was made before that was looked at, or after it was decided.
        if self.store().load(&job.job_id).await?.is_ending() {
            release(lease, unbegun().set(EXPIRE_AT, self.store().expiry())).await?;
            return Ok(Worked::Stopped);
        }
        let key = batch_key(&job.job_id, task.stage, task.batch);
        let given_up = (attempts > MOST_ATTEMPTS).then(|| given_up(&record, attempts));
        let mut work = Work::new(&self.site, session, task, (lease, key), record, deadline);
        let outcome = match given_up {
            Some(reason) => Err(WorkError::Failed(reason)),
            None => {
                let lease = work.lease.clone();
                let worked = async {
                    match task_of_kind {
                        Ok(task) => task.work(&mut work).await,
                        // Every other batch would be refused as well.
                        Err(refusal) => Err(WorkError::Systemic(refusal.to_string())),
                    }
                };
                tokio::select! {
                    biased;
                    outcome = worked => outcome,
                    lost = beat(&lease) => Err(lost),
                }
            }
        };
        self.settle(work, outcome, attempts).await
    }

    /// Claims the batch, and counts the attempt in the same write; or returns why it is not to be worked on now.
    async fn claim(
        &self,
        task: &BatchTask,
        session: &Session,
        deadline: Option<Instant>,
    ) -> Result<Result<Claimed, Worked>, JobError> {
        let key = batch_key(&session.job().job_id, task.stage, task.batch);
        let request = LeaseRequest { holder: session.process().to_owned(), length: BATCH_LEASE, note: None };
        let mut room = Room::Shared(self.room.clone().read_owned().await);
        loop {
            // Without time left, no attempt is begun.
            if session.must_stop() || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(Err(Worked::Stopped));
            }
            let now = self.site.clock.now();
            let counting =
                AttributeChanges::new().add(ATTEMPTS, number(1)).add(SILENT, number(1)).copy(BEFORE, HOLDER);
            let terms = AcquisitionTerms::new(counting)
                .if_absent(STATE)
                .if_at_most(RETRY_AT, number(now.as_millis()));
            let (lease, item) = self.site.leases().try_acquire_with(&key, &request, terms).await?;
            let record = self.store().batch_record(item)?;
            let Some(mut lease) = lease else {
                let soon = now.plus_millis(2000);
                return Ok(Err(match (record.state, record.retry_at, record.held) {
                    (BatchState::Open, Some(at), _) if at > now => Worked::Later(at),
                    // It may be released before it expires.
                    (BatchState::Open, _, Some((_, at))) => Worked::Later(at.min(soon)),
                    (BatchState::Open, _, None) => Worked::Later(soon),
                    (state, _, _) => Worked::Ended(state),
                }));
            };
            let seen = digest_of(record.checkpoint.as_deref());
            if seen != record.seen {
                // It has moved since its attempts were counted: the count starts again before this attempt.
                let changes = AttributeChanges::new()
                    .set(ATTEMPTS, number(1))
                    .set(SILENT, number(1))
                    .set(SEEN, text(seen.unwrap_or_default()));
                match lease.renew_with(changes).await {
                    Ok(()) => return Ok(Ok(Claimed { lease, record, attempts: 1, _room: room })),
                    Err(LeaseError::Lost(_)) => return Ok(Err(Worked::Later(now.plus_millis(1000)))),
                    Err(LeaseError::Table(error)) => return Err(error.into()),
                }
            }
            if record.silent <= SUSPECT || matches!(room, Room::Alone(_)) {
                let attempts = record.attempts;
                return Ok(Ok(Claimed { lease, record, attempts, _room: room }));
            }
            release(lease, unbegun()).await?;
            drop(room);
            room = Room::Alone(self.room.clone().write_owned().await);
        }
    }

    /// Writes how the batch ended and gives its claim back.
    async fn settle(
        &self,
        mut work: Work,
        outcome: Result<Outcome, WorkError>,
        attempts: u32,
    ) -> Result<Worked, JobError> {
        let moved = work.has_moved();
        // A batch that has moved has all of its attempts again.
        let attempts = if moved { 1 } else { attempts };
        let masked = |reason: String| self.masked(work.job(), &reason);
        let outcome = outcome.map_err(|error| match error {
            WorkError::Systemic(reason) => WorkError::Systemic(masked(reason)),
            WorkError::Transient(reason) => WorkError::Transient(masked(reason)),
            WorkError::Failed(reason) => WorkError::Failed(masked(reason)),
            error => error,
        });
        let error = match outcome {
            Ok(Outcome::Done(result)) => match self.done(&mut work, result).await {
                Ok(()) => return Ok(Worked::Ended(BatchState::Done)),
                Err(error) => error,
            },
            Ok(Outcome::Stopped) if moved || work.session.must_stop() => {
                self.give_back(work, unbegun()).await?;
                return Ok(Worked::Stopped);
            }
            // The function's whole time was too short for one checkpoint.
            Ok(Outcome::Stopped) if attempts < MOST_ATTEMPTS => {
                let changes = AttributeChanges::new().add(SILENT, number(-1)).set(FAILURE, text(TIME_IS_UP));
                self.give_back(work, changes).await?;
                return Ok(Worked::Stopped);
            }
            Ok(Outcome::Stopped) => WorkError::Failed(format!("tried {attempts} times: {TIME_IS_UP}")),
            Err(error) => error,
        };
        match self.held_failure(&work, error).await {
            WorkError::Lost(_) => {
                // Whoever took it will be done or expire; ask again then.
                let at = self.site.clock.now().plus_millis(1000);
                Ok(Worked::Later(at))
            }
            WorkError::Systemic(reason) => {
                let store = work.store.clone();
                store.failing(&work.job().job_id, &reason).await?;
                store.log(&work.job().job_id, &format!("the job stops: {reason}")).await?;
                work.session.stop();
                let changes = AttributeChanges::new().add(SILENT, number(-1)).set(FAILURE, text(&reason));
                self.give_back(work, changes).await?;
                Ok(Worked::Systemic(reason))
            }
            WorkError::Transient(reason) if attempts < MOST_ATTEMPTS => {
                let pause = doubled(FIRST_PAUSE, attempts - 1, LONGEST_PAUSE, &self.site.random);
                let at = self.site.clock.now().plus_millis(millis(pause));
                let line = format!("{}: attempt {attempts}: {reason}", named(&work));
                work.store.log(&work.job().job_id, &line).await?;
                let changes = AttributeChanges::new()
                    .add(SILENT, number(-1))
                    .set(FAILURE, text(&reason))
                    .set(RETRY_AT, number(at.as_millis()))
                    .set(EXPIRE_AT, work.store.expiry());
                self.give_back(work, changes).await?;
                Ok(Worked::Later(at))
            }
            error => self.fail_batch(work, &error.to_string()).await,
        }
    }

    /// The error, if this worker still has its claim. Otherwise others may have done the batch since, and removed what it
    /// reads: only the holder may stop the job.
    async fn held_failure(&self, work: &Work, error: WorkError) -> WorkError {
        if matches!(error, WorkError::Lost(_) | WorkError::Transient(_)) {
            return error;
        }
        match work.lease.lock().await.renew().await {
            Ok(()) => error,
            Err(unheld) => unheld.into(),
        }
    }

    /// Marks the batch as failed for good, and the job too, unless that is tolerated.
    async fn fail_batch(&self, mut work: Work, reason: &str) -> Result<Worked, JobError> {
        let line = format!("{} has failed: {reason}", named(&work));
        let job = work.job().job_id.clone();
        work.store.log(&job, &line).await?;
        let tolerated = work.job().stage().map_or(0.0, |stage| stage.tolerated);
        if tolerated <= 0.0 {
            work.store.failing(&job, &line).await?;
            work.session.stop();
        }
        let failure = work.store.failure(&job, work.task(), reason)?;
        match work.end(BatchState::Failed, vec![(FAILURE, text(reason))], vec![failure]).await {
            Ok(()) => Ok(Worked::Ended(BatchState::Failed)),
            Err(WorkError::Lost(_)) => Ok(Worked::Later(self.site.clock.now().plus_millis(1000))),
            Err(error) => Err(error.into()),
        }
    }

    async fn done(&self, work: &mut Work, result: Vec<u8>) -> Result<(), WorkError> {
        work.keep_refusals().await?;
        let result = if result.len() <= INLINE_RESULT {
            (RESULT, bytes(result))
        } else {
            let key = work.own_object("result");
            self.site.objects.put(&key, result).await?;
            (RESULT_OBJECT, text(key))
        };
        work.end(BatchState::Done, vec![result], Vec::new()).await
    }

    /// Counts what was done, and releases the claim together with these attributes.
    async fn give_back(&self, mut work: Work, changes: AttributeChanges) -> Result<(), JobError> {
        if let Err(error) = work.count().await {
            // The next worker of the batch counts it.
            tracing::warn!(%error, batch = work.task().batch, "progress was not counted");
        }
        let lease = work.lease.clone();
        drop(work);
        match Arc::into_inner(lease) {
            Some(lease) => release(lease.into_inner(), changes).await,
            None => Ok(()),
        }
    }
}

const TIME_IS_UP: &str = "the function's time was up before the batch reached its next checkpoint; it needs smaller \
                          batches or more memory, and with it CPU";

/// Takes back an attempt that does not count: it was stopped in an orderly way, from outside.
fn unbegun() -> AttributeChanges {
    AttributeChanges::new().add(ATTEMPTS, number(-1)).add(SILENT, number(-1))
}

/// The reason why a batch whose attempts are used up is not claimed any more. The last attempt is this claim.
fn given_up(record: &BatchRecord, attempts: u32) -> String {
    let (tried, silent) = (attempts.saturating_sub(1), record.silent.saturating_sub(1));
    let last = record.before.as_deref().unwrap_or("unknown");
    let mut reason = format!(
        "tried {tried} times: its worker ended without a message {silent} times, the last time {last}; it may need more \
         memory than the worker has"
    );
    if silent < tried
        && let Some(failure) = &record.failure
    {
        reason.push_str("; the last error that was reported: ");
        reason.push_str(failure);
    }
    reason
}

/// Renews the claim while the work continues; ends when it is lost, or could not be renewed until it expired.
async fn beat(lease: &Mutex<Lease>) -> WorkError {
    let mut renewed = tokio::time::Instant::now();
    loop {
        tokio::time::sleep(BATCH_LEASE / 3).await;
        match lease.lock().await.renew().await {
            Ok(()) => renewed = tokio::time::Instant::now(),
            Err(LeaseError::Lost(lost)) => return WorkError::Lost(lost),
            Err(LeaseError::Table(error)) if renewed.elapsed() >= BATCH_LEASE => {
                return WorkError::Transient(format!("its claim could not be renewed: {error}"));
            }
            Err(LeaseError::Table(error)) => tracing::warn!(%error, "a claim was not renewed"),
        }
    }
}

/// Releases the lease; if it was already lost, there is nothing to do.
async fn release(lease: Lease, changes: AttributeChanges) -> Result<(), JobError> {
    match lease.release_with(changes).await {
        Ok(()) => Ok(()),
        Err(unreleased) => match LeaseError::from(unreleased) {
            LeaseError::Lost(_) => Ok(()),
            LeaseError::Table(error) => Err(error.into()),
        },
    }
}

fn named(work: &Work) -> String {
    let stage = work.job().stage().map_or("", |stage| &stage.name);
    format!("batch {} of stage {stage}", work.task().batch)
}
