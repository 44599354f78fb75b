//! Why a transaction was not made: the reason of each item, separated from transient errors.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use nextbasket_sdk_errors::sentence;

use crate::TableError;
use crate::error::INSUFFICIENT_STORAGE;

/// Reasons in a cancelled transaction that say nothing about its items: the same transaction may succeed later.
const THROTTLES: [&str; 4] =
    ["ThrottlingError", "ThrottlingException", "ProvisionedThroughputExceeded", "RequestLimitExceeded"];
/// The reason for an item that another transaction or write is changing at the moment.
const CONFLICT: &str = "TransactionConflict";
/// The reason for an item whose condition does not hold.
const CONDITION: &str = "ConditionalCheckFailed";

/// Why a transaction was not made, or may not have been made.
#[derive(Debug, thiserror::Error)]
pub enum TransactionError {
    /// Its items do not allow it, now or later: a code for each write, in order (`None`: this write was not the
    /// reason). Nothing was written.
    #[error("the transaction was refused: {0:?}")]
    Refused(Vec<Option<String>>),
    /// Another transaction is changing one of the items at the moment. Nothing was written.
    #[error(transparent)]
    Conflict(TableError),
    /// The outcome is unknown: there was no answer, or it was a server error.
    #[error(transparent)]
    Unanswered(TableError),
    /// Any other error: a throttle, a missing permission, an invalid request. Nothing was written.
    #[error(transparent)]
    Table(TableError),
}

impl TransactionError {
    /// Converts the SDK's error for this table. A failed condition counts only if it was the only reason: with a
    /// conflict or a throttle beside it, nobody knows what the items will say at the next attempt.
    #[must_use]
    pub fn from_sdk(table: &str, error: SdkError<TransactWriteItemsError>) -> Self {
        if let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) =
            error.as_service_error()
        {
            let codes = cancelled
                .cancellation_reasons()
                .iter()
                .map(|reason| reason.code().filter(|code| *code != "None").map(str::to_owned))
                .collect();
            let message = cancelled.message.clone().unwrap_or_default();
            return Self::from_codes(table, codes, &message);
        }
        let unknown = match &error {
            SdkError::ConstructionFailure(_) => false,
            SdkError::ServiceError(service) => {
                let status = service.raw().status().as_u16();
                status >= 500 && status != INSUFFICIENT_STORAGE
            }
            _ => true,
        };
        if unknown {
            let reason = sentence(&error);
            return Self::Unanswered(TableError::Unavailable { table: table.to_owned(), reason });
        }
        match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionInProgressException(_)) => {
                // The same request is still being processed.
                Self::Unanswered(TableError::from_sdk(table, error))
            }
            _ => Self::Table(TableError::from_sdk(table, error)),
        }
    }

    fn from_codes(table: &str, codes: Vec<Option<String>>, message: &str) -> Self {
        let table = table.to_owned();
        let any = |wanted: &[&str]| codes.iter().flatten().find(|code| wanted.contains(&code.as_str()));
        if let Some(code) = any(&THROTTLES) {
            return Self::Table(TableError::Throttled { table, reason: format!("transaction: {code}") });
        }
        if any(&[CONFLICT]).is_some() {
            let reason = format!("{CONFLICT}: another transaction has one of the items");
            return Self::Conflict(TableError::Unavailable { table, reason });
        }
        if codes.iter().flatten().next().is_none() {
            let reason = format!("TransactionCanceledException without a reason: {message}");
            return Self::Table(TableError::Unavailable { table, reason });
        }
        Self::Refused(codes)
    }

    /// Whether the same transaction, unchanged, may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Refused(_) => false,
            Self::Conflict(error) | Self::Unanswered(error) | Self::Table(error) => error.is_transient(),
        }
    }

    /// Whether the condition of the write at this position does not hold.
    #[must_use]
    pub fn failed_condition(&self, position: usize) -> bool {
        match self {
            Self::Refused(codes) => {
                codes.get(position).is_some_and(|code| code.as_deref() == Some(CONDITION))
            }
            _ => false,
        }
    }

    /// Whether a condition does not hold, and that is the only reason.
    #[must_use]
    pub fn failed_conditions_alone(&self) -> bool {
        match self {
            Self::Refused(codes) => codes.iter().flatten().all(|code| code == CONDITION),
            _ => false,
        }
    }

    /// Converts it to an error of the table, for callers whose transactions have no condition that may fail.
    #[must_use]
    pub fn into_table(self, table: &str) -> TableError {
        match self {
            Self::Refused(codes) => TableError::Refused {
                table: table.to_owned(),
                reason: format!("the transaction was refused: {codes:?}"),
            },
            Self::Conflict(error) | Self::Unanswered(error) | Self::Table(error) => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(codes: &[Option<&str>]) -> TransactionError {
        let codes = codes.iter().map(|code| code.map(str::to_owned)).collect();
        TransactionError::from_codes("t", codes, "")
    }

    #[test]
    fn what_passes_is_told_from_what_the_items_say() {
        let condition = of(&[None, Some("ConditionalCheckFailed")]);
        assert!(condition.failed_condition(1) && !condition.failed_condition(0));
        assert!(condition.failed_conditions_alone() && !condition.is_transient());
        for codes in [
            [Some("TransactionConflict"), None],
            [Some("ConditionalCheckFailed"), Some("TransactionConflict")],
            [Some("ConditionalCheckFailed"), Some("ThrottlingError")],
            [None, Some("ProvisionedThroughputExceeded")],
            [None, None],
        ] {
            let error = of(&codes);
            assert!(error.is_transient() && !error.failed_condition(0), "{codes:?}: {error}");
        }
        let other = of(&[Some("ValidationError"), Some("ConditionalCheckFailed")]);
        assert!(!other.failed_conditions_alone() && !other.is_transient());
    }
}
