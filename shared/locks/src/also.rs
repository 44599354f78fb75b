//! Other attributes of the lease's item, changed in the same write as the lease.

use aws_sdk_dynamodb::types::AttributeValue;

use crate::expression::Expression;
use crate::record::OURS;

/// What a renewal or release also does to the item's other attributes.
///
/// Attribute names are top-level names, taken as they are. A write that names one of the lease's own attributes, or one
/// attribute twice, is refused.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Also {
    set: Vec<(String, AttributeValue)>,
    remove: Vec<String>,
    add: Vec<(String, AttributeValue)>,
}

impl Also {
    /// Nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets an attribute.
    #[must_use]
    pub fn set(mut self, attribute: impl Into<String>, value: AttributeValue) -> Self {
        self.set.push((attribute.into(), value));
        self
    }

    /// Removes an attribute.
    #[must_use]
    pub fn remove(mut self, attribute: impl Into<String>) -> Self {
        self.remove.push(attribute.into());
        self
    }

    /// Adds to a number, or to a set; one that is not there counts as 0, or as empty.
    #[must_use]
    pub fn add(mut self, attribute: impl Into<String>, value: AttributeValue) -> Self {
        self.add.push((attribute.into(), value));
        self
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty() && self.add.is_empty()
    }

    /// An attribute among these that is the lease's.
    pub(crate) fn reserved(&self) -> Option<&str> {
        let valued = self.set.iter().chain(&self.add).map(|(attribute, _)| attribute);
        valued.chain(&self.remove).map(String::as_str).find(|attribute| OURS.contains(attribute))
    }

    pub(crate) fn write_to(self, expression: &mut Expression) {
        for (attribute, value) in self.set {
            expression.set_also(&attribute, value);
        }
        for attribute in self.remove {
            expression.remove_also(&attribute);
        }
        for (attribute, value) in self.add {
            expression.add_also(&attribute, value);
        }
    }
}
