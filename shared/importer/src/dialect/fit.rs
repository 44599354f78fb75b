//! How well records fit together as a table.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::sample::{MAX_HEADER_RECORDS, SampledRecord};

/// The table that a delimiter makes of the first records.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fit {
    /// The line of the record that names the columns; none if there is no record.
    pub(super) header_line: Option<u64>,
    pub(super) columns: usize,
    /// Empty fields that a record may have behind its last column.
    pub(super) trailing: usize,
    /// The records of the table that do not have its columns.
    pub(super) misfits: usize,
    /// Whether nothing speaks against it.
    clear: bool,
    score: f64,
}

/// The columns of the records behind a header.
struct Table {
    columns: usize,
    trailing: usize,
    /// Whether the header has as many columns as the records.
    matches: bool,
}

impl Fit {
    pub(super) fn of(records: &[SampledRecord]) -> Self {
        /// Of a table whose header has other columns than its records.
        const UNLIKE_ITS_HEADER: f64 = 0.25;
        /// Of a table below lines that do not belong to it.
        const BELOW_TITLES: f64 = 0.5;
        /// Of a table whose header has names that begin with a blank, as `Total, net` has.
        const SPACED: f64 = 0.8;
        /// Of a header whose records are all broken: it still says more than no header.
        const ALL_BROKEN: f64 = 0.01;
        /// The part of the records that fit a clear table.
        const CLEAR: f64 = 0.9;
        let at = header_of(records);
        let (Some(header), body) = (records.get(at), records.get(at + 1..).unwrap_or_default()) else {
            return Self { header_line: None, columns: 0, trailing: 0, misfits: 0, clear: false, score: 0.0 };
        };
        let table = Table::below(header, body);
        let fits = body.iter().filter(|record| table.takes(record)).count();
        let part = if body.is_empty() { 1.0 } else { ratio(fits, body.len()) };
        let skips = at > 0;
        let mut score = (ALL_BROKEN + part * part) * ratio(table.columns.max(1), 1).ln();
        for (is, factor) in
            [(!table.matches, UNLIKE_ITS_HEADER), (skips, BELOW_TITLES), (header.has_spaced_field, SPACED)]
        {
            score *= if is { factor } else { 1.0 };
        }
        Self {
            header_line: Some(header.line),
            columns: table.columns,
            trailing: table.trailing,
            misfits: body.len() - fits + usize::from(!table.matches || header.fields.is_none()),
            clear: table.columns > 1 && table.matches && !skips && !header.has_spaced_field && part >= CLEAR,
            score,
        }
    }

    /// Of equals the one with fewer titles is better: a header that is taken for one costs the whole file.
    pub(super) fn is_better_than(&self, other: &Self) -> bool {
        let rank = |fit: &Self| (fit.clear, fit.score, Reverse(fit.header_line));
        rank(self) > rank(other)
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    number(part) / number(whole)
}

impl Table {
    fn below(header: &SampledRecord, body: &[SampledRecord]) -> Self {
        let names = header.fields.unwrap_or_default();
        let width = width_of(body, names).unwrap_or(names);
        let rows = || body.iter().filter(|record| record.fields == Some(width));
        let (columns, trailing, matches) = if width > names && rows().all(|record| record.filled <= names) {
            (names, width - names, true)
        } else if width < names && header.filled <= width {
            (width, names - width, true)
        } else {
            (names, 0, width == names)
        };
        Self { columns, trailing, matches: matches && names > 0 }
    }

    fn takes(&self, record: &SampledRecord) -> bool {
        record.fields.is_some_and(|fields| {
            (self.columns..=self.columns + self.trailing).contains(&fields) && record.filled <= self.columns
        })
    }
}

/// The number of fields that most records have; of numbers that are as frequent the header's, or else the largest.
fn width_of(records: &[SampledRecord], names: usize) -> Option<usize> {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for fields in records.iter().filter_map(|record| record.fields) {
        *counts.entry(fields).or_default() += 1;
    }
    counts
        .into_iter()
        .max_by_key(|(fields, count)| (*count, *fields == names, *fields))
        .map(|(fields, _)| fields)
}

/// The index of the record that names the columns: the first one, unless the records before another one are titles.
///
/// A header that is taken for a title costs the whole file, and makes names of a record's values. So a title must be
/// narrower than what may be the header below it. The records below must agree with that header. If the title has
/// several fields, and no number or time that a header would not have, it must be half as wide at most, or the records
/// must have numbers or times: the header below it is then none of them.
fn header_of(records: &[SampledRecord]) -> usize {
    /// All of them are looked at for names if the header is among the first records.
    const COMPARED_RECORDS: usize = 10;
    let is_title = |title: &SampledRecord, header: &SampledRecord, body: &[SampledRecord]| {
        let records = body.get(..body.len().min(COMPARED_RECORDS)).unwrap_or_default();
        let with_values = records.iter().filter(|record| !record.may_be_names).count();
        title.filled < header.filled
            && (title.filled <= 1
                || !title.may_be_names
                || title.filled * 2 <= header.filled
                || with_values * 2 > records.len())
    };
    let is_header = |at: usize| {
        let (above, rest) = records.split_at(at);
        let Some((header, body)) = rest.split_first() else { return false };
        let table = Table::below(header, body);
        header.may_be_names
            && table.columns > 1
            && table.matches
            && !body.is_empty()
            && body.iter().filter(|record| table.takes(record)).count() * 2 > body.len()
            && above.iter().all(|title| is_title(title, header, body))
    };
    (1..records.len().min(MAX_HEADER_RECORDS)).find(|at| is_header(*at)).unwrap_or_default()
}
