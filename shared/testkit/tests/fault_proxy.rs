//! Faults as an SDK client sees them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, PutRequest, WriteRequest};
use nextbasket_testkit::{Fault, FaultProxy, TestStack};

struct Setup {
    stack: TestStack,
    proxy: FaultProxy,
    table: String,
}

async fn setup() -> Setup {
    let stack = TestStack::start().await;
    let proxy = stack.proxy().await;
    let table = stack.table("HISTORY_TABLE").to_owned();
    Setup { stack, proxy, table }
}

/// A client that tries once, so that a fault shows.
fn once(proxy: &FaultProxy) -> Client {
    let config =
        aws_sdk_dynamodb::config::Builder::from(&proxy.sdk_config()).retry_config(RetryConfig::disabled());
    Client::from_conf(config.build())
}

fn user(name: &str) -> AttributeValue {
    AttributeValue::S(name.to_owned())
}

impl Setup {
    async fn put(&self, client: &Client, name: &str) -> Result<(), aws_sdk_dynamodb::Error> {
        client.put_item().table_name(&self.table).item("userId", user(name)).send().await?;
        Ok(())
    }

    async fn count(&self) -> i32 {
        self.stack.dynamodb().scan().table_name(&self.table).send().await.unwrap().count()
    }
}

#[tokio::test]
async fn a_throttled_call_is_not_applied_and_the_sdk_tries_again() {
    let setup = setup().await;
    setup.proxy.inject("PutItem", 1..=1, Fault::Throttle);
    let refused = setup.put(&once(&setup.proxy), "a").await.unwrap_err();
    assert_eq!(refused.code(), Some("ProvisionedThroughputExceededException"));
    assert_eq!(setup.count().await, 0);
    setup.proxy.inject("PutItem", 1..=2, Fault::ServerError);
    setup.put(&setup.proxy.dynamodb(), "a").await.unwrap();
    assert_eq!(setup.proxy.calls("PutItem"), 4);
    assert_eq!(setup.count().await, 1);
}

#[tokio::test]
async fn a_connection_is_dropped_before_or_after_the_write() {
    let setup = setup().await;
    setup.proxy.inject("PutItem", 1..=1, Fault::DropBefore);
    assert!(setup.put(&once(&setup.proxy), "a").await.is_err());
    assert_eq!(setup.count().await, 0);
    setup.proxy.inject("PutItem", 1..=1, Fault::DropAfter);
    assert!(setup.put(&once(&setup.proxy), "a").await.is_err());
    assert_eq!(setup.count().await, 1);
}

#[tokio::test]
async fn half_an_answer_is_an_error_and_a_slow_one_is_not() {
    let setup = setup().await;
    setup.proxy.inject("Scan", 1..=1, Fault::Truncate);
    let client = once(&setup.proxy);
    assert!(client.scan().table_name(&setup.table).send().await.is_err());
    setup.proxy.inject("*", 1..=1, Fault::Delay(Duration::from_millis(100)));
    let begin = Instant::now();
    client.scan().table_name(&setup.table).send().await.unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(100));
    setup.proxy.inject("Scan", 1..=9, Fault::Throttle);
    setup.proxy.heal();
    client.scan().table_name(&setup.table).send().await.unwrap();
}

#[tokio::test]
async fn half_of_a_batch_comes_back_unprocessed() {
    let setup = setup().await;
    let client = setup.proxy.dynamodb();
    let write = |name: &str| {
        let put = PutRequest::builder().item("userId", user(name)).build().unwrap();
        WriteRequest::builder().put_request(put).build()
    };
    setup.proxy.inject("BatchWriteItem", 1..=2, Fault::Unprocessed);
    let writes: Vec<_> = ["a", "b", "c"].map(write).into();
    let send = |writes| client.batch_write_item().request_items(&setup.table, writes).send();
    let left = send(writes).await.unwrap().unprocessed_items.unwrap().remove(&setup.table).unwrap();
    assert_eq!((left.len(), setup.count().await), (2, 1));
    let left =
        send(left[1..].to_vec()).await.unwrap().unprocessed_items.unwrap().remove(&setup.table).unwrap();
    assert_eq!((left.len(), setup.count().await), (1, 1), "of one, none is done");

    setup.proxy.inject("BatchGetItem", 1..=1, Fault::Unprocessed);
    let keys = ["a", "z"].map(|name| [("userId".to_owned(), user(name))].into()).into();
    let keys = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build().unwrap();
    let found = client.batch_get_item().request_items(&setup.table, keys).send().await.unwrap();
    let left = &found.unprocessed_keys().unwrap()[&setup.table];
    assert_eq!((left.keys().len(), left.consistent_read()), (1, Some(true)));
    assert_eq!(found.responses().unwrap()[&setup.table].len(), 1);
}

#[tokio::test]
async fn capacity_is_measured_without_the_client_asking() {
    let setup = setup().await;
    let client = setup.proxy.dynamodb();
    let big = AttributeValue::S("x".repeat(5000));
    client.put_item().table_name(&setup.table).item("userId", user("a")).item("b", big).send().await.unwrap();
    let written = setup.proxy.take_capacity();
    assert_eq!((written.read(), written.write()), (0.0, 5.0), "{written:?}");
    let get = client.get_item().table_name(&setup.table).key("userId", user("a"));
    get.clone().send().await.unwrap();
    get.consistent_read(true).send().await.unwrap();
    let read = setup.proxy.take_capacity();
    assert_eq!((read.read(), read.write()), (3.0, 0.0));
    assert_eq!(read.units[&("GetItem".to_owned(), setup.table.clone())], 3.0);
    assert_eq!(setup.proxy.take_capacity().read(), 0.0);
}
