//! The cells of a sheet as CSV.

use std::io::Write;

use calamine::{DataRef, ExcelDateTime};

use super::cell_text::{push_text, whole_number};

/// The limits of a sheet in Excel.
const MAX_ROWS: u32 = 1 << 20;
const MAX_COLUMNS: u32 = 1 << 14;

/// How many rows are kept to see how wide the table is: a sheet has no cells behind the last filled one of a row, but
/// the records of a CSV file must be of one length.
const MEASURED_ROWS: usize = 1_000;
/// As many bytes of them at most.
const MEASURED_BYTES: usize = 1 << 20;

/// Writes cells, in the order of their rows, as a CSV file with commas, quoted as RFC 4180 says. The row of a sheet is
/// the line of the file, as long as no cell has several lines.
#[derive(Default)]
pub(super) struct SheetText {
    text: Vec<u8>,
    /// The row that is being written: its index, its fields so far, the number of them.
    row: u32,
    fields: Vec<u8>,
    columns: u32,
    /// The first rows, until the width is known.
    measured: Vec<(Vec<u8>, u32)>,
    measured_bytes: usize,
    /// The number of columns that each row has at least.
    width: Option<u32>,
}

impl SheetText {
    /// Adds a cell that is not empty.
    ///
    /// # Errors
    /// A sentence if the cell is not behind the one before.
    pub(super) fn push(&mut self, row: u32, column: u32, value: &DataRef<'_>) -> Result<(), &'static str> {
        if row >= MAX_ROWS
            || column >= MAX_COLUMNS
            || row < self.row
            || (row == self.row && column < self.columns)
        {
            return Err("its cells are in no order");
        }
        while self.row < row {
            self.end_row();
        }
        // One delimiter before each field but the first.
        let missing = if self.columns == 0 { column } else { column - self.columns + 1 };
        self.fields.extend(std::iter::repeat_n(b',', usize::try_from(missing).unwrap_or_default()));
        self.columns = column + 1;
        write_field(value, &mut self.fields);
        Ok(())
    }

    /// The bytes that can be taken.
    pub(super) fn ready(&self) -> usize {
        self.text.len()
    }

    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.text)
    }

    /// What was not taken yet, with the row that is being written.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.columns > 0 {
            self.end_row();
        }
        self.end_measuring();
        self.take()
    }

    fn end_row(&mut self) {
        let (fields, columns) = (std::mem::take(&mut self.fields), std::mem::take(&mut self.columns));
        self.row += 1;
        if let Some(width) = self.width {
            self.write_row(&fields, columns, width);
            self.fields = fields;
            self.fields.clear();
            return;
        }
        self.measured_bytes += fields.len();
        self.measured.push((fields, columns));
        if self.measured.len() >= MEASURED_ROWS || self.measured_bytes >= MEASURED_BYTES {
            self.end_measuring();
        }
    }

    fn end_measuring(&mut self) {
        let width = self.measured.iter().map(|(_, columns)| *columns).max().unwrap_or_default();
        self.width = self.width.or(Some(width));
        for (fields, columns) in std::mem::take(&mut self.measured) {
            self.write_row(&fields, columns, width);
        }
    }

    fn write_row(&mut self, fields: &[u8], columns: u32, width: u32) {
        self.text.extend_from_slice(fields);
        if columns > 0 {
            let missing = width.saturating_sub(columns);
            self.text.extend(std::iter::repeat_n(b',', usize::try_from(missing).unwrap_or_default()));
        }
        self.text.push(b'\n');
    }
}

fn write_field(value: &DataRef<'_>, into: &mut Vec<u8>) {
    match value {
        DataRef::Int(number) => push_display(number, into),
        DataRef::Float(number) => into.extend_from_slice(decimal(*number).as_bytes()),
        DataRef::Bool(is) => push_display(is, into),
        DataRef::DateTime(time) => into.extend_from_slice(date_time(time).as_bytes()),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
            push_text(text.as_bytes(), into);
        }
        DataRef::SharedString(text) => push_text(text.as_bytes(), into),
        DataRef::Error(_) | DataRef::Empty => {}
    }
}

fn push_display(value: impl std::fmt::Display, into: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = write!(into, "{value}");
}

/// The shortest decimal that means the number. Excel keeps 15 digits: what is behind them is the error of a
/// calculation. A whole number beyond what a cell can hold exactly is an id that has lost digits, and is written with
/// an exponent, so that it is seen.
fn decimal(number: f64) -> String {
    const FIRST_INEXACT: f64 = 9_007_199_254_740_992.0;
    const DIGITS: usize = 15;
    if let Some(whole) = whole_number(number, FIRST_INEXACT) {
        return whole;
    }
    let shortest = number.to_string();
    let digits = shortest.trim_start_matches(['-', '0', '.']).bytes().filter(u8::is_ascii_digit).count();
    if digits <= DIGITS {
        return shortest;
    }
    let rounded: f64 = format!("{number:.*e}", DIGITS - 1).parse().unwrap_or(number);
    rounded.to_string()
}

