//! A lease that is renewed in the background.

use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{Guard, Lease, LeaseError, LeaseKey, Lost};

/// How often the clock is looked at: timers do not run on while a machine is suspended.
const LOOK: Duration = Duration::from_secs(1);

/// Renews a lease at a third of its length, and tells when it is lost.
///
/// Dropping it ends the renewals; the lease then stays ours in the table until it expires. In a process that is
/// suspended nothing is renewed: the loss is told within a second after it goes on.
#[derive(Debug)]
pub struct Keeper {
    key: LeaseKey,
    fence: u64,
    guard: Guard,
    lost: watch::Receiver<Option<Lost>>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<Lease, Lost>>,
}

impl Keeper {
    pub(crate) fn start(lease: Lease) -> Self {
        let (tell, lost) = watch::channel(None);
        let (stop, stopped) = oneshot::channel();
        let (key, fence, guard) = (lease.key().clone(), lease.fence(), lease.guard());
        // Of a lease that was taken up from elsewhere nothing is known: it is renewed at once.
        let known = !lease.is_expired(lease.leases().now());
        let task = tokio::spawn(async move {
            let kept = keep(lease, known, stopped).await;
            if let Err(lost) = &kept {
                tell.send_replace(Some(lost.clone()));
            }
            kept
        });
        Self { key, fence, guard, lost, stop: Some(stop), task }
    }

    /// The item.
    #[must_use]
    pub fn key(&self) -> &LeaseKey {
        &self.key
    }

    /// The number of the acquisition.
    #[must_use]
    pub fn fence(&self) -> u64 {
        self.fence
    }

    /// The condition that the lease is still ours, for writes to its item.
    #[must_use]
    pub fn guard(&self) -> Guard {
        self.guard.clone()
    }

    /// Returns when the lease is lost, and not before. May be dropped and called again.
    pub async fn lost(&self) -> Lost {
        match self.lost.clone().wait_for(Option::is_some).await {
            Ok(lost) => lost.clone().unwrap_or(Lost::Expired),
            // Whoever renewed it is gone with the runtime.
            Err(_) => Lost::Expired,
        }
    }

    /// Why the lease is lost, if it is.
    #[must_use]
    pub fn lost_now(&self) -> Option<Lost> {
        self.lost.borrow().clone()
    }

    /// Ends the renewals and gives the lease back.
    pub async fn stop(mut self) -> Result<Lease, Lost> {
        if let Some(stop) = self.stop.take() {
            // Nobody listens any more if the lease is lost.
            let _lost = stop.send(());
        }
        (&mut self.task).await.unwrap_or(Err(Lost::Expired))
    }

    /// Ends the renewals and releases the lease.
    pub async fn release(self) -> Result<(), LeaseError> {
        self.stop().await?.release().await
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Renews until told to stop or the lease is lost.
async fn keep(mut lease: Lease, mut known: bool, mut stopped: oneshot::Receiver<()>) -> Result<Lease, Lost> {
    let third = lease.length() / 3;
    let begun = Instant::now();
    let mut next = if known { begun + third } else { begun };
    loop {
        let ends = if known { lease.term().ends } else { begun + lease.length() };
        let expired = |lease: &Lease| known && lease.is_expired(lease.leases().now());
        let renewal = tokio::select! {
            biased;
            _ = &mut stopped => return if expired(&lease) { Err(Lost::Expired) } else { Ok(lease) },
            renewal = renew_at(&mut lease, next.min(ends), ends, known) => renewal,
        };
        match renewal {
            Ok(()) => {
                known = true;
                next = Instant::now() + third;
            }
            Err(LeaseError::Lost(lost)) => return Err(lost),
            Err(LeaseError::Table(error)) => {
                tracing::warn!(key = %lease.key(), %error, "a lease could not be renewed; it is tried again");
                next = Instant::now() + lease.leases().jitter(pause(lease.length()));
            }
        }
    }
}

/// Renews at a time, or tells that it is too late.
async fn renew_at(lease: &mut Lease, at: Instant, ends: Instant, known: bool) -> Result<(), LeaseError> {
    loop {
        sleep_until(at.min(Instant::now() + LOOK)).await;
        if known && lease.is_expired(lease.leases().now()) {
            return Err(Lost::Expired.into());
        }
        if Instant::now() >= at {
            break;
        }
    }
    timeout_at(ends, lease.renew()).await.unwrap_or_else(|_| Err(Lost::Expired.into()))
}

/// Between a renewal that failed and the next.
fn pause(length: Duration) -> Duration {
    (length / 20).min(Duration::from_secs(2))
}
