//! Calls of many items: until all are taken, or all are read.

use std::time::Duration;

use aws_sdk_dynamodb::types::{KeysAndAttributes, ReturnConsumedCapacity, WriteRequest};

use crate::item::Item;
use crate::{TableClient, TableError};

const UNPROCESSED_ATTEMPTS: u32 = 8;

/// Whether a read sees every write that was acknowledged before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    /// It may miss recent writes, and costs half the read units.
    Eventual,
    /// It sees all of them.
    Strong,
}

impl TableClient {
    /// Writes up to 25 requests and, until all are taken, what DynamoDB left unprocessed, with growing pauses.
    pub async fn write_batch(&self, mut requests: Vec<WriteRequest>) -> Result<(), TableError> {
        for attempt in 0..UNPROCESSED_ATTEMPTS {
            let batch = self.client.batch_write_item().request_items(&self.name, requests);
            let output =
                self.write(batch.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await)?;
            requests =
                output.unprocessed_items.and_then(|mut left| left.remove(&self.name)).unwrap_or_default();
            if requests.is_empty() {
                return Ok(());
            }
            pause(attempt).await;
        }
        Err(self.unprocessed(requests.len()))
    }

    /// Reads items by key, up to 100 per call, and asks again for those that DynamoDB left unprocessed. Items that do
    /// not exist are omitted.
    pub async fn read_batch(
        &self,
        keys: Vec<Item>,
        consistency: Consistency,
    ) -> Result<Vec<Item>, TableError> {
        let mut items = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(100) {
            let keys = KeysAndAttributes::builder()
                .set_keys(Some(chunk.to_vec()))
                .consistent_read(consistency == Consistency::Strong);
            let mut wanted = Some(self.built(keys.build())?);
            for attempt in 0..UNPROCESSED_ATTEMPTS {
                let Some(keys) = wanted.take() else { break };
                let batch = self.client.batch_get_item().request_items(&self.name, keys);
                let output =
                    self.read(batch.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await)?;
                let found = output.responses.and_then(|mut tables| tables.remove(&self.name));
                items.extend(found.unwrap_or_default());
                wanted = output.unprocessed_keys.and_then(|mut left| left.remove(&self.name));
                if wanted.is_some() {
                    pause(attempt).await;
                }
            }
            if let Some(left) = wanted {
                return Err(self.unprocessed(left.keys.len()));
            }
        }
        Ok(items)
    }

    /// Reads the whole table with `segments` parallel scans, and gives each item to `take`, in no order. Eventually
    /// consistent.
    pub async fn scan_all(&self, segments: usize, take: impl Fn(Item)) -> Result<(), TableError> {
        let take = &take;
        let scans = (0..segments).map(|segment| async move {
            let scan = self
                .scan()
                .segment(i32::try_from(segment).unwrap_or(0))
                .total_segments(i32::try_from(segments).unwrap_or(1));
            let mut start = None;
            loop {
                let output = self.read(scan.clone().set_exclusive_start_key(start).send().await)?;
                output.items.unwrap_or_default().into_iter().for_each(take);
                start = output.last_evaluated_key;
                if start.is_none() {
                    return Ok(());
                }
            }
        });
        futures::future::try_join_all(scans).await.map(|_| ())
    }

    fn unprocessed(&self, left: usize) -> TableError {
        let reason = format!("{left} items were left unprocessed");
        TableError::Throttled { table: self.name.clone(), reason }
    }
}

async fn pause(attempt: u32) {
    tokio::time::sleep(Duration::from_millis(20 << attempt.min(6))).await;
}
