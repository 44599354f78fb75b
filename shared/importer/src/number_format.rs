//! Decimal text of any locale to exact numbers.
//!
//! Most texts can be read in one way only: `2.55`, `11.062,06`, `1'234.50`, `1.234.567`, `0,125`. One sign before exactly
//! three digits, as in `1.234`, may separate thousands or a fraction: what it means is decided from all values of a file
//! (see [`NumberEvidence`]), never from the single value.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The sign between the whole part of a number and its fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum DecimalSign {
    /// `1,234.50`
    Point,
    /// `1.234,50`
    Comma,
}

impl DecimalSign {
    fn of(sign: u8) -> Self {
        if sign == b',' { Self::Comma } else { Self::Point }
    }

    fn other(self) -> Self {
        match self {
            Self::Point => Self::Comma,
            Self::Comma => Self::Point,
        }
    }
}

impl fmt::Display for DecimalSign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Point => "point",
            Self::Comma => "comma",
        })
    }
}

/// A decimal number, exactly as it is written, but for digits beyond the eighteenth of its fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub(crate) negative: bool,
    /// The number without its sign, in units of `10^-scale`.
    pub(crate) mantissa: u128,
    pub(crate) scale: u32,
}

impl Decimal {
    pub(crate) fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    /// The whole number, if it has no fraction.
    pub(crate) fn whole(self) -> Option<i64> {
        let unit = 10_u128.checked_pow(self.scale)?;
        if !self.mantissa.is_multiple_of(unit) {
            return None;
        }
        let whole = i64::try_from(self.mantissa / unit).ok()?;
        Some(if self.negative { -whole } else { whole })
    }

    /// The number without its sign in units of `10^-places`, rounded half up, and whether that is not exact.
    pub(crate) fn in_units(self, places: u32) -> Option<(u128, bool)> {
        if self.scale <= places {
            let factor = 10_u128.checked_pow(places - self.scale)?;
            return Some((self.mantissa.checked_mul(factor)?, false));
        }
        Some(rounded(self.mantissa, 10_u128.checked_pow(self.scale - places)?))
    }

    /// The product of both, without the sign.
    pub(crate) fn times(self, other: Self) -> Option<Self> {
        Some(Self {
            negative: self.negative != other.negative,
            mantissa: self.mantissa.checked_mul(other.mantissa)?,
            scale: self.scale + other.scale,
        })
    }

    /// The number over `divisor` in units of `10^-places`, without the sign, rounded half up, and whether that is not
    /// exact.
    pub(crate) fn divided_in_units(self, divisor: u32, places: u32) -> Option<(u128, bool)> {
        let (amount, by) = if self.scale <= places {
            (self.mantissa.checked_mul(10_u128.checked_pow(places - self.scale)?)?, u128::from(divisor))
        } else {
            let by = 10_u128.checked_pow(self.scale - places)?.checked_mul(u128::from(divisor))?;
            (self.mantissa, by)
        };
        (by > 0).then(|| rounded(amount, by))
    }
}

fn rounded(amount: u128, by: u128) -> (u128, bool) {
    let (whole, rest) = (amount / by, amount % by);
    (whole + u128::from(rest >= by - rest), rest != 0)
}

/// How a number's text can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberReading {
    /// In one way, which needs no sign: `12`, `1 234`.
    Plain(Decimal),
    /// In one way, with this decimal sign.
    Only(DecimalSign, Decimal),
    /// In two ways: `1.234`, `1,234`.
    Either { with_point: Decimal, with_comma: Decimal },
}

impl NumberReading {
    /// The number, with this decimal sign if both are possible.
    pub(crate) fn decide(self, decimal: Option<DecimalSign>) -> Decimal {
        match (self, decimal) {
            (Self::Plain(number) | Self::Only(_, number), _) => number,
            (Self::Either { with_comma, .. }, Some(DecimalSign::Comma)) => with_comma,
            (Self::Either { with_point, .. }, _) => with_point,
        }
    }
}

