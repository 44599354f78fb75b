//! The options of all commands that run a job.

use std::path::PathBuf;

use clap::Args;

use super::Parameters;
use crate::Failure;
use crate::job_run::{EndedJob, RunOptions, WORKERS, run};
use crate::target::TargetOptions;

/// Where a job runs, and how.
#[derive(Debug, Clone, Args)]
pub struct JobOptions {
    #[command(flatten)]
    pub target: TargetOptions,
    /// How many batches are worked on at the same time [default: depends on the kind, mostly 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub workers: Option<u32>,
    /// Print an estimate of items, size, capacity units, time and cost, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Write rejected items to this file, as JSON Lines [default: refused/JOB.jsonl in the data folder]
    #[arg(long, value_name = "FILE")]
    pub refused: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl JobOptions {
    /// As the job is to be run, with its estimate printed first.
    pub(crate) fn run_options(&self) -> RunOptions {
        RunOptions {
            workers: self.workers.unwrap_or(WORKERS),
            json: self.json,
            refused: self.refused.clone(),
            dry_run: self.dry_run,
            estimate_first: !self.json,
            ..RunOptions::default()
        }
    }

    /// Runs a job of this kind until it has succeeded; `None` after a dry run.
    pub(crate) async fn run(&self, kind: &str, parameters: Parameters) -> Result<Option<EndedJob>, Failure> {
        self.run_as(kind, parameters, &self.run_options()).await
    }

    /// As [`run`](Self::run), with run options of the command's own.
    pub(crate) async fn run_as(
        &self,
        kind: &str,
        parameters: Parameters,
        options: &RunOptions,
    ) -> Result<Option<EndedJob>, Failure> {
        // How many batches all processes together work on.
        let parameters = parameters.with("width", self.workers).json();
        run(&self.target, kind, parameters, options).await
    }
}
