//! Where dumps are, and the two sides of a comparison, as options name them.

use std::path::Path;

use serde_json::{Value, json};

use crate::Failure;

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
