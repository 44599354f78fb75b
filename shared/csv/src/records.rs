//! The records of a reader, one after the other.

use std::io::{self, BufRead};

use csv::ByteRecord;

use crate::scanner::{BYTE_ORDER_MARK, CsvError, LineEnds, Scanner};

/// Why reading cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The reader failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The quotes are wrong.
    #[error(transparent)]
    Csv(#[from] CsvError),
}

/// A record as it is written in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// The line on which it begins, counted from one. No two records have the same.
    pub line: u64,
    /// Its number of fields, also if it is too long.
    pub fields: usize,
    /// Its bytes; `None` if it has more of them than the limit.
    pub bytes: Option<&'a [u8]>,
}

/// The records of a reader. It holds one of them, up to the limit.
#[derive(Debug)]
pub struct Records<R> {
    reader: R,
    scanner: Scanner,
    max_bytes: usize,
    record: Vec<u8>,
    too_long: bool,
    /// Whether the record is the first one, which may begin with a byte order mark.
    first: bool,
}

impl<R: BufRead> Records<R> {
    /// From the beginning of a file; of records longer than `max_bytes` only the line and the number of fields are
    /// given.
    pub fn new(reader: R, delimiter: u8, line_ends: LineEnds, max_bytes: usize) -> Self {
        let scanner = Scanner::new(delimiter, line_ends);
        Self { reader, scanner, max_bytes, record: Vec::new(), too_long: false, first: true }
    }

    /// The next record; `None` at the end of the file.
    ///
    /// # Errors
    /// [`ReadError`] if the reader fails or the quotes are wrong. Nothing may be asked after it.
    #[expect(clippy::should_implement_trait, reason = "a record borrows the reader")]
    pub fn next(&mut self) -> Result<Option<Record<'_>>, ReadError> {
        self.record.clear();
        self.too_long = false;
        loop {
            let input = match self.reader.fill_buf() {
                Ok(input) => input,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            if input.is_empty() {
                return Ok(if self.scanner.finish()? { Some(self.ended()) } else { None });
            }
            let end = self.scanner.end(input)?;
            let part = input.get(..end.unwrap_or(input.len())).unwrap_or_default();
            if self.record.is_empty() && part.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
                // Blank lines, however many.
            } else if self.too_long || self.record.len() + part.len() > self.max_bytes {
                self.too_long = true;
                self.record.clear();
            } else {
                self.record.extend_from_slice(part);
            }
            let used = part.len();
            self.reader.consume(used);
            if end.is_some() {
                return Ok(Some(self.ended()));
            }
        }
    }

    fn ended(&mut self) -> Record<'_> {
        if std::mem::take(&mut self.first) && self.record.starts_with(BYTE_ORDER_MARK) {
            self.record.drain(..BYTE_ORDER_MARK.len());
        }
        Record {
            line: self.scanner.record_line(),
            fields: self.scanner.record_fields(),
            bytes: (!self.too_long).then_some(self.record.as_slice()),
        }
    }
}

/// Puts the fields of one record, as a [`Scanner`] found it, into `into`, without their quotes.
pub fn fields(record: &[u8], delimiter: u8, into: &mut ByteRecord) {
    split(record, into, |rest, text, into| {
        let after = if let Some(mut inside) = rest.strip_prefix(b"\"") {
            while let Some(at) = inside.iter().position(|byte| *byte == b'"') {
                let (before, quote) = inside.split_at(at);
                text.extend_from_slice(before);
                inside = quote.get(1..).unwrap_or_default();
                let Some(next) = inside.strip_prefix(b"\"") else { break };
                text.push(b'"');
                inside = next;
            }
            into.push_field(text);
            inside
        } else {
            let end = rest.iter().position(|byte| *byte == delimiter).unwrap_or(rest.len());
            let (field, after) = rest.split_at(end);
            into.push_field(field);
            after
        };
        after.split_first().map(|(_, next)| next)
    });
}

/// Puts the fields of one record, as a [`Scanner`] with this escape character found it, into `into`, without their
/// quotes and escapes. An escaped letter is what MySQL writes for a control character (`\n` is a line feed); a field
/// that is nothing but an escaped `N`, its word for no value, stays as it is.
pub fn escaped_fields(record: &[u8], delimiter: u8, escape: u8, into: &mut ByteRecord) {
    split(record, into, |rest, text, into| {
        let inside = rest.strip_prefix(b"\"");
        let quoted = inside.is_some();
        let mut bytes = inside.unwrap_or(rest).iter();
        let mut no_value = false;
        let mut ended = true;
        while let Some(&byte) = bytes.next() {
            if byte == escape {
                let escaped = bytes.next();
                no_value = text.is_empty() && escaped == Some(&b'N');
                text.push(escaped.map_or(escape, |byte| unescaped(*byte)));
                continue;
            }
            if quoted && byte == b'"' {
                match bytes.next() {
                    Some(b'"') => {}
                    // A delimiter, or the end: a scanner lets nothing else pass.
                    next => {
                        ended = next.is_none();
                        break;
                    }
                }
            } else if !quoted && byte == delimiter {
                ended = false;
                break;
            }
            text.push(byte);
        }
        if no_value && text == b"N" {
            text.insert(0, escape);
        }
        into.push_field(text);
        (!ended).then_some(bytes.as_slice())
    });
}

