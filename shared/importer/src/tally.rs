//! The counts of a file's parts, which can be added up to those of the file.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use nextbasket_domain::Timestamp;
use serde::{Deserialize, Serialize};

use crate::refusal::{Fault, Reason};
use crate::summary::{CodeCount, Prices};

/// The maximum number of codes that are reported as possible services.
const MAX_SERVICE_LIKE: usize = 20;

/// The percentage of products that must have a digit in their code before a code without one is remarkable.
const CODED_PERCENT: u64 = 90;

/// The counts of a part of a file. They can be added up in any order: see [`Summary`](crate::Summary) for their
/// meaning.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Tally {
    /// The number of lines.
    pub lines: u64,
    /// The number of records.
    pub records: u64,
    /// The numbers of rejected records, by reason.
    pub refused: BTreeMap<Reason, u64>,
    /// The number of purchases.
    pub purchases: u64,
    /// The number of users; each is counted in one part only.
    pub users: u64,
    /// The number of products; each is counted in one part only.
    pub products: u64,
    /// The time of the first and the last purchase.
    pub period: Option<(Timestamp, Timestamp)>,
    /// The number of records that were merged into others.
    pub merged: u64,
    /// The number of lines that were skipped in whole purchases.
    pub skipped_lines: u64,
    /// The numbers of records whose price was not used as written.
    pub prices: Prices,
    /// The number of products for which no line has a name.
    pub unnamed_products: u64,
    /// The number of products with a digit in their code.
    pub coded_products: u64,
    /// The most frequent products without a digit in their code.
    pub uncoded: Vec<CodeCount>,
}

impl Tally {
    /// The number of rejected records.
    #[must_use]
    pub fn refused_records(&self) -> u64 {
        self.refused.values().sum()
    }

    pub(crate) fn refuse(&mut self, fault: &Fault) {
        *self.refused.entry(fault.reason).or_default() += 1;
    }

    /// Keeps the most frequent of the products without a digit in their code.
    pub(crate) fn cut_uncoded(&mut self) {
        self.uncoded.sort_by(|a, b| (b.lines, &a.product_id).cmp(&(a.lines, &b.product_id)));
        self.uncoded.truncate(MAX_SERVICE_LIKE);
    }

    /// Codes without a digit, if nearly all others have one.
    pub(crate) fn service_like(&self) -> Vec<CodeCount> {
        let remarkable = self.coded_products * 100 >= self.products * CODED_PERCENT;
        if remarkable { self.uncoded.clone() } else { Vec::new() }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.lines += other.lines;
        self.records += other.records;
        for (reason, count) in other.refused {
            *self.refused.entry(reason).or_default() += count;
        }
        self.purchases += other.purchases;
        self.users += other.users;
        self.products += other.products;
        self.period = match (self.period, other.period) {
            (Some((first, last)), Some((from, to))) => Some((first.min(from), last.max(to))),
            (one, other) => one.or(other),
        };
        self.merged += other.merged;
        self.skipped_lines += other.skipped_lines;
        self.prices.zero += other.prices.zero;
        self.prices.unreadable += other.prices.unreadable;
        self.prices.rounded += other.prices.rounded;
        self.unnamed_products += other.unnamed_products;
        self.coded_products += other.coded_products;
        self.uncoded.extend(other.uncoded);
        self.cut_uncoded();
    }
}
