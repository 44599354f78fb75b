//! Multipart uploads: the calls, and a writer that continues where an earlier one stopped.

use std::collections::HashMap;

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::bucket::{Bucket, ConditionalWrite, size};
use crate::checksum::{Checksum, digest};
use crate::error::ObjectError;

/// The smallest part that S3 accepts, except for the last one.
pub const MIN_PART_SIZE: u64 = 5 << 20;

/// The number of parts that an object may have.
pub const MAX_PARTS: u64 = 10_000;

/// A multipart upload in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultipartUpload {
    /// The key of the object to be.
    pub key: String,
    /// S3's id of the upload.
    pub id: String,
}

/// A part that S3 has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPart {
    /// In bytes.
    pub size: u64,
    /// The SHA-256, if the part was sent with one.
    pub checksum: Option<Checksum>,
    /// S3's tag of the content.
    pub etag: String,
}

/// A part as an upload is completed with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentPart {
    /// From 1.
    pub number: i32,
    /// S3's tag of the content.
    pub etag: String,
    /// The SHA-256.
    pub checksum: Checksum,
}

impl Bucket {
    /// Begins a multipart upload whose parts have SHA-256 checksums.
    pub async fn create_upload(&self, key: &str) -> Result<MultipartUpload, ObjectError> {
        const CALL: &str = "CreateMultipartUpload";
        let create = self.client().create_multipart_upload().bucket(self.name()).key(key);
        let created = create.checksum_algorithm(ChecksumAlgorithm::Sha256).send().await;
        match created.map_err(|error| self.error(key, CALL, error))?.upload_id {
            Some(id) => Ok(MultipartUpload { key: key.to_owned(), id }),
            None => Err(self.unavailable(key, CALL, "the answer has no id".to_owned())),
        }
    }

    /// Sends a part; `None` if the upload does not exist any more.
    pub async fn put_part(
        &self,
        upload: &MultipartUpload,
        number: i32,
        content: impl Into<Bytes>,
        checksum: Checksum,
    ) -> Result<Option<SentPart>, ObjectError> {
        let put = self
            .client()
            .upload_part()
            .bucket(self.name())
            .key(&upload.key)
            .upload_id(&upload.id)
            .part_number(number)
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .checksum_sha256(checksum.as_str())
            .body(ByteStream::from(content.into()));
        match put.send().await {
            Ok(output) => match output.e_tag {
                Some(etag) => Ok(Some(SentPart { number, etag, checksum })),
                None => Err(self.unavailable(&upload.key, "UploadPart", "the answer has no ETag".to_owned())),
            },
            Err(error) if error.code() == Some("NoSuchUpload") => Ok(None),
            Err(error) => Err(self.error(&upload.key, "UploadPart", error)),
        }
    }

    /// The parts that S3 has, by number; `None` if the upload does not exist any more.
    pub async fn parts(
        &self,
        upload: &MultipartUpload,
    ) -> Result<Option<HashMap<i32, StoredPart>>, ObjectError> {
        let list = self.client().list_parts().bucket(self.name()).key(&upload.key).upload_id(&upload.id);
        let mut pages = list.into_paginator().items().send();
        let mut parts = HashMap::new();
        while let Some(part) = pages.next().await {
            let part = match part {
                Ok(part) => part,
                Err(error) if error.code() == Some("NoSuchUpload") => return Ok(None),
                Err(error) => return Err(self.error(&upload.key, "ListParts", error)),
            };
            let (Some(number), Some(etag)) = (part.part_number, part.e_tag) else { continue };
            let checksum = part.checksum_sha256.map(Checksum::reported);
            parts.insert(number, StoredPart { size: size(part.size), checksum, etag });
        }
        Ok(Some(parts))
    }

    /// Makes the object of its parts, if there is none with this key or if it may `replace` that.
    pub async fn complete_upload(
        &self,
        upload: &MultipartUpload,
        parts: &[SentPart],
        replace: bool,
    ) -> Result<ConditionalWrite, ObjectError> {
        let parts = parts.iter().map(|part| {
            let completed = CompletedPart::builder().part_number(part.number).e_tag(&part.etag);
            completed.checksum_sha256(part.checksum.as_str()).build()
        });
        let complete = self
            .client()
            .complete_multipart_upload()
            .bucket(self.name())
            .key(&upload.key)
            .upload_id(&upload.id)
            .set_if_none_match((!replace).then(|| "*".to_owned()))
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build());
        match complete.send().await {
            Ok(output) => Ok(ConditionalWrite::Written { etag: output.e_tag, version_id: output.version_id }),
            Err(error) => self.conditional(&upload.key, "CompleteMultipartUpload", error),
        }
    }

    /// Aborts a multipart upload, so that S3 drops its parts. One that does not exist any more is aborted already.
    pub async fn abort_upload(&self, upload: &MultipartUpload) -> Result<(), ObjectError> {
        let abort = self.client().abort_multipart_upload().bucket(self.name()).key(&upload.key);
        match abort.upload_id(&upload.id).send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("NoSuchUpload") => Ok(()),
            Err(error) => Err(self.error(&upload.key, "AbortMultipartUpload", error)),
        }
    }

    /// The multipart uploads in progress to keys with this prefix.
    pub async fn uploads_in_progress(&self, prefix: &str) -> Result<Vec<MultipartUpload>, ObjectError> {
        let mut found = Vec::new();
        let (mut key_marker, mut id_marker) = (None, None);
        loop {
            let list = self.client().list_multipart_uploads().bucket(self.name()).prefix(prefix);
            let sent = list.set_key_marker(key_marker).set_upload_id_marker(id_marker).send().await;
            let output = sent.map_err(|error| self.error(prefix, "ListMultipartUploads", error))?;
            for upload in output.uploads.unwrap_or_default() {
                if let (Some(key), Some(id)) = (upload.key, upload.upload_id) {
                    found.push(MultipartUpload { key, id });
                }
            }
            if output.is_truncated != Some(true) || output.next_key_marker.is_none() {
                return Ok(found);
            }
            (key_marker, id_marker) = (output.next_key_marker, output.next_upload_id_marker);
        }
    }
}

