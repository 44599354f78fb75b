//! `manifest-summary.json` and the lines of `manifest-files.json`, as AWS documents them.

use serde::{Deserialize, Serialize};

/// The view of an incremental export that has what items were and what they became.
pub(crate) const BOTH_IMAGES: &str = "NEW_AND_OLD_IMAGES";

/// `manifest-summary.json`. What a reader does not find is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Summary {
    /// Of the format: `2020-06-30`, with changes `2023-08-01`.
    pub version: String,
    pub export_arn: Option<String>,
    pub start_time: Option<String>,
    pub end_time: Option<String>,
    pub table_arn: Option<String>,
    pub table_id: Option<String>,
    /// The time of which the items are: of ours, when the reading began.
    pub export_time: Option<String>,
    pub s3_bucket: Option<String>,
    pub s3_prefix: Option<String>,
    pub s3_sse_algorithm: Option<String>,
    pub s3_sse_kms_key_id: Option<String>,
    /// The key of `manifest-files.json`.
    pub manifest_files_s3_key: Option<String>,
    pub billed_size_bytes: u64,
    /// How many items (or changes) there are.
    pub item_count: u64,
    /// `DYNAMODB_JSON`, `ION`; of ours also `CSV` and `JSON_LINES`.
    pub output_format: String,
    /// `FULL_EXPORT` or `INCREMENTAL_EXPORT`; older ones do not say it. Ours also [`SCHEMA_ONLY`](Self::SCHEMA_ONLY).
    pub export_type: Option<String>,
    /// Of changes: from when on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export_from_time: Option<String>,
    /// Of changes: until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export_to_time: Option<String>,
    /// Of changes: `NEW_IMAGE` or `NEW_AND_OLD_IMAGES`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_view: Option<String>,
    /// Ours: the MD5 of `nextbasket-dump.json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nextbasket_dump_md5: Option<String>,
    /// Ours: the MD5 of `nextbasket-table.json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nextbasket_table_md5: Option<String>,
}

impl Summary {
    /// The version of full exports.
    pub const VERSION: &str = "2020-06-30";
    /// The type of a dump without items, which other readers must not take for an empty table.
    pub const SCHEMA_ONLY: &str = "SCHEMA_ONLY";

    /// Whether the data files hold changes.
    pub fn is_incremental(&self) -> bool {
        self.export_type.as_deref() == Some("INCREMENTAL_EXPORT")
    }

    /// The table's name, from its ARN.
    pub fn table(&self) -> Option<&str> {
        let (_, table) = self.table_arn.as_deref()?.split_once(":table/")?;
        table.split('/').next()
    }
}

/// A line of `manifest-files.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FileLine {
    /// How many items (or changes) the file has.
    pub item_count: u64,
    /// The MD5 of the file in base64.
    pub md5_checksum: String,
    pub etag: String,
    pub data_file_s3_key: String,
}
