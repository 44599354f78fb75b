//! A stage's plan: how the work was split, in which order and how wide its batches go out.

use nextbasket_domain::Random;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The order in which batches go out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Assign {
    /// As the split gave them.
    InOrder,
    /// Shuffled, so that neighbours, which may be hot together, do not go out together.
    Random,
    /// The largest first, so that no worker is left with a large one at the end.
    #[default]
    Balanced,
    /// The highest priority first.
    Priority,
}

/// How results are put together. They are associative, so both ways give the same bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Aggregate {
    /// In a tree, neighbours at a time, on all cores.
    #[default]
    Parallel,
    /// One after the other, in the batches' order.
    Serial,
}

/// Rates of a whole stage, in capacity units per second; `None`: as fast as it goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Read units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<f64>,
    /// Write units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write: Option<f64>,
}

/// One batch, as a kind plans it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchPlan {
    /// What to do, in the kind's own words.
    pub input: Value,
    /// How large it is, in the unit of the split; for [`Assign::Balanced`].
    #[serde(default)]
    pub weight: u64,
    /// For [`Assign::Priority`]: the higher, the sooner.
    #[serde(default)]
    pub priority: i64,
    /// How many items it is likely to have, for the time that is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<u64>,
}

impl BatchPlan {
    /// A batch with this input and nothing else known of it.
    pub fn new(input: Value) -> Self {
        Self { input, weight: 0, priority: 0, of: None }
    }

    /// A batch for each of `parts` parts of a table, which share its size and its items evenly; `input` gives the
    /// input of the part of a number. DynamoDB may not have counted the items of a table yet: 0 says nothing.
    pub fn for_parts(parts: u32, size: u64, items: u64, input: impl Fn(u32) -> Value) -> Vec<Self> {
        let each = |all: u64| all / u64::from(parts.max(1));
        let of = (items > 0).then_some(each(items));
        (0..parts).map(|part| Self { weight: each(size), of, ..Self::new(input(part)) }).collect()
    }
}

/// A stage, as a kind plans it.
#[derive(Debug, Clone, PartialEq)]
pub struct StagePlan {
    /// Its name: `count`, `rank`.
    pub name: String,
    /// How the work was split, for people: `{"by": "size", "segments": 8}`.
    pub split: Value,
    /// The order in which the batches go out.
    pub assign: Assign,
    /// How many batches are worked on at a time; 1 is serial.
    pub width: u32,
    /// How the results are put together.
    pub aggregate: Aggregate,
    /// How many of its batches may fail for good, in percent, before the job fails.
    pub tolerated: f64,
    /// The rates of all its workers together.
    pub rates: Rates,
    /// Whether earlier stages are not needed any more once this one has ended, for jobs that follow a table: the job
    /// forgets them, and their plans, batches and objects are removed when the stage after this one is planned.
    pub supersedes: bool,
    /// The batches. A batch's number is its place here, whatever the order they go out in.
    pub batches: Vec<BatchPlan>,
}

impl StagePlan {
    /// A stage of these batches with the defaults for the rest: balanced, 8 wide, nothing may fail, no limit.
    pub fn new(name: &str, split: Value, batches: Vec<BatchPlan>) -> Self {
        Self {
            name: name.to_owned(),
            split,
            assign: Assign::default(),
            width: 8,
            aggregate: Aggregate::default(),
            tolerated: 0.0,
            rates: Rates::default(),
            supersedes: false,
            batches,
        }
    }

    /// A stage of one batch.
    #[must_use]
    pub fn single(name: &str, input: Value) -> Self {
        Self::new(name, json!({ "by": "size", "batches": 1 }), vec![BatchPlan::new(input)])
    }

    /// The batches' numbers in the order in which they go out.
    pub fn order(&self, random: &Random) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.batches.len()).collect();
        let batch = |at: &usize| self.batches.get(*at);
        match self.assign {
            Assign::InOrder => {}
            Assign::Random => {
                let mut keyed: Vec<(u64, usize)> = order.iter().map(|&at| (random.draw(), at)).collect();
                keyed.sort_unstable();
                order = keyed.into_iter().map(|(_, at)| at).collect();
            }
            Assign::Balanced => order.sort_by_key(|at| std::cmp::Reverse(batch(at).map_or(0, |b| b.weight))),
            Assign::Priority => {
                order.sort_by_key(|at| std::cmp::Reverse(batch(at).map_or(0, |b| b.priority)));
            }
        }
        order
    }
}

/// One batch as it goes out: an entry of the plan in S3, and what `job-work` is called with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchTask {
    /// The job.
    pub job_id: String,
    /// The stage's number, from 0.
    pub stage: u32,
    /// The batch's number in the stage, from 0.
    pub batch: u32,
    /// What to do.
    pub input: Value,
    /// How many items it is likely to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<u64>,
}
