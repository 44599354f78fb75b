//! Why a file gave nothing.

use std::io;

use crate::columns::FileColumn;

/// Why a file gave nothing. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// No bytes, or nothing but blank lines.
    #[error("the file is empty")]
    Empty,
    /// The content is of a form that is not read.
    #[error("the file {is}. {advice}.")]
    Unsupported {
        /// What the content looks like.
        is: &'static str,
        advice: &'static str,
    },
    /// The quotes of the record that names the columns are wrong.
    #[error("the columns' names cannot be read: {0}")]
    Header(String),
    /// Columns that every file of its kind has are not there.
    #[error(
        "columns not found in the file: {}. Its columns are {}. Say which column is which, for example: --map {mapping}",
        .missing.iter().map(|column| column.name()).collect::<Vec<_>>().join(", "), listed(.has)
    )]
    MissingColumns {
        missing: Vec<FileColumn>,
        has: Vec<String>,
        /// A mapping with the likeliest of them.
        mapping: String,
    },
    /// The mapping names a column that is not there.
    #[error(
        "column \"{name}\", mapped to {column}, not found in the file{}. Its columns are {}",
        .nearest.as_ref().map(|name| format!(" (did you mean \"{name}\"?)")).unwrap_or_default(), listed(.has)
    )]
    NoSuchColumn {
        /// The column that it is mapped to.
        column: FileColumn,
        /// The name that the mapping gives.
        name: String,
        has: Vec<String>,
        nearest: Option<String>,
    },
    /// Two columns of the file would be the same one of ours.
    #[error("columns \"{first}\" and \"{second}\" both mean {column}. Choose one: --map {column}={first}")]
    AmbiguousColumn { column: FileColumn, first: String, second: String },
    /// The mapping names one of ours that files of this kind do not have.
    #[error("column {column} is not valid for this kind of file: expected one of {takes}")]
    NotOfKind {
        column: FileColumn,
        /// What files of this kind have.
        takes: String,
    },
    /// The file cannot be read from the start.
    #[error("cannot read the file: {0}")]
    Read(#[source] io::Error),
    /// What was refused cannot be written.
    #[error("cannot write the refused lines: {0}")]
    Refused(#[source] io::Error),
}

fn listed(names: &[String]) -> String {
    const MOST: usize = 20;
    let mut text = names.iter().take(MOST).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > MOST {
        text.push_str(&format!(" and {} more", names.len() - MOST));
    }
    text
}
