//! One object: there once, whatever the transport does.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use common::{World, content, settings, until};
use nextbasket_testkit::Fault;
use nextbasket_uploads::{OnChange, UploadContent, UploadError, UploadSettings, Uploaded, Uploads};

fn bytes(content: &[u8]) -> UploadContent {
    UploadContent::Bytes(content.to_vec().into())
}

fn sent(key: &str, bytes: usize) -> Uploaded {
    Uploaded::Sent { key: key.to_owned(), bytes: bytes as u64 }
}

fn there(key: &str) -> Uploaded {
    Uploaded::AlreadyThere { key: key.to_owned() }
}

#[tokio::test]
async fn a_content_is_sent_once_and_found_after() {
    let world = World::new().await;
    let uploads = world.uploads();
    assert_eq!(uploads.put("a", &bytes(b"hello")).await.unwrap(), sent("a", 5));
    assert_eq!(uploads.put("a", &bytes(b"hello")).await.unwrap(), there("a"));
    assert_eq!(world.uploads().put("a", &bytes(b"hello")).await.unwrap(), there("a"));
    assert_eq!(world.puts(), 1);
    assert_eq!(world.object("a").await.unwrap(), b"hello");
}

#[tokio::test]
async fn an_empty_content_is_one_too() {
    let world = World::new().await;
    assert_eq!(world.direct().put("nothing", &bytes(b"")).await.unwrap(), sent("nothing", 0));
    assert_eq!(world.direct().put("nothing", &bytes(b"")).await.unwrap(), there("nothing"));
    world.forget("nothing").await;
    assert_eq!(world.direct().put("nothing", &bytes(b"")).await.unwrap(), there("nothing"));
    assert_eq!(world.object("nothing").await.unwrap(), b"");
}

