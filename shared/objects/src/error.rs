//! Why a file or an object cannot be listed, read or written, and whether trying again can help.

use std::io;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use nextbasket_sdk_errors::sentence;

/// The message of the object storage of a data folder whose disk is full: waiting does not help.
const FULL_DISK: &str = "database or disk is full";
/// Codes of S3 that every further call would get as well: permissions, credentials, the bucket itself, its region.
const SYSTEMIC: [&str; 11] = [
    "AccessDenied",
    "AccountProblem",
    "AllAccessDisabled",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidBucketName",
    "InvalidToken",
    "NoSuchBucket",
    "PermanentRedirect",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
];

/// Codes of answers with a status of 4xx for which the network was at fault: what arrived is not what was sent.
const LOST_ON_THE_WAY: [&str; 3] = ["BadDigest", "IncompleteBody", "RequestTimeout"];

/// Codes that say that the service is at fault, in answers about several objects, which have no status for each.
const SERVICE_AT_FAULT: [&str; 3] = ["InternalError", "ServiceUnavailable", "SlowDown"];

/// What may be done about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// The same call may succeed later.
    Transient,
    /// The same call will fail again; other calls may succeed.
    Permanent,
    /// Every other call would fail as well: no permission, no such bucket.
    Systemic,
}

/// Why a file or an object cannot be listed, read or written.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// There is nothing at this location.
    #[error("{location} not found")]
    NotFound {
        /// A path or `s3://BUCKET/KEY`.
        location: String,
    },
    /// It is not what it was when it was listed.
    #[error("{location} changed after it was listed")]
    Changed {
        /// A path or `s3://BUCKET/KEY`.
        location: String,
    },
    /// S3 or the operating system rejects the call.
    #[error("{operation} {location} failed: {code}: {reason}")]
    Rejected {
        /// A path or `s3://BUCKET/KEY`.
        location: String,
        /// The call: S3's name of it, or `file`.
        operation: &'static str,
        /// The error code of S3 or of the operating system.
        code: String,
        /// Its message.
        reason: String,
        /// Whether other calls would be rejected as well.
        class: ErrorClass,
    },
    /// There was no answer, or one that says that the service is at fault.
    #[error("{operation} {location} failed: {reason}")]
    Unavailable {
        /// A path or `s3://BUCKET/KEY`.
        location: String,
        /// The call: S3's name of it, or `file`.
        operation: &'static str,
        /// What happened, with its causes.
        reason: String,
        /// Transient, unless the disk behind the service is full.
        class: ErrorClass,
    },
}

