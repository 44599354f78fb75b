//! What `count`, `update`, `delete`, `copy` and `fill` share: jobs over the items of any table.

use clap::{Args, ValueEnum};
use nextbasket_job_engine::{Aggregate, Assign};
use serde_json::{Value, json};

use crate::Failure;
use crate::confirmation::Confirmation;
use crate::job_run::{EndedJob, RunOptions};
use crate::options::{JobOptions, Parameters, ReadRate};

/// How a job reads the items of a table, and goes on afterwards.
#[derive(Debug, Clone, Args)]
pub struct TableJobOptions {
    #[command(flatten)]
    pub scan: ScanOptions,
    #[command(flatten)]
    pub follow: FollowOptions,
    #[command(flatten)]
    pub job: JobOptions,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "How the table is scanned")]
pub struct ScanOptions {
    /// The number of segments [default: by the table's size, from 8 to 1,000]
    #[arg(long, value_name = "N")]
    pub segments: Option<u32>,
    /// The maximum number of items in a page
    #[arg(long, value_name = "ITEMS")]
    pub batch_size: Option<u32>,
    #[command(flatten)]
    pub reads: ReadRate,
    /// How the work is split into batches
    #[arg(long, value_enum, default_value_t)]
    pub split: SplitBy,
    /// The attribute to split by, for time and feature
    #[arg(long, value_name = "ATTRIBUTE", required_if_eq_any([("split", "time"), ("split", "feature")]))]
    pub by: Option<String>,
    /// The length of a period, for a split by time, such as 1d
    #[arg(long, value_name = "DURATION", required_if_eq("split", "time"))]
    pub every: Option<String>,
    /// The number of parts, for a split by feature
    #[arg(long, value_name = "N", required_if_eq("split", "feature"))]
    pub parts: Option<u32>,
    /// The order in which batches start
    #[arg(long, value_enum)]
    pub assign: Option<Assign>,
    /// Work on one batch at a time
    #[arg(long)]
    pub serial: bool,
    /// How the results of batches are merged
    #[arg(long, value_enum)]
    pub aggregate: Option<Aggregate>,
    /// Read strongly consistently, for twice the units
    #[arg(long)]
    pub consistent: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum SplitBy {
    /// Into segments of the table.
    #[default]
    Size,
    /// Into periods of an attribute that holds a time.
    Time,
    /// By the hash of an attribute.
    Feature,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "After the scan")]
pub struct FollowOptions {
    /// Continue with items that newly meet the condition, until stopped with Ctrl-C
    #[arg(long)]
    pub follow: bool,
    /// How often to look for them [default: 60s]
    #[arg(long, value_name = "DURATION", requires = "follow")]
    pub interval: Option<String>,
}

impl ScanOptions {
    fn add_to(&self, parameters: Parameters) -> Parameters {
        let split_by = match self.split {
            SplitBy::Size => None,
            SplitBy::Time => Some("time"),
            SplitBy::Feature => Some("feature"),
        };
        let split = Parameters::default()
            .with("by", split_by)
            .with("attribute", self.by.clone())
            .with("every", self.every.clone())
            .with("parts", self.parts);
        self.reads
            .add_to(parameters)
            .with("segments", self.segments)
            .with("batchSize", self.batch_size)
            .with_flag("consistentRead", self.consistent)
            .with_object("split", split)
            .with("assign", json!(self.assign))
            .with("aggregate", json!(self.aggregate))
            .with("parallel", self.serial.then_some(false))
    }
}

impl FollowOptions {
    fn add_to(&self, parameters: Parameters) -> Parameters {
        let follow = Parameters::default().with("interval", self.interval.clone()).json();
        parameters.with("follow", self.follow.then_some(follow))
    }
}

impl TableJobOptions {
    /// Runs the job and prints its result. Rejected items make the command fail.
    pub(super) async fn run(
        &self,
        kind: &str,
        parameters: Parameters,
        confirm: Option<Confirmation>,
        words: impl FnOnce(&EndedJob) -> String,
    ) -> Result<(), Failure> {
        let parameters = self.follow.add_to(self.scan.add_to(parameters));
        let options = RunOptions { endless: self.follow.follow, confirm, ..self.job.run_options() };
        run_and_print(&self.job, kind, parameters, &options, words).await
    }
}

/// As [`TableJobOptions::run`], for a job that scans no table.
pub(super) async fn run_and_print(
    options: &JobOptions,
    kind: &str,
    parameters: Parameters,
    run_options: &RunOptions,
    words: impl FnOnce(&EndedJob) -> String,
) -> Result<(), Failure> {
    let Some(ended) = options.run_as(kind, parameters, run_options).await? else { return Ok(()) };
    ended.print(options.json, || words(&ended));
    ended.verdict()
}

pub(super) fn of_table(table: &str) -> Parameters {
    Parameters::default().with("table", table)
}

/// From the result, or, for a job that was stopped, from what was done until then.
pub(super) fn number(ended: &EndedJob, name: &str) -> u64 {
    let total = &ended.job.total;
    let so_far = match name {
        "processed" => total.processed,
        "matched" => total.matched,
        "changed" => total.changed,
        _ => 0,
    };
    ended.result().get(name).and_then(Value::as_u64).unwrap_or(so_far)
}

/// How many items were changed, such as `12 of 100 items updated (…)`.
pub(super) fn changed(ended: &EndedJob, done: &str) -> String {
    let skipped = match number(ended, "skipped") {
        0 => String::new(),
        skipped => format!(", {skipped} skipped"),
    };
    let (changed, processed) = (number(ended, "changed"), number(ended, "processed"));
    let erased = match number(ended, "erased") {
        0 => String::new(),
        erased => format!(", {erased} of erased users left out"),
    };
    format!("{changed} of {processed} items {done}{skipped}{erased} {}", units(ended))
}

pub(super) fn units(ended: &EndedJob) -> String {
    let total = &ended.job.total;
    format!("({:.1} read and {:.1} write units)", total.read_units, total.write_units)
}
