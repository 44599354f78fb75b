//! The options of the commands over the items of a table.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::Running;
use super::parameters::{Parameters, up};
use super::units::{Puts, ReadUnits, WriteUnits};

/// How a table is gone through.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "How the table is gone through")]
pub struct Through {
    /// Into how many segments the table is cut [default: by its size, from 8 to 1,000]
    #[arg(long, value_name = "N")]
    pub segments: Option<u32>,
    /// The most items of a page
    #[arg(long, value_name = "ITEMS")]
    pub batch_size: Option<u32>,
    /// How fast it reads.
    #[command(flatten)]
    pub reads: ReadUnits,
    /// How the work is split
    #[arg(long, value_enum, default_value_t)]
    pub split: Split,
    /// The attribute to split by, for time and feature
    #[arg(long, value_name = "ATTRIBUTE", required_if_eq_any([("split", "time"), ("split", "feature")]))]
    pub by: Option<String>,
    /// The length of a period, for a split by time, such as 1d
    #[arg(long, value_name = "DURATION", required_if_eq("split", "time"))]
    pub every: Option<String>,
    /// How many parts, for a split by feature
    #[arg(long, value_name = "N", required_if_eq("split", "feature"))]
    pub parts: Option<u32>,
    /// The order in which batches go out
    #[arg(long, value_enum)]
    pub assign: Option<Assign>,
    /// One batch at a time
    #[arg(long)]
    pub serial: bool,
    /// How results are put together
    #[arg(long, value_enum)]
    pub aggregate: Option<Aggregate>,
    /// Read strongly consistently, for twice the units
    #[arg(long)]
    pub consistent: bool,
}

/// How the work is split.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Split {
    /// Into segments of the table.
    #[default]
    Size,
    /// Into periods of an attribute that holds a time.
    Time,
    /// By the hash of an attribute.
    Feature,
}

/// The order in which batches go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Assign {
    /// As the split gave them.
    InOrder,
    /// Shuffled.
    Random,
    /// The largest first.
    Balanced,
    /// The highest priority (the oldest period) first.
    Priority,
}

/// How results are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Aggregate {
    /// In a tree, on all cores.
    Parallel,
    /// One after the other.
    Serial,
}

/// What goes on when all is done.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "When all is done")]
pub struct Follow {
    /// Go on with items that newly meet the condition, until stopped with Ctrl-C
    #[arg(long)]
    pub follow: bool,
    /// How often to look for them [default: 60s]
    #[arg(long, value_name = "DURATION", requires = "follow")]
    pub interval: Option<String>,
}

/// How a job goes over the items of a table.
#[derive(Debug, Clone, Args)]
pub struct Pass {
    /// How the table is gone through.
    #[command(flatten)]
    pub through: Through,
    /// What goes on afterwards.
    #[command(flatten)]
    pub follow: Follow,
    /// How the job runs.
    #[command(flatten)]
    pub running: Running,
}

/// Options of `count`.
#[derive(Debug, Args)]
pub struct Count {
    /// The table
    pub table: String,
    /// The condition, in DynamoDB's own language with values in place: "size(tags) > 2 AND price < 5"
    #[arg(long = "where", value_name = "CONDITION")]
    pub condition: Option<String>,
    /// How the job goes over the items.
    #[command(flatten)]
    pub pass: Pass,
}

/// Options of `update`.
#[derive(Debug, Args)]
pub struct Update {
    /// The table
    pub table: String,
    /// The change, in DynamoDB's own language with values in place: "SET n = n + 1 REMOVE old", or "price = 5"
    #[arg(long, value_name = "CHANGE")]
    pub set: String,
    /// The condition, such as "status = 'old' AND expiresAt < now()"
    #[arg(long = "where", value_name = "CONDITION")]
    pub condition: Option<String>,
    /// How fast it writes.
    #[command(flatten)]
    pub writes: WriteUnits,
    /// How the job goes over the items.
    #[command(flatten)]
    pub pass: Pass,
}

/// Options of `delete`.
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
    /// How fast it writes.
    #[command(flatten)]
    pub writes: WriteUnits,
    /// How the job goes over the items.
    #[command(flatten)]
    pub pass: Pass,
}

/// Options of `copy`.
#[derive(Debug, Args)]
pub struct Copy {
    /// The table to copy from
    pub table: String,
    /// The table to copy into; it must be there, with the same keys
    pub to: String,
    /// Its region, if it is another one
    #[arg(long, value_name = "REGION")]
    pub to_region: Option<String>,
    /// Its endpoint, if it is another one
    #[arg(long, value_name = "URL")]
    pub to_endpoint: Option<String>,
    /// The condition that items to copy meet
    #[arg(long = "where", value_name = "CONDITION")]
    pub condition: Option<String>,
    /// What it does with items that are there already, and how fast it writes.
    #[command(flatten)]
    pub puts: Puts,
    /// How the job goes over the items.
    #[command(flatten)]
    pub pass: Pass,
}

/// Options of `fill`.
#[derive(Debug, Args)]
pub struct Fill {
    /// The table
    pub table: String,
    /// How many items
    #[arg(long, value_name = "N")]
    pub count: u64,
    /// About how large they are, in bytes
    #[arg(long, value_name = "BYTES")]
    pub item_bytes: Option<u32>,
    /// What they are generated from: the same seed gives the same items
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How many values of the partition key there are, for a table with a sort key
    #[arg(long, value_name = "N")]
    pub partitions: Option<u64>,
    /// A file with their attributes as JSON; in strings {n} is the item's number and {random} 16 random digits
    #[arg(long, value_name = "FILE")]
    pub template: Option<PathBuf>,
    /// The most items of a batch of writes
    #[arg(long, value_name = "ITEMS")]
    pub batch_size: Option<u32>,
    /// How fast it writes.
    #[command(flatten)]
    pub writes: WriteUnits,
    /// How the job runs.
    #[command(flatten)]
    pub running: Running,
}

impl Through {
    /// Adds what was said of it.
    fn add(&self, parameters: Parameters) -> Parameters {
        let split = match self.split {
            Split::Size => Parameters::default(),
            Split::Time => Parameters::default().with("by", "time"),
            Split::Feature => Parameters::default().with("by", "feature"),
        };
        let split = split
            .with("attribute", self.by.clone())
            .with("every", self.every.clone())
            .with("parts", self.parts)
            .json_if_any();
        let said = |value: &dyn std::fmt::Debug| {
            let name = format!("{value:?}");
            let mut letters = name.chars();
            letters.next().map(|first| first.to_ascii_lowercase().to_string() + letters.as_str())
        };
        let parameters = self.reads.add(parameters);
        parameters
            .with("segments", self.segments)
            .with("batchSize", self.batch_size)
            .with("consistentRead", up(self.consistent))
            .with("split", split)
            .with("assign", self.assign.and_then(|assign| said(&assign)))
            .with("aggregate", self.aggregate.and_then(|aggregate| said(&aggregate)))
            .with("parallel", self.serial.then_some(false))
    }
}

impl Follow {
    /// Adds what was said of it.
    fn add(&self, parameters: Parameters) -> Parameters {
        let follow = Parameters::default().with("interval", self.interval.clone()).json();
        parameters.with("follow", if self.follow { follow } else { Value::Null })
    }
}

impl Pass {
    /// Adds what was said of it.
    pub(crate) fn add(&self, parameters: Parameters) -> Parameters {
        self.follow.add(self.through.add(parameters))
    }
}
