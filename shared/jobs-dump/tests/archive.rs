//! Items that move to an archive, while others write to them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_dynamodb::types::ScalarAttributeType;
use common::{ID, Seeded, World, assert_same, items, small};
use nextbasket_dynamodb::item::{number, text};
use nextbasket_job_engine::engine::Step;
use nextbasket_job_engine::pool::{Stop, drive};
use nextbasket_job_engine::session::{Session, Share};
use nextbasket_job_engine::{Engine, JobId, JobState};
use nextbasket_testkit::Fault;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn items_move_to_the_archive_and_come_back_whole() {
    let world = World::start().await;
    let keys = [("user", ScalarAttributeType::S), ("at", ScalarAttributeType::N)];
    world.make_table("orders", &keys).await;
    world.put_all("orders", &items(&keys, 300, 41)).await;
    let before = world.items("orders").await;
    for to in [world.local("archive"), world.s3("archive")] {
        let parameters = json!({ "table": "orders", "where": "at < 100", "to": to });
        let archived = world.done("archive", parameters).await;
        assert_eq!(
            (&archived["archived"]["count"], &archived["deleted"]),
            (&json!(100), &json!(100)),
            "{archived}"
        );
        assert_eq!((&archived["changed"], &archived["putBack"]), (&json!(0), &json!(0)), "{archived}");
        assert_eq!(world.items("orders").await.len(), 200);
        let restored =
            world.done("restore", json!({ "from": to, "table": "orders", "onConflict": "fail" })).await;
        assert_eq!((&restored["written"], &restored["refused"]), (&json!(100), &json!(0)), "{restored}");
        assert_same(&world.items("orders").await, &before, &to);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_the_jobs_is_neither_archived_nor_restored_into() {
    let world = World::start().await;
    world.make_table("orders", &ID).await;
    world.put_all("orders", &[small("a", 1)]).await;
    let (operations, to) = (world.stack.operations(), world.local("archive"));
    world.done("dump", json!({ "table": operations, "to": to })).await;
    let problem = format!("table \"{operations}\" cannot be changed by a job: it stores the jobs");
    for (kind, parameters) in [
        ("archive", json!({ "table": operations, "where": "attribute_exists(pk)", "to": to })),
        ("restore", json!({ "from": to, "table": operations })),
    ] {
        assert_eq!(world.failed(kind, parameters.clone()).await, problem, "{kind}");
        let estimated = world.engine().estimate(kind, &parameters).await.unwrap_err().to_string();
        assert_eq!(estimated, problem, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_changes_meanwhile_stays() {
    let world = World::start().await;
    world.make_table("busy", &ID).await;
    let all: Vec<_> = (0..400).map(|n| small(&format!("i{n}"), n)).collect();
    world.put_all("busy", &all).await;
    // Each item is written once at most: a new attribute, or another value.
    let written = std::sync::Mutex::new(BTreeSet::new());
    let writing = async {
        let mut chance = Seeded(43);
        loop {
            let id = format!("i{}", chance.below(400));
            let update = world
                .client()
                .update_item()
                .table_name("busy")
                .key("id", text(&id))
                .condition_expression("attribute_exists(id)");
            let update = if chance.below(2) == 0 {
                update
                    .update_expression("SET n = n + :thousand")
                    .expression_attribute_values(":thousand", number(1_000))
            } else {
                update.update_expression("SET seen = :yes").expression_attribute_values(":yes", text("yes"))
            };
            if update.send().await.is_ok() {
                written.lock().unwrap().insert(format!("S({id:?})"));
            }
        }
    };
    let to = world.s3("busy");
    let parameters = json!({ "table": "busy", "where": "attribute_exists(n)", "to": to, "batchSize": 20 });
    let archived = tokio::select! {
        archived = world.done("archive", parameters) => archived,
        () = writing => unreachable!(),
    };
    let left = world.items("busy").await;
    assert!(archived["changed"].as_u64().unwrap() > 0, "{archived}");
    assert_eq!(
        archived["deleted"].as_u64().unwrap() + archived["changed"].as_u64().unwrap(),
        400,
        "{archived}"
    );
    assert_eq!(left.len() as u64, archived["changed"].as_u64().unwrap());
    let written = written.into_inner().unwrap();
    for item in &left {
        assert!(written.contains(&item["id"]), "{item:?} stays and was not written");
    }
    // What was deleted is in the archive, as it was last written.
    world.make_table("back", &ID).await;
    world.done("restore", json!({ "from": to, "table": "back" })).await;
    world.done("restore", json!({ "from": to, "table": "busy", "onConflict": "skip" })).await;
    assert_eq!(world.items("back").await.len(), 400);
    assert_eq!(world.items("busy").await.len(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_gets_a_new_attribute_in_the_moment_of_its_deletion_is_put_back() {
    let world = World::start().await;
    world.make_table("late", &ID).await;
    world.put_all("late", &(0..10).map(|n| small(&format!("i{n}"), n)).collect::<Vec<_>>()).await;
    let proxy = world.stack.proxy().await;
    let engine = world.engine_through(proxy.dynamodb(), world.stack.s3());
    // Applied a while after it was sent, and so after the item was read for the last time.
    proxy.inject("DeleteItem", 1..=10, Fault::Delay(Duration::from_secs(1)));
    let writing = async {
        while proxy.calls("DeleteItem") < 10 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for n in 0..10 {
            let update = world.client().update_item().table_name("late").key("id", text(format!("i{n}")));
            let update =
                update.update_expression("SET seen = :yes").expression_attribute_values(":yes", text("yes"));
            update.condition_expression("attribute_exists(id)").send().await.unwrap();
        }
    };
    let parameters = json!({ "table": "late", "where": "n >= 0", "to": world.s3("late"), "segments": 1 });
    let (job, ()) = tokio::join!(common::run(&engine, "archive", parameters), writing);
    let result = job.result.unwrap();
    assert_eq!((&result["deleted"], &result["putBack"]), (&json!(0), &json!(10)), "{result}");
    let left = world.items("late").await;
    assert!(left.len() == 10 && left.iter().all(|item| item["seen"] == "S(\"yes\")"), "{left:?}");
}

/// Works on the job until the stage of this name has ended, and the next one is not planned.
async fn through_stage(engine: &Engine, id: &JobId, name: &str) {
    loop {
        let Step::Work(step) = engine.plan(id).await.unwrap() else { panic!("the job ended before {name}") };
        let job = engine.job(id).await.unwrap();
        let last = job.stage().unwrap().name == name;
        let session = Session::join(engine.site(), job, Share::Workers(1)).await.unwrap().unwrap();
        for task in engine.tasks(&step).await.unwrap() {
            engine.work(task, &session, None).await.unwrap();
        }
        session.leave().await.unwrap();
        if last {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_deleted_if_the_copy_is_not_whole() {
    let world = World::start().await;
    world.make_table("safe", &ID).await;
    world.put_all("safe", &(0..100).map(|n| small(&format!("i{n}"), n)).collect::<Vec<_>>()).await;
    let to = world.local("safe");
    let engine = world.engine();
    let parameters = json!({ "table": "safe", "where": "n >= 0", "to": to, "segments": 2 });
    let job = engine.submit(None, "archive", parameters).await.unwrap();
    through_stage(&engine, &job.job_id, "finish").await;
    let export = std::fs::read_dir(format!("{to}/AWSDynamoDB")).unwrap().next().unwrap().unwrap().path();
    let data = std::fs::read_dir(export.join("data")).unwrap().next().unwrap().unwrap().path();
    let mut content = std::fs::read(&data).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 4;
    std::fs::write(&data, content).unwrap();
    let ended = drive(&engine, &job.job_id, 1, &Stop::default()).await.unwrap().unwrap();
    assert_eq!(ended.state, JobState::Failed);
    let failure = ended.failure.unwrap();
    assert!(failure.contains("so nothing was deleted"), "{failure}");
    assert_eq!(world.items("safe").await.len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_is_killed_again_and_again_loses_nothing() {
    let world = World::start().await;
    world.make_table("killed", &ID).await;
    world.put_all("killed", &items(&ID, 500, 47)).await;
    let before = world.items("killed").await;
    let to = world.s3("killed");
    let parameters = json!({ "table": "killed", "where": "attribute_exists(id)", "to": to, "segments": 4, "batchSize": 20 });
    let (job, kills) = world.run_with_kills(&world.engine(), "archive", parameters, 6, 150).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.failure);
    assert!(kills > 0, "it was never killed");
    let result = job.result.unwrap();
    let became = ["deleted", "gone", "changed"].map(|name| result[name].as_u64().unwrap());
    assert_eq!(became, [500, 0, 0], "{result}");
    assert_eq!(world.items("killed").await.len(), 0);
    world.done("restore", json!({ "from": to, "table": "killed", "onConflict": "skip" })).await;
    assert_same(&world.items("killed").await, &before, "restored");
}
