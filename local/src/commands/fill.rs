//! `fill`: a table with generated items.

use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use super::table_job::{changed, of_table, run_and_print};
use crate::Failure;
use crate::confirmation::ConfirmOption;
use crate::job_run::RunOptions;
use crate::options::{JobOptions, WriteRate};

#[derive(Debug, Args)]
pub struct Fill {
    /// The table
    pub table: String,
    /// The number of items
    #[arg(long, value_name = "N")]
    pub count: u64,
    /// The approximate size of an item
    #[arg(long, value_name = "BYTES")]
    pub item_bytes: Option<u32>,
    /// The seed of the generated items: the same seed gives the same items
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The number of values of the partition key, for a table with a sort key
    #[arg(long, value_name = "N")]
    pub partitions: Option<u64>,
    /// A JSON file of the items' attributes; in strings, {n} is the item's number and {random} 16 random digits
    #[arg(long, value_name = "FILE")]
    pub template: Option<PathBuf>,
    /// The maximum number of items in a batch of writes
    #[arg(long, value_name = "ITEMS")]
    pub batch_size: Option<u32>,
    #[command(flatten)]
    pub writes: WriteRate,
    #[command(flatten)]
    pub confirm: ConfirmOption,
    #[command(flatten)]
    pub job: JobOptions,
}

pub(crate) async fn run(options: &Fill) -> Result<(), Failure> {
    let Fill { table, count, item_bytes, seed, partitions, template, batch_size, writes, confirm, job } =
        options;
    let template: Option<Value> = match template {
        None => None,
        Some(path) => {
            let content = std::fs::read_to_string(path).map_err(Failure::of_file(path))?;
            let invalid = |error| Failure::Usage(format!("--template: {}: {error}", path.display()));
            Some(serde_json::from_str(&content).map_err(invalid)?)
        }
    };
    let parameters = of_table(table)
        .with("count", *count)
        .with("itemBytes", *item_bytes)
        .with("seed", *seed)
        .with("partitions", *partitions)
        .with("template", template)
        .with("batchSize", *batch_size);
    let parameters = writes.add_to(parameters);
    let run_options = RunOptions { confirm: Some(confirm.of("fill", table)), ..job.run_options() };
    run_and_print(job, "fill", parameters, &run_options, |ended| changed(ended, "written")).await
}
