//! One batch of a job.

use std::sync::Arc;

use nextbasket_job_engine::{Outcome, Work, WorkError};

use super::{TableOperation, select, split};
use crate::batch::{BatchCheckpoint, BatchInput, BatchPart};
use crate::bins::BinKeys;
use crate::generated::ItemGenerator;
use crate::matched_items::MatchedItems;
use crate::page_loop::{Action, ConditionAfter, PageLoop, RunningBatch};
use crate::parameters::TableParameters;
use crate::source::ItemSource;
use nextbasket_items::expression::{Change, Condition};
use nextbasket_items::key::KeySchema;
use nextbasket_items::scan::Projection;
use nextbasket_items::transform::Transform;
use nextbasket_items::write::delete::Delete;
use nextbasket_items::write::put::Put;
use nextbasket_items::write::statements::Statements;
use nextbasket_items::write::update::Update;
use nextbasket_items::write::{ItemGuard, OnConflict, WriteGuard, Writer};
use nextbasket_job_engine::calls::{CallError, Calls};

pub(super) async fn work(
    operation: TableOperation,
    work: &mut Work,
    parameters: &TableParameters,
    guard: &WriteGuard,
) -> Result<Outcome, CallError> {
    let input: BatchInput = work.input()?;
    let state: BatchCheckpoint = work.checkpoint()?.unwrap_or_default();
    let calls = Calls::new(work);
    match input.part {
        BatchPart::Split(segment) => {
            return split::work(operation, work, &calls, parameters, &input, segment, state).await;
        }
        BatchPart::Select { segment, most } => {
            return select::work(work, &calls, parameters, &input, (segment, most), state).await;
        }
        _ => {}
    }
    let guard = match &parameters.to {
        Some(to) if to.is_of_site() => guard.of(&to.table).await.map_err(WorkError::from)?,
        _ => None,
    };
    let target = match &parameters.to {
        // The keys of the target are others only if the items get them on the way.
        Some(to) if parameters.set.is_some() => to.describe(work.site()).await.map_err(WorkError::from)?.keys,
        _ => input.keys.clone(),
    };
    let pass = pass(operation, parameters, &input, &target, guard)?;
    let source = source(operation, work, parameters, &input).await?;
    let there = match &parameters.to {
        Some(to) => calls.to(&to.client(work.site())),
        None => calls.clone(),
    };
    let seen = match parameters.follow {
        Some(_) => Some(MatchedItems::load(work, input.seen.clone(), state.seen.clone()).await?),
        None => None,
    };
    pass.run(RunningBatch::new(work, calls, there, state, seen), source).await
}

/// What is done with the items.
fn pass(
    operation: TableOperation,
    parameters: &TableParameters,
    input: &BatchInput,
    target: &KeySchema,
    guard: Option<ItemGuard>,
) -> Result<PageLoop, WorkError> {
    let condition = &parameters.r#where;
    let (table, keys, now) = (&parameters.table, &input.keys, input.now);
    let on_conflict = parameters.on_conflict.clone().unwrap_or_default();
    let write = |writer: Writer| Action::Write(Arc::new(writer));
    let mut afterwards = ConditionAfter::Meets;
    let mut transform = None;
    let action = match (operation, &parameters.to) {
        (TableOperation::Count, _) => Action::Count,
        (TableOperation::Update, _) => {
            let change = parameters.set.as_ref();
            let change = change.ok_or_else(|| WorkError::Failed("the job has no change".to_owned()))?;
            afterwards = after(change, condition.as_ref());
            let update = Update::new(table, keys, condition.clone(), change, now);
            if change.is_idempotent() {
                let alone = update.clone();
                let statements = Statements::new(table, keys, condition.as_ref(), change, now, alone);
                write(statements.map_or(Writer::Update(update), Writer::Statements))
            } else {
                Action::Once(update)
            }
        }
        (TableOperation::Delete, _) => {
            afterwards = ConditionAfter::Gone;
            write(Writer::Delete(Delete::new(table, keys, condition.clone(), now)))
        }
        (TableOperation::Copy, Some(to)) => {
            let change = parameters.set.clone();
            transform = change.map(|change| Transform::new(change, target.clone(), now));
            write(Writer::Put(Put::new(&to.table, target, on_conflict).guarded(guard)))
        }
        (TableOperation::Copy, None) => {
            return Err(WorkError::Failed("the job has no table to copy to".to_owned()));
        }
        // The same items whenever they are made.
        (TableOperation::Fill, _) => write(Writer::Put(Put::new(table, keys, OnConflict::Overwrite))),
    };
    Ok(PageLoop {
        table: table.clone(),
        keys: keys.clone(),
        condition: condition.clone(),
        now,
        mean_bytes: input.mean_bytes,
        action,
        transform,
        fetches: operation == TableOperation::Copy && matches!(input.part, BatchPart::Bin { .. }),
        afterwards,
    })
}

/// Whether an item still meets the condition when it was changed.
fn after(change: &Change, condition: Option<&Condition>) -> ConditionAfter {
    let Some(condition) = condition else { return ConditionAfter::Meets };
    let writes = change.writes();
    let touched =
        condition.paths().into_iter().any(|path| writes.iter().any(|written| written.overlaps(path)));
    if touched { ConditionAfter::Unknown } else { ConditionAfter::Meets }
}

async fn source(
    operation: TableOperation,
    work: &Work,
    parameters: &TableParameters,
    input: &BatchInput,
) -> Result<ItemSource, WorkError> {
    match &input.part {
        BatchPart::Segment(segment) | BatchPart::Split(segment) | BatchPart::Select { segment, .. } => {
            let names: Vec<&str> = input.keys.names().collect();
            let wanted = match operation {
                TableOperation::Count if parameters.follow.is_none() => Projection::Count,
                TableOperation::Copy => Projection::Whole,
                _ => Projection::Attributes(&names),
            };
            let scan = parameters.scan(wanted, input.now, input.mean_bytes);
            Ok(ItemSource::Segment(scan, *segment))
        }
        BatchPart::Bin { bin, runs, .. } => {
            Ok(ItemSource::Bin(BinKeys::open(work, *bin, runs).await?, parameters.batch_size))
        }
        BatchPart::Items { from, to } => Ok(ItemSource::Made {
            maker: ItemGenerator::new(parameters, &input.keys),
            from: *from,
            to: *to,
            size: parameters.batch_size,
        }),
    }
}
