//! Capacity units, summed from answers.

use std::collections::BTreeMap;

use serde_json::Value;

/// Units that calls have consumed, by operation and table.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Capacity {
    pub units: BTreeMap<(String, String), f64>,
}

/// Operations that say what they consume, and whether it is read.
const METERED: [(&str, bool); 10] = [
    ("BatchGetItem", true),
    ("BatchWriteItem", false),
    ("DeleteItem", false),
    ("GetItem", true),
    ("PutItem", false),
    ("Query", true),
    ("Scan", true),
    ("TransactGetItems", true),
    ("TransactWriteItems", false),
    ("UpdateItem", false),
];

impl Capacity {
    #[must_use]
    pub fn read(&self) -> f64 {
        self.sum(true)
    }

    #[must_use]
    pub fn write(&self) -> f64 {
        self.sum(false)
    }

    fn sum(&self, read: bool) -> f64 {
        let counted = |operation: &str| METERED.contains(&(operation, read));
        self.units.iter().filter(|((operation, _), _)| counted(operation)).map(|(_, units)| units).sum()
    }

    /// Adds what an answer says that it consumed.
    pub(crate) fn add(&mut self, operation: &str, answer: &Value) {
        let consumed = match answer.get("ConsumedCapacity") {
            Some(Value::Array(all)) => all.as_slice(),
            Some(one) => std::slice::from_ref(one),
            None => return,
        };
        for entry in consumed {
            let table = entry.get("TableName").and_then(Value::as_str).unwrap_or_default();
            let units = entry.get("CapacityUnits").and_then(Value::as_f64).unwrap_or(0.0);
            *self.units.entry((operation.to_owned(), table.to_owned())).or_default() += units;
        }
    }
}

/// Whether an operation can be asked what it consumes.
pub(crate) fn metered(operation: &str) -> bool {
    METERED.iter().any(|(name, _)| *name == operation)
}
