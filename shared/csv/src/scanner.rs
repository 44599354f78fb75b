//! Finds the ends of records in bytes that come in pieces of any size.

use std::fmt;

/// What ends a line outside of quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEnds {
    /// LF, CR LF or CR.
    Any,
    /// LF, with or without CR before it; a CR elsewhere is text.
    Lf,
}

/// A position in a text, both numbers counted from one; the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextPosition {
    /// The line.
    pub line: u64,
    /// The character in the line.
    pub column: u64,
}

impl fmt::Display for TextPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why the records of a file cannot be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CsvError {
    /// The file ends within quotes.
    #[error(
        "{0}: this quote is never closed. Close it, or write a quote that is part of the text twice, in quotes"
    )]
    UnclosedQuote(
        /// Where the field begins.
        TextPosition,
    ),
    /// A quoted field goes on behind its closing quote.
    #[error(
        "{at}: text after the closing quote of the field that begins in {opened}. Write a quote that is part of \
         the text twice"
    )]
    TextAfterQuote {
        /// The first character that must not be there.
        at: TextPosition,
        /// Where the field begins.
        opened: TextPosition,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// This many bytes of a byte order mark have been read, and nothing else.
    ByteOrderMark(usize),
    /// Between two records.
    Between,
    FieldStart,
    Unquoted,
    Quoted,
    /// Behind a quote in a quoted field: its end, or the first of two.
    QuoteInQuoted,
    /// Behind an escape character outside of quotes.
    EscapeInUnquoted,
    /// Behind an escape character in a quoted field.
    EscapeInQuoted,
}

pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Finds the ends of records.
#[derive(Debug, Clone)]
pub struct Scanner {
    delimiter: u8,
    line_ends: LineEnds,
    escape: Option<u8>,
    state: State,
    /// Of the next character.
    at: TextPosition,
    /// The byte before was a CR: an LF behind it belongs to the same line end.
    after_return: bool,
    /// A record has ended in that CR, and has not been reported yet.
    ended_in_return: bool,
    begun: u64,
    opened: TextPosition,
    fields: usize,
    record_fields: usize,
    record_line: u64,
}

impl Scanner {
    /// At the beginning of a file.
    #[must_use]
    pub fn new(delimiter: u8, line_ends: LineEnds) -> Self {
        let at = TextPosition { line: 1, column: 1 };
        Self {
            delimiter,
            line_ends,
            escape: None,
            state: State::ByteOrderMark(0),
            at,
            after_return: false,
            ended_in_return: false,
            begun: 1,
            opened: at,
            fields: 0,
            record_fields: 0,
            record_line: 1,
        }
    }

    /// Takes the character behind each `escape` as text, whatever it is, as well as quotes that are written twice.
    #[must_use]
    pub fn with_escape(mut self, escape: u8) -> Self {
        self.escape = Some(escape);
        self
    }

    /// At the beginning of a record on this line, counted from one.
    #[must_use]
    pub fn at_line(mut self, line: u64) -> Self {
        (self.at.line, self.begun) = (line, line);
        if line > 1 {
            // Only a file begins with a mark; in a record the same character is content.
            self.state = State::Between;
        }
        self
    }

