//! How the rows of one file are read: decided once, from its header and all of its values, and stored with its layout.

use chrono_tz::Tz;
use nextbasket_domain::Currency;
use serde::{Deserialize, Serialize};

use crate::mapping::Mapping;
use crate::number_format::DecimalSign;
use crate::product_record::CategorySeparators;
use crate::row::is_blank;
use crate::time_format::{ClockDigits, TimeFormat, TimeReader};

/// The number of values of a rule that people are shown.
const MAX_SHOWN: usize = 4;

/// Which rows count, by the cells of one column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RowRule {
    /// The file's name for the column.
    pub(crate) column: String,
    /// Whether rows with one of the values are kept, and all others skipped; otherwise they are skipped.
    #[serde(default)]
    pub(crate) keep: bool,
    /// Case does not count.
    #[serde(default)]
    pub(crate) values: Vec<String>,
    /// The rule is about cells with any value, or about blank ones.
    #[serde(default)]
    pub(crate) filled: Option<bool>,
}

impl RowRule {
    /// Whether a row with this cell is skipped.
    pub(crate) fn skips(&self, cell: &str) -> bool {
        let cell = Some(cell.trim()).filter(|cell| !is_blank(cell)).unwrap_or_default();
        let is_named = self.values.iter().any(|value| same(value, cell))
            || self.filled.is_some_and(|filled| filled != cell.is_empty());
        is_named != self.keep
    }

    /// What the rule says, for people.
    pub(crate) fn text(&self) -> String {
        let values = match self.filled {
            Some(true) => "not blank".to_owned(),
            Some(false) => "blank".to_owned(),
            None => match self.values.get(..MAX_SHOWN) {
                Some(first) if self.values.len() > MAX_SHOWN => format!("{} or the like", first.join(", ")),
                _ => self.values.join(", "),
            },
        };
        let verb = if self.keep { "kept" } else { "skipped" };
        format!("rows {verb}: \"{}\" is {values}", self.column)
    }
}

/// Whether two values are the same, but for case.
pub(crate) fn same(one: &str, other: &str) -> bool {
    one == other || one.eq_ignore_ascii_case(other) || one.to_lowercase() == other.to_lowercase()
}

/// Columns whose blank cells take the value of the row above.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FillDown {
    /// The column whose value both rows must share; a blank one takes the value above too.
    #[serde(default)]
    pub(crate) by: Option<String>,
    pub(crate) columns: Vec<String>,
}

/// How the rows of a file are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReadingRules {
    pub(crate) mapping: Mapping,
    pub(crate) rows: Vec<RowRule>,
    pub(crate) guests: Guests,
    pub(crate) time: TimeReader,
    /// The sign of numbers that can be read with either.
    pub(crate) decimal: Option<DecimalSign>,
    /// The currency of prices that name none.
    pub(crate) currency: Currency,
    pub(crate) categories: CategorySeparators,
}

impl ReadingRules {
    /// Rules for a file whose cells are taken as they are.
    pub(crate) fn none() -> Self {
        Self {
            mapping: Mapping::default(),
            rows: Vec::new(),
            guests: Guests::default(),
            time: TimeReader {
                format: TimeFormat::Usual,
                zone: Tz::UTC,
                order: None,
                clock: ClockDigits::ByLength,
            },
            decimal: None,
            currency: Currency::EUR,
            categories: CategorySeparators::default(),
        }
    }
}

/// Values of the user column that stand for nobody in particular.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Guests(Vec<String>);

impl Guests {
    pub(crate) fn new(values: Vec<String>) -> Self {
        Self(values)
    }

    /// Whether this is one of the values; a blank one may be.
    pub(crate) fn include(&self, user: &str) -> bool {
        self.0.iter().any(|guest| same(guest, user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_keeps_or_skips_rows() {
        let rule = |keep, values: &[&str], filled: Option<bool>| RowRule {
            column: "Status".into(),
            keep,
            values: values.iter().map(|value| (*value).into()).collect(),
            filled,
        };
        let only = rule(true, &["transaction"], None);
        assert_eq!(
            ["transaction", " Transaction ", "view", ""].map(|cell| only.skips(cell)),
            [false, false, true, true]
        );
        let cancelled = rule(false, &["refunded", "STORNIERT"], None);
        assert_eq!(
            ["Refunded", "storniert", "paid", ""].map(|cell| cancelled.skips(cell)),
            [true, true, false, false]
        );
        let filled = rule(false, &[], Some(true));
        assert_eq!(["2024-01-01", " "].map(|cell| filled.skips(cell)), [true, false]);
    }
}
