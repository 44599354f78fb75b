//! Stage `split`: reads a file's records, sorted by the purchase or product that they belong to, and its refused
//! lines.
//!
//! The lines of a purchase may be anywhere in a file. So records are read in the file's order and written in runs:
//! objects of some megabytes in which they are sorted by group. A checkpoint follows each run, with its end position
//! in the file; an attempt that resumes there writes the same runs.

use std::io::{self, Read};
use std::time::Duration;

use nextbasket_importer::{
    FileLayout, FilePosition, ImportError, ImportOptions, RecordKind, RecordScanner, ScanEnd, ScanStep,
};
use nextbasket_job_engine::Journal;
use nextbasket_job_engine::work::Go;
use nextbasket_job_engine::{Outcome, Progress, Work, WorkError};
use nextbasket_objects::{BlockingFileStream, FoundFile, ObjectError};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::gather::FileIndex;
use super::parameters::ImportParameters;
use super::partitions::{self, PartitionSorter};
use super::refusals::{self, Refused};
use super::result::FileResult;
use super::{INDEX, LAYOUT, RUN};

/// The number of parts of a run: the finest division in which a file's records can be gathered.
pub(super) const PARTS: usize = 1_024;
/// How often the batch checks whether it has to stop.
const STOP_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The part of the file that has been read.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Checkpoint {
    layout: Option<String>,
    position: Option<FilePosition>,
    runs: Journal,
    refused_files: u32,
}

/// A reader that fails as soon as it is stopped.
struct StoppableReader {
    pieces: BlockingFileStream,
    stop: CancellationToken,
}

impl Read for StoppableReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.stop.is_cancelled() {
            return Err(io::Error::other("the file is not needed any more"));
        }
        self.pieces.read(into)
    }
}

struct ReadOptions {
    name: String,
    kind: RecordKind,
    options: ImportOptions,
    from: Option<(FileLayout, FilePosition)>,
    bytes: usize,
}

enum ReaderMessage {
    FileLayout(FileLayout),
    FileSection(Box<FileSection>),
}

/// The content between two positions of the file.
struct FileSection {
    run: Option<Vec<u8>>,
    refused: Vec<u8>,
    position: FilePosition,
    /// Set in the last stretch only.
    end: Option<ScanEnd>,
}

/// Reads the batch's file from the position that an earlier attempt reached.
pub(super) async fn work(work: &mut Work, parameters: &ImportParameters) -> Result<Outcome, WorkError> {
    let file: FoundFile = work.input()?;
    let name = file.at.to_string();
    let options = parameters
        .options(work.job().created_at)
        .map_err(|refusal| WorkError::Failed(refusal.to_string()))?;
    let mut at: Checkpoint = work.checkpoint()?.unwrap_or_default();
    let from = match (&at.layout, &at.position) {
        (Some(layout), Some(position)) => {
            Some((work.read_json::<FileLayout>(layout).await?, position.clone()))
        }
        _ => None,
    };
    let offset = match &from {
        Some((layout, position)) if !layout.form.gzip => position.offset,
        _ => 0,
    };
    let files = work.site().objects.files();
    let pieces = files.open(&file, offset..file.bytes).await?.into_blocking();
    let stop = CancellationToken::new();
    let (sender, mut told) = mpsc::channel(1);
    let thread = {
        let reader = StoppableReader { pieces, stop: stop.clone() };
        let kind = parameters.kind;
        let how = ReadOptions { name: name.clone(), kind, options, from, bytes: parameters.read_bytes() };
        tokio::task::spawn_blocking(move || read(reader, &how, &sender))
    };
    // When this function ends, the thread does, too.
    let _reading = stop.drop_guard();
    let mut end = None;
    loop {
        match tokio::time::timeout(STOP_CHECK_INTERVAL, told.recv()).await {
            Ok(Some(ReaderMessage::FileLayout(layout))) => {
                at.layout = Some(work.put_own(LAYOUT, serde_json::to_vec(&layout)?).await?);
            }
            Ok(Some(ReaderMessage::FileSection(stretch))) => {
                refusals::put(work, &mut at.refused_files, stretch.refused).await?;
                if let Some(run) = stretch.run {
                    at.runs.append(work, RUN, run).await?;
                }
                work.progress = progress(&stretch.position);
                end = stretch.end;
                if end.is_none() {
                    at.position = Some(stretch.position);
                    if work.save(&at).await? == Go::Stop {
                        return Ok(Outcome::Stopped);
                    }
                }
            }
            Ok(None) => break,
            Err(_) if work.must_stop() => return Ok(Outcome::Stopped),
            Err(_) => {}
        }
    }
    match thread.await.map_err(|error| WorkError::Failed(format!("{name}: reading panicked: {error}")))? {
        Ok(()) => {}
        Err(ReadError::File(error)) => return Err(error.into()),
        Err(ReadError::Import(error)) => return Err(WorkError::Failed(format!("{name}: {error}"))),
    }
    let (Some(end), Some(layout)) = (end, at.layout) else {
        return Err(WorkError::Transient(format!("{name}: reading ended unexpectedly")));
    };
    let layout: FileLayout = work.read_json(&layout).await?;
    let runs = partitions::sorted(work, at.runs.names(work, RUN), PARTS).await?;
    let groups = partitions::groups(&runs, PARTS, parameters.group_bytes());
    let form = layout.form;
    let index = FileIndex { source: name.clone(), layout, runs };
    let index = work.put_own(INDEX, serde_json::to_vec(&index)?).await?;
    Outcome::done(&FileResult { source: name, form, end, index, groups })
}

