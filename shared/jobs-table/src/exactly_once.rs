//! Updates that must not be made twice: transactions with the checkpoint.

use nextbasket_dynamodb::item::Item;
use nextbasket_job_engine::WorkError;
use nextbasket_job_engine::journal::Journal;
use nextbasket_job_engine::work::{Go, STALE_CHECKPOINT};
use serde_json::Value;

use crate::matched_items::MatchedItems;
use crate::page_loop::{ConditionAfter, PageLoop, RunningBatch, Step};
use crate::source::ItemPage;
use nextbasket_items::key::{from_json, to_json};
use nextbasket_items::write::update::Update;
use nextbasket_job_engine::calls::{Backoff, CallError, is_expression, shortened};

/// How many items go into one transaction: DynamoDB takes 100 writes, one is the checkpoint.
const MOST: usize = 99;
/// DynamoDB takes 4 MB in one transaction; some items are larger than the others.
const TRANSACTION_BYTES: u64 = 2 << 20;
/// How often a transaction that has to wait is made again before the batch is tried anew.
const WAITS: u32 = 40;
/// The bytes of a write unit, and how many units a transaction takes for one.
const UNIT_BYTES: u64 = 1024;
const UNITS_IN_TRANSACTION: u64 = 2;
const CHANGED: &str = "changed";

impl PageLoop {
    /// Updates the items of a page, each once and no more.
    pub(crate) async fn update_exactly_once(
        &self,
        running: &mut RunningBatch<'_>,
        mut page: ItemPage,
        update: &Update,
    ) -> Step {
        self.new_ones(running, &mut page);
        let (mut done, mut counted) = (0, 0);
        let fitting = self.fitting();
        let mut most = fitting;
        while done < page.items.len() {
            let chunk: Vec<Item> = page.items.iter().skip(done).take(most).cloned().collect();
            let Some(last) = chunk.last() else { break };
            let count = chunk.len();
            let all = done + count == page.items.len();
            let matched = u64::try_from(count).unwrap_or(u64::MAX);
            let processed = if all { page.scanned - counted } else { matched };
            running.state.at = page.position_after(done + count, page.items.len(), last);
            match self.transact(running, chunk, update, processed).await? {
                Done::Saved(Go::Stop) => return Ok(Go::Stop),
                Done::Saved(Go::On) => {
                    done += count;
                    counted += processed;
                    most = fitting;
                }
                // Nothing was written: fewer at a time show which one is at fault.
                Done::TooMuch => most = (count / 2).max(1),
            }
        }
        if page.items.is_empty() {
            running.work.progress.processed += page.scanned;
            running.state.at = page.end;
            return running.save().await;
        }
        Ok(Go::On)
    }

    /// So many items of the mean size that one transaction takes them.
    fn fitting(&self) -> usize {
        let by_size = TRANSACTION_BYTES / self.mean_bytes.max(1);
        usize::try_from(by_size).unwrap_or(MOST).clamp(1, MOST)
    }

    /// One transaction of these items and the state, without those that cannot be changed.
    async fn transact(
        &self,
        running: &mut RunningBatch<'_>,
        mut items: Vec<Item>,
        update: &Update,
        processed: u64,
    ) -> Result<Done, CallError> {
        let matched = u64::try_from(items.len()).unwrap_or(u64::MAX);
        let mut refused: Vec<Item> = Vec::new();
        let known = running.seen.as_ref().map_or(0, MatchedItems::fresh);
        let mut backoff = Backoff::default();
        let mut waits = 0;
        loop {
            let before = running.work.progress;
            let changed = u64::try_from(items.len()).unwrap_or(u64::MAX);
            running.work.progress.processed += processed;
            running.work.progress.matched += matched;
            running.work.progress.changed += changed;
            let saved = self.save_with(running, &items, &refused, known, update).await;
            let error = match saved {
                Ok(go) => {
                    if let Some(seen) = &mut running.seen {
                        seen.saved();
                    }
                    self.settle(running).await?;
                    return Ok(Done::Saved(go));
                }
                Err(CallError::Failed(error)) => error,
                Err(error) => return Err(error),
            };
            running.work.progress = before;
            match error {
                WorkError::Refused(codes) => {
                    let mut left = Vec::with_capacity(items.len());
                    for (item, code) in items.into_iter().zip(codes) {
                        match code.as_deref() {
                            None => left.push(item),
                            // It does not meet the condition any more.
                            Some("ConditionalCheckFailed") => {}
                            Some(code) => {
                                running.work.refuse(&to_json(&self.keys.of(&item)), in_words(code));
                                refused.push(item);
                            }
                        }
                    }
                    items = left;
                }
                WorkError::Transient(reason) => {
                    waits += 1;
                    if waits >= WAITS || reason == STALE_CHECKPOINT {
                        return Err(WorkError::Transient(reason).into());
                    }
                    let limiter = &running.work.limits().write;
                    running.target.throttled(limiter, &mut backoff).await?;
                }
                WorkError::Failed(reason) if is_expression(&reason) => {
                    let reason = format!(
                        "parameters.set or parameters.where: DynamoDB rejects the expression: {}",
                        shortened(&reason)
                    );
                    return Err(WorkError::Systemic(reason).into());
                }
                WorkError::Failed(reason) if reason.contains("ValidationException") => {
                    let [item] = items.as_slice() else { return Ok(Done::TooMuch) };
                    running.work.refuse(&to_json(&self.keys.of(item)), &shortened(&reason));
                    refused.append(&mut items);
                }
                error => return Err(error.into()),
            }
        }
    }

