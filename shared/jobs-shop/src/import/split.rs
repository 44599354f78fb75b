//! Stage `split`: reads a file's records, sorted by the purchase or product that they belong to, and its refused
//! lines.
//!
//! First the whole file is surveyed: how its numbers, dates and columns are read depends on all of its values. An attempt
//! that is interrupted before that begins again.
//!
//! The lines of a purchase may be anywhere in a file. So records are read in the file's order and written in runs:
//! objects of some megabytes in which they are sorted by group. A checkpoint follows each run, with its end position
//! in the file; an attempt that resumes there writes the same runs.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nextbasket_importer::{
    FileForm, FileLayout, FileOpener, FilePosition, FileRole, ImportError, ImportOptions, JoinedFiles,
    RecordKind, RecordScanner, ScanEnd, ScanStep, survey,
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

/// A batch's input: a file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SplitInput {
    pub file: FoundFile,
    /// The other files of the job, of which some may hold columns of this one's records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<FoundFile>,
}

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
    layout: FileLayout,
    joined: JoinedFiles,
    position: FilePosition,
    bytes: usize,
}

/// The content between two positions of the file.
struct FileSection {
    run: Option<Vec<u8>>,
    refused: Vec<u8>,
    position: FilePosition,
    /// The number of the file's bytes before that position.
    bytes: u64,
    /// Set in the last stretch only.
    end: Option<ScanEnd>,
}

/// Reads the batch's file from the position that an earlier attempt reached.
pub(super) async fn work(work: &mut Work, parameters: &ImportParameters) -> Result<Outcome, WorkError> {
    let SplitInput { file, others } = work.input()?;
    let name = file.at.to_string();
    let options = parameters
        .options(work.job().created_at)
        .map_err(|refusal| WorkError::Failed(refusal.to_string()))?;
    let mut at: Checkpoint = work.checkpoint()?.unwrap_or_default();
    let stop = CancellationToken::new();
    // When this function ends, the threads that read do, too.
    let _reading = stop.clone().drop_guard();
    let stored = match &at.layout {
        Some(key) => Some(work.read_json::<FileLayout>(key).await?),
        None => None,
    };
    let is_new = stored.is_none();
    let survey =
        FileSurvey { file: file.clone(), others, kind: parameters.kind, options: options.clone(), stored };
    let (layout, joined) = match survey.run(work, &stop).await? {
        Surveyed::Stopped => return Ok(Outcome::Stopped),
        Surveyed::JoinedTo(form, other) => {
            let end = ScanEnd::joined_to(other);
            work.progress.bytes = 2 * file.bytes;
            return Outcome::done(&FileResult {
                source: name,
                form,
                end,
                index: String::new(),
                groups: Vec::new(),
            });
        }
        Surveyed::Records(layout, joined) => (*layout, joined),
    };
    if is_new {
        at.layout = Some(work.put_own(LAYOUT, serde_json::to_vec(&layout)?).await?);
    }
    let position = at.position.clone().unwrap_or_else(|| layout.start());
    let offset = if layout.form.is_seekable() { position.offset } else { 0 };
    let files = work.site().objects.files();
    let pieces = files.open(&file, offset..file.bytes).await?.into_blocking();
    let (sender, mut told) = mpsc::channel(1);
    let thread = {
        let reader = StoppableReader { pieces, stop: stop.clone() };
        let kind = parameters.kind;
        let (layout, bytes) = (layout.clone(), parameters.read_bytes());
        let how = ReadOptions { name: name.clone(), kind, options, layout, joined, position, bytes };
        tokio::task::spawn_blocking(move || read(reader, &how, &sender))
    };
    let mut end = None;
    loop {
        match tokio::time::timeout(STOP_CHECK_INTERVAL, told.recv()).await {
            Ok(Some(stretch)) => {
                refusals::put(work, &mut at.refused_files, stretch.refused).await?;
                if let Some(run) = stretch.run {
                    at.runs.append(work, RUN, run).await?;
                }
                work.progress = progress(&stretch.position, file.bytes + stretch.bytes);
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
    let Some(end) = end else {
        return Err(WorkError::Transient(format!("{name}: reading ended unexpectedly")));
    };
    let runs = partitions::sorted(work, at.runs.names(work, RUN), PARTS).await?;
    let groups = partitions::groups(&runs, PARTS, parameters.group_bytes());
    let form = layout.form.clone();
    let index = FileIndex { source: name.clone(), layout, runs };
    let index = work.put_own(INDEX, serde_json::to_vec(&index)?).await?;
    Outcome::done(&FileResult { source: name, form, end, index, groups })
}

/// What is decided from the whole file before its records are read.
struct FileSurvey {
    file: FoundFile,
    others: Vec<FoundFile>,
    kind: RecordKind,
    options: ImportOptions,
    /// What an earlier attempt decided.
    stored: Option<FileLayout>,
}

enum Surveyed {
    Records(Box<FileLayout>, JoinedFiles),
    /// The file's columns are joined to the records of the file of this name.
    JoinedTo(FileForm, String),
    Stopped,
}

impl FileSurvey {
    async fn run(self, work: &mut Work, stop: &CancellationToken) -> Result<Surveyed, WorkError> {
        if self.others.is_empty()
            && let Some(layout) = self.stored
        {
            return Ok(Surveyed::Records(Box::new(layout), JoinedFiles::default()));
        }
        let name = self.file.at.to_string();
        let (files, stop) = (work.site().objects.files().clone(), stop.clone());
        let runtime = tokio::runtime::Handle::current();
        let failure: Arc<Mutex<Option<ObjectError>>> = Arc::default();
        let (bytes, is_new) = (self.file.bytes, self.stored.is_none());
        let bytes_read: Arc<AtomicU64> = Arc::default();
        let (failed, counted) = (Arc::clone(&failure), Arc::clone(&bytes_read));
        let mut thread = tokio::task::spawn_blocking(move || {
            self.decide(|file| {
                let opened = runtime.block_on(files.open(file, 0..file.bytes));
                let pieces = opened.map_err(|error| io::Error::other(error.to_string()))?.into_blocking();
                let reader = StoppableReader { pieces, stop: stop.clone() };
                let (bytes_read, failed) = (Arc::clone(&counted), Arc::clone(&failed));
                Ok(Box::new(SurveyReader { reader, bytes_read, failed }))
            })
        });
        let result = loop {
            match tokio::time::timeout(STOP_CHECK_INTERVAL, &mut thread).await {
                Ok(result) => break result,
                Err(_) if work.must_stop() => return Ok(Surveyed::Stopped),
                Err(_) if is_new => {
                    // Nothing has been read that an attempt could resume with: this shows how far it is.
                    work.progress.bytes = bytes_read.load(Ordering::Relaxed).min(bytes);
                    if work.save(&Checkpoint::default()).await? == Go::Stop {
                        return Ok(Surveyed::Stopped);
                    }
                }
                Err(_) => {}
            }
        };
        let result =
            result.map_err(|error| WorkError::Failed(format!("{name}: reading panicked: {error}")))?;
        // To the importer a connection that breaks is a file that breaks off.
        if let Some(error) = failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error.into());
        }
        result.map_err(|error| WorkError::Failed(format!("{name}: {error}")))
    }

    fn decide(
        self,
        open: impl Fn(&FoundFile) -> io::Result<Box<dyn Read + Send>>,
    ) -> Result<Surveyed, ImportError> {
        let Self { file, others, kind, options, stored } = self;
        let mut joined = JoinedFiles::default();
        if !others.is_empty() {
            let all: Vec<&FoundFile> = std::iter::once(&file).chain(&others).collect();
            let mut openers: Vec<FileOpener<'_>> = Vec::new();
            for file in &all {
                openers.push(Box::new(|| open(file)));
            }
            match JoinedFiles::role(&mut openers, 0, kind, &options)? {
                FileRole::Records(found) => joined = found,
                FileRole::JoinedTo(form, other) => {
                    let name = all.get(other).map(|other| other.at.to_string()).unwrap_or_default();
                    return Ok(Surveyed::JoinedTo(form, name));
                }
            }
        }
        let layout = match stored {
            Some(layout) => layout,
            None => survey(&mut || open(&file), &joined, kind, &options)?,
        };
        Ok(Surveyed::Records(Box::new(layout), joined))
    }
}

/// A reader that reports how much of its file was read, and why the rest could not be.
struct SurveyReader {
    reader: StoppableReader,
    bytes_read: Arc<AtomicU64>,
    failed: Arc<Mutex<Option<ObjectError>>>,
}

impl Read for SurveyReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(into);
        if let Ok(bytes) = &read {
            self.bytes_read.fetch_add(u64::try_from(*bytes).unwrap_or_default(), Ordering::Relaxed);
        }
        if read.is_err()
            && let Some(error) = self.reader.pieces.failure()
        {
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
        read
    }
}

