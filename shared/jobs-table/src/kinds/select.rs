//! The batches that note the keys of items, for a job that changes so many at most.
//!
//! Which items are changed is decided before the first one is: their keys are in objects of the job, and the stage that
//! changes them looks at no others. So no number of workers, kills and repetitions changes more.

use nextbasket_job_engine::work::Go;
use nextbasket_job_engine::{Outcome, Work};

use crate::batch::{BatchCheckpoint, BatchInput, BatchPosition};
use crate::bins::{SortedKeys, Sorter};
use crate::parameters::{Split, TableParameters};
use crate::source::ItemSource;
use crate::totals::ItemTotals;
use nextbasket_items::scan::Projection;
use nextbasket_items::segment::Segment;
use nextbasket_job_engine::calls::{CallError, Calls};

pub(super) async fn work(
    work: &mut Work,
    calls: &Calls,
    parameters: &TableParameters,
    input: &BatchInput,
    (segment, most): (Segment, u64),
    mut state: BatchCheckpoint,
) -> Result<Outcome, CallError> {
    let names: Vec<&str> = input.keys.names().collect();
    let scan = parameters.scan(Projection::Attributes(&names), input.now, input.mean_bytes);
    let mut source = ItemSource::Segment(scan, segment);
    let mut sorter = Sorter::load(work, Split::Size, true, state.sorter.clone()).await?;
    while state.at != BatchPosition::End {
        if work.must_stop() {
            return Ok(Outcome::Stopped);
        }
        let (mut page, units) = source.page(work, calls, &state.at).await?;
        let left = most.saturating_sub(work.progress.matched);
        page.items.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        work.progress.read_units += units;
        work.progress.processed += page.scanned;
        work.progress.matched += page.items.len() as u64;
        state.sorter = sorter.take(work, &page.items, |item| input.keys.of(item)).await?.clone();
        state.at = if work.progress.matched >= most { BatchPosition::End } else { page.end };
        // The batch's end says so where it is the end.
        if state.at != BatchPosition::End && work.save(&state).await? == Go::Stop {
            return Ok(Outcome::Stopped);
        }
    }
    let sorted = sorter.finish(work).await?;
    Ok(Outcome::done(&SortedKeys { tally: ItemTotals::of(&work.progress), ..sorted })?)
}
