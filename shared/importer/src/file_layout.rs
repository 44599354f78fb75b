//! The layout of a file, as seen at its beginning, and positions in the file.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::tally::ImportTally;

/// The form of a file, detected from its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileForm {
    pub gzip: bool,
    /// The delimiter of a CSV file; none if the file is JSON Lines.
    pub delimiter: Option<char>,
}

impl fmt::Display for FileForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.delimiter {
            None => "JSON Lines",
            Some(';') => "CSV with semicolons",
            Some('\t') => "CSV with tabs",
            Some('|') => "CSV with bars",
            Some(_) => "CSV",
        })?;
        f.write_str(if self.gzip { ", gzip" } else { "" })
    }
}

/// The layout of a file, as seen at its beginning: with it, the beginning need not be read again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileLayout {
    /// The detected form of the file.
    pub form: FileForm,
    /// The first record of a CSV file, which names the columns.
    pub(crate) header: Option<String>,
}

/// A position between two records of a file, and the counts of the records before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FilePosition {
    /// The offset in unpacked bytes from the file's beginning.
    pub offset: u64,
    /// The counts so far: lines, records and refusals.
    pub tally: ImportTally,
    /// The keys of JSON lines that were seen so far.
    pub(crate) keys: Vec<String>,
}
