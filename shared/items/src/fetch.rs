//! Items by their keys.

use aws_sdk_dynamodb::types::{KeysAndAttributes, ReturnConsumedCapacity};
use nextbasket_dynamodb::item::Item;
use nextbasket_job_engine::WorkError;
use nextbasket_job_engine::limit::Limiter;

use nextbasket_dynamodb::capacity::Consuming;
use nextbasket_job_engine::calls::{Backoff, CallError, Calls};

/// The maximum number of items in one call.
const MOST: usize = 100;

/// Reads the items of these keys, strongly consistent, with the units it consumed. Keys without an item are skipped.
/// No two keys may be the same.
///
/// # Errors
/// [`CallError`] if the work has to stop or DynamoDB does not answer.
pub async fn fetch(
    calls: &Calls,
    limiter: &Limiter,
    table: &str,
    keys: &[Item],
) -> Result<(Vec<Item>, f64), CallError> {
    let (mut items, mut all) = (Vec::with_capacity(keys.len()), 0.0);
    for chunk in keys.chunks(MOST) {
        let mut wanted = chunk.to_vec();
        let mut backoff = Backoff::default();
        while !wanted.is_empty() {
            let request = KeysAndAttributes::builder().set_keys(Some(wanted)).consistent_read(true).build();
            let request = request.map_err(|error| WorkError::Failed(error.to_string()))?;
            let send = || {
                calls
                    .client
                    .batch_get_item()
                    .request_items(table, request.clone())
                    .return_consumed_capacity(ReturnConsumedCapacity::Total)
                    .send()
            };
            let (output, units) = match calls.call(table, limiter, None, send, Consuming::units).await {
                Err(CallError::Refused(refused)) => {
                    let reason = format!("items of table \"{table}\" cannot be read: {}", refused.reason());
                    return Err(WorkError::Failed(reason).into());
                }
                called => called?,
            };
            all += units;
            items.extend(output.responses.and_then(|mut tables| tables.remove(table)).unwrap_or_default());
            let left = output.unprocessed_keys.and_then(|mut tables| tables.remove(table));
            wanted = left.map(|left| left.keys).unwrap_or_default();
            if !wanted.is_empty() {
                calls.throttled(limiter, &mut backoff).await?;
            }
        }
    }
    Ok((items, all))
}
