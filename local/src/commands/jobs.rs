//! `jobs`: submits, lists, shows, waits for, works on and cancels jobs.

use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use nextbasket_job_engine::engine::Cancelled;
use nextbasket_job_engine::{Engine, JobId, JobState, Vouching};
use serde_json::{Value, json};

use crate::Failure;
use crate::folder_sharing::IfMissing;
use crate::job_run::driver::JobDriver;
use crate::job_run::{WORKERS, engine_at, vouching_engine};
use crate::job_text;
use crate::signals::until_stopped;
use crate::stdio::print_result;
use crate::target::{Target, TargetOptions};

/// How many jobs a list shows.
const MAX_LISTED: u32 = 50;

/// How long a cancellation waits for the job's end: longer than the claims of a killed process.
const MAX_STOPPING: Duration = Duration::from_secs(30);

const STOPPING_POLL: Duration = Duration::from_millis(250);

#[derive(Debug, Args)]
pub struct Jobs {
    /// What to do.
    #[command(subcommand)]
    pub command: JobsCommand,
    #[command(flatten)]
    pub target: TargetOptions,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum JobsCommand {
    /// List the newest jobs
    List,
    /// Show a job: its stages, progress, failures and log
    Show {
        /// The job's id
        job: String,
    },
    /// Wait until a job has ended; exit code 1 if it has not succeeded
    ///
    /// On a data folder where no process works on the job, this process does.
    Wait {
        /// The job's id
        job: String,
    },
    /// Work on a job until it has ended, together with the processes that already do
    Work {
        /// The job's id
        job: String,
        /// How many batches this process works on at the same time
        #[arg(long, default_value_t = 8)]
        workers: u32,
        /// Vouch for the job: run its commands and use the files and endpoints that it names, although another
        /// process submitted it. Check it first with `jobs show`
        #[arg(long)]
        vouch: bool,
    },
    /// Stop a job at its next checkpoints, and wait up to 30 seconds for that
    Cancel {
        /// The job's id
        job: String,
    },
    /// Submit a job without working on it
    Submit {
        /// The job's kind, such as count
        kind: String,
        /// The job's parameters, as JSON
        #[arg(default_value = "{}")]
        parameters: String,
        /// The job's id; submitting the same id and parameters again has no effect
        #[arg(long)]
        id: Option<String>,
    },
}

pub(crate) async fn run(options: &Jobs) -> Result<(), Failure> {
    let target = options.target.open(IfMissing::Fail).await?;
    let result = run_at(options, &target).await;
    target.close(result).await
}

async fn run_at(options: &Jobs, target: &Target) -> Result<(), Failure> {
    let as_json = options.json;
    let engine = match options.command {
        JobsCommand::Work { vouch: true, .. } => vouching_engine(target, Vouching::all())?,
        _ => engine_at(target)?,
    };
    let driver = |workers: u32| JobDriver {
        engine: &engine,
        target_options: &target.options,
        workers: workers.max(1),
        other_processes: target.other_processes(),
    };
    match &options.command {
        JobsCommand::List => list(&engine, as_json).await,
        JobsCommand::Show { job } => job_text::print(&engine.show(&id(job)?).await?, as_json),
        JobsCommand::Wait { job } => driver(WORKERS).wait(&id(job)?, as_json).await,
        JobsCommand::Work { job, workers, .. } => driver(*workers).work(&id(job)?, as_json).await,
        JobsCommand::Cancel { job } => print_cancelled(cancel(&engine, &id(job)?).await?, as_json),
        JobsCommand::Submit { kind, parameters, id: given } => {
            let parameters: Value = serde_json::from_str(parameters)
                .map_err(|error| Failure::Usage(format!("PARAMETERS: invalid JSON: {error}")))?;
            let given = given.as_deref().map(id).transpose()?;
            let job = engine.submit(given, kind, parameters).await?;
            print_result(as_json, &json!({ "jobId": job.job_id }), || {
                format!("Job {} is submitted.", job.job_id)
            });
            Ok(())
        }
    }
}

fn id(text: &str) -> Result<JobId, Failure> {
    JobId::parse(text).map_err(|problem| Failure::Usage(format!("JOB: a job's id {problem}")))
}

async fn list(engine: &Engine, as_json: bool) -> Result<(), Failure> {
    let page = engine.list(MAX_LISTED, None).await?;
    print_result(as_json, &json!({ "items": page.jobs }), || job_text::table(&page.jobs));
    Ok(())
}

/// Cancels a job and waits until it has ended: its workers stop at their next checkpoints, and of a worker that was
/// killed the claims expire. Only then is its table free for other jobs; if nobody waited, a job whose workers are gone
/// would keep it until somebody works on the job again.
async fn cancel(engine: &Engine, id: &JobId) -> Result<Cancelled, Failure> {
    let begun = Instant::now();
    let mut cancelled = engine.cancel(id).await?;
    while matches!(cancelled, Cancelled::Stopping(_)) && begun.elapsed() < MAX_STOPPING {
        tokio::select! {
            () = tokio::time::sleep(STOPPING_POLL) => {}
            by = until_stopped() => {
                let message = format!("the cancellation of job {id} stands; it has not ended yet");
                return Err(Failure::Stopped { by, message });
            }
        }
        cancelled = match engine.cancel(id).await? {
            // A worker has ended it meanwhile.
            Cancelled::Before(job) if job.state == JobState::Cancelled => Cancelled::Ended(job),
            other => other,
        };
    }
    Ok(cancelled)
}

/// Prints the outcome of a cancellation. If the job had already ended otherwise, the command fails.
fn print_cancelled(cancelled: Cancelled, as_json: bool) -> Result<(), Failure> {
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
    print_result(as_json, &value, || words);
    Ok(())
}
