//! The options of the commands that run jobs over the shop's own tables, and of `models`.

use clap::{Args, Subcommand};

use super::Running;
use crate::target::Target;

/// Options of `rebuild-history`.
#[derive(Debug, Args)]
pub struct RebuildHistory {
    /// This user alone
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// How the job runs.
    #[command(flatten)]
    pub running: Running,
}

/// Options of `refresh-popular`.
#[derive(Debug, Args)]
pub struct RefreshPopular {
    /// How many products a list has, 1 to 10,000 [default: 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub products: Option<u32>,
    /// How the job runs.
    #[command(flatten)]
    pub running: Running,
}

/// Options of `models`.
#[derive(Debug, Args)]
pub struct Models {
    /// What to do [default: list]
    #[command(subcommand)]
    pub command: Option<ModelsCommand>,
    /// Where the models are.
    #[command(flatten)]
    pub target: Target,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// What to do with models.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ModelsCommand {
    /// List the live model and the one before it, with their figures
    List,
    /// Make another model the live one
    Use {
        /// Its version
        version: u64,
    },
}
