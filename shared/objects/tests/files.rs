//! Files and objects: found, read in ranges, over connections that break.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use nextbasket_objects::{Files, Location, ObjectError};
use nextbasket_testkit::{Fault, TestStack};
use tempfile::TempDir;

/// A folder and a bucket.
struct World {
    stack: TestStack,
    folder: TempDir,
}

impl World {
    async fn start() -> Self {
        Self { stack: TestStack::start().await, folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of this machine.
    fn file(&self, name: &str, content: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
    }

    fn object_name(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.stack.bucket("JobsBucket"))
    }

    /// Puts an object and gives its name.
    async fn object(&self, key: &str, content: impl Into<Vec<u8>>) -> String {
        let files = Files::new(self.stack.s3());
        files.write(&at(&self.object_name(key)), content.into()).await.unwrap();
        self.object_name(key)
    }
}

fn at(text: &str) -> Location {
    text.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_stands_for_a_file_or_for_all_below_it_on_this_machine_and_in_s3() {
    let world = World::start().await;
    let files = Files::new(world.stack.s3());
    for name in ["data/b/2.csv", "data/a.csv", "data/b/1.csv", "data.csv"] {
        world.file(name, name);
        world.object(name, name).await;
    }
    world.file("data/empty", "");
    world.object("data/empty", "").await;
    for base in [world.path("").display().to_string(), world.object_name("")] {
        let names = async |name: &str| -> Vec<String> {
            let found = files.list(&at(&format!("{base}{name}"))).await.unwrap();
            found.iter().map(|file| file.at.to_string().replace(&base, "")).collect()
        };
        assert_eq!(names("data.csv").await, ["data.csv"]);
        for folder in ["data", "data/"] {
            assert_eq!(names(folder).await, ["data/a.csv", "data/b/1.csv", "data/b/2.csv"], "{base}{folder}");
        }
        let missing = files.list(&at(&format!("{base}nothing"))).await;
        assert!(matches!(missing, Err(ObjectError::NotFound { .. })), "{missing:?}");
        let found = files.list(&at(&format!("{base}data.csv"))).await.unwrap();
        assert_eq!(found[0].bytes, 8);
        assert_eq!(files.read(&found[0], 2..6).await.unwrap(), b"ta.c");
        assert_eq!(files.read(&found[0], 6..100).await.unwrap(), b"sv");
        assert_eq!(files.read(&found[0], 8..9).await.unwrap(), b"");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_has_changed_since_it_was_found_is_not_read() {
    let world = World::start().await;
    let files = Files::new(world.stack.s3());
    world.file("a.csv", "before");
    world.object("a.csv", "before").await;
    let names = [world.path("a.csv").display().to_string(), world.object_name("a.csv")];
    let mut found = Vec::new();
    for name in &names {
        found.extend(files.list(&at(name)).await.unwrap());
    }
    world.file("a.csv", "behind");
    world.object("a.csv", "behind").await;
    for file in &found {
        let read = files.read(file, 0..6).await;
        assert!(matches!(read, Err(ObjectError::Changed { .. })), "{read:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_goes_on_where_a_connection_broke() {
    let world = World::start().await;
    let proxy = world.stack.s3_proxy().await;
    let files = Files::new(proxy.s3());
    let content: Vec<u8> =
        (0..3_000_000_u32).map(|n| n.to_le_bytes()[usize::try_from(n % 3).unwrap()]).collect();
    let name = world.object("large.bin", content.clone()).await;
    let found = files.list(&at(&name)).await.unwrap().remove(0);
    proxy.inject("GET", 1..=3, Fault::Truncate);
    assert!(files.read(&found, 0..u64::MAX).await.unwrap() == content);
    proxy.inject("GET", 1..=2, Fault::Truncate);
    let mut pieces = files.open(&found, 10..2_000_000).await.unwrap().into_blocking();
    let read = tokio::task::spawn_blocking(move || {
        let mut all = Vec::new();
        pieces.read_to_end(&mut all).unwrap();
        all
    });
    assert!(read.await.unwrap() == content[10..2_000_000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_blocks_is_told_why_reading_failed() {
    let world = World::start().await;
    let files = Files::new(world.stack.s3());
    let name = world.object("a", "x").await;
    let mut found = files.list(&at(&name)).await.unwrap().remove(0);
    found.stamp = "\"another\"".to_owned();
    let mut pieces = files.open(&found, 0..1).await.unwrap().into_blocking();
    let failure = tokio::task::spawn_blocking(move || {
        pieces.read_to_end(&mut Vec::new()).unwrap_err();
        pieces.failure()
    });
    assert!(matches!(failure.await.unwrap(), Some(ObjectError::Changed { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_file_is_written_as_a_whole_over_what_was_there() {
    let world = World::start().await;
    let files = Files::new(world.stack.s3());
    for name in [world.path("small").display().to_string(), world.object_name("small")] {
        for content in ["first", "then another"] {
            files.write(&at(&name), content.into()).await.unwrap();
            let found = files.list(&at(&name)).await.unwrap().remove(0);
            assert_eq!(files.read(&found, 0..u64::MAX).await.unwrap(), content.as_bytes(), "{name}");
        }
    }
    let missing = files.write(&at(&world.path("none/small").display().to_string()), Vec::new()).await;
    assert!(matches!(missing, Err(ObjectError::NotFound { .. })), "{missing:?}");
}
