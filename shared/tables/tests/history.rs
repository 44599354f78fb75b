//! Folding histories against a real endpoint.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "a test that cannot go on fails there"
)]

mod common;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use common::{Seeded, purchase, tables, user};
use nextbasket_domain::history::fold;
use nextbasket_testkit::TestStack;

async fn raw_items(stack: &TestStack) -> Vec<HashMap<String, AttributeValue>> {
    let table = stack.table("HISTORY_TABLE");
    let mut items = stack.dynamodb().scan().table_name(table).send().await.unwrap().items.unwrap_or_default();
    items.sort_by_key(|item| format!("{:?}", item.get("userId")));
    items
}

#[tokio::test]
async fn a_history_is_what_the_purchases_say_and_no_more() {
    let stack = TestStack::start().await;
    let tables = tables(&stack);
    let (purchases, history) = (tables.purchases().unwrap(), tables.history().unwrap());
    assert!(!history.refresh(&user("ada"), &purchases).await.unwrap());
    let bought: Vec<_> =
        (0..130).map(|n| purchase("ada", &format!("p{n}"), n, &["a", &format!("b{n}")])).collect();
    for purchase in &bought {
        purchases.record(purchase).await.unwrap();
    }
    assert!(history.refresh(&user("ada"), &purchases).await.unwrap());
    let baskets = history.baskets(&user("ada")).await.unwrap();
    assert_eq!(baskets.len(), 100);
    assert_eq!(baskets, fold(bought));
    let before = raw_items(&stack).await;
    assert!(!history.refresh(&user("ada"), &purchases).await.unwrap());
    assert_eq!(raw_items(&stack).await, before);
}

#[tokio::test]
async fn a_purchase_deleted_and_put_again_leaves_the_same_bytes() {
    let stack = TestStack::start().await;
    let tables = tables(&stack);
    let (purchases, history) = (tables.purchases().unwrap(), tables.history().unwrap());
    let (first, second) = (purchase("ada", "p1", 1, &["a"]), purchase("ada", "p2", 2, &["b", "a"]));
    for purchase in [&first, &second] {
        purchases.record(purchase).await.unwrap();
        history.refresh(&first.user_id, &purchases).await.unwrap();
    }
    let before = raw_items(&stack).await;
    purchases.remove(&second.user_id, &second.purchase_id).await.unwrap();
    history.refresh(&first.user_id, &purchases).await.unwrap();
    assert_ne!(raw_items(&stack).await, before);
    purchases.record(&second).await.unwrap();
    history.refresh(&first.user_id, &purchases).await.unwrap();
    assert_eq!(raw_items(&stack).await, before);
    purchases.remove_all(&first.user_id).await.unwrap();
    history.refresh(&first.user_id, &purchases).await.unwrap();
    assert_eq!(raw_items(&stack).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_consumers_of_one_user_end_at_what_the_purchases_say() {
    for seed in 0..12_u64 {
        let stack = TestStack::start().await;
        let tables = tables(&stack);
        let (purchases, history) = (tables.purchases().unwrap(), tables.history().unwrap());
        let work = (0..6_u64).map(|worker| {
            let (purchases, history) = (purchases.clone(), history.clone());
            tokio::spawn(async move {
                let mut random = Seeded(seed * 100 + worker);
                for _ in 0..10 {
                    let n = random.below(5);
                    let item = purchase("ada", &format!("p{n}"), n as i64, &["a", &format!("b{n}")]);
                    // Putting and deleting the same few purchases makes a history return to an earlier one.
                    if random.below(2) == 0 {
                        purchases.record(&item).await.unwrap();
                    } else {
                        purchases.remove(&item.user_id, &item.purchase_id).await.unwrap();
                    }
                    history.refresh(&item.user_id, &purchases).await.unwrap();
                }
            })
        });
        for worker in work.collect::<Vec<_>>() {
            worker.await.unwrap();
        }
        let expected = fold(purchases.newest(&user("ada")).await.unwrap());
        assert_eq!(history.baskets(&user("ada")).await.unwrap(), expected, "seed {seed}");
    }
}
