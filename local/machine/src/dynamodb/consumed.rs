//! What calls consumed, by table and hour, for the last two days.
//!
//! It is read from the answers to calls that ask for it (`ReturnConsumedCapacity`), as all of this product's do.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use serde::Deserialize;

use crate::invoke::epoch_millis;

const HOUR_MS: u64 = 3_600_000;
const KEPT_HOURS: u64 = 48;

/// The name of the field, as no text inside of a string has it: there, quotes are escaped.
const FIELD: &str = "\"ConsumedCapacity\":";

/// Operations whose units are of writes.
const WRITES: [&str; 8] = [
    "PutItem",
    "UpdateItem",
    "DeleteItem",
    "BatchWriteItem",
    "TransactWriteItems",
    "ExecuteStatement",
    "BatchExecuteStatement",
    "ExecuteTransaction",
];

/// Capacity units.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ConsumedUnits {
    pub read: f64,
    pub write: f64,
}

/// A running count. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Consumed(Arc<Mutex<BTreeMap<u64, BTreeMap<String, ConsumedUnits>>>>);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OfTable {
    table_name: String,
    capacity_units: f64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(OfTable),
    Many(Vec<OfTable>),
}

impl Consumed {
    /// What was consumed since this time, in milliseconds since 1970, in whole hours, by table.
    #[must_use]
    pub fn since(&self, millis: i64) -> BTreeMap<String, ConsumedUnits> {
        let first = u64::try_from(millis).unwrap_or_default() / HOUR_MS;
        let hours = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sums: BTreeMap<String, ConsumedUnits> = BTreeMap::new();
        for (table, units) in hours.range(first..).flat_map(|(_, tables)| tables) {
            let sum = sums.entry(table.clone()).or_default();
            sum.read += units.read;
            sum.write += units.write;
        }
        sums
    }

    /// Counts what an answer says.
    pub(super) fn count(&self, operation: &str, answer: &str) {
        let Some(of_tables) = consumed(answer) else { return };
        let hour = epoch_millis(SystemTime::now()) / HOUR_MS;
        let mut hours = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let tables = hours.entry(hour).or_default();
        for OfTable { table_name, capacity_units } in of_tables {
            let units = tables.entry(table_name).or_default();
            if WRITES.contains(&operation) {
                units.write += capacity_units;
            } else {
                units.read += capacity_units;
            }
        }
        *hours = hours.split_off(&hour.saturating_sub(KEPT_HOURS));
    }
}

/// An attribute may have the same name, but not this value.
fn consumed(answer: &str) -> Option<Vec<OfTable>> {
    answer.match_indices(FIELD).find_map(|(at, _)| {
        let value = answer.get(at + FIELD.len()..)?;
        let mut values = serde_json::Deserializer::from_str(value).into_iter::<OneOrMany>();
        Some(match values.next()?.ok()? {
            OneOrMany::One(one) => vec![one],
            OneOrMany::Many(many) => many,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_counted_by_table_and_by_reads_and_writes() {
        let consumed = Consumed::default();
        consumed.count("PutItem", r#"{"ConsumedCapacity":{"TableName":"a","CapacityUnits":2.0}}"#);
        consumed.count(
            "Query",
            r#"{"Items":[{"x":{"S":"\"ConsumedCapacity\":1"},"ConsumedCapacity":{"M":{}}}],"ConsumedCapacity":{"CapacityUnits":0.5,"TableName":"a"}}"#,
        );
        consumed.count(
            "TransactWriteItems",
            r#"{"ConsumedCapacity":[{"TableName":"a","CapacityUnits":4.0},{"TableName":"b","CapacityUnits":1.0}]}"#,
        );
        consumed.count("GetItem", "{}");
        let sums = consumed.since(0);
        assert_eq!(sums.get("a"), Some(&ConsumedUnits { read: 0.5, write: 6.0 }));
        assert_eq!(sums.get("b"), Some(&ConsumedUnits { read: 0.0, write: 1.0 }));
        assert_eq!(sums.len(), 2);
    }
}
