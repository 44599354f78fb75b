//! The placeholders of one request.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_domain::Timestamp;

use super::constant::Constant;
use super::path::{Path, PathStep};

/// The names and values of one request, collected while its expressions are written. A name has one placeholder
/// however often it occurs.
#[derive(Debug, Clone)]
pub struct Placeholders {
    now: Timestamp,
    known: HashMap<String, String>,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Placeholders {
    /// None yet; `now` is what `now()` stands for.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self { now, known: HashMap::new(), names: HashMap::new(), values: HashMap::new() }
    }

    /// The placeholder of a name.
    pub fn name(&mut self, name: &str) -> String {
        if let Some(known) = self.known.get(name) {
            return known.clone();
        }
        let placeholder = format!("#n{}", self.known.len());
        self.known.insert(name.to_owned(), placeholder.clone());
        self.names.insert(placeholder.clone(), name.to_owned());
        placeholder
    }

    /// The placeholder of a value.
    pub fn value(&mut self, value: AttributeValue) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    pub(super) fn constant(&mut self, constant: &Constant) -> String {
        let value = constant.value(self.now);
        self.value(value)
    }

    /// A path with placeholders for its names.
    pub fn path(&mut self, path: &Path) -> String {
        let mut text = String::new();
        for step in path.steps() {
            match step {
                PathStep::Name(name) => {
                    if !text.is_empty() {
                        text.push('.');
                    }
                    text.push_str(&self.name(name));
                }
                PathStep::Index(index) => text.push_str(&format!("[{index}]")),
            }
        }
        text
    }

    /// `ExpressionAttributeNames`; DynamoDB takes no empty ones.
    #[must_use]
    pub fn names(&self) -> Option<HashMap<String, String>> {
        Some(self.names.clone()).filter(|names| !names.is_empty())
    }

    /// `ExpressionAttributeValues`; DynamoDB takes no empty ones.
    #[must_use]
    pub fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        Some(self.values.clone()).filter(|values| !values.is_empty())
    }
}
