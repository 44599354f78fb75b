//! The batches that sort a table's keys into bins.

use nextbasket_batch::work::Go;
use nextbasket_batch::{Outcome, Work, WorkError};

use super::What;
use crate::bins::{Sorted, Sorter};
use crate::calls::{CallError, Calls};
use crate::input::{Checkpoint, Input, Position};
use crate::key::KeySchema;
use crate::parameters::{Parameters, Split};
use crate::scan::{Scan, Segment, Wanted};
use crate::source::Source;
use crate::tally::Tally;

pub(super) async fn work(
    what: What,
    work: &mut Work,
    calls: &Calls,
    parameters: &Parameters,
    input: &Input,
    segment: Segment,
    mut state: Checkpoint,
) -> Result<Outcome, WorkError> {
    let split = parameters.split.clone().unwrap_or(Split::Size);
    let condition = parameters.condition().map_err(|refusal| WorkError::Failed(refusal.to_string()))?;
    let names: Vec<&str> = input.keys.names().chain(split.attribute()).collect();
    let scan = Scan::new(&parameters.table, condition.as_ref(), Wanted::Attributes(&names), input.now)
        .consistent(parameters.consistent_read)
        .pages_of(parameters.batch_size, input.mean_bytes);
    let mut source = Source::Segment(scan, segment);
    // A count needs no keys.
    let mut sorter = Sorter::load(work, split, what.changes(), state.sorter.clone()).await?;
    while state.at != Position::End {
        match page(work, calls, &mut source, &mut sorter, &input.keys, &mut state).await {
            Ok(Go::On) => {}
            Ok(Go::Stop) | Err(CallError::Stopped) => return Ok(Outcome::Stopped),
            Err(CallError::Failed(error)) => return Err(error),
            Err(CallError::Refused(refused)) => return Err(WorkError::Failed(refused.reason())),
        }
    }
    let sorted = sorter.finish(work).await?;
    Outcome::done(&Sorted { tally: Tally::of(&work.progress), ..sorted })
}

/// One page, up to its checkpoint.
async fn page(
    work: &mut Work,
    calls: &Calls,
    source: &mut Source,
    sorter: &mut Sorter,
    keys: &KeySchema,
    state: &mut Checkpoint,
) -> Result<Go, CallError> {
    if work.must_stop() {
        return Ok(Go::Stop);
    }
    let (page, units) = calls.watched(work, source.page(work, calls, &state.at)).await?;
    work.progress.read_units += units;
    work.progress.processed += page.scanned;
    work.progress.matched += page.matched;
    state.sorter = sorter.take(work, &page.items, |item| keys.of(item)).await?.clone();
    state.at = page.end;
    if state.at == Position::End {
        // The batch's end says so.
        return Ok(Go::On);
    }
    Ok(work.save(state).await?)
}
