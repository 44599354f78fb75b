//! Works on a batch page by page: read a page, change its items, save a checkpoint, read the next.
//!
//! A page is read only when everything before it is in a checkpoint, so a kill costs a worker one page at most.
//! What can be done twice is done many at a time, and saved after each page and at least every two seconds. What must
//! not be done twice goes, with the checkpoint, in transactions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nextbasket_domain::Timestamp;
use nextbasket_dynamodb::item::Item;
use nextbasket_job_engine::work::Go;
use nextbasket_job_engine::{Outcome, Work};

use crate::batch::{BatchCheckpoint, BatchPosition, BatchResult};
use crate::matched_items::MatchedItems;
use crate::source::{ItemPage, ItemSource};
use crate::totals::ItemTotals;
use nextbasket_items::expression::Condition;
use nextbasket_items::fetch::fetch;
use nextbasket_items::key::{KeySchema, to_json};
use nextbasket_items::transform::Transform;
use nextbasket_items::write::update::Update;
use nextbasket_items::write::{WriteOutcome, Writer, write_all};
use nextbasket_job_engine::calls::{CallError, Calls};

/// The longest time between two checkpoints while a page is worked on.
const BETWEEN_SAVES: Duration = Duration::from_secs(2);
/// How many items are written between two looks at the clock.
const CHUNK: f64 = 1024.0;
/// The fewest of them, at a low rate.
const LEAST_CHUNK: f64 = 25.0;

#[derive(Debug)]
pub(crate) enum Action {
    Count,
    /// Writes them, many at a time.
    Write(Arc<Writer>),
    Once(Update),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConditionAfter {
    /// The change does not touch what the condition reads.
    Meets,
    Gone,
    /// Only a read can tell.
    Unknown,
}

/// What is the same for all pages of a batch.
#[derive(Debug)]
pub(crate) struct PageLoop {
    pub(crate) table: String,
    pub(crate) keys: KeySchema,
    pub(crate) condition: Option<Condition>,
    pub(crate) now: Timestamp,
    /// The mean size of the table's items, or 0.
    pub(crate) mean_bytes: u64,
    pub(crate) action: Action,
    /// What is changed in items before they are written.
    pub(crate) transform: Option<Transform>,
    /// Whether the source has only keys, and the action needs whole items.
    pub(crate) fetches: bool,
    /// For a job that follows the table.
    pub(crate) afterwards: ConditionAfter,
}

/// The state of a batch that is being worked on.
pub(crate) struct RunningBatch<'a> {
    pub(crate) work: &'a mut Work,
    pub(crate) calls: Calls,
    /// Calls to the table that is written.
    pub(crate) target: Calls,
    pub(crate) state: BatchCheckpoint,
    /// For a job that follows the table.
    pub(crate) seen: Option<MatchedItems>,
    saved: Instant,
}

pub(crate) type Step = Result<Go, CallError>;

impl<'a> RunningBatch<'a> {
    pub(crate) fn new(
        work: &'a mut Work,
        calls: Calls,
        target: Calls,
        state: BatchCheckpoint,
        seen: Option<MatchedItems>,
    ) -> Self {
        Self { work, calls, target, state, seen, saved: Instant::now() }
    }

    /// Saves the checkpoint, with the items that met the condition so far.
    pub(crate) async fn save(&mut self) -> Step {
        if let Some(seen) = &mut self.seen {
            seen.stage(self.work).await?;
            self.state.seen = seen.journal.clone();
        }
        let go = self.work.save(&self.state).await?;
        if let Some(seen) = &mut self.seen {
            seen.saved();
        }
        self.saved = Instant::now();
        Ok(go)
    }

    async fn page(&mut self, source: &mut ItemSource) -> Result<ItemPage, CallError> {
        let (page, units) = source.page(self.work, &self.calls, &self.state.at).await?;
        self.work.progress.read_units += units;
        Ok(page)
    }

    pub(crate) async fn fetch(&mut self, table: &str, keys: &[Item]) -> Result<Vec<Item>, CallError> {
        let limiter = &self.work.limits().read;
        let (items, units) = fetch(&self.calls, limiter, table, keys).await?;
        self.work.progress.read_units += units;
        Ok(items)
    }

