//! Sums of DynamoDB's numbers, exact whatever their size, and held to what DynamoDB takes at the end.

use nextbasket_dynamodb::Number;
use nextbasket_dynamodb::number::NumberError;

/// The power of ten of the last digit of any number: 38 digits from 1e-130 on.
const LOWEST: i32 = -167;
/// The number of digits: up to 1e125, and room for sums of very many.
const DIGITS: usize = 320;

/// A sum; the first digit is the last one of the number.
#[derive(Debug, Clone)]
pub(super) struct Sum([i64; DIGITS]);

impl Sum {
    /// # Errors
    /// [`NumberError`] if the text is not a number.
    pub(super) fn of(number: &str) -> Result<Self, NumberError> {
        // As `-1.25E-7`.
        let text = Number::parse(number)?.to_string();
        let (mantissa, power) = text.split_once('E').unwrap_or((&text, "0"));
        let mut sum = Self([0; DIGITS]);
        let mut place = power.parse::<i32>().unwrap_or(0) - LOWEST;
        let sign = if mantissa.starts_with('-') { -1 } else { 1 };
        for digit in mantissa.bytes().filter(u8::is_ascii_digit) {
            if let Some(at) = usize::try_from(place).ok().and_then(|at| sum.0.get_mut(at)) {
                *at = sign * i64::from(digit - b'0');
            }
            place -= 1;
        }
        Ok(sum)
    }

    /// Adds another, or subtracts it with `sign` -1.
    pub(super) fn add(&mut self, other: &Self, sign: i64) {
        for (mine, its) in self.0.iter_mut().zip(&other.0) {
            *mine += sign * its;
        }
        self.carry();
    }

    /// Brings each digit between -9 and 9, all with the sign of the number.
    fn carry(&mut self) {
        // From the last digit on, each between 0 and 9; the first one has the sign.
        let mut carried = 0;
        for digit in &mut self.0 {
            let all = *digit + carried;
            *digit = all.rem_euclid(10);
            carried = all.div_euclid(10);
        }
        if carried >= 0 {
            return;
        }
        // The ten's complement.
        let mut borrowed = 0;
        for digit in &mut self.0 {
            let all = -*digit - borrowed;
            *digit = -all.rem_euclid(10);
            borrowed = i64::from(all < 0);
        }
    }

    /// Its digits, as DynamoDB writes them: without a power of ten.
    ///
    /// # Errors
    /// [`NumberError`] if DynamoDB does not take it.
    pub(super) fn finish(&self) -> Result<String, NumberError> {
        let Some(first) = self.0.iter().rposition(|digit| *digit != 0) else { return Ok("0".to_owned()) };
        let point = usize::try_from(-LOWEST).unwrap_or(0);
        let last = self.0.iter().position(|digit| *digit != 0).unwrap_or(0).min(point);
        let mut text = String::new();
        if self.0.get(first).is_some_and(|digit| *digit < 0) {
            text.push('-');
        }
        for at in (last..=first.max(point)).rev() {
            if at + 1 == point {
                text.push('.');
            }
            let digit = self.0.get(at).copied().unwrap_or(0).unsigned_abs();
            text.push(char::from(b'0' + u8::try_from(digit).unwrap_or(0)));
        }
        Number::parse(&text)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(one: &str, sign: i64, other: &str) -> Result<String, NumberError> {
        let mut sum = Sum::of(one)?;
        sum.add(&Sum::of(other)?, sign);
        sum.finish()
    }

    #[test]
    fn sums_are_exact_to_38_digits() {
        let nines = "9".repeat(38);
        for (one, sign, other, wanted) in [
            ("1", 1, "2", "3"),
            ("0.1", 1, "0.2", "0.3"),
            ("-5", 1, "5", "0"),
            ("1", -1, "2", "-1"),
            ("-1.5", -1, "98.5", "-100"),
            ("1000", -1, "0.001", "999.999"),
            ("1e-130", -1, "1e-130", "0"),
            ("12345678901234567890123456789012345678", 1, "1", "12345678901234567890123456789012345679"),
            (&nines, 1, "1", &format!("1{}", "0".repeat(38))),
            ("9e125", -1, "8e125", &format!("1{}", "0".repeat(125))),
        ] {
            assert_eq!(sum(one, sign, other).as_deref(), Ok(wanted), "{one} {sign} {other}");
        }
        for (one, sign, other, problem) in [
            ("1e38", 1, "1", "has more than 38 digits"),
            ("9e125", 1, "1e125", "is not between"),
            ("-9e125", -1, "1e125", "is not between"),
            ("1.1e-130", -1, "1e-130", "is not between"),
            ("x", 1, "1", "is not a number"),
        ] {
            let found = sum(one, sign, other).unwrap_err().to_string();
            assert!(found.contains(problem), "{one} {sign} {other}: {found}");
        }
    }

    #[test]
    fn what_lies_between_may_be_larger_than_a_number() {
        let mut sum = Sum::of("9e125").unwrap();
        for _ in 0..50 {
            sum.add(&sum.clone(), 1);
            sum.add(&Sum::of("-9e125").unwrap(), 1);
        }
        assert_eq!(sum.finish().map(|text| text.len()), Ok(126));
    }

    proptest! {
        #[test]
        fn they_are_those_of_integers(a in any::<i64>(), b in any::<i64>(), scale in 0_usize..60, minus in any::<bool>()) {
            let sign = if minus { -1 } else { 1 };
            let wanted = i128::from(a) + i128::from(sign) * i128::from(b);
            let found = sum(&format!("{a}e-{scale}"), sign, &format!("{b}e-{scale}")).unwrap();
            prop_assert_eq!(Number::parse(&found), Number::parse(&format!("{wanted}e-{scale}")));
        }
    }
}
