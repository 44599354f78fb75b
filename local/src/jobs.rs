//! Jobs from the command line: submitted, worked on, listed, waited for, cancelled.

pub(crate) mod run;
pub(crate) mod show;

use nextbasket_batch::engine::{Cancelled, JobView};
use nextbasket_batch::{Engine, JobId, JobState, Trust, Vouching};
use serde_json::{Value, json};

use crate::Failure;
use crate::cli::{Jobs, JobsCommand};
use crate::out::outln;
use crate::place::Absent;
use crate::system::own_engine;
use crate::target::Reached;

/// How many jobs a list shows.
const LISTED: u32 = 50;

/// Runs one of the `jobs` commands.
///
/// # Errors
/// [`Failure`] if the job or the target is not as it must be.
pub async fn run(options: &Jobs) -> Result<(), Failure> {
    let reached = options.target.reach(Absent::Refuse).await?;
    let result = run_at(options, &reached).await;
    reached.finish(result).await
}

async fn run_at(options: &Jobs, reached: &Reached) -> Result<(), Failure> {
    let vouch = matches!(options.command, JobsCommand::Work { vouch: true, .. });
    let engine = if vouch { engine_for_all(reached)? } else { engine(reached)? };
    let here = |workers: u32| run::Here {
        engine: &engine,
        folder: reached.folder(),
        workers: workers.max(1),
        company: reached.company(),
    };
    match &options.command {
        JobsCommand::List => list(&engine, options.json).await,
        JobsCommand::Show { job } => {
            let view = engine.show(&id(job)?).await?;
            print(&view, options.json)
        }
        JobsCommand::Wait { job } => run::wait(&here(run::WORKERS), &id(job)?, options.json).await,
        JobsCommand::Work { job, workers, .. } => run::work(&here(*workers), &id(job)?, options.json).await,
        JobsCommand::Cancel { job } => {
            let id = id(job)?;
            cancelled(engine.cancel(&id).await?, options.json)
        }
        JobsCommand::Submit { kind, parameters, id: given } => {
            let parameters: Value = serde_json::from_str(parameters)
                .map_err(|error| Failure::Usage(format!("the parameters are not JSON: {error}")))?;
            let given = given.as_deref().map(id).transpose()?;
            let job = engine.submit(given, kind, parameters).await?;
            say(options.json, &json!({ "jobId": job.job_id }), || {
                format!("Job {} is submitted.", job.job_id)
            });
            Ok(())
        }
    }
}

/// The engine at a target. On a data folder, processes that have its key vouch for jobs; elsewhere this process
/// vouches for the jobs that it submits.
pub(crate) fn engine(reached: &Reached) -> Result<Engine, Failure> {
    match reached.key() {
        Some(key) => Ok(own_engine(reached.site()?, &reached.tables(), key)),
        None => vouching(reached, Vouching::submitted()),
    }
}

/// Like [`engine`], but it vouches for whatever job it works on.
fn engine_for_all(reached: &Reached) -> Result<Engine, Failure> {
    vouching(reached, Vouching::all())
}

fn vouching(reached: &Reached, vouching: Vouching) -> Result<Engine, Failure> {
    let tables = reached.tables();
    let kinds = |trust| match &reached.lambda {
        Some(lambda) => nextbasket_jobs::kinds_with_functions(&tables, trust, lambda.clone()),
        None => nextbasket_jobs::kinds(&tables, trust),
    };
    let engine = Engine::new(reached.site()?, kinds(Trust::Open));
    Ok(engine.vouching(vouching, kinds(Trust::Machine)))
}

fn id(text: &str) -> Result<JobId, Failure> {
    JobId::parse(text).map_err(|problem| Failure::Usage(format!("a job's id {problem}")))
}

async fn list(engine: &Engine, as_json: bool) -> Result<(), Failure> {
    let page = engine.list(LISTED, None).await?;
    say(as_json, &json!({ "items": page.jobs }), || show::table(&page.jobs));
    Ok(())
}

/// Prints the outcome of a cancellation. If the job had already ended otherwise, the command fails.
fn cancelled(cancelled: Cancelled, as_json: bool) -> Result<(), Failure> {
    let words = match &cancelled {
        Cancelled::Ended(job) => format!("Job {} is cancelled. What was done stays done.", job.job_id),
        Cancelled::Stopping(job) => format!("Job {} stops at its next checkpoints.", job.job_id),
        Cancelled::Before(job) => {
            let at = job.ended_at.map(|at| format!(" at {at}")).unwrap_or_default();
            let how = if job.state == JobState::Cancelled { "was" } else { "has" };
            format!("Job {} {how} {}{at}. Nothing was changed.", job.job_id, job.state.as_str())
        }
    };
    if let Cancelled::Before(job) = &cancelled
        && job.state != JobState::Cancelled
    {
        return Err(Failure::Other(words));
    }
    let job = cancelled.job();
    let value = json!({ "jobId": job.job_id, "state": job.state, "cancelling": job.cancelling });
    say(as_json, &value, || words);
    Ok(())
}

/// Prints a job; one that has failed is the command's failure.
fn print(view: &JobView, as_json: bool) -> Result<(), Failure> {
    let value = serde_json::to_value(view).map_err(Failure::other)?;
    say(as_json, &value, || show::job(view));
    Ok(())
}

/// The failure that a command ends with if its job has not succeeded.
fn ended(job: &nextbasket_batch::Job) -> Result<(), Failure> {
    match job.state {
        JobState::Failed => {
            let failure = job.failure.as_deref().unwrap_or("no reason was given");
            Err(Failure::Other(format!("job {} has failed: {failure}", job.job_id)))
        }
        JobState::Cancelled => Err(Failure::Other(format!("job {} was cancelled", job.job_id))),
        _ => Ok(()),
    }
}

fn say(as_json: bool, value: &Value, words: impl FnOnce() -> String) {
    if as_json {
        outln!("{value}");
    } else {
        outln!("{}", words());
    }
}
