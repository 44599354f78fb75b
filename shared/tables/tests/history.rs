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
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use common::{Seeded, purchase, tables, tables_through, user};
use nextbasket_domain::history::fold;
use nextbasket_testkit::{Fault, TestStack};

async fn raw_items(stack: &TestStack) -> Vec<HashMap<String, AttributeValue>> {
    let table = stack.table("HISTORY_TABLE");
    let mut items = stack.dynamodb().scan().table_name(table).send().await.unwrap().items.unwrap_or_default();
    items.sort_by_key(|item| format!("{:?}", item.get("userId")));
    items
}

/// The baskets of all histories, without the numbers of the writes in their versions.
async fn raw_baskets(stack: &TestStack) -> Vec<Option<AttributeValue>> {
    raw_items(stack).await.into_iter().map(|mut item| item.remove("baskets")).collect()
}

#[tokio::test]
async fn a_put_that_arrives_late_does_not_bring_a_deleted_purchase_back() {
    let stack = TestStack::start().await;
    let tables = tables(&stack);
    let (purchases, history) = (tables.purchases().unwrap(), tables.history().unwrap());
    let (first, second) = (purchase("ada", "p1", 1, &["a"]), purchase("ada", "p2", 2, &["b"]));
    purchases.record(&first).await.unwrap();
    history.refresh(&first.user_id, &purchases).await.unwrap();
    let version = raw_items(&stack).await[0]["version"].clone();
    purchases.record(&second).await.unwrap();
    history.refresh(&first.user_id, &purchases).await.unwrap();
    let written = raw_items(&stack).await.remove(0);
    purchases.remove(&second.user_id, &second.purchase_id).await.unwrap();
    history.refresh(&first.user_id, &purchases).await.unwrap();
    // The second refresh's put, sent twice since its first answer was lost, arrives once more.
    let put = stack.dynamodb().put_item().table_name(stack.table("HISTORY_TABLE")).set_item(Some(written));
    let put = put.condition_expression("version = :read").expression_attribute_values(":read", version);
    let error = put.send().await.unwrap_err().into_service_error();
    assert!(error.is_conditional_check_failed_exception(), "{error:?}");
    assert_eq!(history.baskets(&first.user_id).await.unwrap(), fold(vec![first]));
}

#[tokio::test]
async fn a_history_is_what_the_purchases_say_and_no_more() {
    let stack = TestStack::start().await;
    let tables = tables(&stack);
    let (purchases, history) = (tables.purchases().unwrap(), tables.history().unwrap());
    assert!(!history.refresh(&user("ada"), &purchases).await.unwrap().changed);
    let bought: Vec<_> =
        (0..130).map(|n| purchase("ada", &format!("p{n}"), n, &["a", &format!("b{n}")])).collect();
    for purchase in &bought {
        purchases.record(purchase).await.unwrap();
    }
    assert!(history.refresh(&user("ada"), &purchases).await.unwrap().changed);
    let baskets = history.baskets(&user("ada")).await.unwrap();
    assert_eq!(baskets.len(), 100);
    assert_eq!(baskets, fold(bought));
    let before = raw_items(&stack).await;
    assert!(!history.refresh(&user("ada"), &purchases).await.unwrap().changed);
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
    let before = raw_baskets(&stack).await;
    purchases.remove(&second.user_id, &second.purchase_id).await.unwrap();
    history.refresh(&first.user_id, &purchases).await.unwrap();
    assert_ne!(raw_baskets(&stack).await, before);
    purchases.record(&second).await.unwrap();
    history.refresh(&first.user_id, &purchases).await.unwrap();
    assert_eq!(raw_baskets(&stack).await, before);
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
        let expected = fold(purchases.newest(&user("ada")).await.unwrap().items);
        assert_eq!(history.baskets(&user("ada")).await.unwrap(), expected, "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_buys_without_a_pause_does_not_keep_a_refresh_from_ending() {
    let stack = TestStack::start().await;
    let proxy = stack.proxy().await;
    let (direct, delayed) = (tables(&stack), tables_through(&stack, proxy.dynamodb()));
    // Between any two reads of the purchases there is time for some more.
    proxy.inject("Query", 1..=u64::MAX, Fault::Delay(Duration::from_millis(40)));
    let stop = Arc::new(AtomicBool::new(false));
    let buying = {
        let (stop, purchases) = (stop.clone(), direct.purchases().unwrap());
        tokio::spawn(async move {
            for n in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                purchases
                    .record(&purchase("hot", &format!("p{n:06}"), n, &[&format!("b{n}")]))
                    .await
                    .unwrap();
            }
        })
    };
    let (purchases, history) = (delayed.purchases().unwrap(), delayed.history().unwrap());
    for round in 0..5 {
        let named = direct.purchases().unwrap().newest(&user("hot")).await.unwrap().items;
        let before = proxy.calls("PutItem");
        history.refresh(&user("hot"), &purchases).await.unwrap();
        assert!(
            proxy.calls("PutItem") - before <= 3,
            "round {round}: {} puts",
            proxy.calls("PutItem") - before
        );
        // Purchases made before it began are in the history, unless newer ones have pushed them out.
        let folded = history.baskets(&user("hot")).await.unwrap();
        let newest = named.iter().map(|purchase| purchase.purchased_at).max();
        assert!(folded.first().map(|basket| basket.purchased_at) >= newest, "round {round}");
    }
    stop.store(true, Ordering::Relaxed);
    buying.await.unwrap();
    proxy.heal();
    history.refresh(&user("hot"), &purchases).await.unwrap();
    let all = fold(purchases.newest(&user("hot")).await.unwrap().items);
    assert_eq!(history.baskets(&user("hot")).await.unwrap(), all);
}

#[tokio::test]
async fn a_damaged_history_is_folded_anew_whatever_is_wrong_with_it() {
    let stack = TestStack::start().await;
    let tables = tables(&stack);
    let (purchases, history) = (tables.purchases().unwrap(), tables.history().unwrap());
    let bought = purchase("ada", "p1", 1, &["a"]);
    purchases.record(&bought).await.unwrap();
    history.refresh(&bought.user_id, &purchases).await.unwrap();
    let (sound, sound_baskets) = (raw_items(&stack).await, raw_baskets(&stack).await);
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let version = sound[0]["version"].clone();
    let baskets = sound[0]["baskets"].clone();
    for (what, attributes) in [
        ("nothing but its key", vec![]),
        ("no version", vec![("baskets", baskets.clone())]),
        ("no baskets", vec![("version", version.clone())]),
        (
            "a number for a version",
            vec![("version", AttributeValue::N("5".to_owned())), ("baskets", baskets)],
        ),
        ("a text for baskets", vec![("version", version.clone()), ("baskets", text("x"))]),
        ("others' baskets", vec![("version", version), ("baskets", AttributeValue::B(vec![1, 0, 0].into()))]),
    ] {
        let mut put = stack.dynamodb().put_item().table_name(stack.table("HISTORY_TABLE"));
        put = put.item("userId", text("ada"));
        for (name, value) in attributes {
            put = put.item(name, value);
        }
        put.send().await.unwrap();
        assert!(history.refresh(&bought.user_id, &purchases).await.unwrap().changed, "{what}");
        assert_eq!(raw_baskets(&stack).await, sound_baskets, "{what}");
        assert!(!history.refresh(&bought.user_id, &purchases).await.unwrap().changed, "{what}");
    }
}
