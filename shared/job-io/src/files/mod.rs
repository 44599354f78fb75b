//! Files of this machine and objects in S3 as one: named, listed, read in ranges.
//!
//! * [`location`]: `path` or `s3://BUCKET/KEY`
//! * [`list`](mod@list): what there is under a name, and as what it was found
//! * [`read`]: the bytes of a range, in pieces, however often the connection breaks
//!
//! A file is read as what it was found: one that has changed since is an error, never half one and half the other.

pub mod list;
pub mod location;
pub mod read;
mod write;

pub use list::FoundFile;
pub use location::{BadLocation, Location};
pub use read::Pieces;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use nextbasket_batch::error::is_systemic;
use nextbasket_batch::{JobError, WorkError};

/// Why a file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There is nothing of this name.
    #[error("{0}: there is no such file")]
    Missing(String),
    /// It is not as it was found when the job was planned.
    #[error("{0}: it has changed since the job was planned; submit the job again")]
    Changed(String),
    /// S3 or the system refuses: trying again does not help.
    #[error("{location}: refused: {code}: {reason}")]
    Refused {
        /// The file.
        location: String,
        /// The service's or the system's code.
        code: String,
        /// Its own words.
        reason: String,
    },
    /// No answer, or one that says that the service is at fault.
    #[error("{location}: unavailable: {reason}")]
    Unavailable {
        /// The file.
        location: String,
        /// What happened, with its causes.
        reason: String,
    },
}

impl FileError {
    /// What the system's error means for this file.
    #[must_use]
    pub fn from_io(location: &str, error: &std::io::Error) -> Self {
        let location = location.to_owned();
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::NotFound => Self::Missing(location),
            // On a network file system.
            ErrorKind::TimedOut
            | ErrorKind::Interrupted
            | ErrorKind::ConnectionReset
            | ErrorKind::ResourceBusy
            | ErrorKind::StaleNetworkFileHandle => Self::Unavailable { location, reason: error.to_string() },
            kind => Self::Refused { location, code: format!("{kind:?}"), reason: error.to_string() },
        }
    }

    /// What the SDK's error means for this object.
    pub fn from_sdk<E>(location: &str, error: SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let location = location.to_owned();
        if let SdkError::ServiceError(service) = &error {
            let status = service.raw().status().as_u16();
            // A HEAD has no body, and so no code.
            let code = service.err().code().unwrap_or(if status == 403 { "AccessDenied" } else { "unknown" });
            match (code, status) {
                ("NoSuchKey" | "NotFound", _) => return Self::Missing(location),
                ("PreconditionFailed", _) | (_, 412) => return Self::Changed(location),
                (_, 408 | 409 | 429) => {}
                (_, 404) if code == "unknown" => return Self::Missing(location),
                (_, 400..=499) => {
                    let reason = service.err().message().unwrap_or("no message").to_owned();
                    return Self::Refused { location, code: code.to_owned(), reason };
                }
                _ => {}
            }
        }
        Self::Unavailable { location, reason: DisplayErrorContext(error).to_string() }
    }
}

impl From<FileError> for WorkError {
    fn from(error: FileError) -> Self {
        match &error {
            FileError::Unavailable { .. } => Self::Transient(error.to_string()),
            FileError::Refused { code, .. } if is_systemic(code) => Self::Systemic(error.to_string()),
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl From<FileError> for JobError {
    fn from(error: FileError) -> Self {
        match &error {
            FileError::Unavailable { .. } => Self::Unavailable(error.to_string()),
            _ => Self::Failed(error.to_string()),
        }
    }
}

/// Files of this machine and objects in S3.
#[derive(Debug, Clone)]
pub struct Files {
    s3: Client,
}

impl Files {
    /// With this client for objects.
    #[must_use]
    pub fn new(s3: Client) -> Self {
        Self { s3 }
    }

    /// The client for objects.
    #[must_use]
    pub fn s3(&self) -> &Client {
        &self.s3
    }
}

/// Whether this process is a function, which has no files of its own.
#[must_use]
pub fn in_function() -> bool {
    std::env::var_os("AWS_LAMBDA_FUNCTION_NAME").is_some()
}
