//! What a holder may do with its lease, and what it hears when it has lost it.

use std::time::Duration;

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{Put, TransactWriteItem, Update};
use nextbasket_dynamodb::TableError;
use nextbasket_dynamodb::item::{number, text};
use nextbasket_locks::{AttributeChanges, Guard, LeaseError, Lost, Unreleased};

use crate::common::{LENGTH, SKEW, TABLE, World, key_of};

const MOMENT: Duration = Duration::from_millis(1);

/// Until a lease of that age may be taken by another.
const OVER: Duration = Duration::from_millis(12_001);

#[tokio::test]
async fn a_renewed_lease_holds_for_its_length_from_then_on_with_the_same_fence() {
    let world = World::new().await;
    let leases = world.leases();
    let mut lease = world.acquired(&leases, "ada").await;
    world.clock.forward(LENGTH - MOMENT);
    lease.renew().await.unwrap();
    assert_eq!(lease.expires_at().as_millis(), world.clock.now().as_millis() + 10_000);
    let record = world.shown().await;
    assert_eq!((record.expires_at, record.fence, lease.fence()), (lease.expires_at(), 1, 1));
    world.clock.forward(LENGTH + SKEW);
    world.busy(&leases, "bob").await;
    world.clock.forward(MOMENT);
    assert_eq!(world.acquired(&leases, "bob").await.fence(), 2);
}

#[tokio::test]
async fn a_clock_that_is_set_back_shortens_no_lease_for_others() {
    let world = World::new().await;
    let mut lease = world.acquired(&world.leases(), "ada").await;
    let told = lease.expires_at();
    world.clock.back(Duration::from_secs(5));
    lease.renew().await.unwrap();
    assert_eq!((lease.expires_at(), world.shown().await.expires_at), (told, told));
}

#[tokio::test]
async fn a_lease_that_another_took_over_is_lost_to_it_for_good() {
    let world = World::new().await;
    let leases = world.leases();
    let mut lease = world.acquired(&leases, "ada").await;
    world.clock.forward(OVER);
    let others = world.acquired(&leases, "bob").await;
    for _ in 0..2 {
        let LeaseError::Lost(Lost::Taken { by }) = lease.renew().await.unwrap_err() else { panic!() };
        assert_eq!((by.holder.as_str(), by.fence, by.owner.as_str()), ("bob", 2, others.owner()));
    }
    // Whether or not the other still has it.
    others.release().await.unwrap();
    let error = lease.renew().await.unwrap_err();
    assert_eq!(error.to_string(), "the lease was stolen by bob, with fence 2");
    let error = lease.release().await.unwrap_err();
    assert!(matches!(error.lost(), Some(Lost::Taken { by }) if by.released), "{error}");
    assert_eq!(world.shown().await.holder, "bob");
}

#[tokio::test]
async fn a_lease_whose_item_was_deleted_is_gone_and_is_not_put_back() {
    let world = World::new().await;
    let mut lease = world.acquired(&world.leases(), "ada").await;
    world.delete_item().await;
    let error = lease.renew().await.unwrap_err();
    assert_eq!(error.lost(), Some(&Lost::Gone), "{error}");
    let error = lease.release().await.unwrap_err();
    assert_eq!(error.lost(), Some(&Lost::Gone), "{error}");
    assert_eq!(world.leases().show(&world.key).await.unwrap(), None);
}

#[tokio::test]
async fn an_expired_lease_that_nobody_took_is_ours_again_when_it_is_renewed() {
    let world = World::new().await;
    let mut lease = world.acquired(&world.leases(), "ada").await;
    world.clock.forward(OVER);
    assert!(lease.is_expired(world.clock.now()));
    lease.renew().await.unwrap();
    assert!(!lease.is_expired(world.clock.now()));
    assert_eq!(world.busy(&world.leases(), "bob").await.fence, 1);
}

#[tokio::test]
async fn a_renewal_changes_other_attributes_in_the_same_write() {
    let world = World::new().await;
    let mut lease = world.acquired(&world.leases(), "ada").await;
    let changes = AttributeChanges::new()
        .set("checkpoint", text("page 1"))
        .set("old", text("x"))
        .add("done", number(5));
    lease.renew_with(changes).await.unwrap();
    let changes =
        AttributeChanges::new().set("checkpoint", text("page 2")).remove("old").add("done", number(7));
    lease.renew_with(changes).await.unwrap();
    let item = world.item().await;
    assert_eq!((item.get("checkpoint"), item.get("done")), (Some(&text("page 2")), Some(&number(12))));
    assert_eq!(item.get("old"), None);
    lease
        .release_with(AttributeChanges::new().set("state", text("done")).add("done", number(1)))
        .await
        .unwrap();
    let item = world.item().await;
    assert_eq!((item.get("state"), item.get("done")), (Some(&text("done")), Some(&number(13))));
    assert!(world.shown().await.released);
}

