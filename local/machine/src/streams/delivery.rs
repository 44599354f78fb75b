//! Gives a batch to the function until it is taken or given up, with Lambda's rules for what is tried again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lambda_events::event::dynamodb::Event;
use aws_lambda_events::event::streams::DynamoDbEventResponse;

use crate::invoke::{InvocationError, invoke, request_id};

use super::SharedMapping;
use super::dead_letters::{DeadLetterCondition, GivenUp};
use super::record::Delivered;

/// After how many failed attempts to write a note about given-up records those who wait for the mapping get an error.
const NOTE_TRIES: u32 = 3;

/// What a shard's lanes share.
pub(super) struct Delivery {
    pub(super) shared: Arc<SharedMapping>,
    pub(super) shard: String,
    /// When the mapping began to run.
    pub(super) started: SystemTime,
}

/// Records that are given to the function together.
struct RecordBatch {
    records: Vec<Delivered>,
    /// How often its first record was tried again. Halving does not count, nor what failed before other records.
    retries: u32,
    /// How often the function was called with its first record.
    invocations: u32,
    /// Whether the function's last answer was an error, and not a list of failed records.
    crashed: bool,
    request_id: String,
}

enum DeliveryOutcome {
    Taken,
    /// The records before this one were taken.
    FailedAt(usize),
    Crashed,
}

impl Delivery {
    /// Returns when every record was taken or given up, or the mapping is stopped.
    pub(crate) async fn deliver(&self, records: Vec<Delivered>) {
        let first =
            RecordBatch { records, retries: 0, invocations: 0, crashed: false, request_id: String::new() };
        let mut batches = VecDeque::from([first]);
        while let Some(mut batch) = batches.pop_front() {
            self.give_up_old(&mut batch).await;
            if batch.records.is_empty() {
                continue;
            }
            if *self.shared.stop.borrow() {
                return;
            }
            match self.attempt(&mut batch).await {
                DeliveryOutcome::Taken => self.taken(&batch.records),
                DeliveryOutcome::FailedAt(0) | DeliveryOutcome::Crashed => {
                    match self.after_failure(batch).await {
                        Some(again) => again.into_iter().rev().for_each(|batch| batches.push_front(batch)),
                        None => return,
                    }
                }
                DeliveryOutcome::FailedAt(at) => {
                    let rest = batch.records.split_off(at);
                    self.taken(&batch.records);
                    // Another record fails now than before: its tries are counted from here.
                    batches.push_front(RecordBatch { records: rest, retries: 0, invocations: 1, ..batch });
                    if !self.pause(self.shared.pace.first_backoff).await {
                        return;
                    }
                }
            }
        }
    }

    async fn attempt(&self, batch: &mut RecordBatch) -> DeliveryOutcome {
        batch.request_id = request_id();
        batch.invocations = batch.invocations.saturating_add(1);
        let mut event = Event::default();
        event.records = batch.records.iter().map(|record| record.event.clone()).collect();
        let answer = invoke(&self.shared.function, &self.shared.handler, event, &batch.request_id).await;
        let outcome = match &answer {
            Ok(answer) => self.judge(answer, &batch.records),
            Err(e) => {
                self.log(batch, e);
                DeliveryOutcome::Crashed
            }
        };
        batch.crashed = matches!(outcome, DeliveryOutcome::Crashed);
        outcome
    }

    fn judge(&self, answer: &DynamoDbEventResponse, records: &[Delivered]) -> DeliveryOutcome {
        if !self.shared.mapping.report_item_failures || answer.batch_item_failures.is_empty() {
            return DeliveryOutcome::Taken;
        }
        let mut first = records.len();
        for failure in &answer.batch_item_failures {
            let id = failure.item_identifier.as_deref().filter(|id| !id.is_empty());
            let at = id.and_then(|id| {
                records.iter().position(|r| r.event.change.sequence_number.as_deref() == Some(id))
            });
            match at {
                Some(at) => first = first.min(at),
                // As Lambda does with an id that is none of the batch: the whole batch counts as failed.
                None => return DeliveryOutcome::FailedAt(0),
            }
        }
        DeliveryOutcome::FailedAt(first)
    }