/// Puts the fields of a record into `into`, which `next` does for the first one of a text; it returns what is behind
/// it, if there is a further one. It may use the empty buffer.
fn split(
    record: &[u8],
    into: &mut ByteRecord,
    next: impl for<'r> Fn(&'r [u8], &mut Vec<u8>, &mut ByteRecord) -> Option<&'r [u8]>,
) {
    into.clear();
    let blank = record.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let text = record.get(blank..).unwrap_or_default();
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let mut buffer = Vec::new();
    let mut rest = (!text.is_empty()).then_some(text);
    while let Some(text) = rest {
        buffer.clear();
        rest = next(text, &mut buffer, into);
    }
}

fn unescaped(byte: u8) -> u8 {
    match byte {
        b'0' => 0,
        b'b' => 8,
        b't' => b'\t',
        b'n' => b'\n',
        b'r' => b'\r',
        b'Z' => 26,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_lose_their_quotes() {
        let mut record = ByteRecord::new();
        for (text, wanted) in [
            (&b"a,\"b,\"\"c\"\"\",\r\n"[..], vec![&b"a"[..], b"b,\"c\"", b""]),
            (b"a", vec![b"a"]),
            (b"\r\n\n\"x\ny\"\r", vec![b"x\ny"]),
            (b"\"\"\n", vec![b""]),
            (b",", vec![b"", b""]),
            (b"5\" nail,\xef\xbb\xbfx\n", vec![b"5\" nail", b"\xef\xbb\xbfx"]),
        ] {
            fields(text, b',', &mut record);
            assert_eq!(record.iter().collect::<Vec<_>>(), wanted, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn fields_lose_their_escapes() {
        let mut record = ByteRecord::new();
        for (text, wanted) in [
            (&br#"a,"Espresso \"Nera\", 1 kg",c"#[..], vec![&b"a"[..], br#"Espresso "Nera", 1 kg"#, b"c"]),
            (br#"C:\\temp,"C:\\",\N,"\N",a\N,\NN"#, vec![br"C:\temp", br"C:\", br"\N", br"\N", b"aN", b"NN"]),
            (b"Cup\\, large,\"two\\nlines\",\\\n,\\\"x\n", vec![b"Cup, large", b"two\nlines", b"\n", b"\"x"]),
            (b"\"doubled \"\"quotes\"\"\",\n", vec![b"doubled \"quotes\"", b""]),
            (b"\"\",\\", vec![b"", b"\\"]),
            (b"\n", vec![]),
        ] {
            escaped_fields(text, b',', b'\\', &mut record);
            assert_eq!(record.iter().collect::<Vec<_>>(), wanted, "{}", String::from_utf8_lossy(text));
        }
    }

    proptest::proptest! {
        #[test]
        fn without_escapes_the_fields_are_the_same(content in "([ab\u{e4},]|\"[a\n,]*(\"\"b)?\",?){0,20}\n") {
            let mut scanner = Scanner::new(b',', LineEnds::Lf);
            let Ok(Some(end)) = scanner.end(content.as_bytes()) else { return Ok(()) };
            let mut escaping = Scanner::new(b',', LineEnds::Lf).with_escape(b'\\');
            proptest::prop_assert_eq!(escaping.end(content.as_bytes()), Ok(Some(end)));
            let (mut plain, mut escaped) = (ByteRecord::new(), ByteRecord::new());
            fields(&content.as_bytes()[..end], b',', &mut plain);
            escaped_fields(&content.as_bytes()[..end], b',', b'\\', &mut escaped);
            proptest::prop_assert_eq!(plain, escaped);
        }
    }

    #[test]
    fn a_mark_at_the_beginning_of_the_file_is_none_of_its_content_and_any_other_is() {
        let content = "\u{feff}\n\"id\",v\n\u{feff}x,1\n\"\u{feff}y\",2\n";
        let mut records = Records::new(content.as_bytes(), b',', LineEnds::Any, 100);
        let (mut seen, mut cells) = (Vec::new(), ByteRecord::new());
        while let Some(record) = records.next().unwrap() {
            fields(record.bytes.unwrap(), b',', &mut cells);
            seen.push(String::from_utf8(cells[0].to_vec()).unwrap());
        }
        assert_eq!(seen, ["id", "\u{feff}x", "\u{feff}y"]);
        let mut resumed = Scanner::new(b',', LineEnds::Any).at_line(3);
        let rest = "\u{feff}\"x\ny,1\n";
        assert_eq!(resumed.end(rest.as_bytes()), Ok(Some("\u{feff}\"x\n".len())), "a quote within a field");
    }

    #[test]
    fn a_record_beyond_the_limit_is_passed_over_in_flat_memory() {
        let long = format!("a,b\n1,\"{}\"\n2,x\n", "line\n".repeat(1_000_000));
        let reader = io::BufReader::with_capacity(8 << 10, long.as_bytes());
        let mut records = Records::new(reader, b',', LineEnds::Any, 1_000);
        let mut seen = Vec::new();
        while let Some(record) = records.next().unwrap() {
            seen.push((record.line, record.fields, record.bytes.map(<[u8]>::to_vec)));
        }
        let wanted = [(1, 2, Some(b"a,b\n".to_vec())), (2, 2, None), (1_000_003, 2, Some(b"2,x\n".to_vec()))];
        assert_eq!(seen, wanted);
        assert!(records.record.capacity() < 20_000);
    }

    #[test]
    fn blank_lines_need_no_memory() {
        let blank = format!("{}a\n", "\n".repeat(1_000_000));
        let reader = io::BufReader::with_capacity(64, blank.as_bytes());
        let mut records = Records::new(reader, b',', LineEnds::Any, 100);
        let record = records.next().unwrap().unwrap();
        assert_eq!((record.line, record.bytes), (1_000_001, Some(&b"a\n"[..])));
        assert_eq!(records.next().unwrap(), None);
    }
}
