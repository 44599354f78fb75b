//! Deletions.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, ReturnConsumedCapacity, WriteRequest};
use nextbasket_domain::Timestamp;
use nextbasket_dynamodb::item::Item;
use nextbasket_job_engine::limit::Limiter;

use crate::expression::{Condition, Placeholders};
use crate::key::KeySchema;
use crate::write::put::write_batch;
use crate::write::update::outcome;
use crate::write::{WriteOutcome, Written, one_by_one};
use nextbasket_dynamodb::capacity::Consuming;
use nextbasket_job_engine::calls::{CallError, Calls};

/// How many deletions go into one call.
const MOST: usize = 25;

/// Deletes items of a table: those that still meet a condition, or all.
#[derive(Debug)]
pub struct Delete {
    table: String,
    /// With a condition: that, and that the item is there.
    condition: Option<String>,
    names: Option<HashMap<String, String>>,
    values: Option<HashMap<String, AttributeValue>>,
}

impl Delete {
    /// Deletions of the items that still meet the condition, or of all.
    #[must_use]
    pub fn new(table: &str, keys: &KeySchema, condition: Option<Condition>, now: Timestamp) -> Self {
        let mut placeholders = Placeholders::at(now);
        let condition = condition
            .map(|condition| condition.and(Condition::exists(&keys.partition.name)).write(&mut placeholders));
        Self {
            table: table.to_owned(),
            condition,
            names: placeholders.names(),
            values: placeholders.values(),
        }
    }

    /// How many items go into one call.
    #[must_use]
    pub fn group(&self) -> usize {
        if self.condition.is_some() { 1 } else { MOST }
    }

    /// Deletes the items of these keys: see [`WriteGroup::write`](super::WriteGroup::write).
    pub async fn write(
        &self,
        calls: &Calls,
        limiter: &Limiter,
        group: Vec<Item>,
    ) -> Result<Written, CallError> {
        if self.condition.is_some() {
            return one_by_one(group, |key| self.delete(calls, limiter, key)).await;
        }
        let count = group.len();
        let request = |key: Item| {
            let delete = DeleteRequest::builder().set_key(Some(key)).build().ok()?;
            Some(WriteRequest::builder().delete_request(delete).build())
        };
        let mut requests: Vec<WriteRequest> = group.iter().cloned().filter_map(request).collect();
        match write_batch(calls, limiter, &self.table, &mut requests).await {
            Ok(units) => Ok((vec![WriteOutcome::Changed; count], units)),
            Err(CallError::Refused(_)) => one_by_one(group, |key| self.delete(calls, limiter, key)).await,
            Err(error) => Err(error),
        }
    }

    async fn delete(
        &self,
        calls: &Calls,
        limiter: &Limiter,
        key: Item,
    ) -> Result<(WriteOutcome, f64), CallError> {
        let send = || {
            calls
                .client
                .delete_item()
                .table_name(&self.table)
                .set_key(Some(key.clone()))
                .set_condition_expression(self.condition.clone())
                .set_expression_attribute_names(self.names.clone())
                .set_expression_attribute_values(self.values.clone())
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
        };
        outcome(calls.call(&self.table, limiter, None, send, Consuming::units).await)
    }
}
