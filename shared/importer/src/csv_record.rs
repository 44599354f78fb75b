//! One record of a CSV file, fed line by line.

use std::ops::Range;

use csv::ByteRecord;
use nextbasket_csv::{CsvError, LineEnds, Scanner, escaped_fields, fields};

use crate::dialect::Dialect;

/// Splits lines into fields. A record goes on over the end of a line while a quote is open.
pub(crate) struct CsvRecord {
    delimiter: u8,
    escape: Option<u8>,
    /// The number of columns, and of the empty fields that a record may have behind the last one.
    width: Option<(usize, usize)>,
    scanner: Scanner,
    /// Whether no line of the record was fed yet.
    is_new: bool,
    fields: ByteRecord,
}

impl CsvRecord {
    pub(crate) fn new(delimiter: u8) -> Self {
        let scanner = Scanner::new(delimiter, LineEnds::Lf);
        Self { delimiter, escape: None, width: None, scanner, is_new: true, fields: ByteRecord::new() }
    }

    /// Reads records of this dialect.
    pub(crate) fn of(dialect: &Dialect) -> Self {
        let (escape, width) = (dialect.quoting.escape(), Some((dialect.columns, dialect.trailing)));
        Self { escape, width, ..Self::new(dialect.delimiter_byte()) }
    }

    /// Begins a record on this line.
    pub(crate) fn start(&mut self, line: u64) {
        let scanner = Scanner::new(self.delimiter, LineEnds::Lf).at_line(line);
        self.scanner = match self.escape {
            Some(escape) => scanner.with_escape(escape),
            None => scanner,
        };
        self.is_new = true;
        self.fields.clear();
    }

    /// Feeds one line with its `\n`; whether the record ends with it.
    pub(crate) fn feed(&mut self, line: &[u8]) -> Result<bool, CsvError> {
        // Without quotes and escapes, the end of a line is that of the record.
        let has = |sign: u8| line.contains(&sign);
        if std::mem::take(&mut self.is_new) && !has(b'"') && !self.escape.is_some_and(has) {
            return Ok(true);
        }
        Ok(self.scanner.end(line)?.is_some())
    }

    /// What is wrong with a record that goes on at the end of the file.
    pub(crate) fn unclosed(&mut self) -> Option<CsvError> {
        self.scanner.finish().err()
    }

    /// Takes the fields of a record that has ended, without the empty ones that the dialect has behind its columns.
    pub(crate) fn take(&mut self, record: &[u8]) {
        match self.escape {
            Some(escape) => escaped_fields(record, self.delimiter, escape, &mut self.fields),
            None => fields(record, self.delimiter, &mut self.fields),
        }
        if let Some((columns, trailing)) = self.width
            && (columns + 1..=columns + trailing).contains(&self.fields.len())
            && self.fields.iter().skip(columns).all(|field| field.trim_ascii().is_empty())
        {
            self.fields.truncate(columns);
        }
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
    fn empty_fields_behind_the_columns_of_a_dialect_go_and_others_stay() {
        let dialect = |text: &str| crate::dialect::detect(text.as_bytes(), true);
        let count = |dialect: &Dialect, record: &str| {
            let mut csv = CsvRecord::of(dialect);
            csv.start(1);
            assert_eq!(csv.feed(record.as_bytes()), Ok(true));
            csv.take(record.as_bytes());
            csv.field_count()
        };
        let trailing = dialect("a,b,c\n1,2,3,\n4,5,6,\n");
        for (record, fields) in
            [("1,2,3\n", 3), ("1,2,3,\n", 3), ("1,,,\n", 3), ("1,2,3,4\n", 4), ("1,2,3,,\n", 5)]
        {
            assert_eq!(count(&trailing, record), fields, "{record}");
        }
        let exact = dialect("a,b,c\n1,2,3\n4,5,6\n");
        assert_eq!(count(&exact, "p1,Cup, large,\n"), 4);
        let escaped = dialect("id,name\n1,\"Espresso \\\"Nera\\\", 1 kg\"\n");
        assert_eq!(count(&escaped, "2,\"\\\"x\\\", y\"\n"), 2);
    }
}
