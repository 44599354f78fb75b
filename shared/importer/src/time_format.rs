//! Dates and times as files have them.
//!
//! A time needs no pattern: RFC 3339 and its relatives, days and months in any order and with names, clocks of 12 and 24
//! hours, seconds to nanoseconds since 1970, and digits without separators are told apart by their form. Only whether
//! `03/04/2024` begins with the day or the month is not in the text: [`DateEvidence`] decides it from all values of a file.

use std::fmt;
use std::str::FromStr;

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, Duration, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeZone};
use chrono_tz::Tz;
use nextbasket_domain::{Timestamp, TimestampError};
use serde::{Deserialize, Serialize};

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

/// The order of the numbers of a date without a four-digit year at its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
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

/// A date or time as it is written, before zone and order are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeReading {
    /// A point in time, in milliseconds since 1970.
    Absolute(i64),
    Local(NaiveDateTime),
    /// A date that begins with the day or the month.
    DayOrMonth {
        first: u32,
        second: u32,
        year: i32,
        time: NaiveTime,
        zone: Option<Zone>,
        dotted: bool,
    },
}

/// The zone that a text names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zone {
    /// Seconds east of UTC.
    Offset(i32),
    Named(Tz),
}

impl TimeReading {
    /// The local time or the point in time, with this order of dates.
    fn resolve(self, order: DateOrder) -> Option<Self> {
        let Self::DayOrMonth { first, second, year, time, zone, .. } = self else { return Some(self) };
        let (day, month) = match order {
            DateOrder::DayFirst => (first, second),
            DateOrder::MonthFirst => (second, first),
        };
        Some(in_zone(NaiveDate::from_ymd_opt(year, month, day)?.and_time(time), zone))
    }
}

fn in_zone(local: NaiveDateTime, zone: Option<Zone>) -> TimeReading {
    match zone {
        Some(Zone::Offset(seconds)) => {
            TimeReading::Absolute(local.and_utc().timestamp_millis() - i64::from(seconds) * 1_000)
        }
        Some(Zone::Named(zone)) => TimeReading::Absolute(utc_millis(local, zone)),
        None => TimeReading::Local(local),
    }
}

/// Of a local time that occurs twice the first one; one that a change of the clocks skips counts as an hour later.
fn utc_millis(local: NaiveDateTime, zone: Tz) -> i64 {
    if zone == Tz::UTC {
        return local.and_utc().timestamp_millis();
    }
    let found = match zone.from_local_datetime(&local) {
        LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => Some(time),
        LocalResult::None => zone.from_local_datetime(&(local + Duration::hours(1))).earliest(),
    };
    found.map_or_else(|| local.and_utc().timestamp_millis(), |time| time.timestamp_millis())
}

/// Reads a date and time in any common form.
pub(crate) fn read(text: &str) -> Option<TimeReading> {
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && text.matches('.').count() <= 1 {
        return of_digits(text);
    }
    let mut rest = Rest(text);
    let date = date(&mut rest)?;
    rest.skip(|sign| matches!(sign, 'T' | 't' | ',' | ' ' | '\u{a0}' | '\u{202f}'));
    rest.skip_word("at");
    rest.skip_word("um");
    let has_clock = rest.0.starts_with(|next: char| next.is_ascii_digit());
    let time = if has_clock { clock(&mut rest)? } else { NaiveTime::MIN };
    let zone = zone(rest.0)?;
    match date {
        Date::Known(day) => Some(in_zone(day.and_time(time), zone)),
        Date::DayOrMonth { first, second, year, dotted } => {
            let both = |day, month| NaiveDate::from_ymd_opt(year, month, day);
            match (both(first, second), both(second, first)) {
                (None, None) => None,
                // Both orders give the same day.
                (Some(day), Some(other)) if day == other => Some(in_zone(day.and_time(time), zone)),
                _ => Some(TimeReading::DayOrMonth { first, second, year, time, zone, dotted }),
            }
        }
    }
}

