//! `copy`: the items of a table, into another table.

use clap::Args;

use super::table_job::{TableJobOptions, changed, of_table};
use crate::Failure;
use crate::confirmation::{ConfirmOption, Confirmation};
use crate::options::PutOptions;

#[derive(Debug, Args)]
pub struct Copy {
    /// The table to copy from
    pub table: String,
    /// The table to copy to; it must exist, with the same key schema unless --set changes the key
    pub to: String,
    /// The region of the other table, if it is another one
    #[arg(long, value_name = "REGION")]
    pub to_region: Option<String>,
    /// The endpoint of the other table, if it is another one
    #[arg(long, value_name = "URL")]
    pub to_endpoint: Option<String>,
    /// The condition that items to copy meet
    #[arg(long = "where", value_name = "CONDITION")]
    pub condition: Option<String>,
    /// Change each item on its way, as update does: "SET email = 'x', name = fullName REMOVE fullName"
    #[arg(long, value_name = "CHANGE")]
    pub set: Option<String>,
    #[command(flatten)]
    pub puts: PutOptions,
    #[command(flatten)]
    pub confirm: ConfirmOption,
    #[command(flatten)]
    pub table_job: TableJobOptions,
}

pub(crate) async fn run(options: &Copy) -> Result<(), Failure> {
    let Copy { table, to, to_region, to_endpoint, condition, set, puts, confirm, table_job } = options;
    let elsewhere = match (to_endpoint, to_region) {
        (Some(endpoint), Some(region)) => Some(format!("{endpoint}, region {region}")),
        (Some(endpoint), None) => Some(endpoint.clone()),
        (None, region) => region.as_ref().map(|region| format!("region {region}")),
    };
    let confirm = confirm.of_puts("copy", to, &puts.on_conflict);
    let confirm = confirm.map(|confirm| Confirmation { elsewhere, ..confirm });
    let to = of_table(to).with("region", to_region.clone()).with("endpoint", to_endpoint.clone());
    let parameters = of_table(table).with("to", to.json()).with("where", condition.clone());
    let parameters = parameters.with("set", set.clone());
    table_job.run("copy", puts.add_to(parameters), confirm, |ended| changed(ended, "copied")).await
}
