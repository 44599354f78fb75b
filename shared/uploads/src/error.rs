//! Why a content is not uploaded.

use nextbasket_dynamodb::TableError;

use crate::bucket::StorageError;
use crate::content::ReadError;
use crate::destination::BadKey;

/// Why a content is not uploaded.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The table of claims and marks.
    #[error(transparent)]
    Table(#[from] TableError),
    /// S3.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The content cannot be read.
    #[error("{0}")]
    Read(#[from] ReadError),
    /// S3 takes no such key.
    #[error("{0}")]
    Key(#[from] BadKey),
    /// There is an object of this key with other content, and it is not to be replaced.
    #[error("s3://{bucket}/{key} is there with other content")]
    Differs {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// The object has as many versions as can be told apart.
    #[error("s3://{bucket}/{key} has too many versions")]
    TooManyVersions {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// Others kept changing the object or its multipart upload meanwhile.
    #[error("s3://{bucket}/{key} was changed by others meanwhile")]
    Contended {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// The claim is another's now.
    #[error("the claim was lost")]
    Lost,
    /// The uploads were told to stop.
    #[error("stopped")]
    Stopped,
}

impl UploadError {
    /// Whether the same upload may succeed if it is tried again later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Table(error) => error.is_transient(),
            Self::Storage(error) => error.is_transient(),
            Self::Contended { .. } | Self::Lost => true,
            _ => false,
        }
    }

    /// Whether every other upload would meet it as well: no permission, no bucket, no table.
    #[must_use]
    pub fn is_systemic(&self) -> bool {
        match self {
            Self::Table(error) => matches!(error, TableError::Refused { .. }),
            Self::Storage(error) => error.is_systemic(),
            _ => false,
        }
    }
}
