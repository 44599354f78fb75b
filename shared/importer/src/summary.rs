//! The result of reading a file.

use std::fmt;

use nextbasket_domain::Currency;
use serde::Serialize;

use crate::columns::RecordKind;
use crate::file_layout::FileForm;
use crate::record_scanner::ScanEnd;
use crate::samples::Amount;
use crate::tally::{CodeCount, ImportTally};
use crate::text::{CountedNoun, Grouped};
use crate::warning::ImportWarning;

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
    /// What makes the file suspicious.
    pub warnings: Vec<ImportWarning>,
    /// Why the file could not be read to its end, if so.
    pub ended_early: Option<String>,
    /// What was recognised and assumed, in sentences for people.
    pub notes: Vec<String>,
    /// The file whose records this file's columns are joined to, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joined_to: Option<String>,
}

impl ImportSummary {
    /// The summary of all parts of a file.
    #[must_use]
    pub fn of(kind: RecordKind, form: FileForm, end: ScanEnd) -> Self {
        let ScanEnd { mut tally, ignored_columns, ended_early, notes, joined_to } = end;
        let service_like = tally.take_service_like();
        let warnings = ImportWarning::of(&tally);
        tally.frequent_users.clear();
        let taken = tally.records.saturating_sub(tally.refused_records());
        Self {
            kind,
            form,
            taken,
            tally,
            ignored_columns,
            service_like,
            warnings,
            ended_early,
            notes,
            joined_to,
        }
    }

    /// Takes out what names persons: the sample purchases, and whom a warning is about.
    pub fn remove_persons(&mut self) {
        self.tally.samples.clear();
        self.warnings.iter_mut().for_each(ImportWarning::remove_person);
    }
}

impl fmt::Display for ImportSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = &self.tally;
        if let Some(other) = &self.joined_to {
            return writeln!(f, "columns joined to the records of {other} ({})", self.form);
        }
        writeln!(f, "{} read ({})", CountedNoun(tally.records, "record"), self.form)?;
        for note in &self.notes {
            writeln!(f, "    {note}")?;
        }
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
        if tally.purchases > 0 {
            let lines = CountedNoun(tally.purchase_lines, "line");
            let worth = |(currency, amount): (&Currency, &i64)| Amount(*amount, *currency).to_string();
            let worth: Vec<_> = tally.revenue.iter().map(worth).collect();
            let worth = if worth.is_empty() { "no price".to_owned() } else { worth.join(", ") };
            writeln!(f, "{:>12} in {lines}, revenue: {worth}", "")?;
        }
        writeln!(f, "{:>12} refused", Grouped(tally.refused_records()).to_string())?;
        let mut reasons: Vec<_> = tally.refused.iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (reason, count) in reasons {
            write!(f, "{:>20} {}", Grouped(*count).to_string(), reason)?;
            match tally.first_refused.get(reason) {
                Some(line) => writeln!(f, ", first in line {}", Grouped(*line))?,
                None => writeln!(f)?,
            }
        }
        let merged = match self.kind {
            RecordKind::Purchases => "added to a line with the same product and price",
            RecordKind::Products => "replaced an earlier record of the same product",
        };
        for (count, what) in [
            (tally.merged, merged),
            (tally.skipped_lines, "skipped in whole purchases: products to skip"),
            (
                tally.weighed,
                "with a fraction for a quantity (goods by weight): each taken as one piece, with the line's price",
            ),
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
        if !tally.samples.is_empty() {
            writeln!(f, "the first purchases:")?;
            tally.samples.iter().try_for_each(|sample| sample.fmt(f))?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        if let Some(cause) = &self.ended_early {
            writeln!(f, "the file ends unexpectedly at line {}: {cause}", Grouped(tally.lines))?;
        }
        Ok(())
    }
}
