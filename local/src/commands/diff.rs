//! `diff`: the items and attributes in which two tables or dumps differ.

use clap::Args;
use serde_json::Value;

use super::dump_location::{absolute_location, side};
use crate::Failure;
use crate::json_fields::count;
use crate::options::{JobOptions, Parameters, ReadRate};

#[derive(Debug, Args)]
pub struct Diff {
    /// A dump's folder, a location of dumps, or table:NAME
    pub left: String,
    /// Likewise
    pub right: String,
    /// Write the differences to this file, as JSON Lines
    #[arg(long, value_name = "FILE", default_value = "differences.jsonl")]
    pub to: String,
    #[command(flatten)]
    pub reads: ReadRate,
    #[command(flatten)]
    pub job: JobOptions,
}

pub(crate) async fn run(options: &Diff) -> Result<(), Failure> {
    let Diff { left, right, to, reads, job } = options;
    let parameters = Parameters::default()
        .with("left", side(left)?)
        .with("right", side(right)?)
        .with("output", absolute_location(to)?);
    let Some(ended) = job.run("diff", reads.add_to(parameters)).await? else { return Ok(()) };
    let result = ended.result();
    let equal = result.get("equal").and_then(Value::as_bool).unwrap_or(false);
    let differences = || {
        let [only_left, only_right, differing] =
            ["onlyLeft", "onlyRight", "differing"].map(|name| count(result, name));
        format!("{only_left} items only left, {only_right} only right, {differing} differ")
    };
    ended.print(job.json, || match equal {
        true => format!("equal: {} items", count(result.get("left").unwrap_or(&Value::Null), "count")),
        false => format!("{}: {to}", differences()),
    });
    if equal { Ok(()) } else { Err(Failure::Other(differences())) }
}
