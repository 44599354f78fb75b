//! A lease that goes on in another process.

use std::time::Duration;

use nextbasket_dynamodb::item::{number, text};
use nextbasket_locks::{AttributeChanges, Lease, Lost};

use crate::common::{LENGTH, World};

/// Until a lease of that age may be taken by another.
const OVER: Duration = Duration::from_millis(12_001);

fn resumed(world: &World, lease: &Lease) -> Lease {
    world.leases().resume(&world.key, lease.owner().to_owned(), lease.fence(), LENGTH)
}

#[tokio::test]
async fn a_lease_that_is_taken_up_counts_as_expired_until_it_is_renewed() {
    let world = World::new().await;
    let lease = world.acquired(&world.leases(), "ada").await;
    let mut resumed = resumed(&world, &lease);
    assert!(resumed.is_expired(world.clock.now()));
    resumed.renew().await.unwrap();
    assert!(!resumed.is_expired(world.clock.now()));
    assert_eq!((resumed.fence(), resumed.owner(), resumed.length()), (1, lease.owner(), LENGTH));
    resumed.release().await.unwrap();
    assert!(world.shown().await.released);
}

#[tokio::test]
async fn a_lease_that_is_taken_up_too_late_is_lost() {
    let world = World::new().await;
    let lease = world.acquired(&world.leases(), "ada").await;
    world.clock.forward(OVER);
    let _others = world.acquired(&world.leases(), "bob").await;
    let mut resumed = resumed(&world, &lease);
    let error = resumed.renew().await.unwrap_err();
    assert!(matches!(error.lost(), Some(Lost::Taken { by }) if by.holder == "bob"), "{error}");
}

#[tokio::test]
async fn a_lease_that_was_renewed_many_times_before_goes_on() {
    let world = World::new().await;
    let mut lease = world.acquired(&world.leases(), "ada").await;
    for n in 1..=20 {
        lease
            .renew_with(AttributeChanges::new().add("done", number(1)).set("checkpoint", number(n)))
            .await
            .unwrap();
    }
    let mut resumed = resumed(&world, &lease);
    for n in 21..=23 {
        resumed
            .renew_with(AttributeChanges::new().add("done", number(1)).set("checkpoint", number(n)))
            .await
            .unwrap();
    }
    // The process from which it was taken up lives after all; what both do is applied, each once.
    lease.renew_with(AttributeChanges::new().add("done", number(1))).await.unwrap();
    resumed.renew_with(AttributeChanges::new().add("done", number(1))).await.unwrap();
    let item = world.item().await;
    assert_eq!((item.get("done"), item.get("checkpoint")), (Some(&number(25)), Some(&number(23))));
}

#[tokio::test]
async fn a_lease_that_is_taken_up_by_a_clock_behind_keeps_what_others_were_told() {
    let world = World::new().await;
    let lease = world.acquired(&world.leases(), "ada").await;
    world.clock.back(Duration::from_secs(1));
    let mut resumed = resumed(&world, &lease);
    resumed.renew().await.unwrap();
    assert_eq!(world.shown().await.expires_at, lease.expires_at());
}

#[tokio::test]
async fn of_two_processes_that_release_the_same_lease_both_succeed_and_one_marks() {
    let world = World::new().await;
    let lease = world.acquired(&world.leases(), "ada").await;
    let (mut second, third) = (resumed(&world, &lease), resumed(&world, &lease));
    lease.release_with(AttributeChanges::new().set("done by", text("first"))).await.unwrap();
    let error = second.renew().await.unwrap_err();
    assert_eq!(error.lost(), Some(&Lost::Released), "{error}");
    let unreleased =
        second.release_with(AttributeChanges::new().set("done by", text("second"))).await.unwrap_err();
    assert_eq!(unreleased.error.lost(), Some(&Lost::Released), "{unreleased}");
    third.release().await.unwrap();
    assert_eq!(world.item().await.get("done by"), Some(&text("first")));
}
