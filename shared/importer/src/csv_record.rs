//! One record of a CSV file, fed line by line.

use std::ops::Range;

use csv::ByteRecord;
use nextbasket_csv::{CsvError, LineEnds, Scanner, fields};

/// The delimiters that are looked for, the likeliest first.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Splits lines into fields. A record goes on over the end of a line while a quote is open.
pub(crate) struct CsvRecord {
    delimiter: u8,
    scanner: Scanner,
    fields: ByteRecord,
}

impl CsvRecord {
    pub(crate) fn new(delimiter: u8) -> Self {
        Self { delimiter, scanner: Scanner::new(delimiter, LineEnds::Lf), fields: ByteRecord::new() }
    }

    /// Begins a record on this line.
    pub(crate) fn start(&mut self, line: u64) {
        self.scanner = Scanner::new(self.delimiter, LineEnds::Lf).at_line(line);
        self.fields.clear();
    }

    /// Feeds one line with its `\n`; whether the record ends with it.
    pub(crate) fn feed(&mut self, line: &[u8]) -> Result<bool, CsvError> {
        Ok(self.scanner.end(line)?.is_some())
    }

    /// What is wrong with a record that goes on at the end of the file.
    pub(crate) fn unclosed(&mut self) -> Option<CsvError> {
        self.scanner.finish().err()
    }

    /// Takes the fields of a record that has ended.
    pub(crate) fn take(&mut self, record: &[u8]) {
        fields(record, self.delimiter, &mut self.fields);
    }

    pub(crate) fn field_count(&self) -> usize {
        self.fields.len()
    }

    /// All fields' bytes without the quotes, one after the other.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.fields.as_slice()
    }

    /// The range of a field in [`bytes`](Self::bytes).
    pub(crate) fn range(&self, field: usize) -> Range<usize> {
        self.fields.range(field).unwrap_or_default()
    }
}

/// The most frequent delimiter in the first line, outside of quotes.
pub(crate) fn delimiter_of(line: &[u8]) -> u8 {
    let mut counts = [0_u32; DELIMITERS.len()];
    let mut quoted = false;
    for byte in line {
        quoted ^= *byte == b'"';
        if let Some(count) = DELIMITERS.iter().position(|d| d == byte).and_then(|at| counts.get_mut(at))
            && !quoted
        {
            *count += 1;
        }
    }
    // The first of equals is wanted, max_by_key gives the last.
    DELIMITERS
        .iter()
        .zip(counts)
        .rev()
        .max_by_key(|(_, count)| *count)
        .map_or(b',', |(delimiter, _)| *delimiter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_goes_on_while_a_quote_is_open() {
        let mut record = CsvRecord::new(b',');
        let (one, two) = (b"a,\"b,\"\"c\"\"\n", b"d\",5\" nail,\n");
        record.start(7);
        assert_eq!((record.feed(one), record.feed(two)), (Ok(false), Ok(true)));
        record.take(&[&one[..], &two[..]].concat());
        let fields: Vec<&str> = (0..record.field_count())
            .map(|field| std::str::from_utf8(&record.bytes()[record.range(field)]).unwrap())
            .collect();
        assert_eq!(fields, ["a", "b,\"c\"\nd", "5\" nail", ""]);
        record.start(9);
        assert_eq!(record.feed(b"x,\"y\n"), Ok(false));
        assert!(record.unclosed().unwrap().to_string().starts_with("line 9, column 3: this quote is never"));
    }

    #[test]
    fn the_delimiter_is_the_most_frequent_outside_quotes() {
        for (line, is) in [
            ("a,b,c", b','),
            ("a;b;c", b';'),
            ("a\tb,c\td", b'\t'),
            ("\"a,b,c,d\";e;f", b';'),
            ("a|b", b'|'),
            ("a", b','),
            ("a;b,c", b','),
        ] {
            assert_eq!(char::from(delimiter_of(line.as_bytes())), char::from(is), "{line}");
        }
    }
}
