//! DynamoDB's numbers by their value, whatever their spelling.
//!
//! Up to 38 significant digits, from 1e-130 to 9.99…e125, as documented under "Data types" of the developer guide.

use std::cmp::Ordering;

use crate::error::shown;

const MOST_DIGITS: usize = 38;
const LEAST_EXPONENT: i64 = -130;
const GREATEST_EXPONENT: i64 = 125;

/// Why a text is no number of DynamoDB's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// It is none at all.
    #[error("{0} is not a number")]
    NotOne(String),
    /// It has too many digits.
    #[error("{0} has more than 38 digits")]
    Digits(String),
    /// It is too large or too small.
    #[error("{0} is not between 1e-130 and 1e126")]
    Range(String),
}

/// A number: its sign, its significant digits and the power of ten of the first of them. Equal for equal values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    negative: bool,
    exponent: i16,
    /// How many of `digits` count; none for zero.
    count: u8,
    digits: [u8; MOST_DIGITS],
}

impl Number {
    /// From digits with an optional sign, fraction and exponent.
    ///
    /// # Errors
    /// [`NumberError`] if the text is no number, or one that DynamoDB does not take.
    pub fn parse(text: &str) -> Result<Self, NumberError> {
        let not_one = || NumberError::NotOne(shown(text));
        let (negative, rest) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let mut number = Self { negative, exponent: 0, count: 0, digits: [0; MOST_DIGITS] };
        let (mut whole, mut leading, mut pending) = (0_i64, 0_i64, 0_usize);
        let (mut any, mut point, mut power) = (false, false, 0_i64);
        let mut bytes = rest.iter();
        while let Some(&byte) = bytes.next() {
            match byte {
                b'0'..=b'9' => {
                    any = true;
                    whole += i64::from(!point);
                    if byte == b'0' && number.count == 0 {
                        leading += 1;
                    } else if byte == b'0' {
                        pending += 1;
                    } else if !number.push(std::mem::take(&mut pending), byte) {
                        return Err(NumberError::Digits(shown(text)));
                    }
                }
                b'.' if !point => point = true,
                b'e' | b'E' if any => {
                    let tail = std::str::from_utf8(bytes.as_slice()).map_err(|_| not_one())?;
                    power = tail.parse().map_err(|_| not_one())?;
                    break;
                }
                _ => return Err(not_one()),
            }
        }
        if !any {
            return Err(not_one());
        }
        if number.count == 0 {
            return Ok(Self { negative: false, ..number });
        }
        let exponent = power
            .checked_add(whole - leading - 1)
            .filter(|exponent| (LEAST_EXPONENT..=GREATEST_EXPONENT).contains(exponent));
        match exponent.and_then(|exponent| i16::try_from(exponent).ok()) {
            Some(exponent) => Ok(Self { exponent, ..number }),
            None => Err(NumberError::Range(shown(text))),
        }
    }

    /// Adds zeros and a digit; `false` if there is no room.
    fn push(&mut self, zeros: usize, digit: u8) -> bool {
        let at = usize::from(self.count) + zeros;
        let Some(place) = self.digits.get_mut(at) else { return false };
        *place = digit - b'0';
        self.count = u8::try_from(at + 1).unwrap_or(u8::MAX);
        true
    }

    /// The digits that count, each from 0 to 9.
    fn significant(&self) -> &[u8] {
        self.digits.get(..usize::from(self.count)).unwrap_or_default()
    }

    /// Writes bytes that are equal for equal numbers, and of which none begins another's.
    pub fn write_canonical(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.negative));
        out.extend_from_slice(&self.exponent.to_be_bytes());
        out.push(self.count);
        out.extend_from_slice(self.significant());
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let magnitude = |left: &Self, right: &Self| match (left.count, right.count) {
            (0, 0) => Ordering::Equal,
            (0, _) => Ordering::Less,
            (_, 0) => Ordering::Greater,
            _ => left.exponent.cmp(&right.exponent).then_with(|| left.digits.cmp(&right.digits)),
        };
        match (self.negative, other.negative) {
            (false, false) => magnitude(self, other),
            (true, true) => magnitude(other, self),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl std::fmt::Display for Number {
    /// As JSON has numbers: `-1.25E-7`, `12E0` is written `1.2E1`, and zero `0`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some((first, rest)) = self.significant().split_first() else { return f.write_str("0") };
        write!(f, "{}{first}", if self.negative { "-" } else { "" })?;
        if !rest.is_empty() {
            f.write_str(".")?;
        }
        for digit in rest {
            write!(f, "{digit}")?;
        }
        if self.exponent == 0 { Ok(()) } else { write!(f, "E{}", self.exponent) }
    }
}

