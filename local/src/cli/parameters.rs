//! The parameters of a job, as its command's options say them.

use serde_json::{Map, Value};

/// Parameters of a job, of which those that were not given are left out.
#[derive(Debug, Default)]
pub(crate) struct Parameters(Map<String, Value>);

impl Parameters {
    /// With this one, unless it is null.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        if !value.is_null() {
            self.0.insert(name.to_owned(), value);
        }
        self
    }

    /// As JSON.
    pub(crate) fn json(self) -> Value {
        Value::Object(self.0)
    }

    /// As JSON; null if there is none.
    pub(crate) fn json_if_any(self) -> Value {
        if self.0.is_empty() { Value::Null } else { self.json() }
    }
}

/// A flag that is only said when it is up.
pub(crate) fn up(flag: bool) -> Option<bool> {
    flag.then_some(true)
}
