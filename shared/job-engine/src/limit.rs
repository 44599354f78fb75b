//! Rates in capacity units, measured from what calls consumed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// After a throttle the pace falls to this part of what went through.
const FALL: f64 = 0.75;
/// It falls by no more than this at a time: what went through may be little because there was little to do.
const DEEPEST_FALL: f64 = 0.7;
/// What went through is measured over at least this long before the pace falls again. Calls that were under way
/// together are throttled together.
const BETWEEN_FALLS: Duration = Duration::from_secs(1);
/// If this part of the pace goes through although calls are throttled, the pace is not the reason, and it does not
/// fall: a table may throttle a part of all calls however slow they come, such as those to one hot partition.
const SUSTAINED: f64 = 0.9;
/// The pace rises by this part of itself per second around the pace that was throttled…
const RISE: f64 = 0.05;
/// …and by this far from it.
const FAST_RISE: f64 = 0.5;
/// What is around it, as parts of the pace that was throttled.
const AROUND: std::ops::Range<f64> = 0.6..1.2;
/// No longer rise than this is reckoned at a time, in seconds: by then any pace is free again.
const LONGEST_RISE: f64 = 600.0;
/// Without a rate to come back to, it is free again at so many times the pace that was throttled.
const FREE: f64 = 4.0;
/// What may be saved up while nothing is spent, in seconds of the pace.
const BURST: f64 = 1.0;
/// Over how many seconds the pace is measured.
const MEASURED: f64 = 3.0;
/// How much of the newest call's units goes into what the next ones are expected to consume.
const NEWEST: f64 = 0.2;
/// What is taken for the pace that was throttled if nothing has been measured yet, in units per second.
const UNMEASURED: f64 = 100.0;
/// No throttle forces the pace below this.
const LEAST_PACE: f64 = 1.0;

/// Holds the calls of many workers to a rate in capacity units per second.
///
/// What a call consumes is known only after it was made, so a call may take the balance below zero; the next ones
/// wait until the debt is paid back. While calls are under way, what they are likely to consume is set aside, so that
/// not all who wait go at once. Clones share the balance.
#[derive(Debug, Clone)]
pub struct Limiter(Arc<Mutex<TokenBucket>>);

/// The permission to make one call. It sets aside what the call is expected to consume; hold it until the call has
/// ended, and give it to [`Permit::spent`] then. A call that consumed nothing just drops it.
#[derive(Debug)]
#[must_use = "a dropped permit lets the next call go before this one is counted"]
pub struct Permit {
    bucket: Arc<Mutex<TokenBucket>>,
    expected: f64,
}

impl Permit {
    /// Counts what the call consumed.
    pub fn spent(self, units: f64) {
        Limiter(Arc::clone(&self.bucket)).spent(units);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        lock(&self.bucket).reserved -= self.expected;
    }
}

#[derive(Debug)]
struct TokenBucket {
    rate: Option<f64>,
    /// The pace that throttling has forced below it; it comes back by itself.
    forced: Option<Forced>,
    balance: f64,
    /// What calls under way are likely to consume.
    reserved: f64,
    /// What a call is likely to consume.
    expected: f64,
    at: Instant,
    began: Instant,
    /// Units of the last seconds, the older the less.
    recent: f64,
}

#[derive(Debug, Clone, Copy)]
struct Forced {
    pace: f64,
    throttled: f64,
    /// Since when the next two are measured: the last time that a throttle was looked at.
    since: Instant,
    /// The units that the pace allowed.
    allowed: f64,
    /// The units that went through.
    spent: f64,
}

impl Forced {
    fn new(throttled: f64, now: Instant) -> Self {
        Self {
            pace: (throttled * FALL).max(LEAST_PACE),
            throttled: throttled.max(LEAST_PACE),
            since: now,
            allowed: 0.0,
            spent: 0.0,
        }
    }

    fn rise(&mut self, seconds: f64) {
        let mut left = seconds.min(LONGEST_RISE);
        while left > 0.0 {
            let rise = if AROUND.contains(&(self.pace / self.throttled)) { RISE } else { FAST_RISE };
            self.pace *= (1.0 + rise).powf(left.min(1.0));
            left -= 1.0;
        }
    }

    /// After another throttle; `None` if the pace stays as it is.
    fn fallen(&mut self, now: Instant) -> Option<Self> {
        let seconds = now.saturating_duration_since(self.since).as_secs_f64();
        if seconds < BETWEEN_FALLS.as_secs_f64() {
            return None;
        }
        if self.spent >= self.allowed * SUSTAINED {
            (self.since, self.allowed, self.spent) = (now, 0.0, 0.0);
            return None;
        }
        let through = (self.spent / seconds).clamp(self.pace * DEEPEST_FALL, self.pace);
        Some(Self::new(through, now))
    }
}

impl Limiter {
    /// At most `rate` units per second; `None`: as many as go through without throttling.
    pub fn new(rate: Option<f64>) -> Self {
        let now = Instant::now();
        Self(Arc::new(Mutex::new(TokenBucket {
            rate,
            forced: None,
            balance: 0.0,
            reserved: 0.0,
            expected: 1.0,
            at: now,
            began: now,
            recent: 0.0,
        })))
    }

