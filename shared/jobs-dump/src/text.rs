//! The text of a file: unpacked if it is gzip, without a byte order mark.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

/// How much is read at a time.
const BUFFER: usize = 128 << 10;
/// The first bytes of gzip.
const GZIP: [u8; 2] = [0x1f, 0x8b];
const MARK: &[u8] = b"\xef\xbb\xbf";
const UTF_16: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// Passes the file's text to `read`.
///
/// # Errors
/// What `read` fails with, or that the file is not text in UTF-8 or valid gzip.
pub(crate) fn read_text<T>(
    from: impl Read,
    read: impl FnOnce(&mut dyn BufRead) -> io::Result<T>,
) -> io::Result<T> {
    let mut raw = BufReader::with_capacity(BUFFER, from);
    if raw.fill_buf()?.starts_with(&GZIP) {
        let unpacked = BufReader::with_capacity(BUFFER, MultiGzDecoder::new(raw));
        return without_mark(unpacked, read).map_err(|error| match error.kind() {
            // Report the error of the content rather than that of the compression.
            io::ErrorKind::Other => error,
            _ => io::Error::other(format!("invalid gzip data: {error}")),
        });
    }
    without_mark(raw, read)
}

fn without_mark<T>(
    mut reader: impl BufRead,
    read: impl FnOnce(&mut dyn BufRead) -> io::Result<T>,
) -> io::Result<T> {
    let mut head = Vec::with_capacity(MARK.len());
    reader.by_ref().take(3).read_to_end(&mut head)?;
    if UTF_16.iter().any(|mark| head.starts_with(mark)) {
        let problem =
            "the file is UTF-16, but expected UTF-8: convert it, for example with iconv -f UTF-16 -t UTF-8";
        return Err(io::Error::other(problem));
    }
    if head == MARK {
        head.clear();
    }
    read(&mut Cursor::new(head).chain(reader))
}
