//! Failures of the storage as answers.

use http::StatusCode;
use s3s::{S3Error, S3ErrorCode};

/// What went wrong on this side: logged in full, told to the client as `InternalError`.
pub(super) fn broken(error: impl std::error::Error + Send + Sync + 'static) -> S3Error {
    tracing::error!(error = %error, "the local S3 failed");
    S3Error::internal_error(error)
}

/// A refusal with its reason.
pub(super) fn refused(code: S3ErrorCode, reason: impl Into<String>) -> S3Error {
    S3Error::with_message(code, reason.into())
}

/// A refusal with a code of S3 that s3s does not name.
pub(super) fn bad_request(code: &'static str, reason: impl Into<String>) -> S3Error {
    let mut error = refused(S3ErrorCode::Custom(code.into()), reason);
    error.set_status_code(StatusCode::BAD_REQUEST);
    error
}
