//! What was refused, and why.

use std::fmt;
use std::io::Write;

use serde::{Deserialize, Serialize};

use crate::columns::FileColumn;
use crate::error::ImportError;

/// How much of a refused record's text is written, in bytes.
pub const MAX_REFUSED_BYTES: usize = 1_000;

/// Why a record was refused. Written in snake case; the texts hold still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    /// Longer than a megabyte.
    TooLong,
    /// The last line of a file that broke off.
    CutOff,
    /// Bytes that are not UTF-8.
    InvalidUtf8,
    /// A quote that is never closed, or text behind the closing one.
    UnclosedQuote,
    /// More or fewer fields than the first line has.
    WrongFieldCount,
    /// A line that is not one JSON object.
    BadJson,
    /// A JSON value of another type than its column's.
    WrongType,
    /// A row whose counterpart is not in the file that it is joined with.
    UnmatchedRow,
    /// A row that is not about a purchase, such as a view or a cancelled order, or that was to be skipped.
    SkippedRow,
    /// An id that a spreadsheet or a program has rounded, so that it is no longer one: `4.00638E+12`.
    ImpreciseId,
    MissingUser,
    /// A user beyond the limits of an id, or one that a path of the API cannot carry.
    BadUser,
    MissingProduct,
    /// A product beyond the limits of an id.
    BadProduct,
    /// A product that was to be skipped.
    SkippedProduct,
    MissingTime,
    /// A time in another form, or before 1970.
    BadTime,
    /// A time more than a day ahead.
    FutureTime,
    Cancellation,
    /// A quantity that is not a whole number from 1 to a million.
    BadQuantity,
    NegativePrice,
    /// A price of the catalogue that is none.
    BadPrice,
    /// A basket beyond the limits of an id, or one that a path of the API cannot carry.
    BadBasket,
    /// A recommendation beyond the limits of an id.
    BadRecommendation,
    /// A purchase without a line.
    NoLines,
    /// One line more than a purchase can have.
    PurchaseFull,
    /// A whole purchase that the file held before.
    RepeatedPurchase,
    /// A purchase whose id the file used before, for another one.
    ConflictingPurchase,
    /// A product of the catalogue without a name.
    MissingName,
    /// A name beyond its limits.
    BadName,
    BadCategories,
    /// Neither yes nor no.
    BadAvailable,
    BadAttributes,
}

impl RefusalReason {
    /// Whether a record with this reason is well formed but not a purchase, so that its file is acceptable: a return, a view,
    /// a correction, a line without a customer or with a product to skip, a purchase that appeared earlier in the
    /// file.
    #[must_use]
    pub fn is_no_purchase(self) -> bool {
        matches!(
            self,
            Self::MissingUser
                | Self::SkippedRow
                | Self::SkippedProduct
                | Self::Cancellation
                | Self::NegativePrice
                | Self::NoLines
                | Self::RepeatedPurchase
        )
    }
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// Why one record is refused.
#[derive(Debug)]
pub(crate) struct RecordFault {
    pub(crate) reason: RefusalReason,
    /// The file's column, if it is not one of ours.
    pub(crate) column: Option<String>,
    /// Whose cell it is; the number is that of a whole purchase's line.
    pub(crate) cell: Option<(FileColumn, Option<usize>)>,
    pub(crate) message: String,
}

impl RecordFault {
    pub(crate) fn of_record(reason: RefusalReason, message: impl Into<String>) -> Self {
        Self { reason, column: None, cell: None, message: message.into() }
    }

    pub(crate) fn of_cell(reason: RefusalReason, column: FileColumn, message: impl Into<String>) -> Self {
        Self { reason, column: None, cell: Some((column, None)), message: message.into() }
    }

    /// The cell's value is not valid, as `error` says.
    pub(crate) fn of_value(reason: RefusalReason, column: FileColumn, error: impl fmt::Display) -> Self {
        Self::of_cell(reason, column, format!("{column} {error}"))
    }

    pub(crate) fn skipped_product() -> Self {
        let message = "products with this code are skipped";
        Self::of_cell(RefusalReason::SkippedProduct, FileColumn::ProductId, message)
    }

    /// A row that a rule about this column of the file skips; `only` are the values of rows that are kept.
    pub(crate) fn skipped_row(column: &str, value: &str, only: Option<&[String]>) -> Self {
        let value: String = value.trim().chars().take(60).collect();
        let message = match only {
            Some(only) => format!("rows with \"{value}\" are skipped: only {} is kept", only.join(", ")),
            None => format!("rows with \"{value}\" are skipped"),
        };
        Self { column: Some(column.to_owned()), ..Self::of_record(RefusalReason::SkippedRow, message) }
    }

    /// A row whose value of this column is not in the file that it is joined with.
    pub(crate) fn unmatched_row(column: &str, value: &str) -> Self {
        let value: String = value.trim().chars().take(60).collect();
        let message = format!("\"{value}\" is not in the file that is joined by this column");
        Self { column: Some(column.to_owned()), ..Self::of_record(RefusalReason::UnmatchedRow, message) }
    }

    pub(crate) fn in_line(mut self, index: usize) -> Self {
        if let Some((_, line)) = &mut self.cell {
            *line = Some(index);
        }
        self
    }
}

#[derive(Serialize)]
struct RefusedRecord<'a> {
    line: u64,
    reason: RefusalReason,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    message: &'a str,
    record: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

/// Writes a refused record as one JSON object on a line. `field` is the file's own name for the column, `record` the
/// text in its original form.
pub(crate) fn write(
    line: u64,
    fault: &RecordFault,
    field: Option<&str>,
    record: &[u8],
    into: &mut dyn Write,
) -> Result<(), ImportError> {
    let shown = record.get(..MAX_REFUSED_BYTES).unwrap_or(record);
    let text = String::from_utf8_lossy(shown);
    let refused = RefusedRecord {
        line,
        reason: fault.reason,
        field,
        message: &fault.message,
        record: text.trim_end_matches(['\r', '\n']),
        truncated: shown.len() < record.len(),
    };
    let mut bytes = serde_json::to_vec(&refused).map_err(|error| ImportError::Refused(error.into()))?;
    bytes.push(b'\n');
    into.write_all(&bytes).map_err(ImportError::Refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_written_the_same_everywhere() {
        for reason in [
            RefusalReason::InvalidUtf8,
            RefusalReason::MissingUser,
            RefusalReason::NoLines,
            RefusalReason::BadAttributes,
        ] {
            assert_eq!(serde_json::to_string(&reason).unwrap(), format!("\"{reason}\""));
        }
    }

    #[test]
    fn a_long_record_is_cut() {
        let mut out = Vec::new();
        let fault = RecordFault::of_cell(
            RefusalReason::BadUser,
            FileColumn::UserId,
            "must not hold control characters",
        );
        write(7, &fault, Some("Customer"), "é".repeat(1_000).as_bytes(), &mut out).unwrap();
        let written: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!((&written["line"], &written["field"]), (&7.into(), &"Customer".into()));
        assert_eq!(written["record"].as_str().unwrap().len(), MAX_REFUSED_BYTES);
        assert_eq!(written["truncated"], true);
    }
}
