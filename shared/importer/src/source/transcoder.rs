//! A text in another encoding, read as UTF-8.

use std::io::{self, BufRead, Read};

use encoding_rs::{Decoder, DecoderResult};

use super::BUFFER_BYTES;
use super::text_encoding::TextEncoding;

/// Replaces bytes that are not valid in the encoding. It is not valid in UTF-8 either, so their line is refused like any
/// other line of invalid text.
const INVALID: u8 = 0xff;

/// Decodes as it is read. It holds one buffer; a character that is cut by the end of a piece is put together.
pub(super) struct Transcoder<R> {
    reader: R,
    decoder: Decoder,
    text: Vec<u8>,
    /// What has been read of `text`.
    start: usize,
    /// What has been decoded into `text`.
    end: usize,
    is_done: bool,
}

impl<R: BufRead> Transcoder<R> {
    /// The text without its byte order mark.
    pub(super) fn new(reader: R, encoding: TextEncoding) -> Self {
        let decoder = encoding.encoding().new_decoder_with_bom_removal();
        Self { reader, decoder, text: vec![0; BUFFER_BYTES], start: 0, end: 0, is_done: false }
    }

    fn decode(&mut self) -> io::Result<()> {
        let input = match self.reader.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            input => input?,
        };
        let is_last = input.is_empty();
        // A place is left for the mark of an invalid character.
        let room = self.text.len() - 1;
        let into = self.text.get_mut(..room).unwrap_or_default();
        let (result, read, written) = self.decoder.decode_to_utf8_without_replacement(input, into, is_last);
        self.reader.consume(read);
        (self.start, self.end) = (0, written);
        match result {
            DecoderResult::InputEmpty => self.is_done = is_last,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) => {
                if let Some(byte) = self.text.get_mut(written) {
                    *byte = INVALID;
                    self.end += 1;
                }
            }
        }
        Ok(())
    }
}

impl<R: BufRead> BufRead for Transcoder<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.start == self.end && !self.is_done {
            self.decode()?;
        }
        Ok(self.text.get(self.start..self.end).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.start = (self.start + amount).min(self.end);
    }
}

impl<R: BufRead> Read for Transcoder<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use encoding_rs::{SHIFT_JIS, UTF_16LE, WINDOWS_1252};
    use proptest::prelude::*;

    fn decoded(bytes: &[u8], encoding: &'static encoding_rs::Encoding, piece: usize) -> Vec<u8> {
        let reader = io::BufReader::with_capacity(piece, bytes);
        let mut text = Vec::new();
        Transcoder::new(reader, TextEncoding::new(encoding)).read_to_end(&mut text).unwrap();
        text
    }

    #[test]
    fn characters_that_no_text_has_make_their_line_invalid() {
        assert_eq!(decoded(b"a\n\x83\xff\nb\n", SHIFT_JIS, 1), b"a\n\xff\nb\n");
        assert_eq!(decoded(b"\xff\xfea\0\n\0\0\xd8\n\0b\0", UTF_16LE, 2), b"a\n\xff\nb");
        assert_eq!(decoded(b"a\0b", UTF_16LE, 2), b"a\xff");
        assert_eq!(decoded("K\u{e4}se\n".as_bytes(), WINDOWS_1252, 3), "K\u{c3}\u{a4}se\n".as_bytes());
    }

    #[test]
    fn an_error_of_the_reader_comes_after_the_text_before_it() {
        struct Failing(usize);
        impl Read for Failing {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                self.0 += 1;
                if self.0 > 1 {
                    return Err(io::Error::other("the disk is on fire"));
                }
                (&b"K\xe4se"[..]).read(into)
            }
        }
        let mut text = Vec::new();
        let mut reader = Transcoder::new(io::BufReader::new(Failing(0)), TextEncoding::new(WINDOWS_1252));
        assert_eq!(reader.read_to_end(&mut text).unwrap_err().to_string(), "the disk is on fire");
        assert_eq!(text, "Käse".as_bytes());
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in "[^\u{feff}]{0,100}", piece in 1_usize..30) {
            let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            prop_assert_eq!(decoded(&bytes, UTF_16LE, piece), text.as_bytes());
        }

        #[test]
        fn text_longer_than_the_buffer_comes_back(length in 60_000_usize..70_000, piece in 1_000_usize..70_000) {
            let text = "ä€x".repeat(length / 3);
            let (bytes, _, _) = WINDOWS_1252.encode(&text);
            prop_assert!(decoded(&bytes, WINDOWS_1252, piece) == text.as_bytes());
        }
    }
}