    async fn write(
        &mut self,
        writer: &Arc<Writer>,
        items: Vec<Item>,
    ) -> Result<Vec<WriteOutcome>, CallError> {
        let limiter = &self.work.limits().write;
        let (outcomes, units) = write_all(&self.target, limiter, writer, items).await?;
        self.work.progress.write_units += units;
        Ok(outcomes)
    }
}

impl PageLoop {
    /// Works on the batch from its checkpoint to its end.
    pub(crate) async fn run(
        &self,
        mut running: RunningBatch<'_>,
        mut source: ItemSource,
    ) -> Result<Outcome, CallError> {
        if self.pages(&mut running, &mut source).await? == Go::Stop {
            return Ok(Outcome::Stopped);
        }
        let RunningBatch { work, seen, state, .. } = running;
        let seen = match seen {
            Some(seen) => seen.finish(work).await?,
            None => Vec::new(),
        };
        let tally = ItemTotals { erased: state.erased, ..ItemTotals::of(&work.progress) };
        Ok(Outcome::done(&BatchResult { tally, seen })?)
    }

    async fn pages(&self, running: &mut RunningBatch<'_>, source: &mut ItemSource) -> Step {
        self.settle(running).await?;
        while running.state.at != BatchPosition::End {
            if running.work.must_stop() {
                return Ok(Go::Stop);
            }
            let page = running.page(source).await?;
            let go = match &self.action {
                Action::Count => self.count(running, page).await?,
                Action::Write(writer) => self.write(running, page, writer).await?,
                Action::Once(update) => self.update_exactly_once(running, page, update).await?,
            };
            if go == Go::Stop {
                return Ok(go);
            }
        }
        Ok(Go::On)
    }

    async fn count(&self, running: &mut RunningBatch<'_>, mut page: ItemPage) -> Step {
        let progress = &mut running.work.progress;
        progress.processed += page.scanned;
        if running.seen.is_some() {
            page.matched = u64::try_from(self.new_ones(running, &mut page)).unwrap_or(u64::MAX);
            for item in &page.items {
                self.note(running, item);
            }
        }
        running.work.progress.matched += page.matched;
        running.state.at = page.end;
        self.save_unless_done(running).await
    }

    /// Saves, unless the batch is done: then its result is saved next.
    async fn save_unless_done(&self, running: &mut RunningBatch<'_>) -> Step {
        if running.state.at == BatchPosition::End { Ok(Go::On) } else { running.save().await }
    }

    /// Leaves only those that did not meet the condition in the last pass; the others are noted. Gives how many are
    /// left.
    pub(crate) fn new_ones(&self, running: &mut RunningBatch<'_>, page: &mut ItemPage) -> usize {
        if let Some(seen) = &mut running.seen {
            page.items.retain(|item| {
                let known = seen.knew(&self.keys, item);
                if known {
                    seen.add(&self.keys, item);
                }
                !known
            });
        }
        page.items.len()
    }

    /// Notes that the item meets the condition in this pass.
    pub(crate) fn note(&self, running: &mut RunningBatch<'_>, item: &Item) {
        if let Some(seen) = &mut running.seen {
            seen.add(&self.keys, item);
        }
    }

