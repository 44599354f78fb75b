//! `count`: the items of a table or an index, or an estimate from some of its segments.

use std::fmt::Write;

use clap::Args;
use serde_json::Value;

use super::table_job::{TableJobOptions, number, of_table, units};
use crate::Failure;
use crate::job_run::EndedJob;
use crate::json_fields::count;

#[derive(Debug, Args)]
pub struct Count {
    /// The table
    pub table: String,
    /// The condition, in DynamoDB's expression language with values inline: "size(tags) > 2 AND price < 5"
    #[arg(long = "where", value_name = "CONDITION")]
    pub condition: Option<String>,
    /// Count the items of this index, local or global: those items of the table that have its keys
    #[arg(long, value_name = "NAME")]
    pub index: Option<String>,
    /// Read a random part of the table (10%) or N of its segments, and estimate the rest with a 95 % interval
    #[arg(long, value_name = "PART")]
    pub sample: Option<String>,
    /// The seed of the sample: the same seed draws the same segments [default: one of the job's own]
    #[arg(long, value_name = "N", requires = "sample", value_parser = clap::value_parser!(u64).range(1..1 << 53))]
    pub seed: Option<u64>,
    #[command(flatten)]
    pub table_job: TableJobOptions,
}

pub(crate) async fn run(options: &Count) -> Result<(), Failure> {
    let Count { table, condition, index, sample, seed, table_job } = options;
    let parameters = of_table(table)
        .with("where", condition.clone())
        .with("index", index.clone())
        .with("sample", sample.clone())
        .with("seed", *seed);
    table_job.run("count", parameters, None, words).await
}

fn words(ended: &EndedJob) -> String {
    let sample = ended.result().get("sample").unwrap_or(&Value::Null);
    if sample.get("items").is_none() {
        let (matched, processed) = (number(ended, "matched"), number(ended, "processed"));
        let whole = if sample.is_null() { "" } else { "; the table is small: all of it was read" };
        return format!("{matched} of {processed} items {}{whole}", units(ended));
    }
    let part = |name: &str| sample.get(name).unwrap_or(&Value::Null);
    let (items, matched, skew) = (part("items"), part("matched"), part("itemsPerSegment"));
    let interval = |estimate: &Value| {
        let [estimate, low, high] = ["estimate", "low", "high"].map(|name| count(estimate, name));
        format!("about {estimate} ({low} to {high})")
    };
    let mut words = format!(
        "{} of {} items, with 95 % confidence {}\n  read {} of {} segments (seed {}); items in each: {} to {}, median {}, \
         coefficient of variation {}",
        interval(matched),
        interval(items),
        units(ended),
        count(sample, "segments"),
        count(sample, "of"),
        count(sample, "seed"),
        count(skew, "min"),
        count(skew, "max"),
        skew.get("median").and_then(Value::as_f64).unwrap_or(0.0),
        skew.get("variation").and_then(Value::as_f64).unwrap_or(0.0),
    );
    let reliable = |estimate: &Value| estimate.get("reliable").and_then(Value::as_bool).unwrap_or(true);
    if !reliable(items) || !reliable(matched) {
        let _ = write!(
            words,
            "\n  A few segments have most of these items: the intervals may be too narrow. Read a larger sample."
        );
    }
    words
}
