//! The formats of data files.

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, EnumString, IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
}

/// The formats that are read: those of dumps, and those that other tools write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum SourceFormat {
    /// DynamoDB JSON, an item a line: {"Item":{"id":{"S":"a"}}}, or {"id":{"S":"a"}}
    #[default]
    DynamodbJson,
    /// CSV, with the types in its header, in --types or of the table's key
    Csv,
    /// Plain JSON, an item a line
    JsonLines,
    /// Plain JSON, all items in one array
    Json,
    /// What "aws dynamodb scan" and "query" print, a page or several, or only its items in an array
    Scan,
}

impl SourceFormat {
    /// Their names, for messages.
    pub(crate) const NAMES: &str = "dynamodb-json, csv, json-lines, json or scan";

    /// What the number of a record counts.
    pub(crate) fn position(self) -> &'static str {
        match self {
            Self::DynamodbJson | Self::Csv | Self::JsonLines => "line",
            Self::Json | Self::Scan => "item",
        }
    }
}

impl From<Format> for SourceFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::DynamodbJson => Self::DynamodbJson,
            Format::Csv => Self::Csv,
            Format::JsonLines => Self::JsonLines,
        }
    }
}
