//! `nextbasket-dump.json`: what proves a dump.

use nextbasket_domain::Timestamp;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::format::Format;

/// What every record says of itself.
pub const NOTE: &str = "A scan is not a snapshot: every item that did not change between window.from and window.to is \
                        in the dump as it was, an item that changed in that time is in it as it was before or after.";

/// `nextbasket-dump.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DumpRecord {
    /// The version of this form: 1.
    pub version: u32,
    /// The table's name.
    pub table: String,
    /// The format of the data files.
    pub format: Format,
    /// Whether all items that were asked for are in it: none was refused.
    pub complete: bool,
    /// How many items could not be written in this format: they stand in the job's refused files.
    pub refused: u64,
    /// When it was read.
    pub window: Window,
    /// Which items were asked for, if not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// The names of the attributes of the table's key.
    pub keys: Vec<String>,
    /// How many items, and their digest.
    #[serde(flatten)]
    pub digest: Digest,
    /// By segment of the scan.
    pub segments: Vec<SegmentRecord>,
    /// By data file.
    pub files: Vec<DataFile>,
    /// [`NOTE`].
    pub note: String,
}

/// From the first read to the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Before the first read was sent.
    pub from: Timestamp,
    /// After the last one was answered.
    pub to: Timestamp,
}

impl Window {
    /// The shortest that holds both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { from: self.from.min(other.from), to: self.to.max(other.to) }
    }
}

/// A condition, and the time that `now()` stood for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// The condition.
    pub r#where: String,
    /// The time.
    pub now: Timestamp,
}

/// What came of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SegmentRecord {
    /// Its number, from 0.
    pub segment: u32,
    /// When it was read.
    pub window: Window,
    /// How many items could not be written.
    pub refused: u64,
    /// Its items.
    #[serde(flatten)]
    pub digest: Digest,
}

/// A data file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataFile {
    /// Its name in the export's folder: `data/000000-000000.json.gz`.
    pub name: String,
    /// The segment of which its items are.
    pub segment: u32,
    /// Its size.
    pub bytes: u64,
    /// Its MD5 in base64.
    pub md5: String,
    /// Its ETag, as S3 reports it; for a local file, the ETag that S3 would report.
    pub etag: String,
    /// Its items.
    #[serde(flatten)]
    pub digest: Digest,
}
