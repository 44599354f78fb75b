//! A data file's lines, read on a thread of their own, a chunk at a time.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use md5::{Digest as _, Md5};
use nextbasket_job_engine::WorkError;
use nextbasket_objects::{BlockingFileStream, Files, FoundFile, ObjectError};
use tokio::sync::mpsc;

use crate::csv::{Columns, read_row};
use crate::format::Format;
use crate::json::{LineChange, read_line};
use crate::json_lines;

/// A chunk has at most so many lines, and about so many bytes.
const LINES: usize = 300;
const BYTES: usize = 256 << 10;
/// How much is read at a time.
const BUFFER: usize = 128 << 10;
/// No item's line or row is longer: 400 KB, with each byte written as six.
const LONGEST: u64 = 8 << 20;
/// The first bytes of gzip.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A line, and what it says or what is wrong with it.
#[derive(Debug)]
pub struct Record<T = LineChange> {
    /// From 1; of CSV the line on which the row begins.
    pub line: u64,
    /// The content of a record, or what is wrong with it.
    pub change: Result<T, String>,
}

#[derive(Debug)]
pub enum Piece<T = LineChange> {
    Chunk(Vec<Record<T>>),
    /// All has been read: the MD5 of the file, where that is wanted, and its size.
    End {
        md5: Option<[u8; 16]>,
        bytes: u64,
    },
}

/// Why a file cannot be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    File(#[from] ObjectError),
    #[error("{0}")]
    Content(String),
    #[error("the reader ended early")]
    EndedEarly,
}

impl From<ReadError> for WorkError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::File(error) => error.into(),
            ReadError::Content(problem) => Self::Failed(problem),
            ended @ ReadError::EndedEarly => Self::Transient(ended.to_string()),
        }
    }
}

pub struct Records<T = LineChange>(mpsc::Receiver<Result<Piece<T>, ReadError>>);

impl Records {
    /// Reads the lines behind the line `skip`.
    ///
    /// # Errors
    /// [`ObjectError`] if the file has changed since it was found.
    pub async fn open(
        files: &Files,
        found: &FoundFile,
        format: Format,
        skip: u64,
    ) -> Result<Self, ObjectError> {
        let read = |line, text: &[u8]| read_line(line, text).map_err(|error| error.problem);
        Self::begin(files, found, format, skip, Some(Md5::new()), read).await
    }
}

impl<T: From<LineChange> + Send + 'static> Records<T> {
    /// As [`open`](Records::open), with a reader of its own for lines of DynamoDB JSON and without the MD5.
    pub(crate) async fn open_with(
        files: &Files,
        found: &FoundFile,
        format: Format,
        skip: u64,
        of_json: impl FnMut(u64, &[u8]) -> Result<T, String> + Send + 'static,
    ) -> Result<Self, ObjectError> {
        Self::begin(files, found, format, skip, None, of_json).await
    }

    async fn begin(
        files: &Files,
        found: &FoundFile,
        format: Format,
        skip: u64,
        md5: Option<Md5>,
        mut of_json: impl FnMut(u64, &[u8]) -> Result<T, String> + Send + 'static,
    ) -> Result<Self, ObjectError> {
        let pieces = files.open(found, 0..found.bytes).await?.into_blocking();
        let (sender, receiver) = mpsc::channel(1);
        tokio::task::spawn_blocking(move || {
            let mut hashing = Hashing { from: pieces, md5, bytes: 0 };
            let mut chunks = Chunks { sender: &sender, records: Vec::new(), bytes: 0, skip, gone: false };
            let read = read(&mut hashing, format, &mut of_json, &mut chunks).and_then(|()| {
                chunks.send();
                // What stands behind the content counts as well, unless nobody wants to know.
                if chunks.gone { Ok(()) } else { io::copy(&mut hashing, &mut io::sink()).map(drop) }
            });
            let gone = chunks.gone;
            let last = match (read, hashing.from.failure()) {
                (_, Some(failure)) => Err(failure.into()),
                (Err(error), None) => {
                    chunks.send();
                    Err(ReadError::Content(error.to_string()))
                }
                (Ok(()), None) => {
                    let bytes = hashing.bytes;
                    let md5 = hashing.md5.map(|md5| md5.finalize().into());
                    Ok(Piece::End { md5, bytes })
                }
            };
            if !gone {
                // Nobody may be there any more to hear it.
                let _ = sender.blocking_send(last);
            }
        });
        Ok(Self(receiver))
    }

    /// What comes next; nothing may be asked behind the end or an error.
    ///
    /// # Errors
    /// [`ReadError`] if the file cannot be read to its end.
    pub async fn next(&mut self) -> Result<Piece<T>, ReadError> {
        self.0.recv().await.unwrap_or(Err(ReadError::EndedEarly))
    }
}

pub(crate) async fn md5_of(files: &Files, found: &FoundFile) -> Result<[u8; 16], ObjectError> {
    let mut pieces = files.open(found, 0..found.bytes).await?;
    let mut md5 = Md5::new();
    while let Some(piece) = pieces.next().await? {
        md5.update(&piece);
    }
    Ok(md5.finalize().into())
}

/// Counts what is read, and hashes it where that is wanted.
struct Hashing {
    from: BlockingFileStream,
    md5: Option<Md5>,
    bytes: u64,
}

impl Read for Hashing {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(into)?;
        if let Some(md5) = &mut self.md5 {
            md5.update(into.get(..count).unwrap_or_default());
        }
        self.bytes += u64::try_from(count).unwrap_or(0);
        Ok(count)
    }
}