impl ObjectError {
    /// What may be done about it.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NotFound { .. } | Self::Changed { .. } => ErrorClass::Permanent,
            Self::Rejected { class, .. } | Self::Unavailable { class, .. } => *class,
        }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.class() == ErrorClass::Transient
    }

    /// Whether every other call would fail as well.
    #[must_use]
    pub fn is_systemic(&self) -> bool {
        self.class() == ErrorClass::Systemic
    }

    /// The error of the operating system about a local file.
    #[must_use]
    pub fn from_io(location: &str, error: &io::Error) -> Self {
        use io::ErrorKind;
        match error.kind() {
            ErrorKind::NotFound => Self::NotFound { location: location.to_owned() },
            // A network file system that does not answer now.
            ErrorKind::TimedOut
            | ErrorKind::Interrupted
            | ErrorKind::ConnectionReset
            | ErrorKind::ResourceBusy
            | ErrorKind::StaleNetworkFileHandle => Self::unavailable(location, "file", error.to_string()),
            kind => Self::rejected(location, "file", &format!("{kind:?}"), &error.to_string()),
        }
    }

    /// The SDK's error about a call of this name.
    #[expect(clippy::needless_pass_by_value, reason = "it is what errors are mapped with")]
    pub(crate) fn from_sdk<E>(location: &str, operation: &'static str, error: SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let status = error.raw_response().map_or(0, |response| response.status().as_u16());
        if let SdkError::ServiceError(service) = &error {
            // Answers to HEAD have no body, so no code either.
            let code = service.err().code().unwrap_or(match status {
                301 => "PermanentRedirect",
                403 => "AccessDenied",
                404 => "NotFound",
                412 => "PreconditionFailed",
                _ => "unknown",
            });
            match (code, status) {
                ("NoSuchKey" | "NotFound", _) => return Self::NotFound { location: location.to_owned() },
                ("PreconditionFailed", _) => return Self::Changed { location: location.to_owned() },
                (code, _) if LOST_ON_THE_WAY.contains(&code) => {}
                (_, 408 | 409 | 429) => {}
                // Of the redirects, only that to the bucket's region is for good.
                (_, 301 | 400..=499) => {
                    let reason = service.err().message().map_or_else(|| sentence(&error), str::to_owned);
                    return Self::rejected(location, operation, code, &reason);
                }
                _ => {}
            }
        }
        Self::unavailable(location, operation, sentence(&error))
    }

    /// The error about one object in an answer about several.
    pub(crate) fn of_entry(location: &str, operation: &'static str, code: &str, reason: &str) -> Self {
        if SERVICE_AT_FAULT.contains(&code) {
            Self::unavailable(location, operation, format!("{code}: {reason}"))
        } else {
            Self::rejected(location, operation, code, reason)
        }
    }

    pub(crate) fn rejected(location: &str, operation: &'static str, code: &str, reason: &str) -> Self {
        let class = if SYSTEMIC.contains(&code) { ErrorClass::Systemic } else { ErrorClass::Permanent };
        let (location, code, reason) = (location.to_owned(), code.to_owned(), reason.to_owned());
        Self::Rejected { location, operation, code, reason, class }
    }

    pub(crate) fn unavailable(location: &str, operation: &'static str, reason: String) -> Self {
        let class = if reason.contains(FULL_DISK) { ErrorClass::Permanent } else { ErrorClass::Transient };
        Self::Unavailable { location: location.to_owned(), operation, reason, class }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::config::http::HttpResponse;
    use aws_sdk_s3::error::ErrorMetadata;
    use aws_sdk_s3::operation::get_object::GetObjectError;
    use aws_sdk_s3::primitives::SdkBody;

    use super::*;

    fn answered(status: u16, code: Option<&str>, message: &str) -> ObjectError {
        let mut metadata = ErrorMetadata::builder().message(message);
        if let Some(code) = code {
            metadata = metadata.code(code);
        }
        let response = HttpResponse::new(status.try_into().unwrap(), SdkBody::empty());
        let error = SdkError::service_error(GetObjectError::generic(metadata.build()), response);
        ObjectError::from_sdk("s3://shop/a", "GetObject", error)
    }

    #[test]
    fn every_answer_has_one_class() {
        use ErrorClass::{Permanent, Systemic, Transient};
        for (status, code, class) in [
            (403, Some("AccessDenied"), Systemic),
            (403, None, Systemic),
            (404, Some("NoSuchBucket"), Systemic),
            (301, Some("PermanentRedirect"), Systemic),
            (301, None, Systemic),
            (307, Some("TemporaryRedirect"), Transient),
            (404, Some("NoSuchKey"), Permanent),
            (404, None, Permanent),
            (412, None, Permanent),
            (400, Some("InvalidRequest"), Permanent),
            (400, Some("BadDigest"), Transient),
            (409, Some("OperationAborted"), Transient),
            (429, None, Transient),
            (500, Some("InternalError"), Transient),
            (503, Some("SlowDown"), Transient),
        ] {
            let error = answered(status, code, "words");
            assert_eq!(error.class(), class, "{status} {code:?}: {error}");
        }
        assert_eq!(answered(500, Some("InternalError"), FULL_DISK).class(), Permanent);
    }

    #[test]
    fn messages_name_the_call_the_object_and_the_reason() {
        let denied = answered(403, Some("AccessDenied"), "no s3:GetObject");
        assert_eq!(denied.to_string(), "GetObject s3://shop/a failed: AccessDenied: no s3:GetObject");
        let gone = ObjectError::from_io("/tmp/a", &io::ErrorKind::NotFound.into());
        assert_eq!(gone.to_string(), "/tmp/a not found");
    }
}
