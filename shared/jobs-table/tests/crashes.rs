//! Jobs whose workers are killed again and again, and go on.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use std::time::{Duration, Instant};

use common::{B, Keys, N, S, World, counts, int, item};
use nextbasket_job_engine::JobState;
use nextbasket_job_engine::engine::Step;
use nextbasket_job_engine::session::{Session, Share};
use serde_json::{Value, json};

/// Small pages, so that there is much to be killed in.
fn small(table: &str, more: Value) -> Value {
    let mut parameters = more;
    parameters["table"] = json!(table);
    parameters["batchSize"] = json!(15);
    parameters["segments"] = json!(6);
    parameters
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_counts_happens_to_every_item_once_and_no_more() {
    let world = World::start().await;
    let tables: [(&str, Keys); 3] =
        [("strings", (S, Some(N))), ("numbers", (N, None)), ("binaries", (B, Some(S)))];
    for (seed, (table, keys)) in (1..).zip(tables) {
        world.numbered(table, keys, 900).await;
        let proxy = world.stack.proxy().await;
        let engine = world.engine_through(proxy.dynamodb(), world.stack.s3());
        common::run(&engine, "count", small(table, json!({ "where": "id >= 100" }))).await;
        let pages = proxy.calls("Scan");
        let change = small(table, json!({ "set": "n = n + 1, last = n", "where": "id >= 100" }));
        let (job, kills) = world.run_with_kills(&engine, "update", change, seed, 120).await;
        let all = ["processed", "matched", "changed", "skipped", "refused"];
        assert_eq!(counts(&job, all), [900, 800, 800, 0, 0], "seed {seed}, {kills} kills");
        for (id, item) in world.items(table).await {
            assert_eq!(int(&item, "n"), Some(u64::from(id >= 100)), "seed {seed}, {kills} kills: {item:?}");
        }
        assert!(kills > 0, "seed {seed}: it was never killed");
        let read = proxy.calls("Scan") - pages;
        assert!(read <= pages + 4 * kills, "seed {seed}: {read} of {pages} pages, {kills} kills");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_may_happen_twice_leaves_no_item_out() {
    let world = World::start().await;
    let engine = world.engine();
    world.numbered("changed", (S, Some(B)), 900).await;
    let mut kills = 0;
    let change = json!({ "set": "status = 'done' ADD seen <<'x'>>", "where": "status = 'old'" });
    kills += world.run_with_kills(&engine, "update", small("changed", change), 11, 60).await.1;
    for (id, item) in world.items("changed").await {
        assert_eq!(item.contains_key("seen"), id.is_multiple_of(2), "{item:?}");
    }
    let (job, more) = world
        .run_with_kills(&engine, "delete", small("changed", json!({ "where": "id >= 450" })), 12, 60)
        .await;
    kills += more;
    assert!(world.items("changed").await.into_keys().eq(0..450));
    assert_eq!(counts(&job, ["refused"]), [0]);
    assert!(kills > 0, "it was never killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_and_generated_items_are_the_same_with_and_without_kills() {
    let world = World::start().await;
    let engine = world.engine();
    let keys = (N, Some(S));
    world.numbered("from", keys.clone(), 900).await;
    let mut kills = 0;
    for (on, seed) in [("overwrite", 21), ("skip", 22), ("fail", 23)] {
        let table = format!("to-{on}");
        world.table(&table, keys.clone()).await;
        let copy = small("from", json!({ "to": { "table": table }, "onConflict": on }));
        let (job, more) = world.run_with_kills(&engine, "copy", copy, seed, 60).await;
        assert!(world.items(&table).await == world.items("from").await, "{on}");
        // What was put before a kill is no conflict.
        assert_eq!(counts(&job, ["refused"]), [0], "{on}");
        kills += more;
    }
    let fill = json!({ "count": 900, "seed": 5 });
    for table in ["filled", "filled-with-kills"] {
        world.table(table, keys.clone()).await;
    }
    world.run("fill", small("filled", fill.clone())).await;
    let (job, more) = world.run_with_kills(&engine, "fill", small("filled-with-kills", fill), 24, 60).await;
    assert_eq!(counts(&job, ["processed", "changed"]), [900, 900]);
    let sorted = |mut items: Vec<_>| {
        items.sort_by_cached_key(|item: &nextbasket_dynamodb::item::Item| item["sk"].as_s().unwrap().clone());
        items
    };
    assert!(sorted(world.all("filled").await) == sorted(world.all("filled-with-kills").await));
    kills += more;
    assert!(kills > 0, "it was never killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_sorts_its_items_first_does_every_one_once() {
    let world = World::start().await;
    let engine = world.engine();
    let keys = (S, None);
    world.table("days", keys.clone()).await;
    let dated = (0..900).map(|n| {
        let mut item = item(&keys, n);
        item.insert("at".to_owned(), nextbasket_dynamodb::item::number(1_700_000_000 + (n % 9) * 86_400));
        item
    });
    world.put("days", dated).await;
    let split = json!({ "by": "time", "attribute": "at", "every": "1d" });
    let change = json!({ "set": "n = n + 1", "where": "status = 'old'", "split": split });
    let (job, kills) = world.run_with_kills(&engine, "update", small("days", change), 31, 120).await;
    assert!(kills > 0, "it was never killed");
    let all = ["processed", "matched", "changed", "skipped", "refused"];
    assert_eq!(counts(&job, all), [900, 450, 450, 0, 0], "{kills} kills");
    for (id, item) in world.items("days").await {
        assert_eq!(int(&item, "n"), Some(1 - id % 2), "{kills} kills: {item:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn work_in_calls_of_a_short_time_goes_on_where_it_stopped() {
    let world = World::start().await;
    let engine = world.engine();
    world.numbered("brief", (S, Some(N)), 600).await;
    for (field, set) in [("n", "n = n + 1"), ("seen", "seen = 1")] {
        let change =
            json!({ "table": "brief", "set": set, "segments": 2, "batchSize": 40, "writeUnits": 400.0 });
        let job = engine.submit(None, "update", change).await.unwrap().job_id;
        let mut calls = 0;
        let ended = loop {
            let stage = match engine.plan(&job).await.unwrap() {
                Step::Work(stage) => stage,
                Step::Ended(ended) => break ended,
                step => panic!("{step:?}"),
            };
            for task in engine.tasks(&stage).await.unwrap() {
                let known = engine.job(&job).await.unwrap();
                let session = Session::join(engine.site(), known, Share::OneOf(1)).await.unwrap().unwrap();
                let deadline = Instant::now() + Duration::from_millis(150);
                engine.work(task, &session, Some(deadline)).await.unwrap();
                session.leave().await.unwrap();
                calls += 1;
            }
            assert!(calls < 200, "it does not get on");
        };
        assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.failure);
        assert_eq!(counts(&ended, ["processed", "changed"]), [600, 600], "{set}");
        assert!(world.items("brief").await.values().all(|item| int(item, field) == Some(1)), "{set}");
        assert!(calls > 4, "{set}: {calls} calls");
    }
}
