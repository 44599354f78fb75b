//! The schema of each kind's parameters: of the fields that all kinds share, those that it knows.

use nextbasket_job_engine::schema::{DescribedKind, properties, require, schema_of, set};
use serde_json::{Value, json};

use super::{GuardedCopy, TableOperation, check};
use crate::parameters::TableParameters;

/// The fields that all kinds know.
const SHARED: [&str; 10] = [
    "table",
    "batchSize",
    "width",
    "parallel",
    "readUnits",
    "writeUnits",
    "assign",
    "aggregate",
    "tolerated",
    "dryRun",
];

impl DescribedKind for TableOperation {
    fn parameters_schema(&self) -> Value {
        let mut schema = schema_of::<TableParameters>();
        let known = check::known(*self);
        if let Some(fields) = properties(&mut schema) {
            fields.retain(|name, _| SHARED.contains(&name.as_str()) || known.contains(&name.as_str()));
        }
        let (description, required) = match self {
            Self::Count => {
                ("Counts the items of a table or an index, or estimates how many there are.", None)
            }
            Self::Update => {
                ("Updates the items of a table that meet a condition, or all of them.", Some("set"))
            }
            Self::Delete => ("Deletes the items of a table that meet a condition.", None),
            Self::Copy => ("Copies the items of a table to another table of the same keys.", Some("to")),
            Self::Fill => ("Fills a table with generated items, for tests.", Some("count")),
        };
        require(&mut schema, required);
        set(&mut schema, "description", description);
        if *self == Self::Delete {
            // All items only if that is said.
            set(&mut schema, "anyOf", json!([{ "required": ["where"] }, { "required": ["all"] }]));
        }
        schema
    }
}

impl DescribedKind for GuardedCopy {
    fn parameters_schema(&self) -> Value {
        TableOperation::Copy.parameters_schema()
    }
}
