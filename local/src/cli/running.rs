//! The options that all commands have that run a job.

use std::path::PathBuf;

use clap::Args;

use super::parameters::Parameters;
use crate::jobs::run::{RunOptions, WORKERS};
use crate::target::Target;

/// Where a job runs, and how.
#[derive(Debug, Clone, Args)]
pub struct Running {
    /// Where the tables are.
    #[command(flatten)]
    pub target: Target,
    /// How many batches are worked on at a time [default: what suits the kind, mostly 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub workers: Option<u32>,
    /// Say items, size, capacity units, time and cost, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Where refused items go, as JSON Lines [default: refused/JOB.jsonl in the data folder]
    #[arg(long, value_name = "FILE")]
    pub refused: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl Running {
    /// The job's parameters with the width that was asked for: how many batches all processes together work on.
    pub(crate) fn with_width(&self, parameters: Parameters) -> Parameters {
        parameters.with("width", self.workers)
    }

    /// As the job is to be run, with its estimate told first.
    pub(crate) fn options(&self) -> RunOptions {
        RunOptions {
            workers: self.workers.unwrap_or(WORKERS),
            json: self.json,
            refused: self.refused.clone(),
            dry_run: self.dry_run,
            estimate_first: !self.json,
            ..RunOptions::default()
        }
    }
}
