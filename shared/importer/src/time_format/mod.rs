//! Dates and times as files have them.
//!
//! A time needs no pattern: RFC 3339 and its relatives, days and months in any order and with names, clocks of 12 and 24
//! hours, seconds to nanoseconds since 1970, and digits without separators are told apart by their form (`reading`). Only
//! whether `03/04/2024` begins with the day or the month is not in the text: [`DateEvidence`] decides it from all values of
//! a file.

mod evidence;
mod reading;
mod zone;

use std::fmt;
use std::str::FromStr;

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, Duration, NaiveDate, NaiveDateTime, NaiveTime};
use chrono_tz::Tz;
use nextbasket_domain::{Timestamp, TimestampError};
use serde::{Deserialize, Serialize};

pub(crate) use evidence::{DateEvidence, DateOrderError};
pub(crate) use reading::{ClockDigits, TimeReading, read, read_clock};
pub use zone::{TimezoneError, parse_timezone};

use zone::utc_millis;

/// How a file writes times.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TimeFormat {
    /// As the text shows by itself.
    #[default]
    Usual,
    /// A pattern as `strftime` has them, such as `%d/%m/%Y %H:%M`.
    Pattern(String),
    /// A number of days since this date.
    DaysSince(NaiveDate),
}

/// The text is not a pattern for times.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid time format \"{0}\": expected a pattern such as %d/%m/%Y %H:%M")]
pub struct TimeFormatError(String);

impl FromStr for TimeFormat {
    type Err = TimeFormatError;

    fn from_str(text: &str) -> Result<Self, TimeFormatError> {
        let literal = |item: &Item<'_>| matches!(item, Item::Literal(_) | Item::Space(_));
        let items: Vec<_> = StrftimeItems::new(text).collect();
        if items.iter().any(|item| matches!(item, Item::Error)) || items.iter().all(literal) {
            return Err(TimeFormatError(text.to_owned()));
        }
        Ok(Self::Pattern(text.to_owned()))
    }
}

/// The order of the numbers of a date without a four-digit year at its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum DateOrder {
    /// `31/12/2024`
    DayFirst,
    /// `12/31/2024`
    MonthFirst,
}

impl fmt::Display for DateOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DayFirst => "day-first",
            Self::MonthFirst => "month-first",
        })
    }
}

/// How the times of a file are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TimeReader {
    pub(crate) format: TimeFormat,
    /// The zone of times that name none.
    pub(crate) zone: Tz,
    pub(crate) order: Option<DateOrder>,
    #[serde(default)]
    pub(crate) clock: ClockDigits,
}

impl TimeReader {
    /// The point in time of a date and time, with the clock of a column of its own if there is one.
    pub(crate) fn parse(&self, text: &str, clock: Option<&str>) -> Result<Timestamp, TimestampError> {
        let reading = self.reading(text).ok_or(TimestampError::Form)?;
        let millis = match (reading, clock) {
            (TimeReading::Absolute(millis), _) => millis,
            (TimeReading::Local(local), None) => utc_millis(local, self.zone),
            (TimeReading::Local(local), Some(clock)) => {
                let clock = read_clock(clock, self.clock).ok_or(TimestampError::Form)?;
                utc_millis(local.date().and_time(clock), self.zone)
            }
            (TimeReading::DayOrMonth { .. }, _) => return Err(TimestampError::Form),
        };
        Timestamp::from_millis(millis)
    }

    fn reading(&self, text: &str) -> Option<TimeReading> {
        match &self.format {
            TimeFormat::Usual => match read(text)? {
                ambiguous @ TimeReading::DayOrMonth { .. } => {
                    self.order.and_then(|order| ambiguous.resolve(order))
                }
                reading => Some(reading),
            },
            TimeFormat::Pattern(pattern) => read_pattern(text, pattern),
            TimeFormat::DaysSince(start) => {
                let days = text.strip_suffix(".0").unwrap_or(text).parse::<i64>().ok()?;
                let day = start.checked_add_signed(Duration::try_days(days)?)?;
                Some(TimeReading::Local(day.and_time(NaiveTime::MIN)))
            }
        }
    }

    /// The form that a time must have, for messages.
    pub(crate) fn expected(&self) -> String {
        match (&self.format, self.order) {
            (TimeFormat::Pattern(pattern), _) => format!("a time from 1970 on, of the form {pattern}"),
            (TimeFormat::DaysSince(start), _) => format!("a number of days since {start}"),
            (TimeFormat::Usual, Some(DateOrder::DayFirst)) => {
                "a time from 1970 on, such as 17/05/2026 09:30".into()
            }
            (TimeFormat::Usual, Some(DateOrder::MonthFirst)) => {
                "a time from 1970 on, such as 05/17/2026 09:30".into()
            }
            (TimeFormat::Usual, None) => "a time from 1970 on, such as 2026-05-17T09:30:00Z".into(),
        }
    }
}

