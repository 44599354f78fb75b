//! Ctrl-C, SIGTERM, readers that close the pipe, and full disks.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod command;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use command::{Server, fail, nextbasket, run, shop_csv, succeed};
use hyper::Method;
use nextbasket::api_client::ApiClient;
use serde_json::{Value, json};

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

/// Exit code and standard error.
fn ended(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn until(what: &str, so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < Duration::from_secs(120), "in two minutes: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn piped(arguments: &[&str]) -> Child {
    nextbasket(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Ends the process of a test that fails.
struct EndedOnPanic(u32);

impl Drop for EndedOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _sent = Command::new("kill").args(["-KILL", &self.0.to_string()]).status();
        }
    }
}

fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    // A buffer of one byte, so that the rest is left for other readers.
    BufReader::with_capacity(1, child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    line.trim().to_owned()
}

#[tokio::test]
async fn serve_finishes_what_is_under_way_and_ends_as_is_documented() {
    let folder = tempfile::tempdir().unwrap();
    for (name, code) in [("TERM", 0), ("INT", 130)] {
        let data = folder.path().join(name);
        let data = data.to_str().unwrap();
        let mut server = piped(&["serve", "--data", data, "--listen", "127.0.0.1:0"]);
        let address = first_line(&mut server);
        let api = ApiClient::new(address.strip_prefix("http://").unwrap().parse().unwrap());
        // Purchases are posted while it is asked to stop: those that were acknowledged are there afterwards.
        let posting = tokio::spawn(async move {
            let mut answered = 0;
            for n in 0..1_000_u32 {
                let purchase = json!({
                    "purchaseId": format!("p{n}"), "userId": "ada", "lines": [{ "productId": "beans", "quantity": 1 }],
                });
                match api.call(Method::POST, "/purchases", Some(&purchase)).await {
                    Ok(_) => answered += 1,
                    Err(_) => break,
                }
            }
            answered
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        signal(&server, name);
        let (ended_with, said) = tokio::task::spawn_blocking(move || ended(server)).await.unwrap();
        assert_eq!(ended_with, Some(code), "{name}: {said}");
        assert!(!said.contains("cut off"), "{said}");
        let answered: u64 = posting.await.unwrap();
        let data = data.to_owned();
        let counted = tokio::task::spawn_blocking(move || {
            succeed(&["count", "nextbasket-purchases", "--data", &data, "--json"])
        });
        let counted: Value = serde_json::from_str(&counted.await.unwrap()).unwrap();
        let stored = counted["result"]["matched"].as_u64().unwrap();
        assert!(answered > 0 && (stored == answered || stored == answered + 1), "{stored} of {answered}");
    }
}

/// A job whose only batch waits until the file `go` exists.
struct Waiting {
    folder: tempfile::TempDir,
    child: Child,
}

impl Waiting {
    fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap())
    }

    fn start_in(folder: tempfile::TempDir) -> Self {
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        fs::write(at("in.jsonl"), "{\"n\":1}\n{\"n\":2}\n").unwrap();
        let script = format!(
            "touch {}; trap '' TERM; while [ ! -e {} ]; do sleep 0.05; done; cat",
            at("begun"),
            at("go")
        );
        let child = piped(&[
            "map",
            &at("in.jsonl"),
            "--to",
            &at("out"),
            "--command",
            &script,
            "--batch-size",
            "1",
            "--data",
            &at("data"),
            "--workers",
            "1",
        ]);
        until("the job has begun", || folder.path().join("begun").exists());
        // Long enough for the stage's progress to be printed.
        std::thread::sleep(Duration::from_secs(3));
        Self { folder, child }
    }
}

#[test]
fn ctrl_c_leaves_a_job_in_order_and_says_nothing_is_done_that_is_not() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let Waiting { folder, child } = Waiting::start();
        signal(&child, name);
        let (ended_with, said) = ended(child);
        assert_eq!(ended_with, Some(code), "{said}");
        assert!(said.contains("To resume it: nextbasket jobs work "), "{said}");
        let stage = said.lines().find_map(|line| line.split_once(": stopped at 0 of ")).expect(&said).0;
        assert!(!said.contains(&format!("{stage}: done")), "{said}");
        assert!(!folder.path().join("out").exists());
        // The command that is said for that ends the job, so that another one can have its lock.
        let cancelled = succeed(&advised(&said, "To end it: nextbasket "));
        assert!(cancelled.contains("is cancelled"), "{cancelled}");
        let data = folder.path().join("data");
        let locks = succeed(&["lock", "list", "--json", "--data", data.to_str().unwrap()]);
        let locks: Value = serde_json::from_str(&locks).unwrap();
        let held: Vec<&Value> =
            locks["items"].as_array().unwrap().iter().filter(|lock| lock["state"] != "free").collect();
        assert!(held.is_empty(), "{locks:#}");
    }
}

