//! Why a lease was lost, or may be.

use nextbasket_dynamodb::TableError;

use crate::{Lease, LeaseRecord};

/// Why a lease was lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// Another acquired it, after it expired.
    #[error("the lease was stolen by {}, with fence {}", by.holder, by.fence)]
    Taken {
        /// What its item says now.
        by: Box<LeaseRecord>,
    },
    /// It was released, by another process that holds the same lease.
    #[error("the lease was released")]
    Released,
    /// The lease's item was deleted.
    #[error("the lease's item was deleted from the table")]
    Gone,
    /// It could not be renewed before it expired. Another may or may not have it.
    #[error("the lease could not be renewed before it expired")]
    Expired,
}

/// Why a lease could not be renewed or released.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// It is not ours any more.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// The table could not be asked: the lease may still be ours, and the write may have been applied.
    #[error(transparent)]
    Table(#[from] TableError),
}

impl LeaseError {
    /// Why the lease was lost, if it was.
    #[must_use]
    pub fn lost(&self) -> Option<&Lost> {
        match self {
            Self::Lost(lost) => Some(lost),
            Self::Table(_) => None,
        }
    }
}

/// A lease that could not be released, to be tried again.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Unreleased {
    /// The lease.
    pub lease: Lease,
    /// Why it could not.
    #[source]
    pub error: LeaseError,
}

impl From<Box<Unreleased>> for LeaseError {
    fn from(unreleased: Box<Unreleased>) -> Self {
        unreleased.error
    }
}
