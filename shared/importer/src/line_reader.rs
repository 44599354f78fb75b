//! Lines of bounded length, some of which may be given back to be read again.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read as _};

use crate::file_layout::FilePosition;

/// The longest line and the longest record, in bytes.
pub(crate) const MAX_RECORD_BYTES: usize = 1_000_000;

/// How much of a line that is too long is kept, to be shown.
const KEPT_BYTES: usize = 4_096;

/// The result of reading a line.
#[derive(Debug)]
pub(crate) enum FileLine {
    /// A line; it ends in one `\n`, whatever it ended in before.
    Whole,
    /// The start of a line longer than [`MAX_RECORD_BYTES`], whose rest is dropped.
    TooLong,
    /// The reader failed, perhaps in the middle of a line.
    Broken(io::Error),
    End,
}

/// A line that was read while the end of a record was searched for, and is not part of that record.
pub(crate) struct Lookahead {
    pub(crate) line: FileLine,
    /// The part of the line that was read.
    pub(crate) start: Vec<u8>,
    /// Its length in the file.
    pub(crate) bytes: u64,
}

pub(crate) struct LineReader<'r> {
    reader: Box<dyn BufRead + Send + 'r>,
    number: u64,
    /// The offset of the next line, in unpacked bytes of the file.
    offset: u64,
    /// The length in the file of the line that was read last: its line end there may differ from the one here.
    last_bytes: u64,
    back: Vec<u8>,
    back_at: usize,
    /// The length in the file of each line of `back`.
    back_bytes: VecDeque<u64>,
    after: Option<Lookahead>,
}

impl<'r> LineReader<'r> {
    pub(crate) fn new(reader: Box<dyn BufRead + Send + 'r>) -> Self {
        Self::at(reader, 0, 0)
    }

    /// Reads lines from this offset, which has `number` lines before it.
    pub(crate) fn at(reader: Box<dyn BufRead + Send + 'r>, number: u64, offset: u64) -> Self {
        Self {
            reader,
            number,
            offset,
            last_bytes: 0,
            back: Vec::new(),
            back_at: 0,
            back_bytes: VecDeque::new(),
            after: None,
        }
    }

