//! What a batch in progress can do: checkpoints, refusals, results.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, Put, ReturnConsumedCapacity, TransactWriteItem, Update,
};
use nextbasket_domain::digest;
use nextbasket_dynamodb::capacity;
use nextbasket_dynamodb::item::{number, text};
use nextbasket_dynamodb::{TableError, TransactionError};
use nextbasket_locks::{AttributeChanges, Lease, LeaseError, LeaseKey};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::Site;
use crate::calls::{CallError, Consumes, MeteredCalls};
use crate::error::WorkError;
use crate::job::{Job, Progress, REFUSED};
use crate::limit::Limits;
use crate::session::Session;
use crate::stage::BatchTask;
use crate::store::{
    BatchRecord, BatchState, CHECKPOINT, COUNTED, CountChange, EXPIRE_AT, PROGRESS, SAVES, STATE, Store,
};

/// The shortest interval between two counts of a running batch's progress: two writes of two units each.
const COUNT_EVERY: Duration = Duration::from_secs(2);
/// How much longer that interval becomes for each batch that runs at the same time, beyond the first 50: all of them
/// count in one partition.
const COUNT_EACH: Duration = Duration::from_millis(40);
/// The reason of a [`WorkError::Transient`] if the stored checkpoint is not the one that was saved last: only an attempt
/// that reads it again can continue.
pub const STALE_CHECKPOINT: &str = "the stored checkpoint is not the one that was saved last";
/// How many times a count is retried after one of this worker's own whose answer was lost.
const RECOUNTS: u32 = 3;

/// Whether a batch goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Go {
    /// It does.
    On,
    /// It has to return [`Outcome::Stopped`](crate::Outcome::Stopped): its checkpoint is saved.
    Stop,
}

/// A batch in progress: what [`Kind::work`](crate::Kind::work) is given.
pub struct Work {
    pub(crate) site: Site,
    pub(crate) store: Store,
    pub(crate) task: BatchTask,
    pub(crate) session: Session,
    pub(crate) lease: Arc<Mutex<Lease>>,
    pub(crate) key: LeaseKey,
    pub(crate) fence: u64,
    pub(crate) deadline: Option<Instant>,
    pub(crate) checkpoint: Option<String>,
    /// The digest of the checkpoint that the batch was claimed with.
    claimed: Option<String>,
    pub(crate) saves: u64,
    pub(crate) refusals: Vec<u8>,
    /// The progress in the batch's item, and the part of it that is in the stage's counts.
    kept: Progress,
    counted: Progress,
    /// When the batch was last counted, or claimed.
    count_from: Instant,
    /// How far the batch has come, all attempts together. A kind counts here what it does; it is kept with each
    /// checkpoint.
    pub progress: Progress,
}

/// A digest that tells checkpoints apart.
pub(crate) fn digest_of(checkpoint: Option<&str>) -> Option<String> {
    checkpoint.map(|checkpoint| digest(checkpoint, 8))
}

impl Work {
    pub(crate) fn new(
        site: &Site,
        session: &Session,
        task: BatchTask,
        (lease, key): (Lease, LeaseKey),
        record: BatchRecord,
        deadline: Option<Instant>,
    ) -> Self {
        Self {
            site: site.clone(),
            store: Store::new(site),
            task,
            session: session.clone(),
            fence: lease.fence(),
            lease: Arc::new(Mutex::new(lease)),
            key,
            deadline,
            claimed: digest_of(record.checkpoint.as_deref()),
            checkpoint: record.checkpoint,
            saves: record.saves,
            refusals: Vec::new(),
            kept: record.progress,
            counted: record.counted,
            count_from: Instant::now(),
            progress: record.progress,
        }
    }

    /// Where the job runs.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The job.
    pub fn job(&self) -> &Job {
        self.session.job()
    }

    /// The batch.
    pub fn task(&self) -> &BatchTask {
        &self.task
    }

    /// The batch's input.
    ///
    /// # Errors
    /// [`WorkError::Failed`] if it is of another form.
    pub fn input<T: DeserializeOwned>(&self) -> Result<T, WorkError> {
        T::deserialize(&self.task.input).map_err(|error| {
            WorkError::Failed(format!("input of batch {} is invalid: {error}", self.task.batch))
        })
    }

    /// The checkpoint that was saved last, in this attempt or one before it.
    ///
    /// # Errors
    /// [`WorkError::Failed`] if it is of another form.
    pub fn checkpoint<T: DeserializeOwned>(&self) -> Result<Option<T>, WorkError> {
        let parse = |text: &String| serde_json::from_str(text);
        self.checkpoint.as_ref().map(parse).transpose().map_err(|error| {
            let batch = self.task.batch;
            WorkError::Failed(format!("checkpoint of batch {batch} is invalid: {error}. Resubmit the job."))
        })
    }

