//! A network that loses answers: what a holder is told is true.

use std::time::Duration;

use nextbasket_dynamodb::item::{number, text};
use nextbasket_locks::{AcquisitionTerms, AttributeChanges, LeaseError, Unreleased};
use nextbasket_testkit::Fault;

use crate::common::{LENGTH, SKEW, World, held, request};

/// What hits one request and lets the next through.
const FAULTS: [Fault; 5] =
    [Fault::DropAfter, Fault::DropBefore, Fault::Truncate, Fault::ServerError, Fault::Throttle];

/// More requests than any call makes.
const ALL: std::ops::RangeInclusive<u64> = 1..=1_000;

#[tokio::test]
async fn an_acquisition_whose_answer_is_lost_is_recognised_as_ours() {
    let world = World::new().await;
    let leases = world.faulty();
    for (fence, fault) in (1..).zip(FAULTS) {
        world.proxy.inject("UpdateItem", 1..=1, fault.clone());
        let before = world.proxy.calls("UpdateItem");
        let mut lease = world.acquired(&leases, "ada").await;
        assert_eq!(world.proxy.calls("UpdateItem"), before + 2, "{fault:?}");
        assert_eq!((lease.fence(), world.shown().await.fence), (fence, fence), "{fault:?}");
        assert_eq!(world.shown().await.owner, lease.owner(), "{fault:?}");
        assert_eq!(world.shown().await.expires_at, lease.expires_at(), "{fault:?}");
        lease.renew().await.unwrap();
        lease.release().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_changed_with_an_acquisition_is_changed_once_and_only_on_its_terms() {
    let world = World::new().await;
    let leases = world.faulty();
    let counting =
        || AcquisitionTerms::new(AttributeChanges::new().add("claims", number(1)).copy("before", "holder"));
    for (n, fault) in (1..).zip(FAULTS) {
        world.proxy.inject("UpdateItem", 1..=1, fault.clone());
        let holder = format!("holder-{n}");
        let (lease, item) = leases.try_acquire_with(&world.key, &request(&holder), counting()).await.unwrap();
        assert_eq!(item.get("claims"), Some(&number(n)), "{fault:?}");
        let before = if n == 1 { String::new() } else { format!("holder-{}", n - 1) };
        assert_eq!(item.get("before"), Some(&text(before)), "{fault:?}: as it was before this write");
        assert_eq!(item, world.item().await, "{fault:?}");
        // A caller that does not get the lease also receives the item.
        let (none, told) = leases.try_acquire_with(&world.key, &request("eve"), counting()).await.unwrap();
        assert!(none.is_none());
        assert_eq!(told, item, "{fault:?}");
        lease.unwrap().release_with(AttributeChanges::new().set("retryAt", number(10))).await.unwrap();
    }
    let claims = world.item().await.get("claims").cloned();
    for terms in [counting().if_absent("claims"), counting().if_at_most("retryAt", number(9))] {
        let (none, told) = leases.try_acquire_with(&world.key, &request("eve"), terms).await.unwrap();
        assert!(none.is_none());
        assert_eq!(told.get("retryAt"), Some(&number(10)));
        assert_eq!(world.item().await.get("claims").cloned(), claims, "nothing was counted");
    }
    let terms = counting().if_absent("other").if_at_most("retryAt", number(10)).if_at_most("none", number(1));
    let (lease, _) = leases.try_acquire_with(&world.key, &request("ada"), terms).await.unwrap();
    lease.unwrap().release().await.unwrap();
    let own = AcquisitionTerms::new(AttributeChanges::new().copy("fence", "claims"));
    assert!(
        leases.try_acquire_with(&world.key, &request("ada"), own).await.is_err(),
        "it is the lease's own"
    );
}

#[tokio::test]
async fn a_renewal_whose_answer_is_lost_is_applied_once() {
    let world = World::new().await;
    let mut lease = world.acquired(&world.faulty(), "ada").await;
    for (n, fault) in (1..).zip(FAULTS) {
        world.clock.forward(Duration::from_secs(1));
        world.proxy.inject("UpdateItem", 1..=1, fault.clone());
        let changes = AttributeChanges::new().add("done", number(1)).set("checkpoint", number(n));
        lease.renew_with(changes).await.unwrap();
        let item = world.item().await;
        let both = (item.get("done"), item.get("checkpoint"));
        assert_eq!(both, (Some(&number(n)), Some(&number(n))), "{fault:?}");
        assert_eq!(lease.expires_at(), world.clock.now().plus_millis(10_000), "{fault:?}");
        assert_eq!(world.shown().await.expires_at, lease.expires_at(), "{fault:?}");
    }
}

#[tokio::test]
async fn a_release_whose_answer_is_lost_is_applied_once() {
    let world = World::new().await;
    let leases = world.faulty();
    for (n, fault) in (1..).zip(FAULTS) {
        let lease = world.acquired(&leases, "ada").await;
        world.proxy.inject("UpdateItem", 1..=1, fault.clone());
        lease.release_with(AttributeChanges::new().add("done", number(1))).await.unwrap();
        assert_eq!(world.item().await.get("done"), Some(&number(n)), "{fault:?}");
        assert!(world.shown().await.released, "{fault:?}");
    }
}

#[tokio::test]
async fn a_release_whose_answer_is_lost_is_ours_though_another_was_quicker_than_we_asked_again() {
    let world = World::new().await;
    for changes in [AttributeChanges::new(), AttributeChanges::new().set("done", text("yes"))] {
        let lease = world.acquired(&world.faulty(), "ada").await;
        let calls = world.proxy.calls("UpdateItem");
        world.proxy.inject("UpdateItem", 1..=1, Fault::DropAfter);
        world.proxy.inject("UpdateItem", 2..=2, Fault::Delay(Duration::from_secs(2)));
        let other = async {
            let lease = held(world.leases().acquire(&world.key, &request("bob"), LENGTH).await.unwrap());
            assert!(world.proxy.calls("UpdateItem") <= calls + 2, "we have not been answered yet");
            lease
        };
        let (released, other) = tokio::join!(lease.release_with(changes), other);
        released.unwrap();
        other.release().await.unwrap();
    }
    assert_eq!(world.item().await.get("done"), Some(&text("yes")));
}

#[tokio::test]
async fn an_acquisition_none_of_whose_answers_arrive_is_an_error_and_expires() {
    let world = World::new().await;
    world.proxy.inject("UpdateItem", ALL, Fault::DropAfter);
    let error = world.faulty().try_acquire(&world.key, &request("ada")).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(world.busy(&world.leases(), "bob").await.holder, "ada");
    world.clock.forward(LENGTH + SKEW + Duration::from_millis(1));
    assert_eq!(world.acquired(&world.leases(), "bob").await.fence(), 2);
}

#[tokio::test]
async fn who_waits_recognises_what_an_earlier_request_acquired() {
    let world = World::new().await;
    // As many as the client makes for one call.
    world.proxy.inject("UpdateItem", 1..=3, Fault::DropAfter);
    let asked = world.faulty();
    let lease = held(asked.acquire(&world.key, &request("ada"), LENGTH).await.unwrap());
    assert_eq!((lease.fence(), world.shown().await.owner.as_str()), (1, lease.owner()));
    assert!(world.proxy.calls("UpdateItem") > 3);
}

#[tokio::test]
async fn what_was_acquired_unknown_to_us_and_expired_since_is_acquired_anew() {
    let world = World::new().await;
    world.proxy.inject("UpdateItem", 1..=3, Fault::DropAfter);
    let (clock, calls) = (world.clock.clone(), &world.proxy);
    let pass = async {
        while calls.calls("UpdateItem") < 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        clock.forward(LENGTH);
        // Now our own request is recognised, too late.
        while calls.calls("UpdateItem") < 4 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        clock.forward(SKEW + Duration::from_millis(1));
    };
    let leases = world.faulty();
    let asked = request("ada");
    let (attempt, ()) = tokio::join!(leases.acquire(&world.key, &asked, LENGTH), pass);
    let lease = held(attempt.unwrap());
    assert_eq!(lease.fence(), 2);
    assert!(!lease.is_expired(world.clock.now()));
}

#[tokio::test]
async fn a_renewal_that_nobody_answers_leaves_the_lease_ours_until_it_expires() {
    let world = World::new().await;
    let mut lease = world.acquired(&world.faulty(), "ada").await;
    let until = lease.expires_at();
    world.clock.forward(Duration::from_secs(1));
    for fault in [Fault::DropAfter, Fault::DropBefore] {
        world.proxy.inject("UpdateItem", ALL, fault);
        let error = lease.renew_with(AttributeChanges::new().set("checkpoint", text("a"))).await.unwrap_err();
        assert!(matches!(&error, LeaseError::Table(table) if table.is_transient()), "{error}");
        assert_eq!(lease.expires_at(), until, "we know of no later time");
        world.proxy.heal();
    }
    lease.renew_with(AttributeChanges::new().set("checkpoint", text("b"))).await.unwrap();
    assert_eq!(world.item().await.get("checkpoint"), Some(&text("b")));
    assert_eq!(lease.expires_at(), world.shown().await.expires_at);
}

#[tokio::test]
async fn a_release_that_nobody_answers_may_be_made_again() {
    let world = World::new().await;
    for fault in [Fault::DropBefore, Fault::DropAfter] {
        let lease = world.acquired(&world.faulty(), "ada").await;
        world.proxy.inject("UpdateItem", ALL, fault.clone());
        let Unreleased { lease, error } = *lease.release_with(AttributeChanges::new()).await.unwrap_err();
        assert!(matches!(error, LeaseError::Table(_)), "{error}");
        world.proxy.heal();
        assert_eq!(world.shown().await.released, fault == Fault::DropAfter);
        lease.release().await.unwrap();
        assert!(world.shown().await.released, "{fault:?}");
    }
}
