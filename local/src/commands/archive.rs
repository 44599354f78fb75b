//! `archive`: moves items of a table to an archive. Items that change meanwhile stay, which is not a failure.

use std::fmt::Write;

use clap::Args;
use serde_json::Value;

use super::dump_location::absolute_location;
use crate::Failure;
use crate::confirmation::ConfirmOption;
use crate::job_run::RunOptions;
use crate::json_fields::{count, text};
use crate::options::{JobOptions, Parameters, ReadRate, WriteRate};
use crate::stdio::errln;

#[derive(Debug, Args)]
pub struct Archive {
    /// The table
    pub table: String,
    /// Which items to move, such as "purchasedAt < '2025-01-01'"
    #[arg(long = "where", value_name = "CONDITION")]
    pub condition: String,
    /// The folder or s3://BUCKET/PREFIX in which the copy gets a folder of its own
    #[arg(long, value_name = "LOCATION")]
    pub to: String,
    #[command(flatten)]
    pub reads: ReadRate,
    #[command(flatten)]
    pub writes: WriteRate,
    #[command(flatten)]
    pub confirm: ConfirmOption,
    #[command(flatten)]
    pub job: JobOptions,
}

pub(crate) async fn run(options: &Archive) -> Result<(), Failure> {
    let Archive { table, condition, to, reads, writes, confirm, job } = options;
    let parameters = Parameters::default()
        .with("table", table.as_str())
        .with("where", condition.as_str())
        .with("to", absolute_location(to)?);
    let parameters = writes.add_to(reads.add_to(parameters));
    let run_options = RunOptions { confirm: Some(confirm.of("archive", table)), ..job.run_options() };
    let Some(ended) = job.run_as("archive", parameters, &run_options).await? else { return Ok(()) };
    ended.print(job.json, || {
        let result = ended.result();
        let archived = count(result.get("archived").unwrap_or(&Value::Null), "count");
        let (moved, folder) = (count(result, "deleted"), text(result, "archive"));
        let mut words = format!("{moved} of {archived} items moved from {table} to {folder}");
        for (name, outcome) in [
            ("gone", "were deleted by others meanwhile"),
            ("changed", "changed meanwhile and stay"),
            ("putBack", "of these were put back, since they changed in the moment of their deletion"),
        ] {
            if count(result, name) > 0 {
                let _ = write!(words, "\n  {} {outcome}", count(result, name));
            }
        }
        words
    });
    if let Some(file) = &ended.refused {
        errln!("The keys of the items that changed: {}", file.display());
    }
    Ok(())
}
