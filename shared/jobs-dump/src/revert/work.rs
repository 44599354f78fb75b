//! A file of an incremental export: each of its items back to what it was.

use std::collections::{BTreeSet, HashMap, HashSet};

use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, ReturnValue};
use derive_more::{Add, AddAssign, Sum};
use futures::StreamExt;
use nextbasket_dynamodb::capacity::Consuming;
use nextbasket_dynamodb::item::Item;
use nextbasket_items::fetch::fetch;
use nextbasket_items::key::{KeySchema, hash, to_json};
use nextbasket_items::spawned::spawned;
use nextbasket_items::write::{ItemGuard, WriteGuard};
use nextbasket_job_engine::calls::{CallError, Calls};
use nextbasket_job_engine::limit::Limiter;
use nextbasket_job_engine::work::Go;
use nextbasket_job_engine::{Outcome, Work, WorkError};
use nextbasket_objects::Files;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::RevertTask;
use super::images::Images;
use crate::diff::same_items;
use crate::equality_condition::EqualityCondition;
use crate::format::Format;
use crate::records::{FileReading, Piece, Record, Records};
use crate::restore::load::check_md5;
use crate::source::SourceFile;

/// How many items are looked at between two checkpoints: as many as one call reads.
const PART: usize = 100;
/// How many writes are under way at a time.
const AT_ONCE: usize = 16;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RevertInput {
    pub file: SourceFile,
    pub keys: KeySchema,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Add, AddAssign, Sum, Serialize, Deserialize)]
pub(super) struct Reverted {
    pub lines: u64,
    /// Items that are what they were again.
    pub restored: u64,
    /// Items that had not been there.
    pub deleted: u64,
    /// They were as before already: reverted by others, or before a kill.
    pub already: u64,
    /// They are not what the export says any more, and stay.
    pub changed_since: u64,
    /// Of those, the ones that were changed in the moment of their write, and put back.
    pub put_back: u64,
    /// Items of erased users, which the table must not get.
    pub erased: u64,
    pub refused: u64,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Checkpoint {
    line: u64,
    reverted: Reverted,
}

/// What a table's items are written with.
#[derive(Clone)]
struct Writes {
    calls: Calls,
    reads: Limiter,
    limiter: Limiter,
    table: String,
    keys: KeySchema,
}

/// One item's way back.
struct Revertal {
    line: u64,
    key: Item,
    /// What it was; `None` if it was not there.
    target: Option<Item>,
    /// What it is now.
    there: Option<Item>,
    condition: EqualityCondition,
}

enum Became {
    Restored,
    Deleted,
    Changed,
    PutBack,
    Refused(String),
}

pub(super) async fn work(
    work: &mut Work,
    files: &Files,
    task: &RevertTask,
    guard: &WriteGuard,
) -> Result<Outcome, CallError> {
    let input: RevertInput = work.input()?;
    let name = &input.file.name;
    let mut state = work.checkpoint::<Checkpoint>()?.unwrap_or_default();
    if state.line == 0 {
        check_md5(files, &input.file).await?;
    }
    let guard = guard.of(&task.table).await.map_err(WorkError::from)?;
    let keys = input.keys.clone();
    let read = move |_, text: &[u8]| Images::read(&keys, text);
    let reading = FileReading::from(Format::DynamodbJson);
    let mut records: Records<Images> =
        Records::open_with(files, input.file.found()?, reading, state.line, read).await?;
    let reverting = Reverting {
        writes: Writes {
            calls: Calls::new(work),
            reads: work.limits().read.clone(),
            limiter: work.limits().write.clone(),
            table: task.table.clone(),
            keys: input.keys.clone(),
        },
        file: name,
        force: task.force,
        guard,
    };
    loop {
        match records.next().await.map_err(WorkError::from)? {
            Piece::Chunk(mut chunk) => {
                while !chunk.is_empty() {
                    let rest = chunk.split_off(chunk.len().min(PART));
                    if reverting.part(work, chunk, &mut state).await? == Go::Stop {
                        return Ok(Outcome::Stopped);
                    }
                    chunk = rest;
                }
            }
            Piece::End { .. } => return Ok(Outcome::done(&state.reverted)?),
        }
    }
}

struct Reverting<'a> {
    writes: Writes,
    file: &'a str,
    force: bool,
    guard: Option<ItemGuard>,
}

