//! A text whose lines end in carriage returns alone, with line feeds instead. No offset changes.

use std::io::{self, BufRead};

use super::piece_reader::{PieceReader, TextPieces};

/// Writes a line feed for each carriage return.
pub(super) struct CarriageReturns<R> {
    reader: R,
}

impl<R: BufRead> CarriageReturns<R> {
    pub(super) fn read(reader: R) -> PieceReader<Self> {
        PieceReader::of(Self { reader })
    }
}

impl<R: BufRead> TextPieces for CarriageReturns<R> {
    fn next_piece(&mut self, text: &mut Vec<u8>) -> io::Result<()> {
        let bytes = self.reader.fill_buf()?;
        text.extend(bytes.iter().map(|byte| if *byte == b'\r' { b'\n' } else { *byte }));
        let length = bytes.len();
        self.reader.consume(length);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn carriage_returns_become_line_feeds_in_pieces_of_any_size() {
        for size in 1..8 {
            let reader = io::BufReader::with_capacity(size, &b"a;b\r1;2\r"[..]);
            let mut text = String::new();
            CarriageReturns::read(reader).read_to_string(&mut text).unwrap();
            assert_eq!(text, "a;b\n1;2\n");
        }
    }
}
