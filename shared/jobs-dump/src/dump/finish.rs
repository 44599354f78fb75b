//! The stage `finish`: the manifests of a table's dump, the summary last.

use nextbasket_job_engine::{Outcome, Work, WorkError};
use nextbasket_objects::{Files, FoundFile, Location, ObjectError};
use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::digest::ItemsDigest;
use crate::dump::begin::Begun;
use crate::dump::decided_once;
use crate::dump::keep::{self, Kept, Retention};
use crate::dump::parameters::DumpTask;
use crate::dump::running::{self, Beat};
use crate::dump::scan::Scanned;
use crate::dump::sink::PAGES;
use crate::manifest::record::{DumpRecord, Filter, NOTE, ReadWindow};
use crate::manifest::summary::{FileLine, Summary};
use crate::manifest::{
    DATA, DataFile, DumpKind, EXPORTS, FILES, FILES_MD5, RECORD, RECORD_MD5, SUMMARY, SUMMARY_MD5, md5_base64,
};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FinishInput {
    pub index: String,
}

/// All that a table's dump came to.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DumpIndex {
    pub begun: Begun,
    pub segments: Vec<Scanned>,
    pub filter: Option<Filter>,
}

/// A finished dump, as the job's result names it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Finished {
    pub table: String,
    pub folder: Location,
    #[serde(flatten)]
    pub digest: ItemsDigest,
    pub refused: u64,
    pub complete: bool,
    pub files: usize,
    pub bytes: u64,
    pub window: ReadWindow,
    /// Older dumps that were removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<Location>,
    /// Other dumps of the table's name that were kept, by reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<Kept>,
    /// What of the table's settings could not be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

pub(crate) async fn work(work: &mut Work, files: &Files, task: &DumpTask) -> Result<Outcome, WorkError> {
    let input: FinishInput = work.input()?;
    let index: DumpIndex = work.read_json(&input.index).await?;
    let clock = work.site().clock.clone();
    let Some(now) = decided_once(work, async || Ok(clock.now())).await? else { return Ok(Outcome::Stopped) };
    let nothing = ReadWindow { from: now, to: now };
    let folder = index.begun.folder.clone();
    let record = record(&index, task, nothing);
    Beat::new(&folder, task.kind).beat(work, files).await?;
    remove_strays(files, &folder, &record.files).await?;
    if work.task().batch == 0 {
        remove_pages(work).await;
    }
    let path = key_prefix(&folder);
    let lines = file_lines(&record.files, &path)?;
    let content = serde_json::to_vec_pretty(&record)?;
    let export_type = if task.kind == DumpKind::Schema { Summary::SCHEMA_ONLY } else { "FULL_EXPORT" };
    let summary = Summary {
        version: Summary::VERSION.to_owned(),
        export_arn: index.begun.arn.as_ref().map(|arn| format!("{arn}/export/{}", index.begun.export)),
        start_time: Some(work.job().created_at.to_string()),
        end_time: Some(now.to_string()),
        table_arn: index.begun.arn.clone(),
        table_id: index.begun.id.clone(),
        export_time: Some(record.window.from.to_string()),
        s3_bucket: bucket(&folder),
        s3_prefix: Some(prefix_of_exports(&folder)).filter(|prefix| !prefix.is_empty()),
        manifest_files_s3_key: Some(format!("{path}{FILES}")),
        item_count: record.digest.count,
        output_format: task.format.output_format().to_owned(),
        export_type: Some(export_type.to_owned()),
        nextbasket_dump_md5: Some(md5_base64(&content)),
        nextbasket_table_md5: record.settings_md5.clone(),
        ..Summary::default()
    };
    let summary = serde_json::to_vec_pretty(&summary)?;
    let below = |name: &str| folder.join(name);
    files.write_with_folder(&below(FILES_MD5), md5_base64(&lines).into_bytes()).await?;
    files.write_with_folder(&below(FILES), lines).await?;
    files.write_with_folder(&below(RECORD_MD5), md5_base64(&content).into_bytes()).await?;
    files.write_with_folder(&below(RECORD), content).await?;
    files.write_with_folder(&below(SUMMARY_MD5), md5_base64(&summary).into_bytes()).await?;
    files.write_with_folder(&below(SUMMARY), summary).await?;
    running::end(files, &folder).await?;
    let Retention { removed, kept } = match task.keep {
        Some(keep) if record.complete => {
            keep::remove_older(files, &task.to, &index.begun, record.digest.count, keep, now).await?
        }
        _ => Retention::default(),
    };
    Outcome::done(&Finished {
        table: record.table,
        folder,
        digest: record.digest,
        refused: record.refused,
        complete: record.complete,
        files: record.files.len(),
        bytes: record.files.iter().map(|file| file.bytes).sum(),
        window: record.window,
        removed,
        kept,
        notes: index.begun.notes,
    })
}

