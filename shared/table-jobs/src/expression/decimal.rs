//! DynamoDB's numbers: up to 38 significant digits, compared by value.

use std::cmp::Ordering;

const MOST_DIGITS: usize = 38;
const LEAST_EXPONENT: i64 = -130;
const GREATEST_EXPONENT: i64 = 125;

/// A number as its sign, its significant digits and the power of ten of the first of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    /// Without zeros at either end; empty for zero.
    digits: Vec<u8>,
    exponent: i64,
}

impl Decimal {
    /// From digits with an optional sign, fraction and exponent; `None` if the text is none of it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let both = || whole.bytes().chain(fraction.bytes());
        if whole.len() + fraction.len() == 0 || !both().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let zeros = both().take_while(|&digit| digit == b'0').count();
        let mut digits: Vec<u8> = both().skip(zeros).collect();
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        if digits.is_empty() {
            return Some(Self { negative: false, digits, exponent: 0 });
        }
        let before_point = i64::try_from(whole.len()).ok()?.checked_sub(i64::try_from(zeros).ok()?)?;
        Some(Self { negative, digits, exponent: exponent.checked_add(before_point - 1)? })
    }

    /// Why DynamoDB would not take it.
    pub(super) fn problem(&self) -> Option<&'static str> {
        if self.digits.len() > MOST_DIGITS {
            return Some("a number has at most 38 digits");
        }
        if !self.digits.is_empty() && !(LEAST_EXPONENT..=GREATEST_EXPONENT).contains(&self.exponent) {
            return Some("a number lies between 1e-130 and 1e126");
        }
        None
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let magnitude = |left: &Self, right: &Self| match (left.digits.is_empty(), right.digits.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => left.exponent.cmp(&right.exponent).then_with(|| left.digits.cmp(&right.digits)),
        };
        match (self.negative, other.negative) {
            (false, false) => magnitude(self, other),
            (true, true) => magnitude(other, self),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn spellings_of_one_number_are_equal() {
        for (one, other) in
            [("1", "1.0"), ("0.010", "1e-2"), ("-0", "0"), ("1200", "1.2E3"), ("+5", "5"), ("000", "0.00")]
        {
            assert_eq!(decimal(one), decimal(other), "{one} {other}");
        }
    }

    #[test]
    fn digits_beyond_a_double_count() {
        assert!(
            decimal("12345678901234567890123456789012345678")
                > decimal("12345678901234567890123456789012345677")
        );
        assert_eq!(decimal("12345678901234567890123456789012345678").problem(), None);
        assert!(decimal("123456789012345678901234567890123456789").problem().is_some());
        assert_eq!(decimal("100000000000000000000000000000000000000000").problem(), None);
        assert!(decimal("1e126").problem().is_some());
        assert!(decimal("9.9e-131").problem().is_some());
    }

    #[test]
    fn other_texts_are_no_numbers() {
        for text in ["", "-", ".", "e5", "1e", "1e1.5", "1,5", "0x10", "1 ", "NaN"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn they_sort_as_numbers_do(a in -1_000_000_i64..1_000_000, b in -1_000_000_i64..1_000_000, shift in 0_usize..5) {
            let shifted = |n: i64| format!("{n}e-{shift}");
            prop_assert_eq!(decimal(&shifted(a)).cmp(&decimal(&shifted(b))), a.cmp(&b));
        }
    }
}
