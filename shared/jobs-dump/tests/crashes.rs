//! Dumps and restores that are killed, and tables that are written to meanwhile.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use std::collections::BTreeMap;

use common::{ID, Seeded, World, assert_same, items, run, small};
use nextbasket_job_engine::JobState;
use nextbasket_testkit::Fault;
use serde_json::{Value, json};

/// How many workers a killed process has.
const WORKERS: u64 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_that_is_killed_again_and_again_is_whole_and_reads_one_page_per_worker_twice() {
    let world = World::start().await;
    world.make_table("big", &ID).await;
    world.put_all("big", &items(&ID, 1_200, 3)).await;
    for (seed, (to, format, file_bytes)) in [
        (world.local("a"), "dynamodb-json", 1 << 20),
        (world.s3("a"), "dynamodb-json", 1 << 20),
        (world.local("b"), "csv", 1 << 20),
        (world.s3("b"), "csv", 4_000),
        (world.local("c"), "json-lines", 4_000),
        (world.s3("c"), "json-lines", 4_000),
    ]
    .into_iter()
    .enumerate()
    {
        let seed = seed as u64 + 1;
        let proxy = world.stack.proxy().await;
        let engine = world.engine_through(proxy.dynamodb(), world.stack.s3());
        let parameters = json!({
            "table": "big", "to": to, "format": format, "fileBytes": file_bytes,
            "segments": 6, "batchSize": 20, "width": 4,
        });
        let (job, kills) = world.run_with_kills(&engine, "dump", parameters, seed, 120).await;
        assert_eq!(job.state, JobState::Succeeded, "seed {seed}: {:?}", job.failure);
        assert!(kills > 0, "seed {seed}: it was never killed");
        let result = job.result.unwrap();
        assert_eq!((&result["items"], &result["refused"]), (&json!(1_200), &json!(0)), "seed {seed}");
        let files = result["dumps"][0]["files"].as_u64().unwrap();
        assert!(if file_bytes == 4_000 { files > 12 } else { files >= 6 }, "seed {seed}: {files} files");
        // 200 items in the mean of a segment are 11 pages at 20, the last of which may be empty.
        let pages = 1_200 / 20 + 2 * 6;
        let scans = proxy.calls("Scan");
        assert!(scans <= pages + WORKERS * kills, "seed {seed}: {scans} scans with {kills} kills");
        let verified = world.done("verify", json!({ "dump": to, "table": "big" })).await;
        assert_eq!(verified["equal"], true, "seed {seed}: {verified}");
        let left = engine.site().objects.list(&format!("jobs/{}/", job.job_id)).await.unwrap();
        assert!(!left.iter().any(|key| key.contains("/pages/")), "seed {seed}: pages are left: {left:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_shorter_than_its_checkpoint_is_written_anew() {
    let world = World::start().await;
    world.make_table("lost", &ID).await;
    world.put_all("lost", &items(&ID, 400, 5)).await;
    let engine = world.engine();
    let to = world.local("lost");
    let parameters = json!({ "table": "lost", "to": to, "segments": 1, "batchSize": 5 });
    let job = engine.submit(None, "dump", parameters).await.unwrap();
    let stop = nextbasket_job_engine::pool::Stop::default();
    let some_pages = async {
        while data_files(&to).iter().all(|file| std::fs::metadata(file).unwrap().len() < 1_000) {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    tokio::select! {
        _ = nextbasket_job_engine::pool::drive(&engine, &job.job_id, 1, &stop) => panic!("it ended too soon"),
        () = some_pages => {}
    }
    for file in data_files(&to) {
        std::fs::OpenOptions::new().write(true).open(file).unwrap().set_len(10).unwrap();
    }
    world.forward(std::time::Duration::from_secs(90));
    let ended = nextbasket_job_engine::pool::drive(&engine, &job.job_id, 1, &stop).await.unwrap().unwrap();
    assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.failure);
    let verified = world.done("verify", json!({ "dump": to, "table": "lost" })).await;
    assert_eq!(verified["equal"], true, "{verified}");
}

fn data_files(to: &str) -> Vec<std::path::PathBuf> {
    let Ok(exports) = std::fs::read_dir(format!("{to}/AWSDynamoDB")) else { return Vec::new() };
    let data = |export: std::fs::DirEntry| std::fs::read_dir(export.path().join("data")).ok();
    let files = exports.filter_map(|export| data(export.unwrap())).flatten();
    files.map(|file| file.unwrap().path()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_is_killed_again_and_again_writes_every_item() {
    let world = World::start().await;
    world.make_table("from", &ID).await;
    world.put_all("from", &items(&ID, 1_500, 9)).await;
    let there = world.items("from").await;
    for (seed, to, conflict, life) in [
        (1, world.local("r"), "overwrite", 150),
        // One item a call: less is done in a life.
        (2, world.s3("r"), "fail", 700),
        (3, world.s3("s"), "skip", 700),
    ] {
        world.done("dump", json!({ "table": "from", "to": to, "segments": 4 })).await;
        let table = format!("into-{seed}");
        let parameters = json!({ "from": to, "table": table, "create": true, "onConflict": conflict });
        let proxy = world.stack.proxy().await;
        let engine = world.engine_through(proxy.dynamodb(), world.stack.s3());
        let (job, kills) = world.run_with_kills(&engine, "restore", parameters, seed, life).await;
        assert_eq!(job.state, JobState::Succeeded, "seed {seed}: {:?}", job.failure);
        assert!(kills > 0, "seed {seed}: it was never killed");
        let result = job.result.unwrap();
        assert_eq!(
            (&result["lines"], &result["refused"]),
            (&json!(1_500), &json!(0)),
            "seed {seed}: {result}"
        );
        assert_eq!(result["created"], true, "seed {seed}");
        assert_same(&world.items(&table).await, &there, conflict);
        // A file of some 375 lines is one part of 15 calls, or four parts of 100 calls of one item each.
        let (most, part) = if conflict == "overwrite" { (4 * 16, 16) } else { (1_500, 100) };
        let calls = proxy.calls("BatchWriteItem") + proxy.calls("PutItem");
        assert!(calls <= most + WORKERS * kills * part, "seed {seed}: {calls} calls with {kills} kills");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn items_that_do_not_change_during_a_dump_are_in_it() {
    let world = World::start().await;
    world.make_table("busy", &ID).await;
    let still: Vec<_> = (0..300).map(|n| small(&format!("still-{n}"), n)).collect();
    world.put_all("busy", &still).await;
    let writing = async {
        let mut chance = Seeded(11);
        for n in 0.. {
            world.put("busy", small(&format!("moving-{}", chance.below(50)), n)).await;
        }
    };
    let before = nextbasket_domain::Clock::system().now();
    let to = world.local("busy");
    let parameters =
        json!({ "table": "busy", "to": to, "segments": 4, "batchSize": 5, "format": "json-lines" });
    let dumped = tokio::select! {
        dumped = world.done("dump", parameters) => dumped,
        () = writing => unreachable!(),
    };
    let window = &dumped["dumps"][0]["window"];
    let time = |value: &Value| nextbasket_domain::Timestamp::parse(value.as_str().unwrap()).unwrap();
    assert!(before <= time(&window["from"]) && time(&window["from"]) < time(&window["to"]), "{window}");
    assert_eq!(world.done("verify", json!({ "dump": to })).await["equal"], true);
    world.make_table("copy", &ID).await;
    world.done("restore", json!({ "from": to, "table": "copy" })).await;
    let copied: BTreeMap<String, String> =
        world.items("copy").await.into_iter().map(|item| (item["id"].clone(), item["n"].clone())).collect();
    for item in still.iter().map(common::plain) {
        assert_eq!(copied.get(&item["id"]), Some(&item["n"]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn throttles_and_lost_answers_lose_nothing() {
    let world = World::start().await;
    world.make_table("hard", &ID).await;
    world.put_all("hard", &items(&ID, 300, 13)).await;
    let (proxy, s3) = (world.stack.proxy().await, world.stack.s3_proxy().await);
    let engine = world.engine_through(proxy.dynamodb(), s3.s3());
    proxy.inject("Scan", 3..=6, Fault::Throttle);
    proxy.inject("Scan", 9..=9, Fault::DropBefore);
    proxy.inject("Scan", 12..=12, Fault::Truncate);
    s3.inject("PUT data/", 1..=3, Fault::DropAfter);
    let to = world.s3("hard");
    let dumped =
        run(&engine, "dump", json!({ "table": "hard", "to": to, "segments": 3, "batchSize": 20 })).await;
    assert_eq!(dumped.state, JobState::Succeeded, "{:?}", dumped.failure);
    proxy.inject("BatchWriteItem", 2..=3, Fault::Unprocessed);
    proxy.inject("BatchWriteItem", 5..=5, Fault::DropAfter);
    proxy.inject("BatchWriteItem", 7..=8, Fault::Throttle);
    let restored = run(&engine, "restore", json!({ "from": to, "table": "soft", "create": true })).await;
    assert_eq!(restored.state, JobState::Succeeded, "{:?}", restored.failure);
    let verified = world.done("verify", json!({ "table": "hard", "other": { "table": "soft" } })).await;
    assert_eq!(verified["equal"], true, "{verified}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_whose_answer_was_lost_is_no_conflict_however_its_numbers_are_spelled() {
    let world = World::start().await;
    world.make_table("strict", &ID).await;
    let file = world.path("one.jsonl");
    std::fs::write(&file, "{\"id\":\"a\",\"n\":2.50,\"list\":[1e1]}\n").unwrap();
    let proxy = world.stack.proxy().await;
    let engine = world.engine_through(proxy.dynamodb(), world.stack.s3());
    proxy.inject("PutItem", 1..=1, Fault::DropAfter);
    let strict = json!({ "from": file, "table": "strict", "onConflict": "fail" });
    let restored = run(&engine, "restore", strict.clone()).await;
    assert_eq!(restored.state, JobState::Succeeded, "{:?}", restored.failure);
    let result = restored.result.unwrap();
    assert_eq!((&result["written"], &result["refused"]), (&json!(1), &json!(0)), "{result}");
    assert_eq!(proxy.calls("PutItem"), 2);

    std::fs::write(&file, "{\"id\":\"a\",\"n\":2.51,\"list\":[1e1]}\n").unwrap();
    let result = world.done("restore", strict).await;
    assert_eq!((&result["written"], &result["refused"]), (&json!(0), &json!(1)), "{result}");
}
