//! The options of the commands that run jobs.

use clap::{Args, Subcommand};

use crate::target::Target;

/// Options of `jobs`.
#[derive(Debug, Args)]
pub struct Jobs {
    /// What to do.
    #[command(subcommand)]
    pub command: JobsCommand,
    /// Where the jobs are.
    #[command(flatten)]
    pub target: Target,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// What to do with jobs.
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
    /// On a data folder where no process works on the job, this process does, and says so.
    Wait {
        /// The job's id
        job: String,
    },
    /// Work on a job, together with whoever does already, until it has ended
    Work {
        /// The job's id
        job: String,
        /// How many batches this process works on at a time
        #[arg(long, default_value_t = 8)]
        workers: u32,
        /// Vouch for the job: run its commands and use the files and endpoints that it names, although another
        /// process submitted it. Look at it first with `jobs show`
        #[arg(long)]
        vouch: bool,
    },
    /// Stop a job at its next checkpoints
    Cancel {
        /// The job's id
        job: String,
    },
    /// Submit a job without working on it
    Submit {
        /// Its kind, such as count
        kind: String,
        /// Its parameters, as JSON
        #[arg(default_value = "{}")]
        parameters: String,
        /// Its id; the same id with the same parameters again is the same job
        #[arg(long)]
        id: Option<String>,
    },
}
