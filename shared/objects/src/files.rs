//! Files of this machine and objects in S3 as one: listed, read in ranges, written, removed.
//!
//! A file is read as what it was listed: one that has changed since is an error, never half one and half the other.

mod list;
mod stream;
mod write;

pub use list::FoundFile;
pub use stream::{BlockingFileStream, FileStream};

use aws_sdk_s3::Client;

use crate::bucket::Bucket;
use crate::error::ObjectError;

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

    /// The bucket of this name.
    #[must_use]
    pub fn bucket(&self, name: &str) -> Bucket {
        Bucket::new(self.s3.clone(), name)
    }
}

impl Bucket {
    /// Files of this machine, and objects in any bucket, through the same client unless there is another one for them.
    #[must_use]
    pub fn files(&self) -> Files {
        Files::new(self.files_client().clone())
    }
}

/// Whether this process is a Lambda function, which has no files of its own.
#[must_use]
pub fn in_function() -> bool {
    std::env::var_os("AWS_LAMBDA_FUNCTION_NAME").is_some()
}

/// Runs work that waits for the disk on a thread of its own.
async fn blocking<T: Send + 'static>(
    name: String,
    work: impl FnOnce() -> Result<T, ObjectError> + Send + 'static,
) -> Result<T, ObjectError> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.unwrap_or_else(|crash| Err(ObjectError::unavailable(&name, "file", crash.to_string())))
}
