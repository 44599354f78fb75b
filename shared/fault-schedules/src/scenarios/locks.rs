//! A lock that several processes compete for, and the data that it protects.
//!
//! Each holder writes a counter in a transaction that includes its lease's guard. At the end, every acknowledged
//! write is in the counter's log exactly once, fencing tokens never decrease along it, and no two leases were held at
//! the same time.

use std::cell::RefCell;
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, TransactWriteItem, Update};
use nextbasket_domain::Timestamp;
use nextbasket_dynamodb::item::{number, text};
use nextbasket_locks::{Attempt, Lease, LeaseError, LeaseKey, LeaseRequest, Leases};

use super::items;
use crate::process::{Process, Role};
use crate::world::broken;
use crate::{Checked, Violation, World, ensure};

/// The number of restarts that all holders share.
const LIVES: u64 = 24;

/// A holder's own view of the time during which it held the lock.
#[derive(Debug, Clone)]
struct Held {
    fence: u64,
    from: Timestamp,
    /// When it was released, or when it would have expired.
    to: Timestamp,
}

#[derive(Debug, Default)]
struct Notes {
    held: Vec<Held>,
    acknowledged: Vec<String>,
    writes: u64,
}

pub(super) async fn run(world: &World) -> Checked {
    let name = world.named("lock");
    let key = LeaseKey::lock(&name).map_err(|error| Violation(error.to_string()))?;
    let table = world.named("counter");
    items::make(world, &table, false).await?;
    let notes = RefCell::new(Notes::default());
    let holders = 2 + world.below(3);
    let wanted = 1 + world.below(4);
    let holders = (0..holders).map(|holder| hold(world, &key, &table, &notes, holder, wanted));
    futures::future::try_join_all(holders).await?;
    let notes = notes.into_inner();
    check(world, &table, &notes).await?;
    // The lock can still be acquired.
    let request = LeaseRequest::new("last", Duration::from_secs(10));
    let leases = leases(world, world.observer());
    let last = leases.acquire(&key, &request, Duration::from_secs(120)).await;
    let last = last.map_err(broken)?.held();
    let last = last.ok_or_else(|| Violation("the lock cannot be had any more".to_owned()))?;
    let highest = notes.held.iter().map(|held| held.fence).max().unwrap_or(0);
    ensure!(last.fence() > highest, "fence {} after {highest}", last.fence());
    items::remove(world, &table).await
}

fn leases(world: &World, process: &Process) -> Leases {
    let operations = world.names().operations.clone();
    Leases::new(process.dynamodb.clone(), operations, world.clock.clone(), world.random.clone())
}

/// Acquires, writes and releases, until it has done so often enough.
async fn hold(
    world: &World,
    key: &LeaseKey,
    table: &str,
    notes: &RefCell<Notes>,
    holder: u64,
    wanted: u64,
) -> Checked {
    let mut done = 0;
    for _ in 0..LIVES {
        if done == wanted {
            break;
        }
        let process = world.process(Role::Worker);
        match process.live(Box::pin(once(world, &process, key, table, notes, holder))).await {
            Some(ended) => done += u64::from(ended?),
            // Its lease has to expire.
            None => world.pause(20_000).await,
        }
        world.pause(300).await;
    }
    Ok(())
}

