//! Acquiring a lease that another may hold.

use std::time::Duration;

use nextbasket_dynamodb::TableError;
use tokio::time::{Instant, sleep};

use crate::leases::Takeover;
use crate::record::millis;
use crate::{Attempt, LeaseKey, LeaseRecord, LeaseRequest, Leases};

/// A lease is looked at some twenty times in its length, within these bounds.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Between two looks at a table that could not be asked.
const OUTAGE_PAUSE: Duration = Duration::from_millis(500);

/// By what a lease that nobody renews is told from one that is held.
enum Judge {
    /// By its expiry.
    Clocks,
    /// By having been like this for its own length, since the given time.
    Observation(Option<Box<(LeaseRecord, Instant)>>),
}

impl Leases {
    /// As [`try_acquire`](Self::try_acquire), again and again for as long as `wait`, and once more at its end.
    /// A table that cannot be asked for a while is waited for, too.
    ///
    /// It looks some twenty times in the length of the holder's lease, at least every 2 seconds, and when the lease
    /// can be taken over.
    ///
    /// # Errors
    /// [`TableError`] if the table refuses, or cannot be asked at the end of the wait.
    pub async fn acquire(
        &self,
        key: &LeaseKey,
        request: &LeaseRequest,
        wait: Duration,
    ) -> Result<Attempt, TableError> {
        self.wait(key, request, wait, Judge::Clocks).await
    }

    /// As [`acquire`](Self::acquire), for callers who distrust clocks: another's lease is taken over only after it
    /// was seen unchanged for its own length, measured on the caller's monotonic clock. No two machines' clocks are
    /// compared, so they may differ by any amount, if all who want the lease acquire it like this.
    ///
    /// A `wait` shorter than the holder's length gets only a lease that is released.
    ///
    /// # Errors
    /// [`TableError`] if the table refuses, or cannot be asked at the end of the wait.
    pub async fn acquire_observing(
        &self,
        key: &LeaseKey,
        request: &LeaseRequest,
        wait: Duration,
    ) -> Result<Attempt, TableError> {
        self.wait(key, request, wait, Judge::Observation(None)).await
    }

    async fn wait(
        &self,
        key: &LeaseKey,
        request: &LeaseRequest,
        wait: Duration,
        mut judge: Judge,
    ) -> Result<Attempt, TableError> {
        let deadline = Instant::now() + wait;
        let mut claim = self.claim(request);
        // Whether a request of this claim may have been applied unknown to us.
        let mut unsure = false;
        loop {
            let late = Instant::now() >= deadline;
            let pause = match self.attempt(key, request, &claim, &judge.takeover()).await {
                Err(error) if !late && error.is_transient() => {
                    unsure = true;
                    self.jitter(OUTAGE_PAUSE)
                }
                // Acquired by a request whose answer was lost, and expired before we learned it.
                Ok(Attempt::Held(lease)) if !late && unsure && lease.is_expired(self.now()) => {
                    (claim, unsure) = (self.claim(request), false);
                    SHORTEST_PAUSE
                }
                Ok(Attempt::Busy(record)) if !late => {
                    (claim, unsure) = (self.claim(request), false);
                    let look = self.jitter((record.length / 20).clamp(SHORTEST_PAUSE, LONGEST_PAUSE));
                    judge.until_free(self, record).min(look)
                }
                end => return end,
            };
            sleep(pause.min(deadline.saturating_duration_since(Instant::now()))).await;
        }
    }
}

impl Judge {
    fn takeover(&self) -> Takeover<'_> {
        match self {
            Self::Clocks => Takeover::Expired,
            Self::Observation(Some(seen)) if seen.1.elapsed() >= seen.0.length => {
                Takeover::Unchanged(&seen.0)
            }
            Self::Observation(_) => Takeover::No,
        }
    }

    /// Takes notice of what another holds, and tells how long until it can be taken over if nobody renews it.
    fn until_free(&mut self, leases: &Leases, record: LeaseRecord) -> Duration {
        match self {
            Self::Clocks => {
                let free = record.expires_at.plus_millis(millis(leases.skew()).saturating_add(1));
                let left = free.as_millis().saturating_sub(leases.now().as_millis());
                Duration::from_millis(u64::try_from(left).unwrap_or(0))
            }
            Self::Observation(seen) => {
                let since = match seen.as_deref() {
                    Some((before, since)) if same(before, &record) => *since,
                    _ => Instant::now(),
                };
                let left = record.length.saturating_sub(since.elapsed());
                *seen = Some(Box::new((record, since)));
                left
            }
        }
    }
}

fn same(one: &LeaseRecord, other: &LeaseRecord) -> bool {
    (&one.owner, one.fence, &one.mark) == (&other.owner, other.fence, &other.mark)
}
