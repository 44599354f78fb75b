//! Whole items.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, PutRequest, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure as OnFailure,
    WriteRequest,
};
use nextbasket_dynamodb::item::Item;
use nextbasket_job_engine::WorkError;
use nextbasket_job_engine::limit::Limiter;

use crate::expression::equal;
use crate::key::KeySchema;
use crate::write::update::outcome;
use crate::write::{ItemGuard, OnConflict};
use crate::write::{WriteOutcome, Written, one_by_one};
use nextbasket_dynamodb::capacity::Consuming;
use nextbasket_job_engine::calls::{Backoff, CallError, Calls};

/// How many items go into one call.
pub(super) const MOST: usize = 25;

/// Puts items into a table.
#[derive(Debug)]
pub struct Put {
    table: String,
    partition: String,
    on_conflict: OnConflict,
    guard: Option<ItemGuard>,
}

/// What an item is asked for before it is put.
#[derive(Debug, Default)]
struct PutTerms {
    condition: Option<&'static str>,
    names: Option<HashMap<String, String>>,
    values: Option<HashMap<String, AttributeValue>>,
    on_failure: Option<OnFailure>,
}

impl Put {
    /// Puts into a table with these keys. With [`OnConflict::Fail`] an item that is there already and equal is no
    /// conflict: it may have been put before an answer was lost.
    #[must_use]
    pub fn new(table: &str, keys: &KeySchema, on_conflict: OnConflict) -> Self {
        Self { table: table.to_owned(), partition: keys.partition.name.clone(), on_conflict, guard: None }
    }

    /// Leaves out what the table must not get.
    #[must_use]
    pub fn guarded(self, guard: Option<ItemGuard>) -> Self {
        Self { guard, ..self }
    }

    /// How many items go into one call.
    #[must_use]
    pub fn group(&self) -> usize {
        if self.on_conflict == OnConflict::Overwrite { MOST } else { 1 }
    }

    /// Puts these items: see [`WriteGroup::write`](super::WriteGroup::write).
    pub async fn write(
        &self,
        calls: &Calls,
        limiter: &Limiter,
        group: Vec<Item>,
    ) -> Result<Written, CallError> {
        let Some(guard) = &self.guard else { return self.write_all(calls, limiter, group).await };
        let barred: Vec<bool> = group.iter().map(|item| guard.bars(item)).collect();
        let open = group.into_iter().zip(&barred).filter(|(_, barred)| !**barred).map(|(item, _)| item);
        let (written, units) = self.write_all(calls, limiter, open.collect()).await?;
        let mut written = written.into_iter();
        let outcomes = barred
            .into_iter()
            .filter_map(|barred| if barred { Some(WriteOutcome::Barred) } else { written.next() });
        Ok((outcomes.collect(), units))
    }

    async fn write_all(
        &self,
        calls: &Calls,
        limiter: &Limiter,
        group: Vec<Item>,
    ) -> Result<Written, CallError> {
        if self.on_conflict != OnConflict::Overwrite {
            return one_by_one(group, |item| self.put(calls, limiter, item)).await;
        }
        let count = group.len();
        let request = |item: Item| {
            let put = PutRequest::builder().set_item(Some(item)).build().ok()?;
            Some(WriteRequest::builder().put_request(put).build())
        };
        let mut requests: Vec<WriteRequest> = group.into_iter().filter_map(request).collect();
        match write_batch(calls, limiter, &self.table, &mut requests).await {
            Ok(units) => Ok((vec![WriteOutcome::Changed; count], units)),
            // One of them is at fault: called alone, each has an answer of its own.
            Err(CallError::Refused(_)) if requests.len() == count => {
                let item = |request: WriteRequest| Some(request.put_request?.item);
                let group = requests.into_iter().filter_map(item).collect();
                one_by_one(group, |item| self.put(calls, limiter, item)).await
            }
            Err(error) => Err(half_way(error)),
        }
    }