/// The command that a message gives behind these words.
fn advised<'a>(said: &'a str, words: &str) -> Vec<&'a str> {
    said.lines().find_map(|line| line.strip_prefix(words)).expect(said).split_whitespace().collect()
}

#[test]
fn ctrl_c_beside_a_server_says_that_the_job_goes_on_there() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let _server = Server::start(&["--data", data.to_str().unwrap()]);
    let Waiting { folder, child } = Waiting::start_in(folder);
    signal(&child, "INT");
    let (code, said) = ended(child);
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("The server goes on with the job"), "{said}");
    fs::write(folder.path().join("go"), "").unwrap();
    succeed(&advised(&said, "To wait for it: nextbasket "));
    assert_eq!(fs::read_to_string(folder.path().join("out")).unwrap(), "{\"n\":1}\n{\"n\":2}\n");
}

#[test]
fn a_second_ctrl_c_ends_at_once() {
    let mut server = piped(&["serve", "--ephemeral", "--listen", "127.0.0.1:0"]);
    let address = first_line(&mut server);
    // A request that never ends delays a clean stop by some seconds.
    let mut endless = TcpStream::connect(address.strip_prefix("http://").unwrap()).unwrap();
    endless.write_all(b"POST /purchases HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    signal(&server, "INT");
    std::thread::sleep(Duration::from_millis(500));
    assert!(server.try_wait().unwrap().is_none(), "the first one waits for the request");
    signal(&server, "INT");
    let (code, said) = ended(server);
    assert_eq!(code, Some(130), "{said}");
    assert!(!said.contains("cut off"), "it did not wait for the end of the grace: {said}");
}

#[test]
fn ctrl_c_ends_a_command_that_has_nothing_to_finish() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    succeed(&["lock", "acquire", "x", "--lease", "10m", "--data", data]);
    let child = piped(&["lock", "acquire", "x", "--wait", "10m", "--data", data]);
    let announced = Path::new(data).join("server.json");
    until("the folder is open", || announced.exists());
    signal(&child, "INT");
    assert_eq!(ended(child).0, Some(130));
    succeed(&["lock", "list", "--data", data]);
}

#[test]
fn a_reader_that_has_gone_is_the_end_of_the_output_and_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let csv = shop_csv(folder.path());
    let data = folder.path().join("data");
    let (csv, data) = (csv.to_str().unwrap(), data.to_str().unwrap());
    let without_readers: &[&[&str]] = &[
        &["import", csv, "--data", data],
        &["train", "--data", data],
        &["recommend", "ada", "--data", data],
        &["recommend", "ada", "--data", data, "--json"],
        &["count", "nextbasket-purchases", "--data", data],
        &["jobs", "list", "--data", data],
        &["models", "--data", data],
        &["lock", "list", "--data", data],
        &["demo", "--once", "--listen", "127.0.0.1:0"],
        &["--help"],
    ];
    for arguments in without_readers {
        let mut child = piped(arguments);
        drop(child.stdout.take());
        let (code, said) = ended(child);
        assert_eq!(code, Some(0), "{arguments:?}: {said}");
        assert!(!said.contains("panicked") && !said.contains("Broken pipe"), "{arguments:?}: {said}");
        if arguments.contains(&"demo") {
            continue;
        }
        // Nobody reads standard error either.
        let mut child = piped(arguments);
        drop((child.stdout.take(), child.stderr.take()));
        assert_eq!(child.wait().unwrap().code(), Some(0), "{arguments:?}");
    }
    let mut failing = piped(&["jobs", "show", "none", "--data", data]);
    drop((failing.stdout.take(), failing.stderr.take()));
    assert_eq!(failing.wait().unwrap().code(), Some(1));
}

