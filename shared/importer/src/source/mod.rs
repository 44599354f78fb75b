//! Any file's bytes as UTF-8 text: unpacked, taken out of a workbook, transcoded, and counted as they come.
//!
//! [`detect`] reads a file to its end and says how its bytes become text; [`open`] reads the text of a file of such a
//! form. A position in a file is an offset in this text.

mod carriage_returns;
mod cell_text;
mod encoding_detector;
mod json_values;
mod legacy_words;
#[cfg(feature = "parquet")]
mod parquet_rows;
mod piece_reader;
mod sheet_text;
mod text_encoding;
mod transcoder;
mod workbook;
mod written_text;
mod zip_stream;

#[cfg(test)]
mod form_tests;

use std::fmt;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use serde::{Deserialize, Serialize};

pub use text_encoding::{EncodingError, TextEncoding};

use crate::dialect::{Dialect, LineEnd};
use crate::error::ImportError;
use crate::file_layout::FileForm;
use crate::merchant_feed::merchant_feed_lines;
use crate::unsupported;
use carriage_returns::CarriageReturns;
use encoding_detector::EncodingDetector;
use json_values::JsonValues;
use transcoder::Transcoder;
use zip_stream::ZipStream;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
pub(crate) const BUFFER_BYTES: usize = 1 << 16;
/// Enough for the name of the first file of an archive.
const HEAD_BYTES: usize = 1 << 10;
/// Enough of a text to see whether it is JSON over several lines.
const START_BYTES: usize = 1 << 12;

/// How much of a file has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadProgress {
    /// Bytes that were read from the file, packed if it is: to compare with its size.
    pub bytes_read: u64,
    /// Lines that were read, after unpacking.
    pub lines: u64,
}

/// What the text of a file is packed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Container {
    /// Nothing: the file is the text.
    Plain,
    Gzip,
    /// A zip archive with one file of data, which may be packed with gzip itself.
    Zip,
    /// An Excel workbook (`.xlsx`): a sheet of it.
    Workbook,
    /// A Parquet file: its rows.
    Parquet,
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zip => "zip",
            Self::Workbook => "Excel workbook",
            Self::Parquet => "Parquet",
        })
    }
}

/// How a file's bytes become text. Stored with the layout, so that a later pass need not detect it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceForm {
    pub container: Container,
    pub encoding: TextEncoding,
    /// The name of the file in an archive, or of the sheet in a workbook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// The text is a product feed in XML: it is read as one JSON object for each product.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub feed: bool,
    /// Whether the file has a JSON array, or JSON objects over several lines. Each line of the text is then one value of
    /// the file, and the number of a line is that of the value.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub json_values: bool,
}

impl Container {
    /// Whether the file is a table of typed cells, whose text this program writes.
    pub(crate) fn is_typed(self) -> bool {
        matches!(self, Self::Workbook | Self::Parquet)
    }
}

impl SourceForm {
    /// Whether an offset in the text is the same offset in the file.
    #[must_use]
    pub fn is_seekable(&self) -> bool {
        self.container == Container::Plain && self.encoding.is_utf_8() && !self.feed && !self.json_values
    }
}

/// Unpacked bytes, and how many packed ones they came from.
pub(crate) struct ByteSource<'r> {
    pub(crate) bytes: Box<dyn BufRead + Send + 'r>,
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

/// Detects how a file is packed and encoded. Reads it to its end: the first umlaut may be in the last line. A file that
/// breaks off has the form of what is before the break; reading its text reports the break.
///
/// # Errors
/// [`ImportError`] if the file is empty, cannot be read at all, or is of a form that is not read.
pub fn detect(reader: impl Read + Send) -> Result<SourceForm, ImportError> {
    let (head, mut file) = peek(reader).map_err(ImportError::Read)?;
    if head.starts_with(zip_stream::LOCAL_MAGIC) {
        return detect_archive(&head, file);
    }
    if cfg!(feature = "parquet") && head.starts_with(unsupported::PARQUET_MAGIC) {
        let text = DetectedText { encoding: TextEncoding::UTF_8, json_values: false };
        return Ok(text.into_form(Container::Parquet, None));
    }
    let (container, text) = if head.starts_with(&GZIP_MAGIC) {
        (Container::Gzip, detect_text(&mut gunzip(file))?)
    } else {
        (Container::Plain, detect_text(&mut file)?)
    };
    Ok(text.into_form(container, None))
}

/// The text of a file of this form, from the file's beginning.
///
/// # Errors
/// [`ImportError`] if the file is not of this form.
pub(crate) fn open<'r>(
    reader: impl Read + Send + 'r,
    form: &SourceForm,
) -> Result<ByteSource<'r>, ImportError> {
    let bytes_read: Arc<AtomicU64> = Arc::default();
    if form.container == Container::Parquet {
        return Ok(ByteSource { bytes: open_parquet(reader, &bytes_read)?, bytes_read });
    }
    let counted = CountedReader { inner: reader, bytes_read: Arc::clone(&bytes_read) };
    let bytes: Box<dyn BufRead + Send + 'r> = match form.container {
        Container::Plain | Container::Parquet => Box::new(buffered(counted)),
        Container::Gzip => gunzip(buffered(counted)),
        Container::Zip => {
            let mut archive = ZipStream::new(buffered(counted));
            loop {
                match archive.next_file()? {
                    Some(name) if Some(&name) == form.part.as_ref() => break,
                    Some(_) => {}
                    None => return Err(ImportError::Read(io::ErrorKind::NotFound.into())),
                }
            }
            let (head, content) = peek(archive).map_err(ImportError::Read)?;
            if head.starts_with(&GZIP_MAGIC) { gunzip(content) } else { Box::new(content) }
        }
        Container::Workbook => Box::new(workbook::open(counted)?.0),
    };
    let bytes = match form.encoding.is_utf_8() {
        true => bytes,
        false => Box::new(Transcoder::read(bytes, form.encoding)),
    };
    let bytes = match form.feed {
        true => Box::new(buffered(merchant_feed_lines(bytes))),
        false => bytes,
    };
    let bytes = match form.json_values {
        true => Box::new(JsonValues::read(bytes)),
        false => bytes,
    };
    Ok(ByteSource { bytes, bytes_read })
}