/// What is left of a text.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn skip(&mut self, is: impl Fn(char) -> bool) {
        self.0 = self.0.trim_start_matches(is);
    }

    fn skip_word(&mut self, word: &str) {
        if let Some((start, rest)) = self.0.split_at_checked(word.len())
            && start.eq_ignore_ascii_case(word)
            && !rest.starts_with(|next: char| next.is_alphanumeric())
        {
            self.0 = rest.trim_start();
        }
    }

    /// A number of this many digits, with as many as there are.
    fn number(&mut self, digits: std::ops::RangeInclusive<usize>) -> Option<(u32, usize)> {
        let length = self.0.bytes().take_while(u8::is_ascii_digit).count();
        if !digits.contains(&length) {
            return None;
        }
        let (number, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some((number.parse().ok()?, length))
    }

    fn take(&mut self, sign: char) -> Option<()> {
        self.0 = self.0.strip_prefix(sign)?;
        Some(())
    }

    fn word(&mut self) -> &'a str {
        let length = self.0.find(|next: char| !next.is_alphabetic()).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at_checked(length).unwrap_or((self.0, ""));
        self.0 = rest;
        word
    }
}

enum Date {
    Known(NaiveDate),
    DayOrMonth { first: u32, second: u32, year: i32, dotted: bool },
}

fn date(rest: &mut Rest<'_>) -> Option<Date> {
    if rest.0.starts_with(|first: char| first.is_alphabetic()) {
        let mut word = rest.word();
        if is_weekday(word) {
            rest.skip(|sign| matches!(sign, '.' | ',' | ' '));
            if rest.0.starts_with(|first: char| first.is_ascii_digit()) {
                return date(rest);
            }
            word = rest.word();
        }
        // Jan 5, 2024
        let month = month(word)?;
        rest.skip(|sign| matches!(sign, '.' | ' ' | '-' | '/'));
        let (day, _) = rest.number(1..=2)?;
        ["st", "nd", "rd", "th"].iter().for_each(|ordinal| rest.skip_word(ordinal));
        rest.skip(|sign| matches!(sign, ',' | ' ' | '-' | '/' | '.'));
        let year = year(rest)?;
        return NaiveDate::from_ymd_opt(year, month, day).map(Date::Known);
    }
    let (first, digits) = rest.number(1..=4)?;
    if digits == 3 {
        return None;
    }
    let separator = rest.0.chars().next()?;
    if digits == 4 {
        let year = i32::try_from(first).ok()?;
        if !matches!(separator, '-' | '/' | '.') {
            return None;
        }
        rest.take(separator)?;
        let (month, _) = rest.number(1..=2)?;
        rest.take(separator)?;
        let (day, _) = rest.number(1..=2)?;
        return NaiveDate::from_ymd_opt(year, month, day).map(Date::Known);
    }
    rest.skip(|sign| matches!(sign, '-' | '/' | '.' | ' '));
    if rest.0.starts_with(|next: char| next.is_alphabetic()) {
        // 5 Jan 2024, 05-Jan-24, 5. Januar 2024
        let month = month(rest.word())?;
        rest.skip(|sign| matches!(sign, '-' | '/' | '.' | ' ' | ','));
        let year = year(rest)?;
        return NaiveDate::from_ymd_opt(year, month, first).map(Date::Known);
    }
    if !matches!(separator, '-' | '/' | '.') {
        return None;
    }
    let (second, _) = rest.number(1..=2)?;
    rest.take(separator)?;
    let year = year(rest)?;
    Some(Date::DayOrMonth { first, second, year, dotted: separator == '.' })
}

/// A year of four digits, or of two: from 1970 to 2069.
fn year(rest: &mut Rest<'_>) -> Option<i32> {
    let (year, digits) = rest.number(2..=4)?;
    let year = i32::try_from(year).ok()?;
    match digits {
        2 if year >= 70 => Some(1900 + year),
        2 => Some(2000 + year),
        4 => Some(year),
        _ => None,
    }
}

