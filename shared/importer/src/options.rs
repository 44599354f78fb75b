//! How a file is to be read.

use chrono_tz::Tz;
use nextbasket_domain::{Currency, Timestamp};

use crate::mapping::Mapping;
use crate::number_format::DecimalSign;
use crate::profile::ProfileChoice;
use crate::source::TextEncoding;
use crate::time_format::{DateOrder, TimeFormat};

/// How a file is to be read.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// The time of the import: purchases more than a day later are refused, products are dated so.
    pub now: Timestamp,
    /// The currency of prices that name none; otherwise that of the recognised export, or euros.
    pub currency: Option<Currency>,
    /// Which of the file's columns are which of ours.
    pub mapping: Mapping,
    pub time_format: TimeFormat,
    /// The encoding of the text, if it is not recognised.
    pub encoding: Option<TextEncoding>,
    /// The zone of times that name none; UTC is assumed.
    pub timezone: Option<Tz>,
    /// The order of dates such as `03/04/2024`, if the file's dates do not show it.
    pub date_order: Option<DateOrder>,
    /// The decimal sign of numbers such as `1.234`, if the file's numbers do not show it.
    pub decimal: Option<DecimalSign>,
    /// Rows to keep: a column of the file and one of its values. Of several for a column one is enough.
    pub only: Vec<(String, String)>,
    /// Rows to skip: a column of the file and one of its values.
    pub skip: Vec<(String, String)>,
    /// Columns of the file whose blank cells take the value of the row above.
    pub fill_down: Vec<String>,
    /// Values of the user column that stand for nobody in particular: each basket of them is a visitor of its own.
    pub guests: Vec<String>,
    pub profile: ProfileChoice,
    /// Ids that are not products, such as postage.
    pub skip_products: Vec<Pattern>,
}

impl ImportOptions {
    /// A file with our own columns and forms, prices in `currency`.
    #[must_use]
    pub fn new(now: Timestamp, currency: Currency) -> Self {
        Self {
            now,
            currency: Some(currency),
            mapping: Mapping::default(),
            time_format: TimeFormat::default(),
            encoding: None,
            timezone: None,
            date_order: None,
            decimal: None,
            only: Vec::new(),
            skip: Vec::new(),
            fill_down: Vec::new(),
            guests: Vec::new(),
            profile: ProfileChoice::default(),
            skip_products: Vec::new(),
        }
    }
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
}