    /// What to give next of a batch whose first record failed; `None` when the mapping is stopped.
    async fn after_failure(&self, mut batch: RecordBatch) -> Option<Vec<RecordBatch>> {
        if self.shared.mapping.bisect && batch.records.len() > 1 {
            let records = batch.records.split_off(batch.records.len() / 2);
            let request_id = batch.request_id.clone();
            let second =
                RecordBatch { records, retries: 0, invocations: 1, crashed: batch.crashed, request_id };
            return Some(vec![batch, second]);
        }
        if self.shared.mapping.maximum_retries.is_some_and(|most| batch.retries >= most) {
            self.give_up(&batch, &batch.records, DeadLetterCondition::RetryAttemptsExhausted).await;
            return Some(Vec::new());
        }
        let doublings = batch.retries.min(16);
        batch.retries = batch.retries.saturating_add(1);
        let wait = self
            .shared
            .pace
            .first_backoff
            .saturating_mul(1 << doublings)
            .min(self.shared.pace.longest_backoff);
        self.pause(wait).await.then(|| vec![batch])
    }

    async fn give_up_old(&self, batch: &mut RecordBatch) {
        let Some(oldest) =
            self.shared.mapping.maximum_record_age.and_then(|age| SystemTime::now().checked_sub(age))
        else {
            return;
        };
        // On AWS a mapping always runs. Here the machine may have been off, and nobody tried in that time.
        let old = batch.records.iter().take_while(|record| record.written.max(self.started) < oldest).count();
        if old > 0 {
            let rest = batch.records.split_off(old);
            let old = std::mem::replace(&mut batch.records, rest);
            self.give_up(batch, &old, DeadLetterCondition::RecordAgeExceeded).await;
        }
    }

    async fn give_up(&self, batch: &RecordBatch, records: &[Delivered], condition: DeadLetterCondition) {
        tracing::error!(
            mapping = self.shared.mapping.name,
            records = records.len(),
            condition = ?condition,
            "records were given up"
        );
        if self.shared.mapping.on_failure.is_some() {
            let given_up = GivenUp {
                condition,
                function_arn: self.shared.function.arn(),
                request_id: &batch.request_id,
                invocations: batch.invocations,
                crashed: batch.crashed,
                stream_arn: &self.shared.stream_arn,
                shard: &self.shard,
                records,
            };
            // Without the note nobody would ever learn of them, so this is retried until the mapping is stopped.
            let mut tries = 0_u32;
            while let Err(error) = self.shared.dead_letters.add(&given_up) {
                tries = tries.saturating_add(1);
                if tries == 1 {
                    tracing::error!(%error, mapping = self.shared.mapping.name, "a batch failed; retrying");
                }
                if tries >= NOTE_TRIES {
                    self.shared.trouble.lasts(error.to_string());
                }
                if !self.pause(self.shared.pace.longest_backoff).await {
                    return;
                }
            }
            self.shared.trouble.ends();
        }
        self.shared.checkpoints.given_up(&self.shard, records.iter().map(|record| record.sequence));
    }

    fn taken(&self, records: &[Delivered]) {
        self.shared.trouble.ends();
        self.shared.checkpoints.taken(&self.shard, records.iter().map(|record| record.sequence));
    }

    /// Whether the mapping is still to go on after that time.
    async fn pause(&self, time: Duration) -> bool {
        tokio::time::timeout(time, self.shared.stopped()).await.is_err()
    }

    fn log(&self, batch: &RecordBatch, error: &InvocationError) {
        self.shared.trouble.note(error.to_string());
        tracing::warn!(
            mapping = self.shared.mapping.name,
            request_id = batch.request_id,
            records = batch.records.len(),
            invocations = batch.invocations,
            error = %error,
            "a batch failed"
        );
    }
}
