//! A lease that is renewed in the background, and how its loss is told.

use std::time::{Duration, Instant};

use nextbasket_domain::Clock;
use nextbasket_locks::{Keeper, Lease, LeaseRequest, Leases, Lost};
use nextbasket_testkit::Fault;

use crate::common::{LENGTH, World, busy, held, request};

/// Long enough to be renewed in time on a busy machine.
const SHORT: Duration = Duration::from_secs(2);

/// What a test waits for at most.
const LONG: Duration = Duration::from_secs(60);

async fn short(world: &World, leases: &Leases) -> Lease {
    held(leases.try_acquire(&world.key, &LeaseRequest::new("ada", SHORT)).await.unwrap())
}

async fn lost(keeper: &Keeper) -> Lost {
    tokio::time::timeout(LONG, keeper.lost()).await.expect("the loss is told")
}

#[tokio::test]
async fn a_kept_lease_outlives_its_length_and_is_given_back() {
    let world = World::new().await;
    let leases = world.leases_by(Clock::system()).with_skew(Duration::ZERO);
    let keeper = short(&world, &leases).await.keep();
    let begun = Instant::now();
    while begun.elapsed() < SHORT * 3 / 2 {
        busy(leases.try_acquire(&world.key, &request("bob")).await.unwrap());
        assert_eq!(keeper.lost_now(), None);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((keeper.fence(), keeper.key()), (1, &world.key));
    let guard = keeper.guard();
    let mut lease = keeper.stop().await.unwrap();
    assert!(!lease.is_expired(Clock::system().now()) && lease.guard() == guard);
    lease.renew().await.unwrap();
    lease.keep().release().await.unwrap();
    assert_eq!(held(leases.try_acquire(&world.key, &request("bob")).await.unwrap()).fence(), 2);
}

#[tokio::test]
async fn a_lease_that_was_taken_is_told_with_who_has_it() {
    let world = World::new().await;
    let keeper = short(&world, &world.leases_by(Clock::system())).await.keep();
    // Asking may end and begin again.
    assert!(tokio::time::timeout(Duration::from_millis(10), keeper.lost()).await.is_err());
    let ahead = Clock::new(|| Clock::system().now().plus_millis(3_600_000));
    let _others = world.acquired(&world.leases_by(ahead), "bob").await;
    for _ in 0..2 {
        assert!(matches!(lost(&keeper).await, Lost::Taken { by } if by.holder == "bob" && by.fence == 2));
    }
    assert!(matches!(keeper.lost_now(), Some(Lost::Taken { .. })));
    assert!(matches!(keeper.release().await.unwrap_err().lost(), Some(Lost::Taken { .. })));
    assert!(!world.shown().await.released);
}

#[tokio::test]
async fn a_lease_whose_item_is_deleted_is_told_as_gone() {
    let world = World::new().await;
    let keeper = short(&world, &world.leases_by(Clock::system())).await.keep();
    world.delete_item().await;
    assert_eq!(lost(&keeper).await, Lost::Gone);
    assert_eq!(keeper.stop().await.unwrap_err(), Lost::Gone);
}

#[tokio::test]
async fn a_lease_that_cannot_be_renewed_is_lost_when_it_expires() {
    for fault in [Fault::DropBefore, Fault::Throttle, Fault::Delay(LONG)] {
        let world = World::new().await;
        let lease = short(&world, &world.faulty_by(Clock::system())).await;
        let expires_at = lease.expires_at();
        world.proxy.inject("UpdateItem", 1..=100_000, fault.clone());
        let keeper = lease.keep();
        assert_eq!(lost(&keeper).await, Lost::Expired, "{fault:?}");
        assert!(Clock::system().now() >= expires_at, "{fault:?}: told early");
        assert!(world.proxy.calls("UpdateItem") > 1, "{fault:?}: it was tried");
        assert_eq!(world.shown().await.expires_at, expires_at, "{fault:?}");
    }
}

#[tokio::test]
async fn an_outage_shorter_than_the_lease_is_survived() {
    let world = World::new().await;
    let keeper = short(&world, &world.faulty_by(Clock::system())).await.keep();
    // Three requests make one renewal that fails.
    world.proxy.inject("UpdateItem", 1..=5, Fault::DropBefore);
    let begun = Instant::now();
    while world.proxy.calls("UpdateItem") < 8 {
        assert!(begun.elapsed() < LONG, "it was not renewed");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(keeper.lost_now(), None);
    keeper.release().await.unwrap();
    assert!(world.shown().await.released);
}

#[tokio::test]
async fn a_machine_that_was_suspended_past_the_expiry_is_told_when_it_goes_on() {
    let world = World::new().await;
    let keeper = world.acquired(&world.leases(), "ada").await.keep();
    // Timers stood still; the clock did not.
    world.clock.forward(LENGTH);
    assert_eq!(lost(&keeper).await, Lost::Expired);
}

#[tokio::test]
async fn a_keeper_that_is_stopped_after_the_expiry_gives_no_lease_back() {
    let world = World::new().await;
    let keeper = world.acquired(&world.leases(), "ada").await.keep();
    world.clock.forward(LENGTH);
    assert_eq!(keeper.stop().await.unwrap_err(), Lost::Expired);
}

#[tokio::test]
async fn a_keeper_that_is_dropped_renews_no_more() {
    let world = World::new().await;
    let leases = world.faulty_by(Clock::system());
    drop(short(&world, &leases).await.keep());
    let calls = world.proxy.calls("UpdateItem");
    tokio::time::sleep(SHORT).await;
    assert_eq!(world.proxy.calls("UpdateItem"), calls);
}

#[tokio::test]
async fn a_lease_that_is_taken_up_is_renewed_at_once() {
    let world = World::new().await;
    let lease = world.acquired(&world.leases(), "ada").await;
    let resumed = || world.leases().resume(&world.key, lease.owner().to_owned(), lease.fence(), LENGTH);
    world.clock.forward(Duration::from_secs(1));
    let keeper = resumed().keep();
    let until = world.clock.now().plus_millis(10_000);
    let begun = Instant::now();
    while world.shown().await.expires_at != until {
        assert!(begun.elapsed() < LONG, "it was not renewed");
    }
    assert_eq!(keeper.lost_now(), None);
    world.clock.forward(LENGTH + LENGTH);
    let _others = world.acquired(&world.leases(), "bob").await;
    assert!(matches!(lost(&resumed().keep()).await, Lost::Taken { .. }));
}

#[tokio::test]
async fn a_lease_that_is_taken_up_is_lost_if_nothing_can_be_asked_for_its_length() {
    let world = World::new().await;
    let lease = short(&world, &world.faulty()).await;
    world.proxy.inject("UpdateItem", 1..=100_000, Fault::DropBefore);
    let resumed = world.faulty().resume(&world.key, lease.owner().to_owned(), lease.fence(), SHORT);
    assert_eq!(lost(&resumed.keep()).await, Lost::Expired);
}
