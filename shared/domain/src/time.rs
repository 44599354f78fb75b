//! Points in time, and the clock that a caller passes in.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};

use crate::id::deserialize_by_parse;

pub const DAY_MS: i64 = 86_400_000;

/// Why a text is no point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    /// The text is not RFC 3339.
    #[error("must be a date and time as in RFC 3339, such as 2026-05-17T09:30:00Z")]
    Form,
    /// Before 1970 or after 9999.
    #[error("must be from 1970 on")]
    Range,
}

/// A point in time, UTC, in milliseconds since 1970-01-01; from then to the end of the year 9999.
///
/// Written as RFC 3339 with three decimals, so that the texts sort as the times do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const EPOCH: Self = Self(0);
    const MAX: i64 = 253_402_300_799_999;

    /// From milliseconds since 1970.
    pub fn from_millis(millis: i64) -> Result<Self, TimestampError> {
        if (0..=Self::MAX).contains(&millis) { Ok(Self(millis)) } else { Err(TimestampError::Range) }
    }

    /// From RFC 3339 with any offset; what is finer than a millisecond is cut off.
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| TimestampError::Form)?;
        Self::from_millis(time.timestamp_millis())
    }

    /// As [`parse`](Self::parse), and also what files hold: a date and time without an offset (taken as UTC,
    /// `T` or a space between, seconds optional) or a date alone.
    pub fn parse_lenient(text: &str) -> Result<Self, TimestampError> {
        if let Ok(time) = Self::parse(text) {
            return Ok(time);
        }
        let naive = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]
            .iter()
            .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
            .or_else(|| {
                NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().and_then(|day| day.and_hms_opt(0, 0, 0))
            })
            .ok_or_else(|| Self::parse(text).err().unwrap_or(TimestampError::Form))?;
        Self::from_millis(naive.and_utc().timestamp_millis())
    }

    #[must_use]
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// The time so many milliseconds later (earlier if negative), held within the range.
    #[must_use]
    pub fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis).clamp(0, Self::MAX))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = DateTime::<Utc>::from_timestamp_millis(self.0).unwrap_or_default();
        f.write_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

deserialize_by_parse!(Timestamp);

/// Where a caller gets "now" from: the system's clock when it runs, a fixed or stepped one in tests.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(|| {
            let since =
                std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            Timestamp::EPOCH.plus_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
        }))
    }

    /// A clock of the caller's own.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn offsets_and_decimals_come_to_utc_milliseconds() {
        let time = Timestamp::parse("2026-05-17T11:30:00.123999+02:00").unwrap();
        assert_eq!(time.to_string(), "2026-05-17T09:30:00.123Z");
    }

    #[test]
    fn files_may_leave_out_offset_seconds_and_time() {
        for (text, is) in [
            ("2010-12-01T08:26:00", "2010-12-01T08:26:00.000Z"),
            ("2010-12-01 08:26", "2010-12-01T08:26:00.000Z"),
            ("2010-12-01", "2010-12-01T00:00:00.000Z"),
            ("2010-12-01T08:26:00+01:00", "2010-12-01T07:26:00.000Z"),
        ] {
            assert_eq!(Timestamp::parse_lenient(text).unwrap().to_string(), is);
        }
        assert_eq!(Timestamp::parse_lenient("01/12/2010"), Err(TimestampError::Form));
        assert_eq!(Timestamp::parse_lenient("1969-12-31"), Err(TimestampError::Range));
        assert_eq!(Timestamp::parse("2010-12-01"), Err(TimestampError::Form));
    }

    proptest! {
        #[test]
        fn texts_sort_as_times_do(a in 0..=Timestamp::MAX, b in 0..=Timestamp::MAX) {
            let (a, b) = (Timestamp(a), Timestamp(b));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
            prop_assert_eq!(Timestamp::parse(&a.to_string()), Ok(a));
        }
    }
}
