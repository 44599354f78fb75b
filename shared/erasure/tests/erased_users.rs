//! Secrets and erased users in a real table.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_domain::{Random, Timestamp};
use nextbasket_dynamodb::TableError;
use nextbasket_erasure::ErasedUsers;
use nextbasket_testkit::{Fault, TestStack};

const DAY: i64 = 24 * 60 * 60 * 1000;

fn at(millis: i64) -> Timestamp {
    Timestamp::EPOCH.plus_millis(millis)
}

fn random() -> Random {
    Random::system().unwrap()
}

fn users(stack: &TestStack) -> ErasedUsers {
    ErasedUsers::new(stack.dynamodb(), stack.operations())
}

async fn sort_keys(stack: &TestStack, partition: &str) -> Vec<String> {
    let scan = stack.dynamodb().scan().table_name(stack.operations()).consistent_read(true);
    let items = scan.send().await.unwrap().items.unwrap();
    let of_partition = items.iter().filter(|item| item["pk"] == AttributeValue::S(partition.to_owned()));
    of_partition.map(|item| item["sk"].as_s().unwrap().clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_at_once_make_one_secret_and_it_is_shown_to_nobody() {
    let stack = TestStack::start().await;
    let users = users(&stack);
    assert_eq!(users.secrets().find().await.unwrap(), None);
    let drawing: Vec<_> = (0..8)
        .map(|_| {
            let users = users.clone();
            tokio::spawn(async move { users.secrets().find_or_draw(&random(), at(5)).await.unwrap() })
        })
        .collect();
    let mut drawn = Vec::new();
    for one in drawing {
        drawn.push(one.await.unwrap());
    }
    assert!(drawn.iter().all(|secret| *secret == drawn[0]), "{drawn:?}");
    assert_eq!(format!("{:?}", drawn[0]), format!("Secret({})", drawn[0].id()));
    assert_ne!(drawn[0].mac("a", b"x"), drawn[0].mac("b", b"x"), "uses are apart");
    assert_eq!(sort_keys(&stack, "secrets").await, ["current"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_whose_answer_was_lost_is_found_again() {
    let stack = TestStack::start().await;
    let proxy = stack.proxy().await;
    let users = ErasedUsers::new(proxy.dynamodb(), stack.operations());
    proxy.inject("PutItem", 1..=1, Fault::DropAfter);
    users.remember("ada", at(10), &random(), at(10)).await.unwrap();
    assert_eq!(users.load().await.unwrap().until("ada"), Some(at(10)));
    assert_eq!(sort_keys(&stack, "secrets").await, ["current"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_recognised_by_their_ids_alone_and_the_latest_erasure_counts() {
    let stack = TestStack::start().await;
    let users = users(&stack);
    assert!(users.load().await.unwrap().is_empty());
    users.remember("zoe", at(1_000), &random(), at(1_000)).await.unwrap();
    users.remember("zoe", at(3_000), &random(), at(3_000)).await.unwrap();
    users.remember("zoe", at(2_000), &random(), at(2_000)).await.unwrap();
    users.remember("grace", at(500), &random(), at(500)).await.unwrap();
    let erasures = users.load().await.unwrap();
    assert_eq!(
        ["zoe", "grace", "Zoe", ""].map(|user| erasures.until(user)),
        [Some(at(3_000)), Some(at(500)), None, None]
    );
    assert!(erasures.covers("zoe", Some(at(3_000))) && !erasures.covers("zoe", Some(at(3_001))));
    let kept = sort_keys(&stack, "erased").await;
    assert!(
        kept.len() == 2 && kept.iter().all(|key| !key.contains("zoe") && !key.contains("grace")),
        "{kept:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_kept_for_as_long_as_users_are_remembered_with_it() {
    let stack = TestStack::start().await;
    let (users, random) = (users(&stack), random());
    users.remember("ada", at(10), &random, at(10)).await.unwrap();
    let first = users.secrets().find().await.unwrap().unwrap();
    let rotation = users.secrets().rotate(&random, at(20)).await.unwrap();
    assert_eq!((rotation.kept, rotation.removed), (1, 0));
    assert_ne!(rotation.current, first.id());
    users.remember("grace", at(30), &random, at(30)).await.unwrap();
    // Unused, but it may have been read just before the rotation.
    users.secrets().rotate(&random, at(40)).await.unwrap();
    users.secrets().rotate(&random, at(50)).await.unwrap();
    let rotation = users.secrets().rotate(&random, at(50 + DAY)).await.unwrap();
    assert_eq!((rotation.kept, rotation.removed), (4, 0), "none is older than a day");
    let rotation = users.secrets().rotate(&random, at(60 + DAY)).await.unwrap();
    assert_eq!((rotation.kept, rotation.removed), (4, 1), "ada's, grace's, and the two of the last day");
    let erasures = users.load().await.unwrap();
    assert_eq!((erasures.until("ada"), erasures.until("grace")), (Some(at(10)), Some(at(30))));
    assert_eq!(users.secrets().of_id(first.id()).await.unwrap(), Some(first.clone()));

    // Erased again, she is remembered with the secret in use, and the others can go; the latest time stays.
    for user in ["ada", "grace"] {
        users.remember(user, at(20), &random, at(70 + DAY)).await.unwrap();
    }
    let rotation = users.secrets().rotate(&random, at(70 + 3 * DAY)).await.unwrap();
    assert_eq!((rotation.kept, rotation.removed), (1, 4));
    assert_eq!(users.secrets().of_id(first.id()).await.unwrap(), None);
    let erasures = users.load().await.unwrap();
    assert_eq!((erasures.until("ada"), erasures.until("grace")), (Some(at(20)), Some(at(30))));
    assert_eq!(sort_keys(&stack, "erased").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_secret_is_an_error_and_is_not_replaced() {
    let stack = TestStack::start().await;
    let users = users(&stack);
    let put = stack.dynamodb().put_item().table_name(stack.operations());
    let text = |text: &str| AttributeValue::S(text.to_owned());
    put.item("pk", text("secrets")).item("sk", text("current")).item("key", text("?")).send().await.unwrap();
    let error = users.remember("ada", at(1), &random(), at(1)).await.unwrap_err();
    assert!(matches!(error, TableError::Corrupt { .. }), "{error}");
    assert!(sort_keys(&stack, "erased").await.is_empty());
}
