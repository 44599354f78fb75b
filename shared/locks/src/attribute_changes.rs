//! Other attributes of the lease's item, changed in the same write as the lease.

use aws_sdk_dynamodb::types::AttributeValue;

use crate::expression::Expression;
use crate::record::OURS;

/// What a renewal or release also does to the item's other attributes.
///
/// Attribute names are top-level names, taken as they are. A write that names one of the lease's own attributes, or one
/// attribute twice, is refused.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AttributeChanges {
    set: Vec<(String, AttributeValue)>,
    remove: Vec<String>,
    add: Vec<(String, AttributeValue)>,
    copy: Vec<(String, String)>,
}

impl AttributeChanges {
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

    /// Sets an attribute to the value that another one (which may be the lease's own) had before this write; to an
    /// empty text if it did not exist.
    #[must_use]
    pub fn copy(mut self, attribute: impl Into<String>, from: impl Into<String>) -> Self {
        self.copy.push((attribute.into(), from.into()));
        self
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty() && self.add.is_empty() && self.copy.is_empty()
    }

    /// An attribute among these that is the lease's.
    pub(crate) fn reserved(&self) -> Option<&str> {
        let valued = self.set.iter().chain(&self.add).map(|(attribute, _)| attribute);
        let copied = self.copy.iter().map(|(attribute, _)| attribute);
        valued
            .chain(copied)
            .chain(&self.remove)
            .map(String::as_str)
            .find(|attribute| OURS.contains(attribute))
    }

    pub(crate) fn write_to(self, expression: &mut Expression) {
        for (attribute, value) in self.set {
            expression.set_other(&attribute, value);
        }
        for attribute in self.remove {
            expression.remove_other(&attribute);
        }
        for (attribute, value) in self.add {
            expression.add_other(&attribute, value);
        }
        for (attribute, from) in self.copy {
            expression.copy_other(&attribute, &from);
        }
    }
}

/// Changes that an acquisition also makes to the item's other attributes, and conditions on them for the acquisition.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AcquisitionTerms {
    pub(crate) changes: AttributeChanges,
    absent: Vec<String>,
    at_most: Vec<(String, AttributeValue)>,
}

impl AcquisitionTerms {
    /// Changes these attributes, without conditions.
    #[must_use]
    pub fn new(changes: AttributeChanges) -> Self {
        Self { changes, absent: Vec::new(), at_most: Vec::new() }
    }

    /// Only if the item does not have this attribute.
    #[must_use]
    pub fn if_absent(mut self, attribute: impl Into<String>) -> Self {
        self.absent.push(attribute.into());
        self
    }

    /// Only if the attribute is at most this value, or does not exist.
    #[must_use]
    pub fn if_at_most(mut self, attribute: impl Into<String>, value: AttributeValue) -> Self {
        self.at_most.push((attribute.into(), value));
        self
    }

    pub(crate) fn write_to(self, expression: &mut Expression) {
        self.changes.write_to(expression);
        for attribute in self.absent {
            expression.require_absent(&attribute);
        }
        for (attribute, value) in self.at_most {
            expression.require_at_most(&attribute, value);
        }
    }
}
