//! Cells to the domain's values.

use std::borrow::{Borrow, Cow};
use std::collections::HashSet;
use std::hash::Hash;

use nextbasket_domain::time::DAY_MS;
use nextbasket_domain::{Currency, IdError, Line, Money, Timestamp};
use serde_json::{Map, Value};

use crate::columns::FileColumn;
use crate::options::{ImportOptions, TimeFormat};
use crate::price::{self, Price};
use crate::refusal::{RecordFault, RefusalReason};
use crate::row::Row;

/// The maximum number of ids that are remembered.
const MAX_IDS: usize = 100_000;

/// Recently seen ids, so that many lines of one product share one string and are validated once.
#[derive(Debug)]
pub(crate) struct Ids<T>(HashSet<T>);

impl<T: Clone + Eq + Hash + Borrow<str>> Ids<T> {
    pub(crate) fn new() -> Self {
        Self(HashSet::new())
    }

    /// The id of the cell, `bad` if it is invalid.
    pub(crate) fn parse(
        &mut self,
        text: &str,
        column: FileColumn,
        bad: RefusalReason,
        parse: impl Fn(&str) -> Result<T, IdError>,
    ) -> Result<T, RecordFault> {
        if let Some(known) = self.0.get(text) {
            return Ok(known.clone());
        }
        let id = parse(text).map_err(|error| RecordFault::of_value(bad, column, error))?;
        if self.0.len() >= MAX_IDS {
            self.0.clear();
        }
        self.0.insert(id.clone());
        Ok(id)
    }
}

/// Reads times. Lines that follow each other often have the same one, which is then read once.
#[derive(Debug)]
pub(crate) struct Times {
    format: TimeFormat,
    latest: Timestamp,
    last: Option<(String, Timestamp)>,
}

impl Times {
    pub(crate) fn new(options: &ImportOptions) -> Self {
        Self { format: options.time_format.clone(), latest: options.now.plus_millis(DAY_MS), last: None }
    }

    pub(crate) fn parse(&mut self, row: &Row<'_>) -> Result<Timestamp, RecordFault> {
        const COLUMN: FileColumn = FileColumn::Timestamp;
        let text = row.required(COLUMN, RefusalReason::MissingTime, "the time is missing")?;
        if let Some((last, time)) = &self.last
            && *last == *text
        {
            return Ok(*time);
        }
        let time = self.format.parse(&text).map_err(|error| {
            let message = match &self.format {
                TimeFormat::Usual => format!("{COLUMN} {error}"),
                TimeFormat::Pattern(pattern) => {
                    format!("{COLUMN} must be a time from 1970 on, of the form {pattern}")
                }
            };
            RecordFault::of_cell(RefusalReason::BadTime, COLUMN, message)
        })?;
        if time > self.latest {
            let message = "the time is more than a day ahead";
            return Err(RecordFault::of_cell(RefusalReason::FutureTime, COLUMN, message));
        }
        self.last = Some((text.into_owned(), time));
        Ok(time)
    }
}

/// A quantity from one on; one if there is none.
pub(crate) fn quantity(row: &Row<'_>) -> Result<u32, RecordFault> {
    const COLUMN: FileColumn = FileColumn::Quantity;
    let Some(text) = row.text(COLUMN)? else { return Ok(1) };
    // Spreadsheets write 6 as 6.0 where a cell of the column is empty.
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let bad =
        |error: &dyn std::fmt::Display| RecordFault::of_value(RefusalReason::BadQuantity, COLUMN, error);
    let number = match whole.parse::<i64>() {
        Ok(number) if fraction.bytes().all(|digit| digit == b'0') => number,
        _ => return Err(bad(&"must be a whole number")),
    };
    if number < 0 {
        let message = "a negative quantity is a cancellation or a return, not a purchase";
        return Err(RecordFault::of_cell(RefusalReason::Cancellation, COLUMN, message));
    }
    Line::quantity(number).map_err(|error| bad(&error))
}

/// The price of one, or nothing if the cell is empty.
pub(crate) fn price(row: &Row<'_>, currency: Currency) -> Result<Option<Price>, RecordFault> {
    if let Some(object) = row.object(FileColumn::Price) {
        return Ok(Some(price_of_object(object)));
    }
    let Some(text) = row.text(FileColumn::Price)? else { return Ok(None) };
    let currency = match row.text(FileColumn::Currency)? {
        None => currency,
        Some(code) => match Currency::parse(&code.to_ascii_uppercase()) {
            Ok(currency) => currency,
            Err(_) => return Ok(Some(Price::Unreadable)),
        },
    };
    Ok(Some(price::parse(&text, currency)))
}

/// The API's form: minor units and a currency.
fn price_of_object(object: &Map<String, Value>) -> Price {
    let amount = object.get("amount").and_then(Value::as_i64);
    let currency = object.get("currency").and_then(Value::as_str).and_then(|code| Currency::parse(code).ok());
    match (amount, currency) {
        (Some(..0), _) => Price::Negative,
        (Some(0), Some(currency)) => Price::Zero(currency),
        (Some(amount), Some(currency)) => {
            Money::new(amount, currency).map_or(Price::Unreadable, Price::Exact)
        }
        _ => Price::Unreadable,
    }
}

/// A name within the catalogue's limits: what breaks them is taken out or cut off. Nothing if nothing is left.
pub(crate) fn tidy_name(text: &str) -> Option<Cow<'_, str>> {
    use nextbasket_domain::product::MAX_NAME_BYTES;
    let mut name = Cow::Borrowed(text.trim());
    if name.chars().any(char::is_control) {
        let spaced: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        name = Cow::Owned(spaced.trim().to_owned());
    }
    if name.len() > MAX_NAME_BYTES {
        name =
            Cow::Owned(name.get(..name.floor_char_boundary(MAX_NAME_BYTES)).unwrap_or_default().to_owned());
    }
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_brought_within_its_limits() {
        assert_eq!(tidy_name(" WHITE\tLANTERN\n").unwrap(), "WHITE LANTERN");
        assert_eq!(tidy_name("\u{1}\u{2}"), None);
        let long = "é".repeat(1_000);
        let name = tidy_name(&long).unwrap();
        assert_eq!(name.len(), 1_024);
        nextbasket_domain::Product::check_name(&name).unwrap();
    }

    #[test]
    fn a_quantity_is_a_whole_number_from_one_on() {
        let read = |text: &str| {
            let mut row = Row::default();
            row.set_text(FileColumn::Quantity, text);
            quantity(&row).map_err(|fault| fault.reason)
        };
        assert_eq!(read("6"), Ok(6));
        assert_eq!(read("6.0"), Ok(6));
        assert_eq!(read("+6"), Ok(6));
        assert_eq!(read(""), Ok(1));
        assert_eq!(read("-1"), Err(RefusalReason::Cancellation));
        assert_eq!(read("-9999999999"), Err(RefusalReason::Cancellation));
        for bad in ["0", "1000001", "0.5", "-0.5", "six", "1e3", "99999999999999999999", "6,0"] {
            assert_eq!(read(bad), Err(RefusalReason::BadQuantity), "{bad}");
        }
    }
}
