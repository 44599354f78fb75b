//! What can go wrong between us and a table.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use nextbasket_sdk_errors::sentence;

/// The HTTP status of a server whose storage is full. Unlike other errors of a server it does not pass by itself.
pub(crate) const INSUFFICIENT_STORAGE: u16 = 507;
/// How many characters of a text an error shows.
const SHOWN: usize = 80;

/// A text in quotes as errors show it: its beginning, if it is long.
#[must_use]
pub fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

/// The error of any operation of the SDK.
pub trait ServiceError: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static {}

impl<E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static> ServiceError for E {}

/// What can go wrong between us and a table.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// DynamoDB asks for a slower pace, and the retries are used up.
    #[error("table {table}: throttled: {reason}")]
    Throttled { table: String, reason: String },
    /// No permission, no such table, no room, or a request that DynamoDB rejects: trying again does not help.
    #[error("table {table}: refused: {reason}")]
    Refused { table: String, reason: String },
    /// No answer, or an answer that says that the service is at fault.
    #[error("table {table}: unavailable: {reason}")]
    Unavailable {
        table: String,
        /// What happened, with its causes.
        reason: String,
    },
    /// Others kept changing the item; nothing was written.
    #[error("table {table}: {key} was changed by others {attempts} times in a row")]
    Contended {
        table: String,
        key: String,
        /// How often it was tried.
        attempts: usize,
    },
    /// An item is not of the expected form.
    #[error("table {table}: item {key}: attribute {attribute} {problem}")]
    Corrupt {
        table: String,
        key: String,
        attribute: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

impl TableError {
    /// Whether the same call may succeed if it is made again later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Contended { .. } | Self::Unavailable { .. })
    }

    /// What the SDK's error means for this table.
    #[expect(clippy::needless_pass_by_value, reason = "it is what errors are mapped with")]
    pub fn from_sdk<E: ServiceError>(table: &str, error: SdkError<E>) -> Self {
        let table = table.to_owned();
        if let SdkError::ServiceError(service) = &error {
            let code = service.err().code().unwrap_or("unknown");
            let status = service.raw().status().as_u16();
            let reason = sentence(&error);
            if matches!(
                code,
                "ProvisionedThroughputExceededException"
                    | "ThrottlingException"
                    | "ThrottlingError"
                    | "RequestLimitExceeded"
            ) {
                return Self::Throttled { table, reason };
            }
            if code == "TransactionConflictException" || code == "TransactionInProgressException" {
                return Self::Unavailable { table, reason };
            }
            if (400..500).contains(&status) || status == INSUFFICIENT_STORAGE {
                return Self::Refused { table, reason };
            }
        }
        Self::Unavailable { table, reason: sentence(&error) }
    }
}
