//! The options that several commands share.

mod capacity;
mod job;
mod parameters;
pub mod value;

use std::path::PathBuf;

use clap::Args;

pub use capacity::{PutOptions, ReadRate, WriteRate};
pub use job::JobOptions;
pub(crate) use parameters::Parameters;

/// The data folder of commands that work on nothing else.
#[derive(Debug, Clone, Args)]
pub struct DataFolder {
    /// The data folder
    #[arg(long, value_name = "DIR", default_value = "nextbasket-data")]
    pub data: PathBuf,
}
