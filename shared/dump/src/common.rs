//! What the kinds' parameters have in common.

use nextbasket_batch::{JobError, Outcome, Planning, Refusal, WorkError};
use nextbasket_job_io::files::{Location, in_function};
use nextbasket_table_jobs::calls::CallError;
use nextbasket_table_jobs::expression::Condition;
use nextbasket_table_jobs::table::Table;
use serde::de::DeserializeOwned;

pub(crate) use nextbasket_batch::Trust;
pub(crate) use nextbasket_table_jobs::parameters::{check_table, within};
pub(crate) use nextbasket_table_jobs::segments;
pub(crate) use nextbasket_table_jobs::target::{client, described};

/// How many batches are worked on at a time, if it is not said.
pub(crate) const WIDTH: u32 = 8;
/// The mean size of a table's items, or 0.
pub(crate) fn mean_bytes(table: &Table) -> u64 {
    table.bytes.checked_div(table.items).unwrap_or(0)
}

/// Read units of a whole scan.
#[allow(clippy::cast_precision_loss, reason = "an estimate")]
pub(crate) fn scan_units(bytes: u64, consistent: bool) -> f64 {
    bytes as f64 / if consistent { 4096.0 } else { 8192.0 }
}

/// Refuses rates that are none.
pub(crate) fn check_rate(field: &str, rate: Option<f64>) -> Result<(), Refusal> {
    if rate.is_some_and(|rate| !(rate.is_finite() && rate >= 0.1)) {
        return Err(Refusal::parameter(field, "must be at least 0.1 units per second"));
    }
    Ok(())
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

/// What the engine is told of a batch that ended early.
pub(crate) fn ended(error: CallError) -> Result<Outcome, WorkError> {
    match error {
        CallError::Stopped => Ok(Outcome::Stopped),
        CallError::Failed(error) => Err(error),
        CallError::Refused(refused) => Err(WorkError::Failed(refused.reason())),
    }
}

/// The results of a stage's batches, in their order.
pub(crate) async fn results<T: DeserializeOwned>(
    planning: &Planning<'_>,
    stage: u32,
) -> Result<Vec<T>, JobError> {
    let mut results = Vec::new();
    for batch in planning.batches(stage).await? {
        if let Some(bytes) = planning.result(&batch).await? {
            results
                .push(serde_json::from_slice(&bytes).map_err(|error| JobError::Failed(error.to_string()))?);
        }
    }
    Ok(results)
}

/// As bytes of JSON.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, JobError> {
    serde_json::to_vec(value).map_err(|error| JobError::Failed(error.to_string()))
}

/// The name of the lock that jobs hold that change a table.
pub(crate) fn table_lock(table: &str) -> String {
    format!("table/{table}")
}
