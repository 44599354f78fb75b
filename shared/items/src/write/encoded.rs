//! Whole items in DynamoDB JSON: the body of a call is put together from their text. That costs a third of what values
//! cost.

use aws_sdk_dynamodb::config::http::HttpRequest;
use bytes::Bytes;
use nextbasket_job_engine::limit::Limiter;

use crate::write::put::{MOST, half_way, write_batch};
use crate::write::update::outcome;
use crate::write::{WriteGroup, WriteOutcome, Written, one_by_one};
use nextbasket_dynamodb::capacity::Consuming;
use nextbasket_job_engine::calls::{Backoff, CallError, Calls};

/// Puts items into a table, whatever is there. Each is its text, `{"pk":{"S":"a"}}`, which whoever made it has checked.
#[derive(Debug)]
pub struct PutEncoded {
    table: String,
    /// The table's name as JSON.
    quoted: String,
}

impl PutEncoded {
    /// Puts into a table.
    #[must_use]
    pub fn new(table: &str) -> Self {
        Self { table: table.to_owned(), quoted: serde_json::Value::from(table).to_string() }
    }

    /// The body of `BatchWriteItem`.
    fn batch(&self, group: &[Bytes]) -> Bytes {
        let texts: usize = group.iter().map(|item| item.len() + 32).sum();
        let mut body = Vec::with_capacity(texts + self.quoted.len() + 64);
        body.extend_from_slice(br#"{"RequestItems":{"#);
        body.extend_from_slice(self.quoted.as_bytes());
        for (n, item) in group.iter().enumerate() {
            body.extend_from_slice(if n == 0 { b":[" } else { b"," });
            body.extend_from_slice(br#"{"PutRequest":{"Item":"#);
            body.extend_from_slice(item);
            body.extend_from_slice(b"}}");
        }
        body.extend_from_slice(br#"]},"ReturnConsumedCapacity":"TOTAL"}"#);
        Bytes::from(body)
    }

    async fn put(
        &self,
        calls: &Calls,
        limiter: &Limiter,
        item: Bytes,
    ) -> Result<(WriteOutcome, f64), CallError> {
        let table = self.quoted.as_bytes();
        let end = br#","ReturnConsumedCapacity":"TOTAL"}"#;
        let body = [br#"{"TableName":"#, table, br#","Item":"#, &item, end].concat().into();
        let send =
            || calls.client.put_item().table_name(&self.table).customize().mutate_request(with(&body)).send();
        outcome(calls.call(&self.table, limiter, None, send, Consuming::units).await)
    }
}

impl WriteGroup for PutEncoded {
    type Item = Bytes;

    fn group(&self) -> usize {
        MOST
    }

    async fn write(&self, calls: &Calls, limiter: &Limiter, group: Vec<Bytes>) -> Result<Written, CallError> {
        let body = self.batch(&group);
        let send = || {
            let request = calls.client.batch_write_item().request_items(&self.table, Vec::new());
            request.customize().mutate_request(with(&body)).send()
        };
        let (output, mut units) = match calls.call(&self.table, limiter, None, send, Consuming::units).await {
            Ok(answer) => answer,
            // One of them is at fault: called alone, each has an answer of its own.
            Err(CallError::Refused(_)) => {
                return one_by_one(group, |item| self.put(calls, limiter, item)).await;
            }
            Err(error) => return Err(error),
        };
        let left = output.unprocessed_items.and_then(|mut left| left.remove(&self.table));
        if let Some(mut left) = left.filter(|left| !left.is_empty()) {
            calls.throttled(limiter, &mut Backoff::default()).await?;
            units += write_batch(calls, limiter, &self.table, &mut left).await.map_err(half_way)?;
        }
        Ok((vec![WriteOutcome::Changed; group.len()], units))
    }
}

/// Gives a request this body in place of its own, before it is signed.
fn with(body: &Bytes) -> impl Fn(&mut HttpRequest) + Send + Sync + use<> {
    let body = body.clone();
    move |request| {
        request.headers_mut().insert("content-length", body.len().to_string());
        *request.body_mut() = body.clone().into();
    }
}