fn progress(position: &FilePosition) -> Progress {
    let (records, refused) = (position.tally.records, position.tally.refused_records());
    Progress { processed: records, matched: records.saturating_sub(refused), refused, ..Progress::default() }
}

enum ReadError {
    File(ObjectError),
    Import(ImportError),
}

impl From<ImportError> for ReadError {
    fn from(error: ImportError) -> Self {
        Self::Import(error)
    }
}

fn read(
    mut reader: StoppableReader,
    how: &ReadOptions,
    told: &mpsc::Sender<ReaderMessage>,
) -> Result<(), ReadError> {
    let result = scan(&mut reader, how, told);
    // To the importer a connection that breaks is a file that breaks off.
    let last = match reader.pieces.failure() {
        Some(error) => return Err(ReadError::File(error)),
        None => result?,
    };
    // If the receiver is gone, nobody needs it.
    let _ = told.blocking_send(ReaderMessage::FileSection(Box::new(last)));
    Ok(())
}

/// Sends all stretches but the last one.
fn scan(
    reader: &mut StoppableReader,
    how: &ReadOptions,
    told: &mpsc::Sender<ReaderMessage>,
) -> Result<FileSection, ImportError> {
    let gone = |_| ImportError::Read(io::Error::other("the file is not needed any more"));
    let mut scanner = match &how.from {
        Some((layout, position)) => RecordScanner::resume(reader, how.kind, &how.options, layout, position)?,
        None => {
            let scanner = RecordScanner::open(reader, how.kind, &how.options)?;
            told.blocking_send(ReaderMessage::FileLayout(scanner.layout())).map_err(gone)?;
            scanner
        }
    };
    let (mut sorter, mut refused) = (PartitionSorter::new(PARTS), Refused::new(how.name.clone()));
    loop {
        match scanner.step(&mut refused)? {
            ScanStep::Taken(entry) => sorter.push(entry.group, entry.line, entry.record),
            ScanStep::Refused => {}
            ScanStep::End => break,
        }
        // The cuts depend on the file alone, so that every attempt writes the same runs.
        if sorter.bytes() >= how.bytes || refused.is_full() {
            let run = sorter.take().map(|(run, _)| run);
            let stretch =
                FileSection { run, refused: refused.take(), position: scanner.position(), end: None };
            told.blocking_send(ReaderMessage::FileSection(Box::new(stretch))).map_err(gone)?;
        }
    }
    let position = scanner.position();
    let end = scanner.finish()?;
    let run = sorter.take().map(|(run, _)| run);
    Ok(FileSection { run, refused: refused.take(), position, end: Some(end) })
}
