//! Why a content is not uploaded.

use nextbasket_dynamodb::TableError;

use crate::upload_content::ContentError;
use crate::upload_destination::InvalidKey;
use nextbasket_objects::ObjectError;

/// Why a content is not uploaded.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The table of upload records.
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The content cannot be read.
    #[error("{0}")]
    UploadContent(#[from] ContentError),
    /// The name cannot be a key of S3.
    #[error("{0}")]
    Key(#[from] InvalidKey),
    /// There is an object of this key with other content, and it is not to be replaced.
    #[error(
        "s3://{bucket}/{key} exists with other content. Upload the file as a new version, or under another key."
    )]
    Differs { bucket: String, key: String },
    /// The object has as many versions as can be told apart.
    #[error("s3://{bucket}/{key} has too many versions. Upload the file under another key.")]
    TooManyVersions { bucket: String, key: String },
    /// ClaimedFiles kept changing the object or its multipart upload meanwhile.
    #[error("s3://{bucket}/{key} was changed by other writers during the upload. Try again.")]
    Contended { bucket: String, key: String },
    /// Another worker has the claim now.
    #[error("another worker has taken the claim over")]
    ClaimLost,
    /// The uploads were told to stop.
    #[error("the upload was stopped before its end")]
    Stopped,
}

impl UploadError {
    /// Whether the same upload may succeed if it is tried again later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Table(error) => error.is_transient(),
            Self::Object(error) => error.is_transient(),
            Self::Contended { .. } | Self::ClaimLost => true,
            _ => false,
        }
    }

    /// Whether every other upload would meet it as well: no permission, no bucket, no table.
    #[must_use]
    pub fn is_systemic(&self) -> bool {
        match self {
            Self::Table(error) => matches!(error, TableError::Refused { .. }),
            Self::Object(error) => error.is_systemic(),
            _ => false,
        }
    }
}
