//! Jobs from the command line: submitted, worked on, listed, waited for, cancelled.

pub(crate) mod run;
pub(crate) mod show;

use nextbasket_batch::engine::JobView;
use nextbasket_batch::pool::Stop;
use nextbasket_batch::{Engine, JobId, JobState};
use nextbasket_jobs::Commands;
use serde_json::{Value, json};

use crate::Failure;
use crate::cli::{Jobs, JobsCommand};
use crate::target::Reached;

/// How many jobs a list shows.
const LISTED: u32 = 50;

/// Runs one of the `jobs` commands.
///
/// # Errors
/// [`Failure`] if the job or the target is not as it must be.
pub async fn run(options: &Jobs) -> Result<(), Failure> {
    let reached = options.target.reach().await?;
    let result = run_at(options, &reached).await;
    reached.close().await?;
    result
}

async fn run_at(options: &Jobs, reached: &Reached) -> Result<(), Failure> {
    let engine = engine(reached)?;
    match &options.command {
        JobsCommand::List => list(&engine, options.json).await,
        JobsCommand::Show { job } => {
            let view = engine.show(&id(job)?).await?;
            print(&view, options.json)
        }
        JobsCommand::Wait { job } => run::wait(&engine, &id(job)?, options.json).await,
        JobsCommand::Work { job, workers } => {
            run::work(&engine, &id(job)?, *workers, &Stop::default(), options.json).await
        }
        JobsCommand::Cancel { job } => {
            let id = id(job)?;
            engine.cancel(&id).await?;
            say(options.json, &json!({ "jobId": id, "cancelling": true }), || {
                format!("Job {id} stops at its next checkpoints.")
            });
            Ok(())
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

/// The engine at a target, with the kinds that may be run by whoever is at this machine.
pub(crate) fn engine(reached: &Reached) -> Result<Engine, Failure> {
    let (site, tables) = (reached.site()?, reached.tables());
    let kinds = match &reached.lambda {
        Some(lambda) => nextbasket_jobs::kinds_with_functions(&tables, Commands::Allowed, lambda.clone()),
        None => nextbasket_jobs::kinds(&tables, Commands::Allowed),
    };
    Ok(Engine::new(site, kinds))
}

fn id(text: &str) -> Result<JobId, Failure> {
    JobId::parse(text).map_err(|problem| Failure::Usage(format!("a job's id {problem}")))
}

async fn list(engine: &Engine, as_json: bool) -> Result<(), Failure> {
    let page = engine.list(LISTED, None).await?;
    say(as_json, &json!({ "items": page.jobs }), || show::table(&page.jobs));
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
        println!("{value}");
    } else {
        println!("{}", words());
    }
}
