//! Counts of a file and of its parts.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use nextbasket_domain::{Currency, ProductId, Purchase, Timestamp};
use serde::{Deserialize, Serialize};

use crate::refusal::{RecordFault, RefusalReason};
use crate::samples::SamplePurchase;
use crate::user_purchases::UserCount;

/// The maximum number of codes that are reported as possible services.
const MAX_SERVICE_LIKE: usize = 20;

/// The percentage of products that must have a digit in their code before a code without one is remarkable.
const CODED_PERCENT: u64 = 90;

/// Lines that are taken without the price as it is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Prices {
    /// The price is zero: the line has none.
    pub zero: u64,
    /// The price is not a number, or too large: the line has none.
    pub unreadable: u64,
    /// The price has more decimals than the currency: it is rounded.
    pub rounded: u64,
}

/// A product code, and how many lines have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CodeCount {
    pub product_id: ProductId,
    pub lines: u64,
}

/// The counts of a file or of a part of it. Those of parts can be added up in any order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ImportTally {
    /// The number of lines, with blank lines and the line that names the columns.
    pub lines: u64,
    pub records: u64,
    /// The numbers of rejected records, by reason.
    pub refused: BTreeMap<RefusalReason, u64>,
    /// The line of the first rejected record, by reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub first_refused: BTreeMap<RefusalReason, u64>,
    pub purchases: u64,
    /// The number of the purchases' lines.
    pub purchase_lines: u64,
    /// The sum of the lines' quantities times unit prices, in minor units, by currency; lines without a price add
    /// nothing.
    pub revenue: BTreeMap<Currency, i64>,
    /// The number of users; each is counted in one part only.
    pub users: u64,
    /// Those of them with more than one purchase.
    pub repeat_users: u64,
    /// The users with the most purchases. An [`ImportSummary`](crate::ImportSummary) has a warning about those with very
    /// many instead.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub frequent_users: Vec<UserCount>,
    /// The first purchases, as they were understood.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<SamplePurchase>,
    /// The number of products; each is counted in one part only.
    pub products: u64,
    /// The time of the first and the last purchase.
    pub period: Option<(Timestamp, Timestamp)>,
    /// The number of records that were added to a line with the same product and price; in a catalogue, of records
    /// that replaced an earlier one.
    pub merged: u64,
    /// The number of lines that were skipped in whole purchases.
    pub skipped_lines: u64,
    /// The number of lines whose quantity is a weight, which count as one piece.
    pub weighed: u64,
    /// The numbers of records whose price was not used as written.
    pub prices: Prices,
    /// The number of products that no line names; their id is used as the name.
    pub unnamed_products: u64,
    /// The number of products with a digit in their code. A [`ImportSummary`](crate::ImportSummary) has what follows from it and
    /// from `uncoded` instead.
    #[serde(skip_serializing_if = "is_zero")]
    pub coded_products: u64,
    /// The most frequent products without a digit in their code.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uncoded: Vec<CodeCount>,
}

impl ImportTally {
    /// The number of rejected records.
    #[must_use]
    pub fn refused_records(&self) -> u64 {
        self.refused.values().sum()
    }

    /// Counts a record of this line that is rejected.
    pub(crate) fn refuse(&mut self, fault: &RecordFault, line: u64) {
        *self.refused.entry(fault.reason).or_default() += 1;
        keep_first(&mut self.first_refused, fault.reason, line);
    }

    /// Counts purchases that are sorted by time.
    pub(crate) fn count_purchases(&mut self, purchases: &[Purchase]) {
        self.period = purchases.first().zip(purchases.last()).map(|(a, z)| (a.purchased_at, z.purchased_at));
        for purchase in purchases {
            self.purchases += 1;
            for line in &purchase.lines {
                self.purchase_lines += 1;
                if let Some(price) = &line.unit_price {
                    let sum = self.revenue.entry(price.currency()).or_default();
                    *sum = sum.saturating_add(price.amount().saturating_mul(i64::from(line.quantity)));
                }
            }
        }
    }

    /// Keeps the most frequent of the products without a digit in their code.
    pub(crate) fn cut_uncoded(&mut self) {
        self.uncoded.sort_by(|a, b| (b.lines, &a.product_id).cmp(&(a.lines, &b.product_id)));
        self.uncoded.truncate(MAX_SERVICE_LIKE);
    }

    /// Takes out the codes without a digit; they are remarkable if nearly all others have one.
    pub(crate) fn take_service_like(&mut self) -> Vec<CodeCount> {
        let coded = std::mem::take(&mut self.coded_products);
        let uncoded = std::mem::take(&mut self.uncoded);
        if coded * 100 >= self.products * CODED_PERCENT { uncoded } else { Vec::new() }
    }
}

fn keep_first(lines: &mut BTreeMap<RefusalReason, u64>, reason: RefusalReason, line: u64) {
    lines.entry(reason).and_modify(|first| *first = line.min(*first)).or_insert(line);
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl AddAssign for ImportTally {
    fn add_assign(&mut self, other: Self) {
        self.lines += other.lines;
        self.records += other.records;
        for (reason, count) in other.refused {
            *self.refused.entry(reason).or_default() += count;
        }
        for (reason, line) in other.first_refused {
            keep_first(&mut self.first_refused, reason, line);
        }
        self.purchases += other.purchases;
        self.purchase_lines += other.purchase_lines;
        for (currency, amount) in other.revenue {
            let sum = self.revenue.entry(currency).or_default();
            *sum = sum.saturating_add(amount);
        }
        self.users += other.users;
        self.repeat_users += other.repeat_users;
        self.frequent_users.extend(other.frequent_users);
        UserCount::keep_most_frequent(&mut self.frequent_users);
        self.samples.extend(other.samples);
        SamplePurchase::keep_first(&mut self.samples);
        self.products += other.products;
        self.period = match (self.period, other.period) {
            (Some((first, last)), Some((from, to))) => Some((first.min(from), last.max(to))),
            (one, other) => one.or(other),
        };
        self.merged += other.merged;
        self.skipped_lines += other.skipped_lines;
        self.weighed += other.weighed;
        self.prices.zero += other.prices.zero;
        self.prices.unreadable += other.prices.unreadable;
        self.prices.rounded += other.prices.rounded;
        self.unnamed_products += other.unnamed_products;
        self.coded_products += other.coded_products;
        self.uncoded.extend(other.uncoded);
        self.cut_uncoded();
    }
}
