//! One bucket: objects put, read, listed and deleted.

use std::ops::Range;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{ChecksumMode, Delete, ObjectIdentifier};
use bytes::Bytes;

use crate::checksum::{Checksum, Hasher};
use crate::error::ObjectError;

/// S3's limit for one `DeleteObjects`.
const MAX_DELETED: usize = 1_000;

/// One bucket. Every call fails with an [`ObjectError`] that names the call and the key if S3 rejects it or does not
/// answer.
#[derive(Debug, Clone)]
pub struct Bucket {
    client: Client,
    name: String,
    /// For objects of other buckets, if they are elsewhere.
    elsewhere: Option<Client>,
}

/// What S3 says of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectHead {
    /// In bytes.
    pub size: u64,
    /// The SHA-256, if the object was uploaded with one.
    pub checksum: Option<Checksum>,
    /// Tells this content from another of the same key.
    pub etag: Option<String>,
    /// In a bucket that keeps versions.
    pub version_id: Option<String>,
    /// When it was written, in milliseconds since 1970.
    pub modified_ms: i64,
}

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    /// Its key.
    pub key: String,
    /// In bytes.
    pub size: u64,
    /// Tells this content from another of the same key.
    pub etag: Option<String>,
    /// When it was written, in milliseconds since 1970.
    pub modified_ms: i64,
}

/// The outcome of a write that must not replace an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConditionalWrite {
    /// The object exists now, by this call.
    Written {
        /// Tells this content from another of the same key.
        etag: Option<String>,
        /// In a bucket that keeps versions.
        version_id: Option<String>,
    },
    /// There was an object with this key already.
    Exists,
    /// Another write to the key was in progress: look, and try again.
    Conflict,
    /// The multipart upload does not exist (any more), or its parts are not those that were sent.
    UnusableUpload,
}

