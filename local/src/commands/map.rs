//! `map`: files' records or a table's items, batch by batch, through a command or a Lambda function.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use clap::{ArgGroup, Args, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::dump_location::absolute_location;
use crate::Failure;
use crate::job_run::{RunOptions, run as run_job};
use crate::options::value::duration;
use crate::options::{JobOptions, Parameters};

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("worker").required(true).args(["command", "function"]))]
#[command(group = ArgGroup::new("source").required(true).args(["input", "table"]))]
pub struct MapRecords {
    /// A file, a folder or s3://BUCKET/PREFIX: CSV or JSON Lines, gzip or not
    pub input: Option<String>,
    /// Read the items of this table, as JSON Lines, instead of files
    #[arg(long, value_name = "TABLE")]
    pub table: Option<String>,
    /// The condition that the table's items meet: "size(tags) > 2 AND price < 5"
    #[arg(long = "where", value_name = "CONDITION", conflicts_with = "input")]
    pub condition: Option<String>,
    /// Items as plain JSON, {"id": "a"}, instead of DynamoDB JSON, {"Item": {"id": {"S": "a"}}}
    #[arg(long, conflicts_with = "input")]
    pub plain: bool,
    /// Read units per second of a table, over all workers [default: unlimited]
    #[arg(long, value_name = "UNITS", conflicts_with = "input")]
    pub rcu: Option<f64>,
    /// Write the results to this file or s3://BUCKET/KEY, in the input's order
    #[arg(long, value_name = "OUTPUT")]
    pub to: String,
    /// Run this command with sh for each batch: records on standard input, results on standard output
    #[arg(long, value_name = "COMMAND")]
    pub command: Option<String>,
    /// Invoke this Lambda function (name or ARN) for each batch: {"records": [...]} in and out
    #[arg(long, value_name = "FUNCTION")]
    pub function: Option<String>,
    /// The format of the files [default: by the file's name]
    #[arg(long, value_enum, conflicts_with = "table")]
    pub format: Option<FileFormat>,
    /// The maximum number of records in a batch [default: 8 MiB of records, for a function 4 MiB]
    #[arg(long, value_name = "RECORDS", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch_size: Option<u32>,
    /// How many batches are worked on at the same time, over all processes [default: --workers]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub width: Option<u32>,
    /// How many times a failed batch is retried
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=7))]
    pub retries: u32,
    /// The time limit of a batch, such as 90s
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    pub timeout: Duration,
    #[command(flatten)]
    pub job: JobOptions,
}

/// What files hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// Comma-separated values; the first record names the columns.
    Csv,
    /// One JSON object a line.
    #[serde(rename = "jsonl")]
    JsonLines,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mapped {
    output: String,
    manifest: String,
    bytes: u64,
    records: u64,
    batches: u64,
    done: u64,
    failed: u64,
    failures: Vec<FailedBatch>,
}

#[derive(Debug, Deserialize)]
struct FailedBatch {
    name: String,
    reason: String,
}

pub(crate) async fn run(options: &MapRecords) -> Result<(), Failure> {
    let job = &options.job;
    let run_options = job.run_options();
    let workers = options.width.map_or(run_options.workers, |width| width.max(run_options.workers));
    let run_options = RunOptions { workers, estimate_first: false, ..run_options };
    let ended = run_job(&job.target, "map", parameters(options)?, &run_options).await?;
    let Some(ended) = ended else { return Ok(()) };
    let mapped: Mapped = ended.result_as()?;
    ended.print(job.json, || summary(&mapped, ended.refused.as_deref()));
    if mapped.failed > 0 {
        let Mapped { failed, batches, manifest, .. } = &mapped;
        return Err(Failure::Other(format!("{failed} of {batches} batches failed: see {manifest}")));
    }
    Ok(())
}

impl FileFormat {
    /// By a file's name, gzip or not.
    fn of_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        match name.rsplit_once('.')?.1 {
            "csv" => Some(Self::Csv),
            "jsonl" | "ndjson" | "json" => Some(Self::JsonLines),
            _ => None,
        }
    }
}

fn parameters(options: &MapRecords) -> Result<Value, Failure> {
    let mut input = Parameters::default();
    if let Some(files) = &options.input {
        input = input.with("files", absolute_location(files)?);
        let format = options.format.or_else(|| FileFormat::of_name(files)).ok_or_else(|| {
            Failure::Usage(format!("--format is missing: the name {files} does not tell the format"))
        })?;
        input = input.with("format", json!(format));
    }
    if let Some(table) = &options.table {
        input = input
            .with("table", table.as_str())
            .with("form", options.plain.then_some("plain"))
            .with("where", options.condition.clone());
    }
    let mut parameters = Parameters::default()
        .with("input", input.json())
        .with("output", absolute_location(&options.to)?)
        .with("width", options.width.unwrap_or(options.job.run_options().workers))
        .with("retries", options.retries)
        .with("timeout", options.timeout.as_secs().max(1))
        .with("batchItems", options.batch_size)
        .with("readUnits", options.rcu)
        .with("function", options.function.clone());
    if let Some(command) = &options.command {
        // A worker of a server runs it where this command was called.
        let folder = std::env::current_dir().map_err(Failure::other)?;
        parameters = parameters.with("command", json!(["sh", "-c", command])).with("folder", json!(folder));
    }
    Ok(parameters.json())
}

fn summary(mapped: &Mapped, refused: Option<&Path>) -> String {
    let Mapped { output, bytes, records, batches, done, failed, failures, .. } = mapped;
    let mut text = format!("Processed {records} records in {done} of {batches} batches.");
    let _ = write!(text, "\nOutput: {output}, {bytes} bytes.");
    if let Some(refused) = refused {
        let _ = write!(text, "\nRefused records, with the reasons: {}", refused.display());
    }
    if *failed > 0 {
        let _ = write!(text, "\nFailed, and not in the output:");
    }
    for FailedBatch { name, reason } in failures {
        let reason =
            reason.strip_prefix(name.as_str()).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(reason);
        let _ = write!(text, "\n  {name}: {reason}");
    }
    if failures.len() as u64 != *failed {
        let _ = write!(text, "\n  …");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_says_what_it_holds() {
        for (name, format) in [
            ("orders.csv", Some(FileFormat::Csv)),
            ("/data/2026.01/Orders.CSV.gz", Some(FileFormat::Csv)),
            ("s3://shop/orders.jsonl", Some(FileFormat::JsonLines)),
            ("orders.ndjson.gz", Some(FileFormat::JsonLines)),
            ("orders.json", Some(FileFormat::JsonLines)),
            ("orders", None),
            ("orders.gz", None),
            ("/data/2026.01/orders", None),
        ] {
            assert_eq!(FileFormat::of_name(name), format, "{name}");
        }
    }
}
