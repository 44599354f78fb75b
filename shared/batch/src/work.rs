//! What a batch in progress can do: checkpoints, refusals, results.

use std::sync::Arc;
use std::time::Instant;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{ConsumedCapacity, ReturnConsumedCapacity, TransactWriteItem, Update};
use nextbasket_dynamodb::TableError;
use nextbasket_dynamodb::item::{number, text};
use nextbasket_locks::{Also, Lease, LeaseError, LeaseKey};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::error::WorkError;
use crate::job::{Job, Progress};
use crate::limit::Limits;
use crate::session::Session;
use crate::stage::BatchTask;
use crate::store::{BatchState, CHECKPOINT, EXPIRE_AT, PROGRESS, SAVES, STATE, Store};
use crate::{Objects, Site};

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
    pub(crate) saves: u64,
    pub(crate) refusals: Vec<u8>,
    /// How far the batch has come, all attempts together. A kind counts here what it does; it is kept with each
    /// checkpoint.
    pub progress: Progress,
}

impl Work {
    /// Where the job runs.
    #[must_use]
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The job.
    #[must_use]
    pub fn job(&self) -> &Job {
        self.session.job()
    }

    /// The batch.
    #[must_use]
    pub fn task(&self) -> &BatchTask {
        &self.task
    }

    /// The batch's input.
    ///
    /// # Errors
    /// [`WorkError::Failed`] if it is of another form.
    pub fn input<T: DeserializeOwned>(&self) -> Result<T, WorkError> {
        T::deserialize(&self.task.input)
            .map_err(|error| WorkError::Failed(format!("the batch's input: {error}")))
    }

    /// The checkpoint that was saved last, in this attempt or one before it.
    ///
    /// # Errors
    /// [`WorkError::Failed`] if it is of another form.
    pub fn checkpoint<T: DeserializeOwned>(&self) -> Result<Option<T>, WorkError> {
        let parse = |text: &String| serde_json::from_str(text);
        self.checkpoint
            .as_ref()
            .map(parse)
            .transpose()
            .map_err(|error| WorkError::Failed(format!("the batch's checkpoint: {error}")))
    }

    /// How many checkpoints have been saved, all attempts together.
    #[must_use]
    pub fn saves(&self) -> u64 {
        self.saves
    }

