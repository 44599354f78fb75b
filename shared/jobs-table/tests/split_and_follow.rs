//! Jobs split by time and by feature, and jobs that follow a table.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use std::time::{Duration, Instant};

use common::{N, S, World, counts, int, item, result};
use nextbasket_dynamodb::item::{number, text};
use nextbasket_job_engine::engine::Step;
use nextbasket_job_engine::pool::{Stop, drive};
use nextbasket_job_engine::session::{Session, Share};
use nextbasket_job_engine::stage::BatchTask;
use nextbasket_job_engine::{Job, JobId, JobState};
use serde_json::{Value, json};

/// The first day of the tests' items: 2026-03-01.
const FIRST_DAY: u64 = 1_772_323_200;

/// Items of seven days, and one in ten without a time.
async fn dated(world: &World, table: &str, count: u64) {
    let keys = (S, Some(N));
    world.table(table, keys.clone()).await;
    let one = |n: u64| {
        let mut item = item(&keys, n);
        if !n.is_multiple_of(10) {
            item.insert("at".to_owned(), number(FIRST_DAY + n % 7 * 86_400 + n));
        }
        item.insert("user".to_owned(), text(format!("user {}", n % 23)));
        item
    };
    world.put(table, (0..count).map(one)).await;
}

/// Runs a job to its end. Returns it with the plan of a stage, in the order in which batches go out.
async fn run_to(world: &World, kind: &str, parameters: Value, stage: u32) -> (Job, Vec<BatchTask>) {
    let engine = world.engine();
    let id = engine.submit(None, kind, parameters).await.unwrap().job_id;
    loop {
        let Step::Work(step) = engine.plan(&id).await.unwrap() else { panic!("it has no such stage") };
        let tasks = engine.tasks(&step).await.unwrap();
        if step.stage == stage {
            return (drive(&engine, &id, 4, &Stop::default()).await.unwrap().unwrap(), tasks);
        }
        let job = engine.job(&id).await.unwrap();
        let session = Session::join(engine.site(), job, Share::Workers(1)).await.unwrap().unwrap();
        for task in tasks {
            engine.work(task, &session, None).await.unwrap();
        }
        session.leave().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_by_time_has_a_batch_for_each_period_the_oldest_first_if_asked() {
    let world = World::start().await;
    dated(&world, "events", 700).await;
    let split = json!({ "by": "time", "attribute": "at", "every": "1d" });
    let update = json!({
        "table": "events", "set": "n = n + 1", "where": "id < 350", "split": split, "assign": "priority",
        "segments": 4, "batchSize": 30, "width": 2,
    });
    let (job, tasks) = run_to(&world, "update", update, 1).await;
    let all = ["processed", "matched", "changed", "skipped", "refused"];
    assert_eq!(counts(&job, all), [700, 350, 350, 0, 0]);
    for (id, item) in world.items("events").await {
        assert_eq!(int(&item, "n"), Some(u64::from(id < 350)), "{item:?}");
    }
    let names: Vec<&str> = job.stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(names, ["split", "update"]);
    assert_eq!(job.stages[0].split, json!({ "by": "time", "attribute": "at", "every": "1d", "segments": 4 }));
    assert_eq!(job.stages[1].split, json!({ "by": "time", "attribute": "at", "every": "1d", "batches": 8 }));
    assert_eq!(job.stages[1].width, 2);
    let periods: Vec<&str> =
        tasks.iter().map(|task| task.input["part"]["bin"]["name"].as_str().unwrap()).collect();
    let days: Vec<String> = (1..8).map(|day| format!("2026-03-0{day}T00:00:00.000Z")).collect();
    assert_eq!(periods[..7], days, "the oldest goes out first");
    assert_eq!(periods[7], "undated");
    assert_eq!(tasks.iter().map(|task| task.of.unwrap()).sum::<u64>(), 350);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_by_feature_keeps_equal_values_together() {
    let world = World::start().await;
    dated(&world, "visits", 600).await;
    let split = json!({ "by": "feature", "attribute": "user", "parts": 5 });
    let delete =
        json!({ "table": "visits", "where": "id >= 100", "split": split, "segments": 3, "batchSize": 40 });
    let (job, tasks) = run_to(&world, "delete", delete, 1).await;
    assert_eq!(counts(&job, ["processed", "matched", "changed"]), [600, 500, 500]);
    assert!(world.items("visits").await.into_keys().eq(0..100));
    assert_eq!(job.stages[1].split["by"], "feature");
    assert_eq!(tasks.len(), 5);
    assert!(tasks.windows(2).all(|two| two[0].of >= two[1].of), "the largest goes out first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_says_how_many_there_are_of_each_period() {
    let world = World::start().await;
    dated(&world, "counted", 700).await;
    let split = json!({ "by": "time", "attribute": "at", "every": "7d" });
    let mut results = Vec::new();
    for aggregate in ["serial", "parallel"] {
        let count = json!({ "table": "counted", "split": split, "aggregate": aggregate, "segments": 9, "batchSize": 50 });
        let job = world.run("count", count).await;
        assert_eq!(job.stages.len(), 1);
        let mut result = result(&job).clone();
        result.as_object_mut().unwrap().remove("seconds").unwrap();
        results.push(result.to_string());
        let parts = result["parts"].as_object().unwrap();
        assert_eq!(parts["undated"], 70);
        assert_eq!(parts.values().map(|count| count.as_u64().unwrap()).sum::<u64>(), 700);
    }
    assert_eq!(results[0], results[1]);
}

/// Waits until it is so.
async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !so().await {
        assert!(begun.elapsed() < Duration::from_secs(30), "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn passes(world: &World, job: &JobId) -> usize {
    let job = world.engine().job(job).await.unwrap();
    assert_eq!(job.failure, None);
    match job.stage() {
        Some(stage) => usize::try_from(stage.number).unwrap() + usize::from(stage.ended_at.is_some()),
        None => 0,
    }
}

/// Waits until the table was looked at from beginning to end once more.
async fn another_pass(world: &World, job: &JobId) {
    let before = passes(world, job).await;
    until("another pass", async || passes(world, job).await >= before + 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_follows_a_table_does_what_newly_meets_its_condition_once() {
    let world = World::start().await;
    let keys = (S, Some(N));
    for (at, set, condition) in [
        // What it changes has no part in its condition; it ends it; it may be made twice.
        (0, "n = n + 1", "status = 'old'"),
        (1, "n = n + 1, marked = true", "status = 'old' AND (attribute_not_exists(marked) OR n < 100)"),
        (2, "seen = 1", "status = 'old'"),
        (3, "n = n + 1, marked = true", "status = 'old' AND attribute_not_exists(marked)"),
    ] {
        let table = format!("followed-{at}");
        world.numbered(&table, keys.clone(), 100).await;
        let engine = world.engine();
        let parameters: Value = json!({
            "table": table, "set": set, "where": condition, "follow": { "interval": "100ms" },
            "segments": 3, "batchSize": 10,
        });
        let job = engine.submit(None, "update", parameters).await.unwrap().job_id;
        let stop = Stop::default();
        let story = async {
            another_pass(&world, &job).await;
            another_pass(&world, &job).await;
            // New ones; one that stops meeting it.
            world.put(&table, (100..150).map(|n| item(&keys, n))).await;
            let mut other = world.items(&table).await.remove(&4).unwrap();
            other.insert("status".to_owned(), text("new"));
            world.put(&table, [other.clone()]).await;
            another_pass(&world, &job).await;
            other.insert("status".to_owned(), text("old"));
            other.remove("marked");
            world.put(&table, [other]).await;
            another_pass(&world, &job).await;
            another_pass(&world, &job).await;
            engine.cancel(&job).await.unwrap();
        };
        let (ended, ()) = tokio::join!(drive(&engine, &job, 3, &stop), story);
        let ended = ended.unwrap().unwrap();
        assert_eq!(ended.state, JobState::Cancelled);
        for (id, item) in world.items(&table).await {
            let old = id.is_multiple_of(2);
            if at == 2 {
                assert_eq!(item.contains_key("seen"), old, "{table}: {item:?}");
            } else {
                let times = if !old {
                    0
                } else if id == 4 {
                    2
                } else {
                    1
                };
                assert_eq!(int(&item, "n"), Some(times), "{table}: {item:?}");
            }
        }
        assert_eq!(ended.total.changed, 76, "{table}: 75 items, one of them twice");
        assert_eq!(ended.stages.last().unwrap().name, "follow");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_follows_a_table_remembers_through_kills() {
    let world = World::start().await;
    let keys = (S, None);
    world.numbered("remembered", keys.clone(), 400).await;
    let engine = world.engine();
    let parameters: Value = json!({
        "table": "remembered", "set": "n = n + 1", "where": "status = 'old' AND n < 100",
        "follow": { "interval": "100ms" }, "segments": 4, "batchSize": 10,
    });
    let job = engine.submit(None, "update", parameters).await.unwrap().job_id;
    let mut chance = common::Seeded(77);
    for kill in 0..30 {
        let stop = Stop::default();
        let life = Duration::from_millis(60 + chance.below(250));
        let driven = tokio::time::timeout(life, drive(&engine, &job, 4, &stop)).await;
        assert!(driven.is_err(), "it goes on until it is cancelled: {driven:?}");
        world.forward(Duration::from_secs(90));
        if kill == 12 {
            world.put("remembered", (400..500).map(|n| item(&keys, n))).await;
        }
    }
    let stop = Stop::default();
    let ending = async {
        another_pass(&world, &job).await;
        engine.cancel(&job).await.unwrap();
    };
    let (ended, ()) = tokio::join!(drive(&engine, &job, 4, &stop), ending);
    assert_eq!(ended.unwrap().unwrap().state, JobState::Cancelled);
    for (id, item) in world.items("remembered").await {
        assert_eq!(int(&item, "n"), Some(u64::from(id.is_multiple_of(2))), "seed 77: {item:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_and_a_count_follow_a_table_too() {
    let world = World::start().await;
    let keys = (S, None);
    world.numbered("source", keys.clone(), 60).await;
    world.table("mirror", keys.clone()).await;
    let engine = world.engine();
    let follow = json!({ "interval": "100ms" });
    let submit =
        async |kind: &str, parameters: Value| engine.submit(None, kind, parameters).await.unwrap().job_id;
    let copy = submit(
        "copy",
        json!({ "table": "source", "to": { "table": "mirror" }, "where": "status = 'old'", "follow": follow }),
    )
    .await;
    let count = submit("count", json!({ "table": "source", "where": "n >= 0", "follow": follow })).await;
    let stop = Stop::default();
    let story = async {
        another_pass(&world, &copy).await;
        another_pass(&world, &count).await;
        world.put("source", (60..80).map(|n| item(&keys, n))).await;
        another_pass(&world, &copy).await;
        another_pass(&world, &count).await;
        for job in [&copy, &count] {
            engine.cancel(job).await.unwrap();
        }
    };
    let (copied, counted, ()) =
        tokio::join!(drive(&engine, &copy, 3, &stop), drive(&engine, &count, 3, &stop), story);
    let (copied, counted) = (copied.unwrap().unwrap(), counted.unwrap().unwrap());
    assert_eq!((copied.total.changed, counted.total.matched), (40, 80), "each item once");
    assert!(world.items("mirror").await.into_keys().eq((0..80).step_by(2)));
    assert!(copied.total.processed > 140, "the whole table is looked at in each pass");
}
