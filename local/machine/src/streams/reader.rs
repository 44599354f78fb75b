//! Reads one shard page by page and hands its records to the lanes.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::error::DisplayErrorContext;
use aws_sdk_dynamodbstreams::operation::get_records::GetRecordsOutput;
use aws_sdk_dynamodbstreams::types::{AttributeValue, Record, ShardIteratorType};
use tokio::sync::mpsc;

use super::record::{self, Delivered};
use super::{SharedMapping, StreamError, refused};

/// Most records that `GetRecords` gives at once.
const LARGEST_PAGE: usize = 1000;

/// A shard and the last record that it has.
pub(crate) struct Shard {
    pub(crate) id: String,
    pub(crate) last: Option<u128>,
}

/// The ARN of the table's stream.
pub(crate) async fn stream_of(client: &Client, table: &str) -> Result<String, StreamError> {
    let found = client.list_streams().table_name(table).send().await.map_err(|e| refused(table, &e))?;
    let stream = found.streams().last().and_then(|stream| stream.stream_arn());
    stream.map(str::to_owned).ok_or_else(|| StreamError::NoStream { table: table.to_owned() })
}

/// The stream's shards. The embedded endpoint names the last record of a shard that is still open, too.
pub(crate) async fn shards(
    client: &Client,
    table: &str,
    stream_arn: &str,
) -> Result<Vec<Shard>, StreamError> {
    let found =
        client.describe_stream().stream_arn(stream_arn).send().await.map_err(|e| refused(table, &e))?;
    let shards = found.stream_description().map(|d| d.shards()).unwrap_or_default();
    Ok(shards
        .iter()
        .filter_map(|shard| {
            let last = shard.sequence_number_range().and_then(|r| r.ending_sequence_number());
            Some(Shard { id: shard.shard_id()?.to_owned(), last: last.and_then(|n| n.parse().ok()) })
        })
        .collect())
}

pub(super) struct ShardReader {
    pub(super) shared: Arc<SharedMapping>,
    pub(super) shard: String,
    pub(super) lanes: Vec<mpsc::Sender<Vec<Delivered>>>,
}

impl ShardReader {
    pub(super) async fn run(self) {
        tokio::select! {
            () = self.read() => {}
            () = self.shared.stopped() => {}
        }
    }

    async fn read(&self) {
        let mut wake = self.shared.wake.0.subscribe();
        let mut after = self.shared.checkpoints.of(&self.shard);
        let mut iterator = None;
        let mut wait = self.shared.pace.first_backoff;
        loop {
            match self.page(&mut iterator, after).await {
                Ok(page) => {
                    wait = self.shared.pace.first_backoff;
                    iterator = page.next_shard_iterator;
                    let records = page.records.unwrap_or_default();
                    if records.is_empty() {
                        tokio::select! {
                            () = tokio::time::sleep(self.shared.pace.poll) => {}
                            _ = wake.changed() => {}
                        }
                        continue;
                    }
                    let full = i32::try_from(records.len()).is_ok_and(|count| count >= self.page_size());
                    let Some(last) = self.hand_out(records).await else { return };
                    after = Some(last);
                    if !full {
                        // Behind a busy writer, larger batches cost less than the wait.
                        tokio::time::sleep(self.shared.pace.poll / 10).await;
                    }
                }
                Err(e) => {
                    tracing::warn!(stream = self.shared.stream_arn, error = %e, "a stream could not be read; retrying");
                    self.shared
                        .trouble
                        .note(format!("the stream {} could not be read: {e}", self.shared.stream_arn));
                    // Also right for an iterator that has expired.
                    iterator = None;
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(self.shared.pace.longest_backoff);
                }
            }
        }
    }

    fn page_size(&self) -> i32 {
        i32::try_from(self.shared.mapping.batch_size.min(LARGEST_PAGE)).unwrap_or(i32::MAX)
    }

    async fn page(
        &self,
        iterator: &mut Option<String>,
        after: Option<u128>,
    ) -> Result<GetRecordsOutput, String> {
        let iterator = match iterator.take() {
            Some(iterator) => iterator,
            None => {
                let request = self
                    .shared
                    .client
                    .get_shard_iterator()
                    .stream_arn(&self.shared.stream_arn)
                    .shard_id(&self.shard);
                let request = match after {
                    Some(after) => request
                        .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                        .sequence_number(after.to_string()),
                    None => request.shard_iterator_type(ShardIteratorType::TrimHorizon),
                };
                let found = request.send().await.map_err(|e| DisplayErrorContext(&e).to_string())?;
                found.shard_iterator.ok_or("no iterator")?
            }
        };
        let request = self.shared.client.get_records().shard_iterator(iterator).limit(self.page_size());
        request.send().await.map_err(|e| DisplayErrorContext(&e).to_string())
    }

    /// Gives each record to the lane of its partition key; answers the last one's number, or `None` when the lanes
    /// are gone.
    async fn hand_out(&self, records: Vec<Record>) -> Option<u128> {
        let mut last = None;
        let mut shares: Vec<Vec<Delivered>> = self.lanes.iter().map(|_| Vec::new()).collect();
        for found in records {
            let lane = self.lane_of(&found);
            let Some(converted) = record::convert(found, &self.shared.stream_arn) else {
                tracing::error!(
                    stream = self.shared.stream_arn,
                    "a record without a sequence number was skipped"
                );
                continue;
            };
            last = Some(converted.sequence);
            shares.get_mut(lane)?.push(converted);
        }
        self.shared.checkpoints.under_way(&self.shard, shares.iter().flatten().map(|record| record.sequence));
        for (lane, share) in self.lanes.iter().zip(shares) {
            if !share.is_empty() {
                lane.send(share).await.ok()?;
            }
        }
        last
    }

    fn lane_of(&self, record: &Record) -> usize {
        let keys = record.dynamodb().and_then(|change| change.keys());
        let mut hasher = DefaultHasher::new();
        match keys.and_then(|keys| keys.get(self.shared.table.partition_key())) {
            Some(AttributeValue::S(text) | AttributeValue::N(text)) => text.hash(&mut hasher),
            Some(AttributeValue::B(bytes)) => bytes.as_ref().hash(&mut hasher),
            _ => {}
        }
        let lanes = u64::try_from(self.lanes.len()).unwrap_or(1).max(1);
        usize::try_from(hasher.finish() % lanes).unwrap_or(0)
    }
}