    /// The line of the next character.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.at.line
    }

    /// The line on which the record begins that ended last.
    #[must_use]
    pub fn record_line(&self) -> u64 {
        self.record_line
    }

    /// The number of fields of the record that ended last.
    #[must_use]
    pub fn record_fields(&self) -> usize {
        self.record_fields
    }

    /// The length of the input up to the end of the record that is being read, its line end and blank lines before it
    /// included; `None` if it does not end there: the whole input has been read then.
    ///
    /// Zero says that the record ended with the input before.
    ///
    /// # Errors
    /// [`CsvError`] if the quotes are wrong. Nothing may be asked after it.
    pub fn end(&mut self, input: &[u8]) -> Result<Option<usize>, CsvError> {
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            if self.ended_in_return {
                self.ended_in_return = false;
                if byte != b'\n' {
                    return Ok(Some(at));
                }
                self.after_return = false;
                return Ok(Some(at + 1));
            }
            at += 1;
            if !self.step(byte)? {
                continue;
            }
            if byte == b'\r' {
                self.ended_in_return = true;
                continue;
            }
            return Ok(Some(at));
        }
        Ok(None)
    }

    /// At the end of the file: whether a record ends there that [`end`](Self::end) has not reported.
    ///
    /// # Errors
    /// [`CsvError`] if a quote is open.
    pub fn finish(&mut self) -> Result<bool, CsvError> {
        if std::mem::take(&mut self.ended_in_return) {
            return Ok(true);
        }
        match self.state {
            State::ByteOrderMark(0 | 3) | State::Between => Ok(false),
            State::Quoted | State::EscapeInQuoted => Err(CsvError::UnclosedQuote(self.opened)),
            State::ByteOrderMark(_)
            | State::FieldStart
            | State::Unquoted
            | State::QuoteInQuoted
            | State::EscapeInUnquoted => {
                self.end_record();
                Ok(true)
            }
        }
    }

    /// Reads a byte; whether a record ends with it.
    fn step(&mut self, byte: u8) -> Result<bool, CsvError> {
        let line_end = match byte {
            b'\n' => true,
            b'\r' => self.line_ends == LineEnds::Any,
            _ => false,
        };
        let here = self.at;
        self.count(byte);
        if let State::ByteOrderMark(read) = self.state {
            if BYTE_ORDER_MARK.get(read) == Some(&byte) {
                self.state = State::ByteOrderMark(read + 1);
                return Ok(false);
            }
            if matches!(read, 0 | 3) {
                self.state = State::Between;
            } else {
                self.begin_record(here.line);
                self.state = State::Unquoted;
            }
        }
        match self.state {
            State::Between if line_end => return Ok(false),
            State::Between => {
                self.begin_record(here.line);
                self.field_start(byte, here);
            }
            State::FieldStart if line_end => return Ok(self.end_record()),
            State::FieldStart => self.field_start(byte, here),
            State::Unquoted if line_end => return Ok(self.end_record()),
            State::Unquoted if byte == self.delimiter => self.next_field(),
            State::Unquoted if Some(byte) == self.escape => self.state = State::EscapeInUnquoted,
            State::Unquoted => {}
            State::EscapeInUnquoted => self.state = State::Unquoted,
            State::Quoted if byte == b'"' => self.state = State::QuoteInQuoted,
            State::Quoted if Some(byte) == self.escape => self.state = State::EscapeInQuoted,
            State::EscapeInQuoted => self.state = State::Quoted,
            State::Quoted => {}
            State::QuoteInQuoted if byte == b'"' => self.state = State::Quoted,
            State::QuoteInQuoted if byte == self.delimiter => self.next_field(),
            State::QuoteInQuoted if line_end => return Ok(self.end_record()),
            State::QuoteInQuoted => {
                return Err(CsvError::TextAfterQuote { at: here, opened: self.opened });
            }
            State::ByteOrderMark(_) => {}
        }
        Ok(false)
    }

    fn count(&mut self, byte: u8) {
        let second_of_two = byte == b'\n' && self.after_return;
        self.after_return = byte == b'\r' && self.line_ends == LineEnds::Any;
        match byte {
            _ if second_of_two => {}
            b'\n' => self.at = TextPosition { line: self.at.line + 1, column: 1 },
            b'\r' if self.after_return => self.at = TextPosition { line: self.at.line + 1, column: 1 },
            // The bytes of a character after its first one.
            0x80..=0xbf => {}
            _ => self.at.column += 1,
        }
    }

    fn field_start(&mut self, byte: u8, here: TextPosition) {
        if byte == b'"' {
            self.opened = here;
            self.state = State::Quoted;
        } else if byte == self.delimiter {
            self.next_field();
        } else if Some(byte) == self.escape {
            self.state = State::EscapeInUnquoted;
        } else {
            self.state = State::Unquoted;
        }
    }

    fn next_field(&mut self) {
        self.fields += 1;
        self.state = State::FieldStart;
    }

    fn begin_record(&mut self, line: u64) {
        (self.begun, self.fields) = (line, 1);
    }

    fn end_record(&mut self) -> bool {
        (self.record_fields, self.record_line) = (self.fields, self.begun);
        self.state = State::Between;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The records of the content, fed in pieces of these sizes, with their lines.
    fn split(content: &[u8], sizes: &[usize]) -> Result<Vec<(u64, String)>, CsvError> {
        let mut scanner = Scanner::new(b',', LineEnds::Any);
        let (mut records, mut record) = (Vec::new(), Vec::new());
        let (mut rest, mut sizes) = (content, sizes.iter().cycle());
        let text = |record: &mut Vec<u8>| String::from_utf8(std::mem::take(record)).unwrap();
        while !rest.is_empty() {
            let (mut piece, after) = rest.split_at((*sizes.next().unwrap_or(&7)).clamp(1, rest.len()));
            rest = after;
            while let Some(end) = scanner.end(piece)? {
                record.extend_from_slice(&piece[..end]);
                records.push((scanner.record_line(), text(&mut record)));
                piece = &piece[end..];
            }
            record.extend_from_slice(piece);
        }
        if scanner.finish()? {
            records.push((scanner.record_line(), text(&mut record)));
        }
        Ok(records)
    }

    fn lenient(content: &[u8]) -> Vec<Vec<Vec<u8>>> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(content);
        reader.byte_records().map(|record| record.unwrap().iter().map(<[u8]>::to_vec).collect()).collect()
    }

    #[test]
    fn quoted_line_ends_are_part_of_their_records_and_lines_are_counted() {
        let content = b"a,\"b\r\nb\"\r\nc,\"\"\"\n\"\n\nd,e\rf,g";
        let wanted = [(1, "a,\"b\r\nb\"\r\n"), (3, "c,\"\"\"\n\"\n"), (6, "\nd,e\r"), (7, "f,g")];
        for size in 1..content.len() {
            let records = split(content, &[size]).unwrap();
            let records: Vec<_> = records.iter().map(|(line, text)| (*line, text.as_str())).collect();
            assert_eq!(records, wanted, "pieces of {size}");
        }
    }

    #[test]
    fn every_line_end_gives_each_record_a_line_of_its_own() {
        for end in ["\n", "\r\n", "\r"] {
            let content = format!("id{end}1{end}\"2{end}2\"{end}{end}3{end}");
            for size in 1..5 {
                let lines: Vec<u64> =
                    split(content.as_bytes(), &[size]).unwrap().into_iter().map(|(line, _)| line).collect();
                assert_eq!(lines, [1, 2, 3, 6], "{end:?} in pieces of {size}");
            }
        }
    }

    #[test]
    fn a_wrong_quote_is_reported_with_line_and_column() {
        for (content, problem) in [
            ("a,b\n1,\"x\n2,y\n", "line 2, column 3: this quote is never closed"),
            ("a\n\"", "line 2, column 1: this quote is never closed"),
            (
                "é,\"x\"y\n",
                "line 1, column 6: text after the closing quote of the field that begins in line 1, column 3",
            ),
            ("a,\"x\" ,b\n", "line 1, column 6: text after"),
            (
                "a\r1,\"x\r2,\"z\r",
                "line 3, column 4: text after the closing quote of the field that begins in line 2, column 3",
            ),
            ("\u{feff}\"a\"b\n", "line 1, column 5: text after"),
        ] {
            for size in 1..6 {
                let error = split(content.as_bytes(), &[size]).unwrap_err().to_string();
                assert!(error.starts_with(problem), "{content:?}: {error}");
            }
        }
    }

    #[test]
    fn a_quote_within_an_unquoted_field_is_text() {
        assert_eq!(
            split(b"5\" nail,a\"b\"\nx\n", &[3]).unwrap(),
            [(1, "5\" nail,a\"b\"\n".into()), (2, "x\n".into())]
        );
    }

    #[test]
    fn an_escape_hides_quotes_delimiters_and_line_ends() {
        let content = b"a,\"b\\\",\\\\\"\nc\\,\\\nd,\"x\"\"y\"\n\\\"e,f\n";
        let wanted = [(11, 2, 1), (14, 2, 2), (6, 2, 4)];
        for size in 1..content.len() {
            let mut scanner = Scanner::new(b',', LineEnds::Lf).with_escape(b'\\');
            let (mut seen, mut length) = (Vec::new(), 0);
            for mut piece in content.chunks(size) {
                while let Some(end) = scanner.end(piece).unwrap() {
                    seen.push((length + end, scanner.record_fields(), scanner.record_line()));
                    (piece, length) = (&piece[end..], 0);
                }
                length += piece.len();
            }
            assert_eq!(seen, wanted, "pieces of {size}");
        }
        let mut scanner = Scanner::new(b',', LineEnds::Lf).with_escape(b'\\');
        assert_eq!(scanner.end(b"\"C:\\\"\n"), Ok(None));
        assert!(
            scanner.finish().unwrap_err().to_string().starts_with("line 1, column 1: this quote is never")
        );
    }

    #[test]
    fn only_line_feeds_end_lines_where_that_is_wanted() {
        let mut scanner = Scanner::new(b',', LineEnds::Lf);
        assert_eq!(scanner.end(b"a\rb,c\n"), Ok(Some(6)));
        assert_eq!((scanner.record_fields(), scanner.line()), (2, 2));
        // As text after a quote, it is an error like any other.
        assert!(scanner.end(b"\"x\"\r\n").is_err());
    }

    proptest! {
        #[test]
        fn records_put_together_are_the_content_and_read_as_lenient_readers_do(
            content in "([ab\u{e4},]|\"|\"\"|\n|\r\n|\r|,\"[a\n\r,]*\"){0,60}",
            sizes in prop::collection::vec(1_usize..20, 1..5),
        ) {
            let content = content.as_bytes();
            let Ok(records) = split(content, &sizes) else { return Ok(()) };
            let joined: String = records.iter().map(|(_, text)| text.as_str()).collect();
            prop_assert!(content.starts_with(joined.as_bytes()));
            prop_assert!(content[joined.len()..].iter().all(|byte| matches!(byte, b'\n' | b'\r')));
            prop_assert!(records.is_sorted_by(|(one, _), (other, _)| one < other));
            let fields: Vec<Vec<Vec<u8>>> = records
                .iter()
                .map(|(_, text)| {
                    let mut fields = csv::ByteRecord::new();
                    crate::fields(text.as_bytes(), b',', &mut fields);
                    fields.iter().map(<[u8]>::to_vec).collect()
                })
                .collect();
            prop_assert_eq!(fields, lenient(content));
        }

        #[test]
        fn what_a_writer_writes_is_strict(
            rows in prop::collection::vec(prop::collection::vec("[ab\"\n\r,;\u{e4} ]{0,6}", 2..4), 1..6),
        ) {
            let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
            rows.iter().for_each(|row| writer.write_record(row).unwrap());
            let content = writer.into_inner().unwrap();
            prop_assert_eq!(split(&content, &[5]).unwrap().len(), rows.len());
        }
    }
}