/// The month of an English or German name, or of its first letters.
fn month(word: &str) -> Option<u32> {
    const STARTS: [&[&str]; 12] = [
        &["jan", "jän"],
        &["feb"],
        &["mar", "mär", "mrz"],
        &["apr"],
        &["may", "mai"],
        &["jun"],
        &["jul"],
        &["aug"],
        &["sep"],
        &["oct", "okt"],
        &["nov"],
        &["dec", "dez"],
    ];
    let word = word.to_lowercase();
    let at = STARTS.iter().position(|starts| starts.iter().any(|start| word.starts_with(start)))?;
    u32::try_from(at + 1).ok()
}

fn is_weekday(word: &str) -> bool {
    const STARTS: [&str; 14] =
        ["mon", "tue", "wed", "thu", "fri", "sat", "sun", "di", "mi", "do", "fr", "sa", "so", "mo"];
    let word = word.to_lowercase();
    // Only names of months begin like a weekday too.
    month(&word).is_none() && STARTS.iter().any(|start| word.starts_with(start))
}

/// `8:26`, `08:26:00.123`, `8:26:00 AM`, `8 Uhr`
fn clock(rest: &mut Rest<'_>) -> Option<NaiveTime> {
    let (mut hour, _) = rest.number(1..=2)?;
    let (mut minute, mut second, mut millis) = (0, 0, 0);
    if rest.take(':').is_some() {
        minute = rest.number(2..=2)?.0;
        if rest.take(':').is_some() {
            second = rest.number(2..=2)?.0;
            if rest.0.starts_with(['.', ',']) {
                rest.0 = rest.0.get(1..)?;
                let fraction = rest.0.bytes().take_while(u8::is_ascii_digit).count();
                let digits = rest.0.get(..fraction)?;
                if digits.is_empty() {
                    return None;
                }
                let padded = format!("{digits:0<3}");
                millis = padded.get(..3)?.parse().ok()?;
                rest.0 = rest.0.get(fraction..)?;
            }
        }
    } else if !rest.0.trim_start().to_ascii_lowercase().starts_with(['a', 'p']) {
        return None;
    }
    rest.skip(|sign| matches!(sign, ' ' | '\u{a0}' | '\u{202f}'));
    rest.skip_word("Uhr");
    for (names, afternoon) in [(["am", "a.m."], false), (["pm", "p.m."], true)] {
        for name in names {
            let before = rest.0;
            rest.skip_word(name);
            if rest.0 != before {
                if !(1..=12).contains(&hour) {
                    return None;
                }
                hour = hour % 12 + if afternoon { 12 } else { 0 };
                return NaiveTime::from_hms_milli_opt(hour, minute, second, millis);
            }
        }
    }
    // A leap second counts as the second before it.
    NaiveTime::from_hms_milli_opt(hour, minute, second.min(59), millis).filter(|_| second <= 60)
}

/// The zone: `Z`, `UTC`, `+01:00`, `-0500`, `GMT+1`, `Europe/Berlin`; none if nothing is left.
fn zone(text: &str) -> Option<Option<Zone>> {
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

/// Digits alone: a compact date and time, or a number of seconds, milli-, micro- or nanoseconds since 1970.
fn of_digits(text: &str) -> Option<TimeReading> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let number: i64 = whole.parse().ok()?;
    let compact = |from: usize, to: usize| whole.get(from..to)?.parse::<u32>().ok();
    let local = |hms: Option<(u32, u32, u32)>| {
        let year = i32::try_from(compact(0, 4)?).ok()?;
        if !(1970..=2100).contains(&year) {
            return None;
        }
        let day = NaiveDate::from_ymd_opt(year, compact(4, 6)?, compact(6, 8)?)?;
        let (hour, minute, second) = hms.unwrap_or_default();
        Some(TimeReading::Local(day.and_hms_opt(hour, minute, second)?))
    };
    let millis_of_fraction =
        || format!("{fraction:0<3}").get(..3).and_then(|millis| millis.parse::<i64>().ok());
    match whole.len() {
        8 if fraction.is_empty() => local(None),
        9..=11 => Some(TimeReading::Absolute(number.checked_mul(1_000)? + millis_of_fraction()?)),
        // In milliseconds twelve digits end in 2001.
        12 if fraction.is_empty() => {
            local(Some((compact(8, 10)?, compact(10, 12)?, 0))).or(Some(TimeReading::Absolute(number)))
        }
        13 => Some(TimeReading::Absolute(number)),
        14 => local(Some((compact(8, 10)?, compact(10, 12)?, compact(12, 14)?))),
        16 => Some(TimeReading::Absolute(number / 1_000)),
        19 => Some(TimeReading::Absolute(number / 1_000_000)),
        _ => None,
    }
}

