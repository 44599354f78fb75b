//! `upload` as its users run it: any number of processes, killed at any time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that cannot go on fails there"
)]

mod command;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant, SystemTime};

use command::{Server, fail, key_of, nextbasket, run, succeed, succeeding};
use futures::{StreamExt, TryStreamExt};
use nextbasket_machine::access::read_key_file;
use nextbasket_machine::folder::running_server;
use nextbasket_machine::s3::s3_config;
use nextbasket_testkit::FaultProxy;
use serde_json::Value;
use tempfile::TempDir;

const BUCKET: &str = "nextbasket-jobsbucket";

/// A folder on a disk that needs no syncing, where there is one.
fn memory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn write(folder: &Path, name: &str, content: &[u8]) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    let before = SystemTime::now() - Duration::from_secs(60);
    fs::File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
}

/// What a bucket holds below a prefix.
async fn objects(s3: &aws_sdk_s3::Client, prefix: &str) -> BTreeMap<String, Vec<u8>> {
    let mut keys = Vec::new();
    let mut pages = s3.list_objects_v2().bucket(BUCKET).prefix(prefix).into_paginator().send();
    while let Some(page) = pages.next().await {
        keys.extend(page.unwrap().contents.unwrap_or_default().into_iter().map(|object| object.key.unwrap()));
    }
    let got = futures::stream::iter(keys).map(async |key| {
        let got = s3.get_object().bucket(BUCKET).key(&key).send().await?;
        let name = key.strip_prefix(prefix).unwrap().to_owned();
        Ok::<_, aws_sdk_s3::Error>((name, got.body.collect().await.unwrap().to_vec()))
    });
    got.buffer_unordered(16).try_collect().await.unwrap()
}

struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low)
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }
}

const FILES: u64 = 10_000;
const WORKERS: u64 = 4;
const PART: u64 = 5 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_files_by_four_processes_of_which_two_are_killed_are_there_once() {
    let seed = std::env::var("NEXTBASKET_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64 | 1
    });
    println!("NEXTBASKET_SEED={seed}");
    let mut draw = Draw(seed);
    let folder = memory();
    let mut expected = BTreeMap::new();
    for n in 0..FILES {
        let (name, size) = (format!("2026-11-{:02}/{n:05}.log", n % 30 + 1), draw.between(1, 300) as usize);
        expected.insert(name, draw.bytes(size));
    }
    let mut parts = 0;
    for (n, size) in [PART + 1, 2 * PART, 3 * PART + 7].into_iter().enumerate() {
        expected.insert(format!("large/{n} %20 ä.bin"), draw.bytes(size as usize));
        parts += size.div_ceil(PART);
    }
    for (name, content) in &expected {
        write(folder.path(), name, content);
    }

    let data = memory();
    let _server = Server::start(&["--data", data.path().to_str().unwrap()]);
    let server = running_server(data.path()).unwrap().unwrap();
    let proxy =
        FaultProxy::start(&format!("http://{}", server.s3.unwrap()), &read_key_file(data.path()).unwrap())
            .await;
    let dynamodb = format!("http://{}", server.dynamodb);
    let start = || Process::start(folder.path(), data.path(), &dynamodb, &proxy.url());
    let mut processes: Vec<Process> = (0..4).map(|_| start()).collect();
    // Two at random, each when a random share of the files has been sent.
    let mut kills = [draw.between(200, FILES - 200), draw.between(200, FILES - 200)];
    kills.sort_unstable();
    let first = draw.next() as usize % 4;
    let second = (first + 1 + draw.next() as usize % 3) % 4;
    for (at, which) in kills.into_iter().zip([first, second]) {
        while sent(&proxy) < at && processes.iter_mut().any(|process| !process.has_ended()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        processes[which].kill();
        processes[which] = start();
    }
    for process in processes {
        let ended = tokio::task::spawn_blocking(move || process.end()).await.unwrap();
        assert_eq!(ended["files"], FILES + 3, "seed {seed}: {ended}");
        let there: u64 =
            ["sent", "alreadyThere", "byOthers"].iter().map(|name| ended[*name].as_u64().unwrap()).sum();
        assert_eq!(there, FILES + 3, "seed {seed}: {ended}");
    }

    let s3 = aws_sdk_s3::Client::from_conf(s3_config(
        &format!("http://{}", server.s3.unwrap()),
        &read_key_file(data.path()).unwrap(),
    ));
    assert!(objects(&s3, "logs/").await == expected, "seed {seed}: the bucket differs from the folder");
    let left = s3.list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
    assert!(left.uploads().is_empty(), "seed {seed}: {:?}", left.uploads());
    let (puts, part_puts) = (proxy.calls("PUT x-id=PutObject"), proxy.calls("PUT partNumber="));
    println!("{puts} puts of {FILES} files, {part_puts} of {parts} parts, kills at {kills:?}");
    assert!(puts <= FILES + 2 * WORKERS, "seed {seed}: {puts} puts");
    assert!(part_puts <= parts + 2 * WORKERS, "seed {seed}: {part_puts} parts");

    let again = Process::start(folder.path(), data.path(), &dynamodb, &proxy.url());
    let again = tokio::task::spawn_blocking(move || again.end()).await.unwrap();
    assert_eq!((&again["sent"], &again["alreadyThere"]), (&0.into(), &(FILES + 3).into()), "seed {seed}");
    assert_eq!(proxy.calls("PUT x-id=PutObject"), puts);
}