    /// Makes the transaction, and counts its units.
    async fn save_with(
        &self,
        running: &mut RunningBatch<'_>,
        items: &[Item],
        refused: &[Item],
        known: usize,
        update: &Update,
    ) -> Step {
        let keys: Vec<Item> = items.iter().map(|item| self.keys.of(item)).collect();
        let writes: Option<Vec<_>> = keys.iter().cloned().map(|key| update.in_transaction(key)).collect();
        let writes = writes.ok_or_else(|| WorkError::Failed("the SDK rejects an update".to_owned()))?;
        self.prepare(running, &keys, refused, known).await?;
        let units = keys.len() as u64 * UNITS_IN_TRANSACTION * self.mean_bytes.div_ceil(UNIT_BYTES).max(1);
        let units = units as f64;
        let limiter = &running.work.limits().write;
        // The transaction counts its own units: the permit only keeps other calls waiting until then.
        let _permit = running.target.admitted(limiter, Some(units)).await?;
        Ok(running.work.save_with(&running.state, writes).await?)
    }

    /// For a job that follows the table: what the checkpoint has to say of the items that it comes with. `known` of the
    /// seen ones do not depend on it.
    async fn prepare(
        &self,
        running: &mut RunningBatch<'_>,
        keys: &[Item],
        refused: &[Item],
        known: usize,
    ) -> Result<(), WorkError> {
        let Some(seen) = &mut running.seen else { return Ok(()) };
        seen.keep(known);
        let still = if self.afterwards == ConditionAfter::Meets { keys } else { &[] };
        for item in still.iter().chain(refused) {
            seen.add(&self.keys, item);
        }
        seen.stage(running.work).await?;
        running.state.seen = seen.journal.clone();
        running.state.changed = Journal::default();
        if self.afterwards == ConditionAfter::Unknown && !keys.is_empty() {
            let keys: Vec<Value> = keys.iter().map(to_json).collect();
            running.state.changed.append(running.work, CHANGED, serde_json::to_vec(&keys)?).await?;
        }
        Ok(())
    }

    /// Notes which of the items that the checkpoint names as changed still meet the condition.
    pub(crate) async fn settle(&self, running: &mut RunningBatch<'_>) -> Result<(), CallError> {
        let journal = std::mem::take(&mut running.state.changed);
        for content in journal.read(running.work, CHANGED).await? {
            let keys: Vec<Value> = serde_json::from_slice(&content)?;
            let keys: Vec<Item> = keys.iter().filter_map(from_json).collect();
            self.note_changed(running, keys).await?;
        }
        Ok(())
    }
}

/// What the code of an item means, of which DynamoDB's own words are not at hand.
fn in_words(code: &str) -> &str {
    match code {
        "ValidationError" => {
            "ValidationError: the item does not take this change: a value of another type, a path or an attribute that \
             is not there, or more than 400 KB"
        }
        "ItemCollectionSizeLimitExceeded" => {
            "ItemCollectionSizeLimitExceeded: items of one partition key would have more than 10 GB"
        }
        code => code,
    }
}

enum Done {
    /// It was made, or nothing was left to be made, and the state is saved.
    Saved(Go),
    /// DynamoDB does not take it as a whole.
    TooMuch,
}