/// A day and its time; a time of day alone, and a duration, as hours, minutes and seconds.
fn date_time(time: &ExcelDateTime) -> String {
    /// What is less is a time of day.
    const FIRST_DAY: f64 = 1.0;
    let (year, month, day, hour, minute, second, milli) = time.to_ymd_hms_milli();
    let fraction = if milli == 0 { String::new() } else { format!(".{milli:03}") };
    let days = time.as_f64();
    if time.is_duration() && days >= FIRST_DAY {
        let hours = format!("{:.0}", days.floor() * 24.0 + f64::from(hour));
        format!("{hours}:{minute:02}:{second:02}{fraction}")
    } else if time.is_duration() || (0.0..FIRST_DAY).contains(&days) {
        format!("{hour:02}:{minute:02}:{second:02}{fraction}")
    } else {
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use calamine::ExcelDateTimeType;
    use proptest::prelude::*;

    fn written(cells: &[(u32, u32, DataRef<'_>)]) -> String {
        let mut text = SheetText::default();
        let mut all = Vec::new();
        for (row, column, value) in cells {
            text.push(*row, *column, value).unwrap();
            all.extend(text.take());
        }
        all.extend(text.finish());
        String::from_utf8(all).unwrap()
    }

    fn shared(text: &str) -> DataRef<'_> {
        DataRef::SharedString(text)
    }

    #[test]
    fn rows_have_one_length_and_stay_on_their_lines() {
        let cells = [
            (1, 1, shared("order")),
            (1, 3, shared("note")),
            (2, 1, DataRef::Float(12.0)),
            (5, 0, shared("a,b")),
            (5, 1, DataRef::Bool(true)),
        ];
        assert_eq!(written(&cells), "\n,order,,note\n,12,,\n\n\n\"a,b\",true,,\n");
        assert_eq!(written(&[]), "");
    }

    #[test]
    fn rows_behind_the_measured_ones_are_filled_too_or_longer() {
        let mut cells: Vec<_> = (0..2_000).map(|row| (row, 0, DataRef::Int(row.into()))).collect();
        cells.insert(1, (0, 2, shared("x")));
        cells.push((1_999, 3, shared("late")));
        let text = written(&cells);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines[0], lines[1_500], lines[1_999]), ("0,,x", "1500,,", "1999,,,late"));
    }

    #[test]
    fn numbers_are_short_decimals() {
        for (number, wanted) in [
            (12.0, "12"),
            (-3.0, "-3"),
            (2.55, "2.55"),
            (0.1 + 0.2, "0.3"),
            (2.55 * 3.0, "7.65"),
            (123_456_789_012_345.0, "123456789012345"),
            (9_007_199_254_740_991.0, "9007199254740991"),
            (1.234_567_890_123_456_8e16, "1.2345678901234568E+16"),
            (0.000_01, "0.00001"),
            (1e-7, "0.0000001"),
        ] {
            assert_eq!(decimal(number), wanted);
        }
    }

    #[test]
    fn times_are_days_with_their_time_or_times_alone() {
        let time = |value: f64, kind| date_time(&ExcelDateTime::new(value, kind, false));
        assert_eq!(time(45_943.541, ExcelDateTimeType::DateTime), "2025-10-13 12:59:02.400");
        assert_eq!(time(45_943.0, ExcelDateTimeType::DateTime), "2025-10-13 00:00:00");
        assert_eq!(time(0.75, ExcelDateTimeType::DateTime), "18:00:00");
        assert_eq!(time(1.25, ExcelDateTimeType::TimeDelta), "30:00:00");
        let of_mac = ExcelDateTime::new(44_481.5, ExcelDateTimeType::DateTime, true);
        assert_eq!(date_time(&of_mac), "2025-10-13 12:00:00");
    }

    #[test]
    fn cells_in_no_order_are_an_error() {
        let mut text = SheetText::default();
        text.push(3, 1, &shared("x")).unwrap();
        assert!(text.push(3, 1, &shared("y")).is_err());
        assert!(text.push(2, 5, &shared("y")).is_err());
        assert!(text.push(MAX_ROWS, 0, &shared("y")).is_err());
        assert!(text.push(4, MAX_COLUMNS, &shared("y")).is_err());
    }

    proptest! {
        #[test]
        fn texts_come_back(rows in prop::collection::vec(prop::collection::vec("[a\",;\n ]{1,5}", 3), 1..10)) {
            let mut text = SheetText::default();
            for (row, cells) in (0..).zip(&rows) {
                for (column, cell) in (0..).zip(cells) {
                    text.push(row, column, &shared(cell)).unwrap();
                }
            }
            let bytes = text.finish();
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&bytes[..]);
            let back: Vec<Vec<String>> =
                reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect();
            prop_assert_eq!(back, rows);
        }
    }
}
