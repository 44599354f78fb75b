//! Lines to records, and records to what is written about them.

use std::io;

use crate::csv_record::CsvRecord;
use crate::line_reader::{FileLine, LineReader, Lookahead, MAX_RECORD_BYTES};
use crate::refusal::{RecordFault, RefusalReason};

/// The maximum number of lines of one CSV record: so a quote that is never closed costs that many lines, not the file.
const MAX_RECORD_LINES: usize = 100;

/// The result of reading the next record.
pub(crate) enum NextRecord {
    /// A record; [`RecordReader::row`] has its cells.
    Record,
    /// A record that cannot be read.
    Fault(RecordFault),
    /// The file broke off, in the middle of a record if there is a fault.
    Broken(io::Error, Option<RecordFault>),
    End,
}

impl NextRecord {
    pub(super) fn fault(reason: RefusalReason, message: impl Into<String>) -> Self {
        Self::Fault(RecordFault::of_record(reason, message))
    }

    pub(super) fn invalid_utf8() -> Self {
        Self::fault(RefusalReason::InvalidUtf8, "the text is not UTF-8")
    }
}

/// The record that was read last, as it is written in the file.
pub(super) struct CurrentRecord<'r> {
    pub(super) lines: LineReader<'r>,
    pub(super) raw: Vec<u8>,
    pub(super) line: u64,
    /// The length in the file of each of its lines, except the first.
    further: Vec<u64>,
}

impl<'r> CurrentRecord<'r> {
    pub(super) fn new(lines: LineReader<'r>) -> Self {
        Self { lines, raw: Vec::new(), line: 0, further: Vec::new() }
    }
}

impl CurrentRecord<'_> {
    /// Reads the first line of a record; `None` is a line to continue with.
    pub(super) fn next_line(&mut self) -> Option<NextRecord> {
        loop {
            self.raw.clear();
            let read = self.lines.read(&mut self.raw);
            self.line = self.lines.number();
            return match read {
                FileLine::Whole if self.raw.trim_ascii().is_empty() => continue,
                FileLine::Whole => None,
                FileLine::TooLong => {
                    let message = format!("a line must be at most {MAX_RECORD_BYTES} bytes long");
                    Some(NextRecord::fault(RefusalReason::TooLong, message))
                }
                FileLine::Broken(error) => {
                    let message = "the file ends unexpectedly here, so this line may be incomplete";
                    let fault = || RecordFault::of_record(RefusalReason::CutOff, message);
                    Some(NextRecord::Broken(error, (!self.raw.is_empty()).then(fault)))
                }
                FileLine::End => Some(NextRecord::End),
            };
        }
    }

    pub(super) fn next_delimited(&mut self, delimited: &mut CsvRecord, fields: Option<usize>) -> NextRecord {
        if let Some(next) = self.next_line() {
            return next;
        }
        let first_end = self.raw.len();
        let mut fed = 0;
        self.further.clear();
        let mut after = None;
        delimited.start(self.line);
        let problem = loop {
            match delimited.feed(self.raw.get(fed..).unwrap_or_default()) {
                Ok(true) => break None,
                Ok(false) => {}
                Err(problem) => break Some(problem),
            }
            fed = self.raw.len();
            if self.further.len() + 1 >= MAX_RECORD_LINES || fed >= MAX_RECORD_BYTES {
                break delimited.unclosed();
            }
            match self.lines.read(&mut self.raw) {
                FileLine::Whole => self.further.push(self.lines.last_bytes()),
                line => {
                    if !matches!(line, FileLine::End) {
                        let (start, bytes) = (self.raw.split_off(fed), self.lines.last_bytes());
                        after = Some(Lookahead { line, start, bytes });
                    }
                    break delimited.unclosed();
                }
            }
        };
        let wrong = if problem.is_none() {
            delimited.take(&self.raw);
            fields.filter(|expected| *expected != delimited.field_count())
        } else {
            None
        };
        if problem.is_none() && wrong.is_none() {
            // Of the whole record: two halves of a character in two fields are none.
            return match std::str::from_utf8(&self.raw) {
                Ok(_) => NextRecord::Record,
                Err(_) => NextRecord::invalid_utf8(),
            };
        }
        // A stray quote swallows the lines up to the next one: the first is given up, the others are read again.
        let alone = self.further.is_empty();
        self.lines.give_back(self.raw.get(first_end..).unwrap_or_default(), &self.further, after);
        self.raw.truncate(first_end);
        match (problem, wrong) {
            (None, Some(expected)) if alone => {
                let found = delimited.field_count();
                let message =
                    format!("the line has {found} fields, the first line of the file has {expected}");
                NextRecord::fault(RefusalReason::WrongFieldCount, message)
            }
            (None, _) => {
                let message = "a quote is opened here and not closed at the end of its field";
                NextRecord::fault(RefusalReason::UnclosedQuote, message)
            }
            (Some(problem), _) => NextRecord::fault(RefusalReason::UnclosedQuote, problem.to_string()),
        }
    }
}
