//! What the kinds' parameters have in common.

use nextbasket_items::expression::Condition;
use nextbasket_job_engine::{JobError, Refusal};
use nextbasket_objects::{Location, in_function};

pub(crate) use nextbasket_job_engine::Trust;
pub(crate) use nextbasket_job_engine::kind::{check_range, check_rate};

/// How many batches are worked on at a time, if it is not said.
pub(crate) const WIDTH: u32 = 8;
/// Read units of a whole scan.
#[allow(clippy::cast_precision_loss, reason = "an estimate")]
pub(crate) fn scan_units(bytes: u64, consistent: bool) -> f64 {
    bytes as f64 / if consistent { 4096.0 } else { 8192.0 }
}

/// What a kind may do in this process: a function has no files that anybody has put there.
pub(crate) fn trusted(trust: Trust) -> Trust {
    trust.only_if(!in_function())
}

/// Refuses a folder of this machine where those may not be used, and one that another process would not find.
pub(crate) fn check_place(field: &str, place: &Location, trust: Trust) -> Result<(), Refusal> {
    if place.is_local() && trust == Trust::Open {
        let problem =
            "is for jobs that are submitted and worked on at the machine itself: write s3://BUCKET/PREFIX";
        return Err(Refusal::parameter(field, problem));
    }
    if !place.is_absolute() {
        return Err(Refusal::parameter(field, "must be an absolute path or s3://BUCKET/PREFIX"));
    }
    Ok(())
}

/// The condition of the text.
pub(crate) fn condition(field: &str, text: Option<&String>) -> Result<Option<Condition>, Refusal> {
    let parse = |text: &String| Condition::parse(text);
    text.map(parse).transpose().map_err(|error| Refusal::parameter(field, error.to_string()))
}

/// As bytes of JSON.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, JobError> {
    serde_json::to_vec(value).map_err(|error| JobError::Failed(error.to_string()))
}

/// The name of the lock that jobs hold that change a table.
pub(crate) fn table_lock(table: &str) -> String {
    format!("table/{table}")
}
