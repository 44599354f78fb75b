//! Who gets a lease, and with which fence.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_dynamodb::TableError;
use nextbasket_dynamodb::item::{number, text};
use nextbasket_locks::{LeaseKey, LeaseRequest, LeaseState, Leases};

use crate::common::{LENGTH, SKEW, TABLE, World, busy, held, key_of, random, request};

const MOMENT: Duration = Duration::from_millis(1);

#[tokio::test]
async fn each_acquisition_has_the_next_fence_across_release_expiry_and_crash() {
    let world = World::new().await;
    let leases = world.leases();
    let first = world.acquired(&leases, "ada").await;
    assert_eq!(first.fence(), 1);
    first.release().await.unwrap();
    let second = world.acquired(&leases, "bob").await;
    assert_eq!(second.fence(), 2);
    // It expires while its holder lives.
    world.clock.forward(LENGTH + SKEW + MOMENT);
    let third = world.acquired(&leases, "ada").await;
    assert_eq!(third.fence(), 3);
    // Its holder is gone without a word.
    drop(third);
    world.clock.forward(LENGTH + SKEW + MOMENT);
    let fourth = world.acquired(&leases, "ada").await;
    assert_eq!(fourth.fence(), 4);
    assert!(second.release().await.is_err());
    assert_eq!(world.shown().await.fence, 4);
}

#[tokio::test]
async fn a_held_lease_is_busy_and_its_record_says_whose_it_is() {
    let world = World::new().await;
    let leases = world.leases();
    let asked = request("ada").with_note("nightly");
    let lease = held(leases.try_acquire(&world.key, &asked).await.unwrap());
    world.clock.forward(Duration::from_secs(1));
    let record = world.busy(&leases, "bob").await;
    assert_eq!((record.holder.as_str(), record.owner.as_str()), ("ada", lease.owner()));
    assert_eq!((record.fence, record.length, record.released), (1, LENGTH, false));
    assert_eq!((record.note.as_deref(), record.name.as_deref()), (Some("nightly"), Some("train")));
    assert_eq!(record.expires_at, lease.expires_at());
    assert_eq!(record.expires_at.as_millis() - record.acquired_at.as_millis(), 10_000);
    assert_eq!(record.state(world.clock.now(), SKEW), LeaseState::Held);
    assert_eq!(record, world.shown().await);
}

#[tokio::test]
async fn a_lease_is_taken_over_only_when_more_than_the_skew_has_passed_since_its_expiry() {
    let world = World::new().await;
    let leases = world.leases();
    let lease = world.acquired(&leases, "ada").await;
    world.clock.forward(LENGTH - MOMENT);
    assert!(!lease.is_expired(world.clock.now()));
    world.clock.forward(MOMENT);
    assert!(lease.is_expired(world.clock.now()), "its holder stops before others begin");
    world.clock.forward(SKEW);
    world.busy(&leases, "bob").await;
    world.clock.forward(MOMENT);
    assert_eq!(world.shown().await.state(world.clock.now(), SKEW), LeaseState::Expired);
    assert_eq!(world.acquired(&leases, "bob").await.fence(), 2);
}

#[tokio::test]
async fn a_released_lease_keeps_its_item_its_fence_and_who_had_it() {
    let world = World::new().await;
    let lease = world.acquired(&world.leases(), "ada").await;
    lease.release().await.unwrap();
    let record = world.shown().await;
    assert_eq!((record.fence, record.released, record.holder.as_str()), (1, true, "ada"));
    assert_eq!(record.state(world.clock.now(), SKEW), LeaseState::Free);
}

#[tokio::test]
async fn no_two_acquisitions_have_the_same_owner() {
    let world = World::new().await;
    let leases = world.leases();
    let first = world.acquired(&leases, "ada").await;
    let owner = first.owner().to_owned();
    first.release().await.unwrap();
    let second = world.acquired(&leases, "ada").await;
    assert_ne!(second.owner(), owner);
    assert!(owner.starts_with("ada/") && second.owner().starts_with("ada/"), "people can read it");
}

#[tokio::test]
async fn of_many_who_ask_at_once_one_gets_it() {
    let world = World::new().await;
    let leases = world.leases();
    let asked = (0..16).map(|n| {
        let (leases, key) = (leases.clone(), world.key.clone());
        tokio::spawn(async move { leases.try_acquire(&key, &request(&n.to_string())).await.unwrap().held() })
    });
    let mut winners = Vec::new();
    for task in asked.collect::<Vec<_>>() {
        winners.extend(task.await.unwrap());
    }
    assert_eq!(winners.iter().map(nextbasket_locks::Lease::fence).collect::<Vec<_>>(), [1]);
    assert_eq!(world.shown().await.owner, winners[0].owner());
}

#[tokio::test]
async fn what_else_stands_on_the_item_is_left_alone() {
    let mut world = World::new().await;
    world.key = LeaseKey::new("job#7", "lock");
    let mut item = key_of(&world.key);
    item.insert("checkpoint".to_owned(), text("page 12"));
    item.insert("name".to_owned(), text("a name of the job's own"));
    let put = world.stack.dynamodb().put_item().table_name(TABLE).set_item(Some(item.clone()));
    put.send().await.unwrap();
    assert_eq!(world.leases().show(&world.key).await.unwrap(), None, "no lease was ever put on it");
    let mut lease = world.acquired(&world.leases(), "ada").await;
    assert_eq!(lease.fence(), 1);
    lease.renew().await.unwrap();
    lease.release().await.unwrap();
    let stored = world.item().await;
    for (attribute, value) in item {
        assert_eq!(stored.get(&attribute), Some(&value), "{attribute}");
    }
    assert_eq!(world.shown().await.name, None);
}

