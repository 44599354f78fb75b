//! What the stages leave, and what the job came to.

use nextbasket_batch::{JobError, Planning};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::chunk::Chunk;
use super::write::Written;
use super::{HISTORIES, SPLIT, WRITE, sum};

/// How many files the job's result names.
const NAMED: usize = 20;

/// What a batch of `split` leaves.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileResult {
    pub source: String,
    /// The importer's counts.
    pub summary: Value,
    /// The same for people.
    pub text: String,
    /// Why the file broke off, if it did.
    pub broken_off: Option<String>,
    pub records: u64,
    pub taken: u64,
    pub refused: u64,
    pub chunks: Vec<Chunk>,
}

/// What a batch of `write` leaves.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WriteResult {
    pub written: Written,
}

/// The results of the newest stage of this name, in the batches' order.
pub(super) async fn of_stage<T: DeserializeOwned>(
    planning: &Planning<'_>,
    name: &str,
) -> Result<Vec<T>, JobError> {
    let Some(stage) = planning.job.stages.iter().rev().find(|stage| stage.name == name) else {
        return Ok(Vec::new());
    };
    let mut results = Vec::new();
    for batch in planning.batches(stage.number).await? {
        if let Some(bytes) = planning.result(&batch).await? {
            let result =
                serde_json::from_slice(&bytes).map_err(|error| JobError::Failed(error.to_string()))?;
            results.push(result);
        }
    }
    Ok(results)
}

/// What has been written.
pub(super) async fn written(planning: &Planning<'_>) -> Result<Written, JobError> {
    Ok(sum(of_stage(planning, WRITE).await?))
}

/// The job's result: `{"files", "records", "taken", "refused", "written", "brokenOff", …}`.
pub(super) async fn of(planning: &Planning<'_>) -> Result<Value, JobError> {
    let files: Vec<FileResult> = of_stage(planning, SPLIT).await?;
    let total = |count: fn(&FileResult) -> u64| files.iter().map(count).sum::<u64>();
    let broken: Vec<Value> = files
        .iter()
        .filter_map(|file| Some(json!({ "source": file.source, "why": file.broken_off.as_ref()? })))
        .collect();
    let named: Vec<Value> = files
        .iter()
        .take(NAMED)
        .map(|file| json!({ "source": file.source, "summary": file.summary, "text": file.text }))
        .collect();
    let histories = planning.job.stages.iter().find(|stage| stage.name == HISTORIES);
    Ok(json!({
        "files": files.len(),
        "records": total(|file| file.records),
        "taken": total(|file| file.taken),
        "refused": total(|file| file.refused),
        "brokenOff": broken.into_iter().take(NAMED).collect::<Vec<_>>(),
        "written": written(planning).await?,
        "histories": histories.map(|stage| json!({
            "users": stage.progress.processed,
            "changed": stage.progress.changed,
        })),
        "read": named,
    }))
}
