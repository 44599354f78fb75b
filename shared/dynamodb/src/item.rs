//! Items to values and back, with errors that name the table, the key and the attribute.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_domain::{Currency, Money};

use crate::TableError;

/// An item as the SDK has it.
pub type Item = HashMap<String, AttributeValue>;

pub fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number, as its decimal digits.
pub fn number(value: impl std::fmt::Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

#[must_use]
pub fn bytes(value: Vec<u8>) -> AttributeValue {
    AttributeValue::B(Blob::new(value))
}

/// The id of a user or of a purchase as errors and so logs name it. The lines of one process name the same id alike; its
/// key is random and dies with the process, so that nobody who knows an id can find it in old logs.
#[must_use]
pub fn hashed(id: &str) -> String {
    static KEY: OnceLock<RandomState> = OnceLock::new();
    format!("{:016x}", KEY.get_or_init(RandomState::new).hash_one(id))
}

/// Reads one item's attributes. An attribute that is missing or not of the type that is asked for is a
/// [`TableError::Corrupt`].
pub struct ItemReader<'a> {
    /// Names the table in errors.
    pub table: &'a str,
    /// Names the item in errors.
    pub key: String,
    /// What is left of it: each attribute is taken once.
    pub item: Item,
}

impl ItemReader<'_> {
    /// The error of an attribute that is not as it must be.
    pub fn corrupt(&self, attribute: &'static str, problem: impl Into<String>) -> TableError {
        TableError::Corrupt {
            table: self.table.to_owned(),
            key: self.key.clone(),
            attribute,
            problem: problem.into(),
        }
    }

    fn missing(&self, attribute: &'static str, kind: &str) -> TableError {
        self.corrupt(attribute, format!("is missing or not {kind}"))
    }

    pub fn text(&mut self, attribute: &'static str) -> Result<String, TableError> {
        match self.item.remove(attribute) {
            Some(AttributeValue::S(text)) => Ok(text),
            _ => Err(self.missing(attribute, "a string")),
        }
    }

    /// A text that the domain parses.
    pub fn parsed<T, E: std::fmt::Display>(
        &mut self,
        attribute: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, TableError> {
        let text = self.text(attribute)?;
        parse(&text).map_err(|error| self.corrupt(attribute, error.to_string()))
    }

    /// A number in the range of its type.
    pub fn number<T: std::str::FromStr>(&mut self, attribute: &'static str) -> Result<T, TableError> {
        match self.item.remove(attribute) {
            Some(AttributeValue::N(digits)) => digits
                .parse()
                .map_err(|_| self.corrupt(attribute, format!("holds {digits}, out of its range"))),
            _ => Err(self.missing(attribute, "a number")),
        }
    }

    pub fn bytes(&mut self, attribute: &'static str) -> Result<Vec<u8>, TableError> {
        match self.item.remove(attribute) {
            Some(AttributeValue::B(blob)) => Ok(blob.into_inner()),
            _ => Err(self.missing(attribute, "binary")),
        }
    }

    pub fn truth(&mut self, attribute: &'static str) -> Result<bool, TableError> {
        match self.item.remove(attribute) {
            Some(AttributeValue::Bool(truth)) => Ok(truth),
            _ => Err(self.missing(attribute, "a boolean")),
        }
    }

    pub fn list(&mut self, attribute: &'static str) -> Result<Vec<AttributeValue>, TableError> {
        match self.item.remove(attribute) {
            Some(AttributeValue::L(list)) => Ok(list),
            _ => Err(self.missing(attribute, "a list")),
        }
    }

    pub fn map(&mut self, attribute: &'static str) -> Result<Item, TableError> {
        match self.item.remove(attribute) {
            Some(AttributeValue::M(map)) => Ok(map),
            _ => Err(self.missing(attribute, "a map")),
        }
    }

    /// Reads the attribute with `read` if it is there.
    pub fn optional<T>(
        &mut self,
        attribute: &'static str,
        read: impl FnOnce(&mut Self, &'static str) -> Result<T, TableError>,
    ) -> Result<Option<T>, TableError> {
        if self.item.contains_key(attribute) { read(self, attribute).map(Some) } else { Ok(None) }
    }
}

const AMOUNT: &str = "amount";
const CURRENCY: &str = "currency";

/// An amount and its currency, as a map.
#[must_use]
pub fn money_to_value(money: &Money) -> AttributeValue {
    AttributeValue::M(HashMap::from([
        (AMOUNT.to_owned(), number(money.amount())),
        (CURRENCY.to_owned(), text(money.currency().as_str())),
    ]))
}

/// An amount and its currency from a map.
pub fn money_from_value(reader: &mut ItemReader<'_>, attribute: &'static str) -> Result<Money, TableError> {
    let item = reader.map(attribute)?;
    let mut inner = ItemReader { table: reader.table, key: reader.key.clone(), item };
    let currency = inner.parsed(CURRENCY, Currency::parse)?;
    let amount = inner.number(AMOUNT)?;
    Money::new(amount, currency).map_err(|error| inner.corrupt(AMOUNT, error.to_string()))
}
