//! `nextbasket-dump.json`: what proves a dump.

use nextbasket_domain::Timestamp;
use serde::{Deserialize, Serialize};

use crate::digest::ItemsDigest;
use crate::format::Format;
use crate::manifest::identity::TableIdentity;

/// What every record says of itself.
pub const NOTE: &str = "A scan is not a snapshot: every item that did not change between window.from and window.to is \
                        in the dump as it was, an item that changed in that time is in it as it was before or after.";

/// `nextbasket-dump.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DumpRecord {
    /// The version of this form: 2. Version 1 has no kind, no identity of the table and no checksum of its settings.
    pub version: u32,
    /// `None` in version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<DumpKind>,
    pub table: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_identity: Option<TableIdentity>,
    /// The MD5 of `nextbasket-table.json` in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings_md5: Option<String>,
    pub format: Format,
    /// Whether all items that were asked for are in it: none was refused.
    pub complete: bool,
    /// How many items could not be written in this format: they stand in the job's refused files.
    pub refused: u64,
    pub window: ReadWindow,
    /// Which items were asked for, if not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// The names of the attributes of the table's key.
    pub keys: Vec<String>,
    /// How many items, and their digest.
    #[serde(flatten)]
    pub digest: ItemsDigest,
    /// By segment of the scan.
    pub segments: Vec<SegmentRecord>,
    pub files: Vec<DataFile>,
    /// [`NOTE`].
    pub note: String,
}

/// What a dump was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DumpKind {
    /// A copy of a table.
    Dump,
    /// The only copy of items that were deleted from the table.
    Archive,
    /// The table's settings without its items.
    Schema,
}

/// How much of a table a dump holds, and so what it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DumpScope {
    /// All items.
    Full,
    /// The items that met a condition. Of version 1 it may be an archive.
    Filtered,
    /// Items that are not in the table any more.
    Archive,
    /// No items, only the settings.
    Schema,
    /// Items were rejected when it was made.
    Incomplete,
}

impl DumpScope {
    /// In front of its folder.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Full => "a full dump",
            Self::Filtered => "a dump of some items",
            Self::Archive => "an archive",
            Self::Schema => "a dump of the schema alone",
            Self::Incomplete => "an incomplete dump",
        }
    }
}

impl DumpRecord {
    /// The version of this form.
    pub const VERSION: u32 = 2;

    pub fn scope(&self) -> DumpScope {
        match self.kind {
            Some(DumpKind::Archive) => DumpScope::Archive,
            Some(DumpKind::Schema) => DumpScope::Schema,
            _ if self.filter.is_some() => DumpScope::Filtered,
            _ if !self.complete => DumpScope::Incomplete,
            _ => DumpScope::Full,
        }
    }
}

/// From the first read to the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadWindow {
    /// Before the first read was sent.
    pub from: Timestamp,
    /// After the last one was answered.
    pub to: Timestamp,
}

impl ReadWindow {
    /// The shortest that holds both.
    pub fn and(self, other: Self) -> Self {
        Self { from: self.from.min(other.from), to: self.to.max(other.to) }
    }
}

/// A condition, and the time that `now()` stood for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    pub r#where: String,
    pub now: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SegmentRecord {
    /// Its number, from 0.
    pub segment: u32,
    pub window: ReadWindow,
    /// How many items could not be written.
    pub refused: u64,
    #[serde(flatten)]
    pub digest: ItemsDigest,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataFile {
    /// Its name in the export's folder: `data/000000-000000.json.gz`.
    pub name: String,
    pub segment: u32,
    pub bytes: u64,
    /// Its MD5 in base64.
    pub md5: String,
    /// Its ETag, as S3 reports it; for a local file, the ETag that S3 would report.
    pub etag: String,
    #[serde(flatten)]
    pub digest: ItemsDigest,
}
