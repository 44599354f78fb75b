//! The batches that sort a table's keys into bins.

use nextbasket_job_engine::work::Go;
use nextbasket_job_engine::{Outcome, Work};

use super::TableOperation;
use crate::batch::{BatchCheckpoint, BatchInput, BatchPosition};
use crate::bins::{SortedKeys, Sorter};
use crate::parameters::{Split, TableParameters};
use crate::source::ItemSource;
use crate::totals::ItemTotals;
use nextbasket_items::key::KeySchema;
use nextbasket_items::scan::Projection;
use nextbasket_items::segment::Segment;
use nextbasket_job_engine::calls::{CallError, Calls};

pub(super) async fn work(
    operation: TableOperation,
    work: &mut Work,
    calls: &Calls,
    parameters: &TableParameters,
    input: &BatchInput,
    segment: Segment,
    mut state: BatchCheckpoint,
) -> Result<Outcome, CallError> {
    let split = parameters.split.clone().unwrap_or(Split::Size);
    let names: Vec<&str> = input.keys.names().chain(split.attribute()).collect();
    let scan = parameters.scan(Projection::Attributes(&names), input.now, input.mean_bytes);
    let mut source = ItemSource::Segment(scan, segment);
    // A count needs no keys.
    let mut sorter = Sorter::load(work, split, operation.changes(), state.sorter.clone()).await?;
    while state.at != BatchPosition::End {
        if page(work, calls, &mut source, &mut sorter, &input.keys, &mut state).await? == Go::Stop {
            return Ok(Outcome::Stopped);
        }
    }
    let sorted = sorter.finish(work).await?;
    Ok(Outcome::done(&SortedKeys { tally: ItemTotals::of(&work.progress), ..sorted })?)
}

/// One page, up to its checkpoint.
async fn page(
    work: &mut Work,
    calls: &Calls,
    source: &mut ItemSource,
    sorter: &mut Sorter,
    keys: &KeySchema,
    state: &mut BatchCheckpoint,
) -> Result<Go, CallError> {
    if work.must_stop() {
        return Ok(Go::Stop);
    }
    let (page, units) = source.page(work, calls, &state.at).await?;
    work.progress.read_units += units;
    work.progress.processed += page.scanned;
    work.progress.matched += page.matched;
    state.sorter = sorter.take(work, &page.items, |item| keys.of(item)).await?.clone();
    state.at = page.end;
    if state.at == BatchPosition::End {
        // The batch's end says so.
        return Ok(Go::On);
    }
    Ok(work.save(state).await?)
}
