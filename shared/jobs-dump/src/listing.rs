//! Dumps and exports below a location, for whoever looks for one: what their manifests say, without their data files.

use futures::{StreamExt, TryStreamExt};
use nextbasket_domain::Timestamp;
use nextbasket_objects::{Files, Location, ObjectError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::dump::exports;
use crate::manifest::{
    DATA, DumpKind, DumpRecord, RECORD, SETTINGS, STARTED, SUMMARY, Summary, TableSettings,
};

/// How many dumps are looked at, the newest of each location.
pub const MAX_LISTED: usize = 200;
/// How many manifests are read at a time.
const AT_ONCE: usize = 8;

/// What a folder with manifests holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedDump {
    /// Its folder.
    pub location: Location,
    /// The table's name.
    pub table: String,
    /// When the reading began, or the time that an export is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Timestamp>,
    pub items: u64,
    /// Of its data files; of an export of AWS, of the table then.
    pub bytes: u64,
    pub format: String,
    /// Whether it was finished, and no item was refused.
    pub complete: bool,
    /// Whether only items were asked for that met a condition.
    pub filtered: bool,
    /// Whether it has the table's settings alone.
    pub schema_only: bool,
    /// Whether it has changes, not items.
    pub incremental: bool,
    pub kind: ListedKind,
}

/// What it was made for, or by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ListedKind {
    Dump,
    /// The only copy of items that were deleted.
    Archive,
    /// Of AWS.
    Export,
}

/// The dumps and exports below this location, as `dump --to` is given it, by the names of their folders: of ours, by time.
///
/// # Errors
/// [`ObjectError`] if the location cannot be read; what is no manifest is passed over.
pub async fn list(files: &Files, location: &Location) -> Result<Vec<ListedDump>, ObjectError> {
    let mut folders = files.folders(&exports(location)).await?;
    folders.retain(|folder| folder.name() != DATA);
    let older = folders.len().saturating_sub(MAX_LISTED);
    let listed: Vec<Option<ListedDump>> = futures::stream::iter(folders.into_iter().skip(older))
        .map(|folder| Box::pin(listed(files, folder)))
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(listed.into_iter().flatten().collect())
}

async fn listed(files: &Files, location: Location) -> Result<Option<ListedDump>, ObjectError> {
    let summary: Option<Summary> = parsed(files, &location.join(SUMMARY)).await?;
    let Some(summary) = summary else { return unfinished(files, location).await };
    let record: Option<DumpRecord> = parsed(files, &location.join(RECORD)).await?;
    let time = |text: Option<&String>| text.and_then(|text| Timestamp::parse(text).ok());
    let told = summary.table().unwrap_or_default().to_owned();
    let Some(record) = record else {
        return Ok(Some(ListedDump {
            table: told,
            read_at: time(summary.export_time.as_ref()).or_else(|| time(summary.export_to_time.as_ref())),
            items: summary.item_count,
            bytes: summary.billed_size_bytes,
            incremental: summary.is_incremental(),
            format: summary.output_format,
            // A dump of ours that has lost its record proves nothing.
            complete: summary.nextbasket_dump_md5.is_none(),
            filtered: false,
            schema_only: false,
            kind: ListedKind::Export,
            location,
        }));
    };
    Ok(Some(ListedDump {
        table: record.table,
        read_at: Some(record.window.from),
        items: record.digest.count,
        bytes: record.files.iter().fold(0, |sum, file| sum.saturating_add(file.bytes)),
        format: record.format.output_format().to_owned(),
        complete: record.complete,
        filtered: record.filter.is_some(),
        schema_only: record.kind == Some(DumpKind::Schema),
        incremental: false,
        kind: match record.kind {
            Some(DumpKind::Archive) => ListedKind::Archive,
            Some(DumpKind::Dump | DumpKind::Schema) | None => ListedKind::Dump,
        },
        location,
    }))
}

/// A dump that is being made, or was given up.
async fn unfinished(files: &Files, location: Location) -> Result<Option<ListedDump>, ObjectError> {
    let settings: Option<TableSettings> = parsed(files, &location.join(SETTINGS)).await?;
    let Some(settings) = settings else {
        let is_export = files.find(&location.join(STARTED)).await?.is_some();
        return Ok(is_export.then(|| ListedDump::unfinished(location, String::new(), ListedKind::Export)));
    };
    Ok(Some(ListedDump::unfinished(location, settings.create_table.table_name, ListedKind::Dump)))
}

impl ListedDump {
    fn unfinished(location: Location, table: String, kind: ListedKind) -> Self {
        let begun = location.name().split_once('-').and_then(|(millis, _)| millis.parse().ok());
        Self {
            table,
            read_at: begun.and_then(|millis| Timestamp::from_millis(millis).ok()),
            items: 0,
            bytes: 0,
            format: String::new(),
            complete: false,
            filtered: false,
            schema_only: false,
            incremental: false,
            kind,
            location,
        }
    }
}

/// `None` if it is not there, or not of this form.
async fn parsed<T: DeserializeOwned>(files: &Files, at: &Location) -> Result<Option<T>, ObjectError> {
    let content = files.read_if_found(at).await?;
    Ok(content.and_then(|content| serde_json::from_slice(&content).ok()))
}