impl Reverting<'_> {
    async fn part(
        &self,
        work: &mut Work,
        chunk: Vec<Record<Images>>,
        state: &mut Checkpoint,
    ) -> Result<Go, CallError> {
        let keys = &self.writes.keys;
        let (mut changes, mut seen) = (Vec::with_capacity(chunk.len()), HashSet::new());
        for Record { line, change } in chunk {
            state.line = line;
            state.reverted.lines += 1;
            match change {
                Ok(images) if !seen.insert(hash(keys, &images.key)) => {
                    self.refuse(work, state, line, Some(&images.key), "the export has its key twice");
                }
                Ok(images) => changes.push((line, images)),
                Err(problem) => self.refuse(work, state, line, None, &problem),
            }
        }
        let looked_up: Vec<Item> = changes.iter().map(|(_, images)| images.key.clone()).collect();
        let Writes { calls, reads, table, .. } = &self.writes;
        let (there, read_units) = fetch(calls, reads, table, &looked_up).await?;
        work.progress.read_units += read_units;
        let mut there: HashMap<u128, Item> =
            there.into_iter().map(|item| (hash(keys, &keys.of(&item)), item)).collect();
        let around: BTreeSet<String> = there.values().flat_map(|item| item.keys().cloned()).collect();
        let mut wanted = Vec::new();
        for (line, images) in changes {
            let there = there.remove(&hash(keys, &images.key));
            if same(there.as_ref(), images.old.as_ref())? {
                state.reverted.already += 1;
            } else if !self.force && !same(there.as_ref(), images.new.as_ref())? {
                state.reverted.changed_since += 1;
                self.list(work, line, Some(&images.key), "it was changed since");
            } else if images.old.as_ref().is_some_and(|old| self.bars(old)) {
                state.reverted.erased += 1;
            } else {
                let Images { key, old, .. } = images;
                let condition = condition(keys, there.as_ref(), &around);
                wanted.push(Revertal { line, key, target: old, there, condition });
            }
        }
        self.write(work, wanted, state).await?;
        work.progress.processed = state.reverted.lines;
        work.progress.matched = state.reverted.lines;
        work.progress.changed = state.reverted.restored + state.reverted.deleted;
        Ok(work.save(state).await?)
    }

    fn bars(&self, item: &Item) -> bool {
        self.guard.as_ref().is_some_and(|guard| guard.bars(item))
    }

    async fn write(
        &self,
        work: &mut Work,
        wanted: Vec<Revertal>,
        state: &mut Checkpoint,
    ) -> Result<(), CallError> {
        let writes = futures::stream::iter(wanted)
            .map(|revertal| {
                let writes = self.writes.clone();
                spawned(async move {
                    let (line, key) = (revertal.line, revertal.key.clone());
                    writes.revert(revertal).await.map(|(became, units)| (line, key, became, units))
                })
            })
            .buffer_unordered(AT_ONCE);
        for written in writes.collect::<Vec<_>>().await {
            let (line, key, became, units) = written?;
            work.progress.write_units += units;
            match became {
                Became::Restored => state.reverted.restored += 1,
                Became::Deleted => state.reverted.deleted += 1,
                Became::Changed | Became::PutBack => {
                    state.reverted.changed_since += 1;
                    state.reverted.put_back += u64::from(matches!(became, Became::PutBack));
                    self.list(work, line, Some(&key), "it was changed in the moment of its revert");
                }
                Became::Refused(reason) => self.refuse(work, state, line, Some(&key), &reason),
            }
        }
        Ok(())
    }

    fn refuse(&self, work: &mut Work, state: &mut Checkpoint, line: u64, key: Option<&Item>, reason: &str) {
        self.list(work, line, key, reason);
        state.reverted.refused += 1;
    }

    fn list(&self, work: &mut Work, line: u64, key: Option<&Item>, reason: &str) {
        let mut what = json!({ "file": self.file, "line": line });
        if let (Some(key), Some(what)) = (key, what.as_object_mut()) {
            what.insert("key".to_owned(), to_json(key));
        }
        work.refuse(&what, reason);
    }
}

