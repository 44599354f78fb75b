//! The stage `remove`: items whose copies were found to be whole, if they are still what the copies say.
//!
//! A checkpoint before each part's deletions names their lines. So an item that is not there when the part is resumed
//! is known to have been deleted, and not reported as gone.

use std::collections::{BTreeSet, HashMap};

use derive_more::{Add, AddAssign, Sum};
use futures::StreamExt;
use nextbasket_dynamodb::item::Item;
use nextbasket_items::fetch::fetch;
use nextbasket_items::key::{KeySchema, hash, to_json};
use nextbasket_items::spawned::spawned;
use nextbasket_job_engine::calls::{CallError, Calls};
use nextbasket_job_engine::work::Go;
use nextbasket_job_engine::{Outcome, Work, WorkError};
use nextbasket_objects::Files;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::deletion::{Deleter, Deletion, PutBack};
use crate::diff::same_items;
use crate::equality_condition::EqualityCondition;
use crate::format::Format;
use crate::json::LineChange;
use crate::kept_items::{KeptItems, Moment};
use crate::records::{Piece, Record, Records};
use crate::source::SourceFile;

/// How many items are looked at between two checkpoints: as many as one call reads, and at a low rate as many as are
/// deleted in about a second, so that little time passes between the read of an item and its deletion.
const PART: f64 = 100.0;
const PART_SECONDS: f64 = 1.0;
/// How many deletions are under way at a time.
const AT_ONCE: usize = 16;
/// How many names of attributes are remembered: an expression holds fewer.
const MOST_NAMES: usize = 1_000;

const CHANGED: &str = "was changed after it was copied, and stays";
const PUT_BACK: &str = "was changed in the moment of its deletion, and was put back";
const REPLACED: &str = "was changed in the moment of its deletion, and somebody has put a newer item since";

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RemoveInput {
    pub file: SourceFile,
    pub keys: KeySchema,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Add, AddAssign, Sum, Serialize, Deserialize)]
pub(crate) struct Removed {
    pub deleted: u64,
    /// They are not what their copies say any more, and stay.
    pub changed: u64,
    /// They were not there any more: deleted by others.
    pub gone: u64,
    /// Of the changed ones, those that were changed in the moment of their deletion, and put back.
    pub put_back: u64,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Checkpoint {
    line: u64,
    removed: Removed,
    /// The lines behind `line` whose deletions have begun.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    begun: Vec<u64>,
}

/// A batch that is being worked on.
struct Removal {
    deleter: Deleter,
    state: Checkpoint,
    /// The names of attributes that items of this batch have. An item that has not all of them is deleted only if it
    /// has not got the others meanwhile.
    names: BTreeSet<String>,
    /// The lines of items whose deletions an earlier attempt began: where they are gone, it was that one.
    begun_before: Vec<u64>,
    /// Whether it is known that items can be put.
    may_put: bool,
    /// What an earlier attempt kept and this one has put back, by line.
    returned: HashMap<u64, PutBack>,
}

/// What has come of the items of a part.
#[derive(Default)]
struct PartResult {
    removed: Removed,
    /// The keys of items that were changed, and how.
    reported: Vec<(Value, &'static str)>,
    /// The lines of the items that were kept and are back.
    returned: Vec<u64>,
}

impl PartResult {
    fn changed(&mut self, key: &Item, how: &'static str) {
        self.removed.changed += 1;
        self.reported.push((to_json(key), how));
    }

    /// An item that is not there any more.
    fn gone(&mut self, was_begun: bool) {
        if was_begun {
            self.removed.deleted += 1;
        } else {
            self.removed.gone += 1;
        }
    }

    fn put_back(&mut self, line: u64, key: &Item, back: PutBack) {
        self.returned.push(line);
        match back {
            PutBack::InTable => {
                self.removed.put_back += 1;
                self.changed(key, PUT_BACK);
            }
            PutBack::Replaced => self.changed(key, REPLACED),
        }
    }
}

pub(crate) async fn work(work: &mut Work, files: &Files, table: &str) -> Result<Outcome, CallError> {
    let input: RemoveInput = work.input()?;
    let found = input.file.found()?;
    let state = work.checkpoint::<Checkpoint>()?.unwrap_or_default();
    let deleter = Deleter {
        calls: Calls::new(work),
        limits: work.limits().clone(),
        table: table.to_owned(),
        keys: input.keys,
        kept: KeptItems::of(work, Moment::Deletion),
    };
    let mut removal = Removal {
        deleter,
        begun_before: state.begun.clone(),
        state,
        names: BTreeSet::new(),
        may_put: false,
        returned: HashMap::new(),
    };
    removal.resume(work).await?;
    let mut records = Records::open(files, found, Format::DynamodbJson, removal.state.line).await?;
    loop {
        match records.next().await? {
            Piece::Chunk(mut chunk) => {
                while !chunk.is_empty() {
                    let part = work.limits().write.items_in(PART_SECONDS, 1.0, PART);
                    let rest = chunk.split_off(chunk.len().min(part));
                    if removal.part(work, chunk).await? == Go::Stop {
                        return Ok(Outcome::Stopped);
                    }
                    chunk = rest;
                }
            }
            Piece::End { .. } => return Ok(Outcome::done(&removal.state.removed)?),
        }
    }
}

impl Removal {
    /// Puts back what an earlier attempt has kept.
    async fn resume(&mut self, work: &mut Work) -> Result<(), CallError> {
        for (line, item) in self.deleter.kept.left_behind(self.state.line).await? {
            let (back, units) = self.deleter.put_back((line, &item)).await?;
            work.progress.write_units += units;
            self.returned.insert(line, back);
        }
        Ok(())
    }

