//! The parameters of a job, built from its command's options.

use serde_json::{Map, Value};

/// Parameters of a job. Options that were not given are left out.
#[derive(Debug, Default)]
pub(crate) struct Parameters(Map<String, Value>);

impl Parameters {
    /// Adds a parameter, unless its value is null.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        if !value.is_null() {
            self.0.insert(name.to_owned(), value);
        }
        self
    }

    /// Adds a flag, if it is set.
    pub(crate) fn with_flag(self, name: &str, flag: bool) -> Self {
        self.with(name, flag.then_some(true))
    }

    /// Adds an object, unless it is empty.
    pub(crate) fn with_object(self, name: &str, object: Self) -> Self {
        if object.0.is_empty() { self } else { self.with(name, object.json()) }
    }

    pub(crate) fn json(self) -> Value {
        Value::Object(self.0)
    }
}
