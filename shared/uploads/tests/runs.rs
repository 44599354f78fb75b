//! Folders: every file there once, whoever else is at it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test that cannot go on fails there"
)]

mod common;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use common::{MIB, World, content, files, run, settings, until};
use nextbasket_testkit::Fault;
use nextbasket_uploads::{
    CancellationToken, ClaimedFiles, FileOutcome, OnChange, UploadContent, UploadError, UploadSettings,
    UploadSummary, Uploads, walk,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tempfile::TempDir;

/// A folder of files that were changed some time ago.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        write(folder.path(), name, content);
    }
    folder
}

fn write(folder: &Path, name: &str, content: &[u8]) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    age(&path, 60);
}

fn age(path: &Path, seconds: u64) {
    let time = SystemTime::now() - Duration::from_secs(seconds);
    fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

fn many(count: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..count {
        write(folder.path(), &format!("{:02}/{n}.log", n % 17), &content(n % 300 + 1, n as u64));
    }
    folder
}

/// What the bucket has to hold: every file under its name.
fn expected(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let found = walk(folder, &"s3://bucket/p".parse().unwrap()).unwrap();
    found.files.into_iter().map(|file| (file.key, fs::read(file.path).unwrap())).collect()
}

#[tokio::test]
async fn every_file_is_there_and_a_second_run_asks_only_for_the_marks() {
    let world = World::new().await;
    let folder = many(300);
    let summary = run(&world.uploads(), &world, folder.path()).await.unwrap();
    assert_eq!((summary.files, summary.sent, summary.already_there), (300, 300, 0));
    assert!(summary.is_complete());
    assert!(world.objects().await == expected(folder.path()));
    let (calls, writes) = (world.s3.calls("*"), world.dynamodb.calls("UpdateItem"));
    let second = run(&world.uploads(), &world, folder.path()).await.unwrap();
    assert_eq!((second.sent, second.already_there, second.by_others), (0, 300, 0));
    assert_eq!(world.s3.calls("*") - calls, 1, "the listing of uploads in progress");
    assert_eq!(world.dynamodb.calls("UpdateItem"), writes);
    assert_eq!(world.dynamodb.calls("GetItem"), 0);
}

#[tokio::test]
async fn eight_runs_at_once_send_each_file_once() {
    let world = World::new().await;
    let folder = many(400);
    write(folder.path(), "large", &content(12 * MIB, 1));
    let all: Vec<Uploads> = (0..8).map(|_| world.uploads()).collect();
    let runs = all.iter().map(|uploads| run(uploads, &world, folder.path()));
    let summaries: Vec<UploadSummary> =
        futures::future::join_all(runs).await.into_iter().map(Result::unwrap).collect();
    assert_eq!((world.puts(), world.parts()), (400, 3));
    assert_eq!(summaries.iter().map(|summary| summary.sent).sum::<u64>(), 401);
    for summary in &summaries {
        assert!(summary.is_complete());
        assert_eq!(summary.sent + summary.already_there + summary.by_others, 401, "{summary:?}");
    }
    assert!(world.objects().await == expected(folder.path()));
    assert_eq!(world.in_progress().await, Vec::<String>::new());
}

#[tokio::test]
async fn runs_in_a_transport_that_fails_now_and_then_send_all_and_nothing_twice() {
    let world = World::new().await;
    let folder = many(200);
    write(folder.path(), "large", &content(6 * MIB, 1));
    for call in (3..600).step_by(17) {
        let faults =
            [Fault::DropAfter, Fault::Throttle, Fault::DropBefore, Fault::ServerError, Fault::Truncate];
        world.dynamodb.inject("*", call..=call, faults[call as usize % 5].clone());
        world.s3.inject("*", call..=call, faults[call as usize % 4].clone());
    }
    let all: Vec<Uploads> = (0..3).map(|_| world.uploads()).collect();
    let runs = all.iter().map(|uploads| run(uploads, &world, folder.path()));
    for summary in futures::future::join_all(runs).await {
        assert!(summary.as_ref().unwrap().is_complete(), "{summary:?}");
    }
    assert!(world.objects().await == expected(folder.path()));
    assert_eq!(world.in_progress().await, Vec::<String>::new());
}

#[tokio::test]
async fn files_of_one_who_was_killed_are_taken_over() {
    let world = World::new().await;
    let folder = many(50);
    write(folder.path(), "large", &content(12 * MIB, 1));
    let killed = world.uploads();
    tokio::select! {
        summary = run(&killed, &world, folder.path()) => panic!("{summary:?} before it was killed"),
        () = until(|| world.puts() >= 20) => {}
    }
    let before = world.puts();
    let summary = run(&world.later(), &world, folder.path()).await.unwrap();
    assert!(summary.is_complete());
    assert!(world.objects().await == expected(folder.path()));
    assert!(
        world.puts() <= 50 + 4,
        "{} and {before}: more were sent twice than were being sent",
        world.puts()
    );
    assert_eq!(world.in_progress().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_run_waits_for_who_is_at_work() {
    let world = World::new().await;
    let folder = folder(&[("a", b"hello")]);
    world.s3.inject("PUT", 1..=1, Fault::Delay(Duration::from_secs(2)));
    let (first, second) = (world.uploads(), world.uploads());
    let slow = run(&first, &world, folder.path());
    let fast = async {
        until(|| world.puts() == 1).await;
        let left = second
            .upload_files(&files(folder.path(), &world.bucket), "p/", ClaimedFiles::Leave, |_, _| {})
            .await;
        let awaited = run(&second, &world, folder.path()).await;
        (left.unwrap(), awaited.unwrap())
    };
    let (slow, (left, awaited)) = tokio::join!(slow, fast);
    assert_eq!(slow.unwrap().sent, 1);
    assert_eq!((left.left, left.is_complete()), (1, false));
    assert_eq!((awaited.by_others, awaited.is_complete()), (1, true));
    assert_eq!(world.puts(), 1);
}

#[tokio::test]
async fn what_cannot_be_uploaded_is_told_by_name_and_the_rest_is_there() {
    let world = World::new().await;
    let folder = folder(&[("good", b"good"), ("changed", b"first"), ("sub/also good", b"too")]);
    fs::write(folder.path().join(OsStr::from_bytes(b"bad-\xff")), "x").unwrap();
    assert!(run(&world.uploads(), &world, folder.path()).await.unwrap().is_complete());
    write(folder.path(), "changed", b"second");
    write(folder.path(), "new", b"new");
    write(folder.path(), "gone", b"gone");
    let found = walk(folder.path(), &"s3://bucket/p".parse().unwrap()).unwrap();
    assert_eq!(found.refused.len(), 1);
    fs::remove_file(folder.path().join("gone")).unwrap();
    let summary =
        world.uploads().upload_files(&found.files, "p/", ClaimedFiles::Await, |_, _| {}).await.unwrap();
    assert_eq!((summary.sent, summary.already_there), (1, 2));
    assert_eq!(summary.changed, [folder.path().join("changed").display().to_string()]);
    assert_eq!(summary.gone, [folder.path().join("gone").display().to_string()]);
    assert!(!summary.is_complete());
    assert_eq!(world.object("p/changed").await.unwrap(), b"first");
    assert_eq!(world.object("p/new").await.unwrap(), b"new");

    let versions = world.uploads_with(UploadSettings { on_change: OnChange::Version, ..settings() });
    let summary = run(&versions, &world, folder.path()).await.unwrap();
    assert_eq!((summary.sent, summary.already_there, summary.is_complete()), (1, 3, true));
    assert_eq!(summary.versions.len(), 1);
    assert_eq!(summary.versions[0].key, "p/changed.~2~");
    let again = run(&versions, &world, folder.path()).await.unwrap();
    assert_eq!((again.sent, again.already_there), (0, 4));
}

#[tokio::test]
async fn a_file_whose_time_alone_changed_is_read_once_and_then_known() {
    let world = World::new().await;
    let folder = folder(&[("a", b"hello")]);
    run(&world.uploads(), &world, folder.path()).await.unwrap();
    age(&folder.path().join("a"), 30);
    let writes = world.dynamodb.calls("UpdateItem");
    for learnt in [1, 1] {
        let summary = run(&world.uploads(), &world, folder.path()).await.unwrap();
        assert_eq!((summary.sent, summary.already_there), (0, 1));
        assert_eq!(world.dynamodb.calls("UpdateItem") - writes, learnt);
    }
}

#[tokio::test]
async fn a_file_that_changed_within_the_tick_of_its_time_is_not_taken_for_unchanged() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    fs::write(&path, "one").unwrap();
    let time = fs::metadata(&path).unwrap().modified().unwrap();
    run(&world.uploads(), &world, folder.path()).await.unwrap();
    fs::write(&path, "two").unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    let summary = run(&world.uploads(), &world, folder.path()).await.unwrap();
    assert_eq!(summary.changed.len(), 1, "{summary:?}");
}

#[tokio::test]
async fn a_systemic_failure_ends_the_run_with_one_message() {
    let world = World::new().await;
    let folder = many(50);
    let services =
        nextbasket_uploads::UploadServices { bucket: "no-such-bucket".to_owned(), ..world.services(0) };
    let error = run(&Uploads::new(services, settings()), &world, folder.path()).await.unwrap_err();
    assert!(error.to_string().contains("NoSuchBucket"), "{error}");
    assert!(world.puts() < 20, "{} were tried", world.puts());
    let services =
        nextbasket_uploads::UploadServices { operations: "no-such-table".to_owned(), ..world.services(0) };
    let error = run(&Uploads::new(services, settings()), &world, folder.path()).await.unwrap_err();
    assert!(matches!(&error, UploadError::Table(_)) && error.is_systemic(), "{error}");
}

#[tokio::test]
async fn a_run_that_is_told_to_stop_gives_its_claims_up() {
    let world = World::new().await;
    let folder = many(100);
    let stop = CancellationToken::new();
    let uploads = world.uploads().with_stop(stop.clone());
    let stopping = async {
        until(|| world.puts() >= 30).await;
        stop.cancel();
    };
    let (summary, ()) = tokio::join!(run(&uploads, &world, folder.path()), stopping);
    let summary = summary.unwrap();
    assert!(summary.left > 0 && summary.sent >= 26, "{summary:?}");
    assert_eq!(summary.sent + summary.left, 100);
    // The claims are free at once, not only when they expire.
    let next = run(&world.uploads(), &world, folder.path()).await.unwrap();
    assert!(next.is_complete());
    assert_eq!(next.by_others, 0, "{next:?}");
    assert!(world.objects().await == expected(folder.path()));
}

#[tokio::test]
async fn multipart_uploads_of_killed_runs_are_ended_and_those_of_others_are_not() {
    let world = World::new().await;
    let folder = folder(&[("a", b"hello")]);
    let begin = async |key: &str| {
        let create = world.stack.s3().create_multipart_upload().bucket(&world.bucket).key(key);
        create.send().await.unwrap();
    };
    // Killed mid-way, and the file is gone since.
    let large = UploadContent::Bytes(content(6 * MIB, 1).into());
    for key in ["p/removed", "elsewhere/removed"] {
        world.s3.inject("PUT partNumber=", 1..=100, Fault::Delay(Duration::from_secs(300)));
        let (uploads, part) = (world.uploads(), format!("PUT {key}"));
        tokio::select! {
            uploaded = uploads.put(key, &large) => panic!("{uploaded:?} while the transport is blocked"),
            () = until(|| world.s3.calls(&part) > 0) => {}
        }
        world.s3.heal();
    }
    // Another program's.
    begin("p/theirs").await;
    // Of a worker that was killed between the beginning and the note, of a file that others have done since.
    world.uploads().put("p/done", &UploadContent::Bytes("done".into())).await.unwrap();
    begin("p/done").await;
    let live = run(&world.uploads(), &world, folder.path()).await.unwrap();
    assert_eq!(live.leftovers, 1, "the claims of the others have not expired");
    let summary = run(&world.later(), &world, folder.path()).await.unwrap();
    assert_eq!(summary.leftovers, 1);
    assert_eq!(world.in_progress().await, ["elsewhere/removed", "p/theirs"]);
}

#[derive(Debug, Clone)]
struct Tree(Vec<(String, Vec<u8>)>);

fn trees() -> impl Strategy<Value = Tree> {
    let segment = "[a-zA-Z0-9 äß%+&=?#~.'()\\[\\]{}!@$^,;_-]{1,12}"
        .prop_filter("a name", |name| name != "." && name != "..");
    let path = prop::collection::vec(segment, 1..4).prop_map(|segments| segments.join("/"));
    let content = prop::collection::vec(any::<u8>(), 0..400);
    prop::collection::vec((path, content), 0..12).prop_map(|files| {
        let mut taken: Vec<(String, Vec<u8>)> = Vec::new();
        for (path, content) in files {
            let clash = |other: &str| {
                other == path
                    || other.starts_with(&format!("{path}/"))
                    || path.starts_with(&format!("{other}/"))
            };
            if !taken.iter().any(|(other, _)| clash(other)) {
                taken.push((path, content));
            }
        }
        Tree(taken)
    })
}

#[test]
fn any_folder_arrives_whole_and_a_second_run_sends_nothing() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::new());
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 32, failure_persistence: None, ..Default::default() });
    let result = runner.run(&(trees(), any::<u32>()), |(Tree(files), number)| {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in &files {
            write(folder.path(), name, content);
        }
        runtime.block_on(async {
            let destination = format!("s3://{}/{number}", world.bucket).parse().unwrap();
            let found = walk(folder.path(), &destination).unwrap();
            prop_assert_eq!(found.files.len(), files.len());
            let run = async || {
                let uploads = world.direct();
                uploads
                    .upload_files(
                        &found.files,
                        destination.prefix(),
                        ClaimedFiles::Await,
                        |_, _: &FileOutcome| {},
                    )
                    .await
                    .unwrap()
            };
            prop_assert_eq!(run().await.sent, files.len() as u64);
            for (name, content) in &files {
                let key = format!("{number}/{name}");
                let get = world.stack.s3().get_object().bucket(&world.bucket).key(&key).send().await;
                let body = get.unwrap().body.collect().await.unwrap().to_vec();
                prop_assert_eq!(&body, content);
            }
            let again = run().await;
            prop_assert_eq!((again.sent, again.already_there), (0, files.len() as u64));
            Ok(())
        })
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}