    async fn part(&mut self, work: &mut Work, chunk: Vec<Record>) -> Result<Go, CallError> {
        let mut copies = Vec::with_capacity(chunk.len());
        for Record { line, change } in chunk {
            match change {
                Ok(LineChange::Put(item)) => copies.push((line, item)),
                // The file was read as a whole before.
                _ => return Err(WorkError::Failed(format!("line {line} is no longer a valid item")).into()),
            }
        }
        let Some(last) = copies.last().map(|(line, _)| *line) else { return Ok(Go::On) };
        let count = u64::try_from(copies.len()).unwrap_or(0);
        let mut result = PartResult::default();
        let wanted = self.still_equal(work, copies, &mut result).await?;
        if let Some((_, item)) = wanted.first() {
            if !self.may_put {
                self.deleter.check_may_put(item).await?;
                self.may_put = true;
            }
            self.state.begun.extend(wanted.iter().map(|(line, _)| *line));
            self.state.begun.sort_unstable();
            self.state.begun.dedup();
            if work.save(&self.state).await? == Go::Stop {
                return Ok(Go::Stop);
            }
        }
        self.delete(work, wanted, &mut result).await?;
        let PartResult { removed, reported, returned } = result;
        for (key, how) in reported {
            work.refuse(&key, how);
        }
        work.progress.processed += count;
        work.progress.matched += removed.deleted + removed.changed;
        work.progress.changed += removed.deleted;
        self.state.removed += removed;
        self.state.line = last;
        self.state.begun.clear();
        let go = work.save(&self.state).await?;
        self.deleter.kept.forget(&returned).await;
        Ok(go)
    }

    /// Those that still equal their copies. What has come of the others goes into the result.
    async fn still_equal(
        &mut self,
        work: &mut Work,
        copies: Vec<(u64, Item)>,
        result: &mut PartResult,
    ) -> Result<Vec<(u64, Item)>, CallError> {
        let Deleter { calls, limits, table, keys, .. } = &self.deleter;
        let looked_up: Vec<Item> = copies.iter().map(|(_, item)| keys.of(item)).collect();
        let (there, read_units) = fetch(calls, &limits.read, table, &looked_up).await?;
        work.progress.read_units += read_units;
        let items = copies.iter().map(|(_, item)| item).chain(&there);
        for name in items.flat_map(Item::keys) {
            if self.names.len() < MOST_NAMES && !self.names.contains(name) {
                self.names.insert(name.clone());
            }
        }
        let there: HashMap<u128, Item> =
            there.into_iter().map(|item| (hash(keys, &keys.of(&item)), item)).collect();
        let mut wanted = Vec::new();
        for (line, copy) in copies {
            let key = keys.of(&copy);
            let equal = match there.get(&hash(keys, &key)) {
                Some(item) => Some(same_items(item, &copy)?),
                None => None,
            };
            match (equal, self.returned.remove(&line)) {
                (Some(true), None) => wanted.push((line, copy)),
                // It was changed to what it was: it equals its copy again.
                (Some(true), Some(_)) => {
                    result.returned.push(line);
                    wanted.push((line, copy));
                }
                (_, Some(back)) => result.put_back(line, &key, back),
                (Some(false), None) => result.changed(&key, CHANGED),
                (None, None) => result.gone(self.begun_before.contains(&line)),
            }
        }
        Ok(wanted)
    }

    async fn delete(
        &mut self,
        work: &mut Work,
        wanted: Vec<(u64, Item)>,
        result: &mut PartResult,
    ) -> Result<(), CallError> {
        let deletions = futures::stream::iter(wanted)
            .map(|(line, copy)| {
                let (deleter, key) = (self.deleter.clone(), self.deleter.keys.of(&copy));
                let unchanged = EqualityCondition::of(&deleter.keys, &copy, &self.names);
                spawned(async move { (line, key, deleter.delete((line, copy), unchanged).await) })
            })
            .buffer_unordered(AT_ONCE);
        // All of them end before the first error counts: what they have kept has to be put back.
        for (line, key, deleted) in deletions.collect::<Vec<_>>().await {
            let (deletion, units) = deleted?;
            work.progress.write_units += units;
            match deletion {
                Deletion::Deleted => result.removed.deleted += 1,
                // A deletion of an earlier attempt may also arrive late.
                Deletion::Gone => result.gone(self.begun_before.contains(&line)),
                Deletion::Changed => result.changed(&key, CHANGED),
                Deletion::PutBack(back) => result.put_back(line, &key, back),
            }
        }
        Ok(())
    }
}
