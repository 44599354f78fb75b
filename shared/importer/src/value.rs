//! Cells to the domain's values.

use std::borrow::{Borrow, Cow};
use std::collections::HashSet;
use std::hash::Hash;

use nextbasket_domain::time::DAY_MS;
use nextbasket_domain::{Currency, IdError, Line, Money, Timestamp, TimestampError};
use serde_json::{Map, Value};

use crate::columns::FileColumn;
use crate::number_format::{self, Decimal, DecimalSign};
use crate::price::{self, Price};
use crate::refusal::{RecordFault, RefusalReason};
use crate::row::{Row, RowCell};
use crate::time_format::TimeReader;

/// The maximum number of ids that are remembered.
const MAX_IDS: usize = 100_000;

/// Recently seen ids, so that many lines of one product share one string and are validated once.
#[derive(Debug)]
pub(crate) struct Ids<T> {
    seen: HashSet<T>,
    /// The id that was parsed last: lines that follow each other often have the same user.
    last: Option<T>,
}

impl<T: Clone + Eq + Hash + Borrow<str>> Ids<T> {
    pub(crate) fn new() -> Self {
        Self { seen: HashSet::new(), last: None }
    }

    /// The id of the cell, `bad` if it is invalid.
    pub(crate) fn parse(
        &mut self,
        text: &str,
        column: FileColumn,
        bad: RefusalReason,
        parse: impl Fn(&str) -> Result<T, IdError>,
    ) -> Result<T, RecordFault> {
        if let Some(last) = self.last.as_ref().filter(|last| Borrow::<str>::borrow(*last) == text) {
            return Ok(last.clone());
        }
        if let Some(known) = self.seen.get(text) {
            self.last = Some(known.clone());
            return Ok(known.clone());
        }
        let id = parse(id_text(text, column)?).map_err(|error| RecordFault::of_value(bad, column, error))?;
        if self.seen.len() >= MAX_IDS {
            self.seen.clear();
        }
        if id.borrow() == text {
            self.seen.insert(id.clone());
        }
        Ok(id)
    }
}

/// Reads times. Lines that follow each other often have the same one, which is then read once.
#[derive(Debug)]
pub(crate) struct Times {
    reader: TimeReader,
    latest: Timestamp,
    last: Option<(String, Option<String>, Timestamp)>,
}

impl Times {
    pub(crate) fn new(reader: TimeReader, now: Timestamp) -> Self {
        Self { reader, latest: now.plus_millis(DAY_MS), last: None }
    }

    pub(crate) fn parse(&mut self, row: &Row<'_>) -> Result<Timestamp, RecordFault> {
        const COLUMN: FileColumn = FileColumn::Timestamp;
        let text = row.required(COLUMN, RefusalReason::MissingTime, "the time is missing")?;
        let clock = row.text(FileColumn::TimeOfDay)?;
        if let Some((last, last_clock, time)) = &self.last
            && *last == *text
            && last_clock.as_deref() == clock.as_deref()
        {
            return Ok(*time);
        }
        let time = self.reader.parse(&text, clock.as_deref()).map_err(|error| {
            let message = match error {
                TimestampError::Range => format!("{COLUMN} {error}"),
                TimestampError::Form => format!("{COLUMN} must be {}", self.reader.expected()),
            };
            RecordFault::of_cell(RefusalReason::BadTime, COLUMN, message)
        })?;
        if time > self.latest {
            let message = "the time is more than a day ahead";
            return Err(RecordFault::of_cell(RefusalReason::FutureTime, COLUMN, message));
        }
        self.last = Some((text.into_owned(), clock.map(Cow::into_owned), time));
        Ok(time)
    }
}

/// The text of an id as far as it can be told: `13085.0` is `13085`.
pub(crate) fn plain_id(text: &str) -> &str {
    id_text(text, FileColumn::BasketId).unwrap_or(text)
}

/// The text of an id: `13085.0`, as programs write numbers of a column with blank cells, is `13085`.
pub(crate) fn id_text(text: &str, column: FileColumn) -> Result<&str, RecordFault> {
    if let Some((whole, fraction)) = text.split_once('.')
        && !whole.is_empty()
        && whole.bytes().all(|byte| byte.is_ascii_digit())
        && !fraction.is_empty()
        && fraction.bytes().all(|byte| byte == b'0')
    {
        return Ok(whole);
    }
    if is_rounded(text) {
        let message = format!(
            "{column} {text} is a rounded number, whose last digits are lost: export the column as text"
        );
        return Err(RecordFault::of_cell(RefusalReason::ImpreciseId, column, message));
    }
    Ok(text)
}

/// Whether the text is a number as spreadsheets and programs write large ones: `4.00638E+12`, `9.28e19`.
fn is_rounded(text: &str) -> bool {
    let Some((number, exponent)) = text.split_once(['E', 'e']) else { return false };
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = number.split_once(['.', ',']).unwrap_or((number, ""));
    let signed = exponent.strip_prefix('+');
    whole.len() == 1
        && is_digits(whole)
        && (fraction.is_empty() || is_digits(fraction))
        && is_digits(signed.unwrap_or(exponent))
        // `1E10` may well be a code.
        && (signed.is_some() || !fraction.is_empty())
}

/// The quantity of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantity {
    /// A number of pieces.
    Pieces(u32),
    /// A part of the unit that the price is for: goods by weight. The line counts as one piece.
    Weighed(Decimal),
}

