//! Archives whose deletions meet changes, kills, lost answers and missing permissions.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use std::time::Duration;

use common::{ID, World, killed_at, run, small};
use nextbasket_dynamodb::item::{Item, text};
use nextbasket_job_engine::pool::{Stop, drive};
use nextbasket_job_engine::{JobId, JobState};
use nextbasket_testkit::{Fault, FaultProxy};
use serde_json::{Value, json};

const ITEMS: u64 = 10;

/// A world with a table of numbered items, and its name as the location of archives.
async fn world(table: &str) -> (World, Value) {
    let world = World::start().await;
    world.make_table(table, &ID).await;
    let items: Vec<Item> = (0..ITEMS).map(|n| small(&format!("i{n}"), n)).collect();
    world.put_all(table, &items).await;
    let parameters = json!({ "table": table, "where": "n >= 0", "to": world.s3(table), "segments": 1 });
    (world, parameters)
}

/// Gives every item an attribute that no condition asks for, once all deletions are on their way.
async fn change_late(world: &World, table: &str, proxy: &FaultProxy) {
    while proxy.calls("DeleteItem") < ITEMS {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for n in 0..ITEMS {
        let update = world.client().update_item().table_name(table).key("id", text(format!("i{n}")));
        let update =
            update.update_expression("SET seen = :yes").expression_attribute_values(":yes", text("yes"));
        update.condition_expression("attribute_exists(id)").send().await.unwrap();
    }
}

async fn all_are_seen(world: &World, table: &str) -> bool {
    let left = world.items(table).await;
    left.len() as u64 == ITEMS && left.iter().all(|item| item["seen"] == "S(\"yes\")")
}

async fn kept(world: &World, job: &JobId) -> Vec<String> {
    world.engine().site().objects.list(&format!("jobs/{job}/output/put-back/")).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_is_being_put_back_survives_a_kill_at_every_call() {
    // Which call of the return, whether it is applied, and how many of them there are before the kill.
    for (n, (operation, fault)) in [
        ("PUT put-back/", Fault::DropBefore),
        ("PUT put-back/", Fault::DropAfter),
        ("PutItem", Fault::DropBefore),
        ("PutItem", Fault::DropAfter),
        ("BatchGetItem", Fault::DropBefore),
        ("UpdateItem", Fault::DropBefore),
        ("UpdateItem", Fault::DropAfter),
        ("POST ?delete", Fault::DropBefore),
        ("POST ?delete", Fault::DropAfter),
    ]
    .into_iter()
    .enumerate()
    {
        let case = format!("{operation} {fault:?}");
        let table = format!("late-{n}");
        let (world, parameters) = world(&table).await;
        let (proxy, s3) = (world.stack.proxy().await, world.stack.s3_proxy().await);
        let engine = world.engine_through(proxy.dynamodb(), s3.s3());
        proxy.inject("DeleteItem", 1..=ITEMS, Fault::Delay(Duration::from_secs(1)));
        let job = engine.submit(None, "archive", parameters).await.unwrap().job_id;
        let of_s3 = operation.contains(' ');
        let meeting = async {
            change_late(&world, &table, &proxy).await;
            // All calls of the return meet the fault; the deletions are not applied yet.
            let at = if of_s3 { &s3 } else { &proxy };
            let before = at.calls(operation);
            at.inject(operation, 1..=u64::MAX, fault.clone());
            while at.calls(operation) < before + 3 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        // Objects that cannot be removed do not stop the job.
        let ended = killed_at(&engine, &job, meeting).await;
        let ended = match ended {
            Some(ended) => ended,
            None => world.finished(&job).await,
        };
        assert_eq!(ended.state, JobState::Succeeded, "{case}: {:?}", ended.failure);
        assert!(all_are_seen(&world, &table).await, "{case}: {:?}", world.items(&table).await);
        let result = ended.result.unwrap();
        let counts = ["deleted", "changed", "gone"].map(|name| result[name].as_u64().unwrap());
        assert_eq!(counts, [0, ITEMS, 0], "{case}: {result}");
        assert_eq!(world.refused(&job).await.len() as u64, ITEMS, "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_permission_to_put_nothing_is_deleted() {
    let (world, parameters) = world("denied").await;
    let proxy = world.stack.proxy().await;
    let engine = world.engine_through(proxy.dynamodb(), world.stack.s3());
    proxy.inject("PutItem", 1..=1, Fault::Deny);
    let job = run(&engine, "archive", parameters).await;
    assert_eq!(job.state, JobState::Failed, "{:?}", job.result);
    let failure = job.failure.unwrap();
    assert!(failure.contains("items cannot be put, so none is deleted"), "{failure}");
    assert_eq!(world.items("denied").await.len() as u64, ITEMS);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_question_whether_items_can_be_put_writes_nothing() {
    let (world, parameters) = world("asked").await;
    let proxy = world.stack.proxy().await;
    let engine = world.engine_through(proxy.dynamodb(), world.stack.s3());
    let before = proxy.calls("PutItem");
    let job = run(&engine, "archive", parameters).await;
    assert_eq!(job.result.unwrap()["deleted"], json!(ITEMS));
    assert!(proxy.calls("PutItem") > before, "it was not asked");
    assert!(world.items("asked").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_can_never_be_put_back_is_kept_where_the_failure_says() {
    let (world, parameters) = world("kept").await;
    let proxy = world.stack.proxy().await;
    let engine = world.engine_through(proxy.dynamodb(), world.stack.s3());
    proxy.inject("DeleteItem", 1..=ITEMS, Fault::Delay(Duration::from_secs(1)));
    let job = engine.submit(None, "archive", parameters).await.unwrap().job_id;
    let losing_permission = async {
        change_late(&world, "kept", &proxy).await;
        // Each item once; later puts are the engine's own.
        proxy.inject("PutItem", 1..=ITEMS, Fault::Deny);
        std::future::pending::<()>().await;
    };
    let ended = killed_at(&engine, &job, losing_permission).await.unwrap();
    assert_eq!(ended.state, JobState::Failed, "{:?}", ended.result);
    let failure = ended.failure.unwrap();
    let objects = kept(&world, &job).await;
    assert_eq!(objects.len() as u64, ITEMS, "{objects:?}");
    assert!(objects.iter().any(|object| failure.contains(object.as_str())), "{failure}");
    let from = world.object_name(&format!("jobs/{job}/output/put-back"));
    let back = world.done("restore", json!({ "from": from, "table": "kept", "onConflict": "skip" })).await;
    assert_eq!(back["written"], json!(ITEMS), "{back}");
    assert!(all_are_seen(&world, "kept").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_lost_answers_the_report_says_what_was_deleted() {
    let (world, parameters) = world("unheard").await;
    let proxy = world.stack.proxy().await;
    let engine = world.engine_through(proxy.dynamodb(), world.stack.s3());
    proxy.inject("DeleteItem", 1..=3, Fault::DropAfter);
    proxy.inject("DeleteItem", 5..=5, Fault::DropBefore);
    proxy.inject("DeleteItem", 7..=8, Fault::Truncate);
    let job = run(&engine, "archive", parameters).await;
    let result = job.result.unwrap();
    let counts = ["deleted", "changed", "gone", "putBack"].map(|name| result[name].as_u64().unwrap());
    assert_eq!(counts, [ITEMS, 0, 0, 0], "{result}");
    assert!(world.items("unheard").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_the_report_says_what_was_deleted() {
    let (world, parameters) = world("cut-off").await;
    let proxy = world.stack.proxy().await;
    let engine = world.engine_through(proxy.dynamodb(), world.stack.s3());
    let job = engine.submit(None, "archive", parameters).await.unwrap().job_id;
    proxy.inject("DeleteItem", 1..=u64::MAX, Fault::DropAfter);
    let meeting = async {
        while proxy.calls("DeleteItem") < ITEMS {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let ended = killed_at(&engine, &job, meeting).await;
    assert!(ended.is_none(), "it was not killed");
    let result = world.finished(&job).await.result.unwrap();
    let counts = ["deleted", "changed", "gone"].map(|name| result[name].as_u64().unwrap());
    assert_eq!(counts, [ITEMS, 0, 0], "{result}");
}

#[tokio::test(flavor = "multi_thread")]
async fn items_that_others_delete_and_change_are_told_apart_and_the_changed_ones_are_named() {
    let (world, parameters) = world("told").await;
    let proxy = world.stack.proxy().await;
    let engine = world.engine_through(proxy.dynamodb(), world.stack.s3());
    proxy.inject("DeleteItem", 1..=ITEMS, Fault::Delay(Duration::from_secs(1)));
    let others = async {
        while proxy.calls("DeleteItem") < ITEMS {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        world.client().delete_item().table_name("told").key("id", text("i0")).send().await.unwrap();
        world.put("told", small("i1", 100)).await;
    };
    let job = engine.submit(None, "archive", parameters).await.unwrap().job_id;
    let stop = Stop::default();
    let (ended, ()) = tokio::join!(drive(&engine, &job, 4, &stop), others);
    let result = ended.unwrap().unwrap().result.unwrap();
    let counts = ["deleted", "changed", "gone", "putBack"].map(|name| result[name].as_u64().unwrap());
    assert_eq!(counts, [ITEMS - 2, 1, 1, 0], "{result}");
    let named = world.refused(&job).await;
    assert_eq!(named.len(), 1, "{named:?}");
    assert_eq!(named[0]["refused"]["id"]["S"], "i1", "{named:?}");
}
