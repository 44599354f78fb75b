//! `revert`: items that changed within an incremental export of AWS, back to what they were before.

use std::fmt::Write;

use clap::Args;

use super::dump_location::absolute_location;
use crate::Failure;
use crate::confirmation::ConfirmOption;
use crate::job_run::RunOptions;
use crate::json_fields::count;
use crate::options::{JobOptions, Parameters, ReadRate, WriteRate};

#[derive(Debug, Args)]
pub struct Revert {
    /// The table
    pub table: String,
    /// The folder of an incremental export with the view NEW_AND_OLD_IMAGES, or a location that holds no other export
    #[arg(long, value_name = "LOCATION")]
    pub from: String,
    /// Revert items that were changed since the export, too
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub reads: ReadRate,
    #[command(flatten)]
    pub writes: WriteRate,
    #[command(flatten)]
    pub confirm: ConfirmOption,
    #[command(flatten)]
    pub job: JobOptions,
}

pub(crate) async fn run(options: &Revert) -> Result<(), Failure> {
    let Revert { table, from, force, reads, writes, confirm, job } = options;
    let parameters = Parameters::default()
        .with("table", table.as_str())
        .with("from", absolute_location(from)?)
        .with_flag("force", *force);
    let parameters = writes.add_to(reads.add_to(parameters));
    let run_options = RunOptions { confirm: Some(confirm.of("revert", table)), ..job.run_options() };
    let Some(ended) = job.run_as("revert", parameters, &run_options).await? else { return Ok(()) };
    ended.print(job.json, || {
        let result = ended.result();
        let [lines, restored, deleted] = ["lines", "restored", "deleted"].map(|name| count(result, name));
        let mut words =
            format!("{} of {lines} items of {table} reverted, {deleted} of them deleted", restored + deleted);
        for (name, outcome) in [
            ("already", "were as before already"),
            ("changedSince", "were changed since and stay"),
            ("erased", "of erased users left out"),
        ] {
            if count(result, name) > 0 {
                let _ = write!(words, ", {} {outcome}", count(result, name));
            }
        }
        words
    });
    ended.verdict()
}
