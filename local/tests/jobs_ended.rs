//! Jobs that have ended, or that no process works on: listed by their time, cancelled once.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod command;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use command::{fail, nextbasket, run, succeed};
use serde_json::{Value, json};

fn json_of(arguments: &[&str]) -> Value {
    serde_json::from_str(&succeed(arguments)).unwrap()
}

/// A data folder: only what fills one, or takes a lock, makes it.
fn make(data: &str) {
    succeed(&["lock", "run", "first", "--data", data, "--", "true"]);
}

#[test]
fn a_job_that_has_ended_is_not_cancelled_and_lists_go_by_time() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    make(data);
    let count = r#"{"table":"nextbasket-products"}"#;
    for id in ["zebra", "apple", "mango"] {
        succeed(&["jobs", "submit", "count", count, "--id", id, "--data", data]);
    }
    let listed = json_of(&["jobs", "list", "--data", data, "--json"]);
    let ids: Vec<&str> =
        listed["items"].as_array().unwrap().iter().map(|job| job["jobId"].as_str().unwrap()).collect();
    assert_eq!(ids, ["mango", "apple", "zebra"]);

    succeed(&["jobs", "work", "apple", "--data", data]);
    let before = json_of(&["jobs", "show", "apple", "--data", data, "--json"]);
    let err = fail(&["jobs", "cancel", "apple", "--data", data], 1);
    assert!(err.contains("Job apple has succeeded at ") && err.contains("Nothing was changed."), "{err}");
    assert_eq!(json_of(&["jobs", "show", "apple", "--data", data, "--json"]), before);
    assert!(before.get("cancelling").is_none() && before["state"] == "succeeded");

    // No process works on it, so it ends at once, and its state is cancelled.
    let out = succeed(&["jobs", "cancel", "zebra", "--data", data]);
    assert_eq!(out, "Job zebra is cancelled. What was done stays done.\n");
    let again = succeed(&["jobs", "cancel", "zebra", "--data", data]);
    assert!(again.starts_with("Job zebra was cancelled at "), "{again}");
    let mango = json_of(&["jobs", "cancel", "mango", "--data", data, "--json"]);
    assert_eq!(mango, json!({ "jobId": "mango", "state": "cancelled", "cancelling": false }));
    let err = fail(&["jobs", "cancel", "nobody", "--data", data], 1);
    assert!(err.contains("nobody"), "{err}");
}

#[test]
fn a_job_whose_worker_was_killed_is_cancelled_for_good_and_frees_its_table() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    make(data);
    // Slow enough to be killed in the middle.
    let fill = ["fill", "nextbasket-products", "--count", "100000", "--wcu", "50", "--data", data];
    let mut filling = nextbasket(&fill).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    let job = loop {
        assert!(begun.elapsed() < Duration::from_secs(60), "no job has begun");
        std::thread::sleep(Duration::from_millis(200));
        let (output, out, _) = run(&["jobs", "list", "--data", data, "--json"]);
        if !output.status.success() {
            continue;
        }
        let list: Value = serde_json::from_str(&out).unwrap();
        let job = list["items"].as_array().unwrap().first().cloned();
        if let Some(job) =
            job.filter(|job| job["total"]["changed"].as_u64() > Some(0) || job["state"] == "running")
        {
            break job["jobId"].as_str().unwrap().to_owned();
        }
    };
    filling.kill().unwrap();
    filling.wait().unwrap();
    let begun = Instant::now();
    let out = succeed(&["jobs", "cancel", &job, "--data", data]);
    assert_eq!(out, format!("Job {job} is cancelled. What was done stays done.\n"));
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    // The next command on the table does not wait for anybody.
    let begun = Instant::now();
    succeed(&["delete", "nextbasket-products", "--all", "--data", data]);
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

/// A server whose own workers run a command that kills the server, as the kernel does when memory is short.
#[test]
#[ignore = "each of nine starts waits until the claims of the one before have expired: three minutes"]
fn a_server_that_a_batch_kills_at_each_start_lives_again_once_the_batch_has_failed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    make(data);
    let input = folder.path().join("in.jsonl");
    std::fs::write(&input, "{\"n\":1}\n").unwrap();
    let parameters = json!({
        "input": { "files": input, "format": "jsonl" },
        "command": ["sh", "-c", "kill -9 $PPID"],
        "output": folder.path().join("out.jsonl"),
        "tolerated": 0,
    });
    succeed(&["jobs", "submit", "map", &parameters.to_string(), "--id", "lethal", "--data", data]);
    for kills in 0..12 {
        let mut serve = nextbasket(&["serve", "--listen", "127.0.0.1:0", "--data", data]);
        let mut serve = serve.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(serve.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().to_owned();
        // It may have been killed before it was ready.
        while serve.try_wait().unwrap().is_none() {
            let shown = Command::new("curl")
                .args(["-s", "--max-time", "5", &format!("{address}/jobs/lethal")])
                .output()
                .unwrap();
            let job: Value = serde_json::from_slice(&shown.stdout).unwrap_or_default();
            if job["state"] == "failed" {
                serve.kill().unwrap();
                serve.wait().unwrap();
                let failure = job["failure"].as_str().unwrap();
                assert!(failure.contains("its worker ended without a message 8 times"), "{failure}");
                assert_eq!(kills, 8);
                return;
            }
            std::thread::sleep(Duration::from_millis(300));
        }
        assert_eq!(serve.wait().unwrap().code(), None, "it was to be killed, not to fail");
    }
    panic!("the server never lives");
}