    /// The process's part of the stage's rates: wait for `ready` before a call, tell `spent` after it.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        self.session.limits()
    }

    /// The fencing token of this attempt.
    #[must_use]
    pub fn fence(&self) -> u64 {
        self.fence
    }

    /// Whether to stop at the next checkpoint: see [`Session::must_stop`], and the function's deadline.
    #[must_use]
    pub fn must_stop(&self) -> bool {
        self.session.must_stop() || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// The key of an object of the job's, the same for all batches: for what one stage leaves to the next.
    #[must_use]
    pub fn job_object(&self, name: &str) -> String {
        Objects::key(&self.job().job_id, name)
    }

    /// The key of an object of this attempt alone: a worker that has lost its claim cannot spoil another's. Name it
    /// in the checkpoint or the result.
    #[must_use]
    pub fn own_object(&self, name: &str) -> String {
        let BatchTask { stage, batch, .. } = self.task;
        self.job_object(&format!("stage-{stage:06}/batch-{batch:08}/{}-{name}", self.fence))
    }

    /// Counts read units and holds the coming reads back accordingly.
    pub fn spent_read(&mut self, units: f64) {
        self.progress.read_units += units;
        self.limits().read.spent(units);
    }

    /// Counts write units and holds the coming writes back accordingly.
    pub fn spent_write(&mut self, units: f64) {
        self.progress.write_units += units;
        self.limits().write.spent(units);
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
        let checkpoint = json(checkpoint)?;
        self.keep_refusals().await?;
        let also = Also::new()
            .set(CHECKPOINT, text(&checkpoint))
            .set(PROGRESS, text(json(&self.progress)?))
            .set(SAVES, number(self.saves + 1))
            .set(STATE, text(BatchState::Open.as_str()))
            .set(EXPIRE_AT, self.store.expiry());
        self.lease.lock().await.renew_with(also).await?;
        self.saved(checkpoint);
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
        let checkpoint = json(checkpoint)?;
        self.keep_refusals().await?;
        let next = self.saves + 1;
        // The guard also asks for the number of saves: whatever else goes wrong, no save counts twice.
        let guard = self.lease.lock().await.guard();
        let mut update = Update::builder()
            .table_name(&self.site.operations)
            .key("pk", text(&self.key.pk))
            .key("sk", text(&self.key.sk))
            .update_expression(
                "SET #checkpoint = :checkpoint, #progress = :progress, #saves = :next, #state = :open, #expiry = :expiry",
            )
            .condition_expression(format!(
                "{} AND (attribute_not_exists(#saves) OR #saves = :before)",
                guard.condition
            ))
            .set_expression_attribute_names(Some(guard.names))
            .set_expression_attribute_values(Some(guard.values));
        let names = [
            ("#checkpoint", CHECKPOINT),
            ("#progress", PROGRESS),
            ("#saves", SAVES),
            ("#state", STATE),
            ("#expiry", EXPIRE_AT),
        ];
        for (name, attribute) in names {
            update = update.expression_attribute_names(name, attribute);
        }
        let values = [
            (":checkpoint", text(&checkpoint)),
            (":progress", text(json(&self.progress)?)),
            (":next", number(next)),
            (":before", number(self.saves)),
            (":open", text(BatchState::Open.as_str())),
            (":expiry", self.store.expiry()),
        ];
        for (name, value) in values {
            update = update.expression_attribute_values(name, value);
        }
        let update = update.build().map_err(|error| WorkError::Failed(error.to_string()))?;
        // The token makes the SDK's retries one transaction. A further try of the kind's may hold other writes.
        let token = self.site.random.draw();
        let mut all = writes;
        all.push(TransactWriteItem::builder().update(update).build());
        let sent = self
            .site
            .dynamodb
            .transact_write_items()
            .client_request_token(format!("{token:016x}"))
            .set_transact_items(Some(all))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        match sent {
            Ok(output) => {
                let units =
                    output.consumed_capacity().iter().filter_map(ConsumedCapacity::capacity_units).sum();
                // Counted after the progress was written: it is kept with the next checkpoint, or with the end.
                self.spent_write(units);
            }
            Err(error) => self.transaction_failed(error, next).await?,
        }
        self.saved(checkpoint);
        Ok(self.go())
    }

    /// `Ok` if the transaction was applied after all and only its answer was lost.
    async fn transaction_failed(
        &self,
        error: SdkError<TransactWriteItemsError>,
        next: u64,
    ) -> Result<(), WorkError> {
        let codes: Vec<Option<String>> = match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => cancelled
                .cancellation_reasons()
                .iter()
                .map(|reason| reason.code().filter(|code| *code != "None").map(str::to_owned))
                .collect(),
            _ => Vec::new(),
        };
        let Some((ours, items)) = codes.split_last() else {
            let outcome_known = matches!(error, SdkError::ConstructionFailure(_) | SdkError::ServiceError(_));
            if !outcome_known && self.was_applied(next).await? {
                return Ok(());
            }
            return Err(TableError::from_sdk(&self.site.operations, error).into());
        };
        let waits = |code: &str| {
            matches!(code, "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded")
        };
        if codes.iter().flatten().any(|code| waits(code)) {
            let reason = format!("the transaction has to wait: {codes:?}");
            return Err(WorkError::Transient(reason));
        }
        if ours.is_some() {
            if self.was_applied(next).await? {
                return Ok(());
            }
            // Tells who has it.
            self.lease.lock().await.renew().await?;
            return Err(WorkError::Transient("the checkpoint was not the one before".to_owned()));
        }
        Err(WorkError::Refused(items.to_vec()))
    }

    /// Whether the save of this number is ours and was made.
    async fn was_applied(&self, next: u64) -> Result<bool, WorkError> {
        self.lease.lock().await.renew().await?;
        let record = self.store.batch(&self.key).await?;
        Ok(record.is_some_and(|record| record.saves == next))
    }

    fn saved(&mut self, checkpoint: String) {
        self.checkpoint = Some(checkpoint);
        self.saves += 1;
        self.refusals.clear();
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
        let key = self.job_object(&format!("refused/{stage:06}-{batch:08}-{:08}.jsonl", self.saves));
        // Forgotten only once the checkpoint is saved: until then a further try writes them all under this name.
        Ok(self.site.objects.put(&key, self.refusals.clone()).await?)
    }
}

pub(crate) fn json(value: &impl Serialize) -> Result<String, WorkError> {
    serde_json::to_string(value).map_err(|error| WorkError::Failed(error.to_string()))
}

impl From<LeaseError> for WorkError {
    fn from(error: LeaseError) -> Self {
        match error {
            LeaseError::Lost(lost) => Self::Lost(lost),
            LeaseError::Table(error) => error.into(),
        }
    }
}