struct Chunks<'a, T> {
    sender: &'a mpsc::Sender<Result<Piece<T>, ReadError>>,
    records: Vec<Record<T>>,
    bytes: usize,
    skip: u64,
    /// Nobody waits for more.
    gone: bool,
}

impl<T: From<LineChange>> Chunks<'_, T> {
    fn push(&mut self, line: u64, bytes: usize, change: impl FnOnce() -> Result<T, String>) {
        if line <= self.skip {
            return;
        }
        self.records.push(Record { line, change: change() });
        self.bytes += bytes;
        if self.records.len() >= LINES || self.bytes >= BYTES {
            self.send();
        }
    }

    fn send(&mut self) {
        let records = std::mem::take(&mut self.records);
        self.bytes = 0;
        if !records.is_empty() && !self.gone {
            self.gone = self.sender.blocking_send(Ok(Piece::Chunk(records))).is_err();
        }
    }
}

type Reader<'a, T> = &'a mut dyn FnMut(u64, &[u8]) -> Result<T, String>;

fn read<T: From<LineChange>>(
    from: &mut Hashing,
    format: Format,
    of_json: Reader<'_, T>,
    chunks: &mut Chunks<'_, T>,
) -> io::Result<()> {
    let mut raw = BufReader::with_capacity(BUFFER, from);
    if raw.fill_buf()?.starts_with(&GZIP) {
        let unpacked = MultiGzDecoder::new(raw);
        return lines_or_rows(BufReader::with_capacity(BUFFER, unpacked), format, of_json, chunks).map_err(
            |error| match error.kind() {
                // Report the error of the content rather than that of the compression.
                io::ErrorKind::Other => error,
                _ => io::Error::other(format!("invalid gzip data: {error}")),
            },
        );
    }
    lines_or_rows(raw, format, of_json, chunks)
}

fn lines_or_rows<T: From<LineChange>>(
    reader: impl BufRead,
    format: Format,
    of_json: Reader<'_, T>,
    chunks: &mut Chunks<'_, T>,
) -> io::Result<()> {
    let put = |item| T::from(LineChange::Put(item));
    match format {
        Format::DynamodbJson => lines(reader, of_json, chunks),
        Format::JsonLines => lines(
            reader,
            &mut |line, text| json_lines::read_line(line, text).map(put).map_err(|e| e.problem),
            chunks,
        ),
        Format::Csv => rows(reader, chunks),
    }
}

fn lines<T: From<LineChange>>(
    mut reader: impl BufRead,
    read: Reader<'_, T>,
    chunks: &mut Chunks<'_, T>,
) -> io::Result<()> {
    let (mut number, mut line) = (0, Vec::new());
    while !chunks.gone {
        line.clear();
        number += 1;
        if reader.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let whole = line.ends_with(b"\n") || u64::try_from(line.len()).unwrap_or(LONGEST) < LONGEST;
        if !whole {
            chunks.push(number, line.len(), || Err("the line is longer than any item can be".to_owned()));
            skip_line(&mut reader)?;
            continue;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        chunks.push(number, line.len(), || read(number, &line));
    }
    Ok(())
}

fn skip_line(reader: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        let (used, end) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        reader.consume(used);
        if end {
            return Ok(());
        }
    }
}

fn rows<T: From<LineChange>>(mut reader: impl BufRead, chunks: &mut Chunks<'_, T>) -> io::Result<()> {
    // Of lines that end in CR and LF, the reader counts the LF as the next line's.
    let first = reader.fill_buf()?;
    let at = first.iter().position(|byte| *byte == b'\n').and_then(|at| at.checked_sub(1));
    let ahead = u64::from(at.and_then(|at| first.get(at)) == Some(&b'\r'));
    let mut rows = ::csv::ReaderBuilder::new().flexible(true).from_reader(Bounded { reader, left: LONGEST });
    let columns = Columns::read(rows.headers().map_err(of_csv)?)
        .map_err(|error| io::Error::other(format!("line 1: {}", error.0)))?;
    let (mut row, mut line) = (::csv::ByteRecord::new(), 0);
    loop {
        rows.get_mut().left = LONGEST;
        if chunks.gone || !rows.read_byte_record(&mut row).map_err(of_csv)? {
            return Ok(());
        }
        // Rows that are separated by a carriage return alone are on one line, but a reader that resumes after one of
        // them must not skip the others.
        line = (row.position().map_or(0, ::csv::Position::line) + ahead).max(line + 1);
        let bytes = row.as_slice().len();
        chunks.push(line, bytes, || match ::csv::StringRecord::from_byte_record(row.clone()) {
            Ok(row) => {
                read_row(&columns, &row).map(|item| LineChange::Put(item).into()).map_err(|error| error.0)
            }
            Err(_) => Err("the row is not valid UTF-8".to_owned()),
        });
    }
}

/// Passes a row's bytes on, and fails if there are too many: after a quote that is never closed, the whole file would
/// be one row.
struct Bounded<R> {
    reader: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && !into.is_empty() {
            return Err(io::Error::other("a row is longer than any item can be: a quote may not be closed"));
        }
        let count = self.reader.by_ref().take(self.left).read(into)?;
        self.left -= u64::try_from(count).unwrap_or(self.left);
        Ok(count)
    }
}

fn of_csv(error: ::csv::Error) -> io::Error {
    if !error.is_io_error() {
        return io::Error::other(error);
    }
    match error.into_kind() {
        ::csv::ErrorKind::Io(error) => error,
        _ => io::ErrorKind::Other.into(),
    }
}
