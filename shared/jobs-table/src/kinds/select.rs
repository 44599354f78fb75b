//! The stages that note the keys of items, for a job that changes so many at most.
//!
//! Which items are changed is decided before the first one is: their keys are in objects of the job, and the stage that
//! changes them looks at no others. So no number of workers, kills and repetitions changes more.

use nextbasket_job_engine::work::Go;
use nextbasket_job_engine::{BatchPlan, JobError, Kind as _, Next, Outcome, Planning, Work};
use serde_json::json;

use super::{TableOperation, plan};
use crate::batch::{BatchCheckpoint, BatchInput, BatchPart, BatchPosition};
use crate::bins::{RunList, SortedKeys, Sorter};
use crate::parameters::{Split, TableParameters};
use crate::source::ItemSource;
use crate::totals::ItemTotals;
use nextbasket_items::scan::Projection;
use nextbasket_items::segment::{Segment, segments};
use nextbasket_items::table::Table;
use nextbasket_job_engine::calls::{CallError, Calls};

/// The name of these stages.
pub(super) const STAGE: &str = "select";

fn stages(planning: &Planning<'_>) -> impl Iterator<Item = u32> {
    planning.job.stages.iter().filter(|stage| stage.name == STAGE).map(|stage| stage.number)
}

/// What these stages have read.
pub(super) async fn read(planning: &Planning<'_>) -> Result<ItemTotals, JobError> {
    let mut read = ItemTotals::default();
    for number in stages(planning) {
        let keys: Option<SortedKeys> = planning.sum(number, SortedKeys::plus).await?;
        read = read + keys.unwrap_or_default().tally;
    }
    Ok(read)
}

/// The segments from `first` on, twice as many as before them: each notes at most `most` keys.
pub(super) fn stage(
    planning: &Planning<'_>,
    parameters: &TableParameters,
    table: &Table,
    first: u32,
    most: u64,
) -> Result<Next, JobError> {
    let of = match planning.job.stages.first().and_then(|stage| stage.split.get("segments")) {
        // As the first of these stages was planned: the table may have grown.
        Some(known) => serde_json::from_value(known.clone())?,
        None => segments(parameters.segments, table.bytes, table.items),
    };
    let count = if first == 0 { parameters.width() } else { first.saturating_mul(2) };
    let end = first.saturating_add(count).min(of);
    let batch = |number: u32| {
        let part = BatchPart::Select { segment: Segment { number, of }, most };
        BatchPlan { weight: 1, ..BatchPlan::new(json!(plan::input(planning.job.created_at, table, part))) }
    };
    let split = json!({ "by": "size", "segments": of, "from": first, "to": end });
    Ok(Next::Stage(plan::stage(STAGE, split, parameters, (first..end).map(batch).collect())))
}

/// More segments, or the batches that change what was noted.
pub(super) async fn next(
    operation: TableOperation,
    planning: &Planning<'_>,
    parameters: &TableParameters,
    limit: u64,
) -> Result<Next, JobError> {
    let (mut noted, mut left) = (Vec::new(), limit);
    for number in stages(planning) {
        for keys in planning.results::<SortedKeys>(number).await? {
            let count = keys.bins.values().sum::<u64>().min(left);
            if count > 0 {
                noted.push((RunList { runs: keys.runs, most: Some(count) }, count));
                left -= count;
            }
        }
    }
    let table = Table::of_job(&planning.site.dynamodb, &parameters.table).await?;
    let read = |end: &str| -> Option<u32> {
        let split = &planning.job.stage()?.split;
        u32::try_from(split.get(end)?.as_u64()?).ok()
    };
    if let (true, Some(next), Some(of)) = (left > 0, read("to"), read("segments"))
        && next < of
    {
        return stage(planning, parameters, &table, next, left);
    }
    let mut batches = Vec::with_capacity(noted.len());
    for (n, (list, count)) in noted.iter().enumerate() {
        let runs = planning.put_json(&format!("selected-{n:06}.json"), list).await?;
        let part = BatchPart::Bin { bin: 0, name: "selected".to_owned(), runs };
        let input = json!(plan::input(planning.job.created_at, &table, part));
        batches.push(BatchPlan { weight: *count, of: Some(*count), ..BatchPlan::new(input) });
    }
    let split = json!({ "by": "size", "items": limit - left, "limit": limit });
    Ok(Next::Stage(plan::stage(operation.name(), split, parameters, batches)))
}

/// Notes keys of a segment, `most` of them at most.
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
