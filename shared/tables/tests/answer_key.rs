//! The key of answers' ids: all callers get the same one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_dynamodb::types::AttributeValue;
use common::tables;
use nextbasket_domain::Random;
use nextbasket_testkit::TestStack;

#[tokio::test]
async fn all_who_ask_at_once_get_the_same_key_and_nobody_finds_one_before() {
    let stack = TestStack::start().await;
    let tables = tables(&stack);
    let early = tables.answer_keys().unwrap();
    assert_eq!(early.find().await.unwrap(), None);
    let drawn = Arc::new(AtomicU64::new(1));
    let random = Random::new(move || drawn.fetch_add(1, Ordering::Relaxed));
    let asking = (0..8).map(|_| {
        let (keys, random) = (tables.answer_keys().unwrap(), random.clone());
        async move { *keys.find_or_draw(&random).await.unwrap().as_bytes() }
    });
    let keys: HashSet<[u8; 32]> = futures::future::join_all(asking).await.into_iter().collect();
    assert_eq!(keys.len(), 1);
    let found = early.find().await.unwrap().unwrap();
    assert_eq!(HashSet::from([*found.as_bytes()]), keys, "that there was none is not remembered");

    let model = stack.table("MODEL_TABLE");
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let damaged = stack.dynamodb().put_item().table_name(model).item("productId", text("answer-key"));
    damaged.item("slot", text("current")).item("key", text("x")).send().await.unwrap();
    let fresh = tables.answer_keys().unwrap();
    assert_eq!(fresh.find().await.unwrap(), None, "a damaged key is none");
    let anew = fresh.find_or_draw(&random).await.unwrap();
    assert_eq!(tables.answer_keys().unwrap().find().await.unwrap(), Some(anew));
}
