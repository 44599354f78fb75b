//! Failures of the storage as answers.

use std::error::Error;
use std::iter::successors;

use http::StatusCode;
use s3s::{S3Error, S3ErrorCode};

use crate::dynamodb::FULL_DISK;

/// An error on the server's side: logged in full, reported to the client as `InternalError`. A full disk is reported
/// in the same words as the database uses.
pub(super) fn broken(error: impl Error + Send + Sync + 'static) -> S3Error {
    tracing::error!(error = %error, "the local S3 failed");
    if is_full_disk(&error) {
        return refused(S3ErrorCode::InternalError, FULL_DISK);
    }
    S3Error::internal_error(error)
}

fn is_full_disk(error: &(dyn Error + 'static)) -> bool {
    let sqlite = |error: &(dyn Error + 'static)| {
        let error = error.downcast_ref::<rusqlite::Error>()?.sqlite_error_code()?;
        Some(error == rusqlite::ErrorCode::DiskFull)
    };
    let system = |error: &(dyn Error + 'static)| {
        Some(error.downcast_ref::<std::io::Error>()?.kind() == std::io::ErrorKind::StorageFull)
    };
    successors(Some(error), |&error| error.source())
        .any(|error| sqlite(error).or_else(|| system(error)).unwrap_or(false))
}

pub(super) fn refused(code: S3ErrorCode, reason: impl Into<String>) -> S3Error {
    S3Error::with_message(code, reason.into())
}

/// A refusal with a code of S3 that s3s does not name.
pub(super) fn bad_request(code: &'static str, reason: impl Into<String>) -> S3Error {
    let mut error = refused(S3ErrorCode::Custom(code.into()), reason);
    error.set_status_code(StatusCode::BAD_REQUEST);
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_to_the_client() {
        let full = std::io::Error::from_raw_os_error(28);
        assert_eq!(broken(full).message(), Some(FULL_DISK));
        assert_ne!(broken(std::io::Error::other("x")).message(), Some(FULL_DISK));
    }
}
