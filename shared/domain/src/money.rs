//! Money as shops account for it: an integer of minor units and a currency.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::deserialize_by_parse;

/// The largest amount, in minor units: ten billion of a currency with two decimals, far inside what JSON
/// numbers hold exactly.
pub const MAX_AMOUNT: i64 = 1_000_000_000_000;

/// Why a text or number is no money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// A currency is three capital letters, as in ISO 4217.
    #[error("must be three capital letters, an ISO 4217 code such as EUR")]
    Currency,
    /// A price is from zero to [`MAX_AMOUNT`].
    #[error("must be from 0 to 1000000000000 minor units")]
    Amount,
}

/// An ISO 4217 code by form: three capital letters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency([u8; 3]);

impl Currency {
    /// Euros.
    pub const EUR: Self = Self(*b"EUR");

    /// Takes three capital ASCII letters.
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        match <[u8; 3]>::try_from(text.as_bytes()) {
            Ok(code) if code.iter().all(u8::is_ascii_uppercase) => Ok(Self(code)),
            _ => Err(MoneyError::Currency),
        }
    }

    /// The code, such as `EUR`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

deserialize_by_parse!(Currency);

fn price<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let amount = i64::deserialize(deserializer)?;
    Money::checked(amount).map_err(serde::de::Error::custom)
}

/// A price: `amount` minor units (cents) of `currency`, from zero to [`MAX_AMOUNT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// Minor units: cents for EUR, yen for JPY.
    #[serde(deserialize_with = "price")]
    amount: i64,
    currency: Currency,
}

impl Money {
    fn checked(amount: i64) -> Result<i64, MoneyError> {
        if (0..=MAX_AMOUNT).contains(&amount) { Ok(amount) } else { Err(MoneyError::Amount) }
    }

    /// A price of `amount` minor units.
    pub fn new(amount: i64, currency: Currency) -> Result<Self, MoneyError> {
        Ok(Self { amount: Self::checked(amount)?, currency })
    }

    /// Minor units: cents for EUR, yen for JPY.
    #[must_use]
    pub fn amount(&self) -> i64 {
        self.amount
    }

    #[must_use]
    pub fn currency(&self) -> Currency {
        self.currency
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_read_from_json_and_written_alike() {
        let json = r#"{"amount":1299,"currency":"EUR"}"#;
        let price: Money = serde_json::from_str(json).unwrap();
        assert_eq!((price.amount(), price.currency().as_str()), (1299, "EUR"));
        assert_eq!(serde_json::to_string(&price).unwrap(), json);
    }

    #[test]
    fn negative_fractional_and_nameless_prices_are_refused() {
        for json in [
            r#"{"amount":-1,"currency":"EUR"}"#,
            r#"{"amount":1.5,"currency":"EUR"}"#,
            r#"{"amount":1000000000001,"currency":"EUR"}"#,
            r#"{"amount":1,"currency":"eur"}"#,
            r#"{"amount":1,"currency":"EURO"}"#,
            r#"{"amount":1}"#,
            r#"{"amount":1,"currency":"EUR","vat":7}"#,
        ] {
            assert!(serde_json::from_str::<Money>(json).is_err(), "{json}");
        }
    }
}
