//! Waiting for a lease, by clocks and without them.

use std::time::{Duration, Instant};

use nextbasket_domain::{Clock, Timestamp};
use nextbasket_locks::{LeaseRequest, Leases};
use nextbasket_testkit::Fault;

use crate::common::{LENGTH, World, busy, held, request};

const SHORT: Duration = Duration::from_millis(500);
const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn who_waits_gets_the_lease_when_it_is_released() {
    let world = World::new().await;
    let (leases, asked) = (world.leases(), request("bob"));
    let lease = world.acquired(&leases, "ada").await;
    let release = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        lease.release().await.unwrap();
    };
    let (attempt, ()) = tokio::join!(leases.acquire(&world.key, &asked, LONG), release);
    assert_eq!(held(attempt.unwrap()).fence(), 2);
}

#[tokio::test]
async fn who_waits_gets_the_lease_when_it_expired_and_not_before() {
    let world = World::new().await;
    let skew = Duration::from_millis(200);
    let leases = world.leases_by(Clock::system()).with_skew(skew);
    let first = held(leases.try_acquire(&world.key, &LeaseRequest::new("ada", SHORT)).await.unwrap());
    let second = held(leases.acquire(&world.key, &request("bob"), LONG).await.unwrap());
    assert_eq!(second.fence(), 2);
    assert!(world.shown().await.acquired_at > first.expires_at().plus_millis(200));
}

#[tokio::test]
async fn who_waited_to_the_deadline_hears_who_has_it() {
    let world = World::new().await;
    let leases = world.leases();
    let _lease = world.acquired(&leases, "ada").await;
    let begun = Instant::now();
    let record = busy(leases.acquire(&world.key, &request("bob"), SHORT).await.unwrap());
    assert_eq!(record.holder, "ada");
    assert!(begun.elapsed() >= SHORT);
    let record = busy(leases.acquire(&world.key, &request("bob"), Duration::ZERO).await.unwrap());
    assert_eq!(record.holder, "ada", "once is tried even without time to wait");
}

#[tokio::test]
async fn a_table_that_does_not_answer_for_a_while_is_waited_for() {
    let world = World::new().await;
    world.proxy.inject("UpdateItem", 1..=5, Fault::DropBefore);
    let lease = held(world.faulty().acquire(&world.key, &request("ada"), LONG).await.unwrap());
    assert_eq!((lease.fence(), world.proxy.calls("UpdateItem")), (1, 6));
}

#[tokio::test]
async fn a_table_that_does_not_answer_to_the_deadline_is_an_error() {
    let world = World::new().await;
    world.proxy.inject("UpdateItem", 1..=1_000, Fault::DropBefore);
    let begun = Instant::now();
    let error = world.faulty().acquire(&world.key, &request("ada"), SHORT).await.unwrap_err();
    assert!(error.is_transient() && begun.elapsed() >= SHORT, "{error}");
}

/// Leases of a machine whose clock stands that far from everybody's.
fn wrong(world: &World, year: i32) -> Leases {
    let start = Timestamp::parse(&format!("{year}-01-01T00:00:00Z")).unwrap();
    let begun = Instant::now();
    world
        .leases_by(Clock::new(move || start.plus_millis(i64::try_from(begun.elapsed().as_millis()).unwrap())))
}

#[tokio::test]
async fn an_observer_takes_over_after_the_holders_length_however_wrong_the_clocks_are() {
    let world = World::new().await;
    for (holder, observer) in [(1990, 2050), (2050, 1990)] {
        let asked = LeaseRequest::new("ada", SHORT * 2);
        let mut lease =
            held(wrong(&world, holder).acquire_observing(&world.key, &asked, LONG).await.unwrap());
        let begun = Instant::now();
        let last = async {
            for _ in 0..4 {
                tokio::time::sleep(SHORT / 2).await;
                lease.renew().await.unwrap();
            }
            Instant::now()
        };
        let (leases, others) = (wrong(&world, observer), LeaseRequest::new("bob", SHORT));
        let taken = async {
            let lease = held(leases.acquire_observing(&world.key, &others, LONG).await.unwrap());
            (lease, Instant::now())
        };
        let (last, (taken, at)) = tokio::join!(last, taken);
        assert_eq!(taken.fence(), lease.fence() + 1);
        assert!(at > last && begun.elapsed() >= SHORT * 4, "taken while it was renewed");
        assert!(at.duration_since(begun) >= SHORT * 2 + SHORT * 2, "taken before its length was over");
        assert!(lease.renew().await.unwrap_err().lost().is_some());
        taken.release().await.unwrap();
    }
}

#[tokio::test]
async fn by_clocks_that_are_wrong_the_same_lease_would_be_taken_at_once() {
    let world = World::new().await;
    let _lease = world.acquired(&wrong(&world, 1990), "ada").await;
    assert_eq!(world.acquired(&wrong(&world, 2050), "bob").await.fence(), 2);
}

#[tokio::test]
async fn an_observer_gets_a_released_lease_at_once() {
    let world = World::new().await;
    let leases = wrong(&world, 1990);
    let first = held(leases.acquire_observing(&world.key, &request("ada"), Duration::ZERO).await.unwrap());
    first.release().await.unwrap();
    let second =
        wrong(&world, 2050).acquire_observing(&world.key, &request("bob"), Duration::ZERO).await.unwrap();
    assert_eq!(held(second).fence(), 2);
}

#[tokio::test]
async fn an_observer_who_waits_shorter_than_the_holders_length_gets_nothing() {
    let world = World::new().await;
    let _lease = world.acquired(&wrong(&world, 1990), "ada").await;
    let attempt = wrong(&world, 2050).acquire_observing(&world.key, &request("bob"), SHORT).await.unwrap();
    assert_eq!((busy(attempt).holder.as_str(), LENGTH > SHORT), ("ada", true));
}