/// Reads a number with an optional sign before it, or none.
pub(crate) fn read(text: &str) -> Option<NumberReading> {
    let (negative, unsigned) = match text.strip_prefix(['-', '\u{2212}']) {
        Some(rest) => (true, rest.trim_start()),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    read_unsigned(unsigned, negative)
}

/// Signs that separate thousands and nothing else.
fn is_group_sign(sign: char) -> bool {
    matches!(sign, ' ' | '\'' | '\u{2019}' | '\u{a0}' | '\u{202f}' | '\u{2009}')
}

pub(crate) fn read_unsigned(text: &str, negative: bool) -> Option<NumberReading> {
    let number = |whole: &str, fraction: &str| decimal(negative, whole, fraction);
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(NumberReading::Plain(number(text, "")?));
    }
    let bytes = text.as_bytes();
    let last = bytes.iter().rposition(|byte| matches!(byte, b'.' | b','));
    let sign = last.and_then(|at| bytes.get(at)).copied();
    if let (Some(at), Some(sign)) = (last, sign)
        && bytes.iter().filter(|byte| !byte.is_ascii_digit()).count() == 1
    {
        return with_one_sign(text, at, sign, negative);
    }
    let group = text.chars().find(|sign| is_group_sign(*sign));
    let (points, commas) = (text.matches('.').count(), text.matches(',').count());
    match (points, commas, last, sign) {
        (0, 0, ..) => Some(NumberReading::Plain(number(grouped(text, group?)?.as_str(), "")?)),
        // Both signs: the last one is the decimal sign.
        (1.., 1.., Some(at), Some(sign)) if group.is_none() => {
            let decimal = DecimalSign::of(sign);
            let (whole, fraction) = (text.get(..at)?, text.get(at + 1..)?);
            let thousands = if decimal == DecimalSign::Point { ',' } else { '.' };
            if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            Some(NumberReading::Only(decimal, number(&grouped(whole, thousands)?, fraction)?))
        }
        (1, 0, Some(at), Some(sign)) | (0, 1, Some(at), Some(sign)) => {
            let whole = grouped(text.get(..at)?, group?)?;
            let fraction = text.get(at + 1..)?;
            let is_number = fraction.bytes().all(|byte| byte.is_ascii_digit()) && !whole.is_empty();
            is_number.then_some(())?;
            Some(NumberReading::Only(DecimalSign::of(sign), number(&whole, fraction)?))
        }
        // The same sign twice separates thousands.
        (_, _, _, Some(sign)) if group.is_none() && (points == 0 || commas == 0) => {
            let whole = grouped(text, char::from(sign))?;
            Some(NumberReading::Only(DecimalSign::of(sign).other(), number(&whole, "")?))
        }
        _ => None,
    }
}

/// Digits with one point or comma among them.
fn with_one_sign(text: &str, at: usize, sign: u8, negative: bool) -> Option<NumberReading> {
    let (whole, fraction) = (text.get(..at)?, text.get(at + 1..)?);
    let digits = || whole.bytes().chain(fraction.bytes());
    if !digits().all(|byte| byte.is_ascii_digit()) || digits().next().is_none() {
        return None;
    }
    let (sign, read) = (DecimalSign::of(sign), decimal(negative, whole, fraction)?);
    if fraction.len() != 3 || !(1..=3).contains(&whole.len()) || whole.starts_with('0') {
        return Some(NumberReading::Only(sign, read));
    }
    let thousand = Decimal { scale: 0, ..read };
    Some(match sign {
        DecimalSign::Point => NumberReading::Either { with_point: read, with_comma: thousand },
        DecimalSign::Comma => NumberReading::Either { with_point: thousand, with_comma: read },
    })
}

