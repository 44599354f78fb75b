//! A text that is made piece by piece, as a reader.

use std::io::{self, BufRead, Read};

/// Makes a text piece by piece.
pub(super) trait TextPieces {
    /// Writes the next piece to `text`, which is empty. Nothing is written at the end, and only there.
    fn next_piece(&mut self, text: &mut Vec<u8>) -> io::Result<()>;
}

/// Reads the pieces one after the other. It holds one of them.
pub(super) struct PieceReader<P> {
    pieces: P,
    text: Vec<u8>,
    /// How much of `text` has been read.
    start: usize,
}

impl<P> PieceReader<P> {
    pub(super) fn of(pieces: P) -> Self {
        Self { pieces, text: Vec::new(), start: 0 }
    }
}

impl<P: TextPieces> BufRead for PieceReader<P> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start >= self.text.len() {
            self.text.clear();
            self.start = 0;
            self.pieces.next_piece(&mut self.text)?;
        }
        Ok(self.text.get(self.start..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.start = (self.start + amount).min(self.text.len());
    }
}

impl<P: TextPieces> Read for PieceReader<P> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}
