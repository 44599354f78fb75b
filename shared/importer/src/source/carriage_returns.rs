//! A text whose lines end in carriage returns alone, with line feeds instead. No offset changes.

use std::io::{self, BufRead, Read};

use super::BUFFER_BYTES;

/// Writes a line feed for each carriage return.
pub(crate) struct CarriageReturns<R> {
    reader: R,
    text: Vec<u8>,
    start: usize,
}

impl<R: BufRead> CarriageReturns<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, text: Vec::with_capacity(BUFFER_BYTES), start: 0 }
    }
}

impl<R: BufRead> BufRead for CarriageReturns<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.text.len() {
            let bytes = self.reader.fill_buf()?;
            self.text.clear();
            self.text.extend(bytes.iter().map(|byte| if *byte == b'\r' { b'\n' } else { *byte }));
            self.start = 0;
            let length = bytes.len();
            self.reader.consume(length);
        }
        Ok(self.text.get(self.start..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.start = (self.start + amount).min(self.text.len());
    }
}

impl<R: BufRead> Read for CarriageReturns<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carriage_returns_become_line_feeds_in_pieces_of_any_size() {
        for size in 1..8 {
            let reader = io::BufReader::with_capacity(size, &b"a;b\r1;2\r"[..]);
            let mut text = String::new();
            CarriageReturns::new(reader).read_to_string(&mut text).unwrap();
            assert_eq!(text, "a;b\n1;2\n");
        }
    }
}
