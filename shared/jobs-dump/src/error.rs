//! Why a text is no item, or an item no text.

use nextbasket_dynamodb::number::NumberError;
use nextbasket_job_engine::WorkError;

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

impl From<FormatError> for WorkError {
    fn from(error: FormatError) -> Self {
        Self::Failed(error.0)
    }
}

impl From<serde_json::Error> for FormatError {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct LineError {
    /// The line's number, from 1.
    pub line: u64,
    pub problem: String,
}
