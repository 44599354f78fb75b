//! Large objects in parts: continued where a killed worker was, and nothing left over.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails there")]

mod common;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use common::{MIB, World, content, settings, until};
use nextbasket_objects::Checksum;
use nextbasket_testkit::Fault;
use nextbasket_uploads::{
    ContentError, OnChange, UploadContent, UploadError, UploadSettings, Uploaded, Uploads,
};

/// So long that it does not come within a test.
const NEVER: Fault = Fault::Delay(Duration::from_secs(300));

fn bytes(content: &[u8]) -> UploadContent {
    UploadContent::Bytes(content.to_vec().into())
}

/// Uploads until so many parts were sent, and is then gone, as after SIGKILL.
async fn killed_after(world: &World, uploads: Uploads, content: &[u8], parts: u64) {
    // One part at a time, so that those before it have been answered.
    world.s3.inject("PUT partNumber=", parts + 1..=1_000, NEVER);
    let content = bytes(content);
    tokio::select! {
        uploaded = uploads.put("large", &content) => panic!("{uploaded:?} while the transport is blocked"),
        () = until(|| world.parts() == parts + 1) => {}
    }
    world.s3.heal();
}

fn one_by_one() -> UploadSettings {
    UploadSettings { workers: 1, ..settings() }
}

