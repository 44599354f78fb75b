//! Clients that crash and freeze together, as those of one process do.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::faults::Mishaps;

/// The role of a process, which decides how long its clients wait and retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The schedule itself: it meets no faults, crashes or freezes.
    Observer,
    /// A function that a client waits for.
    Function,
    /// A function that a stream invokes.
    Consumer,
    /// A worker of jobs.
    Worker,
}

/// The state of a process.
#[derive(Debug)]
pub struct Life {
    /// The number of the process in the schedule.
    pub number: u64,
    /// The role of the process.
    pub role: Role,
    mishaps: Mishaps,
    counts: Mutex<Counts>,
    crashed: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Counts {
    total: u64,
    by_operation: BTreeMap<String, u64>,
    frozen_until: Option<Instant>,
}

/// The position of a call among the calls of its process, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Among all calls.
    pub total: u64,
    /// Among the calls of the same operation.
    pub nth: u64,
}

impl Life {
    pub(crate) fn new(number: u64, role: Role, mishaps: Mishaps) -> Self {
        Self { number, role, mishaps, counts: Mutex::default(), crashed: watch::Sender::new(false) }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count(&self, operation: &str) -> Place {
        let mut counts = self.counts();
        counts.total += 1;
        let total = counts.total;
        let nth = counts.by_operation.entry(operation.to_owned()).or_default();
        *nth += 1;
        Place { total, nth: *nth }
    }

    /// Waits while the process is frozen; forever if it has crashed.
    pub(crate) async fn alive(&self) {
        loop {
            if *self.crashed.borrow() {
                std::future::pending::<()>().await;
            }
            let until = self.counts().frozen_until;
            match until {
                Some(until) if until > Instant::now() => tokio::time::sleep_until(until).await,
                _ => return,
            }
        }
    }

    /// Produces the crash or freeze that is due at this call, before it is sent or after it was applied. Returns its
    /// name.
    pub(crate) fn mishap(&self, place: Place, applied: bool) -> Option<&'static str> {
        if self.mishaps.crash == Some((place.total, applied)) {
            self.crashed.send_replace(true);
            return Some("crash");
        }
        if let Some((at, length, after)) = self.mishaps.freeze
            && (at, after) == (place.total, applied)
        {
            self.counts().frozen_until = Some(Instant::now() + length);
            return Some("freeze");
        }
        None
    }

    async fn crash(&self) {
        let mut crashed = self.crashed.subscribe();
        // The sender exists as long as this process.
        let _ = crashed.wait_for(|crashed| *crashed).await;
    }
}

/// A process: clients of all services that crash and freeze together.
#[derive(Debug)]
pub struct Process {
    /// The client for tables.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// The client for buckets.
    pub s3: aws_sdk_s3::Client,
    /// The client for functions.
    pub lambda: aws_sdk_lambda::Client,
    pub(crate) life: std::sync::Arc<Life>,
}

impl Process {
    /// Runs the work until it is done; `None` if the process crashed first: all of its state is lost then.
    pub async fn live<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.life.crash() => None,
            done = work => Some(done),
        }
    }

    /// Like [`live`](Self::live), for a function that is ended after a time.
    pub async fn live_for<T>(&self, time: Duration, work: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(time, self.live(work)).await.ok().flatten()
    }
}