fn sent(proxy: &FaultProxy) -> u64 {
    proxy.calls("*")
}

/// A running `upload`.
struct Process {
    child: Child,
}

impl Process {
    fn start(folder: &Path, data: &Path, dynamodb: &str, s3: &str) -> Self {
        let (to, workers) = (format!("s3://{BUCKET}/logs"), WORKERS.to_string());
        let child = nextbasket(&["upload", folder.to_str().unwrap(), &to, "--workers", &workers, "--json"])
            .args(["--endpoint", dynamodb, "--s3-endpoint", s3, "--part-size", "5MiB", "--lease", "2s"])
            .envs(key_of(data))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child }
    }

    fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Its summary.
    fn end(self) -> Value {
        let output = self.child.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{}: {err}", output.status);
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// A folder of three files, and a data folder.
struct World {
    _root: TempDir,
    folder: PathBuf,
    data: String,
}

impl World {
    fn new() -> Self {
        let root = memory();
        let folder = root.path().join("files");
        for (name, content) in [("a.log", "first"), ("sub/b c.log", "second"), ("empty", "")] {
            write(&folder, name, content.as_bytes());
        }
        let data = root.path().join("data").to_str().unwrap().to_owned();
        Self { _root: root, folder, data }
    }

    fn arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let mut arguments = vec![
            "upload",
            self.folder.to_str().unwrap(),
            "s3://nextbasket-jobsbucket/x",
            "--data",
            &self.data,
        ];
        arguments.extend(more);
        arguments
    }
}

#[test]
fn a_folder_is_uploaded_once_without_a_server() {
    let world = World::new();
    let first = succeed(&world.arguments(&[]));
    assert!(first.starts_with("3 files uploaded to s3://nextbasket-jobsbucket/x/, 11 B in "), "{first}");
    let second = succeed(&world.arguments(&[]));
    assert_eq!(second, "Nothing to upload: all 3 files are in s3://nextbasket-jobsbucket/x/ already.\n");
    let third: Value = serde_json::from_str(&succeed(&world.arguments(&["--json"]))).unwrap();
    assert_eq!(
        (&third["sent"], &third["alreadyThere"], &third["stopped"]),
        (&0.into(), &3.into(), &false.into())
    );
}

#[tokio::test]
async fn a_changed_file_is_named_or_becomes_a_version() {
    let world = World::new();
    let _server = Server::start(&["--data", &world.data]);
    succeed(&world.arguments(&[]));
    write(&world.folder, "a.log", b"changed");
    write(&world.folder, "new.log", b"new");
    let (output, out, err) = run(&world.arguments(&[]));
    assert_eq!(output.status.code(), Some(1), "{out}\n{err}");
    assert!(out.contains("1 files uploaded") && out.contains("2 were there already"), "{out}");
    assert!(
        out.contains("Different from what is there, not uploaded (1):") && out.contains("a.log"),
        "{out}"
    );
    assert!(err.contains("1 files of ") && err.contains("were not uploaded"), "{err}");
    let out = succeed(&world.arguments(&["--on-change", "version"]));
    assert!(out.contains("a.log is x/a.~2~.log"), "{out}");
    let address = running_server(Path::new(&world.data)).unwrap().unwrap().s3.unwrap();
    let s3 = aws_sdk_s3::Client::from_conf(s3_config(
        &format!("http://{address}"),
        &read_key_file(Path::new(&world.data)).unwrap(),
    ));
    let there = objects(&s3, "x/").await;
    let text = |name: &str| String::from_utf8(there[name].clone()).unwrap();
    assert_eq!((text("a.log"), text("a.~2~.log")), ("first".to_owned(), "changed".to_owned()));
    assert_eq!(there.len(), 5);
}

