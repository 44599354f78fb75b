//! What the stages leave, and what the job came to.

use std::ops::Range;

use nextbasket_batch::{JobError, Planning};
use nextbasket_importer::{End, FileForm, Kind, Summary, Tally};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::chunk::Chunk;
use super::shuffle::Sorted;
use super::write::Written;
use super::{GATHER, HISTORIES, MERGE, SPLIT, WRITE, sum};

/// How many files the job's result names.
const NAMED: usize = 20;

/// What a batch of `split` leaves.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileResult {
    pub source: String,
    pub form: FileForm,
    pub end: End,
    /// The key of the [`Index`](super::gather::Index).
    pub index: String,
    /// Ranges of parts that are gathered together, with their bytes.
    pub groups: Vec<(Range<usize>, u64)>,
}

/// The result of a batch of `gather`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct GatherResult {
    /// The index of the file among the job's files.
    pub file: usize,
    pub tally: Tally,
    pub chunks: Vec<Chunk>,
    /// What the purchases say about users and products.
    pub side: Option<Sorted>,
}

/// The result of a batch of `merge`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MergeResult {
    /// The index of the file among the job's files.
    pub file: usize,
    pub tally: Tally,
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

/// The summary of each file, in the files' order.
async fn files(planning: &Planning<'_>, kind: Kind) -> Result<Vec<(String, Summary)>, JobError> {
    let mut files: Vec<FileResult> = of_stage(planning, SPLIT).await?;
    let gathered = of_stage::<GatherResult>(planning, GATHER).await?.into_iter();
    let merged = of_stage::<MergeResult>(planning, MERGE).await?.into_iter();
    let parts =
        gathered.map(|part| (part.file, part.tally)).chain(merged.map(|part| (part.file, part.tally)));
    for (file, tally) in parts {
        if let Some(file) = files.get_mut(file) {
            file.end.tally += tally;
        }
    }
    Ok(files.into_iter().map(|file| (file.source, Summary::of(kind, file.form, file.end))).collect())
}

/// The job's result: `{"files", "records", "taken", "refused", "written", "brokenOff", …}`.
pub(super) async fn of(planning: &Planning<'_>, kind: Kind) -> Result<Value, JobError> {
    let files = files(planning, kind).await?;
    let total = |count: fn(&Summary) -> u64| files.iter().map(|(_, summary)| count(summary)).sum::<u64>();
    let broken: Vec<Value> = files
        .iter()
        .filter_map(|(source, summary)| {
            Some(json!({ "source": source, "why": summary.ended_early.as_ref()? }))
        })
        .collect();
    let named: Vec<Value> = files
        .iter()
        .take(NAMED)
        .map(|(source, summary)| json!({ "source": source, "summary": summary, "text": summary.to_string() }))
        .collect();
    let histories = planning.job.stages.iter().find(|stage| stage.name == HISTORIES);
    Ok(json!({
        "files": files.len(),
        "records": total(|file| file.records),
        "taken": total(|file| file.taken),
        "refused": total(Summary::refused_records),
        "brokenOff": broken.into_iter().take(NAMED).collect::<Vec<_>>(),
        "written": written(planning).await?,
        "histories": histories.map(|stage| json!({
            "users": stage.progress.processed,
            "changed": stage.progress.changed,
        })),
        "read": named,
    }))
}
