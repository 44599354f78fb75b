//! The results of the stages and of the job.

use std::ops::Range;

use nextbasket_importer::{FileForm, ImportSummary, ImportTally, RecordKind, ScanEnd};
use nextbasket_job_engine::{JobError, Planning};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::parameters::ImportParameters;
use super::partitions::PartitionedObject;
use super::record_chunk::RecordChunk;
use super::write::WriteCounts;
use super::{GATHER, HISTORIES, MERGE, SPLIT, WRITE};

/// The number of files whose summaries are in the job's result.
const NAMED: usize = 20;
/// The name of the output with the summaries of all files, including what names persons.
pub const REPORT: &str = "import.json";

/// What a batch of `split` leaves.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileResult {
    pub source: String,
    pub form: FileForm,
    pub end: ScanEnd,
    pub index: String,
    /// Ranges of parts that are gathered together, with their bytes.
    pub groups: Vec<(Range<usize>, u64)>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct GatherResult {
    /// The index of the file among the job's files.
    pub file: usize,
    pub tally: ImportTally,
    pub chunks: Vec<RecordChunk>,
    /// What the purchases say about users and products.
    pub side: Option<PartitionedObject>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MergeResult {
    /// The index of the file among the job's files.
    pub file: usize,
    pub tally: ImportTally,
    pub chunks: Vec<RecordChunk>,
}

/// What a batch of `write` leaves.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WriteResult {
    pub written: WriteCounts,
}

/// The results of the newest stage of this name, in the batches' order.
pub(super) async fn of_stage<T: DeserializeOwned>(
    planning: &Planning<'_>,
    name: &str,
) -> Result<Vec<T>, JobError> {
    match planning.job.stages.iter().rev().find(|stage| stage.name == name) {
        Some(stage) => planning.results(stage.number).await,
        None => Ok(Vec::new()),
    }
}

pub(super) async fn written(planning: &Planning<'_>) -> Result<WriteCounts, JobError> {
    let written: Vec<WriteResult> = of_stage(planning, WRITE).await?;
    Ok(written.into_iter().map(|result| result.written).sum())
}

/// The summary of each file, in the files' order.
async fn files(planning: &Planning<'_>, kind: RecordKind) -> Result<Vec<(String, ImportSummary)>, JobError> {
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
    Ok(files.into_iter().map(|file| (file.source, ImportSummary::of(kind, file.form, file.end))).collect())
}

/// The job's result: `{"files", "records", "taken", "refused", "written", "brokenOff", …}`.
pub(super) async fn of(planning: &Planning<'_>, parameters: &ImportParameters) -> Result<Value, JobError> {
    let mut files = files(planning, parameters.kind).await?;
    let report = if parameters.report {
        let summaries: Vec<Value> = files.iter().map(summary_of).collect();
        Some(planning.put_output(REPORT, &summaries).await?)
    } else {
        None
    };
    // The job's record outlives the purchases of users who have them erased.
    files.iter_mut().for_each(|(_, summary)| summary.remove_persons());
    let total =
        |count: fn(&ImportSummary) -> u64| files.iter().map(|(_, summary)| count(summary)).sum::<u64>();
    let broken: Vec<Value> = files
        .iter()
        .filter_map(|(source, summary)| {
            Some(json!({ "source": source, "why": summary.ended_early.as_ref()? }))
        })
        .collect();
    let named: Vec<Value> = files.iter().take(NAMED).map(summary_of).collect();
    let histories = planning.job.stages.iter().find(|stage| stage.name == HISTORIES);
    Ok(json!({
        "files": files.len(),
        "records": total(|file| file.tally.records),
        "taken": total(|file| file.taken),
        "refused": total(|file| file.tally.refused_records()),
        "brokenOff": broken.into_iter().take(NAMED).collect::<Vec<_>>(),
        "written": written(planning).await?,
        "histories": histories.map(|stage| json!({
            "users": stage.progress.processed,
            "changed": stage.progress.changed,
        })),
        "read": named,
        "report": report,
    }))
}

fn summary_of((source, summary): &(String, ImportSummary)) -> Value {
    json!({ "source": source, "summary": summary, "text": summary.to_string() })
}
