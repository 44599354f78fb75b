//! A reader's bytes, unpacked if they are gzip, and counted as they come.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BUFFER_BYTES: usize = 1 << 16;

/// Unpacked bytes, and how many packed ones they came from.
pub(crate) struct Source<'r> {
    pub(crate) bytes: Box<dyn BufRead + 'r>,
    pub(crate) gzip: bool,
    pub(crate) bytes_read: Rc<Cell<u64>>,
}

struct Counted<R> {
    inner: R,
    bytes_read: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.bytes_read.set(self.bytes_read.get() + u64::try_from(read).unwrap_or_default());
        Ok(read)
    }
}

/// Looks at the first bytes and unpacks what follows if they are gzip's.
pub(crate) fn open<'r>(reader: impl Read + 'r) -> io::Result<Source<'r>> {
    let bytes_read = Rc::new(Cell::new(0));
    let mut counted = Counted { inner: reader, bytes_read: Rc::clone(&bytes_read) };
    let mut magic = Vec::with_capacity(GZIP_MAGIC.len());
    (&mut counted).take(2).read_to_end(&mut magic)?;
    let gzip = magic == GZIP_MAGIC;
    let whole = BufReader::with_capacity(BUFFER_BYTES, Cursor::new(magic).chain(counted));
    let bytes: Box<dyn BufRead + 'r> = if gzip {
        Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(whole)))
    } else {
        Box::new(whole)
    };
    Ok(Source { bytes, gzip, bytes_read })
}