#[tokio::test]
async fn a_lost_lease_changes_nothing() {
    let world = World::new().await;
    let mut lease = world.acquired(&world.leases(), "ada").await;
    world.clock.forward(OVER);
    let _others = world.acquired(&world.leases(), "bob").await;
    let before = world.item().await;
    let changes = AttributeChanges::new().set("checkpoint", text("page 1")).add("done", number(5));
    assert!(lease.renew_with(changes.clone()).await.unwrap_err().lost().is_some());
    let unreleased = lease.release_with(changes).await.unwrap_err();
    assert!(matches!(unreleased.error.lost(), Some(Lost::Taken { .. })), "{unreleased}");
    assert_eq!(world.item().await, before);
}

#[tokio::test]
async fn a_lease_that_could_not_be_released_comes_back_to_be_tried_again() {
    let world = World::new().await;
    let lease = world.acquired(&world.leases(), "ada").await;
    // The lease's own attributes are not to be changed.
    let unreleased = lease.release_with(AttributeChanges::new().set("fence", number(7))).await.unwrap_err();
    let Unreleased { mut lease, error } = *unreleased;
    assert!(matches!(error, LeaseError::Table(TableError::Refused { .. })), "{error}");
    assert_eq!(world.shown().await.fence, 1);
    assert!(lease.renew_with(AttributeChanges::new().set("owner", text("bob"))).await.is_err());
    lease.renew().await.unwrap();
    lease.release().await.unwrap();
    assert!(world.shown().await.released);
}

#[tokio::test]
async fn a_guarded_write_goes_through_while_the_lease_is_ours_and_not_after() {
    let world = World::new().await;
    let mut lease = world.acquired(&world.leases(), "ada").await;
    let guard = lease.guard();
    assert!(guarded(&world, guard.clone()).await && guarded_transaction(&world, guard.clone()).await);
    lease.renew().await.unwrap();
    assert!(guarded(&world, guard.clone()).await && guarded_transaction(&world, guard.clone()).await);
    lease.release().await.unwrap();
    assert!(!guarded(&world, guard.clone()).await && !guarded_transaction(&world, guard.clone()).await);
    let again = world.acquired(&world.leases(), "ada").await;
    assert!(!guarded(&world, guard.clone()).await && !guarded_transaction(&world, guard).await);
    assert!(guarded(&world, again.guard()).await && guarded_transaction(&world, again.guard()).await);
    world.clock.forward(OVER);
    let _others = world.acquired(&world.leases(), "bob").await;
    assert!(!guarded(&world, again.guard()).await && !guarded_transaction(&world, again.guard()).await);
    assert_eq!(world.item().await.get("writes"), Some(&number(6)));
}

/// Writes under the guard and a condition of the caller's own; whether it went through.
async fn guarded(world: &World, guard: Guard) -> bool {
    let update = world.stack.dynamodb().update_item().table_name(TABLE).set_key(Some(key_of(&world.key)));
    let written = update
        .update_expression("ADD writes :one")
        .condition_expression(format!("{} AND attribute_not_exists(stopped)", guard.condition))
        .set_expression_attribute_names(Some(guard.names))
        .set_expression_attribute_values(Some(guard.values))
        .expression_attribute_values(":one", number(1))
        .send()
        .await;
    written
        .map_err(|error| assert_eq!(error.code(), Some("ConditionalCheckFailedException"), "{error:?}"))
        .is_ok()
}

/// Writes to the lease's item under the guard and to another in one transaction; whether it went through.
async fn guarded_transaction(world: &World, guard: Guard) -> bool {
    let update = Update::builder()
        .table_name(TABLE)
        .set_key(Some(key_of(&world.key)))
        .update_expression("ADD writes :one")
        .condition_expression(guard.condition)
        .set_expression_attribute_names(Some(guard.names))
        .set_expression_attribute_values(Some(guard.values))
        .expression_attribute_values(":one", number(1));
    let put = Put::builder().table_name(TABLE).item("pk", text("log")).item("sk", text("1"));
    let written = world
        .stack
        .dynamodb()
        .transact_write_items()
        .transact_items(TransactWriteItem::builder().update(update.build().unwrap()).build())
        .transact_items(TransactWriteItem::builder().put(put.build().unwrap()).build())
        .send()
        .await;
    written
        .map_err(|error| assert_eq!(error.code(), Some("TransactionCanceledException"), "{error:?}"))
        .is_ok()
}
