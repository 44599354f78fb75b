//! Lines of bounded length, some of which may be given back to be read again.

use std::io::{self, BufRead, Read as _};

/// The longest line and the longest record, in bytes.
pub(crate) const MAX_RECORD_BYTES: usize = 1_000_000;

/// How much of a line that is too long is kept, to be shown.
const KEPT_BYTES: usize = 4_096;

/// What reading a line came to.
#[derive(Debug)]
pub(crate) enum Line {
    /// A line; it ends in one `\n`, whatever it ended in before.
    Whole,
    /// The start of a line longer than [`MAX_RECORD_BYTES`], whose rest is dropped.
    TooLong,
    /// The reader failed, perhaps in the middle of a line.
    Broken(io::Error),
    /// There is no more.
    End,
}

pub(crate) struct Lines<'r> {
    reader: Box<dyn BufRead + 'r>,
    number: u64,
    back: Vec<u8>,
    back_at: usize,
    after: Option<(Line, Vec<u8>)>,
}

impl<'r> Lines<'r> {
    pub(crate) fn new(reader: Box<dyn BufRead + 'r>) -> Self {
        Self { reader, number: 0, back: Vec::new(), back_at: 0, after: None }
    }

    /// The number of the line that was read last, from one.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Appends the next line, or what there is of it.
    pub(crate) fn read(&mut self, into: &mut Vec<u8>) -> Line {
        let rest = self.back.get(self.back_at..).unwrap_or_default();
        if !rest.is_empty() {
            let length = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
            into.extend_from_slice(rest.get(..length).unwrap_or_default());
            self.back_at += length;
            self.number += 1;
            return Line::Whole;
        }
        let line = match self.after.take() {
            Some((line, start)) => {
                into.extend_from_slice(&start);
                line
            }
            None => self.read_on(into),
        };
        if !matches!(line, Line::End) {
            self.number += 1;
        }
        line
    }

    fn read_on(&mut self, into: &mut Vec<u8>) -> Line {
        // One more than the longest line: its newline.
        const LIMIT: u64 = 1_000_001;
        let start = into.len();
        match (&mut self.reader).take(LIMIT).read_until(b'\n', into) {
            Err(error) => return Line::Broken(error),
            Ok(0) => return Line::End,
            Ok(_) => {}
        }
        if into.last() == Some(&b'\n') {
            into.pop();
            if into.len() > start && into.last() == Some(&b'\r') {
                into.pop();
            }
        } else if into.len() - start > MAX_RECORD_BYTES {
            into.truncate(start + KEPT_BYTES);
            return match self.reader.skip_until(b'\n') {
                Ok(_) => Line::TooLong,
                Err(error) => Line::Broken(error),
            };
        }
        into.push(b'\n');
        Line::Whole
    }

    /// Gives back whole lines, read last, and what came after them; they are read again as if never seen.
    pub(crate) fn give_back(&mut self, lines: &[u8], after: Option<(Line, Vec<u8>)>) {
        let mut back = lines.to_vec();
        back.extend_from_slice(self.back.get(self.back_at..).unwrap_or_default());
        self.back = back;
        self.back_at = 0;
        let count = lines.iter().filter(|byte| **byte == b'\n').count() + usize::from(after.is_some());
        self.number = self.number.saturating_sub(u64::try_from(count).unwrap_or_default());
        if after.is_some() {
            self.after = after;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<(String, String, u64)> {
        let mut lines = Lines::new(Box::new(io::BufReader::with_capacity(3, bytes)));
        let mut seen = Vec::new();
        loop {
            let mut line = Vec::new();
            let read = lines.read(&mut line);
            if matches!(read, Line::End) {
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
    fn what_is_given_back_is_read_again_under_its_own_number() {
        let mut lines = Lines::new(Box::new(&b"a\nb\nc\nd\n"[..]));
        let mut read = Vec::new();
        for _ in 0..3 {
            lines.read(&mut read);
        }
        lines.give_back(b"b\nc\n", None);
        assert_eq!(lines.number(), 1);
        let mut again = Vec::new();
        while matches!(lines.read(&mut again), Line::Whole) {}
        assert_eq!((again.as_slice(), lines.number()), (&b"b\nc\nd\n"[..], 4));
    }
}