    async fn put(
        &self,
        calls: &Calls,
        limiter: &Limiter,
        item: Item,
    ) -> Result<(WriteOutcome, f64), CallError> {
        let PutTerms { condition, names, values, on_failure } = match self.asked(&item) {
            Ok(asked) => asked,
            Err(reason) => return Ok((WriteOutcome::Refused(reason), 0.0)),
        };
        let there = std::sync::Mutex::new(None);
        let send = || {
            let put = calls
                .client
                .put_item()
                .table_name(&self.table)
                .set_item(Some(item.clone()))
                .set_condition_expression(condition.map(str::to_owned))
                .set_expression_attribute_names(names.clone())
                .set_expression_attribute_values(values.clone())
                .set_return_values_on_condition_check_failure(on_failure.clone())
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send();
            async {
                let answer = put.await;
                if let Err(error) = &answer
                    && let Some(found) = found(error)
                    && let Ok(mut there) = there.lock()
                {
                    *there = Some(found.clone());
                }
                answer
            }
        };
        let put = outcome(calls.call(&self.table, limiter, None, send, Consuming::units).await)?;
        Ok(match put {
            (WriteOutcome::Skipped, units) if self.on_conflict == OnConflict::Fail => {
                let there = there.into_inner().unwrap_or_default();
                if there.is_some_and(|there| equal(&AttributeValue::M(there), &AttributeValue::M(item))) {
                    (WriteOutcome::Changed, units)
                } else {
                    (WriteOutcome::Refused("an item with this key exists and differs".to_owned()), units)
                }
            }
            put => put,
        })
    }

    /// The condition on an existing item, or why the item cannot be put.
    fn asked(&self, item: &Item) -> Result<PutTerms, String> {
        let mut asked = PutTerms::default();
        if self.on_conflict == OnConflict::Overwrite {
            return Ok(asked);
        }
        let mut names = HashMap::from([("#key".to_owned(), self.partition.clone())]);
        asked.condition = Some("attribute_not_exists(#key)");
        match &self.on_conflict {
            OnConflict::Fail => asked.on_failure = Some(OnFailure::AllOld),
            OnConflict::IfNewer(attribute) => {
                let value =
                    item.get(attribute).ok_or_else(|| format!("attribute \"{attribute}\" is missing"))?;
                if !matches!(value, AttributeValue::S(_) | AttributeValue::N(_) | AttributeValue::B(_)) {
                    return Err(format!("attribute \"{attribute}\" must be a string, a number or binary"));
                }
                asked.condition = Some("attribute_not_exists(#key) OR #attribute < :value");
                names.insert("#attribute".to_owned(), attribute.clone());
                asked.values = Some(HashMap::from([(":value".to_owned(), value.clone())]));
            }
            OnConflict::Overwrite | OnConflict::Skip => {}
        }
        asked.names = Some(names);
        Ok(asked)
    }
}

/// An error behind which some of the group were taken, which ones is not known. Tried again, the whole group is refused
/// at once.
pub(super) fn half_way(error: CallError) -> CallError {
    match error {
        CallError::Refused(refused) => WorkError::Transient(refused.reason()).into(),
        error => error,
    }
}

/// The item that is there, where DynamoDB says it.
fn found(error: &SdkError<PutItemError>) -> Option<&Item> {
    match error.as_service_error() {
        Some(PutItemError::ConditionalCheckFailedException(failed)) => failed.item(),
        _ => None,
    }
}

/// Writes up to 25 requests and, until all are taken, what DynamoDB left unprocessed: it leaves what it throttles. Gives
/// the units that it took. Those that are not written, because of an error, are left in `requests`.
///
/// # Errors
/// [`CallError`]; [`CallError::Refused`] if one of the requests is refused.
pub async fn write_batch(
    calls: &Calls,
    limiter: &Limiter,
    table: &str,
    requests: &mut Vec<WriteRequest>,
) -> Result<f64, CallError> {
    let mut backoff = Backoff::default();
    let mut all = 0.0;
    while !requests.is_empty() {
        let send = || {
            calls
                .client
                .batch_write_item()
                .request_items(table, requests.clone())
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
        };
        let (output, units) = calls.call(table, limiter, None, send, Consuming::units).await?;
        all += units;
        *requests = output.unprocessed_items.and_then(|mut left| left.remove(table)).unwrap_or_default();
        if !requests.is_empty() {
            calls.throttled(limiter, &mut backoff).await?;
        }
    }
    Ok(all)
}
