//! Where records end: lines of JSON, and records of CSV, whose quoted fields may hold line ends.

use csv::ByteRecord;
use nextbasket_csv::{CsvError, LineEnds, Scanner};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RecordFormat {
    Csv {
        delimiter: u8,
        /// Whether the first record names the columns.
        header: bool,
    },
    /// One JSON object a line.
    Jsonl,
}

impl RecordFormat {
    /// Whether files begin with a record that every batch is given.
    pub fn has_header(self) -> bool {
        matches!(self, Self::Csv { header: true, .. })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Csv { .. } => "csv",
            Self::Jsonl => "jsonl",
        }
    }
}

/// No record that has to be held is longer: jobs hold several at a time.
pub const MAX_RECORD_BYTES: usize = 8 << 20;

/// Finds the ends of records in bytes that come in pieces of any size.
pub struct Splitter {
    state: State,
    /// The bytes of the record that is being read.
    bytes: usize,
}

enum State {
    Lines {
        /// Whether the line that is being read has bytes.
        open: bool,
        line: u64,
    },
    Csv(Scanner),
}

/// Why the records of a file cannot be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error(transparent)]
    Csv(#[from] CsvError),
    #[error("line {line}: the record has more than {MAX_RECORD_BYTES} bytes")]
    TooLong { line: u64 },
}

impl Splitter {
    /// At the beginning of a record.
    pub fn new(format: RecordFormat) -> Self {
        Self::at_line(format, 1)
    }

    /// At the beginning of a record on this line.
    pub fn at_line(format: RecordFormat, line: u64) -> Self {
        let state = match format {
            RecordFormat::Jsonl => State::Lines { open: false, line },
            RecordFormat::Csv { delimiter, .. } => {
                State::Csv(Scanner::new(delimiter, LineEnds::Any).at_line(line))
            }
        };
        Self { state, bytes: 0 }
    }

    /// The line on which the next byte is.
    pub fn line(&self) -> u64 {
        match &self.state {
            State::Lines { line, .. } => *line,
            State::Csv(scanner) => scanner.line(),
        }
    }

    /// How many bytes of the input there are up to the end of the record that is being read, its line end among them;
    /// `None` if it does not end there: the whole input is then behind us.
    ///
    /// Zero says that it ended where the input begins.
    ///
    /// # Errors
    /// [`CsvError`] if a quote is in the wrong place.
    pub fn end(&mut self, input: &[u8]) -> Result<Option<usize>, CsvError> {
        let end = match &mut self.state {
            State::Lines { open, line } => {
                let end = input.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
                *open = end.is_none() && (*open || !input.is_empty());
                *line += u64::from(end.is_some());
                end
            }
            State::Csv(scanner) => scanner.end(input)?,
        };
        self.bytes = if end.is_some() { 0 } else { self.bytes.saturating_add(input.len()) };
        Ok(end)
    }

    /// As [`end`](Self::end), for records that are held as a whole.
    ///
    /// # Errors
    /// [`RecordError::TooLong`] if the record is longer than [`MAX_RECORD_BYTES`].
    pub fn end_of_held(&mut self, input: &[u8]) -> Result<Option<usize>, RecordError> {
        let (held, line) = (self.bytes, self.line());
        let end = self.end(input)?;
        match held.saturating_add(end.unwrap_or(input.len())) {
            bytes if bytes > MAX_RECORD_BYTES => Err(RecordError::TooLong { line }),
            _ => Ok(end),
        }
    }

    /// At the end of the input: whether a record ends there that [`end`](Self::end) has not reported.
    ///
    /// # Errors
    /// [`CsvError`] if a quote is never closed.
    pub fn finish(self) -> Result<bool, CsvError> {
        match self.state {
            State::Lines { open, .. } => Ok(open),
            State::Csv(mut scanner) => scanner.finish(),
        }
    }
}

/// The fields of a CSV record, without their quotes.
pub fn fields(record: &[u8], delimiter: u8) -> ByteRecord {
    let mut fields = ByteRecord::new();
    nextbasket_csv::fields(record, delimiter, &mut fields);
    fields
}

pub fn trimmed(record: &[u8]) -> &[u8] {
    let record = record.strip_suffix(b"\n").unwrap_or(record);
    record.strip_suffix(b"\r").unwrap_or(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: RecordFormat = RecordFormat::Csv { delimiter: b',', header: false };

    #[test]
    fn lines_end_at_line_ends_alone() {
        let mut splitter = Splitter::at_line(RecordFormat::Jsonl, 7);
        assert_eq!(splitter.end(b"{}\n\n"), Ok(Some(3)));
        assert_eq!(splitter.end(b"\n"), Ok(Some(1)));
        assert_eq!(splitter.end(b"\"\"\r{"), Ok(None));
        assert_eq!(splitter.line(), 9);
        assert_eq!(splitter.finish(), Ok(true));
    }

    #[test]
    fn a_record_that_is_held_has_a_limit_in_every_format() {
        let piece = vec![b'x'; MAX_RECORD_BYTES / 2];
        for format in [RecordFormat::Jsonl, CSV] {
            let mut splitter = Splitter::at_line(format, 3);
            assert_eq!(splitter.end_of_held(&piece), Ok(None));
            assert_eq!(splitter.end_of_held(&piece), Ok(None));
            assert_eq!(splitter.end_of_held(b"\n"), Err(RecordError::TooLong { line: 3 }));
            let mut splitter = Splitter::new(format);
            assert_eq!(splitter.end_of_held(&piece), Ok(None));
            assert_eq!(splitter.end_of_held(b"\n"), Ok(Some(1)));
            assert_eq!(splitter.end_of_held(&piece), Ok(None));
        }
    }

    #[test]
    fn an_open_quote_is_reported_with_its_position() {
        let mut splitter = Splitter::at_line(CSV, 41);
        assert_eq!(splitter.end(b"1,x\n2,\"y\n"), Ok(Some(4)));
        assert_eq!(splitter.end(b"2,\"y\n"), Ok(None));
        assert!(splitter.finish().unwrap_err().to_string().starts_with("line 42, column 3: "));
    }
}
