//! A job's next step, for the state machine `statemachines/job.asl.json`: work on a stage's batches, wait, or the end.
//!
//! The function is called between two rounds of work. It ends the stage whose batches have ended, plans the next one,
//! takes the job's lock before the first and gives it back after the last. Any number of calls at the same time do no
//! harm: the engine lets one of them plan.
//!
//! A schedule starts the state machine with a kind and parameters in place of a job's id: then the first call submits
//! the job, under an id that is the execution's own, so that a call made twice submits it once.
//!
//! What one call has to tell the next is the [`Memory`], which the state machine hands on as it is: with it a job
//! whose batches end neither well nor badly is found out, and an execution whose history grows long goes on as a new
//! one.
//!
//! * [`memory`]: what is remembered between calls

pub mod memory;

use std::time::Duration;

use lambda_runtime::LambdaEvent;
use nextbasket_domain::Timestamp;
use nextbasket_job_engine::engine::{Step, WorkStep};
use nextbasket_job_engine::{Engine, Job, JobError, JobId, JobState};
use nextbasket_telemetry::{Metrics, Unit};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use memory::Memory;
pub use nextbasket_job_kinds::FunctionFailure;

/// The most batches that a Distributed Map works on at a time.
const WIDEST: u32 = 10_000;
/// The longest wait before the job is looked at again: it may have been cancelled, and its lock has to be renewed.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How long a job waits before it asks again for a lock that another one has.
const LOCKED_WAIT: Duration = Duration::from_secs(15);
/// The longest reason that a state machine is told: a cause may have 32,768 characters.
const LONGEST_REASON: usize = 4_000;

#[derive(Debug, Clone)]
pub struct State {
    engine: Engine,
    metrics: Metrics,
}

impl State {
    /// With this engine; how jobs end is counted in these metrics.
    pub fn new(engine: Engine, metrics: Metrics) -> Self {
        Self { engine, metrics }
    }
}

/// A call of the state machine.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Value")]
pub enum Call {
    /// To submit a job: `{"submit": …}`.
    Submit(NewJob),
    Ask(Ask),
}

impl TryFrom<Value> for Call {
    type Error = serde_json::Error;

    fn try_from(mut call: Value) -> Result<Self, Self::Error> {
        match call.get_mut("submit") {
            Some(new) => NewJob::deserialize(new.take()).map(Self::Submit),
            None => Ask::deserialize(call).map(Self::Ask),
        }
    }
}

/// A job that an execution is started with.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewJob {
    pub kind: String,
    #[serde(default)]
    pub parameters: Map<String, Value>,
    pub execution: String,
    pub started_at: Timestamp,
}

/// What the state machine asks about a job.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ask {
    pub job_id: JobId,
    #[serde(default)]
    pub action: Action,
    /// With [`Action::Fail`]: why.
    #[serde(default)]
    pub reason: Option<String>,
    /// What the last call told to remember.
    #[serde(default)]
    pub memory: Memory,
    /// How the last round of work ended, or, with [`Action::Fail`], what the state machine met.
    #[serde(default)]
    pub round: Round,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    #[default]
    Plan,
    /// End the job: the state machine cannot go on with it.
    Fail,
}

/// The error of a round of work, as a state machine catches it. There is none if all batches did well.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Round {
    pub error: Option<String>,
    /// Its cause: words, or the error of a function as JSON.
    pub cause: Option<String>,
}

impl Round {
    /// The error in words, at most [`LONGEST_REASON`] bytes.
    fn words(&self) -> String {
        let name = self.error.as_deref().unwrap_or("no error");
        let Some(cause) = self.cause.as_deref().filter(|cause| !cause.is_empty()) else {
            return name.to_owned();
        };
        let object: Option<Value> = serde_json::from_str(cause).ok();
        let message = object.as_ref().and_then(|object| object.get("errorMessage")?.as_str());
        short(&format!("{name}: {}", message.unwrap_or(cause))).to_owned()
    }
}

/// What the state machine is to do next.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "next", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Answer {
    Submitted {
        job_id: JobId,
    },
    /// Work on the batches of a stage, then ask again.
    Work {
        stage: u32,
        batches: u32,
        /// How many of them are worked on at a time.
        width: u32,
        /// How many may fail for good, in percent. Rounded up: whether it was too many, the engine decides.
        tolerated_failure_percentage: u32,
        /// Where the batches stand, as a JSON array.
        plan: PlanLocation,
        /// To be told to the next call.
        memory: Memory,
    },
    Wait {
        seconds: u64,
        /// To be told to the next call.
        memory: Memory,
    },
    /// Go on as a new execution: this one's history has become long.
    Continue {
        name: String,
        /// To be told to the next call.
        memory: Memory,
    },
    Done {
        state: JobState,
        /// Why, if it failed; otherwise empty.
        failure: String,
    },
}