    /// Skips the bytes before a position, from the beginning of the file.
    pub(crate) fn skip_to(&mut self, position: &FilePosition) -> io::Result<()> {
        let skipped = io::copy(&mut (&mut self.reader).take(position.offset), &mut io::sink())?;
        if skipped < position.offset {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        (self.offset, self.number) = (position.offset, position.tally.lines);
        Ok(())
    }

    /// The number of the line that was read last, from one.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The offset of the next line, in unpacked bytes of the file.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The length in the file of the line that was read last.
    pub(crate) fn last_bytes(&self) -> u64 {
        self.last_bytes
    }

    /// Appends the next line, or what there is of it.
    pub(crate) fn read(&mut self, into: &mut Vec<u8>) -> FileLine {
        let rest = self.back.get(self.back_at..).unwrap_or_default();
        if !rest.is_empty() {
            let length = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
            into.extend_from_slice(rest.get(..length).unwrap_or_default());
            self.back_at += length;
            self.number += 1;
            self.passed(self.back_bytes.front().copied().unwrap_or_default());
            self.back_bytes.pop_front();
            return FileLine::Whole;
        }
        let (line, bytes) = match self.after.take() {
            Some(Lookahead { line, start, bytes }) => {
                into.extend_from_slice(&start);
                (line, bytes)
            }
            None => self.read_on(into),
        };
        let is_line = match line {
            FileLine::Whole | FileLine::TooLong => true,
            FileLine::Broken(_) => bytes > 0,
            FileLine::End => false,
        };
        self.number += u64::from(is_line);
        self.passed(bytes);
        line
    }

    fn passed(&mut self, bytes: u64) {
        self.last_bytes = bytes;
        self.offset += bytes;
    }

    fn read_on(&mut self, into: &mut Vec<u8>) -> (FileLine, u64) {
        // One more than the longest line: its newline.
        const LIMIT: u64 = 1_000_001;
        let start = into.len();
        let read = match (&mut self.reader).take(LIMIT).read_until(b'\n', into) {
            // Reading on from behind these bytes meets the same break, and no line.
            Err(error) => return (FileLine::Broken(error), count(into.len() - start)),
            Ok(0) => return (FileLine::End, 0),
            Ok(read) => count(read),
        };
        if into.last() == Some(&b'\n') {
            into.pop();
            if into.len() > start && into.last() == Some(&b'\r') {
                into.pop();
            }
        } else if into.len() - start > MAX_RECORD_BYTES {
            into.truncate(start + KEPT_BYTES);
            return match self.reader.skip_until(b'\n') {
                Ok(skipped) => (FileLine::TooLong, read + count(skipped)),
                Err(error) => (FileLine::Broken(error), read),
            };
        }
        into.push(b'\n');
        (FileLine::Whole, read)
    }

    /// Puts back the lines that were read last, with their lengths in the file, and what came after them; they are
    /// then read again as if they had never been read.
    pub(crate) fn give_back(&mut self, lines: &[u8], bytes: &[u64], after: Option<Lookahead>) {
        let mut back = lines.to_vec();
        back.extend_from_slice(self.back.get(self.back_at..).unwrap_or_default());
        self.back = back;
        self.back_at = 0;
        let given = bytes.iter().sum::<u64>() + after.as_ref().map_or(0, |after| after.bytes);
        self.offset = self.offset.saturating_sub(given);
        let mut all: VecDeque<u64> = bytes.iter().copied().collect();
        all.append(&mut self.back_bytes);
        self.back_bytes = all;
        self.number = self.number.saturating_sub(count(bytes.len()) + u64::from(after.is_some()));
        if after.is_some() {
            self.after = after;
        }
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<(String, String, u64)> {
        let mut lines = LineReader::new(Box::new(io::BufReader::with_capacity(3, bytes)));
        let mut seen = Vec::new();
        loop {
            let mut line = Vec::new();
            let read = lines.read(&mut line);
            if matches!(read, FileLine::End) {
                return seen;
            }
            seen.push((format!("{read:?}"), String::from_utf8(line).unwrap(), lines.number()));
        }
    }

    #[test]
    fn lines_end_in_one_newline_whatever_they_ended_in() {
        let texts: Vec<_> = all(b"a\r\nb\n\nc").into_iter().map(|(_, text, line)| (text, line)).collect();
        assert_eq!(texts, [("a\n".into(), 1), ("b\n".into(), 2), ("\n".into(), 3), ("c\n".into(), 4)]);
        assert!(all(b"").is_empty());
    }

    #[test]
    fn a_line_of_a_megabyte_is_whole_and_one_byte_more_is_not() {
        let mut bytes = vec![b'x'; MAX_RECORD_BYTES];
        bytes.push(b'\n');
        assert_eq!(all(&bytes)[0].0, "Whole");
        bytes.insert(0, b'x');
        bytes.extend_from_slice(b"next\n");
        let lines = all(&bytes);
        assert_eq!((lines[0].0.as_str(), lines[0].1.len()), ("TooLong", KEPT_BYTES));
        assert_eq!((lines[1].0.as_str(), lines[1].1.as_str(), lines[1].2), ("Whole", "next\n", 2));
    }

    #[test]
    fn what_is_given_back_is_read_again_under_its_own_number_and_place() {
        let mut lines = LineReader::new(Box::new(&b"a\nb\r\nc\nd"[..]));
        let mut read = Vec::new();
        for _ in 0..3 {
            lines.read(&mut read);
        }
        lines.give_back(b"b\nc\n", &[3, 2], None);
        assert_eq!((lines.number(), lines.offset()), (1, 2));
        let mut again = Vec::new();
        while matches!(lines.read(&mut again), FileLine::Whole) {}
        assert_eq!((again.as_slice(), lines.number(), lines.offset()), (&b"b\nc\nd\n"[..], 4, 8));
    }
}
