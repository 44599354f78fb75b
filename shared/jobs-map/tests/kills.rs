//! Commands and jobs that are stopped or killed: nothing goes on, and nothing is lost.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use std::fs;
use std::time::Duration;

use common::{World, lines_of, numbers, result, runs, script};
use nextbasket_job_engine::JobState;
use nextbasket_job_engine::pool::{Stop, drive};
use nextbasket_testkit::Fault;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_takes_too_long_is_ended_with_all_that_it_started() {
    let world = World::start().await;
    let input = world.file("in.jsonl", numbers(0..3));
    let pids = world.path("pids");
    let text = format!("sleep 1000 & echo $! >> {0}; echo $$ >> {0}; wait", pids.display());
    let mut parameters = lines_of(&input, &world.path("out"), &script(&text));
    parameters["timeout"] = json!(1);
    parameters["retries"] = json!(0);
    let job = world.run(parameters).await;
    let failure = job.failure.unwrap();
    assert!(failure.contains("did not end within 1 s"), "{failure}");
    let pids = world.read("pids");
    assert_eq!(pids.lines().count(), 2);
    assert_all_end(&pids).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_batches_all_fail_leaves_the_output_as_it_was() {
    let world = World::start().await;
    let input = world.file("in.jsonl", numbers(0..300));
    let in_s3 = world.object_name("out/lines");
    for (output, name) in [(world.path("out").display().to_string(), "file"), (in_s3, "object")] {
        let mut parameters = lines_of(&input, std::path::Path::new(&output), &json!(["cat"]));
        parameters["output"] = json!(output);
        assert_eq!(result(&world.run(parameters.clone()).await)["failed"], 0, "{name}");
        let read = async || match name {
            "file" => (world.read("out"), world.read("out.manifest.json")),
            _ => {
                let text = |bytes| String::from_utf8(bytes).unwrap();
                let manifest = world.read_object("out/lines.manifest.json").await;
                (text(world.read_object("out/lines").await), text(manifest))
            }
        };
        let before = read().await;
        assert_eq!(before.0, numbers(0..300));
        parameters["command"] = script("echo no such thing >&2; exit 3");
        parameters["retries"] = json!(0);
        let job = world.run(parameters).await;
        assert_eq!(job.state, JobState::Failed, "{name}");
        let failure = job.failure.unwrap();
        assert!(failure.contains(&output) && failure.contains("no such thing"), "{failure}");
        assert!(read().await == before, "{name}: the output has changed");
    }
}

async fn assert_all_end(pids: &str) {
    for _ in 0..100 {
        if !pids.lines().any(runs) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("they go on: {pids}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_worker_is_stopped_or_killed_is_ended_and_its_batch_is_done_later() {
    let world = World::start().await;
    let input = world.file("in.jsonl", numbers(0..3));
    let (pids, ready) = (world.path("pids"), world.path("ready"));
    let text = format!(
        "echo $$ >> {}; [ -e {} ] && exec cat; sleep 1000 & echo $! >> {0}; wait",
        pids.display(),
        ready.display()
    );
    let text = text.replace("{0}", &pids.display().to_string());
    let engine = world.engine();
    let job = engine.submit(None, "map", lines_of(&input, &world.path("out"), &script(&text))).await.unwrap();
    let begun = async |count: usize| {
        while fs::read_to_string(&pids).unwrap_or_default().lines().count() < count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    // Told to stop.
    let stop = Stop::default();
    let (ended, ()) = tokio::join!(drive(&engine, &job.job_id, 1, &stop), async {
        begun(2).await;
        stop.stop();
    });
    assert!(ended.unwrap().is_none());
    assert_all_end(&world.read("pids")).await;
    // Dropped in the middle.
    let stop = Stop::default();
    tokio::select! {
        _ = drive(&engine, &job.job_id, 1, &stop) => panic!("it does not end by itself"),
        () = begun(4) => {}
    }
    assert_all_end(&world.read("pids")).await;
    world.forward(Duration::from_secs(90));
    world.file("ready", "");
    let ended = drive(&engine, &job.job_id, 1, &Stop::default()).await.unwrap().unwrap();
    assert_eq!(result(&ended)["failed"], 0);
    assert_eq!(world.read("out"), numbers(0..3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_killed_again_and_again_leaves_the_same_output() {
    let content = numbers(0..400);
    for seed in [1, 2, 3] {
        let world = World::start().await;
        let input = world.file("in.jsonl", &content);
        let mut parameters = lines_of(&input, &world.path("out"), &script("sleep 0.02; tr a-z A-Z"));
        parameters["batchBytes"] = json!(700);
        let (job, kills) = world.run_with_kills(parameters, seed, 150).await;
        assert_eq!(result(&job)["failed"], 0, "seed {seed}");
        assert!(kills > 0, "seed {seed}: it was never killed");
        assert!(world.read("out") == content.to_uppercase(), "seed {seed}, {kills} kills");
        assert_eq!(world.leftovers(&job.job_id).await, [""; 0], "seed {seed}");
        assert!(
            !fs::read_dir(world.path(""))
                .unwrap()
                .any(|entry| { entry.unwrap().file_name().to_string_lossy().ends_with(".part") })
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_output_in_s3_is_the_same_however_often_it_is_killed() {
    // Three parts of an upload, and then some.
    let line = format!("{}\n", json!({ "x": "0123456789".repeat(100) }));
    let content = line.repeat(52_000);
    let world = World::start().await;
    let source = world.object("in/large.jsonl", content.clone()).await;
    let output = world.object_name("out/large.jsonl");
    let parameters = json!({
        "input": { "files": source, "format": "jsonl" }, "output": output, "command": ["cat"], "batchBytes": 6_000_000,
    });
    let (job, kills) = world.run_with_kills(parameters, 5, 600).await;
    assert_eq!(result(&job)["bytes"], content.len());
    assert!(kills > 0, "it was never killed");
    assert!(world.read_object("out/large.jsonl").await == content.as_bytes(), "{kills} kills");
    let manifest: Value =
        serde_json::from_slice(&world.read_object("out/large.jsonl.manifest.json").await).unwrap();
    assert_eq!((&manifest["records"], &manifest["failed"]), (&json!(52_000), &json!([])));
}

/// What the batches left is removed before the job has ended, and then it may be killed once more.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_killed_while_it_tidies_up_has_its_output() {
    let world = World::start().await;
    let line = format!("{}\n", json!({ "x": "0123456789".repeat(400) }));
    let input = world.file("in.jsonl", line.repeat(40));
    let mut parameters = lines_of(&input, &world.path("out"), &json!(["cat"]));
    parameters["batchBytes"] = json!(10_000);
    let proxy = world.stack.s3_proxy().await;
    let slow = world.engine_through(world.stack.dynamodb(), proxy.s3());
    let job = slow.submit(None, "map", parameters).await.unwrap();
    // The objects are removed, the answer is lost, and the retry takes for ever.
    proxy.inject("POST ?delete", 1..=1, Fault::DropAfter);
    proxy.inject("POST ?delete", 2..=u64::MAX, Fault::Delay(Duration::from_secs(600)));
    let stop = Stop::default();
    tokio::select! {
        _ = drive(&slow, &job.job_id, 3, &stop) => panic!("it does not end with calls that hang"),
        () = async {
            while proxy.calls("POST ?delete") < 2 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        } => {}
    }
    assert_eq!(world.leftovers(&job.job_id).await, [""; 0]);
    world.forward(Duration::from_secs(90));
    let ended = drive(&world.engine(), &job.job_id, 3, &Stop::default()).await.unwrap().unwrap();
    assert_eq!((&result(&ended)["records"], &result(&ended)["failed"]), (&json!(40), &json!(0)));
    assert!(world.read("out") == line.repeat(40));
    assert_eq!(world.leftovers(&job.job_id).await, [""; 0]);
}
