//! Stage `split`: where the records of files end, and so where batches can begin.

use nextbasket_csv::CsvError;
use nextbasket_domain::digest;
use nextbasket_job_engine::work::Go;
use nextbasket_job_engine::{Outcome, Work, WorkError};
use serde::{Deserialize, Serialize};

use crate::parameters::{MapInput, MapTask};
use crate::records::{RecordFormat, Splitter, trimmed};
use nextbasket_objects::{Files, FoundFile};

/// How much is read between two checkpoints.
const STEP: u64 = 64 << 20;
/// How much of a file's beginning is looked through for the names of the columns.
pub(crate) const HEADER: u64 = 1 << 20;

/// Where a batch begins and ends, and how many records it has, if that is known.
pub(crate) type Range = (u64, u64, Option<u64>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CutFile {
    pub file: FoundFile,
    /// It is packed, and so cannot be cut.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gzip: bool,
    /// Bytes of the record with the columns' names.
    pub header: u64,
    /// The line behind the header or the last range, from one; 0 where lines are not counted.
    #[serde(default)]
    pub line: u64,
    /// Tells files with other columns apart.
    pub columns: String,
    pub ranges: Vec<Range>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CutInput {
    pub files: Vec<FoundFile>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Checkpoint {
    done: Vec<CutFile>,
    /// The file that is being read, up to the end of its last range.
    open: Option<CutFile>,
}

pub(crate) async fn work(work: &mut Work, task: &MapTask) -> Result<Outcome, WorkError> {
    let MapInput::Files { format, .. } = &task.input else {
        return Err(WorkError::Failed("the job has no files".to_owned()));
    };
    let input: CutInput = work.input()?;
    let mut at: Checkpoint = work.checkpoint()?.unwrap_or_default();
    let files = work.site().objects.files();
    while let Some(file) = input.files.get(at.done.len()) {
        let mut cut = match at.open.take() {
            Some(cut) => cut,
            None => begin(&files, file, *format).await?,
        };
        while !step(&files, &mut cut, task, *format).await? {
            at.open = Some(cut.clone());
            if work.save(&at).await? == Go::Stop {
                return Ok(Outcome::Stopped);
            }
        }
        at.open = None;
        at.done.push(cut);
        if work.must_stop() && at.done.len() < input.files.len() {
            work.save(&at).await?;
            return Ok(Outcome::Stopped);
        }
    }
    Outcome::done(&at.done)
}

/// Looks at the file's beginning.
pub(crate) async fn begin(
    files: &Files,
    file: &FoundFile,
    format: RecordFormat,
) -> Result<CutFile, WorkError> {
    let magic = files.read(file, 0..2).await?;
    let gzip = magic == [0x1f, 0x8b];
    let (columns, ranges) = (String::new(), Vec::new());
    let mut cut = CutFile { file: file.clone(), gzip, header: 0, line: 1, columns, ranges };
    if gzip {
        cut.ranges.push((0, file.bytes, None));
    } else if format.has_header() {
        let (header, line) = header(files, file, format).await?;
        cut.line = line;
        cut.header = u64::try_from(header.len()).unwrap_or(u64::MAX);
        cut.columns = digest(trimmed(&header), 8);
    }
    Ok(cut)
}

/// The record with the columns' names, and the line behind it.
async fn header(files: &Files, file: &FoundFile, format: RecordFormat) -> Result<(Vec<u8>, u64), WorkError> {
    let wrong = |problem: CsvError| WorkError::Failed(format!("{}: {problem}", file.at));
    let mut splitter = Splitter::new(format);
    let mut pieces = files.open(file, 0..HEADER).await?;
    let mut header = Vec::new();
    while let Some(piece) = pieces.next().await? {
        if let Some(end) = splitter.end(&piece).map_err(wrong)? {
            header.extend_from_slice(piece.get(..end).unwrap_or_default());
            return Ok((header, splitter.line()));
        }
        header.extend_from_slice(&piece);
    }
    if file.bytes > HEADER {
        let problem = format!("{}: the header has more than {HEADER} bytes", file.at);
        return Err(WorkError::Failed(problem));
    }
    // A file with nothing but them.
    let line = splitter.line();
    splitter.finish().map_err(wrong)?;
    Ok((header, line))
}

/// Cuts the next stretch of the file; `true` at its end.
async fn step(
    files: &Files,
    cut: &mut CutFile,
    task: &MapTask,
    format: RecordFormat,
) -> Result<bool, WorkError> {
    let end = cut.file.bytes;
    let start = cut.ranges.last().map_or(cut.header, |(_, to, _)| *to);
    if cut.gzip || start >= end {
        return Ok(true);
    }
    if matches!(format, RecordFormat::Jsonl) && task.batch_items.is_none() {
        let to = line_end(files, &cut.file, start + task.batch_bytes - 1).await?;
        cut.ranges.push((start, to, None));
        return Ok(to >= end);
    }
    let wrong = |problem: CsvError| WorkError::Failed(format!("{}: {problem}", cut.file.at));
    let mut splitter = Splitter::at_line(format, cut.line);
    let mut pieces = files.open(&cut.file, start..end).await?;
    let (mut at, mut from, mut records) = (start, start, 0);
    while let Some(piece) = pieces.next().await? {
        let mut rest = piece.as_ref();
        while let Some(length) = splitter.end(rest).map_err(wrong)? {
            rest = rest.get(length..).unwrap_or_default();
            at += u64::try_from(length).unwrap_or(0);
            records += 1;
            if at - from >= task.batch_bytes || task.batch_items.is_some_and(|most| records >= most) {
                cut.ranges.push((from, at, Some(records)));
                (from, records) = (at, 0);
                if at - start >= STEP {
                    cut.line = splitter.line();
                    return Ok(at >= end);
                }
            }
        }
        at += u64::try_from(rest.len()).unwrap_or(0);
    }
    let open = splitter.finish().map_err(wrong)?;
    if from < end {
        cut.ranges.push((from, end, Some(records + u64::from(open))));
    }
    Ok(true)
}

/// Where the line that the byte is in ends.
async fn line_end(files: &Files, file: &FoundFile, byte: u64) -> Result<u64, WorkError> {
    if byte >= file.bytes {
        return Ok(file.bytes);
    }
    let mut pieces = files.open(file, byte..file.bytes).await?;
    let mut at = byte;
    while let Some(piece) = pieces.next().await? {
        if let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
            return Ok(at + u64::try_from(end + 1).unwrap_or(0));
        }
        at += u64::try_from(piece.len()).unwrap_or(0);
    }
    Ok(file.bytes)
}
