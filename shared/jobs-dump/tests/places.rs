//! Several dumps to one destination, and dumps from which a file is removed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use std::time::Duration;

use common::{ID, World, items, run};
use nextbasket_job_engine::engine::Step;
use nextbasket_job_engine::pool::{Stop, drive};
use nextbasket_job_engine::{Engine, Job, JobId, JobState};
use nextbasket_testkit::{Fault, FaultProxy};
use serde_json::json;

const HOURS: Duration = Duration::from_secs(60 * 60);

/// Works on the job until this many of the named calls were made, which get no answer from then on; the worker dies
/// there.
async fn killed_at(
    world: &World,
    engine: &Engine,
    job: &JobId,
    proxy: &FaultProxy,
    operation: &str,
    calls: u64,
) {
    let last = proxy.calls(operation) + calls;
    proxy.inject(operation, last..=u64::MAX, Fault::Delay(Duration::from_secs(600)));
    let stop = Stop::default();
    tokio::select! {
        ended = drive(engine, job, 2, &stop) => panic!("{operation}: {ended:?}"),
        () = async {
            while proxy.calls(operation) < last {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        } => {}
    }
    proxy.heal();
    world.forward(Duration::from_secs(90));
}

async fn to_its_end(engine: &Engine, job: &JobId) -> Job {
    drive(engine, job, 2, &Stop::default()).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_has_one_dump_at_a_time_however_it_is_spelled() {
    let world = World::start().await;
    world.make_table("one", &ID).await;
    world.make_table("two", &ID).await;
    let engine = world.engine();
    let dumps = world.local("dumps");
    let bucket = world.s3("dumps");
    for (first, same, other) in [
        (dumps.clone(), format!("{dumps}/../dumps/./AWSDynamoDB"), world.local("others")),
        (bucket.clone(), format!("{bucket}/"), world.s3("dumps-2")),
    ] {
        let job = async |table: &str, to: &str| {
            let parameters = json!({ "table": table, "to": to, "segments": 1 });
            engine.submit(None, "dump", parameters).await.unwrap().job_id
        };
        let (one, two, three) = (job("one", &first).await, job("two", &same).await, job("two", &other).await);
        assert!(matches!(engine.plan(&one).await.unwrap(), Step::Work(_)));
        match engine.plan(&two).await.unwrap() {
            Step::Locked { name, holder } => {
                assert!(name.starts_with("dump/") && name.contains("dumps/AWSDynamoDB"), "{name}");
                assert_eq!(holder, format!("job/{one}"));
            }
            step => panic!("{same}: {step:?}"),
        }
        assert!(matches!(engine.plan(&three).await.unwrap(), Step::Work(_)), "{other}");
        for job in [one, two, three] {
            let ended = to_its_end(&engine, &job).await;
            assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.failure);
        }
        // Both are in the same folder.
        let verify = json!({ "dump": first, "table": "two" });
        assert_eq!(world.done("verify", verify).await["equal"], true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_that_runs_for_days_is_not_removed_by_others_of_another_stack() {
    let slow = World::start().await;
    slow.make_table("orders", &ID).await;
    slow.put_all("orders", &items(&ID, 200, 3)).await;
    let nightly = slow.engine_of_another_stack().await;
    let place = slow.local("daily");
    let proxy = slow.stack.proxy().await;
    let engine = slow.engine_through(proxy.dynamodb(), slow.stack.s3());
    let parameters =
        json!({ "table": "orders", "to": place, "segments": 2, "batchSize": 20, "fileBytes": 2_000 });
    let job = engine.submit(None, "dump", parameters).await.unwrap().job_id;
    let other = async || {
        let parameters = json!({ "table": "orders", "to": place, "keep": { "count": 1 } });
        let ended = run(&nightly, "dump", parameters).await;
        assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.failure);
        ended.result.unwrap()["dumps"][0].clone()
    };
    for _ in 0..3 {
        killed_at(&slow, &engine, &job, &proxy, "Scan", 3).await;
        slow.forward(12 * HOURS);
        other().await;
    }
    let ended = to_its_end(&engine, &job).await;
    assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.failure);
    let dump = ended.result.unwrap()["dumps"][0]["folder"].clone();
    let verified = slow.done("verify", json!({ "dump": dump, "table": "orders" })).await;
    assert_eq!(verified["equal"], true, "{verified}");
    let folder = std::path::Path::new(dump.as_str().unwrap());
    assert!(!folder.join("nextbasket-running.json").exists(), "it is not being made any more");

    // A dump that nobody has worked on for a day counts as abandoned.
    let parameters = json!({ "table": "orders", "to": place, "segments": 2, "batchSize": 20 });
    let job = engine.submit(None, "dump", parameters).await.unwrap().job_id;
    killed_at(&slow, &engine, &job, &proxy, "Scan", 2).await;
    let exports = std::fs::read_dir(slow.path("daily").join("AWSDynamoDB")).unwrap();
    let abandoned = exports
        .map(|entry| entry.unwrap().path())
        .find(|export| !export.join("manifest-summary.json").exists())
        .unwrap();
    slow.forward(30 * HOURS);
    let removed = other().await["removed"].clone();
    assert!(removed.as_array().unwrap().contains(&json!(abandoned)), "{removed}");
    let ended = to_its_end(&engine, &job).await;
    // The job may fail or begin again, but a summary never covers missing files.
    if ended.state == JobState::Succeeded {
        let dump = ended.result.unwrap()["dumps"][0]["folder"].clone();
        assert_eq!(slow.done("verify", json!({ "dump": dump })).await["equal"], true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_whose_file_is_gone_or_changed_fails_by_its_name_and_has_no_summary() {
    let world = World::start().await;
    world.make_table("orders", &ID).await;
    world.put_all("orders", &items(&ID, 300, 3)).await;
    let proxy = world.stack.s3_proxy().await;
    let engine = world.engine_through(world.stack.dynamodb(), proxy.s3());
    let read = async |to: &str| {
        let parameters =
            json!({ "table": "orders", "to": to, "segments": 2, "batchSize": 50, "fileBytes": 3_000 });
        let job = engine.submit(None, "dump", parameters).await.unwrap().job_id;
        // All items are read, and no file is finished yet.
        killed_at(&world, &engine, &job, &proxy, "PUT dump-000000.json", 1).await;
        job
    };
    for damage in ["gone", "shorter"] {
        let to = world.local(damage);
        let job = read(&to).await;
        let export =
            std::fs::read_dir(world.path(damage).join("AWSDynamoDB")).unwrap().next().unwrap().unwrap();
        let data = export.path().join("data");
        let file = std::fs::read_dir(&data).unwrap().next().unwrap().unwrap().path();
        match damage {
            "gone" => std::fs::remove_file(&file).unwrap(),
            _ => std::fs::write(&file, "x").unwrap(),
        }
        let ended = to_its_end(&engine, &job).await;
        assert_eq!(ended.state, JobState::Failed, "{damage}");
        let failure = ended.failure.unwrap();
        assert!(failure.contains(file.file_name().unwrap().to_str().unwrap()), "{failure}");
        assert!(!export.path().join("manifest-summary.json").exists());
        world.forward(Duration::from_secs(600));
    }
    for damage in ["gone", "other"] {
        let job = read(&world.s3(&format!("in-s3-{damage}"))).await;
        let keys = engine.site().objects.list(&format!("in-s3-{damage}/")).await.unwrap();
        let file = keys.iter().find(|key| key.contains("/data/")).unwrap();
        let objects = &engine.site().objects;
        let content = objects.get(file).await.unwrap();
        match damage {
            "gone" => {
                let removed = world.stack.s3().delete_object().bucket(objects.name()).key(file).send().await;
                removed.unwrap();
            }
            _ => objects.put(file, vec![b'x'; content.len()]).await.unwrap(),
        }
        let ended = to_its_end(&engine, &job).await;
        assert_eq!(ended.state, JobState::Failed, "{damage}");
        let failure = ended.failure.unwrap();
        assert!(failure.contains(file.as_str()), "{failure}");
        let keys = objects.list(&format!("in-s3-{damage}/")).await.unwrap();
        assert!(!keys.iter().any(|key| key.ends_with("manifest-summary.json")), "{keys:?}");
        world.forward(Duration::from_secs(600));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_to_finish_a_dump_writes_the_same_manifests() {
    let world = World::start().await;
    world.make_table("orders", &ID).await;
    world.put_all("orders", &items(&ID, 30, 3)).await;
    let proxy = world.stack.s3_proxy().await;
    let engine = world.engine_through(world.stack.dynamodb(), proxy.s3());
    let parameters = json!({ "table": "orders", "to": world.s3("nightly") });
    let job = engine.submit(None, "dump", parameters).await.unwrap().job_id;
    // The last file is on its way when the worker dies: it may arrive at any time later.
    killed_at(&world, &engine, &job, &proxy, "PUT manifest-summary.json", 1).await;
    let objects = &engine.site().objects;
    let manifests = async || {
        let mut contents = Vec::new();
        for key in objects.list("nightly/").await.unwrap() {
            if key.ends_with(".md5") {
                contents.push((objects.get(&key).await.unwrap(), key));
            }
        }
        contents
    };
    let first = manifests().await;
    assert!(first.iter().any(|(_, key)| key.ends_with("/manifest-summary.md5")), "{first:?}");
    let ended = to_its_end(&engine, &job).await;
    assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.failure);
    assert_eq!(manifests().await, first);
}