/// How much of an object is written: where a later [`ObjectWriter`] continues.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenParts {
    /// How many bytes are in the parts.
    pub bytes: u64,
    upload: Option<String>,
    parts: i32,
}

impl WrittenParts {
    /// So many bytes of a file, which has no parts.
    pub(crate) fn of_file(bytes: u64) -> Self {
        Self { bytes, ..Self::default() }
    }
}

/// Writes one object from its beginning to its end, in parts of which it holds one in memory. The object appears when
/// it is finished, in place of an earlier one. Parts of a writer that never finishes stay until the bucket's lifecycle
/// rules remove them.
#[derive(Debug)]
pub struct ObjectWriter {
    bucket: Bucket,
    key: String,
    written: WrittenParts,
}

impl ObjectWriter {
    /// A writer that continues behind what an earlier one has `written`.
    #[must_use]
    pub fn new(bucket: Bucket, key: impl Into<String>, written: WrittenParts) -> Self {
        Self { bucket, key: key.into(), written }
    }

    /// How much is written.
    #[must_use]
    pub fn written(&self) -> &WrittenParts {
        &self.written
    }

    /// Writes the next part, of at least [`MIN_PART_SIZE`] unless it is the last.
    pub async fn write_part(&mut self, content: Vec<u8>) -> Result<(), ObjectError> {
        if self.put_part(content).await? { Ok(()) } else { Err(self.no_upload("UploadPart")) }
    }

    /// Gives up, so that S3 drops what was written, also by a call whose answer was lost. No other writer may have the key.
    pub async fn abort(self) -> Result<(), ObjectError> {
        for upload in self.bucket.uploads_in_progress(&self.key).await? {
            if upload.key == self.key {
                self.bucket.abort_upload(&upload).await?;
            }
        }
        Ok(())
    }

    /// Writes the rest and makes the object; returns its size.
    pub async fn finish(mut self, rest: Vec<u8>) -> Result<u64, ObjectError> {
        let size = self.written.bytes + rest.len() as u64;
        if self.written.upload.is_none() {
            self.bucket.put(&self.key, rest).await?;
            return Ok(size);
        }
        if (rest.is_empty() || self.put_part(rest).await?) && self.complete().await? {
            return Ok(size);
        }
        // A writer before this one may have completed the upload and been killed before it could say so.
        match self.bucket.head(&self.key).await? {
            Some(head) if head.size == size => Ok(size),
            _ => Err(self.no_upload("CompleteMultipartUpload")),
        }
    }

    /// Writes the next part; `false` if the upload does not exist any more.
    async fn put_part(&mut self, content: Vec<u8>) -> Result<bool, ObjectError> {
        let upload = match self.upload() {
            Some(upload) => upload,
            None => self.bucket.create_upload(&self.key).await?,
        };
        let (number, bytes) = (self.written.parts + 1, self.written.bytes + content.len() as u64);
        let checksum = Checksum::whole(digest(&content));
        let sent = self.bucket.put_part(&upload, number, content, checksum).await?;
        if sent.is_some() {
            self.written = WrittenParts { bytes, upload: Some(upload.id), parts: number };
        }
        Ok(sent.is_some())
    }

    /// Makes the object of the parts; `false` if S3 does not have all of them any more.
    async fn complete(&self) -> Result<bool, ObjectError> {
        let Some(upload) = self.upload() else { return Ok(false) };
        let Some(stored) = self.bucket.parts(&upload).await? else { return Ok(false) };
        let Some(parts) = sent(stored, self.written.parts) else { return Ok(false) };
        match self.bucket.complete_upload(&upload, &parts, true).await? {
            ConditionalWrite::Written { .. } => Ok(true),
            ConditionalWrite::Exists | ConditionalWrite::UnusableUpload => Ok(false),
            ConditionalWrite::Conflict => {
                let reason = "another write to the key is in progress".to_owned();
                Err(self.bucket.unavailable(&self.key, "CompleteMultipartUpload", reason))
            }
        }
    }

    fn upload(&self) -> Option<MultipartUpload> {
        let id = self.written.upload.clone()?;
        Some(MultipartUpload { key: self.key.clone(), id })
    }

    fn no_upload(&self, operation: &'static str) -> ObjectError {
        let reason = "the multipart upload does not exist any more. Write the object again.";
        ObjectError::rejected(&self.bucket.location(&self.key), operation, "NoSuchUpload", reason)
    }
}

/// The first `count` parts; `None` if S3 does not have all of them with a checksum. Those behind them were sent by a
/// writer that could not save how far it got.
fn sent(mut stored: HashMap<i32, StoredPart>, count: i32) -> Option<Vec<SentPart>> {
    let part = |number| {
        let StoredPart { etag, checksum, .. } = stored.remove(&number)?;
        Some(SentPart { number, etag, checksum: checksum? })
    };
    (1..=count).map(part).collect()
}
