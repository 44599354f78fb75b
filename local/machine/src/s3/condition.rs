//! Conditions of requests: on what is there when something is written, and on what is read.

use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue, header};
use s3s::dto::{ETagCondition, Timestamp};
use s3s::{S3Error, S3ErrorCode, S3Result};

use super::error::refused;
use super::index::StoredObject;

/// What has to be under a key for a write to be done.
#[derive(Debug, Clone)]
pub(super) enum WriteCondition {
    /// Whatever is there.
    Always,
    /// Nothing is there: `If-None-Match: *`.
    Absent,
    /// Something is there, of this ETag: `If-Match`.
    Matches(ETagCondition),
}

impl WriteCondition {
    pub(super) fn of(
        if_match: Option<ETagCondition>,
        if_none_match: Option<ETagCondition>,
    ) -> S3Result<Self> {
        match (if_match, if_none_match) {
            (None, None) => Ok(WriteCondition::Always),
            (None, Some(ETagCondition::Any)) => Ok(WriteCondition::Absent),
            (Some(etag), None) => Ok(WriteCondition::Matches(etag)),
            (_, Some(_)) => Err(refused(
                S3ErrorCode::NotImplemented,
                "a write can have If-Match, or If-None-Match with *, and nothing else",
            )),
        }
    }

    /// `etag` is that of the object that is there, if there is one.
    pub(super) fn check(&self, etag: Option<&str>) -> S3Result<()> {
        match (self, etag) {
            (WriteCondition::Always, _) | (WriteCondition::Absent, None) => Ok(()),
            (WriteCondition::Matches(_), None) => Err(S3Error::new(S3ErrorCode::NoSuchKey)),
            (WriteCondition::Matches(wanted), Some(etag)) if matches(wanted, etag) => Ok(()),
            (WriteCondition::Absent | WriteCondition::Matches(_), Some(_)) => Err(failed()),
        }
    }
}

/// The conditions of a read.
pub(super) struct ReadCondition {
    pub(super) matches: Option<ETagCondition>,
    pub(super) none_matches: Option<ETagCondition>,
    pub(super) modified_since: Option<Timestamp>,
    pub(super) unmodified_since: Option<Timestamp>,
}

impl ReadCondition {
    /// An error unless the object is to be sent: a condition on the ETag goes before one on the time.
    pub(super) fn check(&self, object: &StoredObject) -> S3Result<()> {
        let modified = whole_seconds(object.modified);
        let changed_since = |time: &Timestamp| modified > *time;
        let wanted = match (&self.matches, &self.unmodified_since) {
            (Some(etag), _) => matches(etag, &object.etag),
            (None, Some(time)) => !changed_since(time),
            (None, None) => true,
        };
        if !wanted {
            return Err(failed());
        }
        let new = match (&self.none_matches, &self.modified_since) {
            (Some(etag), _) => !matches(etag, &object.etag),
            (None, Some(time)) => changed_since(time),
            (None, None) => true,
        };
        if new { Ok(()) } else { Err(not_modified(object)) }
    }

    /// The same for the source of a copy, where there is no `304`.
    pub(super) fn check_source(&self, object: &StoredObject) -> S3Result<()> {
        self.check(object).map_err(|_| failed())
    }
}

fn matches(wanted: &ETagCondition, etag: &str) -> bool {
    wanted.as_etag().is_none_or(|wanted| wanted.value() == etag)
}

fn failed() -> S3Error {
    refused(S3ErrorCode::PreconditionFailed, "At least one of the conditions of the request does not hold")
}

fn not_modified(object: &StoredObject) -> S3Error {
    let mut error = S3Error::new(S3ErrorCode::NotModified);
    let mut headers = HeaderMap::new();
    if let Ok(etag) = HeaderValue::try_from(format!("\"{}\"", object.etag)) {
        headers.insert(header::ETAG, etag);
    }
    error.set_headers(headers);
    error
}

/// Times in headers have no fractions.
fn whole_seconds(time: SystemTime) -> Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from(UNIX_EPOCH + std::time::Duration::from_secs(since.as_secs()))
}