/// The progress at a position, with the bytes that were read until then, those of the survey among them.
fn progress(position: &FilePosition, bytes: u64) -> Progress {
    let (records, refused) = (position.tally.records, position.tally.refused_records());
    let matched = records.saturating_sub(refused);
    Progress { processed: records, matched, refused, bytes, ..Progress::default() }
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
    told: &mpsc::Sender<Box<FileSection>>,
) -> Result<(), ReadError> {
    let result = scan(&mut reader, how, told);
    // To the importer a connection that breaks is a file that breaks off.
    let last = match reader.pieces.failure() {
        Some(error) => return Err(ReadError::File(error)),
        None => result?,
    };
    // If the receiver is gone, nobody needs it.
    let _ = told.blocking_send(Box::new(last));
    Ok(())
}

/// Sends all stretches but the last one.
fn scan(
    reader: &mut StoppableReader,
    how: &ReadOptions,
    told: &mpsc::Sender<Box<FileSection>>,
) -> Result<FileSection, ImportError> {
    let gone = |_| ImportError::Read(io::Error::other("the file is not needed any more"));
    let mut scanner =
        RecordScanner::resume(reader, how.kind, &how.options, (&how.layout, &how.joined), &how.position)?;
    let is_seekable = how.layout.form.is_seekable();
    let bytes_before = |scanner: &RecordScanner<'_>, position: &FilePosition| {
        if is_seekable { position.offset } else { scanner.progress().bytes_read }
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
            let position = scanner.position();
            let bytes = bytes_before(&scanner, &position);
            let stretch = FileSection { run, refused: refused.take(), position, bytes, end: None };
            told.blocking_send(Box::new(stretch)).map_err(gone)?;
        }
    }
    let position = scanner.position();
    let bytes = bytes_before(&scanner, &position);
    let end = scanner.finish()?;
    let run = sorter.take().map(|(run, _)| run);
    Ok(FileSection { run, refused: refused.take(), position, bytes, end: Some(end) })
}