/// Whether the text is a number as JSON spells them: no sign `+`, no zero in front, digits on both sides of a point.
#[must_use]
pub fn is_json(text: &str) -> bool {
    let digits = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let bytes = text.as_bytes();
    let rest = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest.first() == Some(&b'0')) {
        return false;
    }
    let mut rest = rest.get(whole..).unwrap_or_default();
    if let Some(fraction) = rest.strip_prefix(b".") {
        let count = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = fraction.get(count..).unwrap_or_default();
    }
    if let [b'e' | b'E', power @ ..] = rest {
        let power = power.strip_prefix(b"-").or_else(|| power.strip_prefix(b"+")).unwrap_or(power);
        let count = digits(power);
        return count > 0 && count == power.len();
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    #[test]
    fn spellings_of_one_number_are_equal() {
        for (one, other) in [
            ("1", "1.0"),
            ("1", "1E0"),
            ("0.010", "1e-2"),
            ("-0", "0.00"),
            ("1200", "1.2E+3"),
            ("+5", "5"),
            (".5", "0.5"),
            ("007", "7"),
            ("0", "0e999"),
        ] {
            assert_eq!(number(one), number(other), "{one} {other}");
        }
        assert_ne!(number("1"), number("-1"));
        assert_ne!(number("1"), number("10"));
        assert_ne!(number("101"), number("11"));
    }

    #[test]
    fn digits_beyond_a_double_count() {
        let (more, less) =
            ("12345678901234567890123456789012345678", "12345678901234567890123456789012345677");
        assert!(number(more) > number(less));
        assert!(number("-1e-130") < number("0") && number("0") < number("1e-130"));
    }

    #[test]
    fn digits_and_powers_are_held_to_what_dynamodb_takes() {
        for text in ["9".repeat(38), format!("{}000000", "9".repeat(38)), "1e-130".into(), "9.99e125".into()]
        {
            number(&text);
        }
        for (text, problem) in [
            ("9".repeat(39), "more than 38 digits"),
            ("1e126".to_owned(), "not between"),
            ("1e-131".to_owned(), "not between"),
            (format!("1e{}", i64::MAX), "not between"),
            (String::new(), "is not a number"),
            ("-".to_owned(), "is not a number"),
            (".".to_owned(), "is not a number"),
            ("1e".to_owned(), "is not a number"),
            ("1.2.3".to_owned(), "is not a number"),
            ("1,5".to_owned(), "is not a number"),
            (" 1".to_owned(), "is not a number"),
            ("NaN".to_owned(), "is not a number"),
        ] {
            let error = Number::parse(&text).unwrap_err().to_string();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }

    #[test]
    fn they_are_written_as_json_spells_them() {
        for (text, written) in [("0.0", "0"), ("-12.50", "-1.25E1"), (".5", "5E-1"), ("7", "7")] {
            assert_eq!(number(text).to_string(), written);
            assert!(is_json(written));
            assert_eq!(number(written), number(text));
        }
        for text in ["1", "-1.5", "0", "0.5", "1e5", "1E+5", "12E-3"] {
            assert!(is_json(text), "{text}");
        }
        for text in ["", "-", "01", ".5", "5.", "+5", "1e", "1e+", "1 ", "0x1"] {
            assert!(!is_json(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn they_sort_as_numbers_do(a in -1_000_000_i64..1_000_000, b in -1_000_000_i64..1_000_000, shift in 0_usize..5) {
            let shifted = |n: i64| number(&format!("{n}e-{shift}"));
            prop_assert_eq!(shifted(a).cmp(&shifted(b)), a.cmp(&b));
        }
    }
}