/// The digits of a whole number whose thousands are separated by `sign`, or by hundreds after the last three digits as in
/// India: `1,23,456`.
fn grouped(text: &str, sign: char) -> Option<String> {
    let groups: Vec<&str> = text.split(sign).collect();
    let (first, rest) = groups.split_first()?;
    if groups.iter().any(|group| !group.bytes().all(|byte| byte.is_ascii_digit())) {
        return None;
    }
    let by_thousands = (1..=3).contains(&first.len()) && rest.iter().all(|group| group.len() == 3);
    let by_hundreds = (1..=2).contains(&first.len())
        && rest.split_last().is_some_and(|(last, middle)| {
            last.len() == 3 && !middle.is_empty() && middle.iter().all(|group| group.len() == 2)
        });
    (rest.is_empty() || by_thousands || by_hundreds).then(|| groups.concat())
}

fn decimal(negative: bool, whole: &str, fraction: &str) -> Option<Decimal> {
    const MAX_SCALE: usize = 18;
    let fraction = fraction.get(..MAX_SCALE).unwrap_or(fraction);
    let mut digits = whole.bytes().chain(fraction.bytes());
    let mantissa = digits.try_fold(0_u128, |sum, digit| {
        sum.checked_mul(10)?.checked_add(u128::from(digit.checked_sub(b'0')?))
    })?;
    Some(Decimal { negative, mantissa, scale: u32::try_from(fraction.len()).ok()? })
}

/// A value that shows how numbers are written, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NumberExample {
    pub(crate) line: u64,
    pub(crate) column: String,
    pub(crate) text: String,
}

/// What the values of a file show about its decimal sign.
#[derive(Debug, Default)]
pub(crate) struct NumberEvidence {
    pub(crate) point: Option<NumberExample>,
    pub(crate) comma: Option<NumberExample>,
    /// The first value that can be read with either sign.
    pub(crate) either: Option<NumberExample>,
}

impl NumberEvidence {
    /// Adds a value; `example` is made for the first one of each kind only.
    pub(crate) fn add(&mut self, reading: NumberReading, example: impl FnOnce() -> NumberExample) {
        let place = match reading {
            NumberReading::Plain(_) => return,
            NumberReading::Only(DecimalSign::Point, _) => &mut self.point,
            NumberReading::Only(DecimalSign::Comma, _) => &mut self.comma,
            NumberReading::Either { .. } => &mut self.either,
        };
        if place.is_none() {
            *place = Some(example());
        }
    }

