//! A reader's bytes, unpacked if they are gzip, and counted as they come.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
pub(crate) const BUFFER_BYTES: usize = 1 << 16;

/// How much of a file has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadProgress {
    /// Bytes that were read from the file, packed if it is: to compare with its size.
    pub bytes_read: u64,
    /// Lines that were read, after unpacking.
    pub lines: u64,
}

/// Unpacked bytes, and how many packed ones they came from.
pub(crate) struct ByteSource<'r> {
    pub(crate) bytes: Box<dyn BufRead + Send + 'r>,
    pub(crate) gzip: bool,
    pub(crate) bytes_read: Arc<AtomicU64>,
}

struct CountedReader<R> {
    inner: R,
    bytes_read: Arc<AtomicU64>,
}

impl<R: Read> Read for CountedReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.bytes_read.fetch_add(u64::try_from(read).unwrap_or_default(), Ordering::Relaxed);
        Ok(read)
    }
}

/// Looks at the first bytes and unpacks what follows if they are gzip's.
pub(crate) fn open<'r>(reader: impl Read + Send + 'r) -> io::Result<ByteSource<'r>> {
    let bytes_read: Arc<AtomicU64> = Arc::default();
    let mut counted = CountedReader { inner: reader, bytes_read: Arc::clone(&bytes_read) };
    let mut magic = Vec::with_capacity(GZIP_MAGIC.len());
    (&mut counted).take(2).read_to_end(&mut magic)?;
    let gzip = magic == GZIP_MAGIC;
    let whole = BufReader::with_capacity(BUFFER_BYTES, Cursor::new(magic).chain(counted));
    let bytes: Box<dyn BufRead + Send + 'r> = if gzip {
        Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(whole)))
    } else {
        Box::new(whole)
    };
    Ok(ByteSource { bytes, gzip, bytes_read })
}
