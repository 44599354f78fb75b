//! Calls of many items: until all are taken, or all are read.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{KeysAndAttributes, ReturnConsumedCapacity, WriteRequest};

use crate::item::Item;
use crate::{TableError, capacity};

const UNPROCESSED_ATTEMPTS: u32 = 8;

/// Writes up to 25 requests and, until all are taken, what DynamoDB left unprocessed, with growing pauses.
///
/// # Errors
/// [`TableError`] if DynamoDB does not take them.
pub async fn write_batch(
    client: &Client,
    table: &str,
    mut requests: Vec<WriteRequest>,
) -> Result<(), TableError> {
    for attempt in 0..UNPROCESSED_ATTEMPTS {
        let output = client
            .batch_write_item()
            .request_items(table, requests)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| TableError::from_sdk(table, error))?;
        capacity::write(output.consumed_capacity());
        requests = output.unprocessed_items.and_then(|mut left| left.remove(table)).unwrap_or_default();
        if requests.is_empty() {
            return Ok(());
        }
        pause(attempt).await;
    }
    Err(unprocessed(table, requests.len()))
}

/// Whether a read sees every write that was acknowledged before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    /// It may miss recent writes, and costs half the read units.
    Eventual,
    /// It sees all of them.
    Strong,
}

/// Reads items by key, up to 100 per call, and asks again for those that DynamoDB left unprocessed. Items that do not
/// exist are omitted.
///
/// # Errors
/// [`TableError`] if DynamoDB does not answer.
pub async fn read_batch(
    client: &Client,
    table: &str,
    keys: Vec<Item>,
    consistency: Consistency,
) -> Result<Vec<Item>, TableError> {
    let mut items = Vec::with_capacity(keys.len());
    let refused =
        |error: BuildError| TableError::Refused { table: table.to_owned(), reason: error.to_string() };
    for chunk in keys.chunks(100) {
        let keys = KeysAndAttributes::builder()
            .set_keys(Some(chunk.to_vec()))
            .consistent_read(consistency == Consistency::Strong);
        let mut wanted = Some(keys.build().map_err(refused)?);
        for attempt in 0..UNPROCESSED_ATTEMPTS {
            let Some(keys) = wanted.take() else { break };
            let output = client
                .batch_get_item()
                .request_items(table, keys)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(|error| TableError::from_sdk(table, error))?;
            capacity::read(output.consumed_capacity());
            items.extend(output.responses.and_then(|mut tables| tables.remove(table)).unwrap_or_default());
            wanted = output.unprocessed_keys.and_then(|mut left| left.remove(table));
            if wanted.is_some() {
                pause(attempt).await;
            }
        }
        if let Some(left) = wanted {
            return Err(unprocessed(table, left.keys.len()));
        }
    }
    Ok(items)
}

/// Reads the whole table with `segments` parallel scans, and gives each item to `take`, in no order. Eventually
/// consistent.
///
/// # Errors
/// [`TableError`] if DynamoDB does not answer.
pub async fn scan(
    client: &Client,
    table: &str,
    segments: usize,
    take: impl Fn(Item),
) -> Result<(), TableError> {
    let take = &take;
    let scans = (0..segments).map(|segment| async move {
        let mut start = None;
        loop {
            let output = client
                .scan()
                .table_name(table)
                .segment(i32::try_from(segment).unwrap_or(0))
                .total_segments(i32::try_from(segments).unwrap_or(1))
                .set_exclusive_start_key(start)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(|error| TableError::from_sdk(table, error))?;
            capacity::read(&output.consumed_capacity);
            for item in output.items.unwrap_or_default() {
                take(item);
            }
            start = output.last_evaluated_key;
            if start.is_none() {
                return Ok(());
            }
        }
    });
    futures::future::try_join_all(scans).await.map(|_| ())
}

async fn pause(attempt: u32) {
    tokio::time::sleep(Duration::from_millis(20 << attempt.min(6))).await;
}

fn unprocessed(table: &str, left: usize) -> TableError {
    TableError::Throttled { table: table.to_owned(), reason: format!("{left} items were left unprocessed") }
}
