//! The one output: a file that is renamed when it is whole, or an object that appears when it is whole.

use std::io::SeekFrom;
use std::path::PathBuf;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use nextbasket_batch::WorkError;
use serde::{Deserialize, Serialize};
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

use nextbasket_job_io::files::{FileError, Files, Location};
use nextbasket_job_io::output;

/// What is held before it is written, at least: S3 takes parts of 5 MB and more, and 10,000 of them.
const PART: u64 = 16 << 20;
const PARTS: u64 = 9_000;

/// How much of the output is written, and where.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub bytes: u64,
    /// Of an object.
    upload: Option<String>,
    parts: i32,
}

/// The output while it is written.
pub(crate) struct Target {
    files: Files,
    at: Location,
    /// Of a file: what is written before it is renamed.
    part: PathBuf,
    open: Option<File>,
    place: Place,
    held: Vec<u8>,
    hold: usize,
}

impl Target {
    /// Goes on where an earlier attempt got to.
    pub(crate) async fn open(
        files: &Files,
        at: &Location,
        job: &str,
        place: Place,
        total: u64,
    ) -> Result<Self, WorkError> {
        let part = match at {
            Location::Path(path) => output::part(path, job),
            Location::Object { .. } => PathBuf::new(),
        };
        let hold = usize::try_from(PART.max(total / PARTS)).unwrap_or(usize::MAX);
        let mut target =
            Self { files: files.clone(), at: at.clone(), part, open: None, place, held: Vec::new(), hold };
        if at.is_local() {
            target.open = target.open_file().await.map_err(|error| target.io(&error))?;
        }
        Ok(target)
    }

    /// `None` if the file was renamed already.
    async fn open_file(&self) -> std::io::Result<Option<File>> {
        let begun = self.place.bytes > 0;
        let opened = OpenOptions::new().write(true).create(!begun).truncate(false).open(&self.part).await;
        let mut file = match opened {
            Err(error) if begun && error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        // What was written behind the last checkpoint is written again.
        file.set_len(self.place.bytes).await?;
        file.seek(SeekFrom::Start(self.place.bytes)).await?;
        Ok(Some(file))
    }

    fn io(&self, error: &std::io::Error) -> WorkError {
        FileError::from_io(&self.part.display().to_string(), error).into()
    }

    pub(crate) fn push(&mut self, bytes: Vec<u8>) {
        if self.held.is_empty() {
            self.held = bytes;
        } else {
            self.held.extend_from_slice(&bytes);
        }
    }

    /// Whether it is time to write.
    pub(crate) fn is_full(&self) -> bool {
        self.held.len() >= self.hold
    }

    /// Writes what is held, and tells how much is written now.
    pub(crate) async fn write(&mut self) -> Result<Place, WorkError> {
        let held = std::mem::take(&mut self.held);
        let bytes = u64::try_from(held.len()).unwrap_or(u64::MAX);
        match self.at.clone() {
            Location::Path(_) => {
                let Some(file) = &mut self.open else {
                    return Err(WorkError::Failed(format!("{}: it is gone", self.part.display())));
                };
                let written = async {
                    file.write_all(&held).await?;
                    file.flush().await?;
                    file.sync_data().await
                };
                written.await.map_err(|error| self.io(&error))?;
            }
            Location::Object { bucket, key } => self.write_part(&bucket, &key, held).await?,
        }
        self.place.bytes += bytes;
        Ok(self.place.clone())
    }

    async fn write_part(&mut self, bucket: &str, key: &str, held: Vec<u8>) -> Result<(), WorkError> {
        let name = self.at.to_string();
        let upload = match &self.place.upload {
            Some(upload) => upload.clone(),
            None => {
                let created = self.files.s3().create_multipart_upload().bucket(bucket).key(key).send().await;
                let created = created.map_err(|error| FileError::from_sdk(&name, error))?;
                created.upload_id.unwrap_or_default()
            }
        };
        let part = self.place.parts + 1;
        let sent = self
            .files
            .s3()
            .upload_part()
            .bucket(bucket)
            .key(key)
            .upload_id(&upload)
            .part_number(part)
            .body(ByteStream::from(held));
        sent.send().await.map_err(|error| FileError::from_sdk(&name, error))?;
        (self.place.upload, self.place.parts) = (Some(upload), part);
        Ok(())
    }

    /// Writes the rest and lets the output appear; tells its size.
    pub(crate) async fn finish(mut self) -> Result<u64, WorkError> {
        match self.at.clone() {
            Location::Path(path) => {
                if self.open.is_some() {
                    if !self.held.is_empty() {
                        self.write().await?;
                    }
                    self.open = None;
                    output::appear(&self.part, &path).map_err(|error| self.io(&error))?;
                }
                let metadata = fs::metadata(&path).await.map_err(|error| self.io(&error))?;
                Ok(metadata.len())
            }
            Location::Object { bucket, key } if self.place.upload.is_none() => {
                let held = std::mem::take(&mut self.held);
                let bytes = u64::try_from(held.len()).unwrap_or(u64::MAX);
                self.files.write(&Location::Object { bucket, key }, held).await?;
                Ok(bytes)
            }
            Location::Object { bucket, key } => {
                if !self.held.is_empty() {
                    self.write().await?;
                }
                self.complete(&bucket, &key).await?;
                Ok(self.place.bytes)
            }
        }
    }

    /// If an attempt before this one was cut off after the object had appeared, it is as large as it should be.
    async fn complete(&self, bucket: &str, key: &str) -> Result<(), WorkError> {
        let name = self.at.to_string();
        let upload = self.place.upload.clone().unwrap_or_default();
        let result = async {
            let mut parts = Vec::new();
            let listed = self.files.s3().list_parts().bucket(bucket).key(key).upload_id(&upload);
            let mut pages = listed.into_paginator().items().send();
            while let Some(part) = pages.next().await {
                let part = part.map_err(|error| FileError::from_sdk(&name, error))?;
                // A part behind the last checkpoint would not be known.
                if part.part_number.is_some_and(|number| number <= self.place.parts) {
                    let completed = CompletedPart::builder()
                        .set_part_number(part.part_number)
                        .set_e_tag(part.e_tag)
                        .set_checksum_crc32(part.checksum_crc32)
                        .set_checksum_crc64_nvme(part.checksum_crc64_nvme);
                    parts.push(completed.build());
                }
            }
            let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
            let complete = self.files.s3().complete_multipart_upload().bucket(bucket).key(key);
            let sent = complete.upload_id(&upload).multipart_upload(parts).send().await;
            sent.map(drop).map_err(|error| FileError::from_sdk(&name, error))
        };
        match result.await {
            Err(FileError::Refused { code, reason, .. }) if code == "NoSuchUpload" => {
                let there = self.files.list(&self.at).await?;
                if there.iter().any(|file| file.at == self.at && file.bytes == self.place.bytes) {
                    return Ok(());
                }
                Err(WorkError::Failed(format!("{name}: the upload is gone: {reason}")))
            }
            result => Ok(result?),
        }
    }
}
