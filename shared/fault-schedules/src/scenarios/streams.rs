//! The stream of purchases as Lambda delivers it: in pieces, late, twice, and again after a failure.

use std::sync::Arc;

use aws_lambda_events::dynamodb::Event;
use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::types::{Record, ShardIteratorType};
use lambda_runtime::{Context, LambdaEvent};
use nextbasket_telemetry::Metrics;
use purchase_history::{State, handle};
use serde_json::{Value, json};
use std::time::Duration;

use crate::process::Role;
use crate::world::broken;
use crate::{Bug, Checked, Violation, World, ensure};

/// How many times one batch is delivered until it is done.
const DELIVERIES: u32 = 60;

/// A reader of the stream, which delivers to the consumer.
pub(super) struct Stream<'w> {
    world: &'w World,
    client: Client,
}

impl<'w> Stream<'w> {
    /// Begins at the stream's present end.
    pub(super) async fn open(world: &'w World) -> Checked<Self> {
        let client = Client::new(world.endpoints.machine().sdk_config());
        let stream = Self { world, client };
        // Skips records of earlier schedules.
        while !stream.read().await?.is_empty() {}
        Ok(stream)
    }

    /// The records since the last read.
    async fn read(&self) -> Checked<Vec<Value>> {
        let known = self.world.endpoints.stream.lock().unwrap().take();
        let iterator = match known {
            Some(iterator) => iterator,
            None => self.begin().await?,
        };
        let client = self.client.clone();
        let page = self.apart(async move { client.get_records().shard_iterator(iterator).send().await })?;
        let page = page.map_err(broken)?;
        *self.world.endpoints.stream.lock().unwrap() = page.next_shard_iterator;
        Ok(page.records.unwrap_or_default().iter().map(record).collect())
    }

    async fn begin(&self) -> Checked<String> {
        let table = self.world.names().live.purchases.clone().unwrap_or_default();
        let described = self.world.observer().dynamodb.describe_table().table_name(table).send().await;
        let described = described.map_err(broken)?.table;
        let arn = described.and_then(|table| table.latest_stream_arn);
        let arn = arn.ok_or_else(|| Violation("the table has no stream".to_owned()))?;
        let (client, of) = (self.client.clone(), arn.clone());
        let shards = self
            .apart(async move { client.describe_stream().stream_arn(of).send().await })?
            .map_err(broken)?;
        let shards = shards.stream_description.and_then(|stream| stream.shards).unwrap_or_default();
        let shard = shards.into_iter().next_back().and_then(|shard| shard.shard_id);
        let client = self.client.clone();
        let iterator = self.apart(async move {
            client
                .get_shard_iterator()
                .stream_arn(arn)
                .set_shard_id(shard)
                .shard_iterator_type(ShardIteratorType::Latest)
                .send()
                .await
        })?;
        iterator.map_err(broken)?.shard_iterator.ok_or_else(|| Violation("no iterator".to_owned()))
    }

    /// Waits in real time for a call of the schedule itself.
    fn apart<T: Send + 'static>(&self, call: impl Future<Output = T> + Send + 'static) -> Checked<T> {
        self.world.endpoints.wait(call).map_err(broken)
    }

    /// Reads and delivers until `done` says that no more records come, and then delivers the rest.
    pub(super) async fn deliver(&self, done: &tokio::sync::watch::Receiver<bool>) -> Checked {
        let mut held_back: Vec<Vec<Value>> = Vec::new();
        let mut delivered: Vec<Value> = Vec::new();
        loop {
            let last = *done.borrow();
            let mut records = self.read().await?;
            if self.world.bug() == Some(Bug::RecordLost) && records.len() > 1 {
                records.remove(self.world.some(records.len()));
            }
            let mut batches = self.pieces(records);
            // Late batches come after later ones.
            batches.append(&mut held_back);
            for batch in batches {
                match self.world.below(8) {
                    0 if !last => {
                        held_back.push(batch);
                        continue;
                    }
                    1 => {
                        // In two halves, the second one first; then the whole batch again.
                        let (first, second) = batch.split_at(batch.len() / 2);
                        self.invoke(second).await?;
                        self.invoke(first).await?;
                        self.invoke(&batch).await?;
                    }
                    2 => {
                        // Two deliveries at once: a consumer that was believed dead still runs.
                        futures::future::try_join(self.invoke(&batch), self.invoke(&batch)).await?;
                    }
                    _ => self.invoke(&batch).await?,
                }
                delivered.extend(batch);
            }
            if self.world.below(6) == 0 && !delivered.is_empty() {
                // An old batch again.
                let from = self.world.some(delivered.len());
                let old = delivered[from..].iter().take(5).cloned().collect::<Vec<_>>();
                self.invoke(&old).await?;
            }
            if last && held_back.is_empty() {
                return Ok(());
            }
            self.world.pause(400).await;
        }
    }

    fn pieces(&self, records: Vec<Value>) -> Vec<Vec<Value>> {
        let mut pieces = Vec::new();
        let mut rest = records;
        while !rest.is_empty() {
            let after = rest.split_off(rest.len().min(1 + self.world.some(6)));
            pieces.push(rest);
            rest = after;
        }
        pieces
    }

    /// Invokes the consumer until it has done the batch.
    async fn invoke(&self, batch: &[Value]) -> Checked {
        if batch.is_empty() {
            return Ok(());
        }
        let mut last = String::new();
        for _ in 0..DELIVERIES {
            let process = self.world.process(Role::Consumer);
            let tables = self.world.live_tables(&process);
            let state = State::new(Metrics::off(), &tables, self.world.clock.clone()).map_err(broken)?;
            let state = Arc::new(state);
            let event: Event = serde_json::from_value(json!({ "Records": batch })).map_err(broken)?;
            let event = LambdaEvent::new(event, Context::default());
            let time = Duration::from_secs(30);
            match process.live_for(time, Box::pin(handle(&state, event))).await {
                Some(Ok(response)) if response.batch_item_failures.is_empty() => return Ok(()),
                Some(Ok(response)) => {
                    let failed = response.batch_item_failures;
                    for failure in &failed {
                        let named = failure.item_identifier.as_deref().unwrap_or_default();
                        let known = batch.iter().any(|record| record["dynamodb"]["SequenceNumber"] == named);
                        ensure!(known, "the consumer reports record {named:?}, which was not in the batch");
                    }
                    last = format!("{} of {} records failed", failed.len(), batch.len());
                }
                Some(Err(error)) => last = error.to_string(),
                None => {}
            }
            self.world.pause(1_000).await;
        }
        Err(Violation(format!("a batch was delivered {DELIVERIES} times and is not done: {last}")))
    }
}

/// A record as the function receives it, without images, which the consumer does not use.
fn record(record: &Record) -> Value {
    let change = record.dynamodb.as_ref();
    let keys = change.and_then(|change| change.keys.as_ref());
    let key = |name: &str| {
        let value = keys.and_then(|keys| keys.get(name)).and_then(|value| value.as_s().ok());
        json!({ "S": value })
    };
    json!({
        "eventID": record.event_id,
        "eventName": record.event_name.as_ref().map(|name| name.as_str()),
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "local",
        "eventSourceARN": "arn:aws:dynamodb:local:000000000000:table/purchases/stream/1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_700_000_000,
            "Keys": { "userId": key("userId"), "purchaseId": key("purchaseId") },
            "SequenceNumber": change.and_then(|change| change.sequence_number.as_deref()),
            "SizeBytes": 100,
            "StreamViewType": "NEW_AND_OLD_IMAGES"
        }
    })
}
