//! Pauses before retries.

use std::time::Duration;

use nextbasket_domain::Random;

/// A random part of a pause, from half of it to all: clients that were rejected together do not return together.
pub(crate) fn jittered(pause: Duration, random: &Random) -> Duration {
    let half = u64::try_from(pause.as_millis() / 2).unwrap_or(u64::MAX / 2);
    Duration::from_millis(half + random.draw() % (half + 1))
}

/// The pause after this many attempts: it doubles from the first one to the longest, with jitter.
pub(crate) fn doubled(first: Duration, tries: u32, longest: Duration, random: &Random) -> Duration {
    jittered(first.saturating_mul(1 << tries.min(20)).min(longest), random)
}

/// In milliseconds, the unit of timestamps.
pub(crate) fn millis(pause: Duration) -> i64 {
    i64::try_from(pause.as_millis()).unwrap_or(i64::MAX)
}