/// Returns whether it got the lock and finished.
async fn once(
    world: &World,
    process: &Process,
    key: &LeaseKey,
    table: &str,
    notes: &RefCell<Notes>,
    holder: u64,
) -> Checked<bool> {
    let length = Duration::from_millis(2_000 + world.below(8_000));
    let request = LeaseRequest::new(format!("holder {holder}"), length);
    let leases = leases(world, process);
    let acquired = match world.below(3) {
        0 => leases.try_acquire(key, &request).await,
        _ => leases.acquire(key, &request, Duration::from_secs(60)).await,
    };
    let mut lease = match acquired {
        Ok(Attempt::Held(lease)) => lease,
        Ok(Attempt::Busy(_)) => return Ok(false),
        Err(error) if error.is_transient() => return Ok(false),
        Err(error) => return Err(Violation(format!("acquiring ended with: {error}"))),
    };
    let from = world.clock.now();
    if lease.is_expired(from) {
        // The lease had expired before the answer arrived.
        return Ok(false);
    }
    let at = {
        let mut notes = notes.borrow_mut();
        notes.held.push(Held { fence: lease.fence(), from, to: lease.expires_at() });
        notes.held.len() - 1
    };
    for _ in 0..1 + world.below(3) {
        if world.below(3) == 0 {
            match lease.renew().await {
                Ok(()) => notes.borrow_mut().held[at].to = lease.expires_at(),
                Err(LeaseError::Lost(_)) => return Ok(false),
                Err(LeaseError::Table(error)) if error.is_transient() => {}
                Err(LeaseError::Table(error)) => {
                    return Err(Violation(format!("renewing ended with: {error}")));
                }
            }
        }
        // Not checking the time before it writes is what a frozen process does: the guard has to prevent the write.
        write(world, process, &lease, table, notes).await?;
    }
    if world.clock.now() < notes.borrow().held[at].to {
        notes.borrow_mut().held[at].to = world.clock.now();
    }
    match lease.release().await {
        Ok(()) => Ok(true),
        Err(LeaseError::Lost(_)) => Ok(false),
        Err(LeaseError::Table(error)) if error.is_transient() => Ok(true),
        Err(LeaseError::Table(error)) => Err(Violation(format!("releasing ended with: {error}"))),
    }
}

/// One write of the counter, bound to the lease.
async fn write(
    world: &World,
    process: &Process,
    lease: &Lease,
    table: &str,
    notes: &RefCell<Notes>,
) -> Checked {
    let name = {
        let mut notes = notes.borrow_mut();
        notes.writes += 1;
        format!("{}/{}", lease.fence(), notes.writes)
    };
    let guard = lease.guard();
    let key = lease.key();
    let check = ConditionCheck::builder()
        .table_name(&world.names().operations)
        .key("pk", text(&key.pk))
        .key("sk", text(&key.sk))
        .condition_expression(guard.condition)
        .set_expression_attribute_names(Some(guard.names))
        .set_expression_attribute_values(Some(guard.values))
        .build()
        .unwrap();
    let update = Update::builder()
        .table_name(table)
        .key("pk", text("counter"))
        .update_expression("SET #log = list_append(if_not_exists(#log, :none), :name) ADD #count :one")
        .expression_attribute_names("#log", "log")
        .expression_attribute_names("#count", "count")
        .expression_attribute_values(":none", AttributeValue::L(Vec::new()))
        .expression_attribute_values(":name", AttributeValue::L(vec![text(&name)]))
        .expression_attribute_values(":one", number(1))
        .build()
        .unwrap();
    let sent = process
        .dynamodb
        .transact_write_items()
        .client_request_token(format!("{:x}-{name}", world.seed))
        .transact_items(TransactWriteItem::builder().condition_check(check).build())
        .transact_items(TransactWriteItem::builder().update(update).build())
        .send()
        .await;
    if sent.is_ok() {
        notes.borrow_mut().acknowledged.push(name);
    }
    Ok(())
}

async fn check(world: &World, table: &str, notes: &Notes) -> Checked {
    let written: Vec<String> = items::all(world, table)
        .await?
        .pop()
        .and_then(|item| item.get("log").and_then(|log| log.as_l().ok().cloned()))
        .unwrap_or_default()
        .iter()
        .filter_map(|name| name.as_s().ok().cloned())
        .collect();
    for name in notes.acknowledged.iter().chain(&written) {
        let times = written.iter().filter(|written| *written == name).count();
        ensure!(times == 1, "write {name} is there {times} times: {written:?}");
    }
    let fences: Vec<u64> = written.iter().filter_map(|name| name.split('/').next()?.parse().ok()).collect();
    ensure!(fences.is_sorted(), "a write came behind a later fence: {written:?}");
    for (n, one) in notes.held.iter().enumerate() {
        for other in notes.held.iter().skip(n + 1) {
            ensure!(one.fence != other.fence, "two holders had fence {}", one.fence);
            let apart = one.to <= other.from || other.to <= one.from;
            ensure!(apart, "two held the lock at the same time: {one:?} and {other:?}");
        }
    }
    Ok(())
}
