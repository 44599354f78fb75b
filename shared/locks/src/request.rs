//! What is asked for, and what comes of it.

use std::time::Duration;

use crate::{Lease, LeaseRecord};

/// What a holder asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRequest {
    /// Who asks, for people: a host and process, or a job's id.
    pub holder: String,
    /// How long the lease holds from each acquisition or renewal on, in whole milliseconds.
    pub length: Duration,
    /// A small payload for whoever looks at the lease.
    pub note: Option<String>,
}

impl LeaseRequest {
    /// A request without a note.
    pub fn new(holder: impl Into<String>, length: Duration) -> Self {
        Self { holder: holder.into(), length, note: None }
    }

    /// The same with a note.
    #[must_use]
    pub fn with_note(self, note: impl Into<String>) -> Self {
        Self { note: Some(note.into()), ..self }
    }
}

/// What came of an acquisition.
#[derive(Debug)]
pub enum Attempt {
    /// It is ours.
    Held(Lease),
    /// Another holds it.
    Busy(LeaseRecord),
}

impl Attempt {
    /// The lease, if it is ours.
    #[must_use]
    pub fn held(self) -> Option<Lease> {
        match self {
            Self::Held(lease) => Some(lease),
            Self::Busy(_) => None,
        }
    }
}