/// An object in S3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlanLocation {
    pub bucket: String,
    pub key: String,
}

/// Answers one call.
///
/// # Errors
/// [`FunctionFailure`], transient or not.
pub async fn handle(state: &State, event: LambdaEvent<Call>) -> Result<Answer, FunctionFailure> {
    let ask = match event.payload {
        Call::Submit(new) => return Ok(submitted(&state.engine, new).await?),
        Call::Ask(ask) => ask,
    };
    if ask.action == Action::Fail {
        let met = || format!("the state machine cannot continue: {}", ask.round.words());
        let reason = ask.reason.clone().unwrap_or_else(met);
        state.engine.fail(&ask.job_id, &reason).await?;
    }
    let answer = next(state, ask).await?;
    tracing::info!(answer = %serde_json::to_string(&answer).unwrap_or_default(), "planned");
    Ok(answer)
}

async fn submitted(engine: &Engine, new: NewJob) -> Result<Answer, JobError> {
    let id = JobId::started(new.started_at, &new.execution);
    let job = engine.submit(Some(id), &new.kind, Value::Object(new.parameters)).await?;
    tracing::info!(job = %job.job_id, kind = job.kind, "submitted");
    Ok(Answer::Submitted { job_id: job.job_id })
}

async fn next(State { engine, metrics }: &State, ask: Ask) -> Result<Answer, JobError> {
    let Ask { job_id, mut memory, round, .. } = ask;
    memory.rounds += 1;
    let mut step = engine.plan(&job_id).await?;
    if let Step::Work(work) = &step
        && !memory.moves_on(work.stage, work.ended)
        && memory.stands_still(&engine.batches(&job_id, work.stage).await?)
    {
        engine.fail(&job_id, &stuck(work, &memory, &round)).await?;
        step = engine.plan(&job_id).await?;
    }
    if !matches!(step, Step::Ended(_)) && memory.is_long() {
        memory.begin_again();
        let name = format!("{job_id}.{}", memory.executions);
        return Ok(Answer::Continue { name, memory });
    }
    Ok(match step {
        Step::Work(work) => Answer::Work {
            stage: work.stage,
            batches: work.batches,
            width: work.width.min(work.batches).clamp(1, WIDEST),
            tolerated_failure_percentage: percent(work.tolerated),
            plan: PlanLocation { bucket: engine.site().objects.name().to_owned(), key: work.plan },
            memory,
        },
        Step::Wait(wait) => Answer::Wait { seconds: seconds(wait), memory },
        Step::Locked { name, holder } => {
            tracing::info!(job = %job_id, lock = name, holder, "waits for its lock");
            Answer::Wait { seconds: seconds(LOCKED_WAIT), memory }
        }
        Step::Ended(job) => {
            count(metrics, &job);
            ended(&job)
        }
    })
}

/// For alarms: that jobs of a kind fail, and that none has succeeded for long.
fn count(metrics: &Metrics, job: &Job) {
    let name = match job.state {
        JobState::Succeeded => "JobsSucceeded",
        JobState::Failed => "JobsFailed",
        _ => return,
    };
    metrics.put(&[("JobKind", &job.kind)], &[(name, 1.0, Unit::Count)], &[("jobId", job.job_id.as_str())]);
}

fn ended(job: &Job) -> Answer {
    let failure = job.failure.as_deref().unwrap_or_default();
    Answer::Done { state: job.state, failure: short(failure).to_owned() }
}

/// Why a job is ended whose batches do not end.
fn stuck(work: &WorkStep, memory: &Memory, round: &Round) -> String {
    let (stage, rounds, words) = (work.stage, memory.still, round.words());
    format!(
        "stage {stage}: its batches made no progress in {rounds} rounds of work; the last one ended with {words}"
    )
}

fn short(text: &str) -> &str {
    text.get(..text.floor_char_boundary(LONGEST_REASON)).unwrap_or(text)
}

/// Whole seconds, at least one.
fn seconds(wait: Duration) -> u64 {
    wait.min(LONGEST_WAIT).as_millis().div_ceil(1000).try_into().unwrap_or(1).max(1)
}

/// A percentage as a whole number, rounded up.
fn percent(tolerated: f64) -> u32 {
    (0..100).find(|&whole| f64::from(whole) >= tolerated).unwrap_or(100)
}
