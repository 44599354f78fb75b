//! The stack that other crates' tests start.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_testkit::TestStack;

#[tokio::test]
async fn a_started_stack_has_the_templates_tables() {
    let stack = TestStack::start().await;
    let table = stack.table("HISTORY_TABLE");
    let client = stack.dynamodb();
    client
        .put_item()
        .table_name(table)
        .item("userId", AttributeValue::S("anna".into()))
        .send()
        .await
        .unwrap();
    let item = client
        .get_item()
        .table_name(table)
        .key("userId", AttributeValue::S("anna".into()))
        .send()
        .await
        .unwrap();
    assert!(item.item.is_some());
    let environment = stack.environment("purchase-history");
    assert_eq!(environment["HISTORY_TABLE"], table);
    assert_eq!(environment["AWS_ENDPOINT_URL_DYNAMODB"], stack.machine().dynamodb().endpoint_url());
}

#[tokio::test]
async fn two_stacks_share_nothing() {
    let (one, other) = (TestStack::start().await, TestStack::start().await);
    let table = one.table("HISTORY_TABLE");
    let item = one.dynamodb().put_item().table_name(table).item("userId", AttributeValue::S("a".into()));
    item.send().await.unwrap();
    let found = other.dynamodb().scan().table_name(table).send().await.unwrap();
    assert_eq!(found.count(), 0);
}
