//! The calls to S3 that an upload makes, and what their answers mean for it.

use std::collections::HashMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;

use crate::checksum::{Checksum, Hasher};

/// Why S3 did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// It refuses: trying again does not help.
    #[error("s3://{bucket}/{key}: {action}: refused: {code}: {reason}")]
    Refused {
        /// The bucket.
        bucket: String,
        /// The key, or a prefix of keys.
        key: String,
        /// The call.
        action: &'static str,
        /// S3's code, or the status of an answer without one.
        code: String,
        /// S3's own words.
        reason: String,
    },
    /// No answer, or one that says that the service is at fault.
    #[error("s3://{bucket}/{key}: {action}: unavailable: {reason}")]
    Unavailable {
        /// The bucket.
        bucket: String,
        /// The key, or a prefix of keys.
        key: String,
        /// The call.
        action: &'static str,
        /// What happened, with its causes.
        reason: String,
    },
}

/// Codes that every further call would meet as well.
const SYSTEMIC: [&str; 12] = [
    "403",
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

impl StorageError {
    /// Whether the same call may succeed if it is made again later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// Whether every further call would meet it as well.
    #[must_use]
    pub fn is_systemic(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if SYSTEMIC.contains(&code.as_str()))
    }
}

/// What came of a write that must not replace anything.
#[derive(Debug)]
pub(crate) enum Written {
    /// The object is there, by this call.
    Ours { etag: Option<String>, version_id: Option<String> },
    /// There is an object of this key already.
    Exists,
    /// Another write to the key was in progress: look, and ask again.
    Conflict,
    /// The multipart upload is not there (any more), or its parts are not those that we sent.
    Unusable,
}

/// What S3 says of an object.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) size: u64,
    /// The SHA-256, if it was uploaded with one.
    pub(crate) checksum: Option<Checksum>,
    pub(crate) etag: Option<String>,
    pub(crate) version_id: Option<String>,
}

/// A part that S3 has.
#[derive(Debug, Clone)]
pub(crate) struct PartThere {
    pub(crate) size: u64,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) etag: String,
}

/// A part as an upload is completed with it.
#[derive(Debug)]
pub(crate) struct SentPart {
    pub(crate) number: i32,
    pub(crate) etag: String,
    pub(crate) checksum: Checksum,
}

/// A multipart upload in progress.
#[derive(Debug, Clone)]
pub(crate) struct InProgress {
    pub(crate) key: String,
    pub(crate) id: String,
}

/// One bucket.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    client: Client,
    name: String,
}

impl Bucket {
    pub(crate) fn new(client: Client, name: String) -> Self {
        Self { client, name }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Writes an object that is not there.
    pub(crate) async fn put(
        &self,
        key: &str,
        content: Bytes,
        checksum: &Checksum,
    ) -> Result<Written, StorageError> {
        let put = self
            .client
            .put_object()
            .bucket(&self.name)
            .key(key)
            .if_none_match("*")
            .checksum_sha256(checksum.as_str())
            .body(ByteStream::from(content));
        match put.send().await {
            Ok(output) => Ok(Written::Ours { etag: output.e_tag, version_id: output.version_id }),
            Err(error) => self.written(key, "PutObject", error),
        }
    }

    /// What is under the key, if anything is.
    pub(crate) async fn head(&self, key: &str) -> Result<Option<Head>, StorageError> {
        let head = self.client.head_object().bucket(&self.name).key(key).checksum_mode(ChecksumMode::Enabled);
        match head.send().await {
            Ok(output) => Ok(Some(Head {
                size: output.content_length.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
                checksum: output.checksum_sha256.map(Checksum::told),
                etag: output.e_tag,
                version_id: output.version_id,
            })),
            Err(error) if status(&error) == Some(404) && error.code() != Some("NoSuchBucket") => Ok(None),
            Err(error) => Err(self.error(key, "HeadObject", error)),
        }
    }

    /// Reads the object of this ETag and gives its checksum; none if that is not there any more.
    pub(crate) async fn checksum(
        &self,
        key: &str,
        etag: Option<String>,
    ) -> Result<Option<Checksum>, StorageError> {
        let get = self.client.get_object().bucket(&self.name).key(key).set_if_match(etag);
        let mut output = match get.send().await {
            Ok(output) => output,
            Err(error) if matches!(status(&error), Some(404 | 412)) => return Ok(None),
            Err(error) => return Err(self.error(key, "GetObject", error)),
        };
        let mut hasher = Hasher::new(None);
        while let Some(bytes) = output.body.next().await {
            let bytes = bytes.map_err(|error| self.unavailable(key, "GetObject", error.to_string()))?;
            hasher.update(&bytes);
        }
        Ok(Some(hasher.finish()))
    }

    /// Begins a multipart upload.
    pub(crate) async fn begin(&self, key: &str) -> Result<String, StorageError> {
        let create = self
            .client
            .create_multipart_upload()
            .bucket(&self.name)
            .key(key)
            .checksum_algorithm(ChecksumAlgorithm::Sha256);
        let output = create.send().await.map_err(|error| self.error(key, "CreateMultipartUpload", error))?;
        output.upload_id.ok_or_else(|| {
            self.unavailable(key, "CreateMultipartUpload", "an answer without an id".to_owned())
        })
    }

    /// Sends a part; none if the upload is not there any more.
    pub(crate) async fn put_part(
        &self,
        upload: &InProgress,
        number: i32,
        content: Bytes,
        checksum: Checksum,
    ) -> Result<Option<SentPart>, StorageError> {
        let put = self
            .client
            .upload_part()
            .bucket(&self.name)
            .key(&upload.key)
            .upload_id(&upload.id)
            .part_number(number)
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .checksum_sha256(checksum.as_str())
            .body(ByteStream::from(content));
        match put.send().await {
            Ok(output) => {
                let etag = output.e_tag.ok_or_else(|| {
                    self.unavailable(&upload.key, "UploadPart", "an answer without an ETag".to_owned())
                })?;
                Ok(Some(SentPart { number, etag, checksum }))
            }
            Err(error) if error.code() == Some("NoSuchUpload") => Ok(None),
            Err(error) => Err(self.error(&upload.key, "UploadPart", error)),
        }
    }

    /// The parts that S3 has; none if the upload is not there any more.
    pub(crate) async fn parts(
        &self,
        upload: &InProgress,
    ) -> Result<Option<HashMap<i32, PartThere>>, StorageError> {
        let mut parts = HashMap::new();
        let mut marker = None;
        loop {
            let list = self
                .client
                .list_parts()
                .bucket(&self.name)
                .key(&upload.key)
                .upload_id(&upload.id)
                .set_part_number_marker(marker);
            let output = match list.send().await {
                Ok(output) => output,
                Err(error) if error.code() == Some("NoSuchUpload") => return Ok(None),
                Err(error) => return Err(self.error(&upload.key, "ListParts", error)),
            };
            for part in output.parts.unwrap_or_default() {
                let (Some(number), Some(etag)) = (part.part_number, part.e_tag) else { continue };
                let size = part.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
                let checksum = part.checksum_sha256.map(Checksum::told);
                parts.insert(number, PartThere { size, checksum, etag });
            }
            marker = output.next_part_number_marker.filter(|_| output.is_truncated == Some(true));
            if marker.is_none() {
                return Ok(Some(parts));
            }
        }
    }

    /// Makes the object of its parts, if there is none of this key.
    pub(crate) async fn complete(
        &self,
        upload: &InProgress,
        parts: &[SentPart],
    ) -> Result<Written, StorageError> {
        let parts = parts.iter().map(|part| {
            CompletedPart::builder()
                .part_number(part.number)
                .e_tag(&part.etag)
                .checksum_sha256(part.checksum.as_str())
                .build()
        });
        let complete = self
            .client
            .complete_multipart_upload()
            .bucket(&self.name)
            .key(&upload.key)
            .upload_id(&upload.id)
            .if_none_match("*")
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build());
        match complete.send().await {
            Ok(output) => Ok(Written::Ours { etag: output.e_tag, version_id: output.version_id }),
            Err(error) => self.written(&upload.key, "CompleteMultipartUpload", error),
        }
    }

