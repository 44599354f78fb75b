//! Decimal text to minor units, digit by digit.

use nextbasket_domain::{Currency, Money};

/// The meaning of a price's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Price {
    Exact(Money),
    /// It had more decimals than the currency.
    Rounded(Money),
    /// Nothing, or less than half a minor unit.
    Zero(Currency),
    Negative,
    /// No number, or more than a price can be.
    Unreadable,
}

/// Decimals of the currencies that do not have two (ISO 4217, list one).
fn decimals(currency: Currency) -> usize {
    match currency.as_str() {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI"
        | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        _ => 2,
    }
}

/// Reads a price in major units.
pub(crate) fn parse(text: &str, currency: Currency) -> Price {
    let (negative, unsigned) = match text.strip_prefix(['-', '\u{2212}']) {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let Some((whole, fraction)) = split(unsigned) else { return Price::Unreadable };
    let digits = || whole.bytes().chain(fraction.bytes()).filter(u8::is_ascii_digit);
    if digits().all(|digit| digit == b'0') {
        return if digits().next().is_some() { Price::Zero(currency) } else { Price::Unreadable };
    }
    if negative {
        return Price::Negative;
    }
    let places = decimals(currency);
    let kept = fraction.bytes().chain(std::iter::repeat(b'0')).take(places);
    let amount = whole
        .bytes()
        .filter(u8::is_ascii_digit)
        .chain(kept)
        .try_fold(0_i64, |sum, digit| sum.checked_mul(10)?.checked_add(i64::from(digit - b'0')));
    let rest = fraction.get(places..).unwrap_or_default();
    let up = i64::from(rest.as_bytes().first().is_some_and(|digit| *digit >= b'5'));
    match amount.and_then(|amount| amount.checked_add(up)) {
        Some(0) => Price::Zero(currency),
        Some(amount) => match Money::new(amount, currency) {
            Ok(money) if rest.bytes().any(|digit| digit != b'0') => Price::Rounded(money),
            Ok(money) => Price::Exact(money),
            Err(_) => Price::Unreadable,
        },
        None => Price::Unreadable,
    }
}

/// The part before the decimal sign, with its separators of thousands checked, and the digits after it.
fn split(text: &str) -> Option<(&str, &str)> {
    if text.bytes().any(|byte| !matches!(byte, b'0'..=b'9' | b'.' | b',')) {
        return None;
    }
    let decimal = match (text.rfind('.'), text.rfind(',')) {
        (Some(point), Some(comma)) => Some(point.max(comma)),
        (Some(at), None) if text.matches('.').count() == 1 => Some(at),
        (None, Some(at)) if text.matches(',').count() == 1 && !is_thousands(text, at) => Some(at),
        _ => None,
    };
    let (whole, fraction) = match decimal {
        Some(at) => (text.get(..at)?, text.get(at + 1..)?),
        None => (text, ""),
    };
    let separator = if whole.contains('.') { '.' } else { ',' };
    let taken_by_decimal =
        decimal.is_some_and(|at| text.get(at..).is_some_and(|rest| rest.starts_with(separator)));
    let mut groups = whole.split(separator);
    let first = groups.next().unwrap_or_default();
    let mut separated = false;
    for group in groups {
        separated = true;
        if group.len() != 3 || group.bytes().any(|byte| !byte.is_ascii_digit()) {
            return None;
        }
    }
    if first.bytes().any(|byte| !byte.is_ascii_digit()) {
        return None;
    }
    if separated && (taken_by_decimal || !(1..=3).contains(&first.len())) {
        return None;
    }
    Some((whole, fraction))
}

/// `1,234` is a thousand, `1,23` and `0,125` are not.
fn is_thousands(text: &str, comma: usize) -> bool {
    text.len() - comma == 4 && (1..=3).contains(&comma) && !text.starts_with('0')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn euros(text: &str) -> Price {
        parse(text, Currency::parse("EUR").unwrap())
    }

    fn amount(text: &str, currency: &str) -> Option<i64> {
        match parse(text, Currency::parse(currency).unwrap()) {
            Price::Exact(money) | Price::Rounded(money) => Some(money.amount()),
            _ => None,
        }
    }

    #[test]
    fn decimal_texts_are_minor_units_exactly() {
        for (text, is) in [
            ("2.55", 255),
            ("2.5", 250),
            ("2", 200),
            (".5", 50),
            ("5.", 500),
            ("+2.55", 255),
            ("38970.00", 3_897_000),
            ("11,062.06", 1_106_206),
            ("11.062,06", 1_106_206),
            ("1,234,567.89", 123_456_789),
            ("1.234.567", 123_456_700),
            ("1,234,567", 123_456_700),
            ("1,234", 123_400),
            ("1.234", 123),
            ("2,55", 255),
            ("2,5", 250),
            ("0,125", 13),
            ("1234,567", 123_457),
            ("0.29", 29),
            ("1.005", 101),
            ("0.005", 1),
            ("9999999999.99", 999_999_999_999),
        ] {
            assert_eq!(amount(text, "EUR"), Some(is), "{text}");
        }
    }

    #[test]
    fn a_currency_has_its_own_decimals() {
        assert_eq!(amount("1500", "JPY"), Some(1500));
        assert_eq!(amount("1500.4", "JPY"), Some(1500));
        assert_eq!(amount("1.2345", "KWD"), Some(1235));
    }

    #[test]
    fn strange_prices_are_named() {
        for text in ["0", "0.00", "-0", "0.001", "00", "0,00"] {
            assert_eq!(euros(text), Price::Zero(Currency::parse("EUR").unwrap()), "{text}");
        }
        for text in ["-1", "-0.001", "-11,062.06", "−5"] {
            assert_eq!(euros(text), Price::Negative, "{text}");
        }
        for text in [
            "",
            ".",
            ",",
            "-",
            "NaN",
            "inf",
            "1e3",
            "£2.55",
            "2 55",
            "1,23,4.5",
            "1,23.4",
            "1.2.3",
            ",123.4",
            "1234,567.8",
            "10000000000.01",
            "99999999999999999999",
            "--1",
            "1-",
            "1.2,3.4",
            "1,234.567.8",
        ] {
            assert_eq!(euros(text), Price::Unreadable, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(amount in 1..=nextbasket_domain::money::MAX_AMOUNT) {
            let money = Money::new(amount, Currency::parse("EUR").unwrap()).unwrap();
            prop_assert_eq!(euros(&format!("{}.{:02}", amount / 100, amount % 100)), Price::Exact(money));
            prop_assert_eq!(euros(&format!("{},{:02}", amount / 100, amount % 100)), Price::Exact(money));
        }

        #[test]
        fn no_text_breaks_it(text in "[-+0-9.,e ]{0,12}|.{0,12}") {
            euros(&text);
        }
    }
}
