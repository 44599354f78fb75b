//! A table's items through a command.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use common::{World, result, script};
use serde_json::{Value, json};

const TABLE: &str = "things";
const DAY: i64 = 86_400;
/// 2026-01-02.
const DAY_ONE: i64 = 1_767_312_000;

/// Items `0..items` with a kind, a time in seconds that every fifth lacks, and some bulk.
async fn things(items: i64) -> World {
    let world = World::start().await;
    let client = world.stack.dynamodb();
    let key =
        |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    let typed = |name: &str, kind| {
        AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap()
    };
    let create = client
        .create_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(key("id", KeyType::Hash))
        .key_schema(key("n", KeyType::Range))
        .attribute_definitions(typed("id", ScalarAttributeType::B))
        .attribute_definitions(typed("n", ScalarAttributeType::N));
    create.send().await.unwrap();
    for n in 0..items {
        let mut put = client
            .put_item()
            .table_name(TABLE)
            .item("id", AttributeValue::B(format!("k{}", n % 40).into_bytes().into()))
            .item("n", AttributeValue::N(n.to_string()))
            .item(
                "kind",
                AttributeValue::S(["red", "green", "blue"][usize::try_from(n % 3).unwrap()].to_owned()),
            )
            .item("bulk", AttributeValue::S("x".repeat(20_000)));
        if n % 5 != 0 {
            put = put.item("at", AttributeValue::N((DAY_ONE + DAY * (n % 4)).to_string()));
        }
        put.send().await.unwrap();
    }
    world
}

fn ns(output: &str) -> Vec<i64> {
    output.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["n"].as_i64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_item_comes_through_once_in_batches_of_the_size_that_was_asked_for() {
    let world = things(300).await;
    let job = world
        .run(json!({
            "input": { "table": TABLE, "segments": 3, "form": "plain" },
            "command": ["cat"],
            "output": world.path("out"),
            "batchItems": 20,
            "readUnits": 5_000,
        }))
        .await;
    let found = ns(&world.read("out"));
    assert_eq!(found.len(), 300);
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), (0..300).collect());
    let result = result(&job);
    assert!(result["batches"].as_u64().unwrap() >= 15, "{result}");
    assert_eq!(result["records"], 300);
    assert_eq!(job.stages[0].split, json!({ "by": "size", "segments": 3 }));
    assert!(job.stages[0].progress.read_units > 300.0);
    assert_eq!(world.leftovers(&job.job_id).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn items_that_meet_the_condition_come_in_dynamodbs_own_form() {
    let world = things(60).await;
    world
        .run(json!({
            "input": { "table": TABLE, "where": "kind = 'green' AND n < 10" },
            "command": script("cut -c -60"),
            "output": world.path("out"),
        }))
        .await;
    let output = world.read("out");
    assert_eq!(output.lines().count(), 3, "{output}");
    assert!(output.lines().all(|line| line.starts_with(r#"{"Item":{"#)), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn items_are_split_by_the_period_of_an_attribute_or_by_its_hash() {
    let world = things(120).await;
    let job = world
        .run(json!({
            "input": { "table": TABLE, "form": "plain" },
            "split": { "by": "time", "attribute": "at", "every": "2d" },
            "command": script("sed 's/.*\"at\":\\([0-9]*\\).*/\\1/; /^{/s/.*/none/' | sort -u | tr '\\n' ' '; echo"),
            "output": world.path("out"),
        }))
        .await;
    // A period of two days begins with an even day since 1970, as the first of the items' days is not.
    let day = |n: i64| DAY_ONE + DAY * n;
    assert_eq!(day(0) / DAY % 2, 1);
    let wanted = format!("none \n{} \n{} {} \n{} \n", day(0), day(1), day(2), day(3));
    assert_eq!(world.read("out"), wanted);
    assert_eq!(result(&job)["batches"], 4);

    world
        .run(json!({
            "input": { "table": TABLE, "form": "plain" },
            "split": { "by": "feature", "attribute": "kind", "parts": 5 },
            "command": script("sed 's/.*\"kind\":\"\\([a-z]*\\)\".*/\\1/' | sort | uniq -c"),
            "output": world.path("kinds"),
        }))
        .await;
    let kinds = world.read("kinds");
    assert_eq!(kinds.lines().count(), 3, "{kinds}");
    assert!(kinds.lines().all(|line| line.trim().starts_with("40 ")), "{kinds}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_job_that_is_killed_again_and_again_leaves_every_item_once() {
    let world = things(300).await;
    for seed in [1, 2] {
        let parameters = json!({
            "input": { "table": TABLE, "segments": 3, "form": "plain" },
            "command": script("sleep 0.02; cat"),
            "output": world.path("out"),
            "batchItems": 15,
        });
        let (job, kills) = world.run_with_kills(parameters, seed, 200).await;
        assert_eq!(result(&job)["failed"], 0, "seed {seed}");
        assert!(kills > 0, "seed {seed}: it was never killed");
        let found = ns(&world.read("out"));
        assert_eq!(found.len(), 300, "seed {seed}, {kills} kills");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), (0..300).collect(), "seed {seed}");
    }
}
