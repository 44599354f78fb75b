//! The first records of a text, as one delimiter divides them.

use csv::ByteRecord;
use nextbasket_csv::{LineEnds, Scanner, escaped_fields, fields};

use super::Quoting;

/// As many as that are compared.
const MAX_RECORDS: usize = 1_000;
/// A quote that is never closed makes lines be read again: no more bytes than that in all.
const MAX_SCANNED_BYTES: usize = 8 << 20;
/// As in reading: what a quote may span.
const MAX_RECORD_LINES: usize = 100;
/// The records that are looked at for the names of the columns.
pub(super) const MAX_HEADER_RECORDS: usize = 30;

/// What matters of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SampledRecord {
    pub(super) line: u64,
    /// None if its quotes are wrong.
    pub(super) fields: Option<usize>,
    /// The number of fields up to the last one that is not blank.
    pub(super) filled: usize,
    /// Whether it may name columns: it has no number and no time. Known of the first records only.
    pub(super) may_be_names: bool,
    /// Whether a field behind the first one begins with a blank, as text behind a comma does.
    pub(super) has_spaced_field: bool,
}

/// The first records of a text whose lines end in line feeds.
pub(super) fn sample(
    text: &[u8],
    first_line: u64,
    is_whole: bool,
    delimiter: u8,
    quoting: Quoting,
) -> Vec<SampledRecord> {
    let mut records = Vec::new();
    let mut cells = ByteRecord::new();
    let (mut rest, mut line, mut scanned) = (text, first_line, 0);
    while !rest.is_empty() && records.len() < MAX_RECORDS && scanned < MAX_SCANNED_BYTES {
        let first = line_length(rest);
        let (start, _) = rest.split_at(first);
        if start.trim_ascii().is_empty() {
            rest = rest.get(first..).unwrap_or_default();
            line += 1;
            continue;
        }
        let mut scanner = Scanner::new(delimiter, LineEnds::Lf).at_line(line);
        if let Some(escape) = quoting.escape() {
            scanner = scanner.with_escape(escape);
        }
        let (length, lines, outcome) = scan_record(&mut scanner, rest);
        scanned += length;
        if outcome == ScanOutcome::Ended {
            let record = rest.get(..length).unwrap_or_default();
            match quoting.escape() {
                Some(escape) => escaped_fields(record, delimiter, escape, &mut cells),
                None => fields(record, delimiter, &mut cells),
            }
            records.push(SampledRecord::of(line, &cells, records.len() < 2 * MAX_HEADER_RECORDS));
            rest = rest.get(length..).unwrap_or_default();
            line += lines;
            continue;
        }
        if outcome == ScanOutcome::OutOfText && !is_whole {
            break;
        }
        records.push(SampledRecord::with_wrong_quotes(line));
        rest = rest.get(first..).unwrap_or_default();
        line += 1;
    }
    records
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ScanOutcome {
    Ended,
    WrongQuotes,
    OutOfText,
}

/// The bytes and lines of the record that the text begins with.
fn scan_record(scanner: &mut Scanner, text: &[u8]) -> (usize, u64, ScanOutcome) {
    let (mut length, mut lines) = (0, 0);
    for _ in 0..MAX_RECORD_LINES {
        let rest = text.get(length..).unwrap_or_default();
        if rest.is_empty() {
            return (length, lines, ScanOutcome::OutOfText);
        }
        let line = rest.get(..line_length(rest)).unwrap_or_default();
        length += line.len();
        lines += 1;
        match scanner.end(line) {
            Ok(Some(_)) => return (length, lines, ScanOutcome::Ended),
            Ok(None) => {}
            Err(_) => return (length, lines, ScanOutcome::WrongQuotes),
        }
    }
    (length, lines, ScanOutcome::WrongQuotes)
}

fn line_length(text: &[u8]) -> usize {
    text.iter().position(|byte| *byte == b'\n').map_or(text.len(), |at| at + 1)
}

impl SampledRecord {
    fn of(line: u64, cells: &ByteRecord, look_for_names: bool) -> Self {
        let blank = |cell: &[u8]| cell.trim_ascii().is_empty();
        let filled = cells.len() - cells.iter().rev().take_while(|cell| blank(cell)).count();
        let named = || {
            let texts: Vec<&[u8]> = cells.iter().filter(|cell| !blank(cell)).collect();
            texts.len() * 2 >= filled && !texts.iter().any(|cell| is_value(cell))
        };
        Self {
            line,
            fields: Some(cells.len()),
            filled,
            may_be_names: look_for_names && named(),
            has_spaced_field: cells.iter().skip(1).any(|cell| cell.first() == Some(&b' ')),
        }
    }

    fn with_wrong_quotes(line: u64) -> Self {
        Self { line, fields: None, filled: 0, may_be_names: false, has_spaced_field: false }
    }
}

/// Whether a text is a number, an amount of money or a time: digits and what stands between them.
fn is_value(cell: &[u8]) -> bool {
    let text = String::from_utf8_lossy(cell);
    text.contains(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || "+-.,:;/|_'\t TZ€$£¥%\u{a0}".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_quote_costs_its_line_and_lines_are_counted() {
        let text = b"a,b\n\n1,\"x\ny\"\n2,\"z\"w\n3,c,d\n4,\"open\n5,e\n";
        let records = sample(text, 1, true, b',', Quoting::Doubled);
        let seen: Vec<_> = records.iter().map(|record| (record.line, record.fields)).collect();
        assert_eq!(seen, [(1, Some(2)), (3, Some(2)), (5, None), (6, Some(3)), (7, None), (8, Some(2))]);
        // Whether the quote is closed behind the head is not known.
        assert_eq!(sample(text, 1, false, b',', Quoting::Doubled).len(), 4);
    }

    #[test]
    fn quotes_that_are_never_closed_are_not_searched_for_ever() {
        let text = "\"x\n".repeat(300_000);
        assert!(sample(text.as_bytes(), 1, true, b',', Quoting::Doubled).len() <= MAX_RECORDS);
        // Each line opens a quote again that the one before has open.
        let text = format!("x\",\"{}\n", "y".repeat(10_000)).repeat(100);
        assert!(sample(text.as_bytes(), 1, true, b',', Quoting::Doubled).len() < 100);
    }

    #[test]
    fn numbers_amounts_and_times_are_values() {
        for value in ["1", "-2,50", "$1,234.50", "12,90 €", "2024-01-01T10:00:00Z", "1/2/2024 8:26", "50%"]
        {
            assert!(is_value(value.as_bytes()), "{value}");
        }
        for name in ["", "Total", "Price (2)", "1st order", "SKU_2", "-", "€"] {
            assert!(!is_value(name.as_bytes()), "{name}");
        }
    }
}
