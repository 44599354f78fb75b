//! When each table was last dumped well, and whether that dump was verified, by the jobs that did it.

use nextbasket_domain::Timestamp;
use nextbasket_job_engine::{Job, JobState};
use serde::Serialize;
use serde_json::Value;

use crate::Console;

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DumpSummary {
    pub(crate) table: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_good_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) items: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) verified_at: Option<Timestamp>,
    /// Whether it is dumped by schedule.
    pub(crate) scheduled: bool,
}

/// Of the stack's tables but the operations table: what that holds belongs to jobs that run.
pub(crate) fn summaries(console: &Console, jobs: &[Job]) -> Vec<DumpSummary> {
    let tables = &console.names.tables;
    [&tables.products, &tables.purchases, &tables.history, &tables.model]
        .map(|table| {
            let newest = of_kind(jobs, "dump").find_map(|job| Some((job, good_dump(job, table)?)));
            let folder = newest.and_then(|(_, dump)| dump.get("folder"));
            let verified = folder.and_then(|folder| of_kind(jobs, "verify").find(|job| proves(job, folder)));
            DumpSummary {
                table: table.clone(),
                last_good_at: newest.and_then(|(job, _)| job.ended_at),
                items: newest.and_then(|(_, dump)| dump.get("count")?.as_u64()),
                verified_at: verified.and_then(|job| job.ended_at),
                scheduled: console.scheduled_dumps.contains(table),
            }
        })
        .into()
}

fn of_kind<'a>(jobs: &'a [Job], kind: &'a str) -> impl Iterator<Item = &'a Job> {
    jobs.iter().filter(move |job| job.kind == kind && job.state == JobState::Succeeded)
}

/// What the job's result says of this table's dump, if all items of the table are in it.
fn good_dump<'a>(job: &'a Job, table: &str) -> Option<&'a Value> {
    let is_whole = job.parameters.get("where").is_none_or(Value::is_null);
    let dumps = job.result.as_ref()?.get("dumps")?.as_array()?;
    dumps.iter().filter(|_| is_whole).find(|dump| {
        dump.get("table").and_then(Value::as_str) == Some(table)
            && dump.get("complete").and_then(Value::as_bool) == Some(true)
            && dump.get("refused").and_then(Value::as_u64) == Some(0)
    })
}

/// Whether the job has found the dump in this folder complete, with every checksum right.
fn proves(job: &Job, folder: &Value) -> bool {
    let Some(result) = &job.result else { return false };
    let equal = result.get("equal").and_then(Value::as_bool) == Some(true);
    let several = result.get("dumps").and_then(Value::as_array);
    equal && (result.get("dump") == Some(folder) || several.is_some_and(|dumps| dumps.contains(folder)))
}