#[cfg(feature = "parquet")]
fn open_parquet(
    reader: impl Read + Send,
    bytes_read: &Arc<AtomicU64>,
) -> Result<Box<dyn BufRead + Send>, ImportError> {
    parquet_rows::open(reader, Arc::clone(bytes_read))
}

#[cfg(not(feature = "parquet"))]
fn open_parquet(
    _reader: impl Read + Send,
    _bytes_read: &Arc<AtomicU64>,
) -> Result<Box<dyn BufRead + Send>, ImportError> {
    Err(unsupported::PARQUET)
}

/// The text with line feeds, if its lines end in carriage returns alone.
pub(crate) fn lines<'r>(text: Box<dyn BufRead + Send + 'r>, form: &FileForm) -> Box<dyn BufRead + Send + 'r> {
    match &form.dialect {
        Some(Dialect { line_end: LineEnd::Return, .. }) => Box::new(CarriageReturns::read(text)),
        _ => text,
    }
}

fn buffered<R: Read>(reader: R) -> BufReader<R> {
    BufReader::with_capacity(BUFFER_BYTES, reader)
}

fn gunzip<'r>(reader: impl BufRead + Send + 'r) -> Box<dyn BufRead + Send + 'r> {
    Box::new(buffered(MultiGzDecoder::new(reader)))
}

/// Fails once, and is at its end then.
struct FailingOnce(Option<io::Error>);

impl Read for FailingOnce {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// The first bytes, and a reader of all. An error behind the first byte comes in its place, when it is read.
fn peek<R: Read>(mut reader: R) -> io::Result<(Vec<u8>, impl BufRead + use<R>)> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    let failure = match (&mut reader).take(HEAD_BYTES as u64).read_to_end(&mut head) {
        Err(error) if head.is_empty() => return Err(error),
        read => FailingOnce(read.err()),
    };
    let whole = buffered(Cursor::new(head.clone()).chain(failure).chain(reader));
    Ok((head, whole))
}

/// What is known of an unpacked text.
struct DetectedText {
    encoding: TextEncoding,
    json_values: bool,
}

impl DetectedText {
    fn into_form(self, container: Container, part: Option<String>) -> SourceForm {
        SourceForm { container, encoding: self.encoding, part, feed: false, json_values: self.json_values }
    }
}

fn detect_text(text: &mut impl BufRead) -> Result<DetectedText, ImportError> {
    let mut detector = EncodingDetector::new();
    let mut start = Vec::new();
    while !detector.is_decided() {
        let bytes = match text.fill_buf() {
            Ok([]) => break,
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if start.is_empty() => return Err(ImportError::Read(error)),
            Err(_) => break,
        };
        detector.feed(bytes)?;
        start.extend(bytes.iter().take(START_BYTES.saturating_sub(start.len())));
        let length = bytes.len();
        text.consume(length);
    }
    if start.is_empty() {
        return Err(ImportError::Empty);
    }
    let encoding = detector.finish()?;
    let (start, _) = encoding.encoding().decode_with_bom_removal(&start);
    Ok(DetectedText { encoding, json_values: json_values::has_json_values(&start) })
}

fn detect_archive(head: &[u8], file: impl BufRead + Send) -> Result<SourceForm, ImportError> {
    let first = zip_stream::first_file(head);
    if workbook::is_office_document(&first) {
        let (_, sheet) = workbook::open(file)?;
        let text = DetectedText { encoding: TextEncoding::UTF_8, json_values: false };
        return Ok(text.into_form(Container::Workbook, Some(sheet)));
    }
    if first == "mimetype" {
        unsupported::reject_open_document(head)?;
    }
    let mut archive = ZipStream::new(file);
    let mut found = Vec::new();
    loop {
        match archive.next_file() {
            Ok(Some(name)) if zip_stream::may_be_data(&name) => {
                let text = detect_packed_text(&mut archive);
                found.push((name, text));
            }
            Ok(Some(_)) => {}
            Ok(None) => break,
            // Behind a file that was found, the archive breaks off.
            Err(ImportError::Read(_)) if !found.is_empty() => break,
            Err(error) => return Err(error),
        }
    }
    if found.len() > 1 {
        return Err(ImportError::SeveralFiles { names: found.into_iter().map(|(name, _)| name).collect() });
    }
    let Some((name, text)) = found.pop() else {
        return Err(ImportError::Unsupported {
            is: "is a zip archive without a file of data",
            advice: "Use one with a CSV or JSON Lines file",
        });
    };
    Ok(text?.into_form(Container::Zip, Some(name)))
}

fn detect_packed_text(content: impl Read + Send) -> Result<DetectedText, ImportError> {
    let (head, mut content) = peek(content).map_err(ImportError::Read)?;
    if head.starts_with(&GZIP_MAGIC) { detect_text(&mut gunzip(content)) } else { detect_text(&mut content) }
}
