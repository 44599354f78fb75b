//! The stack that other crates' tests start.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::primitives::ByteStream;
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

#[tokio::test]
async fn tables_and_buckets_are_found_by_the_names_that_functions_know_them_by() {
    let stack = TestStack::start().await;
    assert_eq!(stack.operations(), "test-operations");
    assert_eq!(stack.table("OPERATIONS_TABLE"), "test-operations");
    assert_eq!((stack.bucket("JOBS_BUCKET"), stack.bucket("JobsBucket")), two("test-jobsbucket"));
    let (client, bucket) = (stack.s3(), stack.bucket("JOBS_BUCKET"));
    let body = ByteStream::from_static(b"{}");
    client.put_object().bucket(&bucket).key("jobs/1/plan.json").body(body).send().await.unwrap();
    let found = client.list_objects_v2().bucket(&bucket).prefix("jobs/1/").send().await.unwrap();
    assert_eq!(found.contents().len(), 1);
    assert_eq!(stack.environment("purchase-history")["AWS_ENDPOINT_URL_S3"], stack.s3_endpoint());
}

fn two(name: &str) -> (String, String) {
    (name.to_owned(), name.to_owned())
}