    async fn write(&self, running: &mut RunningBatch<'_>, mut page: ItemPage, writer: &Arc<Writer>) -> Step {
        self.new_ones(running, &mut page);
        let (mut counted, mut done) = (0, 0);
        let of = page.items.len();
        // Whole items may be large: they are handed on, not copied.
        let mut left = std::mem::take(&mut page.items).into_iter();
        while done < of {
            let limiter = &running.work.limits().write;
            let most = limiter.items_in(BETWEEN_SAVES.as_secs_f64(), LEAST_CHUNK, CHUNK);
            let chunk: Vec<Item> = left.by_ref().take(most).collect();
            let keys: Vec<Item> = chunk.iter().map(|item| self.keys.of(item)).collect();
            done += chunk.len();
            let matched = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
            let outcomes = self.write_chunk(running, chunk, &keys, writer).await?;
            let mut changed = Vec::new();
            running.work.progress.matched += matched;
            for (key, outcome) in keys.iter().zip(outcomes) {
                match outcome {
                    WriteOutcome::Changed => {
                        running.work.progress.changed += 1;
                        changed.push(key.clone());
                    }
                    WriteOutcome::Skipped => {}
                    WriteOutcome::Barred => {
                        running.state.erased += 1;
                        self.note(running, key);
                    }
                    WriteOutcome::Refused(reason) => {
                        running.work.refuse(&to_json(key), &reason);
                        self.note(running, key);
                    }
                }
            }
            self.note_changed(running, changed).await?;
            let Some(last) = keys.last() else { break };
            running.state.at = page.position_after(done, of, last);
            let all = done == of;
            let processed = if all { page.scanned - counted } else { matched };
            running.work.progress.processed += processed;
            counted += processed;
            if !all && (running.saved.elapsed() >= BETWEEN_SAVES || running.work.must_stop()) {
                let go = running.save().await?;
                if go == Go::Stop {
                    return Ok(go);
                }
            }
        }
        if of == 0 {
            running.work.progress.processed += page.scanned;
            running.state.at = page.end;
        }
        self.save_unless_done(running).await
    }

    /// The outcome of each item of the chunk, in the order of `keys`.
    async fn write_chunk(
        &self,
        running: &mut RunningBatch<'_>,
        chunk: Vec<Item>,
        keys: &[Item],
        writer: &Arc<Writer>,
    ) -> Result<Vec<WriteOutcome>, CallError> {
        if !self.fetches {
            return self.write_found(running, chunk.into_iter().map(Some).collect(), writer).await;
        }
        let mut items = running.fetch(&self.table, keys).await?;
        if let Some(condition) = &self.condition {
            items.retain(|item| condition.holds(item, self.now));
        }
        // In the order of the keys; those that are gone, or do not meet the condition any more, are skipped.
        let mut by_hash: std::collections::HashMap<u128, Item> =
            items.into_iter().map(|item| (nextbasket_items::key::hash(&self.keys, &item), item)).collect();
        let found: Vec<Option<Item>> =
            keys.iter().map(|key| by_hash.remove(&nextbasket_items::key::hash(&self.keys, key))).collect();
        self.write_found(running, found, writer).await
    }

    /// Writes items as they are to be, and gives the outcome of each; those that are not there are skipped.
    async fn write_found(
        &self,
        running: &mut RunningBatch<'_>,
        found: Vec<Option<Item>>,
        writer: &Arc<Writer>,
    ) -> Result<Vec<WriteOutcome>, CallError> {
        let (mut items, mut not_written) = (Vec::with_capacity(found.len()), Vec::with_capacity(found.len()));
        for item in found {
            let transformed = match (item, &self.transform) {
                (None, _) => Err(WriteOutcome::Skipped),
                (Some(item), None) => Ok(item),
                (Some(item), Some(transform)) => transform.of(&item).map_err(WriteOutcome::Refused),
            };
            not_written.push(match transformed {
                Ok(item) => {
                    items.push(item);
                    None
                }
                Err(outcome) => Some(outcome),
            });
        }
        let mut written = running.write(writer, items).await?.into_iter();
        let outcome = |known: Option<WriteOutcome>| known.or_else(|| written.next());
        Ok(not_written
            .into_iter()
            .map(outcome)
            .map(|outcome| outcome.unwrap_or(WriteOutcome::Skipped))
            .collect())
    }

    /// Notes which of the items that were just changed still meet the condition.
    pub(crate) async fn note_changed(
        &self,
        running: &mut RunningBatch<'_>,
        changed: Vec<Item>,
    ) -> Result<(), CallError> {
        if running.seen.is_none() || changed.is_empty() {
            return Ok(());
        }
        let still = match self.afterwards {
            ConditionAfter::Gone => return Ok(()),
            ConditionAfter::Meets => changed,
            ConditionAfter::Unknown => {
                let mut items = running.fetch(&self.table, &changed).await?;
                items.retain(|item| {
                    self.condition.as_ref().is_none_or(|condition| condition.holds(item, self.now))
                });
                items
            }
        };
        for item in &still {
            self.note(running, item);
        }
        Ok(())
    }
}