#[test]
fn an_output_on_a_full_disk_fails_by_its_own_name() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    succeed(&["lock", "run", "first", "--data", data, "--", "true"]);
    let Ok(full) = File::create("/dev/full") else {
        println!("skipped: there is no /dev/full");
        return;
    };
    let output = nextbasket(&["jobs", "list", "--data", data]).stdout(full).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("standard output: No space left") && !said.contains("data folder"), "{said}");

    let lines = folder.path().join("lines.csv");
    fs::write(&lines, "user_id,product_id,timestamp\nada,beans,2026-01-01\nada,beans,never\n").unwrap();
    let said = fail(&["import", lines.to_str().unwrap(), "--data", data, "--refused", "/dev/full"], 1);
    assert!(said.contains("/dev/full: No space left") && !said.contains("data folder"), "{said}");
}

/// A small disk for the test; `None` if the test lacks the rights to mount one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: PathBuf, size: &str) -> Option<Self> {
        fs::create_dir(&path).unwrap();
        let option = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &option, "tmpfs"]).arg(&path).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(path));
        }
        println!("skipped: mounting a small disk needs root");
        None
    }

    /// Fills it except for this many bytes.
    fn fill(&self, left: u64) {
        let mut zeros = File::open("/dev/zero").unwrap().take(1 << 30);
        let mut ballast = File::create(self.0.join("ballast")).unwrap();
        let _full = std::io::copy(&mut zeros, &mut ballast);
        let size = ballast.metadata().unwrap().len();
        ballast.set_len(size.saturating_sub(left)).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_of_a_dump_is_that_of_the_dump() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path().join("disk"), "16k") else { return };
    let csv = shop_csv(folder.path());
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    succeed(&["import", csv.to_str().unwrap(), "--data", data]);
    let to = disk.0.join("dumps");
    let said = fail(
        &[
            "dump",
            "nextbasket-purchases",
            "--to",
            to.to_str().unwrap(),
            "--format",
            "json-lines",
            "--no-gzip",
            "--data",
            data,
        ],
        1,
    );
    assert!(said.contains(to.to_str().unwrap()) && said.contains("No space left"), "{said}");
    assert!(!said.contains("data folder"), "{said}");
}

/// Purchases that are in no history yet are folded by a read; on a full disk, the read answers or fails.
#[test]
fn a_read_on_a_full_disk_answers_or_fails() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path().join("disk"), "48m") else { return };
    let csv = shop_csv(folder.path());
    let data = disk.0.join("data");
    let data = data.to_str().unwrap();
    succeed(&["import", csv.to_str().unwrap(), "--data", data]);
    succeed(&["train", "--data", data]);
    // Purchases of many users that no history includes: the histories and the mapping's checkpoints are gone.
    succeed(&["delete", "nextbasket-history", "--all", "--data", data]);
    fs::remove_dir_all(Path::new(data).join("checkpoints")).unwrap();
    // There is room for one user's history but not for many; or for none at all.
    for left in [200_000, 0] {
        disk.fill(left);
        for arguments in [
            vec!["recommend", "ada", "--data", data],
            vec!["related", "coffee-espresso-1kg", "--data", data],
            vec!["models", "--data", data],
        ] {
            let begun = Instant::now();
            let (output, out, err) = run(&arguments);
            match output.status.code() {
                Some(0) => assert!(!out.is_empty()),
                Some(1) => assert!(err.contains("disk") && err.contains(" full"), "{arguments:?}: {err}"),
                other => panic!("{arguments:?} ended with {other:?}: {err}"),
            }
            assert!(begun.elapsed() < Duration::from_secs(100), "{arguments:?}: {:?}", begun.elapsed());
        }
    }
}

#[tokio::test]
async fn the_demo_works_on_the_jobs_that_it_accepts() {
    let mut demo = piped(&["demo", "--listen", "127.0.0.1:0"]);
    let _ended = EndedOnPanic(demo.id());
    let out = BufReader::new(demo.stdout.take().unwrap());
    let serving =
        out.lines().map(Result::unwrap).find(|line| line.starts_with("Serving at http://")).unwrap();
    let address = serving.trim_start_matches("Serving at http://").trim_end_matches(". Try:");
    let api = ApiClient::new(address.parse().unwrap());
    let job = json!({ "kind": "count", "parameters": { "table": "nextbasket-products" } });
    let job = api.call(Method::POST, "/jobs", Some(&job)).await.unwrap();
    let path = format!("/jobs/{}", job["jobId"].as_str().unwrap());
    let begun = Instant::now();
    while api.get(&path).await.unwrap()["state"] != "succeeded" {
        assert!(begun.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    signal(&demo, "TERM");
    let (code, said) = tokio::task::spawn_blocking(move || ended(demo)).await.unwrap();
    assert_eq!(code, Some(0), "{said}");
}
