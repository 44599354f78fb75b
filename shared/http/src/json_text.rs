//! What the text of a JSON body says and serde's types do not see: numbers that are whole, and keys that are repeated.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// The most digits that a whole number is given with: more do not fit into 64 bits.
const MAX_DIGITS: usize = 18;

/// The text with each whole number written without fraction and exponent.
///
/// JSON Schema calls `1.0` and `1e2` integers, and some clients write them so; serde takes them as floating-point
/// numbers, which it refuses for integers. Numbers that are not whole, or too large for an integer, stay as they are.
pub(crate) fn with_whole_numbers(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut changed = String::new();
    let (mut at, mut copied) = (0, 0);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_string(bytes, at),
            b'-' | b'0'..=b'9' => {
                let part = |c: &u8| matches!(c, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                let length = bytes.iter().skip(at).take_while(|c| part(c)).count();
                let number = text.get(at..at + length).unwrap_or_default();
                if let Some(whole) = whole(number) {
                    changed.push_str(text.get(copied..at).unwrap_or_default());
                    changed.push_str(&whole);
                    copied = at + length;
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    changed.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(changed)
}

/// Where the string that begins at `at` ends: after its closing quote.
fn end_of_string(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(&byte) = bytes.get(at) {
        at += if byte == b'\\' { 2 } else { 1 };
        if byte == b'"' {
            break;
        }
    }
    at
}

/// The whole number in plain digits; `None` for one that is written so already, and for anything else.
fn whole(number: &str) -> Option<String> {
    if !number.contains(['.', 'e', 'E']) {
        return None;
    }
    let (sign, unsigned) = match number.strip_prefix('-') {
        Some(unsigned) => ("-", unsigned),
        None => ("", number),
    };
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (integer, fraction) = match mantissa.split_once('.') {
        Some((integer, fraction)) if !fraction.is_empty() => (integer, fraction),
        Some(_) => return None,
        None => (mantissa, ""),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = integer.len() > 1 && integer.starts_with('0');
    let exponent_digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let is_json = !integer.is_empty()
        && !leading_zero
        && !exponent_digits.is_empty()
        && [integer, fraction, exponent_digits].into_iter().all(digits);
    if !is_json {
        return None;
    }
    let all = format!("{integer}{fraction}");
    let significant = all.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return Some("0".to_owned());
    }
    // The place of the last significant digit: 0 are the ones.
    let exponent: i64 = exponent.parse().ok()?;
    let dropped = all.len() - all.trim_end_matches('0').len();
    let place = exponent
        .checked_sub(i64::try_from(fraction.len()).ok()?)?
        .checked_add(i64::try_from(dropped).ok()?)?;
    let zeros = usize::try_from(place).ok()?;
    if significant.len().checked_add(zeros)? > MAX_DIGITS {
        return None;
    }
    Some(format!("{sign}{significant}{}", "0".repeat(zeros)))
}

/// Any JSON in which no object has a key twice. Types that take any key would otherwise keep the last value.
pub(crate) struct UniqueKeys;

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueKeysVisitor)
    }
}

struct UniqueKeysVisitor;

impl<'de> Visitor<'de> for UniqueKeysVisitor {
    type Value = UniqueKeys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<UniqueKeys, A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if seen.contains(&key) {
                return Err(A::Error::custom(format_args!("duplicate field `{key}`")));
            }
            map.next_value::<UniqueKeys>()?;
            seen.insert(key);
        }
        Ok(UniqueKeys)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<UniqueKeys, A::Error> {
        while items.next_element::<UniqueKeys>()?.is_some() {}
        Ok(UniqueKeys)
    }

    fn visit_bool<E>(self, _: bool) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_i64<E>(self, _: i64) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_u64<E>(self, _: u64) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_f64<E>(self, _: f64) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_str<E>(self, _: &str) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_unit<E>(self) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn whole_numbers_lose_their_fraction_and_exponent_and_nothing_else_changes() {
        for (text, becomes) in [
            ("1.0", "1"),
            ("-1.0", "-1"),
            ("0.0", "0"),
            ("-0.0", "0"),
            ("0e999999999999", "0"),
            ("1e2", "100"),
            ("1E+2", "100"),
            ("1.50e1", "15"),
            ("100e-2", "1"),
            ("0.001e3", "1"),
            ("10.0e-1", "1"),
            ("123456789012345678.0", "123456789012345678"),
            (r#"{"a":[1.0,2.5],"b":"1.0"}"#, r#"{"a":[1,2.5],"b":"1.0"}"#),
            (r#"{"1.0":1.0,"a\"1.0":"\\","é":2e0}"#, r#"{"1.0":1,"a\"1.0":"\\","é":2}"#),
        ] {
            assert_eq!(with_whole_numbers(text), becomes, "{text}");
        }
        for text in [
            "1",
            "-1",
            "1.5",
            "1.0000000000000000000001",
            "1e-1",
            "1e19",
            "1e400",
            "1e99999999999999999999",
            "1.",
            ".5",
            "01.0",
            "1.0.0",
            "1e",
            "1e+",
            "--1.0",
            "1-0.0",
            "+",
            "-",
            "",
            "\"1.0",
            "\"\\",
            "e1",
            "NaN",
        ] {
            assert_eq!(with_whole_numbers(text), text);
        }
    }

    proptest! {
        #[test]
        fn a_number_keeps_its_value(integer in 0_u64..10_000, zeros in 0_usize..4, exponent in -4_i32..5) {
            let text = format!("{integer}.{}e{exponent}", "0".repeat(zeros + 1));
            let before: f64 = serde_json::from_str(&text).unwrap();
            let after: Value = serde_json::from_str(&with_whole_numbers(&text)).unwrap();
            prop_assert!((after.as_f64().unwrap() - before).abs() <= before * 1e-12, "{} became {}", text, after);
            prop_assert_eq!(after.is_u64(), before.fract() == 0.0, "{} became {}", text, after);
        }

        #[test]
        fn any_text_keeps_its_sense(text in r#"[-0-9.eE+"\\{}\[\],: ant]{0,40}"#) {
            let changed = with_whole_numbers(&text).into_owned();
            let (before, after) = (serde_json::from_str::<Value>(&text), serde_json::from_str::<Value>(&changed));
            prop_assert_eq!(before.is_ok(), after.is_ok(), "{} became {}", text, changed);
        }
    }
}