impl Quantity {
    pub(crate) fn pieces(self) -> u32 {
        match self {
            Self::Pieces(pieces) => pieces,
            Self::Weighed(_) => 1,
        }
    }
}

/// The quantity of a line; one piece if the cell is empty.
pub(crate) fn quantity(row: &Row<'_>, decimal: Option<DecimalSign>) -> Result<Quantity, RecordFault> {
    const COLUMN: FileColumn = FileColumn::Quantity;
    let Some(text) = row.text(COLUMN)? else { return Ok(Quantity::Pieces(1)) };
    let bad =
        |error: &dyn std::fmt::Display| RecordFault::of_value(RefusalReason::BadQuantity, COLUMN, error);
    let decimal = if row.is_json_number(COLUMN) { Some(DecimalSign::Point) } else { decimal };
    let number = number_format::read(&text).ok_or_else(|| bad(&"must be a number"))?.decide(decimal);
    if number.negative && !number.is_zero() {
        let message = "a negative quantity is a cancellation or a return, not a purchase";
        return Err(RecordFault::of_cell(RefusalReason::Cancellation, COLUMN, message));
    }
    match number.whole() {
        Some(pieces) => Line::quantity(pieces).map(Quantity::Pieces).map_err(|error| bad(&error)),
        None if number.in_units(0).is_some_and(|(pieces, _)| pieces <= MAX_WEIGHT) => {
            Ok(Quantity::Weighed(number))
        }
        None => Err(bad(&"must be from 1 to 1000000")),
    }
}

/// The column that says what a line costs.
pub(crate) fn price_column(row: &Row<'_>) -> FileColumn {
    match (row.get(FileColumn::Price), row.get(FileColumn::LineTotal)) {
        (RowCell::Missing, RowCell::Text(_) | RowCell::Json(_)) => FileColumn::LineTotal,
        _ => FileColumn::Price,
    }
}

/// The largest weight of a line, in units of its price.
const MAX_WEIGHT: u128 = 1_000_000;

/// The price of one piece, or nothing if the cells are empty.
pub(crate) fn price(
    row: &Row<'_>,
    usual: Currency,
    quantity: Quantity,
    decimal: Option<DecimalSign>,
) -> Result<Option<Price>, RecordFault> {
    if let Some(object) = row.object(FileColumn::Price) {
        return Ok(Some(price_of_object(object)));
    }
    let column = price_column(row);
    let Some(text) = row.text(column)? else { return Ok(None) };
    let currency = match row.text(FileColumn::Currency)? {
        None => usual,
        Some(code) => match Currency::parse(&code.to_ascii_uppercase()) {
            Ok(currency) => currency,
            Err(_) => return Ok(Some(Price::Unreadable)),
        },
    };
    let decimal = if row.is_json_number(column) { Some(DecimalSign::Point) } else { decimal };
    let Some((reading, currency)) = price::number_of(&text, currency) else {
        return Ok(Some(Price::Unreadable));
    };
    let amount = reading.decide(decimal);
    Ok(Some(match (column, quantity) {
        (FileColumn::LineTotal, quantity) => price::of_total(amount, quantity.pieces(), currency),
        (_, Quantity::Pieces(_)) => price::of_amount(amount, currency),
        (_, Quantity::Weighed(weight)) => {
            amount.times(weight).map_or(Price::Unreadable, |amount| price::of_amount(amount, currency))
        }
    }))
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
    use crate::rules::Guests;

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
    fn a_quantity_is_a_number_of_pieces_or_a_weight() {
        let read = |text: &str, decimal| {
            let mut row = Row::default();
            row.set_cell(FileColumn::Quantity, 0, text, &Guests::default());
            quantity(&row, decimal).map_err(|fault| fault.reason)
        };
        for (text, is) in
            [("6", 6), ("6.0", 6), ("+6", 6), ("", 1), ("2,0", 2), ("1,000", 1_000), ("1.000", 1)]
        {
            assert_eq!(read(text, None), Ok(Quantity::Pieces(is)), "{text}");
        }
        assert_eq!(read("1.000", Some(DecimalSign::Comma)), Ok(Quantity::Pieces(1_000)));
        assert_eq!(read("1,000", Some(DecimalSign::Comma)), Ok(Quantity::Pieces(1)));
        for text in ["0.5", "0,532", "2.25"] {
            assert!(matches!(read(text, None), Ok(Quantity::Weighed(_))), "{text}");
        }
        for text in ["-1", "-9999999999", "-0.5"] {
            assert_eq!(read(text, None), Err(RefusalReason::Cancellation), "{text}");
        }
        for bad in ["0", "1000001", "six", "1e3", "99999999999999999999", "1000001.5", "0.0"] {
            assert_eq!(read(bad, None), Err(RefusalReason::BadQuantity), "{bad}");
        }
    }

    #[test]
    fn an_id_is_the_same_however_a_program_wrote_its_number() {
        let id = |text| id_text(text, FileColumn::UserId).map_err(|fault| fault.reason);
        assert_eq!(
            ["13085", "13085.0", "13085.00", "13085.5", "v2.0", ".0"].map(|text| id(text).unwrap()),
            ["13085", "13085", "13085", "13085.5", "v2.0", ".0"]
        );
        for text in ["4.00638E+12", "4,00638E+12", "9.28e19", "1E+20"] {
            assert_eq!(id(text), Err(RefusalReason::ImpreciseId), "{text}");
        }
        assert_eq!(["1E10", "E5", "12E3", "3e", "2.5E-3"].map(|text| id(text).is_ok()), [true; 5]);
    }
}