impl Bucket {
    /// The bucket of this name.
    #[must_use]
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        Self { client, name: name.into(), elsewhere: None }
    }

    /// The same bucket, while [`files`](Self::files) finds objects through another client.
    #[must_use]
    pub fn with_files_of(self, client: Client) -> Self {
        Self { elsewhere: Some(client), ..self }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The client for objects of other buckets.
    pub(crate) fn files_client(&self) -> &Client {
        self.elsewhere.as_ref().unwrap_or(&self.client)
    }

    /// The bucket's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes a whole object, in place of an earlier one.
    pub async fn put(&self, key: &str, content: impl Into<Bytes>) -> Result<(), ObjectError> {
        let put = self.client.put_object().bucket(&self.name).key(key);
        let sent = put.body(ByteStream::from(content.into())).send().await;
        sent.map(drop).map_err(|error| self.error(key, "PutObject", error))
    }

    /// Writes a whole object if there is none with this key. S3 checks the content against the checksum.
    pub async fn put_if_absent(
        &self,
        key: &str,
        content: impl Into<Bytes>,
        checksum: &Checksum,
    ) -> Result<ConditionalWrite, ObjectError> {
        let put = self
            .client
            .put_object()
            .bucket(&self.name)
            .key(key)
            .if_none_match("*")
            .checksum_sha256(checksum.as_str())
            .body(ByteStream::from(content.into()));
        match put.send().await {
            Ok(output) => Ok(ConditionalWrite::Written { etag: output.e_tag, version_id: output.version_id }),
            Err(error) => self.conditional(key, "PutObject", error),
        }
    }

    /// Reads a whole object.
    pub async fn get(&self, key: &str) -> Result<Vec<u8>, ObjectError> {
        self.read(key, None).await
    }

    /// Reads a range of an object.
    pub async fn get_range(&self, key: &str, bytes: Range<u64>) -> Result<Vec<u8>, ObjectError> {
        self.read(key, Some(http_range(&bytes))).await
    }

    async fn read(&self, key: &str, range: Option<String>) -> Result<Vec<u8>, ObjectError> {
        let get = self.client.get_object().bucket(&self.name).key(key).set_range(range);
        let output = get.send().await.map_err(|error| self.error(key, "GetObject", error))?;
        let content = output.body.collect().await;
        let content = content.map_err(|error| self.unavailable(key, "GetObject", error.to_string()))?;
        Ok(content.to_vec())
    }

    /// The body of a range of an object, if it is still the one with this ETag.
    pub(crate) async fn stream(
        &self,
        key: &str,
        bytes: &Range<u64>,
        etag: Option<String>,
    ) -> Result<ByteStream, ObjectError> {
        let get = self.client.get_object().bucket(&self.name).key(key);
        let sent = get.range(http_range(bytes)).set_if_match(etag).send().await;
        sent.map(|output| output.body).map_err(|error| self.error(key, "GetObject", error))
    }

    /// Reads the object with this ETag and returns its checksum; `None` if it does not exist any more.
    pub async fn checksum(&self, key: &str, etag: Option<String>) -> Result<Option<Checksum>, ObjectError> {
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

    /// What S3 says of the object; `None` if it does not exist.
    pub async fn head(&self, key: &str) -> Result<Option<ObjectHead>, ObjectError> {
        let head = self.client.head_object().bucket(&self.name).key(key).checksum_mode(ChecksumMode::Enabled);
        match head.send().await {
            Ok(output) => Ok(Some(ObjectHead {
                size: size(output.content_length),
                checksum: output.checksum_sha256.map(Checksum::reported),
                etag: output.e_tag,
                version_id: output.version_id,
                modified_ms: millis(output.last_modified),
            })),
            Err(error) if status(&error) == Some(404) && error.code() != Some("NoSuchBucket") => Ok(None),
            Err(error) => Err(self.error(key, "HeadObject", error)),
        }
    }

    /// The keys with this prefix, sorted.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        Ok(self.list_objects(prefix).await?.into_iter().map(|object| object.key).collect())
    }

    /// The objects with this prefix, sorted by key.
    pub async fn list_objects(&self, prefix: &str) -> Result<Vec<ListedObject>, ObjectError> {
        let list = self.client.list_objects_v2().bucket(&self.name).prefix(prefix);
        let mut pages = list.into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.error(prefix, "ListObjectsV2", error))?;
            for object in page.contents.unwrap_or_default() {
                let Some(key) = object.key else { continue };
                found.push(ListedObject {
                    key,
                    size: size(object.size),
                    etag: object.e_tag,
                    modified_ms: millis(object.last_modified),
                });
            }
        }
        found.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        Ok(found)
    }

    /// The prefixes right below this one, each up to and with its next `/`.
    pub async fn list_folders(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        let list = self.client.list_objects_v2().bucket(&self.name).prefix(prefix).delimiter("/");
        let mut pages = list.into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.error(prefix, "ListObjectsV2", error))?;
            found.extend(page.common_prefixes.unwrap_or_default().into_iter().filter_map(|one| one.prefix));
        }
        Ok(found)
    }

    /// Deletes an object, if it exists.
    pub async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        let sent = self.client.delete_object().bucket(&self.name).key(key).send().await;
        sent.map(drop).map_err(|error| self.error(key, "DeleteObject", error))
    }

    /// Deletes objects, 1,000 with each call.
    ///
    /// # Errors
    /// [`ObjectError`] if S3 does not answer or does not allow it; some objects may be deleted then.
    pub async fn delete_all(&self, keys: &[String]) -> Result<(), ObjectError> {
        const CALL: &str = "DeleteObjects";
        for some in keys.chunks(MAX_DELETED) {
            let first = some.first().map_or("", String::as_str);
            let invalid = |error: aws_sdk_s3::error::BuildError| {
                ObjectError::rejected(&self.location(first), CALL, "InvalidRequest", &error.to_string())
            };
            let named = some.iter().map(|key| ObjectIdentifier::builder().key(key).build());
            let named = named.collect::<Result<Vec<_>, _>>().map_err(invalid)?;
            let delete = Delete::builder().set_objects(Some(named)).quiet(true).build().map_err(invalid)?;
            let sent = self.client.delete_objects().bucket(&self.name).delete(delete).send().await;
            let output = sent.map_err(|error| self.error(first, CALL, error))?;
            if let Some(failed) = output.errors.unwrap_or_default().into_iter().next() {
                let key = failed.key.unwrap_or_default();
                let code = failed.code.unwrap_or_default();
                let reason = failed.message.unwrap_or_default();
                return Err(ObjectError::of_entry(&self.location(&key), CALL, &code, &reason));
            }
        }
        Ok(())
    }

    /// Deletes all objects with this prefix.
    pub async fn delete_prefix(&self, prefix: &str) -> Result<(), ObjectError> {
        self.delete_all(&self.list(prefix).await?).await
    }

    /// The outcome of a conditional write that S3 did not accept, or the error.
    pub(crate) fn conditional<E>(
        &self,
        key: &str,
        operation: &'static str,
        error: SdkError<E>,
    ) -> Result<ConditionalWrite, ObjectError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        match (error.code(), status(&error)) {
            // S3 may reject the completion of a multipart upload in an answer with status 200.
            (Some("PreconditionFailed"), _) | (_, Some(412)) => Ok(ConditionalWrite::Exists),
            (Some("ConditionalRequestConflict" | "OperationAborted"), _) => Ok(ConditionalWrite::Conflict),
            (Some("NoSuchUpload" | "InvalidPart" | "InvalidPartOrder"), _) => {
                Ok(ConditionalWrite::UnusableUpload)
            }
            _ => Err(self.error(key, operation, error)),
        }
    }

    pub(crate) fn error<E>(&self, key: &str, operation: &'static str, error: SdkError<E>) -> ObjectError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        ObjectError::from_sdk(&self.location(key), operation, error)
    }

    pub(crate) fn unavailable(&self, key: &str, operation: &'static str, reason: String) -> ObjectError {
        ObjectError::unavailable(&self.location(key), operation, reason)
    }

    /// `s3://BUCKET/KEY`.
    pub(crate) fn location(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }
}

fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// A range as HTTP writes it: with its last byte.
fn http_range(bytes: &Range<u64>) -> String {
    format!("bytes={}-{}", bytes.start, bytes.end.saturating_sub(1))
}

pub(crate) fn size(bytes: Option<i64>) -> u64 {
    bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0)
}

fn millis(time: Option<DateTime>) -> i64 {
    time.and_then(|time| time.to_millis().ok()).unwrap_or(0)
}
