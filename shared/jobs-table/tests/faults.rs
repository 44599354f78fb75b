//! Throttles, lost answers and what DynamoDB leaves undone: nothing is lost, nothing happens twice.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use std::time::Duration;

use common::{B, N, S, World, counts, int, result};
use nextbasket_job_engine::pool::{Stop, drive};
use nextbasket_job_engine::{Engine, Job};
use nextbasket_testkit::Fault;
use serde_json::{Value, json};

async fn run_through(engine: &Engine, kind: &str, parameters: Value) -> Job {
    let job = engine.submit(None, kind, parameters).await.unwrap();
    drive(engine, &job.job_id, 3, &Stop::default()).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_counts_happens_once_whatever_the_network_does() {
    let world = World::start().await;
    world.numbered("counted", (S, Some(N)), 400).await;
    let proxy = world.stack.proxy().await;
    let engine = world.engine_through(proxy.dynamodb(), world.stack.s3());
    proxy.inject("TransactWriteItems", 2..=2, Fault::DropAfter);
    proxy.inject("TransactWriteItems", 5..=12, Fault::DropAfter);
    proxy.inject("TransactWriteItems", 15..=18, Fault::Throttle);
    proxy.inject("TransactWriteItems", 20..=21, Fault::DropBefore);
    proxy.inject("Scan", 3..=5, Fault::Throttle);
    proxy.inject("Scan", 8..=8, Fault::DropAfter);
    proxy.inject("Scan", 10..=10, Fault::Truncate);
    proxy.inject("Scan", 12..=13, Fault::ServerError);
    let change = json!({ "table": "counted", "set": "n = n + 1", "segments": 5, "batchSize": 20 });
    let job = run_through(&engine, "update", change).await;
    assert_eq!(counts(&job, ["processed", "changed", "refused"]), [400, 400, 0]);
    for item in world.items("counted").await.values() {
        assert_eq!(int(item, "n"), Some(1), "{item:?}");
    }
    assert!(proxy.calls("TransactWriteItems") > 21 && proxy.calls("Scan") > 13);
}

#[tokio::test(flavor = "multi_thread")]
async fn throttled_and_unprocessed_writes_are_made_in_the_end() {
    let world = World::start().await;
    world.numbered("slow", (N, Some(B)), 400).await;
    world.table("slow-copy", (N, Some(B))).await;
    let proxy = world.stack.proxy().await;
    let engine = world.engine_through(proxy.dynamodb(), world.stack.s3());
    let small = |mut more: Value| {
        more["segments"] = json!(3);
        more["batchSize"] = json!(60);
        // After a throttle there is a rate to come back to.
        more["writeUnits"] = json!(2000.0);
        more
    };

    proxy.inject("BatchExecuteStatement", 1..=4, Fault::Throttle);
    proxy.inject("BatchExecuteStatement", 6..=7, Fault::DropAfter);
    proxy.inject("BatchExecuteStatement", 9..=9, Fault::DropBefore);
    let change = small(json!({ "table": "slow", "set": "status = 'x', seen = 1" }));
    let job = run_through(&engine, "update", change).await;
    assert_eq!(counts(&job, ["processed", "changed", "refused"]), [400, 400, 0]);
    assert!(world.items("slow").await.values().all(|item| int(item, "seen") == Some(1)));
    assert!(proxy.calls("BatchExecuteStatement") > 9, "statements go many at a time");

    proxy.inject("BatchWriteItem", 1..=3, Fault::Unprocessed);
    proxy.inject("BatchWriteItem", 5..=8, Fault::Throttle);
    proxy.inject("BatchWriteItem", 10..=11, Fault::DropAfter);
    let copy = small(json!({ "table": "slow", "to": { "table": "slow-copy" } }));
    let job = run_through(&engine, "copy", copy).await;
    assert_eq!(counts(&job, ["changed", "refused"]), [400, 0]);
    assert!(world.items("slow-copy").await == world.items("slow").await);

    proxy.inject("DeleteItem", 3..=9, Fault::Throttle);
    proxy.inject("DeleteItem", 20..=22, Fault::DropAfter);
    let job = run_through(&engine, "delete", small(json!({ "table": "slow", "where": "id < 100" }))).await;
    assert_eq!(counts(&job, ["matched", "refused"]), [100, 0]);
    // Those whose answer was lost are gone all the same.
    assert!(result(&job)["changed"].as_u64().unwrap() >= 97);
    assert!(world.items("slow").await.into_keys().eq(100..400));
    proxy.inject("BatchWriteItem", 1..=2, Fault::Unprocessed);
    let job = run_through(&engine, "delete", small(json!({ "table": "slow", "all": true }))).await;
    assert_eq!(counts(&job, ["changed"]), [300]);
    assert!(world.all("slow").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_and_writes_keep_to_their_rates() {
    let world = World::start().await;
    world.numbered("paced", (S, None), 300).await;
    let begun = std::time::Instant::now();
    let change = json!({ "table": "paced", "set": "a = 1", "writeUnits": 100.0, "segments": 4 });
    let job = world.run("update", change).await;
    let (units, seconds) = (result(&job)["writeUnits"].as_f64().unwrap(), begun.elapsed().as_secs_f64());
    assert!(units >= 300.0, "{units} units for 300 updates");
    // What may be saved up at the start, and the debt at the end.
    assert!(units / seconds < 200.0, "{units} units in {seconds:.2} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_cancelled_stops_at_its_next_checkpoint() {
    let world = World::start().await;
    world.numbered("long", (S, None), 500).await;
    let engine = world.engine();
    let change = json!({ "table": "long", "set": "n = n + 1", "writeUnits": 40.0, "batchSize": 10 });
    let job = engine.submit(None, "update", change).await.unwrap();
    let stop = Stop::default();
    let cancelling = async {
        tokio::time::sleep(Duration::from_millis(800)).await;
        engine.cancel(&job.job_id).await.unwrap();
    };
    let (ended, ()) = tokio::join!(drive(&engine, &job.job_id, 4, &stop), cancelling);
    let ended = ended.unwrap().unwrap();
    assert_eq!(ended.state, nextbasket_job_engine::JobState::Cancelled);
    let changed = world.items("long").await.values().filter(|item| int(item, "n") == Some(1)).count();
    assert_eq!(ended.total.changed, u64::try_from(changed).unwrap());
    assert!((1..500).contains(&changed), "{changed}");
}
