//! `delete`: deletes the items of a table that meet a condition.

use clap::Args;

use super::table_job::{TableJobOptions, changed, of_table};
use crate::Failure;
use crate::confirmation::ConfirmOption;
use crate::options::WriteRate;

#[derive(Debug, Args)]
pub struct Delete {
    /// The table
    pub table: String,
    /// The condition, such as "expiresAt < now()"
    #[arg(long = "where", value_name = "CONDITION", required_unless_present = "all")]
    pub condition: Option<String>,
    /// Delete every item
    #[arg(long, conflicts_with = "condition")]
    pub all: bool,
    /// Delete at most N items: their keys are noted before the first one is deleted
    #[arg(long, value_name = "N", conflicts_with = "follow", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    #[command(flatten)]
    pub writes: WriteRate,
    #[command(flatten)]
    pub confirm: ConfirmOption,
    #[command(flatten)]
    pub table_job: TableJobOptions,
}

pub(crate) async fn run(options: &Delete) -> Result<(), Failure> {
    let Delete { table, condition, all, limit, writes, confirm, table_job } = options;
    let parameters = of_table(table).with("where", condition.clone()).with_flag("all", *all);
    let parameters = parameters.with("limit", *limit);
    let confirm = Some(confirm.of("delete", table));
    table_job.run("delete", writes.add_to(parameters), confirm, |ended| changed(ended, "deleted")).await
}
