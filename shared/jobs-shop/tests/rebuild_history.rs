//! Histories that the stream did not keep.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use aws_sdk_dynamodb::types::AttributeValue;
use common::{World, purchase, result, run};
use nextbasket_domain::UserId;
use nextbasket_testkit::Fault;
use serde_json::json;

/// So many users with 1 to 7 purchases, one with enough for several pages, and one whose history is all that is left.
async fn shop(users: i64) -> World {
    let world = World::start().await;
    let tables = world.tables();
    let (purchases, history) = (tables.purchases().unwrap(), tables.history().unwrap());
    for user in 0..users {
        for n in 0..=user % 7 {
            let bought = purchase(&format!("u{user}"), &format!("b{n}"), n, &["beans", &format!("p{n}")]);
            purchases.record(&bought).await.unwrap();
        }
    }
    let long: Vec<String> = (0..300).map(|n| format!("{n:0250}")).collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    for n in 0..30 {
        purchases.record(&purchase("large", &format!("b{n}"), n, &long)).await.unwrap();
    }
    let gone = purchase("gone", "b", 1, &["beans"]);
    purchases.record(&gone).await.unwrap();
    history.refresh(&gone.user_id, &purchases).await.unwrap();
    purchases.remove(&gone.user_id, &gone.purchase_id).await.unwrap();
    world
}

/// What the histories must be.
async fn wanted(users: i64) -> Vec<std::collections::BTreeMap<String, AttributeValue>> {
    let world = shop(users).await;
    let tables = world.tables();
    let (purchases, history) = (tables.purchases().unwrap(), tables.history().unwrap());
    let names = (0..users).map(|user| format!("u{user}")).chain(["large".to_owned(), "gone".to_owned()]);
    for user in names {
        history.refresh(&UserId::parse(&user).unwrap(), &purchases).await.unwrap();
    }
    world.items("HISTORY_TABLE").await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_history_is_brought_in_line_and_those_without_purchases_go() {
    let world = shop(60).await;
    let tables = world.tables();
    // One history is right already, and one is not readable at all.
    let first = UserId::parse("u0").unwrap();
    tables.history().unwrap().refresh(&first, &tables.purchases().unwrap()).await.unwrap();
    let spoilt = world
        .stack
        .dynamodb()
        .put_item()
        .table_name(world.stack.table("HISTORY_TABLE"))
        .item("userId", AttributeValue::S("u1".to_owned()))
        .item("version", AttributeValue::S("x".to_owned()))
        .item("baskets", AttributeValue::B(vec![99].into()));
    spoilt.send().await.unwrap();

    let job = world.run("rebuild-history", json!({ "segments": 5, "width": 2 })).await;
    assert_eq!(world.items("HISTORY_TABLE").await, wanted(60).await);
    let result = result(&job);
    assert_eq!((&result["users"], &result["changed"]), (&json!(61), &json!(60)), "{result}");
    assert_eq!((&result["histories"], &result["swept"]), (&json!(62), &json!(1)), "{result}");
    assert!(result["readUnits"].as_f64().unwrap() > 61.0, "{result}");
    assert_eq!(job.stages[0].split, json!({ "by": "size", "table": "purchases", "segments": 5 }));

    let again = world.run("rebuild-history", json!({})).await;
    assert_eq!(common::result(&again)["changed"], 0);
    assert_eq!(common::result(&again)["swept"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_user_alone_can_be_brought_in_line() {
    let world = shop(10).await;
    let job = world.run("rebuild-history", json!({ "user": "u3" })).await;
    assert_eq!(result(&job)["changed"], 1);
    let users: Vec<_> = world
        .items("HISTORY_TABLE")
        .await
        .iter()
        .map(|item| item["userId"].as_s().unwrap().clone())
        .collect();
    assert_eq!(users.len(), 2);
    assert!(users.contains(&"u3".to_owned()) && users.contains(&"gone".to_owned()));
    world.run("rebuild-history", json!({ "user": "gone" })).await;
    assert_eq!(world.items("HISTORY_TABLE").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_is_killed_again_and_again_and_throttled_leaves_the_same_histories() {
    let wanted = wanted(120).await;
    for seed in [1, 2] {
        let world = shop(120).await;
        let parameters = json!({ "segments": 6, "width": 3 });
        let (job, kills) = world.run_with_kills("rebuild-history", parameters, seed, 300).await;
        result(&job);
        assert!(kills > 0, "seed {seed}: it was never killed");
        assert!(world.items("HISTORY_TABLE").await == wanted, "seed {seed}: {kills} kills");
    }
    let world = shop(120).await;
    let proxy = world.stack.proxy().await;
    proxy.inject("TransactWriteItems", 5..=60, Fault::Throttle);
    proxy.inject("Query", 10..=60, Fault::Throttle);
    proxy.inject("Scan", 2..=3, Fault::Throttle);
    proxy.inject("TransactWriteItems", 70..=72, Fault::DropAfter);
    let engine = world.engine_through(proxy.dynamodb(), world.stack.s3());
    result(&run(&engine, "rebuild-history", json!({})).await);
    assert!(world.items("HISTORY_TABLE").await == wanted);
}

#[tokio::test]
async fn before_it_starts_it_says_what_it_would_read() {
    let world = shop(30).await;
    let estimate = world.engine().estimate("rebuild-history", &json!({ "readUnits": 10 })).await.unwrap();
    assert!(estimate.items.unwrap() > 100, "{estimate:?}");
    assert!(estimate.read_units > 100.0 && estimate.seconds.unwrap() > 10.0, "{estimate:?}");
}
