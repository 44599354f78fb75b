//! One batch of a job.

use std::sync::Arc;

use nextbasket_batch::{Outcome, Work, WorkError};

use super::{What, split, target};
use crate::bins::BinKeys;
use crate::calls::Calls;
use crate::expression::{Change, Condition};
use crate::fill::Maker;
use crate::input::{Checkpoint, Input, Part};
use crate::parameters::{OnConflict, Parameters};
use crate::pass::{Action, Afterwards, Pass, Running};
use crate::scan::{Scan, Wanted};
use crate::seen::Seen;
use crate::source::Source;
use crate::write::Writer;
use crate::write::delete::Delete;
use crate::write::put::Put;
use crate::write::statements::Statements;
use crate::write::update::Update;

pub(super) async fn work(what: What, work: &mut Work, parameters: &Parameters) -> Result<Outcome, WorkError> {
    let input: Input = work.input()?;
    let state: Checkpoint = work.checkpoint()?.unwrap_or_default();
    let calls = Calls::new(work);
    if let Part::Split(segment) = input.part {
        return split::work(what, work, &calls, parameters, &input, segment, state).await;
    }
    let pass = pass(what, parameters, &input)?;
    let source = source(what, work, parameters, &input).await?;
    let there = match &parameters.to {
        Some(to) => calls.to(&target::client(work.site(), to)),
        None => calls.clone(),
    };
    let seen = match parameters.follow {
        Some(_) => Some(Seen::load(work, input.seen.clone(), state.seen.clone()).await?),
        None => None,
    };
    pass.run(Running::new(work, calls, there, state, seen), source).await
}

/// What is done with the items.
fn pass(what: What, parameters: &Parameters, input: &Input) -> Result<Pass, WorkError> {
    let refused = |refusal: nextbasket_batch::Refusal| WorkError::Failed(refusal.to_string());
    let condition = parameters.condition().map_err(refused)?;
    let change = parameters.change().map_err(refused)?;
    let (table, keys, now) = (&parameters.table, &input.keys, input.now);
    let on_conflict = parameters.on_conflict.clone().unwrap_or_default();
    let write = |writer: Writer| Action::Write(Arc::new(writer));
    let mut afterwards = Afterwards::Meets;
    let action = match (what, &parameters.to) {
        (What::Count, _) => Action::Count,
        (What::Update, _) => {
            let change = change.ok_or_else(|| WorkError::Failed("the job has no change".to_owned()))?;
            afterwards = after(&change, condition.as_ref());
            let update = Update::new(table, keys, condition.clone(), &change, now);
            if change.is_idempotent() {
                let alone = update.clone();
                let statements = Statements::new(table, keys, condition.as_ref(), &change, now, alone);
                write(statements.map_or(Writer::Update(update), Writer::Statements))
            } else {
                Action::Once(update)
            }
        }
        (What::Delete, _) => {
            afterwards = Afterwards::Gone;
            write(Writer::Delete(Delete::new(table, keys, condition.clone(), now)))
        }
        (What::Copy, Some(to)) => write(Writer::Put(Put::new(&to.table, keys, on_conflict))),
        (What::Copy, None) => return Err(WorkError::Failed("the job has no table to copy to".to_owned())),
        // The same items whenever they are made.
        (What::Fill, _) => write(Writer::Put(Put::new(table, keys, OnConflict::Overwrite))),
    };
    Ok(Pass {
        table: table.clone(),
        keys: keys.clone(),
        condition,
        now,
        mean_bytes: input.mean_bytes,
        action,
        fetches: what == What::Copy && matches!(input.part, Part::Bin { .. }),
        afterwards,
    })
}

/// Whether an item still meets the condition when it was changed.
fn after(change: &Change, condition: Option<&Condition>) -> Afterwards {
    let Some(condition) = condition else { return Afterwards::Meets };
    let writes = change.writes();
    let touched =
        condition.paths().into_iter().any(|path| writes.iter().any(|written| written.overlaps(path)));
    if touched { Afterwards::Unknown } else { Afterwards::Meets }
}

/// Where the items come from.
async fn source(
    what: What,
    work: &Work,
    parameters: &Parameters,
    input: &Input,
) -> Result<Source, WorkError> {
    match &input.part {
        Part::Segment(segment) | Part::Split(segment) => {
            let names: Vec<&str> = input.keys.names().collect();
            let wanted = match what {
                What::Count if parameters.follow.is_none() => Wanted::Count,
                What::Copy => Wanted::Whole,
                _ => Wanted::Attributes(&names),
            };
            let condition =
                parameters.condition().map_err(|refusal| WorkError::Failed(refusal.to_string()))?;
            let scan = Scan::new(&parameters.table, condition.as_ref(), wanted, input.now)
                .consistent(parameters.consistent_read)
                .pages_of(parameters.batch_size, input.mean_bytes);
            Ok(Source::Segment(scan, *segment))
        }
        Part::Bin { bin, runs, .. } => {
            Ok(Source::Bin(BinKeys::open(work, *bin, runs).await?, parameters.batch_size))
        }
        Part::Items { from, to } => Ok(Source::Made {
            maker: Maker::new(parameters, &input.keys),
            from: *from,
            to: *to,
            size: parameters.batch_size,
        }),
    }
}
