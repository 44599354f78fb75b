//! A file of an incremental export: each of its items back to what it was.

use std::collections::{BTreeSet, HashMap, HashSet};

use derive_more::{Add, AddAssign, Sum};
use futures::StreamExt;
use nextbasket_dynamodb::item::Item;
use nextbasket_items::fetch::fetch;
use nextbasket_items::key::{KeySchema, hash, to_json};
use nextbasket_items::spawned::spawned;
use nextbasket_items::write::{ItemGuard, WriteGuard};
use nextbasket_job_engine::calls::{CallError, Calls};
use nextbasket_job_engine::work::Go;
use nextbasket_job_engine::{Outcome, Work, WorkError};
use nextbasket_objects::Files;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::RevertTask;
use super::images::Images;
use super::writes::{Became, Revertal, Writes, condition, same};
use crate::format::Format;
use crate::kept_items::{KeptItems, Moment};
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
    let kept = KeptItems::of(work, Moment::Revert);
    let mut reverting = Reverting {
        left_behind: kept.left_behind(state.line).await?.into_iter().collect(),
        writes: Writes {
            calls: Calls::new(work),
            reads: work.limits().read.clone(),
            limiter: work.limits().write.clone(),
            table: task.table.clone(),
            keys: input.keys.clone(),
            kept,
        },
        file: name,
        force: task.force,
        guard,
        may_put: false,
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
    /// Whether it is known that items can be put.
    may_put: bool,
    /// By line, items that were changed in the moment of their revert by an earlier attempt, which has kept them.
    left_behind: HashMap<u64, Item>,
}

/// Why an item stays that was changed while it was reverted.
const IN_THE_MOMENT: &str = "it was changed in the moment of its revert";

impl Reverting<'_> {
    async fn part(
        &mut self,
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
        let (mut wanted, mut returned) = (Vec::new(), Vec::new());
        for (line, images) in changes {
            let there = there.remove(&hash(keys, &images.key));
            if let Some(item) = self.left_behind.remove(&line) {
                returned.push(line);
                let is_back = same(there.as_ref(), Some(&item))?;
                if is_back || same(there.as_ref(), images.old.as_ref())? {
                    if !is_back {
                        work.progress.write_units += self.writes.put_back(line, item, images.old).await?;
                    }
                    state.reverted.changed_since += 1;
                    state.reverted.put_back += 1;
                    self.list(work, line, Some(&images.key), IN_THE_MOMENT);
                    continue;
                }
            }
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
        if let Some(deleted) = wanted.iter().find(|revertal| revertal.target.is_none())
            && !self.may_put
        {
            let Writes { calls, limiter, table, kept, .. } = &self.writes;
            kept.check_may_put(calls, limiter, (table, keys), &deleted.key).await?;
            self.may_put = true;
        }
        self.write(work, wanted, state, &mut returned).await?;
        work.progress.processed = state.reverted.lines;
        work.progress.matched = state.reverted.lines;
        work.progress.changed = state.reverted.restored + state.reverted.deleted;
        let go = work.save(state).await?;
        self.writes.kept.forget(&returned).await;
        Ok(go)
    }

    fn bars(&self, item: &Item) -> bool {
        self.guard.as_ref().is_some_and(|guard| guard.bars(item))
    }

    async fn write(
        &self,
        work: &mut Work,
        wanted: Vec<Revertal>,
        state: &mut Checkpoint,
        returned: &mut Vec<u64>,
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
        // All of them end before the first error counts: what they have kept has to be put back.
        for written in writes.collect::<Vec<_>>().await {
            let (line, key, became, units) = written?;
            work.progress.write_units += units;
            match became {
                Became::Restored => state.reverted.restored += 1,
                Became::Deleted => state.reverted.deleted += 1,
                Became::Changed | Became::PutBack => {
                    state.reverted.changed_since += 1;
                    if matches!(became, Became::PutBack) {
                        state.reverted.put_back += 1;
                        returned.push(line);
                    }
                    self.list(work, line, Some(&key), IN_THE_MOMENT);
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
