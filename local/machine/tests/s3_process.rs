//! The embedded S3 as a process of its own: killed at any time, and with bodies larger than its memory should be.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

#[path = "support/objects.rs"]
mod objects;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use nextbasket_machine::access::read_key_file;
use nextbasket_machine::s3::s3_config;
use objects::{bucket_in, files};

/// Where the server's data is; set for the server alone.
const DATA: &str = "NEXTBASKET_TEST_DATA";

/// This test program, running nothing but the server below. It is killed when this is dropped.
struct Server {
    child: Child,
    client: Client,
}

impl Server {
    fn start(data: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_server", "--ignored", "--nocapture"])
            .env(DATA, data)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines.map_while(Result::ok).find_map(|line| Some(line.split_once("serves ")?.1.to_owned()));
        // It writes its key before it prints its address.
        let config = s3_config(&url.unwrap(), &read_key_file(data).unwrap());
        let once = config.to_builder().retry_config(RetryConfig::disabled()).build();
        Server { child, client: Client::from_conf(once) }
    }

    /// As `kill -9` does.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be dead already.
        let _dead = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[tokio::test]
#[ignore = "this is the server that the other tests start and kill"]
async fn the_server() {
    let Some(data) = std::env::var_os(DATA) else { return };
    let bucket = bucket_in(Path::new(&data)).await;
    println!("serves {}", bucket.machine.s3().endpoint_url());
    std::future::pending::<()>().await;
}

const BUCKET: &str = "t-thingsbucket";

/// What a writer knows of its key: the last version that was acknowledged, and the last that was tried.
type Versions = Arc<Mutex<BTreeMap<String, (u64, u64)>>>;

fn content(key: &str, version: u64) -> Vec<u8> {
    let line = format!("{key} {version}\n");
    let lines = 400_000 / line.len() * usize::try_from(1 + version % 4).unwrap();
    line.repeat(lines).into_bytes()
}

/// Replaces an object with its next version until the server is gone.
async fn replace(client: Client, key: String, versions: Versions) {
    loop {
        let version = {
            let mut versions = versions.lock().unwrap();
            let entry = versions.entry(key.clone()).or_default();
            entry.1 += 1;
            entry.1
        };
        let body = ByteStream::from(content(&key, version));
        if client.put_object().bucket(BUCKET).key(&key).body(body).send().await.is_err() {
            return;
        }
        versions.lock().unwrap().get_mut(&key).unwrap().0 = version;
    }
}

/// Makes objects of two parts, one after the other, until the server is gone.
async fn make(client: Client, done: Arc<Mutex<Vec<String>>>) -> Option<()> {
    for serial in 0.. {
        let key = format!("made-{}-{serial}", done.lock().unwrap().len());
        let begun = client.create_multipart_upload().bucket(BUCKET).key(&key).send().await.ok()?;
        let id = begun.upload_id().unwrap();
        let mut parts = Vec::new();
        for (number, size) in [(1, 5 * 1024 * 1024), (2, 100)] {
            let body = ByteStream::from(vec![b'a'; size]);
            let part =
                client.upload_part().bucket(BUCKET).key(&key).upload_id(id).part_number(number).body(body);
            let put = part.send().await.ok()?;
            parts.push(CompletedPart::builder().part_number(number).set_e_tag(put.e_tag).build());
        }
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let complete = client.complete_multipart_upload().bucket(BUCKET).key(&key).upload_id(id);
        complete.multipart_upload(parts).send().await.ok()?;
        done.lock().unwrap().push(key);
    }
    Some(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_loses_nothing_it_acknowledged_and_shows_nothing_half() {
    let data = tempfile::tempdir().unwrap();
    let (versions, made) = (Versions::default(), Arc::<Mutex<Vec<String>>>::default());
    for round in 1..=6 {
        let server = Server::start(data.path());
        let mut writers = Vec::new();
        for writer in 0..5 {
            let (client, versions) = (server.client.clone(), Arc::clone(&versions));
            writers.push(tokio::spawn(replace(client, format!("key-{writer}"), versions)));
        }
        let maker = tokio::spawn(make(server.client.clone(), Arc::clone(&made)));
        tokio::time::sleep(Duration::from_millis(90 * round)).await;
        server.kill();
        for writer in writers {
            writer.await.unwrap();
        }
        assert_eq!(maker.await.unwrap(), None, "the server went first");
        check(data.path(), &versions, &made).await;
    }
    assert!(versions.lock().unwrap().values().all(|(acknowledged, _)| *acknowledged > 0));
}

async fn check(data: &Path, versions: &Versions, made: &Mutex<Vec<String>>) {
    let bucket = bucket_in(data).await;
    let known: Vec<_> = versions.lock().unwrap().clone().into_iter().collect();
    for (key, (acknowledged, tried)) in known {
        match bucket.get(&key).await {
            Some(found) => {
                let version = (acknowledged..=tried).find(|version| found == content(&key, *version));
                let version = version.unwrap_or_else(|| panic!("{key} is none of {acknowledged}..={tried}"));
                versions.lock().unwrap().insert(key, (version, tried));
            }
            None => assert_eq!(acknowledged, 0, "{key} was acknowledged"),
        }
    }
    let made = made.lock().unwrap().clone();
    for key in &made {
        assert_eq!(bucket.get(key).await.map(|content| content.len()), Some(5 * 1024 * 1024 + 100), "{key}");
    }
    let uploads = bucket.client.list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
    for upload in uploads.uploads() {
        let abort = bucket.client.abort_multipart_upload().bucket(BUCKET).key(upload.key().unwrap());
        abort.upload_id(upload.upload_id().unwrap()).send().await.unwrap();
    }
    let all = bucket.client.list_objects_v2().bucket(BUCKET).send().await.unwrap();
    let of_two = all.contents().iter().filter(|object| object.key().unwrap().starts_with("made-")).count();
    assert_eq!(files(data), all.contents().len() + of_two, "no file is left of what was cut off");
    bucket.machine.stop().await.unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_large_object_goes_through_little_memory() {
    const SIZE: usize = 192 * 1024 * 1024;
    let (data, source) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
    source.as_file().set_len(SIZE as u64).unwrap();
    let server = Server::start(data.path());
    let peak = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
    };
    let before = peak();
    let body = ByteStream::from_path(source.path()).await.unwrap();
    server.client.put_object().bucket(BUCKET).key("k").body(body).send().await.unwrap();
    let got = server.client.get_object().bucket(BUCKET).key("k").send().await.unwrap();
    let (mut body, mut size) = (got.body, 0);
    while let Some(chunk) = body.try_next().await.unwrap() {
        size += chunk.len();
    }
    assert_eq!(size, SIZE);
    let grown = peak() - before;
    assert!(grown < SIZE / 8, "{grown} bytes more for an object of {SIZE}");
}
