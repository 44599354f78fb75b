//! The formats of data files.

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, EnumString, IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Format {
    /// DynamoDB JSON, as AWS exports it: every type, for programs.
    #[default]
    DynamodbJson,
    /// CSV with typed headers, for people and spreadsheets.
    Csv,
    /// Plain JSON, a line for each item, for people and scripts.
    JsonLines,
}

impl Format {
    pub fn extension(self, gzip: bool) -> &'static str {
        match (self, gzip) {
            (Self::DynamodbJson, true) => "json.gz",
            (Self::DynamodbJson, false) => "json",
            (Self::Csv, true) => "csv.gz",
            (Self::Csv, false) => "csv",
            (Self::JsonLines, true) => "jsonl.gz",
            (Self::JsonLines, false) => "jsonl",
        }
    }

    /// What a manifest calls it, which [`FromStr`](std::str::FromStr) reads.
    pub fn output_format(self) -> &'static str {
        self.into()
    }

    /// From a file's name; `None` if its ending tells nothing. A file `.json` without a manifest is taken for plain
    /// JSON: ours of DynamoDB JSON have one.
    pub fn of_file(name: &str) -> Option<Self> {
        let name = name.strip_suffix(".gz").unwrap_or(name);
        match name.rsplit_once('.')?.1 {
            "csv" => Some(Self::Csv),
            "jsonl" | "ndjson" | "json" => Some(Self::JsonLines),
            _ => None,
        }
    }
}