fn record(index: &DumpIndex, task: &DumpTask, nothing: ReadWindow) -> DumpRecord {
    let segments: Vec<_> = index.segments.iter().map(|scanned| scanned.record).collect();
    let refused = segments.iter().map(|segment| segment.refused).sum();
    DumpRecord {
        version: DumpRecord::VERSION,
        kind: Some(task.kind),
        table: index.begun.table.clone(),
        table_identity: Some(index.begun.identity()),
        settings_md5: index.begun.settings_md5.clone(),
        format: task.format,
        complete: refused == 0,
        refused,
        window: segments.iter().map(|segment| segment.window).reduce(ReadWindow::and).unwrap_or(nothing),
        filter: index.filter.clone(),
        keys: index.begun.keys.names().map(str::to_owned).collect(),
        digest: segments.iter().map(|segment| segment.digest).sum(),
        files: index.segments.iter().flat_map(|scanned| scanned.files.clone()).collect(),
        segments,
        note: NOTE.to_owned(),
    }
}

fn file_lines(files: &[DataFile], path: &str) -> Result<Vec<u8>, WorkError> {
    let mut lines = Vec::new();
    for file in files {
        lines.extend(serde_json::to_vec(&FileLine {
            item_count: file.digest.count,
            md5_checksum: file.md5.clone(),
            etag: file.etag.clone(),
            data_file_s3_key: format!("{path}{}", file.name),
        })?);
        lines.push(b'\n');
    }
    Ok(lines)
}

/// Removes files of attempts that were killed, and checks that all other files exist as they were written: a reader
/// of the summary relies on that.
async fn remove_strays(files: &Files, folder: &Location, known: &[DataFile]) -> Result<(), WorkError> {
    let listed = match files.list(&folder.join(DATA)).await {
        Err(ObjectError::NotFound { .. }) => Vec::new(),
        listed => listed?,
    };
    let mut there: HashMap<&Location, &FoundFile> = listed.iter().map(|file| (&file.at, file)).collect();
    let mut problems = Vec::new();
    for file in known {
        let at = folder.join(&file.name);
        match there.remove(&at) {
            None => problems.push(format!("{at} not found")),
            Some(found) if found.bytes != file.bytes => {
                problems.push(format!("{at}: has {} bytes, but {} were written", found.bytes, file.bytes));
            }
            Some(found) if !folder.is_local() && found.stamp.trim_matches('"') != file.etag => {
                problems.push(format!("{at}: its content differs from what was written"));
            }
            Some(_) => {}
        }
    }
    if let Some(first) = problems.first() {
        let more = problems.len() - 1;
        let rest =
            if more > 0 { format!(", and {more} more files are missing or changed") } else { String::new() };
        let advice = "the dump has no summary and is not complete; make it again";
        return Err(WorkError::Failed(format!("{first}{rest}: {advice}")));
    }
    for stray in there.into_values() {
        files.remove(&stray.at).await?;
    }
    Ok(())
}

/// Pages were stored in the job's objects until their files were closed; now all files are.
async fn remove_pages(work: &Work) {
    let Some(scan) = work.task().stage.checked_sub(1) else { return };
    let pages = format!("/{PAGES}/");
    work.remove_leftovers(&format!("stage-{scan:06}/"), |key| key.contains(&pages)).await;
}

/// What stands in front of a name in the export's folder to make it a key: of a folder of this machine, from
/// `AWSDynamoDB/` on.
fn key_prefix(folder: &Location) -> String {
    match folder {
        Location::Object { key, .. } => format!("{}/", key.trim_end_matches('/')),
        Location::Path(path) => {
            let export = path.file_name().unwrap_or_default().to_string_lossy();
            format!("{EXPORTS}/{export}/")
        }
    }
}

fn bucket(folder: &Location) -> Option<String> {
    match folder {
        Location::Object { bucket, .. } => Some(bucket.clone()),
        Location::Path(_) => None,
    }
}

/// What stands in front of `AWSDynamoDB/`.
fn prefix_of_exports(folder: &Location) -> String {
    let path = key_prefix(folder);
    path.rfind(&format!("{EXPORTS}/"))
        .and_then(|at| path.get(..at))
        .unwrap_or_default()
        .trim_end_matches('/')
        .to_owned()
}
