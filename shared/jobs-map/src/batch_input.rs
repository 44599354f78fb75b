//! A batch's records as a stream: ranges of files one behind the other, unpacked and counted.

use std::collections::VecDeque;
use std::io::Write;

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use nextbasket_job_engine::{Work, WorkError};
use serde::{Deserialize, Serialize};

use crate::records::{RecordError, RecordFormat, Splitter};
use crate::split_files::HEADER;
use nextbasket_objects::{FileStream, Files, FoundFile};

/// The number of compressed bytes that are unpacked at a time: each may become a thousand bytes.
const PACKED: usize = 4 << 10;

/// A range of a file, which begins and ends with records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileRange {
    pub file: FoundFile,
    pub from: u64,
    pub to: u64,
    /// The file is packed, and the range is all of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gzip: bool,
}

/// The record with the columns' names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ColumnHeader {
    None,
    /// The first bytes of the first range's file.
    Prefix(u64),
    /// The first record of what the first range's file holds, unpacked.
    Inside,
    Text(String),
}

impl ColumnHeader {
    /// That of a file in this format; `header` is the length of its header in bytes if it is not packed.
    pub(crate) fn of(format: RecordFormat, gzip: bool, header: u64) -> Self {
        match (format.has_header(), gzip) {
            (true, true) => Self::Inside,
            (true, false) => Self::Prefix(header),
            (false, _) => Self::None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BatchInput {
    /// What it is called where it is reported.
    pub name: String,
    pub header: ColumnHeader,
    pub source: RecordSource,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum RecordSource {
    Ranges(Vec<FileRange>),
    /// In an object of the job's, since there are many.
    At(String),
}

impl BatchInput {
    pub(crate) async fn ranges(&self, work: &Work) -> Result<Vec<FileRange>, WorkError> {
        match &self.source {
            RecordSource::Ranges(ranges) => Ok(ranges.clone()),
            RecordSource::At(key) => work.read_json(key).await,
        }
    }
}

pub(crate) struct RecordStream {
    files: Files,
    header: Bytes,
    rest: VecDeque<FileRange>,
    open: Option<OpenRange>,
    /// What came with the header.
    ready: Option<Bytes>,
    format: RecordFormat,
    /// Where its problems are reported.
    name: String,
    /// The line of the first record behind the header, from one, as far as it is known.
    first_line: u64,
    splitter: Splitter,
    records: u64,
}

struct OpenRange {
    pieces: FileStream,
    gzip: Option<MultiGzDecoder<Vec<u8>>>,
    /// The compressed bytes that are not unpacked yet.
    packed: Bytes,
}

impl RecordStream {
    pub(crate) async fn open(
        work: &Work,
        input: &BatchInput,
        format: RecordFormat,
    ) -> Result<Self, WorkError> {
        let ranges = input.ranges(work).await?;
        let files = work.site().objects.files();
        let header = match (&input.header, ranges.first()) {
            (ColumnHeader::Prefix(bytes), Some(first)) => files.read(&first.file, 0..*bytes).await?.into(),
            (ColumnHeader::Text(text), _) => Bytes::from(text.clone()),
            _ => Bytes::new(),
        };
        let mut stream = Self {
            files,
            header,
            rest: ranges.into(),
            open: None,
            ready: None,
            format,
            name: input.name.clone(),
            first_line: 1,
            splitter: Splitter::new(format),
            records: 0,
        };
        if input.header == ColumnHeader::Inside {
            stream.take_header().await?;
        }
        Ok(stream)
    }

    /// The record with the columns' names; empty without one.
    pub(crate) fn header(&self) -> &Bytes {
        &self.header
    }

    pub(crate) fn format(&self) -> RecordFormat {
        self.format
    }

    /// Says on which line of the file the first record behind the header is, if that is known.
    pub(crate) fn begin_at_line(&mut self, line: u64) {
        self.first_line = line;
        self.splitter = self.splitter();
    }

    /// A splitter for the records behind the header.
    pub(crate) fn splitter(&self) -> Splitter {
        Splitter::at_line(self.format, self.first_line)
    }

    /// A problem with a record, with the name of the file or batch.
    pub(crate) fn wrong(&self, problem: impl Into<RecordError>) -> WorkError {
        WorkError::Failed(format!("{}: {}", self.name, problem.into()))
    }

    pub(crate) fn records(&self) -> u64 {
        self.records
    }

    /// The next bytes behind the header; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, WorkError> {
        let piece = match self.ready.take() {
            Some(piece) => Some(piece),
            None => self.unpacked().await?,
        };
        match &piece {
            Some(piece) => self.count(piece)?,
            None => {
                let ended = std::mem::replace(&mut self.splitter, Splitter::new(self.format));
                self.records += u64::from(ended.finish().map_err(|problem| self.wrong(problem))?);
            }
        }
        Ok(piece)
    }

    fn count(&mut self, mut piece: &[u8]) -> Result<(), WorkError> {
        while let Some(end) = self.splitter.end(piece).map_err(|problem| self.wrong(problem))? {
            self.records += 1;
            piece = piece.get(end..).unwrap_or_default();
        }
        Ok(())
    }

    /// Reads up to the end of the first record.
    async fn take_header(&mut self) -> Result<(), WorkError> {
        let mut splitter = Splitter::new(self.format);
        let mut header = Vec::new();
        while let Some(mut piece) = self.unpacked().await? {
            if let Some(end) = splitter.end(&piece).map_err(|problem| self.wrong(problem))? {
                self.begin_at_line(splitter.line());
                header.extend_from_slice(&piece.split_to(end));
                self.ready = Some(piece).filter(|rest| !rest.is_empty());
                break;
            }
            header.extend_from_slice(&piece);
            if u64::try_from(header.len()).unwrap_or(u64::MAX) > HEADER {
                return Err(WorkError::Failed(format!("the header has more than {HEADER} bytes")));
            }
        }
        self.header = header.into();
        Ok(())
    }

    async fn unpacked(&mut self) -> Result<Option<Bytes>, WorkError> {
        loop {
            let Some(open) = &mut self.open else {
                let Some(range) = self.rest.pop_front() else { return Ok(None) };
                let pieces = self.files.open(&range.file, range.from..range.to).await?;
                let gzip = range.gzip.then(|| MultiGzDecoder::new(Vec::new()));
                self.open = Some(OpenRange { pieces, gzip, packed: Bytes::new() });
                continue;
            };
            let piece = match open.packed.is_empty() {
                true => open.pieces.next().await?,
                false => Some(std::mem::take(&mut open.packed)),
            };
            let damaged =
                |error: std::io::Error| WorkError::Failed(format!("the compressed file is damaged: {error}"));
            let out = match (piece, &mut open.gzip) {
                (Some(piece), None) => return Ok(Some(piece)),
                (Some(mut piece), Some(gzip)) => {
                    open.packed = piece.split_off(piece.len().min(PACKED));
                    gzip.write_all(&piece).map_err(damaged)?;
                    std::mem::take(gzip.get_mut())
                }
                (None, gzip) => {
                    let last = gzip.take().map(MultiGzDecoder::finish).transpose().map_err(damaged)?;
                    self.open = None;
                    last.unwrap_or_default()
                }
            };
            if !out.is_empty() {
                return Ok(Some(Bytes::from(out)));
            }
        }
    }
}
