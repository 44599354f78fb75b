//! What a file came to.

use std::collections::BTreeMap;
use std::fmt;

use nextbasket_domain::{ProductId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::columns::Kind;
use crate::refusal::Reason;
use crate::scanner::End;
use crate::tally::Tally;

/// How far the reading has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that the reader has given, packed if they are: to be held against the file's size.
    pub bytes_read: u64,
    /// Lines that were read, unpacked.
    pub lines: u64,
}

/// What a file was seen to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileForm {
    /// Whether it is packed.
    pub gzip: bool,
    /// What stands between a CSV's fields; nothing if the file is JSON Lines.
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

/// Lines that are taken without the price as it is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Prices {
    /// The price is zero: the line has none.
    pub zero: u64,
    /// The price is no number, or too large: the line has none.
    pub unreadable: u64,
    /// The price has more decimals than the currency: it is rounded.
    pub rounded: u64,
}

/// A product code, and how many lines have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CodeCount {
    /// The code.
    pub product_id: ProductId,
    /// Its lines.
    pub lines: u64,
}

/// What a file came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// What it was read as.
    pub kind: Kind,
    /// What it was seen to be.
    pub form: FileForm,
    /// Its lines, blank ones and the names of columns among them.
    pub lines: u64,
    /// Its records.
    pub records: u64,
    /// The records that were taken.
    pub taken: u64,
    /// The records that were not, by reason.
    pub refused: BTreeMap<Reason, u64>,
    /// Purchases that were made of them.
    pub purchases: u64,
    /// Users with a purchase.
    pub users: u64,
    /// Products that were found.
    pub products: u64,
    /// The time of the first and the last purchase.
    pub period: Option<(Timestamp, Timestamp)>,
    /// Records that were added to a line with the same product and price; in a catalogue, records that took the
    /// place of an earlier one.
    pub merged: u64,
    /// Lines that were left out of whole purchases, because their products are to be skipped.
    pub skipped_lines: u64,
    /// Records whose price was not taken as written.
    pub prices: Prices,
    /// Products that no line names; their id stands for the name.
    pub unnamed_products: u64,
    /// Columns that stand for nothing that is kept.
    pub ignored_columns: Vec<String>,
    /// Products that may be services, such as postage: the most frequent first.
    pub service_like: Vec<CodeCount>,
    /// Why the file broke off, if it did.
    pub ended_early: Option<String>,
}

impl Summary {
    /// The summary of all parts of a file.
    #[must_use]
    pub fn of(kind: Kind, form: FileForm, end: End) -> Self {
        let End { tally, ignored_columns, ended_early } = end;
        let service_like = tally.service_like();
        let taken = tally.records.saturating_sub(tally.refused_records());
        let Tally {
            lines, records, refused, purchases, users, products, period, merged, skipped_lines, ..
        } = tally;
        Self {
            kind,
            form,
            lines,
            records,
            taken,
            refused,
            purchases,
            users,
            products,
            period,
            merged,
            skipped_lines,
            prices: tally.prices,
            unnamed_products: tally.unnamed_products,
            ignored_columns,
            service_like,
            ended_early,
        }
    }

    /// The number of records that were not taken.
    #[must_use]
    pub fn refused_records(&self) -> u64 {
        self.refused.values().sum()
    }
}

/// So many of something, in words.
struct Counted(u64, &'static str);

impl fmt::Display for Counted {
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

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} read ({})", Counted(self.records, "record"), self.form)?;
        write!(f, "{:>12} taken: ", Grouped(self.taken).to_string())?;
        match (self.kind, self.period) {
            (Kind::Purchases, Some((first, last))) => writeln!(
                f,
                "{} of {}, {}, {:.10} to {:.10}",
                Counted(self.purchases, "purchase"),
                Counted(self.users, "user"),
                Counted(self.products, "product"),
                first.to_string(),
                last.to_string(),
            )?,
            (Kind::Purchases, None) => writeln!(f, "no purchase")?,
            (Kind::Products, _) => writeln!(f, "{}", Counted(self.products, "product"))?,
        }
        writeln!(f, "{:>12} refused", Grouped(self.refused_records()).to_string())?;
        let mut reasons: Vec<_> = self.refused.iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (reason, count) in reasons {
            writeln!(f, "{:>20} {}", Grouped(*count).to_string(), reason.as_str())?;
        }
        let merged = match self.kind {
            Kind::Purchases => "added to a line with the same product and price",
            Kind::Products => "took the place of an earlier record of the same product",
        };
        for (count, what) in [
            (self.merged, merged),
            (self.skipped_lines, "left out of whole purchases: products to skip"),
            (self.prices.zero, "taken without a price: it is zero"),
            (self.prices.unreadable, "taken without a price: it is no number"),
            (self.prices.rounded, "with the price rounded to the currency's decimals"),
            (self.unnamed_products, "not named in the file: the product's id stands for its name"),
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
            writeln!(f, "perhaps services, not products: {}", shown.join(", "))?;
            writeln!(f, "    to leave them out: --skip-products \"{}\"", codes.join(","))?;
        }
        if let Some(cause) = &self.ended_early {
            writeln!(f, "the file breaks off at line {}: {cause}", Grouped(self.lines))?;
        }
        Ok(())
    }
}