#[tokio::test]
async fn a_mark_says_what_is_there() {
    let world = World::new().await;
    world.uploads().put("logs/a b", &bytes(b"abc")).await.unwrap();
    let items = world
        .stack
        .dynamodb()
        .scan()
        .table_name(world.stack.operations())
        .send()
        .await
        .unwrap()
        .items
        .unwrap();
    assert_eq!(items.len(), 1);
    let text = |name: &str| items[0][name].as_s().unwrap().clone();
    assert_eq!(text("sk"), "logs/a b");
    assert!(text("pk").starts_with(&format!("upload#{}#", world.bucket)), "{}", text("pk"));
    assert_eq!(text("state"), "done");
    assert_eq!(text("sha256"), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
    assert_eq!(items[0]["size"].as_n().unwrap(), "3");
    let head = world.stack.s3().head_object().bucket(&world.bucket).key("logs/a b").send().await.unwrap();
    assert_eq!(Some(text("etag").as_str()), head.e_tag());
    assert!(items[0]["released"].as_bool().unwrap());
    assert!(!items[0].contains_key("expireAt"), "a mark does not expire");
}

#[tokio::test]
async fn a_lost_answer_neither_repeats_nor_loses_the_object() {
    let world = World::new().await;
    // Reading the mark, the claim, the put, and the mark.
    let calls = [
        (&world.dynamodb, "GetItem", 1),
        (&world.dynamodb, "UpdateItem", 1),
        (&world.s3, "PUT", 1),
        (&world.dynamodb, "UpdateItem", 2),
    ];
    for (proxy, operation, call) in calls {
        for fault in [Fault::DropAfter, Fault::DropBefore, Fault::Throttle, Fault::ServerError] {
            let key = format!("{operation} {call} {fault:?}");
            proxy.inject(operation, call..=call, fault.clone());
            let before = world.puts();
            assert_eq!(world.uploads().put(&key, &bytes(b"hello")).await.unwrap().key(), key);
            world.dynamodb.heal();
            world.s3.heal();
            assert_eq!(world.object(&key).await.unwrap(), b"hello");
            assert_eq!(world.uploads().put(&key, &bytes(b"hello")).await.unwrap(), there(&key));
            let expected = if operation == "PUT" { 2 } else { 1 };
            assert_eq!(world.puts() - before, expected, "{key}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_answer() {
    for call in 1..=2 {
        let world = World::new().await;
        world.dynamodb.inject("UpdateItem", call..=call, Fault::Truncate);
        assert_eq!(world.uploads().put("a", &bytes(b"hello")).await.unwrap(), sent("a", 5));
        assert_eq!(world.puts(), 1);
    }
}

#[tokio::test]
async fn a_mark_whose_every_answer_is_lost_is_found_again() {
    let world = World::new().await;
    world.dynamodb.inject("UpdateItem", 2..=20, Fault::DropAfter);
    // It is written, though nobody is told.
    assert_eq!(world.uploads().put("a", &bytes(b"hello")).await.unwrap().key(), "a");
    world.dynamodb.heal();
    assert_eq!(world.uploads().put("a", &bytes(b"hello")).await.unwrap(), there("a"));
    assert_eq!(world.puts(), 1);
}

#[tokio::test]
async fn services_that_are_away_for_long_are_told_and_nothing_is_lost() {
    let world = World::new().await;
    world.s3.inject("PUT", 1..=1_000, Fault::DropBefore);
    let error = world.uploads().put("a", &bytes(b"hello")).await.unwrap_err();
    assert!(error.is_transient() && error.to_string().starts_with("PutObject s3://"), "{error}");
    world.s3.heal();
    assert_eq!(world.uploads().put("a", &bytes(b"hello")).await.unwrap(), sent("a", 5));
}

#[tokio::test]
async fn a_claim_of_one_who_was_killed_is_taken_over_when_it_expires() {
    let world = World::new().await;
    let (uploads, five) = (world.uploads(), bytes(b"hello"));
    world.s3.inject("PUT", 1..=1, Fault::Delay(std::time::Duration::from_secs(60)));
    tokio::select! {
        uploaded = uploads.put("a", &five) => panic!("{uploaded:?} while the transport is blocked"),
        () = until(|| world.puts() == 1) => {}
    }
    drop(uploads);
    assert_eq!(world.later().put("a", &bytes(b"hello")).await.unwrap(), sent("a", 5));
    assert_eq!(world.object("a").await.unwrap(), b"hello");
}

#[tokio::test]
async fn what_one_who_was_killed_had_put_is_not_sent_again() {
    let world = World::new().await;
    let (uploads, five) = (world.uploads(), bytes(b"hello"));
    // Killed between the put and the mark.
    world.dynamodb.inject("UpdateItem", 2..=2, Fault::Delay(std::time::Duration::from_secs(60)));
    tokio::select! {
        uploaded = uploads.put("a", &five) => panic!("{uploaded:?} while the transport is blocked"),
        () = until(|| world.dynamodb.calls("UpdateItem") == 2) => {}
    }
    drop(uploads);
    assert_eq!(world.later().put("a", &bytes(b"hello")).await.unwrap(), there("a"));
    assert_eq!(world.puts(), 1);
}

#[tokio::test]
async fn a_worker_that_lost_its_claim_leaves_the_object_to_who_has_it() {
    let world = World::new().await;
    let slow = async {
        let uploads =
            world.uploads_with(UploadSettings { lease: std::time::Duration::from_secs(3), ..settings() });
        uploads.put("a", &bytes(b"hello")).await
    };
    let fast = async {
        until(|| world.puts() == 1).await;
        // Its clock is ahead: the claim has expired for it.
        let uploaded = world.later().put("a", &bytes(b"hello")).await.unwrap();
        assert_eq!(uploaded, sent("a", 5));
    };
    world.s3.inject("PUT", 1..=1, Fault::Delay(std::time::Duration::from_secs(4)));
    let (slow, ()) = tokio::join!(slow, fast);
    assert_eq!(slow.unwrap(), there("a"));
    assert_eq!(world.object("a").await.unwrap(), b"hello");
}

#[tokio::test]
async fn an_object_of_others_with_the_same_content_is_not_replaced() {
    let world = World::new().await;
    world.put_by_hand("a", b"hello").await;
    assert_eq!(world.uploads().put("a", &bytes(b"hello")).await.unwrap(), there("a"));
    // And is marked from then on: nothing is sent.
    let puts = world.puts();
    assert_eq!(world.uploads().put("a", &bytes(b"hello")).await.unwrap(), there("a"));
    assert_eq!(world.puts(), puts);
}

#[tokio::test]
async fn an_object_of_others_with_another_content_is_not_replaced_either() {
    let world = World::new().await;
    for (size, other) in [(b"hallo".as_slice(), "as long"), (b"hi", "shorter")] {
        let key = format!("a {other}");
        world.put_by_hand(&key, size).await;
        let error = world.uploads().put(&key, &bytes(b"hello")).await.unwrap_err();
        assert!(matches!(&error, UploadError::Differs { key: found, .. } if *found == key), "{error}");
        assert_eq!(world.object(&key).await.unwrap(), size);
    }
}

#[tokio::test]
async fn what_is_there_without_a_mark_is_looked_for_before_it_is_sent() {
    let world = World::new().await;
    let contents: Vec<String> = (0..20).map(|n| format!("content {n}")).collect();
    for (n, content) in contents.iter().enumerate() {
        let key = format!("{n}");
        world.uploads().put(&key, &bytes(content.as_bytes())).await.unwrap();
        world.forget(&key).await;
    }
    let before = world.puts();
    let again = world.uploads();
    for (n, content) in contents.iter().enumerate() {
        let key = format!("{n}");
        assert_eq!(again.put(&key, &bytes(content.as_bytes())).await.unwrap(), there(&key));
    }
    assert!(world.puts() - before <= 3, "{} of 20 were sent", world.puts() - before);
}

#[tokio::test]
async fn a_changed_content_fails_or_becomes_a_version() {
    let world = World::new().await;
    let versions = || world.uploads_with(UploadSettings { on_change: OnChange::Version, ..settings() });
    let fails = async |uploads: Uploads, content: &[u8]| {
        let error = uploads.put("logs/a.log", &bytes(content)).await.unwrap_err();
        assert!(matches!(error, UploadError::Differs { .. }), "{error}");
    };
    world.uploads().put("logs/a.log", &bytes(b"one")).await.unwrap();
    fails(world.uploads(), b"two").await;
    let put = async |content: &[u8]| versions().put("logs/a.log", &bytes(content)).await.unwrap();
    assert_eq!(put(b"two").await, sent("logs/a.~2~.log", 3));
    assert_eq!(put(b"two").await, there("logs/a.~2~.log"));
    assert_eq!(put(b"one").await, there("logs/a.log"));
    assert_eq!(put(b"three").await, sent("logs/a.~3~.log", 5));
    assert_eq!(put(b"three").await, there("logs/a.~3~.log"));
    fails(world.uploads(), b"four").await;
    assert_eq!(world.uploads().put("logs/a.log", &bytes(b"three")).await.unwrap(), there("logs/a.~3~.log"));
    let objects: Vec<_> = world.objects().await.into_iter().collect();
    let expected = [("logs/a.log", "one"), ("logs/a.~2~.log", "two"), ("logs/a.~3~.log", "three")];
    assert_eq!(objects, expected.map(|(key, text)| (key.to_owned(), text.as_bytes().to_vec())));
    assert_eq!(world.puts(), 3);
}

#[tokio::test]
async fn a_version_leaves_alone_what_others_put_under_its_name() {
    let world = World::new().await;
    world.put_by_hand("a", b"theirs").await;
    world.put_by_hand("a.~2~", b"theirs, too").await;
    let uploads = world.uploads_with(UploadSettings { on_change: OnChange::Version, ..settings() });
    assert_eq!(uploads.put("a", &bytes(b"ours")).await.unwrap(), sent("a.~3~", 4));
    assert_eq!(uploads.put("a", &bytes(b"ours")).await.unwrap(), there("a.~3~"));
}

#[tokio::test]
async fn a_version_whose_mark_was_not_written_is_not_sent_again() {
    let world = World::new().await;
    let versions = UploadSettings { on_change: OnChange::Version, ..settings() };
    world.uploads().put("a", &bytes(b"one")).await.unwrap();
    let (uploads, two) = (world.uploads_with(versions.clone()), bytes(b"two"));
    world.dynamodb.inject("UpdateItem", 2..=2, Fault::Delay(std::time::Duration::from_secs(60)));
    tokio::select! {
        uploaded = uploads.put("a", &two) => panic!("{uploaded:?} while the transport is blocked"),
        () = until(|| world.puts() == 2 && world.dynamodb.calls("UpdateItem") == 4) => {}
    }
    drop(uploads);
    assert_eq!(world.later_with(versions).put("a", &two).await.unwrap(), there("a.~2~"));
    assert_eq!(world.puts(), 2);
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_told_at_once() {
    let world = World::new().await;
    let services =
        nextbasket_uploads::UploadServices { bucket: "no-such-bucket".to_owned(), ..world.services(0) };
    let error = Uploads::new(services, settings()).put("a", &bytes(b"hello")).await.unwrap_err();
    assert!(error.is_systemic(), "{error}");
    assert!(error.to_string().contains("NoSuchBucket"), "{error}");
}

#[tokio::test]
async fn eight_at_once_send_it_once() {
    let world = World::new().await;
    let large = content(6 << 20, 1);
    for (key, content) in [("small", b"hello".as_slice()), ("large", &large)] {
        let content = bytes(content);
        let uploads: Vec<Uploads> = (0..8).map(|_| world.uploads()).collect();
        let all = futures::future::join_all(uploads.iter().map(|uploads| uploads.put(key, &content))).await;
        let sent =
            all.into_iter().filter(|one| matches!(one.as_ref().unwrap(), Uploaded::Sent { .. })).count();
        assert_eq!(sent, 1, "{key}");
    }
    assert_eq!((world.puts(), world.parts()), (1, 2));
    assert_eq!(world.object("large").await.unwrap(), large);
}