    /// Changes the rate, such as when workers join or leave. Debt stays.
    pub fn set_rate(&self, rate: Option<f64>) {
        self.bucket().rate = rate;
    }

    /// The pace now: the rate, or less after throttling; `None` if nothing holds it back.
    pub fn pace(&self) -> Option<f64> {
        self.bucket().pace()
    }

    /// Waits until what was spent is paid back. The call is expected to consume what others did.
    pub async fn ready(&self) -> Permit {
        self.admitted(None).await
    }

    /// As [`ready`](Self::ready), for a call that is likely to consume so many units.
    pub async fn ready_for(&self, units: f64) -> Permit {
        self.admitted(Some(units)).await
    }

    async fn admitted(&self, units: Option<f64>) -> Permit {
        loop {
            let wait = {
                let mut bucket = self.bucket();
                let wait = bucket.debt();
                if wait.is_none() {
                    let expected = units.unwrap_or(bucket.expected);
                    bucket.reserved += expected;
                    return Permit { bucket: Arc::clone(&self.0), expected };
                }
                wait
            };
            tokio::time::sleep(wait.unwrap_or_default()).await;
        }
    }

    /// How many items of one unit each fit into this many seconds at the pace, within these bounds; `most` without a
    /// pace.
    pub fn items_in(&self, seconds: f64, least: f64, most: f64) -> usize {
        let items = self.pace().map_or(most, |pace| (pace * seconds).clamp(least, most));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it lies within the bounds"
        )]
        let items = items as usize;
        items
    }

    /// Counts what a call without a permit of this limiter consumed.
    pub fn spent(&self, units: f64) {
        let mut bucket = self.bucket();
        bucket.balance -= units;
        bucket.recent += units;
        if let Some(forced) = &mut bucket.forced {
            forced.spent += units;
        }
        bucket.expected += (units - bucket.expected) * NEWEST;
    }

    /// A call was throttled: the pace falls, at most once in a while however many workers report it, and not if what
    /// it allows goes through nevertheless.
    pub fn throttled(&self) {
        self.bucket().slow_down();
    }

    /// The bucket as it is now.
    fn bucket(&self) -> MutexGuard<'_, TokenBucket> {
        let mut bucket = lock(&self.0);
        bucket.refill(Instant::now());
        bucket
    }
}

fn lock(bucket: &Mutex<TokenBucket>) -> MutexGuard<'_, TokenBucket> {
    bucket.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TokenBucket {
    fn pace(&self) -> Option<f64> {
        match (self.rate, self.forced) {
            (Some(rate), Some(forced)) => Some(rate.min(forced.pace)),
            (rate, forced) => rate.or(forced.map(|forced| forced.pace)),
        }
    }

    fn refill(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.recent *= (-seconds / MEASURED).exp();
        let pace = self.pace().unwrap_or_default();
        if let Some(forced) = &mut self.forced {
            forced.allowed += pace * seconds;
            forced.rise(seconds);
            if forced.pace >= self.rate.unwrap_or(forced.throttled * FREE) {
                self.forced = None;
            }
        }
        match self.pace() {
            Some(pace) => self.balance = (self.balance + pace * seconds).min(pace * BURST),
            None => self.balance = 0.0,
        }
    }

    /// How long to wait; `None` if a call may be made.
    fn debt(&self) -> Option<Duration> {
        let pace = self.pace()?;
        let left = self.balance - self.reserved;
        (left <= 0.0).then(|| Duration::from_secs_f64((-left / pace).clamp(0.001, 60.0)))
    }

    fn slow_down(&mut self) {
        if let Some(forced) = &mut self.forced {
            let Some(fallen) = forced.fallen(self.at) else { return };
            *forced = fallen;
            self.balance = self.balance.min(0.0);
            return;
        }
        // So soon after the beginning only a part of the seconds has been measured.
        let seconds = self.at.saturating_duration_since(self.began).as_secs_f64();
        let covered = MEASURED * (1.0 - (-seconds / MEASURED).exp());
        let measured = self.recent / covered.max(0.1);
        let through = match self.rate {
            Some(rate) => measured.clamp(rate * DEEPEST_FALL, rate),
            None if self.recent > 0.0 => measured,
            None => UNMEASURED,
        };
        self.forced = Some(Forced::new(through, self.at));
        self.balance = self.balance.min(0.0);
    }
}

/// The limits of reads and writes of one process's part in a job.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Read units.
    pub read: Limiter,
    /// Write units.
    pub write: Limiter,
}

impl Limits {
    /// A part of the stage's rates: `share` of 1.
    pub fn new(rates: crate::Rates, share: f64) -> Self {
        let part = |rate: Option<f64>| rate.map(|rate| rate * share);
        Self { read: Limiter::new(part(rates.read)), write: Limiter::new(part(rates.write)) }
    }

    /// Changes the share.
    pub fn set_share(&self, rates: crate::Rates, share: f64) {
        self.read.set_rate(rates.read.map(|rate| rate * share));
        self.write.set_rate(rates.write.map(|rate| rate * share));
    }
}
