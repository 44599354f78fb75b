//! What the values of a file show about its numbers and dates.

use nextbasket_domain::Currency;

use crate::columns::{FileColumn, RecordKind};
use crate::error::ImportError;
use crate::file_layout::Decided;
use crate::number_format::{self, NumberEvidence, NumberExample};
use crate::options::ImportOptions;
use crate::price;
use crate::record_reader::RecordReader;
use crate::row::{Row, RowCell};
use crate::rules::ReadingRules;
use crate::time_format::{self, DateEvidence, DateOrderError, TimeFormat};

/// The columns whose values are looked at.
pub(super) const COLUMNS: [FileColumn; 4] =
    [FileColumn::Quantity, FileColumn::Price, FileColumn::LineTotal, FileColumn::Timestamp];

/// The longest text that can be a number or a date.
const MAX_BYTES: usize = 64;

pub(super) struct Evidence<'o> {
    kind: RecordKind,
    options: &'o ImportOptions,
    currency: Currency,
    /// The pattern of times, and the same with day and month exchanged.
    pattern: Option<(String, String)>,
    reads_times: bool,
    numbers: NumberEvidence,
    dates: DateEvidence,
    /// The time that was looked at last: lines that follow each other often have the same one.
    last_time: String,
}

impl<'o> Evidence<'o> {
    pub(super) fn new(rules: &ReadingRules, kind: RecordKind, options: &'o ImportOptions) -> Self {
        let pattern = match &rules.time.format {
            TimeFormat::Pattern(pattern) => {
                time_format::exchanged(pattern).map(|other| (pattern.clone(), other))
            }
            _ => None,
        };
        Self {
            kind,
            options,
            currency: rules.currency,
            pattern,
            reads_times: rules.time.format == TimeFormat::Usual,
            numbers: NumberEvidence::default(),
            dates: DateEvidence::default(),
            last_time: String::new(),
        }
    }

    /// Looks at the numbers and times of a record, and of the lines within it.
    pub(super) fn add(
        &mut self,
        records: &RecordReader<'_>,
        name_of: impl Fn(FileColumn) -> String,
    ) -> Result<(), ImportError> {
        let row = records.row();
        self.add_row(records.line(), &row, &name_of)?;
        for line in row.lines.unwrap_or_default().iter().filter_map(serde_json::Value::as_object) {
            self.add_row(records.line(), &records.row_of(line), &name_of)?;
        }
        Ok(())
    }

    fn add_row(
        &mut self,
        line: u64,
        row: &Row<'_>,
        name_of: &impl Fn(FileColumn) -> String,
    ) -> Result<(), ImportError> {
        for column in [FileColumn::Quantity, FileColumn::Price, FileColumn::LineTotal] {
            let Some(text) = text(row, column) else { continue };
            let reading = match column {
                FileColumn::Quantity => number_format::read(text),
                _ => price::number_of(text, self.currency).map(|(reading, _)| reading),
            };
            if let Some(reading) = reading {
                self.numbers.add(reading, || NumberExample {
                    line,
                    column: name_of(column),
                    text: text.to_owned(),
                });
            }
        }
        if self.kind == RecordKind::Purchases
            && let Some(text) = text(row, FileColumn::Timestamp)
            && text != self.last_time
        {
            text.clone_into(&mut self.last_time);
            self.add_time(line, text, name_of)?;
        }
        Ok(())
    }

    fn add_time(
        &mut self,
        line: u64,
        text: &str,
        name_of: &impl Fn(FileColumn) -> String,
    ) -> Result<(), ImportError> {
        if self.reads_times {
            if let Some(reading) = time_format::read(text) {
                self.dates.add(reading, line, text);
            }
            return Ok(());
        }
        let Some((pattern, other)) = &self.pattern else { return Ok(()) };
        if time_format::read_pattern(text, pattern).is_none()
            && time_format::read_pattern(text, other).is_some()
        {
            return Err(ImportError::WrongTimeFormat {
                column: name_of(FileColumn::Timestamp),
                pattern: pattern.clone(),
                line,
                text: text.to_owned(),
                other: other.clone(),
            });
        }
        Ok(())
    }

    /// Decides the decimal sign and the order of dates.
    pub(super) fn decide(self, name_of: impl Fn(FileColumn) -> String) -> Result<Decided, ImportError> {
        let decimal = match self.options.decimal {
            Some(decimal) => Some(decimal),
            None => self.numbers.decide().map_err(|example| ambiguous(example, &self.numbers))?,
        };
        let date_order = match self.options.date_order {
            Some(order) => Some(order),
            None => self.dates.decide().map_err(|error| date_order(error, name_of(FileColumn::Timestamp)))?,
        };
        let zone_assumed = self.options.timezone.is_none();
        Ok(Decided { decimal, date_order, has_local_times: self.dates.local, zone_assumed })
    }
}

/// A cell's text, if it may be a number or a date; JSON numbers are what they are.
fn text<'a>(row: &Row<'a>, column: FileColumn) -> Option<&'a str> {
    let text = match row.get(column) {
        RowCell::Text(text) => text,
        RowCell::Json(serde_json::Value::String(text)) => text.trim(),
        RowCell::Json(_) | RowCell::Missing => return None,
    };
    (text.len() <= MAX_BYTES).then_some(text)
}

fn ambiguous(example: &NumberExample, numbers: &NumberEvidence) -> ImportError {
    let NumberExample { line, column, text } = example.clone();
    let both = numbers.point.as_ref().zip(numbers.comma.as_ref());
    let why = match both {
        Some((point, comma)) => format!(
            "line {} has a decimal point (\"{}\"), line {} a decimal comma (\"{}\")",
            point.line, point.text, comma.line, comma.text
        ),
        None => "no number of the file shows which sign separates the decimals".to_owned(),
    };
    ImportError::AmbiguousNumber { column, line, text, why }
}

fn date_order(error: DateOrderError, column: String) -> ImportError {
    match error {
        DateOrderError::Unknown((line, text)) => ImportError::AmbiguousDate { column, line, text },
        DateOrderError::Mixed(day, month) => ImportError::MixedDates { column, day, month },
    }
}
