//! A data file's lines, read on a thread of their own, a chunk at a time.

use std::io::{self, BufRead, Read};

use ::csv::{ByteRecord, StringRecord};
use md5::{Digest as _, Md5};
use nextbasket_csv::{LineEnds, ReadError as CsvReadError, Records as CsvRecords, fields};
use nextbasket_job_engine::WorkError;
use nextbasket_objects::{BlockingFileStream, Files, FoundFile, ObjectError};
use tokio::sync::mpsc;

use crate::csv::{ColumnTypes, Columns, MOST_COLUMNS, read_row};
use crate::format::SourceFormat;
use crate::json::documents::{self, Element, Shape};
use crate::json::{LineChange, read_item, read_line};
use crate::json_lines;
use crate::text::read_text;

/// A chunk has at most so many lines, and about so many bytes.
const LINES: usize = 300;
const BYTES: usize = 256 << 10;
/// No item's line or row is longer: 400 KB, with each byte written as six.
pub(crate) const MAX_RECORD_BYTES: usize = 8 << 20;
const DELIMITER: u8 = b',';

/// A line, and what it says or what is wrong with it.
#[derive(Debug)]
pub struct Record<T = LineChange> {
    /// From 1; of CSV the line on which the row begins, of JSON documents the number of the item.
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

/// How a file is read.
#[derive(Debug, Clone)]
pub struct FileReading {
    pub(crate) format: SourceFormat,
    /// Of CSV whose header has no types; without them such a file is an error.
    pub(crate) types: Option<ColumnTypes>,
}

impl<F: Into<SourceFormat>> From<F> for FileReading {
    fn from(format: F) -> Self {
        Self { format: format.into(), types: None }
    }
}

impl Records {
    /// Reads the lines behind the line `skip`.
    ///
    /// # Errors
    /// [`ObjectError`] if the file has changed since it was found.
    pub async fn open(
        files: &Files,
        found: &FoundFile,
        reading: impl Into<FileReading>,
        skip: u64,
    ) -> Result<Self, ObjectError> {
        let read = |line, text: &[u8]| read_line(line, text).map_err(|error| error.problem);
        Self::begin(files, found, reading.into(), skip, Some(Md5::new()), read).await
    }
}

impl<T: From<LineChange> + Send + 'static> Records<T> {
    /// As [`open`](Records::open), with a reader of its own for lines of DynamoDB JSON and without the MD5.
    pub(crate) async fn open_with(
        files: &Files,
        found: &FoundFile,
        reading: FileReading,
        skip: u64,
        of_json: impl FnMut(u64, &[u8]) -> Result<T, String> + Send + 'static,
    ) -> Result<Self, ObjectError> {
        Self::begin(files, found, reading, skip, None, of_json).await
    }

