//! Why a file gave nothing.

use std::io;

use crate::columns::Column;

/// Why a file gave nothing. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// No bytes, or nothing but blank lines.
    #[error("the file is empty")]
    Empty,
    /// The content is of a form that is not read.
    #[error("the file {is}; {advice}")]
    Unsupported {
        /// What the content looks like.
        is: &'static str,
        /// What helps.
        advice: &'static str,
    },
    /// Columns that every file of its kind has are not there.
    #[error(
        "the file has no column {}; it has {}. Say which column is which, perhaps so: --map {mapping}",
        .missing.iter().map(|column| column.name()).collect::<Vec<_>>().join(", "), listed(.has)
    )]
    MissingColumns {
        /// Those that are missing.
        missing: Vec<Column>,
        /// The file's columns.
        has: Vec<String>,
        /// A mapping with the likeliest of them.
        mapping: String,
    },
    /// The mapping names a column that is not there.
    #[error(
        "the file has no column \"{name}\" for {column}{}; it has {}",
        .nearest.as_ref().map(|name| format!(", perhaps \"{name}\" is meant")).unwrap_or_default(), listed(.has)
    )]
    NoSuchColumn {
        /// What it was to stand for.
        column: Column,
        /// The name that the mapping gives.
        name: String,
        /// The file's columns.
        has: Vec<String>,
        /// The likeliest of them.
        nearest: Option<String>,
    },
    /// Two columns of the file would be the same one of ours.
    #[error(
        "the columns \"{first}\" and \"{second}\" are both {column}; say which one is: --map {column}={first}"
    )]
    AmbiguousColumn {
        /// Ours.
        column: Column,
        /// The file's first.
        first: String,
        /// The file's second.
        second: String,
    },
    /// The mapping names one of ours that files of this kind do not have.
    #[error("{column} is no column of such a file; it takes {takes}")]
    NotOfKind {
        /// Ours.
        column: Column,
        /// What files of this kind have.
        takes: String,
    },
    /// The file cannot be read from the start.
    #[error("the file cannot be read: {0}")]
    Read(#[source] io::Error),
    /// What was refused cannot be written.
    #[error("the refused lines cannot be written: {0}")]
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
