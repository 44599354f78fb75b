//! The layout of a file, as seen at its beginning, and positions in the file.

use serde::{Deserialize, Serialize};

use crate::summary::FileForm;
use crate::tally::Tally;

/// The layout of a file, as seen at its beginning: with it, the beginning need not be read again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Layout {
    /// The detected form of the file.
    pub form: FileForm,
    /// The first record of a CSV file, which names the columns.
    pub(crate) header: Option<String>,
}

/// A position between two records of a file, and the counts of the records before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Position {
    /// The offset in unpacked bytes from the file's beginning.
    pub offset: u64,
    /// The counts so far: lines, records and refusals.
    pub tally: Tally,
    /// The keys of JSON lines that were seen so far.
    pub(crate) keys: Vec<String>,
}
