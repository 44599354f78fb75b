//! Texts to dates and times, as far as the text alone says what it means.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use serde::{Deserialize, Serialize};

use super::DateOrder;
use super::zone::{Zone, utc_millis, zone};

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

impl TimeReading {
    /// The local time or the point in time, with this order of dates.
    pub(super) fn resolve(self, order: DateOrder) -> Option<Self> {
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
pub(super) struct Rest<'a>(pub(super) &'a str);

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
    pub(super) fn number(&mut self, digits: std::ops::RangeInclusive<usize>) -> Option<(u32, usize)> {
        let length = self.0.bytes().take_while(u8::is_ascii_digit).count();
        if !digits.contains(&length) {
            return None;
        }
        let (number, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some((number.parse().ok()?, length))
    }

    pub(super) fn take(&mut self, sign: char) -> Option<()> {
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