#[tokio::test]
async fn watching_uploads_what_comes_and_leaves_what_is_being_written() {
    let world = World::new();
    let _server = Server::start(&["--data", &world.data]);
    let arguments = world.arguments(&["--watch", "--interval", "100ms", "--settle", "5s", "--json"]);
    let child = nextbasket(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let address = running_server(Path::new(&world.data)).unwrap().unwrap().s3.unwrap();
    let s3 = aws_sdk_s3::Client::from_conf(s3_config(
        &format!("http://{address}"),
        &read_key_file(Path::new(&world.data)).unwrap(),
    ));
    until(async || objects(&s3, "x/").await.len() == 3).await;
    // Written in two steps within the time that a file has to settle.
    let growing = world.folder.join("growing.log");
    fs::write(&growing, "half").unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    fs::write(&growing, "half and half").unwrap();
    until(async || objects(&s3, "x/").await.len() == 4).await;
    assert_eq!(objects(&s3, "x/").await["growing.log"], b"half and half");
    interrupt(child.id());
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{err}");
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&summary["sent"], &summary["stopped"]), (&4.into(), &true.into()), "{err}");
}

// The proxy goes on while the test waits for a process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_leaves_the_rest_for_another_run() {
    let world = World::new();
    for n in 0..300 {
        write(&world.folder, &format!("{n}"), n.to_string().as_bytes());
    }
    let _server = Server::start(&["--data", &world.data]);
    let server = running_server(Path::new(&world.data)).unwrap().unwrap();
    let (s3, dynamodb) = (format!("http://{}", server.s3.unwrap()), format!("http://{}", server.dynamodb));
    let proxy = FaultProxy::start(&s3, &read_key_file(Path::new(&world.data)).unwrap()).await;
    proxy.inject("PUT", 1..=1_000, nextbasket_testkit::Fault::Delay(Duration::from_millis(50)));
    let upload = ["upload", world.folder.to_str().unwrap(), "s3://nextbasket-jobsbucket/x", "--workers", "2"];
    let through = ["--endpoint", &dynamodb, "--s3-endpoint", &proxy.url()].map(str::to_owned);
    let child = nextbasket(&upload)
        .args(&through)
        .envs(key_of(&world.data))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    until(async || proxy.calls("PUT") > 20).await;
    interrupt(child.id());
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{err}");
    assert!(err.contains("run it again"), "{err}");
    proxy.heal();
    let mut again = nextbasket(&upload);
    again.args(&through).envs(key_of(&world.data));
    succeeding(again);
    let client =
        aws_sdk_s3::Client::from_conf(s3_config(&s3, &read_key_file(Path::new(&world.data)).unwrap()));
    assert_eq!(objects(&client, "x/").await.len(), 303);
}

#[test]
fn wrong_use_of_upload_is_answered_with_what_to_do() {
    let world = World::new();
    let (folder, data) = (world.folder.to_str().unwrap(), world.data.as_str());
    let file = world.folder.join("a.log");
    let none = world.folder.join("none");
    let to = "s3://nextbasket-jobsbucket/x";
    let cases: &[(&[&str], i32, &[&str])] = &[
        (&["upload", none.to_str().unwrap(), to, "--data", data], 1, &["none", "No such file"]),
        (&["upload", file.to_str().unwrap(), to, "--data", data], 2, &["is a file", "name a folder"]),
        (&["upload", folder, "nextbasket-jobsbucket/x", "--data", data], 2, &["s3://BUCKET/PREFIX"]),
        (&["upload", folder, "s3://B/x", "--data", data], 2, &["invalid bucket name"]),
        (
            &["upload", folder, "s3://no-such-bucket/x", "--data", data],
            1,
            &["NoSuchBucket", "no-such-bucket"],
        ),
        (&["upload", folder, to, "--data", data, "--part-size", "1MiB"], 2, &["5MiB"]),
        (&["upload", folder, to, "--data", data, "--workers", "0"], 2, &["--workers"]),
        (&["upload", folder, to, "--data", data, "--settle", "1s"], 2, &["--watch"]),
        (
            &["upload", folder, to, "--data", data, "--operations", "none"],
            1,
            &["table none", "ResourceNotFound"],
        ),
        (&["upload", folder, to, "--data", data, "--endpoint", "localhost"], 2, &["--endpoint"]),
    ];
    for (arguments, code, words) in cases {
        let said = fail(arguments, *code);
        for word in *words {
            assert!(said.contains(word), "{arguments:?} does not say {word:?}:\n{said}");
        }
    }
}

fn interrupt(pid: u32) {
    let killed = std::process::Command::new("kill").args(["-INT", &pid.to_string()]).status();
    assert!(killed.unwrap().success());
}

/// Until it is so, for at most a minute.
async fn until(so: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !so().await {
        assert!(begun.elapsed() < Duration::from_secs(60), "it did not come to pass");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
