//! Jobs that are worked on by processes which crash and restart.

use std::time::Duration;

use nextbasket_job_engine::pool::{Stop, drive};
use nextbasket_job_engine::{Job, JobError, JobId, JobState};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::process::Role;
use crate::world::World;
use crate::{Checked, Violation, ensure};

/// A job that has not ended after this many restarts of one crew makes no progress.
const MOST_LIVES: u32 = 60;

/// How many times a job is submitted until there is an answer.
const MOST_SUBMITS: u32 = 40;

/// Submits a job and works on it with one to three processes at a time, some of which crash, freeze and come back,
/// until it has ended. Returns its result; `None` if it failed because there were more faults than it has to
/// tolerate. A few transient faults must not end a job.
///
/// # Errors
/// [`Violation`] if it does not end, ends with an error of the engine, or failed after fewer faults.
pub async fn run(world: &World, kind: &str, parameters: Value) -> Checked<Option<Value>> {
    let id = submit(world, kind, parameters).await?;
    let crews = 1 + world.below(3);
    let workers = 1 + u32::try_from(world.below(3)).unwrap_or(0);
    let crews = (0..crews).map(|_| crew(world, &id, workers));
    let mut ended = futures::future::try_join_all(crews).await?;
    let job = ended.pop().ok_or_else(|| Violation("no crew worked on the job".to_owned()))?;
    let known = world.engine(world.observer()).job(&id).await;
    let known = known.map_err(|error| Violation(format!("the job cannot be read: {error}")))?;
    ensure!(known.state == job.state, "a job that had {:?} is {:?} now", job.state, known.state);
    ensure!(job.state != JobState::Cancelled, "the job was cancelled, and nobody asked for it");
    result(world, known)
}

/// Runs a job without faults, to prepare a scenario or to compare with.
pub async fn run_without_faults(world: &World, kind: &str, parameters: Value) -> Checked<Value> {
    let job = nextbasket_testkit::jobs::run(&world.engine(world.observer()), kind, parameters).await;
    job.result.ok_or_else(|| Violation(format!("{kind} without faults ended with {:?}", job.failure)))
}

/// Parameters of a kind that scans, with small pages.
#[must_use]
pub fn in_small_pages(world: &World, mut parameters: Value) -> Value {
    parameters["segments"] = json!(1 + world.below(4));
    parameters["batchSize"] = json!(2 + world.below(9));
    parameters["width"] = json!(1 + world.below(4));
    parameters
}

/// Submits a job under an id of the schedule's own until there is an answer.
async fn submit(world: &World, kind: &str, parameters: Value) -> Checked<JobId> {
    let id = format!("{kind}-{:x}-{:x}", world.seed, world.below(1 << 32));
    let id = JobId::parse(&id).map_err(|error| Violation(format!("{id}: {error}")))?;
    for _ in 0..MOST_SUBMITS {
        let process = world.process(Role::Function);
        let engine = world.engine(&process);
        match process.live(engine.submit(Some(id.clone()), kind, parameters.clone())).await {
            Some(Ok(job)) => {
                ensure!(job.job_id == id, "job {id} was accepted as {}", job.job_id);
                return Ok(id);
            }
            Some(Err(error)) if !error.is_transient() => {
                return Err(Violation(format!("submitting {kind} ended with: {error}")));
            }
            Some(Err(_)) | None => world.pause(2_000).await,
        }
    }
    Err(Violation(format!("{kind} was submitted {MOST_SUBMITS} times without an answer")))
}

/// Runs one process after another: when one has crashed, the next begins after a while.
async fn crew(world: &World, id: &JobId, workers: u32) -> Checked<Job> {
    let stop = Stop::default();
    let mut last = String::new();
    for _ in 0..MOST_LIVES {
        let process = world.process(Role::Worker);
        let engine = world.engine(&process);
        match process.live(Box::pin(drive(&engine, id, workers, &stop))).await {
            Some(Ok(Some(job))) => return Ok(job),
            Some(Ok(None)) => return Err(Violation("a pool stopped, and nobody asked for it".to_owned())),
            Some(Err(error)) => {
                ensure!(
                    error.is_transient() || matches!(error, JobError::Failed(_)),
                    "working on the job ended with: {error}"
                );
                last = error.to_string();
                sleep(Duration::from_secs(1)).await;
            }
            // From no time at all to long after its claims have expired.
            None => world.pause(40_000).await,
        }
    }
    Err(Violation(format!("the job does not end: {MOST_LIVES} lives; the last error: {last}")))
}

fn result(world: &World, job: Job) -> Checked<Option<Value>> {
    match job.state {
        JobState::Succeeded => Ok(Some(job.result.unwrap_or_default())),
        state => {
            let reason = job.failure.as_deref().unwrap_or_default();
            ensure!(!reason.is_empty(), "the job has {state:?} without a reason");
            let troubles = world.journal.troubles();
            ensure!(
                troubles >= ENOUGH && made_by_us(reason),
                "after {troubles} faults that pass the job has {state:?}: {reason}"
            );
            Ok(None)
        }
    }
}

/// A batch is tried eight times, so a job may fail after this many faults.
const ENOUGH: u64 = 8;

/// Whether a reason names one of the schedule's faults.
fn made_by_us(reason: &str) -> bool {
    [
        "fault proxy",
        "made by the schedule",
        "connection ended",
        "timeout",
        "cut off",
        "has to wait",
        "attempts",
    ]
    .iter()
    .any(|words| reason.contains(words))
}

/// Reads these counts from a job's result.
pub fn counts<const K: usize>(result: &Value, fields: [&str; K]) -> Checked<[u64; K]> {
    let mut counts = [0; K];
    for (count, field) in counts.iter_mut().zip(fields) {
        *count = result[field]
            .as_u64()
            .ok_or_else(|| Violation(format!("the result has no count {field}: {result}")))?;
    }
    Ok(counts)
}
