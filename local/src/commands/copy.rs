//! `copy`: the items of a table, into another table.

use clap::Args;
use nextbasket_items::table::TableAddress;

use super::table_job::{TableJobOptions, changed, of_table};
use crate::Failure;
use crate::confirmation::{ConfirmOption, Confirmation};
use crate::options::PutOptions;
use crate::profiles::region_of;

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
    /// The profile with the credentials of the other table's account, if it is another one
    #[arg(long, value_name = "PROFILE")]
    pub to_profile: Option<String>,
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
    let Copy { table, to, to_endpoint, to_profile, condition, set, puts, confirm, table_job, .. } = options;
    let to_region = region_of("--to-profile", to_profile.as_deref(), options.to_region.as_deref()).await?;
    let named = [("", to_endpoint), ("region ", &to_region), ("profile ", to_profile)];
    let named = named.iter().filter_map(|(what, name)| Some(format!("{what}{}", name.as_ref()?)));
    let elsewhere = Some(named.collect::<Vec<_>>().join(", ")).filter(|named| !named.is_empty());
    let to = TableAddress {
        table: to.clone(),
        region: to_region,
        endpoint: to_endpoint.clone(),
        profile: to_profile.clone(),
    };
    let confirm = confirm.of_puts("copy", &to.table, &puts.on_conflict);
    let confirm = confirm.map(|confirm| Confirmation { table: to.clone(), elsewhere, ..confirm });
    let to = of_table(&to.table)
        .with("region", to.region)
        .with("endpoint", to.endpoint)
        .with("profile", to.profile);
    let parameters = of_table(table).with("to", to.json()).with("where", condition.clone());
    let parameters = parameters.with("set", set.clone());
    table_job.run("copy", puts.add_to(parameters), confirm, |ended| changed(ended, "copied")).await
}
