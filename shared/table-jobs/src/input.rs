//! What a batch is given, what it remembers, what it leaves.

use nextbasket_domain::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bins::SorterState;
use crate::key::KeySchema;
use crate::scan::Segment;
use crate::tally::Tally;
use nextbasket_job_io::journal::Journal;

/// What a batch is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Input {
    /// What `now()` stands for.
    pub(crate) now: Timestamp,
    /// What the table's keys are made of.
    pub(crate) keys: KeySchema,
    /// The mean size of its items, or 0.
    pub(crate) mean_bytes: u64,
    /// Which items.
    pub(crate) part: Part,
    /// The objects of the items that met the condition in the last pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) seen: Vec<String>,
}

/// Which items a batch is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Part {
    /// Those of a segment.
    Segment(Segment),
    /// Those of a segment, to be sorted into bins.
    Split(Segment),
    /// Those of a bin; the object lists the runs.
    Bin { bin: i64, name: String, runs: String },
    /// Items to be made, by number, the last one excluded.
    Items { from: u64, to: u64 },
}

/// Up to where a batch has come.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Position {
    /// Nowhere yet.
    #[default]
    Start,
    /// Behind the item of this key.
    After(Value),
    /// In a run of a bin, behind so many keys.
    InRun(usize, usize),
    /// Before the item of this number.
    Item(u64),
    /// All is done.
    End,
}

/// What a batch remembers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Checkpoint {
    pub(crate) at: Position,
    /// The items that met the condition in this pass, for a job that follows the table.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) seen: Journal,
    /// The keys of items that have just been changed, to be looked at whether they still meet the condition.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) changed: Journal,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) sorter: SorterState,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What a batch leaves.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Left {
    pub(crate) tally: Tally,
    /// The objects of the items that met the condition, for a job that follows the table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) seen: Vec<String>,
}

impl Left {
    #[expect(clippy::needless_pass_by_value, reason = "as all results are put together")]
    pub(crate) fn plus(self, other: Self) -> Self {
        Self { tally: self.tally.plus(other.tally), seen: Vec::new() }
    }
}
