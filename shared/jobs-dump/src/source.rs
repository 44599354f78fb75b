//! Dumps, exports and plain files: found, with what their manifests say of them.
//!
//! * [`place`]: what a location stands for that holds several of them

pub mod place;

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path};

use nextbasket_job_engine::JobError;
use nextbasket_objects::{Files, FoundFile, Location, ObjectError};
use serde::{Deserialize, Serialize};

use crate::digest::ItemsDigest;
use crate::dump::exports;
use crate::format::{Format, SourceFormat};
use crate::manifest::{
    DATA, DumpRecord, DumpScope, EXPORTS, FILES, FILES_MD5, FileLine, RECORD, RECORD_MD5, SETTINGS, STARTED,
    SUMMARY, SUMMARY_MD5, Summary, TableSettings, md5_base64, same_md5,
};
use crate::plain_files;
use place::Located;

/// What AWS's documentation calls the files of checksums, which in buckets end in `.md5`.
const CHECKSUM: &str = ".checksum";

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SourceFile {
    /// For people: its name in the dump, or its location.
    pub name: String,
    /// As it was found; `None` if it was not.
    pub found: Option<FoundFile>,
    pub md5: Option<String>,
    /// Its number of items in the manifest.
    pub items: Option<u64>,
    /// The digest of its items in our record.
    pub digest: Option<ItemsDigest>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Source {
    /// The export's folder, or the folder of plain files.
    pub at: Location,
    /// The format of the files.
    pub format: SourceFormat,
    /// The files hold changes, not items.
    pub incremental: bool,
    /// Which images of a change they have, as AWS names it.
    #[serde(default)]
    pub view: Option<String>,
    pub files: Vec<SourceFile>,
    /// Only dumps of our own have a record.
    pub record: Option<DumpRecord>,
    /// Dumps of our own have settings, and folders of other tools that describe their table.
    pub settings: Option<TableSettings>,
    /// What is wrong with it, as far as its manifests and the names of its files tell.
    pub problems: Vec<String>,
}

/// The most that gzip makes of a byte: no file holds more items than that.
const MOST_PER_BYTE: u64 = 1_032;

impl SourceFile {
    /// How many items it may hold: what the manifest says, unless that cannot be.
    pub(crate) fn plausible_items(&self) -> Option<u64> {
        let bytes = self.found.as_ref().map_or(0, |found| found.bytes);
        self.items.map(|items| items.min(bytes.saturating_mul(MOST_PER_BYTE)))
    }

    /// # Errors
    /// [`ObjectError::NotFound`] if the file was not found.
    pub(crate) fn found(&self) -> Result<&FoundFile, ObjectError> {
        self.found.as_ref().ok_or_else(|| ObjectError::NotFound { location: self.name.clone() })
    }
}

impl Source {
    pub(crate) fn bytes(&self) -> u64 {
        let found = self.files.iter().filter_map(|file| file.found.as_ref());
        found.fold(0, |sum, found| sum.saturating_add(found.bytes))
    }

    /// About how many items it has; `None` if the manifests do not say it.
    pub(crate) fn items(&self) -> Option<u64> {
        self.files.iter().try_fold(0_u64, |sum, file| Some(sum.saturating_add(file.plausible_items()?)))
    }

    /// Whether it holds the table's settings alone.
    pub(crate) fn is_schema(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.scope() == DumpScope::Schema)
    }

    /// That items were refused when the dump was made, if they were: they cannot come back from it.
    pub fn incomplete(&self) -> Option<String> {
        let record = self.record.as_ref().filter(|record| !record.complete)?;
        Some(format!("{RECORD}: {} items were rejected: the dump is not complete", record.refused))
    }
}

/// Finds what this location stands for: a dump or an export whose own folder it is, whatever that holds; a location
/// that holds some, as [`place`] says; or else plain files of CSV or JSON, or the folder of another tool. Where the dumps
/// below a location are of several tables, those of `table` are meant.
///
/// Its parts are boxed: what calls it would be too large for a thread's stack otherwise.
///
/// # Errors
/// [`JobError`] if there is nothing that can be read, or it is not clear what is meant.
pub async fn locate(
    files: &Files,
    from: &Location,
    table: Option<&str>,
    format: Option<SourceFormat>,
) -> Result<Located, JobError> {
    if files.find(&from.join(SUMMARY)).await?.is_some() {
        return Ok(Located::of(Box::pin(export(files, from)).await?));
    }
    let mut below = files.folders(&exports(from)).await?;
    below.retain(|folder| folder.name() != DATA);
    if !below.is_empty() {
        return Box::pin(place::located(files, from, below, table)).await;
    }
    for begun in [STARTED, SETTINGS] {
        if files.find(&from.join(begun)).await?.is_some() {
            let problem = "the dump was not finished: it has no summary. Make it again, or give another one.";
            return Err(JobError::Failed(format!("{from}: {problem}")));
        }
    }
    Ok(Located::of(Box::pin(plain_files::locate(files, from, table, format)).await?))
}