pub(crate) fn read_pattern(text: &str, pattern: &str) -> Option<TimeReading> {
    if let Ok(time) = DateTime::parse_from_str(text, pattern) {
        return Some(TimeReading::Absolute(time.timestamp_millis()));
    }
    NaiveDateTime::parse_from_str(text, pattern)
        .or_else(|_| NaiveDate::parse_from_str(text, pattern).map(|day| day.and_time(NaiveTime::MIN)))
        .ok()
        .map(TimeReading::Local)
}

/// The pattern with day and month exchanged; `None` if it has not both as numbers.
pub(crate) fn exchanged(pattern: &str) -> Option<String> {
    let both = pattern.contains("%d") && pattern.contains("%m");
    both.then(|| pattern.replace("%d", "\u{0}").replace("%m", "%d").replace('\u{0}', "%m"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reader(order: Option<DateOrder>, zone: Tz) -> TimeReader {
        TimeReader { format: TimeFormat::Usual, zone, order, clock: ClockDigits::ByLength }
    }

    fn utc(text: &str, order: Option<DateOrder>) -> String {
        match reader(order, Tz::UTC).parse(text, None) {
            Ok(time) => time.to_string().trim_end_matches(":00.000Z").to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn times_are_known_by_their_form() {
        for (text, is) in [
            ("2010-12-01T08:26:00Z", "2010-12-01T08:26"),
            ("2010-12-01T08:26:00+01:00", "2010-12-01T07:26"),
            ("2010-12-01 08:26:00 UTC", "2010-12-01T08:26"),
            ("2010-12-01 08:26:00 +0100", "2010-12-01T07:26"),
            ("2010-12-01 08:26:00.5", "2010-12-01T08:26:00.500Z"),
            ("2010-12-01 08:26:07,123456", "2010-12-01T08:26:07.123Z"),
            ("2010/12/1 8:26", "2010-12-01T08:26"),
            ("2010-12-01", "2010-12-01T00:00"),
            ("20101201", "2010-12-01T00:00"),
            ("202401311530", "2024-01-31T15:30"),
            ("20240131153000", "2024-01-31T15:30"),
            ("1291191960", "2010-12-01T08:26"),
            ("1291191960.25", "2010-12-01T08:26:00.250Z"),
            ("1291191960000", "2010-12-01T08:26"),
            ("978307200000", "2001-01-01T00:00"),
            ("1291191960000000", "2010-12-01T08:26"),
            ("1291191960000000000", "2010-12-01T08:26"),
            ("Dec 1, 2010 8:26 AM", "2010-12-01T08:26"),
            ("December 1st, 2010 at 8:26 p.m.", "2010-12-01T20:26"),
            ("Wed, 01 Dec 2010 08:26:00 GMT", "2010-12-01T08:26"),
            ("1 December 2010", "2010-12-01T00:00"),
            ("01-Dec-10 12:05 am", "2010-12-01T00:05"),
            ("1. Dezember 2010, 8:26 Uhr", "2010-12-01T08:26"),
            ("05/05/2010 8:26", "2010-05-05T08:26"),
            ("2010-12-01 8:26 Europe/Berlin", "2010-12-01T07:26"),
            ("2010-12-01 8:26 CET", "2010-12-01T07:26"),
            ("2010-12-01 America/New_York", "2010-12-01T05:00"),
            ("2010-12-01 8:26 UTC+2", "2010-12-01T06:26"),
        ] {
            assert_eq!(utc(text, None), is, "{text}");
        }
        for text in [
            "",
            "yesterday",
            "2010-13-01",
            "2010-02-30",
            "12:30",
            "2010-12-01 25:00",
            "2010-12-01 8:26 noon",
            "123",
            "99999999",
            "12345678901234567890",
            "2010-12",
            "1/2",
            "2010-12-01T08:26:00Zx",
            "31/31/2010",
        ] {
            assert!(utc(text, Some(DateOrder::DayFirst)).starts_with("must be"), "{text}");
        }
    }

    #[test]
    fn the_order_of_a_date_comes_from_the_file() {
        assert_eq!(utc("03/04/2024 10:00", Some(DateOrder::DayFirst)), "2024-04-03T10:00");
        assert_eq!(utc("03/04/2024 10:00", Some(DateOrder::MonthFirst)), "2024-03-04T10:00");
        assert!(utc("03/04/2024", None).starts_with("must be"));
        assert!(utc("25/12/2024", Some(DateOrder::MonthFirst)).starts_with("must be"));
        let decided = |texts: &[&str]| {
            let mut evidence = DateEvidence::default();
            for (line, text) in (1..).zip(texts) {
                evidence.add(read(text).unwrap(), line, text);
            }
            evidence.decide()
        };
        assert_eq!(decided(&["1/2/2024", "13/2/2024"]), Ok(Some(DateOrder::DayFirst)));
        assert_eq!(decided(&["1/2/2024", "2/13/24 8:00 PM"]), Ok(Some(DateOrder::MonthFirst)));
        assert_eq!(decided(&["1.2.2024"]), Ok(Some(DateOrder::DayFirst)));
        assert_eq!(decided(&["2024-02-01", "3/3/2024"]), Ok(None));
        assert_eq!(decided(&["1/2/2024"]), Err(DateOrderError::Unknown((1, "1/2/2024".into()))));
        let mixed = DateOrderError::Mixed((1, "13/2/2024".into()), (2, "2/13/2024".into()));
        assert_eq!(decided(&["13/2/2024", "2/13/2024"]), Err(mixed));
    }

    #[test]
    fn local_times_are_of_the_files_zone() {
        let berlin = reader(None, Tz::Europe__Berlin);
        let at = |text: &str| berlin.parse(text, None).unwrap().to_string();
        assert_eq!(at("2024-07-01 12:00"), "2024-07-01T10:00:00.000Z");
        assert_eq!(at("2024-01-01 12:00"), "2024-01-01T11:00:00.000Z");
        assert_eq!(at("2024-07-01 12:00Z"), "2024-07-01T12:00:00.000Z");
        assert_eq!(at("2024-03-31 02:30"), "2024-03-31T01:30:00.000Z");
        assert_eq!(at("2024-10-27 02:30"), "2024-10-27T00:30:00.000Z");
    }

    #[test]
    fn a_clock_may_have_a_column_of_its_own() {
        let days = TimeReader {
            format: TimeFormat::DaysSince(NaiveDate::from_ymd_opt(2014, 1, 1).unwrap()),
            zone: Tz::UTC,
            order: None,
            clock: ClockDigits::ByLength,
        };
        let at = |day, clock| days.parse(day, Some(clock)).unwrap().to_string();
        assert_eq!(at("51", "1631"), "2014-02-21T16:31:00.000Z");
        assert_eq!(at("0", "931"), "2014-01-01T09:31:00.000Z");
        assert_eq!(at("1.0", "8"), "2014-01-02T08:00:00.000Z");
        assert_eq!(at("1", "9:05:30 PM"), "2014-01-02T21:05:30.000Z");
        assert!(days.parse("1", Some("25:00")).is_err());
        assert!(days.parse("soon", None).is_err());
        let minutes = |text| read_clock(text, ClockDigits::HoursAndMinutes).map(|clock| clock.to_string());
        assert_eq!(
            ["5", "45", "945"].map(minutes),
            ["00:05:00", "00:45:00", "09:45:00"].map(|is| Some(is.to_owned()))
        );
    }

    #[test]
    fn a_pattern_is_checked_and_can_be_exchanged() {
        assert!("%Q".parse::<TimeFormat>().is_err());
        assert!("day".parse::<TimeFormat>().is_err());
        assert_eq!(exchanged("%d/%m/%Y %H:%M").as_deref(), Some("%m/%d/%Y %H:%M"));
        assert_eq!(exchanged("%Y-%j"), None);
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "[-+0-9:./ TZamp,]{0,24}|[A-Za-zä0-9 ,.:]{0,24}|.{0,20}") {
            if let Some(reading) = read(&text) {
                let _ = reading.resolve(DateOrder::DayFirst);
            }
            let _ = read_clock(&text, ClockDigits::ByLength);
            let _ = utc(&text, Some(DateOrder::MonthFirst));
        }

        #[test]
        fn a_time_in_any_form_is_itself(
            seconds in 86_400_i64..4_102_444_800, form in 0_usize..12
        ) {
            let time = DateTime::from_timestamp(seconds, 0).unwrap();
            let (pattern, order) = [
                ("%Y-%m-%dT%H:%M:%SZ", None), ("%Y-%m-%d %H:%M:%S", None), ("%d/%m/%Y %H:%M:%S", Some(DateOrder::DayFirst)),
                ("%m/%d/%Y %I:%M:%S %p", Some(DateOrder::MonthFirst)), ("%d.%m.%Y %H:%M:%S", Some(DateOrder::DayFirst)),
                ("%b %e, %Y %H:%M:%S", None), ("%d-%b-%Y %H:%M:%S", None), ("%A, %d %B %Y %H:%M:%S", None),
                ("%Y%m%d%H%M%S", None), ("%a, %d %b %Y %H:%M:%S GMT", None), ("%Y/%m/%d %H:%M:%S UTC", None),
                ("%Y-%m-%d %H:%M:%S +0000", None),
            ][form];
            let text = time.format(pattern).to_string();
            let read = reader(order, Tz::UTC).parse(&text, None);
            prop_assert_eq!(read.map(Timestamp::as_millis), Ok(seconds * 1_000), "{}", text);
        }
    }
}
