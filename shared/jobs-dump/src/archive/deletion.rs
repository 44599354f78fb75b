//! One deletion, on the condition that the item still is what its copy says.

use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, ReturnValue};
use nextbasket_dynamodb::capacity::Consuming;
use nextbasket_dynamodb::item::Item;
use nextbasket_items::fetch::fetch;
use nextbasket_items::key::KeySchema;
use nextbasket_items::write::put::Put;
use nextbasket_items::write::{OnConflict, WriteOutcome};
use nextbasket_job_engine::WorkError;
use nextbasket_job_engine::calls::{CallError, Calls};
use nextbasket_job_engine::limit::Limits;

use crate::diff::same_items;
use crate::equality_condition::EqualityCondition;
use crate::kept_items::KeptItems;

/// What deletes the items of a batch.
#[derive(Debug, Clone)]
pub(super) struct Deleter {
    pub(super) calls: Calls,
    pub(super) limits: Limits,
    pub(super) table: String,
    pub(super) keys: KeySchema,
    pub(super) kept: KeptItems,
}

/// Where an item is now that was changed in the moment of its deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PutBack {
    InTable,
    /// Somebody has put another item with its key meanwhile.
    Replaced,
}

/// The outcome of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deletion {
    Deleted,
    /// It is not what its copy says any more, and stays.
    Changed,
    /// It was changed in the moment of its deletion, and was put back.
    PutBack(PutBack),
    /// It was not there any more.
    Gone,
}

impl Deleter {
    /// Whether an item could be put back: see [`KeptItems::check_may_put`].
    ///
    /// # Errors
    /// [`CallError`] if it could not.
    pub(super) async fn check_may_put(&self, item: &Item) -> Result<(), CallError> {
        self.kept.check_may_put(&self.calls, &self.limits.write, (&self.table, &self.keys), item).await
    }

    /// Puts an item back that was changed in the moment of its deletion, and keeps it until that is done.
    ///
    /// # Errors
    /// [`CallError`] if it cannot be put back; the message says where it is kept.
    pub(super) async fn put_back(&self, (line, item): (u64, &Item)) -> Result<(PutBack, f64), CallError> {
        self.kept.put_back(&self.table, (line, item), self.put(item)).await
    }

    /// Puts the item, unless there is one with its key.
    async fn put(&self, item: &Item) -> Result<(PutBack, f64), CallError> {
        let Self { calls, limits, table, keys, .. } = self;
        let writer = Put::new(table, keys, OnConflict::Skip);
        let (outcomes, units) = writer.write(calls, &limits.write, vec![item.clone()]).await?;
        match outcomes.into_iter().next() {
            Some(WriteOutcome::Changed) => Ok((PutBack::InTable, units)),
            Some(WriteOutcome::Refused(reason)) => Err(WorkError::Failed(reason).into()),
            // It was put by an attempt whose answer was lost, or there is another one.
            _ => {
                let (there, _) = fetch(calls, &limits.read, table, &[keys.of(item)]).await?;
                let ours = match there.first() {
                    Some(there) => same_items(there, item)?,
                    None => false,
                };
                Ok((if ours { PutBack::InTable } else { PutBack::Replaced }, units))
            }
        }
    }

    /// Deletes the item of this copy if it still is what the copy says, and returns the units that this consumed.
    pub(super) async fn delete(
        &self,
        (line, copy): (u64, Item),
        unchanged: EqualityCondition,
    ) -> Result<(Deletion, f64), CallError> {
        let key = self.keys.of(&copy);
        let unanswered = AtomicBool::new(false);
        let send = || {
            let sent = self
                .calls
                .client
                .delete_item()
                .table_name(&self.table)
                .set_key(Some(key.clone()))
                .condition_expression(&unchanged.condition)
                .set_expression_attribute_names(Some(unchanged.names.clone()))
                .set_expression_attribute_values(unchanged.request_values())
                .return_values(ReturnValue::AllOld)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send();
            async {
                sent.await.inspect_err(|error| {
                    if may_have_been_applied(error) {
                        unanswered.store(true, Ordering::Relaxed);
                    }
                })
            }
        };
        let deleted = self.calls.call(&self.table, &self.limits.write, None, send, Consuming::units).await;
        let (output, units) = match deleted {
            Ok(deleted) => deleted,
            Err(CallError::Refused(refused)) if refused.is_condition() => {
                // Only a read tells a change from a deletion whose answer was lost.
                let (there, _) = fetch(&self.calls, &self.limits.read, &self.table, &[key]).await?;
                let deletion = match (there.is_empty(), unanswered.into_inner()) {
                    (false, _) => Deletion::Changed,
                    (true, true) => Deletion::Deleted,
                    (true, false) => Deletion::Gone,
                };
                return Ok((deletion, 0.0));
            }
            Err(CallError::Refused(refused)) => {
                // Not its key: a job's record must name nobody.
                let (table, reason) = (&self.table, refused.reason());
                let problem = format!(
                    "an item of table {table} cannot be deleted: {reason}. To find it, diff the archive and the table."
                );
                return Err(WorkError::Failed(problem).into());
            }
            Err(error) => return Err(error),
        };
        match output.attributes {
            Some(was) if !same_items(&was, &copy)? => {
                let (back, spent) = self.put_back((line, &was)).await?;
                Ok((Deletion::PutBack(back), units + spent))
            }
            _ => Ok((Deletion::Deleted, units)),
        }
    }
}

/// Whether the request may have been applied although it failed: every failure but an answer that says otherwise.
fn may_have_been_applied(error: &SdkError<DeleteItemError>) -> bool {
    match error {
        SdkError::ConstructionFailure(_) => false,
        SdkError::ServiceError(service) => service.raw().status().as_u16() >= 500,
        _ => true,
    }
}