/// What digits alone are in a column of clocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ClockDigits {
    /// One or two are the hour, more are `hhmm`.
    #[default]
    ByLength,
    /// `hhmm`, with leading zeros or without: `5` is five past midnight.
    HoursAndMinutes,
}

/// A clock in a column of its own: as behind a date, or digits alone: `1631`, `931`, `8`.
pub(crate) fn read_clock(text: &str, digits: ClockDigits) -> Option<NaiveTime> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number: u32 = text.parse().ok()?;
        return match text.len() {
            1 | 2 if digits == ClockDigits::ByLength => NaiveTime::from_hms_opt(number, 0, 0),
            1..=4 => NaiveTime::from_hms_opt(number / 100, number % 100, 0),
            5 | 6 => NaiveTime::from_hms_opt(number / 10_000, number / 100 % 100, number % 100),
            _ => None,
        };
    }
    let mut rest = Rest(text);
    clock(&mut rest).filter(|_| rest.0.trim().is_empty())
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

/// What the dates of a file show about their order.
#[derive(Debug, Default)]
pub(crate) struct DateEvidence {
    /// The line and text of the first date of each kind: with a day beyond 12 at the first place, at the second, and
    /// without any.
    pub(crate) day_first: Option<(u64, String)>,
    pub(crate) month_first: Option<(u64, String)>,
    pub(crate) either: Option<(u64, String)>,
    dotted: bool,
    /// Some times name no zone.
    pub(crate) local: bool,
}

impl DateEvidence {
    pub(crate) fn add(&mut self, reading: TimeReading, line: u64, text: &str) {
        let TimeReading::DayOrMonth { first, second, zone, dotted, .. } = reading else {
            self.local |= matches!(reading, TimeReading::Local(_));
            return;
        };
        self.local |= zone.is_none();
        self.dotted |= dotted;
        let place = match (first > 12, second > 12) {
            (true, _) => &mut self.day_first,
            (_, true) => &mut self.month_first,
            _ => &mut self.either,
        };
        if place.is_none() {
            *place = Some((line, text.to_owned()));
        }
    }

    /// The order of all dates; `None` if they show it themselves. Dates with dots begin with the day everywhere.
    pub(crate) fn decide(&self) -> Result<Option<DateOrder>, DateOrderError> {
        match (&self.day_first, &self.month_first, &self.either) {
            (None, None, None) => Ok(None),
            (Some(_), None, _) => Ok(Some(DateOrder::DayFirst)),
            (None, Some(_), _) => Ok(Some(DateOrder::MonthFirst)),
            (Some(day), Some(month), _) => Err(DateOrderError::Mixed(day.clone(), month.clone())),
            (None, None, Some(_)) if self.dotted => Ok(Some(DateOrder::DayFirst)),
            (None, None, Some(either)) => Err(DateOrderError::Unknown(either.clone())),
        }
    }
}

/// Why the order of a file's dates is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DateOrderError {
    /// One date begins with the day, another with the month.
    Mixed((u64, String), (u64, String)),
    /// Any date could begin with either.
    Unknown((u64, String)),
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