    async fn begin(
        files: &Files,
        found: &FoundFile,
        reading: FileReading,
        skip: u64,
        md5: Option<Md5>,
        mut of_json: impl FnMut(u64, &[u8]) -> Result<T, String> + Send + 'static,
    ) -> Result<Self, ObjectError> {
        let pieces = files.open(found, 0..found.bytes).await?.into_blocking();
        let (sender, receiver) = mpsc::channel(1);
        tokio::task::spawn_blocking(move || {
            let mut hashing = Hashing { from: pieces, md5, bytes: 0 };
            let mut chunks = Chunks { sender: &sender, records: Vec::new(), bytes: 0, skip, gone: false };
            let read = read_text(&mut hashing, |text| read(text, &reading, &mut of_json, &mut chunks));
            let read = read.and_then(|()| {
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
    text: &mut dyn BufRead,
    reading: &FileReading,
    of_json: Reader<'_, T>,
    chunks: &mut Chunks<'_, T>,
) -> io::Result<()> {
    let put = |item| T::from(LineChange::Put(item));
    let mut plain = |number, text: &[u8]| json_lines::read_line(number, text).map(put).map_err(|e| e.problem);
    let mut typed = |_, text: &[u8]| read_item(text).map(put).map_err(|error| error.to_string());
    match reading.format {
        SourceFormat::DynamodbJson => lines(text, of_json, chunks),
        SourceFormat::JsonLines => lines(text, &mut plain, chunks),
        SourceFormat::Csv => rows(text, reading.types.as_ref(), chunks),
        SourceFormat::Json => elements(text, Shape::Array, &mut plain, chunks),
        SourceFormat::Scan => elements(text, Shape::Pages, &mut typed, chunks),
    }
}

/// The items of a document.
fn elements<T: From<LineChange>>(
    text: &mut dyn BufRead,
    shape: Shape,
    read: Reader<'_, T>,
    chunks: &mut Chunks<'_, T>,
) -> io::Result<()> {
    documents::read(text, shape, MAX_RECORD_BYTES, &mut |Element { number, text }| {
        chunks.push(number, text.map_or(0, <[u8]>::len), || match text {
            Some(text) => read(number, text),
            None => Err(too_long("item")),
        });
        !chunks.gone
    })
}

fn lines<T: From<LineChange>>(
    reader: &mut dyn BufRead,
    read: Reader<'_, T>,
    chunks: &mut Chunks<'_, T>,
) -> io::Result<()> {
    let (mut number, mut line) = (0, Vec::new());
    while !chunks.gone {
        line.clear();
        number += 1;
        let limit = u64::try_from(MAX_RECORD_BYTES).unwrap_or(u64::MAX);
        if (&mut *reader).take(limit).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let whole = line.ends_with(b"\n") || line.len() < MAX_RECORD_BYTES;
        if !whole {
            chunks.push(number, line.len(), || Err(too_long("line")));
            skip_line(reader)?;
            continue;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        chunks.push(number, line.len(), || read(number, &line));
    }
    Ok(())
}

fn skip_line(reader: &mut dyn BufRead) -> io::Result<()> {
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

fn rows<T: From<LineChange>>(
    reader: &mut dyn BufRead,
    types: Option<&ColumnTypes>,
    chunks: &mut Chunks<'_, T>,
) -> io::Result<()> {
    let mut rows = CsvRecords::new(reader, DELIMITER, LineEnds::Any, MAX_RECORD_BYTES);
    let mut cells = ByteRecord::new();
    let columns = header(&mut rows, types, &mut cells)?;
    while !chunks.gone {
        let Some(row) = rows.next().map_err(of_csv)? else { return Ok(()) };
        let bytes = row.bytes.map_or(0, <[u8]>::len);
        chunks.push(row.line, bytes, || {
            let Some(text) = row.bytes else { return Err(too_long("row")) };
            // Counted before they are taken apart: a row of nothing but commas is 8 million cells.
            columns.check_cells(row.fields).map_err(|error| error.0)?;
            fields(text, DELIMITER, &mut cells);
            match StringRecord::from_byte_record(std::mem::take(&mut cells)) {
                Ok(row) => {
                    let item = read_row(&columns, &row).map_err(|error| error.0);
                    cells = row.into_byte_record();
                    Ok(LineChange::Put(item?).into())
                }
                Err(_) => Err("the row is not valid UTF-8".to_owned()),
            }
        });
    }
    Ok(())
}

/// Reads the record with the columns; a file without one has none.
fn header(
    rows: &mut CsvRecords<impl BufRead>,
    types: Option<&ColumnTypes>,
    cells: &mut ByteRecord,
) -> io::Result<Columns> {
    let Some(row) = rows.next().map_err(of_csv)? else { return Ok(Columns::default()) };
    let wrong = |problem: String| io::Error::other(format!("line {}: {problem}", row.line));
    if row.fields > MOST_COLUMNS {
        return Err(wrong(format!("more than {MOST_COLUMNS} columns")));
    }
    let text = row.bytes.ok_or_else(|| wrong(too_long("header")))?;
    fields(text, DELIMITER, cells);
    let names = StringRecord::from_byte_record(std::mem::take(cells))
        .map_err(|_| wrong("the header is not valid UTF-8".to_owned()))?;
    let columns = types.map_or_else(|| Columns::read(&names), |types| types.columns(&names));
    columns.map_err(|error| wrong(error.0))
}

fn too_long(what: &str) -> String {
    format!("the {what} has more than {MAX_RECORD_BYTES} bytes, which is longer than any item can be")
}

/// A quote in the wrong place is an error of the content.
fn of_csv(error: CsvReadError) -> io::Error {
    match error {
        CsvReadError::Io(error) => error,
        CsvReadError::Csv(error) => io::Error::other(error),
    }
}
