//! What the commands over dumps share.

use std::path::Path;

use serde_json::{Value, json};

use crate::Failure;
use crate::job_run::EndedJob;
use crate::options::{JobOptions, Parameters};

/// Options that are named otherwise than their parameters.
const NAMED: [(&str, &str); 12] = [
    ("table", "TABLE"),
    ("tables", "TABLES"),
    ("where", "--where"),
    ("from", "FROM"),
    ("dump", "SIDE"),
    ("left", "LEFT"),
    ("right", "RIGHT"),
    ("output", "--to"),
    ("keep.count", "--keep"),
    ("keep.days", "--keep-days"),
    ("readUnits", "--rcu"),
    ("writeUnits", "--wcu"),
];

/// Runs a job over dumps until it has succeeded; `None` after a dry run.
pub(super) async fn run(
    options: &JobOptions,
    kind: &str,
    parameters: Parameters,
) -> Result<Option<EndedJob>, Failure> {
    options.run(kind, parameters, &NAMED).await
}

/// The table of `table:NAME`.
pub(super) fn table_of(side: &str) -> Option<&str> {
    side.strip_prefix("table:")
}

/// A table or a dump, as the job's parameters have it.
pub(super) fn side(text: &str) -> Result<Value, Failure> {
    match table_of(text) {
        Some(table) => Ok(json!({ "table": table })),
        None => Ok(json!({ "dump": absolute_location(text)? })),
    }
}

/// A location that is valid wherever the job is worked on: s3://… or an absolute path.
pub(super) fn absolute_location(location: &str) -> Result<String, Failure> {
    if location.starts_with("s3://") {
        return Ok(location.to_owned());
    }
    let invalid = |problem: &dyn std::fmt::Display| Failure::Usage(format!("path {location:?}: {problem}"));
    let absolute = std::path::absolute(Path::new(location)).map_err(|error| invalid(&error))?;
    absolute.to_str().map(str::to_owned).ok_or_else(|| invalid(&"not valid UTF-8"))
}

pub(super) fn count(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or(0)
}

pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The elements of an array; none if there is no array of this name.
pub(super) fn array<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}
