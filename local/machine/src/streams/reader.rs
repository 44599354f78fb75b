//! Reads one shard page by page and hands its records to the lanes.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::error::DisplayErrorContext;
use aws_sdk_dynamodbstreams::operation::get_records::GetRecordsOutput;
use aws_sdk_dynamodbstreams::types::{AttributeValue, Record, ShardIteratorType};
use tokio::sync::{mpsc, watch};

use super::checkpoint::Checkpoints;
use super::record::{self, Delivered};
use super::trouble::Trouble;
use super::{MappingPace, StreamError, refused};

/// Most records that `GetRecords` gives at once.
pub(crate) const LARGEST_PAGE: usize = 1000;

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

pub(crate) struct ShardReader {
    pub(crate) client: Client,
    pub(crate) stream_arn: String,
    pub(crate) shard: String,
    pub(crate) partition_key: String,
    pub(crate) page: i32,
    pub(crate) pace: MappingPace,
    pub(crate) checkpoints: Arc<Checkpoints>,
    pub(crate) trouble: Arc<Trouble>,
    pub(crate) lanes: Vec<mpsc::Sender<Vec<Delivered>>>,
    pub(crate) wake: watch::Receiver<()>,
    pub(crate) stopped: watch::Receiver<bool>,
}

impl ShardReader {
    pub(crate) async fn run(mut self) {
        let mut stopped = self.stopped.clone();
        tokio::select! {
            () = self.read() => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
    }

    async fn read(&mut self) {
        let mut after = self.checkpoints.of(&self.shard);
        let mut iterator = None;
        let mut wait = self.pace.first_backoff;
        loop {
            match self.page(&mut iterator, after).await {
                Ok(page) => {
                    wait = self.pace.first_backoff;
                    iterator = page.next_shard_iterator;
                    let records = page.records.unwrap_or_default();
                    if records.is_empty() {
                        tokio::select! {
                            () = tokio::time::sleep(self.pace.poll) => {}
                            _ = self.wake.changed() => {}
                        }
                        continue;
                    }
                    let full = i32::try_from(records.len()).is_ok_and(|count| count >= self.page);
                    let Some(last) = self.hand_out(records).await else { return };
                    after = Some(last);
                    if !full {
                        // Behind a busy writer, larger batches cost less than the wait.
                        tokio::time::sleep(self.pace.poll / 10).await;
                    }
                }
                Err(e) => {
                    tracing::warn!(stream = self.stream_arn, error = %e, "a stream could not be read; retrying");
                    self.trouble.note(format!("the stream {} could not be read: {e}", self.stream_arn));
                    // Also right for an iterator that has expired.
                    iterator = None;
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(self.pace.longest_backoff);
                }
            }
        }
    }

    async fn page(
        &self,
        iterator: &mut Option<String>,
        after: Option<u128>,
    ) -> Result<GetRecordsOutput, String> {
        let iterator = match iterator.take() {
            Some(iterator) => iterator,
            None => {
                let request =
                    self.client.get_shard_iterator().stream_arn(&self.stream_arn).shard_id(&self.shard);
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
        let request = self.client.get_records().shard_iterator(iterator).limit(self.page);
        request.send().await.map_err(|e| DisplayErrorContext(&e).to_string())
    }

    /// Gives each record to the lane of its partition key; answers the last one's number, or `None` when the lanes
    /// are gone.
    async fn hand_out(&self, records: Vec<Record>) -> Option<u128> {
        let mut last = None;
        let mut shares: Vec<Vec<Delivered>> = self.lanes.iter().map(|_| Vec::new()).collect();
        for found in records {
            let lane = self.lane_of(&found);
            let Some(converted) = record::convert(found, &self.stream_arn) else {
                tracing::error!(stream = self.stream_arn, "a record without a sequence number was skipped");
                continue;
            };
            last = Some(converted.sequence);
            shares.get_mut(lane)?.push(converted);
        }
        self.checkpoints.under_way(&self.shard, shares.iter().flatten().map(|record| record.sequence));
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
        match keys.and_then(|keys| keys.get(&self.partition_key)) {
            Some(AttributeValue::S(text) | AttributeValue::N(text)) => text.hash(&mut hasher),
            Some(AttributeValue::B(bytes)) => bytes.as_ref().hash(&mut hasher),
            _ => {}
        }
        let lanes = u64::try_from(self.lanes.len()).unwrap_or(1).max(1);
        usize::try_from(hasher.finish() % lanes).unwrap_or(0)
    }
}
