//! `count`: the items of a table.

use clap::Args;

use super::table_job::{TableJobOptions, number, of_table, units};
use crate::Failure;

#[derive(Debug, Args)]
pub struct Count {
    /// The table
    pub table: String,
    /// The condition, in DynamoDB's expression language with values inline: "size(tags) > 2 AND price < 5"
    #[arg(long = "where", value_name = "CONDITION")]
    pub condition: Option<String>,
    #[command(flatten)]
    pub table_job: TableJobOptions,
}

pub(crate) async fn run(options: &Count) -> Result<(), Failure> {
    let Count { table, condition, table_job } = options;
    let parameters = of_table(table).with("where", condition.clone());
    table_job
        .run("count", parameters, None, |ended| {
            let (matched, processed) = (number(ended, "matched"), number(ended, "processed"));
            format!("{matched} of {processed} items {}", units(ended))
        })
        .await
}
