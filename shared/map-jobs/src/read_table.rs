//! Stage `read`: a segment of a table to objects of lines.

use nextbasket_batch::work::Go;
use nextbasket_batch::{Outcome, Work, WorkError};
use nextbasket_job_io::patience::Halt;
use nextbasket_table_jobs::calls::{CallError, Calls};
use nextbasket_table_jobs::key;
use nextbasket_table_jobs::scan::{Scan, ScanPage, Segment, Wanted};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bins::{Bins, HELD, Sheaf};
use crate::items;
use crate::parameters::{Input, Split, Task};

/// A segment for every so many bytes, but at least, and at most.
const SEGMENT_BYTES: u64 = 64 << 20;
const FEWEST: u32 = 8;
const MOST: u32 = 1_000;

/// What a batch of `read` or of `sort` leaves.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sorted {
    /// The record with the columns' names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    pub sheaves: Vec<Sheaf>,
}

#[derive(Serialize, Deserialize)]
struct Checkpoint {
    after: Value,
    sheaves: Vec<Sheaf>,
}

/// Into how many segments a table of so many bytes is cut.
pub(crate) fn segments(asked: Option<u32>, bytes: u64) -> u32 {
    let by_size = u32::try_from(bytes / SEGMENT_BYTES).unwrap_or(MOST);
    asked.unwrap_or_else(|| by_size.clamp(FEWEST, MOST))
}

/// Reads the batch's segment.
pub(crate) async fn work(work: &mut Work, task: &Task) -> Result<Outcome, WorkError> {
    match read(work, task).await {
        Ok(sorted) => Outcome::done(&sorted),
        Err(halt) => halt.outcome(),
    }
}

async fn read(work: &mut Work, task: &Task) -> Result<Sorted, Halt> {
    let Input::Table { name, filter, form, .. } = &task.input else {
        return Err(WorkError::Failed("the job has no table".to_owned()).into());
    };
    let segment: Segment = work.input()?;
    let scan = Scan::new(name, filter.as_deref(), Wanted::Whole, work.job().created_at);
    let calls = Calls::new(work);
    let (mut after, mut sheaves) = match work.checkpoint::<Checkpoint>()? {
        Some(Checkpoint { after, sheaves }) => {
            let begin = key::from_json(&after);
            let begin = begin.ok_or_else(|| WorkError::Failed("the checkpoint has no key".to_owned()))?;
            (Some(begin), sheaves)
        }
        None => (None, Vec::new()),
    };
    let (mut bins, mut pages) = (Bins::default(), 0_i64);
    loop {
        let limiter = &work.limits().read;
        let page = calls.watched(work, scan.page(&calls, limiter, segment, after.as_ref()));
        let ScanPage { items, scanned, next, units, .. } = page.await.map_err(halted)?;
        work.progress.read_units += units;
        work.progress.processed += scanned;
        for item in items {
            work.progress.matched += 1;
            let line = items::line(&item, *form);
            let bin = match &task.split {
                Split::Size => Some(page_bin(&bins, &mut pages, task)),
                Split::Time { attribute, every } => {
                    let every = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
                    items::period_of(&item, attribute.as_deref().unwrap_or_default(), every)
                }
                Split::Feature { attribute, parts } => Some(items::part_of(&item, attribute, *parts)),
            };
            bins.add(bin, line.as_bytes());
        }
        // By size nothing is held longer than a page; otherwise bins would be cut into slivers.
        if next.is_none() || task.split == Split::Size || bins.bytes() >= HELD {
            sheaves.extend(bins.write(work, sheaves.len()).await?);
            let Some(next) = &next else { return Ok(Sorted { header: None, sheaves }) };
            let checkpoint = Checkpoint { after: key::to_json(next), sheaves };
            if work.save(&checkpoint).await? == Go::Stop {
                return Err(Halt::Stopped);
            }
            sheaves = checkpoint.sheaves;
        } else if work.must_stop() {
            return Err(Halt::Stopped);
        }
        after = next;
    }
}

/// The page that is being filled, or the next one if it is full.
fn page_bin(bins: &Bins, pages: &mut i64, task: &Task) -> i64 {
    let (bytes, items) = bins.size(Some(*pages));
    let full = u64::try_from(bytes).unwrap_or(u64::MAX) >= task.batch_bytes;
    if full || task.batch_items.is_some_and(|most| items >= most) {
        *pages += 1;
    }
    *pages
}

fn halted(error: CallError) -> Halt {
    match error {
        CallError::Stopped => Halt::Stopped,
        CallError::Refused(refused) => WorkError::Failed(refused.reason()).into(),
        CallError::Failed(error) => error.into(),
    }
}

/// For the plan: a table's split in words.
pub(crate) fn described(task: &Task, segments: u32) -> Value {
    match &task.split {
        Split::Size => serde_json::json!({ "by": "size", "segments": segments }),
        Split::Time { attribute, every } => {
            serde_json::json!({ "by": "time", "attribute": attribute, "everySeconds": every.as_secs(), "segments": segments })
        }
        Split::Feature { attribute, parts } => {
            serde_json::json!({ "by": "feature", "attribute": attribute, "parts": parts, "segments": segments })
        }
    }
}
