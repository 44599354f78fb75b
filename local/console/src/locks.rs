//! `GET locks`: who holds what since when. `DELETE locks`: releases one whose holder is dead.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use nextbasket_domain::Timestamp;
use nextbasket_http::ApiError;
use nextbasket_locks::{Attempt, LeaseKey, LeaseRecord, LeaseRequest, LeaseState};
use serde::{Deserialize, Serialize};

use crate::Console;
use crate::answer::{Answer, Json};

/// How long the lease is that a dead one is taken over with, if its release does not arrive.
const TAKEOVER: Duration = Duration::from_secs(1);

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/locks", get(list).delete(release))
}

#[derive(Serialize)]
struct Locks {
    items: Vec<Lock>,
}

#[derive(Serialize)]
struct Lock {
    name: String,
    /// For people: who holds it.
    holder: String,
    since: Timestamp,
    /// Until when, unless it is renewed.
    until: Timestamp,
    fence: u64,
    /// Nobody renewed it in time: the next who asks gets it.
    expired: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeadLock {
    name: String,
    fence: u64,
}

#[derive(Serialize)]
struct Released {
    name: String,
    /// The newest fence.
    fence: u64,
}

/// Those that are held or have expired, by name; a lock that was released is nobody's.
async fn list(State(console): State<Console>) -> Answer<Locks> {
    let (now, skew) = (console.clock.now(), console.leases.skew());
    let records = console.leases.list_locks().await?;
    let lock = |record: LeaseRecord| {
        let state = record.state(now, skew);
        (state != LeaseState::Free).then(|| Lock {
            name: record.name.unwrap_or(record.key.sk),
            holder: record.holder,
            since: record.acquired_at,
            until: record.expires_at,
            fence: record.fence,
            expired: state == LeaseState::Expired,
            note: record.note,
        })
    };
    Ok(Json(Locks { items: records.into_iter().filter_map(lock).collect() }))
}

/// A lock whose holder lives stays: whatever it protects is still being written.
async fn release(State(console): State<Console>, Json(dead): Json<DeadLock>) -> Answer<Released> {
    console.require_writable()?;
    let DeadLock { name, fence } = dead;
    let key = LeaseKey::lock(&name).map_err(|error| ApiError::invalid("name", error))?;
    let record = console.leases.show(&key).await?;
    let state = |record: &LeaseRecord| record.state(console.clock.now(), console.leases.skew());
    let Some(record) = record.filter(|record| state(record) != LeaseState::Free) else {
        return Err(ApiError::not_found("lock_not_found", format!("nobody holds lock {name:?}"))
            .at("name")
            .into());
    };
    if record.fence != fence {
        let detail =
            format!("lock {name:?} was acquired again since (fence {}): look at it again", record.fence);
        return Err(ApiError::conflict("lock_changed", detail).at("fence").into());
    }
    if state(&record) == LeaseState::Held {
        let detail = format!(
            "lock {name:?} is held by {} until {}: end that process, or wait until its lease has expired",
            record.holder, record.expires_at
        );
        return Err(ApiError::conflict("lock_held", detail).at("name").into());
    }
    // As a new holder whose lease ends at once: should the old one wake up, its fence is no longer the newest.
    let request = LeaseRequest { holder: "console".to_owned(), length: TAKEOVER, note: None };
    match console.leases.try_acquire(&key, &request).await? {
        Attempt::Held(lease) => {
            let fence = lease.fence();
            lease.release().await.map_err(ApiError::unavailable)?;
            Ok(Json(Released { name, fence }))
        }
        Attempt::Busy(record) => {
            let detail = format!("lock {name:?} was renewed or acquired by {} in this moment", record.holder);
            Err(ApiError::conflict("lock_held", detail).at("name").into())
        }
    }
}
