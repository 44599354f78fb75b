//! The zones of times.

use chrono::{Duration, LocalResult, NaiveDateTime, TimeZone};
use chrono_tz::Tz;

use super::reading::Rest;

/// The name is not one of a time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown time zone \"{0}\": expected a name of the IANA database, such as Europe/Berlin or UTC")]
pub struct TimezoneError(String);

/// A time zone by its name in the IANA database; case does not count.
///
/// # Errors
/// [`TimezoneError`] if there is no zone of this name.
pub fn parse_timezone(name: &str) -> Result<Tz, TimezoneError> {
    let name = name.trim();
    let found = chrono_tz::TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(name));
    found.copied().ok_or_else(|| TimezoneError(name.to_owned()))
}

/// The zone that a text names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zone {
    /// Seconds east of UTC.
    Offset(i32),
    Named(Tz),
}

/// Of a local time that occurs twice the first one; one that a change of the clocks skips counts as an hour later.
pub(super) fn utc_millis(local: NaiveDateTime, zone: Tz) -> i64 {
    if zone == Tz::UTC {
        return local.and_utc().timestamp_millis();
    }
    let found = match zone.from_local_datetime(&local) {
        LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => Some(time),
        LocalResult::None => zone.from_local_datetime(&(local + Duration::hours(1))).earliest(),
    };
    found.map_or_else(|| local.and_utc().timestamp_millis(), |time| time.timestamp_millis())
}

/// The zone: `Z`, `UTC`, `+01:00`, `-0500`, `GMT+1`, `Europe/Berlin`; none if nothing is left.
pub(super) fn zone(text: &str) -> Option<Option<Zone>> {
    let text = text.trim();
    if text.is_empty() {
        return Some(None);
    }
    let upper = text.to_ascii_uppercase();
    let offset = match upper.as_str() {
        "Z" | "UTC" | "GMT" => return Some(Some(Zone::Offset(0))),
        _ if text.starts_with(|first: char| first.is_ascii_alphabetic())
            && !upper.starts_with(['U', 'G'])
            || text.contains('/') =>
        {
            return Some(Some(Zone::Named(text.parse().ok()?)));
        }
        _ => upper.strip_prefix("UTC").or_else(|| upper.strip_prefix("GMT")).unwrap_or(&upper),
    };
    let (sign, digits) = match offset.strip_prefix('+') {
        Some(digits) => (1, digits),
        None => (-1, offset.strip_prefix(['-', '\u{2212}'])?),
    };
    let mut rest = Rest(digits);
    let (number, length) = rest.number(1..=4)?;
    let number = i32::try_from(number).ok()?;
    let (hours, minutes) = match length {
        1 | 2 if rest.0.is_empty() => (number, 0),
        1 | 2 => {
            rest.take(':')?;
            (number, i32::try_from(rest.number(2..=2)?.0).ok()?)
        }
        _ => (number / 100, number % 100),
    };
    (rest.0.is_empty() && hours <= 15 && minutes < 60)
        .then_some(Some(Zone::Offset(sign * (hours * 3_600 + minutes * 60))))
}
