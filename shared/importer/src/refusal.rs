//! What was refused, and why.

use std::io::Write;

use serde::{Deserialize, Serialize};

use crate::columns::Column;
use crate::error::ImportError;
use crate::records::Records;

/// How much of a refused record's text is written, in bytes.
pub const MAX_REFUSED_BYTES: usize = 1_000;

/// Why a record was refused. Written in snake case; the texts hold still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Longer than a megabyte.
    TooLong,
    /// The last line of a file that broke off.
    CutOff,
    /// Bytes that are not UTF-8.
    InvalidUtf8,
    /// A quote that is never closed.
    UnclosedQuote,
    /// More or fewer fields than the first line has.
    WrongFieldCount,
    /// A line that is not one JSON object.
    BadJson,
    /// A JSON value of another type than its column's.
    WrongType,
    /// No user.
    MissingUser,
    /// A user beyond the limits of an id.
    BadUser,
    /// No product.
    MissingProduct,
    /// A product beyond the limits of an id.
    BadProduct,
    /// A product that was to be skipped.
    SkippedProduct,
    /// No time.
    MissingTime,
    /// A time in another form, or before 1970.
    BadTime,
    /// A time more than a day ahead.
    FutureTime,
    /// A negative quantity.
    Cancellation,
    /// A quantity that is no whole number from 1 to a million.
    BadQuantity,
    /// A price below zero.
    NegativePrice,
    /// A price of the catalogue that is none.
    BadPrice,
    /// A basket beyond the limits of an id.
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
    /// Categories beyond their limits.
    BadCategories,
    /// Neither yes nor no.
    BadAvailable,
    /// Attributes beyond their limits.
    BadAttributes,
}

impl Reason {
    /// Whether a record with this reason is well formed but not a purchase, so that its file is acceptable: a return,
    /// a correction, a line without a customer or with a product to skip, a purchase that appeared earlier in the
    /// file.
    #[must_use]
    pub fn is_no_purchase(self) -> bool {
        matches!(
            self,
            Self::MissingUser
                | Self::SkippedProduct
                | Self::Cancellation
                | Self::NegativePrice
                | Self::NoLines
                | Self::RepeatedPurchase
        )
    }

    /// Its text, as in the refused file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::CutOff => "cut_off",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::UnclosedQuote => "unclosed_quote",
            Self::WrongFieldCount => "wrong_field_count",
            Self::BadJson => "bad_json",
            Self::WrongType => "wrong_type",
            Self::MissingUser => "missing_user",
            Self::BadUser => "bad_user",
            Self::MissingProduct => "missing_product",
            Self::BadProduct => "bad_product",
            Self::SkippedProduct => "skipped_product",
            Self::MissingTime => "missing_time",
            Self::BadTime => "bad_time",
            Self::FutureTime => "future_time",
            Self::Cancellation => "cancellation",
            Self::BadQuantity => "bad_quantity",
            Self::NegativePrice => "negative_price",
            Self::BadPrice => "bad_price",
            Self::BadBasket => "bad_basket",
            Self::BadRecommendation => "bad_recommendation",
            Self::NoLines => "no_lines",
            Self::PurchaseFull => "purchase_full",
            Self::RepeatedPurchase => "repeated_purchase",
            Self::ConflictingPurchase => "conflicting_purchase",
            Self::MissingName => "missing_name",
            Self::BadName => "bad_name",
            Self::BadCategories => "bad_categories",
            Self::BadAvailable => "bad_available",
            Self::BadAttributes => "bad_attributes",
        }
    }
}

/// Why one record is refused.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) reason: Reason,
    /// Whose cell it is; the number is that of a whole purchase's line.
    pub(crate) cell: Option<(Column, Option<usize>)>,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn of_record(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, cell: None, message: message.into() }
    }

    pub(crate) fn of_cell(reason: Reason, column: Column, message: impl Into<String>) -> Self {
        Self { reason, cell: Some((column, None)), message: message.into() }
    }

    pub(crate) fn in_line(mut self, index: usize) -> Self {
        if let Some((_, line)) = &mut self.cell {
            *line = Some(index);
        }
        self
    }
}

#[derive(Serialize)]
struct Refused<'a> {
    line: u64,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    message: &'a str,
    record: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

/// Writes the rejection of the record that was read last, as one JSON object on a line.
pub(crate) fn write_last(
    records: &Records<'_>,
    fault: &Fault,
    into: &mut dyn Write,
) -> Result<(), ImportError> {
    let name = |(column, line): &(Column, Option<usize>)| match line {
        Some(line) => format!("lines[{line}].{}", records.name_of(*column)),
        None => records.name_of(*column).to_owned(),
    };
    let field = fault.cell.as_ref().map(name);
    write(records.line(), fault, field.as_deref(), records.raw(), into)
}

/// `field` is the file's own name for the column, `record` the text in its original form.
fn write(
    line: u64,
    fault: &Fault,
    field: Option<&str>,
    record: &[u8],
    into: &mut dyn Write,
) -> Result<(), ImportError> {
    let shown = record.get(..MAX_REFUSED_BYTES).unwrap_or(record);
    let text = String::from_utf8_lossy(shown);
    let refused = Refused {
        line,
        reason: fault.reason.as_str(),
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
        for reason in [Reason::InvalidUtf8, Reason::MissingUser, Reason::NoLines, Reason::BadAttributes] {
            assert_eq!(serde_json::to_string(&reason).unwrap(), format!("\"{}\"", reason.as_str()));
        }
    }

    #[test]
    fn a_long_record_is_cut() {
        let mut out = Vec::new();
        let fault = Fault::of_cell(Reason::BadUser, Column::UserId, "must not hold control characters");
        write(7, &fault, Some("Customer"), "é".repeat(1_000).as_bytes(), &mut out).unwrap();
        let written: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!((&written["line"], &written["field"]), (&7.into(), &"Customer".into()));
        assert_eq!(written["record"].as_str().unwrap().len(), MAX_REFUSED_BYTES);
        assert_eq!(written["truncated"], true);
    }
}