#[tokio::test]
async fn a_large_content_is_sent_in_parts_and_is_whole() {
    let world = World::new().await;
    for (size, parts) in [(5 * MIB, 0), (5 * MIB + 1, 2), (10 * MIB, 2), (17 * MIB, 4)] {
        let (key, content) = (format!("{size}"), content(size, 7));
        let before = world.parts();
        let uploaded = world.uploads().put(&key, &bytes(&content)).await.unwrap();
        assert_eq!(uploaded, Uploaded::Sent { key: key.clone(), bytes: size as u64 });
        assert_eq!(world.parts() - before, parts, "{size}");
        assert!(world.object(&key).await.unwrap() == content, "{size}");
    }
    assert_eq!(world.in_progress().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_was_sent_before_a_kill_is_not_sent_again() {
    let world = World::new().await;
    let content = content(23 * MIB, 3);
    killed_after(&world, world.uploads_with(one_by_one()), &content, 3).await;
    assert_eq!(world.in_progress().await, ["large"]);
    let before = world.parts();
    let uploaded = world.later().put("large", &bytes(&content)).await.unwrap();
    assert_eq!(uploaded, Uploaded::Sent { key: "large".to_owned(), bytes: 8 * MIB as u64 });
    assert_eq!(world.parts() - before, 2);
    assert!(world.object("large").await.unwrap() == content);
    assert_eq!(world.in_progress().await, Vec::<String>::new());
}

#[tokio::test]
async fn another_part_size_continues_with_the_first() {
    let world = World::new().await;
    let content = content(23 * MIB, 3);
    killed_after(&world, world.uploads_with(one_by_one()), &content, 3).await;
    let before = world.parts();
    let settings = UploadSettings { part_size: 8 * MIB as u64, ..settings() };
    world.later_with(settings).put("large", &bytes(&content)).await.unwrap();
    assert_eq!(world.parts() - before, 2);
    assert!(world.object("large").await.unwrap() == content);
}

#[tokio::test]
async fn parts_of_a_content_that_changed_since_are_sent_again() {
    let world = World::new().await;
    let (first, second) = (content(12 * MIB, 1), content(12 * MIB, 2));
    killed_after(&world, world.uploads_with(one_by_one()), &first, 2).await;
    world.later().put("large", &bytes(&second)).await.unwrap();
    assert!(world.object("large").await.unwrap() == second);
    // And of one that is not large any more, they are dropped.
    killed_after_as(&world, "shrunk", &first).await;
    world.later().put("shrunk", &bytes(b"small now")).await.unwrap();
    assert_eq!(world.object("shrunk").await.unwrap(), b"small now");
    assert_eq!(world.in_progress().await, Vec::<String>::new());
}

async fn killed_after_as(world: &World, key: &str, content: &[u8]) {
    world.s3.inject("PUT partNumber=", 1..=1_000, NEVER);
    let (uploads, content, before) = (world.uploads(), bytes(content), world.parts());
    tokio::select! {
        uploaded = uploads.put(key, &content) => panic!("{uploaded:?} while the transport is blocked"),
        () = until(|| world.parts() > before) => {}
    }
    world.s3.heal();
}

#[tokio::test]
async fn an_upload_that_was_killed_before_it_was_noted_is_found_and_ended() {
    let world = World::new().await;
    let content = content(6 * MIB, 3);
    // The claim is the first write, the note the second.
    world.dynamodb.inject("UpdateItem", 2..=2, NEVER);
    let (uploads, large) = (world.uploads(), bytes(&content));
    tokio::select! {
        uploaded = uploads.put("large", &large) => panic!("{uploaded:?} while the transport is blocked"),
        () = until(|| world.dynamodb.calls("UpdateItem") == 2) => {}
    }
    drop(uploads);
    assert_eq!(world.in_progress().await, ["large"]);
    world.later().put("large", &large).await.unwrap();
    assert_eq!(world.in_progress().await, Vec::<String>::new());
    assert!(world.object("large").await.unwrap() == content);
}

#[tokio::test]
async fn an_upload_that_was_killed_after_it_was_completed_is_done() {
    let world = World::new().await;
    let content = content(6 * MIB, 3);
    // Claim and note, then the mark.
    world.dynamodb.inject("UpdateItem", 3..=3, NEVER);
    let (uploads, large) = (world.uploads(), bytes(&content));
    tokio::select! {
        uploaded = uploads.put("large", &large) => panic!("{uploaded:?} while the transport is blocked"),
        () = until(|| world.dynamodb.calls("UpdateItem") == 3) => {}
    }
    drop(uploads);
    let uploaded = world.later().put("large", &large).await.unwrap();
    assert_eq!(uploaded, Uploaded::AlreadyThere { key: "large".to_owned() });
    assert_eq!(world.parts(), 2);
}

#[tokio::test]
async fn a_lost_answer_leaves_one_object_and_no_upload() {
    let steps =
        [("POST ?uploads", 1), ("PUT partNumber=1", 1), ("PUT partNumber=2", 1), ("POST ?uploadId", 1)];
    let content = content(6 * MIB, 3);
    let world = World::new().await;
    for (operation, call) in steps {
        for fault in [Fault::DropAfter, Fault::DropBefore, Fault::ServerError, Fault::Truncate] {
            let key = format!("{operation} {fault:?}");
            world.s3.inject(operation, call..=call, fault.clone());
            assert_eq!(world.uploads().put(&key, &bytes(&content)).await.unwrap().key(), key);
            world.s3.heal();
            assert!(world.object(&key).await.unwrap() == content, "{key}");
            // An upload whose beginning was answered by silence is nobody's until the run ends.
            world.uploads().abort_leftovers("", |_| false).await.unwrap();
            assert_eq!(world.in_progress().await, Vec::<String>::new(), "{key}");
        }
    }
}

#[tokio::test]
async fn an_upload_that_somebody_ended_is_begun_anew() {
    let world = World::new().await;
    let content = content(12 * MIB, 3);
    killed_after(&world, world.uploads_with(one_by_one()), &content, 1).await;
    let s3 = world.stack.s3();
    let list = s3.list_multipart_uploads().bucket(&world.bucket).send().await.unwrap();
    let id = list.uploads()[0].upload_id().unwrap();
    s3.abort_multipart_upload().bucket(&world.bucket).key("large").upload_id(id).send().await.unwrap();
    world.later().put("large", &bytes(&content)).await.unwrap();
    assert!(world.object("large").await.unwrap() == content);
}

#[tokio::test]
async fn an_object_that_others_put_meanwhile_is_kept() {
    let (ours, theirs) = (content(6 * MIB, 1), content(6 * MIB, 2));
    for (content, same) in [(&ours, true), (&theirs, false)] {
        let world = World::new().await;
        world.s3.inject("PUT partNumber=2", 1..=1, Fault::Delay(Duration::from_secs(4)));
        let upload = async { world.uploads().put("large", &bytes(&ours)).await };
        let other = async {
            until(|| world.parts() > 0).await;
            world.put_by_hand("large", content).await;
        };
        let (uploaded, ()) = tokio::join!(upload, other);
        assert_eq!(uploaded.is_ok(), same, "{uploaded:?}");
        assert!(world.object("large").await.unwrap() == *content);
        assert_eq!(world.in_progress().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn what_is_there_in_parts_or_with_other_checksums_is_recognised() {
    let world = World::new().await;
    let content = content(12 * MIB, 3);
    world.put_by_hand("by hand", &content).await;
    world.uploads().put("in parts", &bytes(&content)).await.unwrap();
    world.forget("in parts").await;
    let parts = world.parts();
    // What was sent in the same parts is told by its checksum; of anything else, only the object itself tells.
    for (key, part_size, reads) in [("in parts", 5, 0), ("by hand", 5, 1), ("in parts", 7, 1)] {
        let settings = UploadSettings { part_size: part_size * MIB as u64, ..settings() };
        let before = world.s3.calls("GET x-id=GetObject");
        let uploaded = world.later_with(settings).put(key, &bytes(&content)).await.unwrap();
        assert_eq!(uploaded, Uploaded::AlreadyThere { key: key.to_owned() });
        assert_eq!(world.s3.calls("GET x-id=GetObject") - before, reads, "{key} by parts of {part_size} MiB");
        world.forget(key).await;
    }
    assert_eq!(world.parts(), parts, "nothing was sent");
}

#[tokio::test]
async fn a_large_version_is_continued_as_well() {
    let world = World::new().await;
    let content = content(12 * MIB, 3);
    world.uploads().put("large", &bytes(b"small at first")).await.unwrap();
    let versions = UploadSettings { on_change: OnChange::Version, ..one_by_one() };
    killed_after(&world, world.uploads_with(versions.clone()), &content, 2).await;
    assert_eq!(world.in_progress().await, ["large.~2~"]);
    let uploaded = world.later_with(versions).put("large", &bytes(&content)).await.unwrap();
    assert_eq!(uploaded, Uploaded::Sent { key: "large.~2~".to_owned(), bytes: 2 * MIB as u64 });
    assert!(world.object("large.~2~").await.unwrap() == content);
    assert_eq!(world.in_progress().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_sent_is_not_uploaded_and_leaves_nothing() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("growing");
    fs::write(&path, content(6 * MIB, 3)).unwrap();
    world.s3.inject("PUT partNumber=2", 1..=1, Fault::Delay(Duration::from_secs(1)));
    let upload = async { world.uploads().put("growing", &UploadContent::File(path.clone())).await };
    let grow = async {
        until(|| world.s3.calls("PUT partNumber=2") > 0).await;
        append(&path);
    };
    let (uploaded, ()) = tokio::join!(upload, grow);
    assert!(matches!(uploaded, Err(UploadError::UploadContent(ContentError::Changing))), "{uploaded:?}");
    assert_eq!(world.object("growing").await, None);
    assert_eq!(world.in_progress().await, Vec::<String>::new());
    world.uploads().put("growing", &UploadContent::File(path.clone())).await.unwrap();
    assert!(world.object("growing").await.unwrap() == fs::read(&path).unwrap());
}

fn append(path: &Path) {
    fs::OpenOptions::new().append(true).open(path).unwrap().write_all(b"more").unwrap();
}

#[tokio::test]
async fn memory_holds_no_more_parts_than_workers() {
    let world = World::new().await;
    let content = content(40 * MIB, 5);
    world.s3.inject("PUT partNumber=", 1..=1_000, NEVER);
    let uploads = world.uploads_with(UploadSettings { workers: 2, ..settings() });
    let large = bytes(&content);
    let waited = async {
        until(|| world.parts() == 2).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    };
    tokio::select! {
        uploaded = uploads.put("large", &large) => panic!("{uploaded:?} while the transport is blocked"),
        () = waited => {}
    }
    assert_eq!(world.parts(), 2);
}

#[tokio::test]
async fn s3_has_the_checksum_that_was_computed_here() {
    let world = World::new().await;
    let content = content(12 * MIB, 3);
    world.uploads().put("large", &bytes(&content)).await.unwrap();
    let head = world.stack.s3().head_object().bucket(&world.bucket).key("large");
    let head = head.checksum_mode(aws_sdk_s3::types::ChecksumMode::Enabled).send().await.unwrap();
    let digests: Vec<[u8; 32]> = content.chunks(5 * MIB).map(sha256).collect();
    assert_eq!(head.checksum_sha256(), Some(Checksum::composite(&digests).as_str()));
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).into()
}
