//! One deletion, on the condition that the item still is what its copy says.

use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, ReturnValue};
use nextbasket_dynamodb::capacity::Consuming;
use nextbasket_dynamodb::item::Item;
use nextbasket_items::fetch::fetch;
use nextbasket_items::key::KeySchema;
use nextbasket_job_engine::WorkError;
use nextbasket_job_engine::calls::{CallError, Calls};
use nextbasket_job_engine::limit::Limits;

use super::kept_items::{KeptItems, PutBack};
use crate::diff::same_items;
use crate::equality_condition::EqualityCondition;

/// What deletes the items of a batch.
#[derive(Debug, Clone)]
pub(super) struct Deleter {
    pub(super) calls: Calls,
    pub(super) limits: Limits,
    pub(super) table: String,
    pub(super) keys: KeySchema,
    pub(super) kept: KeptItems,
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
    pub(super) fn table(&self) -> (&str, &KeySchema) {
        (&self.table, &self.keys)
    }

    /// Whether items can be put, as one that changes in the moment of its deletion has to be. The put asks for what no
    /// item can meet, so that it fails after DynamoDB has checked the permission, and writes nothing.
    ///
    /// # Errors
    /// [`CallError`] if they cannot.
    pub(super) async fn check_may_put(&self, item: &Item) -> Result<(), CallError> {
        let send = || {
            self.calls
                .client
                .put_item()
                .table_name(&self.table)
                .set_item(Some(item.clone()))
                .condition_expression("attribute_exists(#key) AND attribute_not_exists(#key)")
                .expression_attribute_names("#key", &self.keys.partition.name)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
        };
        let denied = |reason: String| {
            WorkError::Systemic(format!(
                "table \"{}\": items cannot be put, so none is deleted, since an item that is changed in the moment of \
                 its deletion could not be put back: {reason}. Allow dynamodb:PutItem on the table.",
                self.table
            ))
        };
        match self.calls.call(&self.table, &self.limits.write, None, send, Consuming::units).await {
            Err(CallError::Refused(refused)) if refused.is_condition() => Ok(()),
            Err(CallError::Refused(refused)) => Err(denied(refused.reason()).into()),
            Err(CallError::Failed(WorkError::Systemic(reason))) => Err(denied(reason).into()),
            Err(error) => Err(error),
            Ok(_) => Err(denied("the endpoint does not evaluate conditions".to_owned()).into()),
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
                let (back, spent) =
                    self.kept.put_back(&self.calls, &self.limits, self.table(), (line, &was)).await?;
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
