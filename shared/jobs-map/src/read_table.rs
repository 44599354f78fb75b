//! Stage `read`: a segment of a table to objects of lines.

use nextbasket_items::key;
use nextbasket_items::scan::{Projection, Scan, ScanPage};
use nextbasket_items::segment::Segment;
use nextbasket_job_engine::calls::{CallError, Calls};
use nextbasket_job_engine::work::Go;
use nextbasket_job_engine::{Outcome, Work, WorkError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::item_lines;
use crate::parameters::{BatchSplit, MapInput, MapTask};
use crate::record_bins::{BinObject, HELD, RecordBins};

/// What a batch of `read` or of `sort` leaves.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sorted {
    /// The record with the columns' names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    #[serde(rename = "sheaves")]
    pub bin_objects: Vec<BinObject>,
}

#[derive(Serialize, Deserialize)]
struct Checkpoint {
    after: Value,
    #[serde(rename = "sheaves")]
    bin_objects: Vec<BinObject>,
}

pub(crate) async fn work(work: &mut Work, task: &MapTask) -> Result<Outcome, CallError> {
    let MapInput::Table { name, filter, form, .. } = &task.input else {
        return Err(WorkError::Failed("the job has no table".to_owned()).into());
    };
    let segment: Segment = work.input()?;
    let scan = Scan::new(name, filter.as_deref(), Projection::Whole, work.job().created_at);
    let calls = Calls::new(work);
    let (mut after, mut bin_objects) = match work.checkpoint::<Checkpoint>()? {
        Some(Checkpoint { after, bin_objects }) => {
            let begin = key::from_json(&after);
            let begin = begin.ok_or_else(|| {
                WorkError::Failed(
                    "the checkpoint is invalid: it has no key. Submit the job again.".to_owned(),
                )
            })?;
            (Some(begin), bin_objects)
        }
        None => (None, Vec::new()),
    };
    let (mut bins, mut pages) = (RecordBins::default(), 0_i64);
    loop {
        let limiter = &work.limits().read;
        let page = scan.page(&calls, limiter, segment, after.as_ref()).await?;
        let ScanPage { items, scanned, next, units, .. } = page;
        work.progress.read_units += units;
        work.progress.processed += scanned;
        for item in items {
            work.progress.matched += 1;
            let line = item_lines::line(&item, *form);
            let bin = match &task.split {
                BatchSplit::Size => Some(page_bin(&bins, &mut pages, task)),
                BatchSplit::Time { attribute, every } => {
                    let every = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
                    item_lines::period_of(&item, attribute.as_deref().unwrap_or_default(), every)
                }
                BatchSplit::Feature { attribute, parts } => {
                    Some(item_lines::part_of(&item, attribute, *parts))
                }
            };
            bins.add(bin, line.as_bytes());
        }
        // By size nothing is held longer than a page; otherwise bins would be cut into slivers.
        if next.is_none() || task.split == BatchSplit::Size || bins.bytes() >= HELD {
            bin_objects.extend(bins.write(work, bin_objects.len()).await?);
            let Some(next) = &next else {
                return Ok(Outcome::done(&Sorted { header: None, bin_objects })?);
            };
            let checkpoint = Checkpoint { after: key::to_json(next), bin_objects };
            if work.save(&checkpoint).await? == Go::Stop {
                return Ok(Outcome::Stopped);
            }
            bin_objects = checkpoint.bin_objects;
        } else if work.must_stop() {
            return Ok(Outcome::Stopped);
        }
        after = next;
    }
}

/// The page that is being filled, or the next one if it is full.
fn page_bin(bins: &RecordBins, pages: &mut i64, task: &MapTask) -> i64 {
    let (bytes, items) = bins.size(Some(*pages));
    let full = u64::try_from(bytes).unwrap_or(u64::MAX) >= task.batch_bytes;
    if full || task.batch_items.is_some_and(|most| items >= most) {
        *pages += 1;
    }
    *pages
}