#[tokio::test]
async fn a_note_is_the_last_holders_alone() {
    let world = World::new().await;
    let leases = world.leases();
    let noted = request("ada").with_note("a");
    held(leases.try_acquire(&world.key, &noted).await.unwrap()).release().await.unwrap();
    assert_eq!(world.shown().await.note.as_deref(), Some("a"));
    let _lease = world.acquired(&leases, "bob").await;
    assert_eq!(world.shown().await.note, None);
}

#[tokio::test]
async fn all_locks_are_listed_by_name_whatever_number_of_pages_they_fill() {
    let world = World::new().await;
    let leases = world.leases();
    let name = |n: usize| format!("lock {n:02}");
    for n in (0..12).rev() {
        let asked = LeaseRequest::new("ada", LENGTH).with_note("x".repeat(150_000));
        let lease = held(leases.try_acquire(&LeaseKey::lock(&name(n)).unwrap(), &asked).await.unwrap());
        if n % 2 == 0 {
            lease.release().await.unwrap();
        }
    }
    held(leases.try_acquire(&LeaseKey::new("job#7", "lock"), &request("ada")).await.unwrap());
    let records = leases.list_locks().await.unwrap();
    let names: Vec<String> = records.iter().filter_map(|record| record.name.clone()).collect();
    assert_eq!(names, (0..12).map(name).collect::<Vec<_>>());
    assert!(records.iter().enumerate().all(|(n, record)| record.released == (n % 2 == 0)));
    assert_eq!(records[3].key, LeaseKey::lock(&name(3)).unwrap());
}

#[tokio::test]
async fn in_an_invocation_no_lease_outlives_the_deadline() {
    let world = World::new().await;
    let deadline = world.clock.now().plus_millis(4_000);
    let leases = world.leases().bounded_by(deadline);
    let mut lease = world.acquired(&leases, "ada").await;
    assert_eq!((lease.expires_at(), world.shown().await.expires_at), (deadline, deadline));
    assert_eq!(world.shown().await.length, Duration::from_secs(4));
    world.clock.forward(Duration::from_secs(3));
    lease.renew().await.unwrap();
    assert_eq!((lease.expires_at(), world.shown().await.expires_at), (deadline, deadline));
    lease.release().await.unwrap();
    let short = LeaseRequest::new("ada", MOMENT * 5);
    let short = held(leases.try_acquire(&world.key, &short).await.unwrap());
    assert_eq!(short.expires_at(), world.clock.now().plus_millis(5));
    short.release().await.unwrap();
    world.clock.forward(Duration::from_secs(2));
    let late = world.acquired(&leases, "ada").await;
    assert!(late.is_expired(world.clock.now()));
    world.clock.forward(SKEW + MOMENT);
    assert_eq!(busy_or_fence(&world).await, Ok(late.fence() + 1));
}

async fn busy_or_fence(world: &World) -> Result<u64, nextbasket_locks::LeaseRecord> {
    match world.leases().try_acquire(&world.key, &request("bob")).await.unwrap() {
        nextbasket_locks::Attempt::Held(lease) => Ok(lease.fence()),
        nextbasket_locks::Attempt::Busy(record) => Err(record),
    }
}

#[tokio::test]
async fn a_table_that_is_not_there_is_refused_not_busy() {
    let world = World::new().await;
    let leases = Leases::new(world.stack.dynamodb(), "nowhere".to_owned(), world.clock.clock(), random());
    for error in [
        leases.try_acquire(&world.key, &request("ada")).await.unwrap_err(),
        leases.acquire(&world.key, &request("ada"), LENGTH).await.unwrap_err(),
        leases.show(&world.key).await.unwrap_err(),
        leases.list_locks().await.unwrap_err(),
    ] {
        assert!(matches!(error, TableError::Refused { .. }), "{error}");
    }
}

#[tokio::test]
async fn an_item_whose_lease_cannot_be_read_is_nobodys_to_take() {
    let world = World::new().await;
    let _lease = world.acquired(&world.leases(), "ada").await;
    for (attribute, value) in [
        ("fence", text("three")),
        ("expiresAt", number("1e40")),
        ("released", text("no")),
        ("mark", number(7)),
    ] {
        let mut item = world.item().await;
        let before = item.insert(attribute.to_owned(), value).unwrap();
        put(&world, item.clone()).await;
        let error = world.leases().try_acquire(&world.key, &request("bob")).await.unwrap_err();
        let TableError::Corrupt { attribute: named, .. } = &error else { panic!("{error}") };
        assert_eq!(*named, attribute);
        item.insert(attribute.to_owned(), before);
        put(&world, item).await;
    }
    assert_eq!(busy(world.leases().try_acquire(&world.key, &request("bob")).await.unwrap()).fence, 1);
}

async fn put(world: &World, item: std::collections::HashMap<String, AttributeValue>) {
    world.stack.dynamodb().put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
}
