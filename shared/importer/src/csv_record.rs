//! One record of a CSV file, fed line by line.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder, Terminator};

/// The delimiters that are looked for, the likeliest first.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Splits lines into fields. A record goes on over the end of a line while a quote is open.
pub(crate) struct CsvRecord {
    delimiter: u8,
    reader: Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
    text_at: usize,
    fields: usize,
}

impl CsvRecord {
    pub(crate) fn new(delimiter: u8) -> Self {
        let reader = ReaderBuilder::new().delimiter(delimiter).terminator(Terminator::Any(b'\n')).build();
        Self { delimiter, reader, text: Vec::new(), ends: vec![0; 16], text_at: 0, fields: 0 }
    }

    pub(crate) fn start(&mut self) {
        self.reader.reset();
        self.text_at = 0;
        self.fields = 0;
    }

    /// Feeds one line with its `\n`; whether the record ends with it.
    pub(crate) fn feed(&mut self, line: &[u8]) -> bool {
        let mut rest = line;
        // Fields are never longer than what they are written as.
        self.text.resize((self.text_at + line.len()).max(self.text.len()), 0);
        loop {
            let text = self.text.get_mut(self.text_at..).unwrap_or_default();
            let ends = self.ends.get_mut(self.fields..).unwrap_or_default();
            let (result, read, written, ended) = self.reader.read_record(rest, text, ends);
            rest = rest.get(read..).unwrap_or_default();
            self.text_at += written;
            self.fields += ended;
            match result {
                ReadRecordResult::Record => return true,
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::OutputFull => self.text.resize(self.text.len() * 2 + 1, 0),
                ReadRecordResult::InputEmpty | ReadRecordResult::End => return false,
            }
        }
    }

    /// Whether every quoted field of a record ends where its quote does. Where one goes on after it, the quote
    /// was the opening one of another line.
    pub(crate) fn is_strict(&self, record: &[u8]) -> bool {
        let mut rest = record;
        while !rest.is_empty() {
            if let Some(mut inside) = rest.strip_prefix(b"\"") {
                while let Some(at) = inside.iter().position(|byte| *byte == b'"') {
                    inside = inside.get(at + 1..).unwrap_or_default();
                    match inside.strip_prefix(b"\"") {
                        Some(after) => inside = after,
                        None => break,
                    }
                }
                match inside.first() {
                    Some(byte) if *byte == self.delimiter || *byte == b'\n' => {}
                    _ => return false,
                }
                rest = inside;
            }
            let end = rest.iter().position(|byte| *byte == self.delimiter || *byte == b'\n');
            rest = end.and_then(|at| rest.get(at + 1..)).unwrap_or_default();
        }
        true
    }

    pub(crate) fn field_count(&self) -> usize {
        self.fields
    }

    /// All fields' bytes without the quotes, one after the other.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.text.get(..self.text_at).unwrap_or_default()
    }

    /// The range of a field in [`bytes`](Self::bytes).
    pub(crate) fn range(&self, field: usize) -> std::ops::Range<usize> {
        let start =
            field.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        start..self.ends.get(field).copied().unwrap_or(start)
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

    fn fields(delimited: &CsvRecord) -> Vec<String> {
        (0..delimited.field_count())
            .map(|field| String::from_utf8(delimited.bytes()[delimited.range(field)].to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn quotes_hide_delimiters_quotes_and_line_ends() {
        let mut record = CsvRecord::new(b',');
        record.start();
        assert!(!record.feed(b"a,\"b,\"\"c\"\"\n"));
        assert!(record.feed(b"d\",5\" nail,\n"));
        assert_eq!(fields(&record), ["a", "b,\"c\"\nd", "5\" nail", ""]);
        record.start();
        assert!(record.feed(b"x\n"));
        assert_eq!(fields(&record), ["x"]);
    }

    #[test]
    fn a_field_that_goes_on_after_its_quote_is_not_strict() {
        let record = CsvRecord::new(b',');
        for (text, is) in [
            ("a,\"b\nc\",d\n", true),
            ("\"a\nb\"\n", true),
            ("a,\"b\"\"\n\"\"\",\"\"\n", true),
            ("a,5\" nail,\"b\nc\"\n", true),
            ("a,\"b\nc,\"d\n", false),
            ("a,\"b\n", false),
        ] {
            assert_eq!(record.is_strict(text.as_bytes()), is, "{text}");
        }
    }

    #[test]
    fn a_record_may_have_many_fields() {
        let mut record = CsvRecord::new(b';');
        record.start();
        assert!(record.feed(format!("{}\n", ";".repeat(5_000)).as_bytes()));
        assert_eq!(record.field_count(), 5_001);
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
