//! The stage `scan`: a segment of a table to data files.
//!
//! A page is read only when everything before it stands in a checkpoint, so a kill costs one page of a worker at most.

use nextbasket_domain::Timestamp;
use nextbasket_dynamodb::item::Item;
use nextbasket_items::key::{KeySchema, from_json, to_json};
use nextbasket_items::scan::{Projection, Scan, ScanPage};
use nextbasket_items::segment::Segment;
use nextbasket_job_engine::calls::{CallError, Calls};
use nextbasket_job_engine::work::Go;
use nextbasket_job_engine::{Outcome, Work, WorkError};
use nextbasket_objects::{Files, Location};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::csv::Columns;
use crate::digest::ItemsDigest;
use crate::dump::encode::{Encoded, encode, encode_texts, grow};
use crate::dump::parameters::DumpTask;
use crate::dump::running::Beat;
use crate::dump::sink::{Naming, OpenFile, Sink};
use crate::format::Format;
use crate::manifest::DataFile;
use crate::manifest::record::{ReadWindow, SegmentRecord};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ScanInput {
    pub table: String,
    pub folder: Location,
    pub keys: KeySchema,
    pub segment: Segment,
    pub mean_bytes: u64,
    /// What `now()` stands for.
    pub now: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Scanned {
    pub folder: Location,
    pub record: SegmentRecord,
    pub files: Vec<DataFile>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
enum ScanPosition {
    #[default]
    Start,
    After(Value),
    End,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct ScanCheckpoint {
    at: ScanPosition,
    window: Option<ReadWindow>,
    digest: ItemsDigest,
    refused: u64,
    files: Vec<DataFile>,
    /// Columns of all items so far.
    columns: Option<Columns>,
    open: Option<OpenFile>,
}

/// What a page says beside its items.
struct PageCounts {
    scanned: u64,
    matched: u64,
    next: Option<Item>,
    units: f64,
}

impl PageCounts {
    fn split<T>(page: ScanPage<T>) -> (Self, Vec<T>) {
        let ScanPage { items, matched, scanned, next, units } = page;
        (Self { scanned, matched, next, units }, items)
    }
}

struct RunningScan<'a> {
    files: &'a Files,
    task: &'a DumpTask,
    input: &'a ScanInput,
    scan: Scan,
    calls: Calls,
    state: ScanCheckpoint,
    sink: Option<Sink>,
    beat: Beat,
}

pub(crate) async fn work(work: &mut Work, files: &Files, task: &DumpTask) -> Result<Outcome, CallError> {
    let input: ScanInput = work.input()?;
    let scan = Scan::new(&input.table, task.condition.as_ref(), Projection::Whole, input.now)
        .consistent(task.scan.consistent_read)
        .pages_of(task.scan.batch_size, input.mean_bytes);
    let state = work.checkpoint::<ScanCheckpoint>()?.unwrap_or_default();
    let calls = Calls::new(work);
    let beat = Beat::new(&input.folder, task.kind);
    let mut running = RunningScan { files, task, input: &input, scan, calls, state, sink: None, beat };
    match running.run(work).await? {
        Go::On => Ok(Outcome::done(&running.scanned(work))?),
        Go::Stop => Ok(Outcome::Stopped),
    }
}

impl RunningScan<'_> {
    fn naming(&self, part: u32) -> Naming<'_> {
        let extension = self.task.format.extension(self.task.gzip);
        Naming { folder: &self.input.folder, segment: self.input.segment.number, part, extension }
    }

    async fn run(&mut self, work: &mut Work) -> Result<Go, CallError> {
        self.resume(work).await?;
        while self.state.at != ScanPosition::End {
            if work.must_stop() {
                return Ok(Go::Stop);
            }
            self.beat.beat(work, self.files).await?;
            if self.page(work).await? == Go::Stop {
                return Ok(Go::Stop);
            }
        }
        Ok(Go::On)
    }

    /// Resumes the file that an earlier attempt had open.
    async fn resume(&mut self, work: &mut Work) -> Result<(), CallError> {
        let Some(open) = self.state.open.take() else { return Ok(()) };
        let closing = open.closing;
        match Sink::resume(self.files, work, &self.naming(open.part), open).await? {
            Some(sink) if closing => self.close(sink).await?,
            Some(sink) => self.sink = Some(sink),
            None => {
                tracing::warn!(
                    segment = self.input.segment.number,
                    "what was written is gone; the segment begins anew"
                );
                self.state = ScanCheckpoint::default();
                let progress = &mut work.progress;
                (progress.processed, progress.matched, progress.changed) = (0, 0, 0);
            }
        }
        Ok(())
    }

    async fn page(&mut self, work: &mut Work) -> Result<Go, CallError> {
        let start = match &self.state.at {
            ScanPosition::After(key) => Some(from_json(key).ok_or_else(no_key)?),
            _ => None,
        };
        let from = work.site().clock.now();
        let limiter = work.limits().read.clone();
        let (page, written) = if self.task.format == Format::DynamodbJson {
            let page = self.scan.text_page(&self.calls, &limiter, self.input.segment, start.as_ref()).await?;
            let (page, items) = PageCounts::split(page);
            let encoded = encode_texts(&items, &self.input.keys);
            (page, self.write(work, encoded, None).await?)
        } else {
            let page = self.scan.page(&self.calls, &limiter, self.input.segment, start.as_ref()).await?;
            let (page, items) = PageCounts::split(page);
            let Some((encoded, columns)) = self.encode(work, items).await? else { return Ok(Go::Stop) };
            (page, self.write(work, encoded, columns).await?)
        };
        let read = ReadWindow { from, to: work.site().clock.now() };
        self.state.window = Some(self.state.window.map_or(read, |window| window.and(read)));
        self.state.at = page.next.map_or(ScanPosition::End, |key| ScanPosition::After(to_json(&key)));
        work.progress.read_units += page.units;
        work.progress.processed += page.scanned;
        work.progress.matched += page.matched;
        work.progress.changed += written;
        if let Some(sink) = &mut self.sink {
            sink.open.closing = self.state.at == ScanPosition::End || sink.is_full(self.task.file_bytes);
        } else if self.state.at == ScanPosition::End {
            // The batch's end says all that a checkpoint would.
            return Ok(Go::On);
        }
        let go = self.save(work).await?;
        if go == Go::On
            && let Some(sink) = self.sink.take_if(|sink| sink.open.closing)
        {
            self.close(sink).await?;
        }
        Ok(go)
    }

    /// The bytes of items that are values, and of CSV the columns; nothing if the work has to stop.
    async fn encode(
        &mut self,
        work: &mut Work,
        mut items: Vec<Item>,
    ) -> Result<Option<(Encoded, Option<Columns>)>, CallError> {
        let mut refused = Vec::new();
        if !self.make_columns(work, &mut items, &mut refused).await? {
            return Ok(None);
        }
        let columns = match &self.sink {
            Some(sink) => sink.open.columns.clone(),
            None => self.task.columns.clone().or_else(|| self.state.columns.clone()),
        };
        let header = self.sink.is_none();
        let mut encoded = encode(self.task.format, columns.as_ref(), header, &items, &self.input.keys)?;
        encoded.refused.splice(..0, refused);
        Ok(Some((encoded, columns)))
    }

    /// For CSV: takes in the columns of a page. A file's header cannot grow: the next file has the new one. `false` if
    /// the work has to stop.
    async fn make_columns(
        &mut self,
        work: &mut Work,
        items: &mut Vec<Item>,
        refused: &mut Vec<(Value, String)>,
    ) -> Result<bool, CallError> {
        if self.task.format != Format::Csv || self.task.columns.is_some() {
            return Ok(true);
        }
        let keys: Vec<&str> = self.input.keys.names().collect();
        let mut columns = self.state.columns.clone().unwrap_or_else(|| Columns::new(&keys));
        let grew = grow(&mut columns, items, &self.input.keys, refused);
        if grew && let Some(sink) = &mut self.sink {
            // What the file holds has to be fixed before it is closed. The page is not in it yet.
            sink.open.closing = true;
            if self.save(work).await? == Go::Stop {
                return Ok(false);
            }
            if let Some(sink) = self.sink.take() {
                self.close(sink).await?;
            }
        }
        self.state.columns = Some(columns);
        Ok(true)
    }

    /// Adds a page to the file, which is begun if there is none; tells how many items were written.
    async fn write(
        &mut self,
        work: &mut Work,
        page: Encoded,
        columns: Option<Columns>,
    ) -> Result<u64, CallError> {
        let Encoded { bytes, digest, refused } = page;
        for (key, reason) in &refused {
            work.refuse(key, reason);
            self.state.refused += 1;
        }
        if digest.count == 0 {
            return Ok(0);
        }
        if self.sink.is_none() {
            let part = u32::try_from(self.state.files.len()).unwrap_or(u32::MAX);
            let naming = self.naming(part);
            self.sink = Some(Sink::begin(self.files, work, &naming, self.task.gzip, columns).await?);
        }
        if let Some(sink) = &mut self.sink {
            sink.append(work, bytes, digest).await?;
        }
        self.state.digest += digest;
        Ok(digest.count)
    }

    async fn save(&mut self, work: &mut Work) -> Result<Go, WorkError> {
        self.state.open = self.sink.as_ref().map(|sink| sink.open.clone());
        let saved = work.save(&self.state).await;
        self.state.open = None;
        saved
    }

    async fn close(&mut self, sink: Sink) -> Result<(), WorkError> {
        self.state.files.push(sink.finish().await?);
        Ok(())
    }

    fn scanned(self, work: &Work) -> Scanned {
        let now = work.site().clock.now();
        Scanned {
            folder: self.input.folder.clone(),
            record: SegmentRecord {
                segment: self.input.segment.number,
                window: self.state.window.unwrap_or(ReadWindow { from: now, to: now }),
                refused: self.state.refused,
                digest: self.state.digest,
            },
            files: self.state.files,
        }
    }
}

/// The position may be the key of a person's item, which a job's record must not name.
fn no_key() -> WorkError {
    WorkError::Failed("the checkpoint is invalid: its position is not a key. Resubmit the job.".to_owned())
}
