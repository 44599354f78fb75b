//! The result of reading a file.

use std::fmt;

use serde::Serialize;

use crate::columns::RecordKind;
use crate::file_layout::FileForm;
use crate::record_scanner::ScanEnd;
use crate::tally::{CodeCount, ImportTally};

/// The result of reading a file. In JSON, all counts are beside the other fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportSummary {
    /// What the file was read as.
    pub kind: RecordKind,
    pub form: FileForm,
    /// The number of records that were accepted.
    pub taken: u64,
    /// The counts of the whole file.
    #[serde(flatten)]
    pub tally: ImportTally,
    /// Columns that are not used.
    pub ignored_columns: Vec<String>,
    /// Products that may be services, such as postage: the most frequent first.
    pub service_like: Vec<CodeCount>,
    /// Why the file could not be read to its end, if so.
    pub ended_early: Option<String>,
}

impl ImportSummary {
    /// The summary of all parts of a file.
    #[must_use]
    pub fn of(kind: RecordKind, form: FileForm, end: ScanEnd) -> Self {
        let ScanEnd { mut tally, ignored_columns, ended_early } = end;
        let service_like = tally.take_service_like();
        let taken = tally.records.saturating_sub(tally.refused_records());
        Self { kind, form, taken, tally, ignored_columns, service_like, ended_early }
    }
}

/// A number of things, in words.
struct CountedNoun(u64, &'static str);

impl fmt::Display for CountedNoun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", Grouped(self.0), self.1, if self.0 == 1 { "" } else { "s" })
    }
}

/// A number with its thousands apart.
struct Grouped(u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut text = String::with_capacity(digits.len() + digits.len() / 3);
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        f.pad(&text)
    }
}

impl fmt::Display for ImportSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = &self.tally;
        writeln!(f, "{} read ({})", CountedNoun(tally.records, "record"), self.form)?;
        write!(f, "{:>12} taken: ", Grouped(self.taken).to_string())?;
        match (self.kind, tally.period) {
            (RecordKind::Purchases, Some((first, last))) => writeln!(
                f,
                "{} of {}, {}, {:.10} to {:.10}",
                CountedNoun(tally.purchases, "purchase"),
                CountedNoun(tally.users, "user"),
                CountedNoun(tally.products, "product"),
                first.to_string(),
                last.to_string(),
            )?,
            (RecordKind::Purchases, None) => writeln!(f, "no purchase")?,
            (RecordKind::Products, _) => writeln!(f, "{}", CountedNoun(tally.products, "product"))?,
        }
        writeln!(f, "{:>12} refused", Grouped(tally.refused_records()).to_string())?;
        let mut reasons: Vec<_> = tally.refused.iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (reason, count) in reasons {
            writeln!(f, "{:>20} {}", Grouped(*count).to_string(), reason)?;
        }
        let merged = match self.kind {
            RecordKind::Purchases => "added to a line with the same product and price",
            RecordKind::Products => "replaced an earlier record of the same product",
        };
        for (count, what) in [
            (tally.merged, merged),
            (tally.skipped_lines, "skipped in whole purchases: products to skip"),
            (tally.prices.zero, "taken without a price: it is zero"),
            (tally.prices.unreadable, "taken without a price: it is not a number"),
            (tally.prices.rounded, "with the price rounded to the currency's decimals"),
            (tally.unnamed_products, "not named in the file: the product's id is used as its name"),
        ] {
            if count > 0 {
                writeln!(f, "{:>12} {what}", Grouped(count).to_string())?;
            }
        }
        if !self.ignored_columns.is_empty() {
            writeln!(f, "columns not used: {}", self.ignored_columns.join(", "))?;
        }
        if !self.service_like.is_empty() {
            let code = |code: &CodeCount| format!("{} ({})", code.product_id, Grouped(code.lines));
            let shown: Vec<_> = self.service_like.iter().map(code).collect();
            let codes: Vec<_> = self.service_like.iter().map(|code| code.product_id.as_str()).collect();
            writeln!(f, "possibly services, not products: {}", shown.join(", "))?;
            writeln!(f, "    to skip them: --skip-products \"{}\"", codes.join(","))?;
        }
        if let Some(cause) = &self.ended_early {
            writeln!(f, "the file ends unexpectedly at line {}: {cause}", Grouped(tally.lines))?;
        }
        Ok(())
    }
}
