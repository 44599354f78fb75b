//! The condition that a lease is still ours.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_dynamodb::item::{number, text};

use crate::expression::{placeholder, value_placeholder};
use crate::record::{FENCE, OWNER, RELEASED};

/// A condition for any write (update, put, delete, part of a transaction) to the lease's own item: it holds while
/// nobody else has acquired the lease and it is not released.
///
/// The condition stands in brackets, and its placeholders begin with `#lease_` and `:lease_`, so that it goes
/// together with others by `AND`.
#[derive(Debug, Clone, PartialEq)]
pub struct Guard {
    /// The condition expression.
    pub condition: String,
    /// Its names.
    pub names: HashMap<String, String>,
    /// Its values.
    pub values: HashMap<String, AttributeValue>,
}

impl Guard {
    pub(crate) fn new(owner: &str, fence: u64) -> Self {
        let parts = [(OWNER, text(owner)), (FENCE, number(fence)), (RELEASED, AttributeValue::Bool(false))];
        let condition = parts
            .iter()
            .map(|(attribute, _)| format!("{} = {}", placeholder(attribute), value_placeholder(attribute)))
            .collect::<Vec<_>>()
            .join(" AND ");
        Self {
            condition: format!("({condition})"),
            names: parts.iter().map(|(name, _)| (placeholder(name), (*name).to_owned())).collect(),
            values: parts.into_iter().map(|(name, value)| (value_placeholder(name), value)).collect(),
        }
    }
}