fn same(one: Option<&Item>, other: Option<&Item>) -> Result<bool, WorkError> {
    match (one, other) {
        (None, None) => Ok(true),
        (Some(one), Some(other)) => Ok(same_items(one, other)?),
        _ => Ok(false),
    }
}

/// That the item is still what was read.
fn condition(keys: &KeySchema, there: Option<&Item>, around: &BTreeSet<String>) -> EqualityCondition {
    match there {
        Some(there) => EqualityCondition::of(keys, there, around),
        None => EqualityCondition {
            condition: "attribute_not_exists(#k)".to_owned(),
            names: HashMap::from([("#k".to_owned(), keys.partition.name.clone())]),
            values: HashMap::new(),
        },
    }
}

impl Writes {
    async fn revert(&self, revertal: Revertal) -> Result<(Became, f64), CallError> {
        let Revertal { key, target, there, condition, .. } = revertal;
        let done = if target.is_some() { Became::Restored } else { Became::Deleted };
        let written = match &target {
            Some(target) => self.put(target, &condition).await,
            None => self.delete(&key, &condition).await,
        };
        let (was, units) = match written {
            Ok(written) => written,
            Err(CallError::Refused(refused)) if refused.is_condition() => {
                // It may have been written by a call whose answer was lost.
                let (now, _) =
                    fetch(&self.calls, &self.reads, &self.table, std::slice::from_ref(&key)).await?;
                let is_done = same(now.first(), target.as_ref())?;
                return Ok((if is_done { done } else { Became::Changed }, 0.0));
            }
            Err(CallError::Refused(refused)) => return Ok((Became::Refused(refused.reason()), 0.0)),
            Err(error) => return Err(error),
        };
        match was {
            // A condition cannot say "and no other attribute".
            Some(was) if !same(Some(&was), there.as_ref())? => {
                let condition = condition_after(&self.keys, target.as_ref());
                let back = match self.put(&was, &condition).await {
                    Ok((_, units)) => units,
                    Err(CallError::Refused(refused)) if refused.is_condition() => 0.0,
                    Err(error) => return Err(error),
                };
                Ok((Became::PutBack, units + back))
            }
            _ => Ok((done, units)),
        }
    }

    /// Puts an item, and gives the one that it replaced.
    async fn put(
        &self,
        item: &Item,
        unchanged: &EqualityCondition,
    ) -> Result<(Option<Item>, f64), CallError> {
        let send = || {
            self.calls
                .client
                .put_item()
                .table_name(&self.table)
                .set_item(Some(item.clone()))
                .condition_expression(&unchanged.condition)
                .set_expression_attribute_names(Some(unchanged.names.clone()))
                .set_expression_attribute_values(unchanged.request_values())
                .return_values(ReturnValue::AllOld)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
        };
        let (output, units) =
            self.calls.call(&self.table, &self.limiter, None, send, Consuming::units).await?;
        Ok((output.attributes, units))
    }

    /// Deletes an item, and gives it.
    async fn delete(
        &self,
        key: &Item,
        unchanged: &EqualityCondition,
    ) -> Result<(Option<Item>, f64), CallError> {
        let send = || {
            self.calls
                .client
                .delete_item()
                .table_name(&self.table)
                .set_key(Some(key.clone()))
                .condition_expression(&unchanged.condition)
                .set_expression_attribute_names(Some(unchanged.names.clone()))
                .set_expression_attribute_values(unchanged.request_values())
                .return_values(ReturnValue::AllOld)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
        };
        let (output, units) =
            self.calls.call(&self.table, &self.limiter, None, send, Consuming::units).await?;
        Ok((output.attributes, units))
    }
}

/// That the item is still what was just written.
fn condition_after(keys: &KeySchema, target: Option<&Item>) -> EqualityCondition {
    condition(keys, target, &BTreeSet::new())
}
