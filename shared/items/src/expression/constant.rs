//! Values as they are written in an expression.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_domain::Timestamp;
use nextbasket_dynamodb::item::{number, text};

/// The form of a time that is written as `now(…)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeForm {
    /// `now()`: whole seconds since 1970, as DynamoDB's time to live has them.
    Seconds,
    /// `now('ms')`: milliseconds since 1970.
    Milliseconds,
    /// `now('iso')`: RFC 3339 in UTC with milliseconds.
    Text,
    /// `now('date')`: the date in UTC.
    Date,
}

impl TimeForm {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "s" => Some(Self::Seconds),
            "ms" => Some(Self::Milliseconds),
            "iso" => Some(Self::Text),
            "date" => Some(Self::Date),
            _ => None,
        }
    }
}

/// A value as it is written.
#[derive(Debug, Clone, PartialEq)]
pub enum Constant {
    /// A string, number, binary, boolean, null or set.
    Value(AttributeValue),
    /// A list.
    List(Vec<Constant>),
    /// A map.
    Map(BTreeMap<String, Constant>),
    /// A point in time, so many milliseconds from now.
    Now(TimeForm, i64),
}

impl Constant {
    /// The value, at this time.
    #[must_use]
    pub fn value(&self, now: Timestamp) -> AttributeValue {
        match self {
            Self::Value(value) => value.clone(),
            Self::List(list) => AttributeValue::L(list.iter().map(|entry| entry.value(now)).collect()),
            Self::Map(map) => {
                let entry = |(name, entry): (&String, &Constant)| (name.clone(), entry.value(now));
                AttributeValue::M(map.iter().map(entry).collect())
            }
            Self::Now(form, offset) => {
                let time = now.plus_millis(*offset);
                match form {
                    TimeForm::Seconds => number(time.as_millis().div_euclid(1000)),
                    TimeForm::Milliseconds => number(time.as_millis()),
                    TimeForm::Text => text(time.to_string()),
                    TimeForm::Date => text(time.to_string().chars().take(10).collect::<String>()),
                }
            }
        }
    }

    /// Its type, if it is one of those that [`Constant::Value`] and `now()` have.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Value(value) => super::evaluate::type_of(value),
            Self::List(_) => "L",
            Self::Map(_) => "M",
            Self::Now(TimeForm::Seconds | TimeForm::Milliseconds, _) => "N",
            Self::Now(TimeForm::Text | TimeForm::Date, _) => "S",
        }
    }
}
