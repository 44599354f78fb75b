//! One update for each item.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnConsumedCapacity, TransactWriteItem, Update as TransactUpdate,
};
use nextbasket_domain::Timestamp;
use nextbasket_dynamodb::item::Item;
use nextbasket_job_engine::WorkError;
use nextbasket_job_engine::limit::Limiter;

use crate::expression::{Change, Condition, Placeholders};
use crate::key::KeySchema;
use crate::write::WriteOutcome;
use nextbasket_dynamodb::capacity::Consuming;
use nextbasket_job_engine::calls::{CallError, Calls};

/// A change of items of a table that meet a condition and are there.
#[derive(Debug, Clone)]
pub struct Update {
    table: String,
    update: String,
    condition: String,
    names: Option<HashMap<String, String>>,
    values: Option<HashMap<String, AttributeValue>>,
}

impl Update {
    /// The change of those that still meet the condition, if there is one.
    #[must_use]
    pub fn new(
        table: &str,
        keys: &KeySchema,
        condition: Option<Condition>,
        change: &Change,
        now: Timestamp,
    ) -> Self {
        let mut placeholders = Placeholders::at(now);
        let exists = Condition::exists(&keys.partition.name);
        let condition = match condition {
            Some(condition) => condition.and(exists),
            None => exists,
        };
        let update = change.write(&mut placeholders);
        let condition = condition.write(&mut placeholders);
        Self {
            table: table.to_owned(),
            update,
            condition,
            names: placeholders.names(),
            values: placeholders.values(),
        }
    }

    /// Changes the item of this key, and returns the outcome and the units that it consumed.
    ///
    /// # Errors
    /// [`CallError`] if the work has to stop or DynamoDB does not take calls.
    pub async fn write(
        &self,
        calls: &Calls,
        limiter: &Limiter,
        key: Item,
    ) -> Result<(WriteOutcome, f64), CallError> {
        let send = || {
            calls
                .client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(key.clone()))
                .update_expression(&self.update)
                .condition_expression(&self.condition)
                .set_expression_attribute_names(self.names.clone())
                .set_expression_attribute_values(self.values.clone())
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
        };
        outcome(calls.call(&self.table, limiter, None, send, Consuming::units).await)
    }

    /// The same as a part of a transaction. `None` if the SDK does not take it.
    #[must_use]
    pub fn in_transaction(&self, key: Item) -> Option<TransactWriteItem> {
        let update = TransactUpdate::builder()
            .table_name(&self.table)
            .set_key(Some(key))
            .update_expression(&self.update)
            .condition_expression(&self.condition)
            .set_expression_attribute_names(self.names.clone())
            .set_expression_attribute_values(self.values.clone());
        Some(TransactWriteItem::builder().update(update.build().ok()?).build())
    }
}

/// What a call for one item means for it.
pub(crate) fn outcome<T>(called: Result<(T, f64), CallError>) -> Result<(WriteOutcome, f64), CallError> {
    match called {
        Ok((_, units)) => Ok((WriteOutcome::Changed, units)),
        Err(CallError::Refused(refused)) if refused.is_condition() => Ok((WriteOutcome::Skipped, 0.0)),
        Err(CallError::Refused(refused)) if refused.is_expression() => {
            Err(WorkError::Systemic(format!("DynamoDB rejects the expression: {}", refused.reason())).into())
        }
        Err(CallError::Refused(refused)) => Ok((WriteOutcome::Refused(refused.reason()), 0.0)),
        Err(error) => Err(error),
    }
}
