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
    /// Columns of a typed table have no text form.
    #[error(
        "the columns {} of the Parquet file cannot be read. Write each element of a list in a row of its own, and \
         values of other types as text; or leave these columns out",
        listed(.columns)
    )]
    UnsupportedColumns {
        /// Their names and types.
        columns: Vec<String>,
    },
    /// The file is an archive of several ones.
    #[error(
        "the file is a zip archive with several files: {}. Unpack it, and import those with purchases or products",
        listed(.names)
    )]
    SeveralFiles { names: Vec<String> },
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
    /// A file of an export is not there.
    #[error(
        "the file is of the export {title}, which has the columns of an order in a file of its own: name that file too, the one with the columns {}",
        .header.join(", ")
    )]
    MissingFile { title: String, header: Vec<String> },
    /// The file is an export of the other kind.
    #[error("the file looks like {title}: import it with --kind {kind}")]
    OtherKind {
        title: String,
        /// The kind that it is.
        kind: &'static str,
    },
    /// An option names a column that is not there.
    #[error(
        "{option}: column \"{name}\" not found in the file{}. Its columns are {}",
        .nearest.as_ref().map(|name| format!(" (did you mean \"{name}\"?)")).unwrap_or_default(), listed(.has)
    )]
    NoSuchOptionColumn { option: &'static str, name: String, has: Vec<String>, nearest: Option<String> },
    /// A number can be read in two ways, and the other numbers do not decide.
    #[error(
        "column \"{column}\": \"{text}\" in line {line} may have a decimal sign or separate thousands, and {why}. Say which: --decimal point or --decimal comma"
    )]
    AmbiguousNumber { column: String, line: u64, text: String, why: String },
    /// No date of the file shows whether the day or the month comes first.
    #[error(
        "column \"{column}\": \"{text}\" in line {line} may begin with the day or the month, and no date of the file shows which. Say it: --date-order day-first or --date-order month-first"
    )]
    AmbiguousDate { column: String, line: u64, text: String },
    /// Some dates begin with the day, others with the month.
    #[error(
        "column \"{column}\": \"{}\" in line {} begins with the day, \"{}\" in line {} with the month. Export the dates as YYYY-MM-DD, or say which lines are right: --date-order day-first or --date-order month-first; the others are rejected",
        .day.1, .day.0, .month.1, .month.0
    )]
    MixedDates {
        column: String,
        /// The line and text of the first date of each kind.
        day: (u64, String),
        month: (u64, String),
    },
    /// The pattern of times exchanges day and month.
    #[error(
        "column \"{column}\": \"{text}\" in line {line} is not of the form {pattern}. Did you mean --time-format \"{other}\"?"
    )]
    WrongTimeFormat { column: String, pattern: String, line: u64, text: String, other: String },
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
