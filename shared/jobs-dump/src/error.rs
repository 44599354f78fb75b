//! Why a text is no item, or an item no text.

use nextbasket_dynamodb::number::NumberError;

/// Why a text is no item, or an item no text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FormatError(pub String);

impl FormatError {
    pub(crate) fn new(problem: impl Into<String>) -> Self {
        Self(problem.into())
    }
}

impl From<NumberError> for FormatError {
    fn from(error: NumberError) -> Self {
        Self(error.to_string())
    }
}

impl From<serde_json::Error> for FormatError {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct LineError {
    /// The line's number, from 1.
    pub line: u64,
    /// What is wrong.
    pub problem: String,
}
