//! `verify`: a dump against its manifest, or a table against a dump or another table.

use clap::Args;
use serde_json::Value;

use super::dump_location::{absolute_location, table_of};
use crate::Failure;
use crate::json_fields::{array, count, text};
use crate::options::{JobOptions, Parameters, ReadRate};
use crate::profiles::region_of;

#[derive(Debug, Args)]
pub struct Verify {
    /// A dump's folder, a location of dumps (the newest full one with its increments, or all archives), or table:NAME
    pub side: String,
    /// What it must equal: table:NAME; without it, a dump is compared with its own manifest
    pub other: Option<String>,
    /// The region of the other table, if it is another one
    #[arg(long, value_name = "REGION", requires = "other")]
    pub other_region: Option<String>,
    /// The endpoint of the other table, if it is another one
    #[arg(long, value_name = "URL", requires = "other")]
    pub other_endpoint: Option<String>,
    /// The profile with the credentials of the other table's account, if it is another one
    #[arg(long, value_name = "PROFILE", requires = "other")]
    pub other_profile: Option<String>,
    #[command(flatten)]
    pub reads: ReadRate,
    #[command(flatten)]
    pub job: JobOptions,
}

impl Verify {
    async fn parameters(&self) -> Result<Parameters, Failure> {
        let Self { side, other, other_region, other_endpoint, other_profile, reads, .. } = self;
        let parameters = reads.add_to(Parameters::default());
        match (table_of(side), other.as_deref().map(table_of)) {
            (None, None) => Ok(parameters.with("dump", absolute_location(side)?)),
            (None, Some(Some(table)))
                if other_region.is_none() && other_endpoint.is_none() && other_profile.is_none() =>
            {
                Ok(parameters.with("dump", absolute_location(side)?).with("table", table))
            }
            (Some(table), Some(Some(other))) => {
                let region =
                    region_of("--other-profile", other_profile.as_deref(), other_region.as_deref()).await?;
                let other = Parameters::default()
                    .with("table", other)
                    .with("region", region)
                    .with("endpoint", other_endpoint.clone())
                    .with("profile", other_profile.clone());
                Ok(parameters.with("table", table).with("other", other.json()))
            }
            (Some(table), None) => Err(Failure::Usage(format!(
                "OTHER is missing: name what table:{table} must equal, as in `nextbasket verify DUMP table:{table}`"
            ))),
            _ => Err(Failure::Usage(
                "OTHER: a dump can be compared with its manifest or with table:NAME of the same endpoint only; \
                 use `nextbasket diff` to compare two dumps"
                    .to_owned(),
            )),
        }
    }
}

pub(crate) async fn run(options: &Verify) -> Result<(), Failure> {
    let job = &options.job;
    let Some(ended) = job.run("verify", options.parameters().await?).await? else { return Ok(()) };
    let result = ended.result();
    let problems: Vec<&str> = array(result, "problems").iter().filter_map(Value::as_str).collect();
    ended.print(job.json, || {
        let left = result.get("left").unwrap_or(&Value::Null);
        let (items, digest) = (count(left, "count"), text(left, "digest"));
        let mut words = match problems.as_slice() {
            [] if options.other.is_some() => format!("equal: {items} items, digest {digest}"),
            [] => format!("good: {items} items, digest {digest}"),
            problems => problems.join("\n"),
        };
        // Of several, each was checked by itself.
        for line in array(result, "dumps").iter().chain(array(result, "notes")).filter_map(Value::as_str) {
            words.push_str("\n  ");
            words.push_str(line);
        }
        words
    });
    match problems.len() {
        0 => Ok(()),
        count => {
            let all = result.pointer("/allProblems/count").and_then(Value::as_u64);
            Err(Failure::Other(format!("{} problems", all.unwrap_or(count as u64))))
        }
    }
}