    /// Ends a multipart upload and drops its parts.
    pub(crate) async fn abort(&self, upload: &InProgress) -> Result<(), StorageError> {
        let abort =
            self.client.abort_multipart_upload().bucket(&self.name).key(&upload.key).upload_id(&upload.id);
        match abort.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("NoSuchUpload") => Ok(()),
            Err(error) => Err(self.error(&upload.key, "AbortMultipartUpload", error)),
        }
    }

    /// The multipart uploads in progress to keys with this prefix.
    pub(crate) async fn in_progress(&self, prefix: &str) -> Result<Vec<InProgress>, StorageError> {
        let mut found = Vec::new();
        let (mut key_marker, mut id_marker) = (None, None);
        loop {
            let output = self
                .client
                .list_multipart_uploads()
                .bucket(&self.name)
                .prefix(prefix)
                .set_key_marker(key_marker)
                .set_upload_id_marker(id_marker)
                .send()
                .await
                .map_err(|error| self.error(prefix, "ListMultipartUploads", error))?;
            for upload in output.uploads.unwrap_or_default() {
                if let (Some(key), Some(id)) = (upload.key, upload.upload_id) {
                    found.push(InProgress { key, id });
                }
            }
            if output.is_truncated != Some(true) || output.next_key_marker.is_none() {
                return Ok(found);
            }
            (key_marker, id_marker) = (output.next_key_marker, output.next_upload_id_marker);
        }
    }

    fn written<E>(&self, key: &str, action: &'static str, error: SdkError<E>) -> Result<Written, StorageError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        match (error.code(), status(&error)) {
            // A completion may be refused in an answer of 200.
            (Some("PreconditionFailed"), _) | (_, Some(412)) => Ok(Written::Exists),
            (Some("ConditionalRequestConflict" | "OperationAborted"), _) => Ok(Written::Conflict),
            (Some("NoSuchUpload" | "InvalidPart" | "InvalidPartOrder"), _) => Ok(Written::Unusable),
            _ => Err(self.error(key, action, error)),
        }
    }

    fn error<E>(&self, key: &str, action: &'static str, error: SdkError<E>) -> StorageError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        if let (SdkError::ServiceError(service), Some(status)) = (&error, status(&error))
            && (300..500).contains(&status)
            && !matches!(status, 408 | 409 | 429)
            // The network, not the content, was at fault: what was sent is not what arrived.
            && !matches!(service.err().code(), Some("BadDigest" | "RequestTimeout" | "IncompleteBody"))
        {
            let code = service.err().code().map_or_else(|| status.to_string(), str::to_owned);
            let reason = service.err().message().unwrap_or("no message").to_owned();
            let (bucket, key) = (self.name.clone(), key.to_owned());
            return StorageError::Refused { bucket, key, action, code, reason };
        }
        self.unavailable(key, action, DisplayErrorContext(error).to_string())
    }

    fn unavailable(&self, key: &str, action: &'static str, reason: String) -> StorageError {
        StorageError::Unavailable { bucket: self.name.clone(), key: key.to_owned(), action, reason }
    }
}

fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}
