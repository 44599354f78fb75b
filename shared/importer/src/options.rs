//! How a file is to be read.

use std::str::FromStr;

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use nextbasket_domain::{Currency, Timestamp, TimestampError};

use crate::mapping::Mapping;

/// How a file is to be read.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// The time of the import: purchases more than a day later are refused, products are dated so.
    pub now: Timestamp,
    /// The currency of prices that name none.
    pub currency: Currency,
    /// Which of the file's columns are which of ours.
    pub mapping: Mapping,
    pub time_format: TimeFormat,
    /// Ids that are not products, such as postage.
    pub skip_products: Vec<Pattern>,
}

impl ImportOptions {
    /// A file with our own columns and forms, prices in `currency`.
    #[must_use]
    pub fn new(now: Timestamp, currency: Currency) -> Self {
        Self {
            now,
            currency,
            mapping: Mapping::default(),
            time_format: TimeFormat::default(),
            skip_products: Vec::new(),
        }
    }
}

/// How a file writes times.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum TimeFormat {
    /// What [`Timestamp::parse_lenient`] takes, and whole numbers: seconds (up to eleven digits) or
    /// milliseconds since 1970.
    #[default]
    Usual,
    /// A pattern as `strftime` has them, such as `%d/%m/%Y %H:%M`; UTC unless it holds `%z`.
    Pattern(String),
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

impl TimeFormat {
    pub(crate) fn parse(&self, text: &str) -> Result<Timestamp, TimestampError> {
        match self {
            Self::Usual => match whole_number(text) {
                Some(number) => Timestamp::from_millis(number),
                None => Timestamp::parse_lenient(text),
            },
            Self::Pattern(pattern) => {
                let millis = DateTime::parse_from_str(text, pattern)
                    .map(|time| time.timestamp_millis())
                    .or_else(|_| {
                        NaiveDateTime::parse_from_str(text, pattern)
                            .map(|time| time.and_utc().timestamp_millis())
                    })
                    .or_else(|_| {
                        NaiveDate::parse_from_str(text, pattern)
                            .map(|day| day.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis())
                    })
                    .map_err(|_| TimestampError::Form)?;
                Timestamp::from_millis(millis)
            }
        }
    }
}

/// Milliseconds, from a text that is nothing but digits.
fn whole_number(text: &str) -> Option<i64> {
    // Eleven digits of seconds end in the year 5138, twelve of milliseconds in 2001: no shop's data is near.
    const SECONDS_DIGITS: usize = 11;
    // Fewer are a year or a day such as 20240131.
    const FEWEST_DIGITS: usize = 9;
    if text.len() < FEWEST_DIGITS || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: i64 = text.parse().ok()?;
    if text.len() <= SECONDS_DIGITS { number.checked_mul(1_000) } else { Some(number) }
}

/// A pattern for product ids: `*` stands for any characters, `?` for one. Case counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<char>);

impl Pattern {
    /// A pattern; every text is one.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.chars().collect())
    }

    /// The patterns of a list with commas, such as `POST,gift_*`.
    #[must_use]
    pub fn list(text: &str) -> Vec<Self> {
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(Self::new).collect()
    }

    /// Whether the whole text is as the pattern says.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut at, mut star) = ((0, 0), None);
        loop {
            match (self.0.get(at.0), text.get(at.1)) {
                (None, None) => return true,
                (Some('*'), _) => {
                    star = Some(at);
                    at.0 += 1;
                    continue;
                }
                (Some(wanted), Some(is)) if *wanted == '?' || wanted == is => {
                    at = (at.0 + 1, at.1 + 1);
                    continue;
                }
                _ => {}
            }
            // The last star takes one character more.
            match star {
                Some((pattern, from)) if from < text.len() => {
                    star = Some((pattern, from + 1));
                    at = (pattern + 1, from + 1);
                }
                _ => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_know_stars_and_question_marks() {
        for (pattern, text, is) in [
            ("POST", "POST", true),
            ("POST", "POSTER", false),
            ("POST", "post", false),
            ("gift_*", "gift_0001_20", true),
            ("gift_*", "gift_", true),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("?", "é", true),
            ("?", "", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-c-", false),
            ("*a", "baab", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text), is, "{pattern} {text}");
        }
        assert_eq!(Pattern::list("POST, gift_*,").len(), 2);
    }

    #[test]
    fn times_are_texts_seconds_or_milliseconds() {
        for (text, is) in [
            ("2010-12-01T08:26:00", "2010-12-01T08:26:00.000Z"),
            ("1291191960", "2010-12-01T08:26:00.000Z"),
            ("1291191960123", "2010-12-01T08:26:00.123Z"),
        ] {
            assert_eq!(TimeFormat::Usual.parse(text).unwrap().to_string(), is);
        }
        for text in ["2010", "20101201", "99999999999999999999", "soon", ""] {
            assert!(TimeFormat::Usual.parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_pattern_tells_days_from_months() {
        let time = |pattern: &str, text: &str| {
            pattern.parse::<TimeFormat>().unwrap().parse(text).map(|time| time.to_string())
        };
        assert_eq!(time("%d/%m/%Y %H:%M", "1/12/2010 8:26").unwrap(), "2010-12-01T08:26:00.000Z");
        assert_eq!(time("%m/%d/%Y", "12/1/2010").unwrap(), "2010-12-01T00:00:00.000Z");
        assert_eq!(time("%Y%m%d %H%M %z", "20101201 0826 +0100").unwrap(), "2010-12-01T07:26:00.000Z");
        assert_eq!(time("%m/%d/%Y", "31/12/2010"), Err(TimestampError::Form));
        assert!("dd/mm".parse::<TimeFormat>().is_err());
        assert!("%Y %".parse::<TimeFormat>().is_err());
    }
}
