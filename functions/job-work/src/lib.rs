//! One batch of a job, for the state machine `statemachines/job.asl.json`.
//!
//! Each call works on its batch until the batch ends or the call's own time does; then the checkpoint is saved and
//! the state machine calls again. A batch that another worker has, or that waits before it is tried again, is
//! answered at once with the seconds to wait: nobody pays for a function that sleeps.

use std::time::{Duration, Instant, SystemTime};

use lambda_runtime::LambdaEvent;
use nextbasket_domain::Timestamp;
use nextbasket_job_engine::engine::Worked;
use nextbasket_job_engine::session::{Session, Share};
use nextbasket_job_engine::stage::BatchTask;
use nextbasket_job_engine::store::BatchState;
use nextbasket_job_engine::{Engine, JobId};
use serde::{Deserialize, Serialize};

pub use nextbasket_job_kinds::FunctionFailure;

/// How long before the function's end work stops, so that the page under way and its checkpoint are done by then.
const MARGIN: Duration = Duration::from_secs(20);
/// The longest wait before a batch is looked at again: its worker may have died.
const LONGEST_WAIT: u64 = 60;
/// How many calls one execution makes for its batch. Each is some ten events of its history, of which it may have
/// 25,000; what is left then is for the next round.
const ROUNDS: u32 = 500;

#[derive(Debug, Clone)]
pub struct State {
    engine: Engine,
}

impl State {
    pub fn new(engine: Engine) -> Self {
        Self { engine }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ask {
    pub task: BatchTask,
    /// How many batches of its stage are worked on at a time: each has its part of the stage's rates.
    pub width: u32,
    /// Calls for this batch before this one.
    #[serde(default)]
    pub rounds: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Stand {
    Done,
    Failed,
    /// It is to be asked for again, after a while.
    Again,
    /// It has been asked for often enough in this execution.
    Left,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Answer {
    pub state: Stand,
    /// How long to wait before it is asked for again.
    pub seconds: u64,
    pub rounds: u32,
}

/// Works on one batch for as long as the invocation lasts.
///
/// # Errors
/// [`FunctionFailure`]: transient, or with a name that says that the job has to be planned again.
pub async fn handle(state: &State, event: LambdaEvent<Ask>) -> Result<Answer, FunctionFailure> {
    let deadline = deadline(event.context.deadline());
    let Ask { task, width, rounds } = event.payload;
    let named = format!("batch {} of stage {} of job {}", task.batch, task.stage, task.job_id);
    let rounds = rounds.saturating_add(1);
    let (state, seconds) = match work(&state.engine, task, width, deadline).await {
        Ok(Worked::Ended(BatchState::Failed)) => (Stand::Failed, 0),
        Ok(Worked::Ended(_)) => (Stand::Done, 0),
        Ok(Worked::Later(at)) => (Stand::Again, until(at, state.engine.site().clock.now())),
        Ok(Worked::Stopped) => (Stand::Again, 0),
        Ok(Worked::Systemic(reason)) => Err(FunctionFailure::Systemic(reason))?,
        Err(failure) => {
            tracing::warn!(batch = named, error = %failure, "no answer");
            return Err(failure);
        }
    };
    let state = if state == Stand::Again && rounds >= ROUNDS { Stand::Left } else { state };
    tracing::info!(batch = named, ?state, seconds, rounds, "worked");
    Ok(Answer { state, seconds, rounds })
}

async fn work(
    engine: &Engine,
    task: BatchTask,
    width: u32,
    deadline: Instant,
) -> Result<Worked, FunctionFailure> {
    let id =
        JobId::parse(&task.job_id).map_err(|problem| FunctionFailure::Lasting(format!("jobId {problem}")))?;
    let job = engine.job(&id).await?;
    let stopped =
        || FunctionFailure::Stopped("the job has ended, is ending, or has lost its lock".to_owned());
    if job.is_ending() {
        return Err(stopped());
    }
    let session = Session::join(engine.site(), job, Share::OneOf(width)).await?.ok_or_else(stopped)?;
    let worked = engine.work(task, &session, Some(deadline)).await;
    let must_stop = session.must_stop();
    session.leave().await?;
    match worked? {
        Worked::Stopped if must_stop => Err(stopped()),
        worked => Ok(worked),
    }
}

/// When to stop: a while before the function's own deadline.
fn deadline(end: SystemTime) -> Instant {
    let left = end.duration_since(SystemTime::now()).unwrap_or_default();
    Instant::now() + left.saturating_sub(MARGIN.min(left / 4))
}

/// Whole seconds, at least one.
fn until(at: Timestamp, now: Timestamp) -> u64 {
    let millis = u64::try_from(at.as_millis().saturating_sub(now.as_millis())).unwrap_or(0);
    millis.div_ceil(1000).clamp(1, LONGEST_WAIT)
}
