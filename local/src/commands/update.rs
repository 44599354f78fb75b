//! `update`: changes the items of a table that meet a condition.

use clap::Args;

use super::table_job::{TableJobOptions, changed, of_table};
use crate::Failure;
use crate::confirmation::ConfirmOption;
use crate::options::WriteRate;

#[derive(Debug, Args)]
pub struct Update {
    /// The table
    pub table: String,
    /// The update, in DynamoDB's expression language with values inline: "SET n = n + 1 REMOVE old", or "price = 5"
    #[arg(long, value_name = "CHANGE")]
    pub set: String,
    /// The condition, such as "status = 'old' AND expiresAt < now()"
    #[arg(long = "where", value_name = "CONDITION")]
    pub condition: Option<String>,
    /// Change at most N items: their keys are noted before the first one is changed
    #[arg(long, value_name = "N", conflicts_with = "follow", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    #[command(flatten)]
    pub writes: WriteRate,
    #[command(flatten)]
    pub confirm: ConfirmOption,
    #[command(flatten)]
    pub table_job: TableJobOptions,
}

pub(crate) async fn run(options: &Update) -> Result<(), Failure> {
    let Update { table, set, condition, limit, writes, confirm, table_job } = options;
    let parameters = of_table(table).with("set", set.as_str()).with("where", condition.clone());
    let parameters = parameters.with("limit", *limit);
    let confirm = Some(confirm.of("update", table));
    table_job.run("update", writes.add_to(parameters), confirm, |ended| changed(ended, "updated")).await
}
