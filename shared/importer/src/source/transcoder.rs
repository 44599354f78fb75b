//! A text in another encoding, read as UTF-8.

use std::io::{self, BufRead};

use encoding_rs::{Decoder, DecoderResult};

use super::BUFFER_BYTES;
use super::piece_reader::{PieceReader, TextPieces};
use super::text_encoding::TextEncoding;

/// Replaces bytes that are not valid in the encoding. It is not valid in UTF-8 either, so their line is refused like any
/// other line of invalid text.
const INVALID: u8 = 0xff;

/// Decodes as it is read. It holds one buffer; a character that is cut by the end of a piece is put together.
pub(super) struct Transcoder<R> {
    reader: R,
    decoder: Decoder,
    is_done: bool,
}

impl<R: BufRead> Transcoder<R> {
    /// The text without its byte order mark.
    pub(super) fn read(reader: R, encoding: TextEncoding) -> PieceReader<Self> {
        let decoder = encoding.encoding().new_decoder_with_bom_removal();
        PieceReader::of(Self { reader, decoder, is_done: false })
    }

    /// Decodes what is read at once; of an interrupted read, and of a part of a character, nothing.
    fn decode(&mut self, text: &mut Vec<u8>) -> io::Result<()> {
        let input = match self.reader.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            input => input?,
        };
        let is_last = input.is_empty();
        text.resize(BUFFER_BYTES, 0);
        let (result, read, written) = self.decoder.decode_to_utf8_without_replacement(input, text, is_last);
        self.reader.consume(read);
        text.truncate(written);
        match result {
            DecoderResult::InputEmpty => self.is_done = is_last,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) => text.push(INVALID),
        }
        Ok(())
    }
}

impl<R: BufRead> TextPieces for Transcoder<R> {
    fn next_piece(&mut self, text: &mut Vec<u8>) -> io::Result<()> {
        while text.is_empty() && !self.is_done {
            self.decode(text)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use encoding_rs::{SHIFT_JIS, UTF_16LE, WINDOWS_1252};
    use proptest::prelude::*;
    use std::io::Read;

    fn decoded(bytes: &[u8], encoding: &'static encoding_rs::Encoding, piece: usize) -> Vec<u8> {
        let reader = io::BufReader::with_capacity(piece, bytes);
        let mut text = Vec::new();
        Transcoder::read(reader, TextEncoding::new(encoding)).read_to_end(&mut text).unwrap();
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
        let mut reader = Transcoder::read(io::BufReader::new(Failing(0)), TextEncoding::new(WINDOWS_1252));
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