/// An export whose folder has a summary.
pub(crate) async fn export(files: &Files, folder: &Location) -> Result<Source, JobError> {
    let mut problems = Vec::new();
    let summary = manifest(files, folder, SUMMARY, SUMMARY_MD5, &mut problems).await?;
    let summary: Summary = parsed(SUMMARY, &summary, &mut problems).unwrap_or_default();
    let lines = manifest(files, folder, FILES, FILES_MD5, &mut problems).await?;
    let settings = files.read_if_found(&folder.join(SETTINGS)).await?;
    let is_ours = settings.is_some() || summary.nextbasket_dump_md5.is_some();
    let record = match is_ours {
        true => record(files, folder, &summary, &mut problems).await?,
        false => None,
    };
    let settings_md5 = record.as_ref().and_then(|record| record.settings_md5.as_deref());
    for (told, of) in [(settings_md5, RECORD), (summary.nextbasket_table_md5.as_deref(), SUMMARY)] {
        match (told, &settings) {
            (None, _) => {}
            (Some(_), None) => problems.push(format!("{SETTINGS} not found, but {of} has its MD5")),
            (Some(told), Some(content)) if !same_md5(told, &md5_base64(content)) => {
                problems.push(format!("{SETTINGS}: its MD5 differs from the one in {of}"));
            }
            (Some(_), Some(_)) => {}
        }
    }
    let settings = settings.and_then(|content| parsed(SETTINGS, &content, &mut problems));
    let format = match summary.output_format.parse() {
        Ok(format) => format,
        Err(_) if summary.output_format.is_empty() => Format::default(),
        Err(_) => {
            let problem = format!(
                "{folder}: unsupported format {}: expected DYNAMODB_JSON, CSV or JSON_LINES",
                summary.output_format
            );
            return Err(JobError::Failed(problem));
        }
    };
    let mut listed = Vec::new();
    for (n, line) in lines.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
        match serde_json::from_slice::<FileLine>(line) {
            Ok(line) => listed.push(line),
            Err(error) => problems.push(format!("{FILES}: line {}: {error}", n + 1)),
        }
    }
    let counted = listed.iter().fold(0_u64, |sum, line| sum.saturating_add(line.item_count));
    if counted != summary.item_count {
        problems.push(format!(
            "{FILES}: its files have {counted} items, but {SUMMARY} says {}",
            summary.item_count
        ));
    }
    let found = Found::list(files, folder).await?;
    let digests = record.iter().flat_map(|record| &record.files);
    let digests: HashMap<&str, ItemsDigest> = digests.map(|file| (file.name.as_str(), file.digest)).collect();
    let mut sources: Vec<SourceFile> =
        listed.iter().map(|line| found.source(folder, line, &digests, &mut problems)).collect();
    // An empty file has nothing to read, and a listing leaves it out.
    sources.retain(|source| source.items != Some(0) || source.found.is_some());
    if let Some(record) = &record {
        compare(record, &listed, &mut problems);
    }
    let known: HashSet<&Location> =
        sources.iter().filter_map(|source| source.found.as_ref()).map(|found| &found.at).collect();
    for stray in found.own.iter().filter(|at| !known.contains(at)) {
        problems.push(format!("{DATA}/{}: not listed in any manifest", stray.name()));
    }
    Ok(Source {
        at: folder.clone(),
        format: format.into(),
        incremental: summary.is_incremental(),
        view: summary.output_view,
        files: sources,
        record,
        settings,
        problems,
    })
}

/// Our record, compared with the checksums of it.
async fn record(
    files: &Files,
    folder: &Location,
    summary: &Summary,
    problems: &mut Vec<String>,
) -> Result<Option<DumpRecord>, JobError> {
    let Some(content) = files.read_if_found(&folder.join(RECORD)).await? else {
        problems.push(format!("{RECORD} not found"));
        return Ok(None);
    };
    let record: Option<DumpRecord> = parsed(RECORD, &content, problems);
    let md5 = md5_base64(&content);
    match &summary.nextbasket_dump_md5 {
        Some(told) if !same_md5(told, &md5) => {
            problems.push(format!("{RECORD}: its MD5 differs from the one in {SUMMARY}"));
        }
        Some(_) => {}
        // Version 1 had no checksum of it.
        None if record.as_ref().is_some_and(|record| record.version < DumpRecord::VERSION) => {
            return Ok(record);
        }
        None => problems.push(format!("{SUMMARY}: has no MD5 of {RECORD}")),
    }
    match files.read_if_found(&folder.join(RECORD_MD5)).await? {
        None => problems.push(format!("{RECORD_MD5} not found")),
        Some(told) if !same_md5(&String::from_utf8_lossy(&told), &md5) => {
            problems.push(format!("{RECORD}: its MD5 differs from the one in {RECORD_MD5}"));
        }
        Some(_) => {}
    }
    Ok(record)
}

