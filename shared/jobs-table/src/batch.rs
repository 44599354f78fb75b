//! The input, the checkpoint and the result of a batch.

use nextbasket_domain::Timestamp;
use nextbasket_job_engine::journal::Journal;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bins::SorterState;
use crate::totals::ItemTotals;
use nextbasket_items::key::KeySchema;
use nextbasket_items::segment::Segment;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BatchInput {
    pub(crate) now: Timestamp,
    pub(crate) keys: KeySchema,
    /// The mean size of its items, or 0.
    pub(crate) mean_bytes: u64,
    pub(crate) part: BatchPart,
    /// The objects with the items that met the condition in the last pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) seen: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum BatchPart {
    Segment(Segment),
    /// Those of a segment, to be sorted into bins.
    Split(Segment),
    /// The first ones of a segment, whose keys are noted for a job that changes so many at most.
    Select {
        segment: Segment,
        most: u64,
    },
    /// Those of a bin; the object lists the runs.
    Bin {
        bin: i64,
        name: String,
        runs: String,
    },
    /// Generated items, by number; `to` is excluded.
    Items {
        from: u64,
        to: u64,
    },
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum BatchPosition {
    #[default]
    Start,
    /// Behind the item of this key.
    After(Value),
    /// In a run of a bin, behind this number of keys.
    InRun(usize, usize),
    /// Before the item of this number.
    Item(u64),
    End,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct BatchCheckpoint {
    pub(crate) at: BatchPosition,
    /// The items that met the condition in this pass, for a job that follows the table.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) seen: Journal,
    /// The keys of items that have just been changed, to be looked at whether they still meet the condition.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) changed: Journal,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) sorter: SorterState,
    /// Items that the table must not get.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) erased: u64,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct BatchResult {
    pub(crate) tally: ItemTotals,
    /// The objects of the items that met the condition, for a job that follows the table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) seen: Vec<String>,
}

impl BatchResult {
    #[expect(clippy::needless_pass_by_value, reason = "as all results are put together")]
    pub(crate) fn plus(self, other: Self) -> Self {
        Self { tally: self.tally + other.tally, seen: Vec::new() }
    }
}