    /// How many checkpoints have been saved, all attempts together.
    pub fn saves(&self) -> u64 {
        self.saves
    }

    /// The process's part of the stage's rates: wait for `ready` before a call, tell `spent` after it.
    pub fn limits(&self) -> &Limits {
        self.session.limits()
    }

    /// The fencing token of this attempt.
    pub fn fence(&self) -> u64 {
        self.fence
    }

    /// Whether to stop at the next checkpoint: see [`Session::must_stop`], and the function's deadline.
    pub fn must_stop(&self) -> bool {
        self.session.must_stop() || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// The key of an object of the job's, the same for all batches: for what one stage leaves to the next.
    pub fn job_object(&self, name: &str) -> String {
        self.job().job_id.object_key(name)
    }

    /// The key of an object of this attempt alone: a worker that has lost its claim cannot spoil another's. Name it
    /// in the checkpoint or the result.
    pub fn own_object(&self, name: &str) -> String {
        let BatchTask { stage, batch, .. } = self.task;
        self.job_object(&format!("stage-{stage:06}/batch-{batch:08}/{}-{name}", self.fence))
    }

    /// Writes an object of this attempt and returns its key: see [`own_object`](Self::own_object).
    ///
    /// # Errors
    /// [`WorkError`] if the bucket does not take it.
    pub async fn put_own(&self, name: &str, content: Vec<u8>) -> Result<String, WorkError> {
        let key = self.own_object(name);
        self.site.objects.put(&key, content).await?;
        Ok(key)
    }

    /// Reads an object of the job that holds JSON, by its key.
    ///
    /// # Errors
    /// [`WorkError`] if it cannot be read, or is of another form.
    pub async fn read_json<T: DeserializeOwned>(&self, key: &str) -> Result<T, WorkError> {
        let content = self.site.objects.get(key).await?;
        serde_json::from_slice(&content).map_err(|error| WorkError::Failed(format!("{key}: {error}")))
    }

    /// Calls a function within the batch's part of the rates until it succeeds: see [`MeteredCalls::call`]. What it
    /// consumed is counted in the progress.
    ///
    /// # Errors
    /// As there.
    pub async fn call<T, F>(&mut self, consumes: Consumes, call: impl Fn() -> F) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, TableError>>,
    {
        let (output, units) = MeteredCalls::new(self).call(consumes, call).await?;
        self.progress.read_units += units.read;
        self.progress.write_units += units.write;
        Ok(output)
    }

    /// Notes an item (a line, a row) that could not be processed, with the reason, in the job's refused files. It is
    /// kept with the next checkpoint.
    pub fn refuse(&mut self, what: &Value, reason: &str) {
        self.progress.refused += 1;
        let line = serde_json::json!({ "refused": what, "reason": reason });
        self.refusals.extend_from_slice(line.to_string().as_bytes());
        self.refusals.push(b'\n');
    }

    /// Saves how far the batch has come: `checkpoint`, [`progress`](Self::progress) and the refusals, in one write
    /// that holds only if the batch is still ours.
    ///
    /// # Errors
    /// [`WorkError::Lost`] if it is not.
    pub async fn save(&mut self, checkpoint: &impl Serialize) -> Result<Go, WorkError> {
        let checkpoint = serde_json::to_string(checkpoint)?;
        self.keep_refusals().await?;
        let changes = AttributeChanges::new()
            .set(CHECKPOINT, text(&checkpoint))
            .set(PROGRESS, text(serde_json::to_string(&self.progress)?))
            .set(SAVES, number(self.saves + 1))
            .set(EXPIRE_AT, self.store.expiry());
        let progress = self.progress;
        self.lease.lock().await.renew_with(changes).await?;
        self.saved(checkpoint, progress).await?;
        Ok(self.go())
    }

    /// As [`save`](Self::save), in one transaction with these writes (at most 99): both happen, or neither. For
    /// changes that must not be made twice.
    ///
    /// # Errors
    /// [`WorkError::Refused`] if an item's condition does not hold, [`WorkError::Lost`] if the batch is not ours.
    pub async fn save_with(
        &mut self,
        checkpoint: &impl Serialize,
        writes: Vec<TransactWriteItem>,
    ) -> Result<Go, WorkError> {
        if writes.is_empty() {
            return self.save(checkpoint).await;
        }
        let checkpoint = serde_json::to_string(checkpoint)?;
        self.keep_refusals().await?;
        let next = self.saves + 1;
        let progress = self.progress;
        let sets = vec![
            (CHECKPOINT, text(&checkpoint)),
            (PROGRESS, text(serde_json::to_string(&progress)?)),
            (SAVES, number(next)),
            (EXPIRE_AT, self.store.expiry()),
        ];
        // The guard also checks the number of saves: whatever else goes wrong, no save counts twice.
        let update = self.guarded(sets, (SAVES, number(self.saves))).await?;
        // The token makes the SDK's retries one transaction. A further try of the kind's may hold other writes.
        let token = self.site.random.draw();
        // The rate and the report are those of the tables that the kind writes: the checkpoint, as any other, is not a
        // part of them. DynamoDB says the units of a transaction doubled.
        let tables: BTreeSet<String> = writes.iter().filter_map(table_of).map(str::to_owned).collect();
        let mut all = writes;
        all.push(update);
        let sent = self
            .site
            .dynamodb
            .transact_write_items()
            .client_request_token(format!("{token:016x}"))
            .set_transact_items(Some(all))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        let spent = match sent {
            Ok(output) => {
                let consumed = output.consumed_capacity().iter();
                let is_counted = |table: Option<&str>| table.is_some_and(|table| tables.contains(table));
                capacity::units(consumed.filter(|consumed| is_counted(consumed.table_name())))
            }
            Err(error) => {
                let error = TransactionError::from_sdk(&self.site.operations, error);
                self.transaction_failed(error, next).await?;
                0.0
            }
        };
        // Spent after the progress was written: it is stored with the next checkpoint, or with the end.
        self.progress.write_units += spent;
        self.limits().write.spent(spent);
        self.saved(checkpoint, progress).await?;
        Ok(self.go())
    }

    /// An update of the batch's own item, for a transaction. Its condition: this worker holds the batch, and this
    /// attribute has the known value or does not exist.
    async fn guarded(
        &self,
        sets: Vec<(&'static str, AttributeValue)>,
        (known, value): (&'static str, AttributeValue),
    ) -> Result<TransactWriteItem, WorkError> {
        let guard = self.lease.lock().await.guard();
        let clauses: Vec<String> = sets.iter().map(|(name, _)| format!("#{name} = :{name}")).collect();
        let condition = format!("{} AND (attribute_not_exists(#known) OR #known = :known)", guard.condition);
        let mut update = Update::builder()
            .table_name(&self.site.operations)
            .key("pk", text(&self.key.pk))
            .key("sk", text(&self.key.sk))
            .update_expression(format!("SET {}", clauses.join(", ")))
            .condition_expression(condition)
            .set_expression_attribute_names(Some(guard.names))
            .set_expression_attribute_values(Some(guard.values))
            .expression_attribute_names("#known", known)
            .expression_attribute_values(":known", value);
        for (name, value) in sets {
            update = update
                .expression_attribute_names(format!("#{name}"), name)
                .expression_attribute_values(format!(":{name}"), value);
        }
        Ok(TransactWriteItem::builder().update(update.build()?).build())
    }

    /// `Ok` if the transaction was applied after all and only its answer was lost.
    async fn transaction_failed(&self, error: TransactionError, next: u64) -> Result<(), WorkError> {
        let codes = match error {
            TransactionError::Refused(codes) => codes,
            TransactionError::Unanswered(error) => {
                return if self.was_applied(next).await? { Ok(()) } else { Err(error.into()) };
            }
            error if error.is_transient() => {
                return Err(WorkError::Transient(format!("the transaction has to wait: {error}")));
            }
            error => return Err(error.into_table(&self.site.operations).into()),
        };
        let Some((ours, items)) = codes.split_last() else { return Err(WorkError::Refused(codes)) };
        if ours.is_some() {
            if self.was_applied(next).await? {
                return Ok(());
            }
            // Tells who has it.
            self.lease.lock().await.renew().await?;
            return Err(WorkError::Transient(STALE_CHECKPOINT.to_owned()));
        }
        Err(WorkError::Refused(items.to_vec()))
    }

    /// Whether the save of this number is ours and was made.
    async fn was_applied(&self, next: u64) -> Result<bool, WorkError> {
        self.lease.lock().await.renew().await?;
        let record = self.store.batch(&self.key).await?;
        Ok(record.is_some_and(|record| record.saves == next))
    }

    /// Notes what was saved, and counts it now and then.
    async fn saved(&mut self, checkpoint: String, progress: Progress) -> Result<(), WorkError> {
        self.checkpoint = Some(checkpoint);
        self.kept = progress;
        self.saves += 1;
        self.refusals.clear();
        let pause = COUNT_EVERY.max(COUNT_EACH.saturating_mul(self.session.width()));
        if self.count_from.elapsed() < pause {
            return Ok(());
        }
        self.count_from = Instant::now();
        match self.count().await {
            Err(WorkError::Lost(lost)) => Err(WorkError::Lost(lost)),
            Err(error) => {
                // The next count, or the end of the batch, includes it.
                tracing::warn!(%error, batch = self.task.batch, "progress was not counted");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Whether the checkpoint differs from the one that the batch was claimed with.
    pub(crate) fn has_moved(&self) -> bool {
        digest_of(self.checkpoint.as_deref()) != self.claimed
    }

    /// Adds to the stage's counts the progress that was saved since the last count.
    pub(crate) async fn count(&mut self) -> Result<(), WorkError> {
        let change = CountChange { end: None, before: self.counted, now: self.kept };
        self.write_counted(change, Vec::new(), Vec::new()).await.map(drop)
    }

    /// Ends the batch for good, together with the stage's counts and `others`. After that its claim is not needed any
    /// more.
    ///
    /// # Errors
    /// [`WorkError::Lost`] if another worker holds it.
    pub(crate) async fn end(
        &mut self,
        state: BatchState,
        sets: Vec<(&'static str, AttributeValue)>,
        others: Vec<TransactWriteItem>,
    ) -> Result<(), WorkError> {
        if state == BatchState::Done {
            self.kept = self.progress;
        }
        let change = CountChange { end: Some(state), before: self.counted, now: self.kept };
        let mut sets = sets;
        sets.extend([
            (STATE, text(<&str>::from(state))),
            (PROGRESS, text(serde_json::to_string(&self.kept)?)),
            (EXPIRE_AT, self.store.expiry()),
        ]);
        self.write_counted(change, sets, others).await
    }

    /// Makes one attempt to write these attributes, what is counted now and the counts, all or nothing.
    async fn write_counted(
        &mut self,
        mut change: CountChange,
        sets: Vec<(&'static str, AttributeValue)>,
        others: Vec<TransactWriteItem>,
    ) -> Result<(), WorkError> {
        let job = self.job().job_id.clone();
        for _ in 0..RECOUNTS {
            change.before = self.counted;
            let Some(counting) = self.store.count(&job, self.task.stage, &change)? else { return Ok(()) };
            let mut all = sets.clone();
            all.push((COUNTED, text(serde_json::to_string(&change.now)?)));
            let known = (COUNTED, text(serde_json::to_string(&self.counted)?));
            let mut writes = vec![self.guarded(all, known).await?, counting];
            writes.extend(others.iter().cloned());
            let error = match self.store.transact(writes).await {
                Ok(_) => {
                    self.counted = change.now;
                    return Ok(());
                }
                Err(error) => error,
            };
            if !error.failed_condition(0) {
                return Err(error.into_table(&self.site.operations).into());
            }
            let record = self.store.batch(&self.key).await?;
            match record.filter(|record| record.fence == self.fence) {
                // An earlier attempt of this worker was made after all.
                Some(record) if record.state != BatchState::Open => return Ok(()),
                Some(record) if record.counted != self.counted => self.counted = record.counted,
                _ => {
                    // The renewal reports who holds the batch.
                    self.lease.lock().await.renew().await?;
                }
            }
        }
        Err(WorkError::Transient("the batch's counts were changed by others".to_owned()))
    }

    fn go(&self) -> Go {
        if self.must_stop() { Go::Stop } else { Go::On }
    }

    /// Writes the refusals since the last checkpoint under a name that a second attempt at the same page has too.
    pub(crate) async fn keep_refusals(&mut self) -> Result<(), WorkError> {
        if self.refusals.is_empty() {
            return Ok(());
        }
        let BatchTask { stage, batch, .. } = self.task;
        let key = self.job_object(&format!("{REFUSED}{stage:06}-{batch:08}-{:08}.jsonl", self.saves));
        // Forgotten only once the checkpoint is saved: until then a further try writes them all under this name.
        Ok(self.site.objects.put(&key, self.refusals.clone()).await?)
    }
}

/// The table that a part of a transaction is for.
fn table_of(write: &TransactWriteItem) -> Option<&str> {
    let update = write.update().map(Update::table_name);
    let put = || write.put().map(Put::table_name);
    let delete = || write.delete().map(Delete::table_name);
    let check = || write.condition_check().map(ConditionCheck::table_name);
    update.or_else(put).or_else(delete).or_else(check)
}

impl From<LeaseError> for WorkError {
    fn from(error: LeaseError) -> Self {
        match error {
            LeaseError::Lost(lost) => Self::Lost(lost),
            LeaseError::Table(error) => error.into(),
        }
    }
}