/// A manifest's content, compared with the checksum beside it.
async fn manifest(
    files: &Files,
    folder: &Location,
    of: &str,
    md5: &str,
    problems: &mut Vec<String>,
) -> Result<Vec<u8>, JobError> {
    let Some(content) = files.read_if_found(&folder.join(of)).await? else {
        problems.push(format!("{of} not found"));
        return Ok(Vec::new());
    };
    let other = of.replace(".json", CHECKSUM);
    let told = match files.read_if_found(&folder.join(md5)).await? {
        Some(told) => Some(told),
        None => files.read_if_found(&folder.join(&other)).await?,
    };
    match told.map(|told| String::from_utf8_lossy(&told).into_owned()) {
        None => problems.push(format!("{md5} not found")),
        Some(told) if !same_md5(&told, &md5_base64(&content)) => {
            problems.push(format!("{of}: its MD5 differs from the one in {md5}"));
        }
        Some(_) => {}
    }
    Ok(content)
}

fn parsed<T: serde::de::DeserializeOwned>(of: &str, content: &[u8], problems: &mut Vec<String>) -> Option<T> {
    match serde_json::from_slice(content) {
        Ok(value) => Some(value),
        Err(error) => {
            problems.push(format!("{of}: {error}"));
            None
        }
    }
}

struct Found {
    by_location: HashMap<Location, FoundFile>,
    /// Those in the export's own folder.
    own: Vec<Location>,
}

impl Found {
    async fn list(files: &Files, folder: &Location) -> Result<Self, JobError> {
        let listed = |result: Result<Vec<FoundFile>, ObjectError>| match result {
            Err(ObjectError::NotFound { .. }) => Ok(Vec::new()),
            result => result,
        };
        let own = listed(files.list(&folder.join(DATA)).await)?;
        let mut all = own.clone();
        // Of changes, all exports have one folder in common.
        if let Some(exports) = folder.parent() {
            all.extend(listed(files.list(&exports.join(DATA)).await)?);
        }
        Ok(Self {
            own: own.into_iter().map(|file| file.at).collect(),
            by_location: all.into_iter().map(|file| (file.at.clone(), file)).collect(),
        })
    }

    fn source(
        &self,
        folder: &Location,
        line: &FileLine,
        digests: &HashMap<&str, ItemsDigest>,
        problems: &mut Vec<String>,
    ) -> SourceFile {
        let key = &line.data_file_s3_key;
        let below = key.rsplit_once(&format!("{EXPORTS}/")).map_or(key.as_str(), |(_, below)| below);
        let exports = folder.parent().unwrap_or_else(|| folder.clone());
        let (at, short) = match below.split_once('/') {
            // Wherever the export was moved to: its own folder, or the one that all have in common.
            Some((DATA, _)) => (exports.join(below), below),
            Some((_, tail)) => (folder.join(tail), tail),
            None => (folder.join(below), below),
        };
        let found = if is_within(short) { self.by_location.get(&at).cloned() } else { None };
        if found.is_none() && line.item_count > 0 {
            problems.push(format!("{short} not found"));
        }
        SourceFile {
            name: short.to_owned(),
            found,
            md5: Some(line.md5_checksum.clone()),
            items: Some(line.item_count),
            digest: digests.get(short).copied(),
        }
    }
}

fn compare(record: &DumpRecord, lines: &[FileLine], problems: &mut Vec<String>) {
    // A key ends in the name in the record, which has one slash.
    let name =
        |key: &str| key.rmatch_indices('/').nth(1).and_then(|(at, _)| key.get(at + 1..)).map(str::to_owned);
    let by_name: HashMap<String, &FileLine> =
        lines.iter().filter_map(|line| Some((name(&line.data_file_s3_key)?, line))).collect();
    for file in &record.files {
        match by_name.get(&file.name) {
            None => problems.push(format!("{FILES}: does not list {}, but {RECORD} does", file.name)),
            Some(line)
                if !same_md5(&line.md5_checksum, &file.md5) || line.item_count != file.digest.count =>
            {
                problems.push(format!("{FILES}: describes {} differently from {RECORD}", file.name));
            }
            Some(_) => {}
        }
    }
    if record.files.len() < lines.len() {
        problems.push(format!("{FILES}: lists more files than {RECORD}"));
    }
    let by_file: ItemsDigest = record.files.iter().map(|file| file.digest).sum();
    let by_segment: ItemsDigest = record.segments.iter().map(|segment| segment.digest).sum();
    if by_file != record.digest || by_segment != record.digest {
        problems.push(format!("{RECORD}: the digests of its files do not add up to that of the table"));
    }
}

/// Whether a name from a manifest stays below the folder that it is looked for in.
fn is_within(name: &str) -> bool {
    !name.is_empty()
        && Path::new(name).components().all(|component| matches!(component, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_out_of_the_folder_are_told() {
        for name in ["data/a.json.gz", "a"] {
            assert!(is_within(name), "{name}");
        }
        for name in ["", "/etc/passwd", "../a", "a/../../b"] {
            assert!(!is_within(name), "{name}");
        }
    }
}