    /// The sign that all values agree on; `None` if no value needs one.
    ///
    /// # Errors
    /// The example that can be read with either sign, if the other values do not decide.
    pub(crate) fn decide(&self) -> Result<Option<DecimalSign>, &NumberExample> {
        match (&self.point, &self.comma, &self.either) {
            (Some(_), None, _) => Ok(Some(DecimalSign::Point)),
            (None, Some(_), _) => Ok(Some(DecimalSign::Comma)),
            (_, _, None) => Ok(None),
            (_, _, Some(either)) => Err(either),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(number: Decimal) -> String {
        let digits =
            format!("{:0>1$}", number.mantissa.to_string(), usize::try_from(number.scale).unwrap() + 1);
        let (whole, fraction) = digits.split_at(digits.len() - usize::try_from(number.scale).unwrap());
        let sign = if number.negative { "-" } else { "" };
        if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
    }

    fn as_read(text: &str) -> String {
        match read(text) {
            None => "none".to_owned(),
            Some(NumberReading::Plain(number)) => shown(number),
            Some(NumberReading::Only(sign, number)) => format!("{} {sign}", shown(number)),
            Some(NumberReading::Either { with_point, with_comma }) => {
                format!("{} or {}", shown(with_point), shown(with_comma))
            }
        }
    }

    #[test]
    fn a_text_is_read_in_one_way_or_in_two() {
        for (text, is) in [
            ("12", "12"),
            ("+12", "12"),
            ("-2.50", "-2.50 point"),
            ("\u{2212}2,5", "-2.5 comma"),
            ("1.234", "1.234 or 1234"),
            ("1,234", "1234 or 1.234"),
            ("0.125", "0.125 point"),
            ("0,125", "0.125 comma"),
            ("1234.567", "1234.567 point"),
            (".5", "0.5 point"),
            ("5,", "5 comma"),
            ("1,234.5", "1234.5 point"),
            ("1.234,5", "1234.5 comma"),
            ("1.234.567", "1234567 comma"),
            ("1,234,567", "1234567 point"),
            ("1,23,456.78", "123456.78 point"),
            ("1'234.50", "1234.50 point"),
            ("1\u{2019}234", "1234"),
            ("1 234,56", "1234.56 comma"),
            ("1\u{202f}234,567", "1234.567 comma"),
            ("1 234", "1234"),
        ] {
            assert_eq!(as_read(text), is, "{text}");
        }
        for text in [
            "",
            ".",
            "-",
            "2 55",
            "1.2.3",
            "1,2.3,4",
            "1 23,4",
            "1,234.567.8",
            "12a",
            "1'2",
            "1,,2",
            ",123.4",
        ] {
            assert_eq!(as_read(text), "none", "{text}");
        }
    }

    #[test]
    fn division_rounds_half_up_and_says_so() {
        let Some(number) = read("10.00").map(|reading| reading.decide(None)) else { panic!() };
        assert_eq!(number.divided_in_units(3, 2), Some((333, true)));
        assert_eq!(number.divided_in_units(8, 2), Some((125, false)));
        assert_eq!(number.divided_in_units(16, 2), Some((63, true)));
        assert_eq!(number.divided_in_units(0, 2), None);
    }

    #[test]
    fn values_decide_for_each_other_and_contradict_each_other() {
        let example = |text: &str| NumberExample { line: 2, column: "Price".into(), text: text.into() };
        let decided = |texts: &[&str]| {
            let mut evidence = NumberEvidence::default();
            for text in texts {
                evidence.add(read(text).unwrap(), || example(text));
            }
            evidence.decide().map_err(|example| example.text.clone())
        };
        assert_eq!(decided(&["1.000", "12,5"]), Ok(Some(DecimalSign::Comma)));
        assert_eq!(decided(&["1.000", "12.5"]), Ok(Some(DecimalSign::Point)));
        assert_eq!(decided(&["1", "12"]), Ok(None));
        assert_eq!(decided(&["12.5", "12,5"]), Ok(None));
        assert_eq!(decided(&["1.000", "12.5", "12,5"]), Err("1.000".to_owned()));
        assert_eq!(decided(&["1", "1,000"]), Err("1,000".to_owned()));
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "[-+0-9., ']{0,16}|.{0,12}") {
            let _ = read(&text);
        }

        #[test]
        fn a_number_in_any_style_is_itself_or_ambiguous(
            whole in 0_u64..10_000_000, cents in 0_u32..1_000, places in 0_u32..=3, style in 0_usize..5
        ) {
            let cents = cents % 10_u32.pow(places);
            let (thousands, sign) = [("", "."), (",", "."), (".", ","), (" ", ","), ("'", ".")][style];
            let digits = whole.to_string();
            let mut text = String::new();
            for (at, digit) in digits.chars().enumerate() {
                if at > 0 && (digits.len() - at).is_multiple_of(3) {
                    text.push_str(thousands);
                }
                text.push(digit);
            }
            if places > 0 {
                text.push_str(&format!("{sign}{cents:0width$}", width = usize::try_from(places).unwrap()));
            }
            let decimal = if sign == "," { DecimalSign::Comma } else { DecimalSign::Point };
            let number = read(&text).unwrap().decide(Some(decimal));
            let wanted = u128::from(whole) * u128::from(10_u32.pow(places)) + u128::from(cents);
            prop_assert_eq!((number.mantissa, number.scale), (wanted, places), "{}", text);
        }
    }
}
