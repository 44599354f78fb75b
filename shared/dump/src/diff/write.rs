//! The differences, into one file.

use std::io::Write;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use nextbasket_batch::{Outcome, Work, WorkError};
use nextbasket_job_io::files::{FileError, Files, Location};
use nextbasket_job_io::output::Output;
use serde::{Deserialize, Serialize};

use crate::diff::buckets::Tally;
use crate::diff::compare::Compared;

/// A part of an upload. S3 takes parts of 5 MB and more.
const PART: usize = 8 << 20;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WriteInput {
    /// The key of what was compared.
    pub compared: String,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Written {
    pub tally: Tally,
}

pub(crate) async fn work(work: &mut Work, files: &Files, output: &Location) -> Result<Outcome, WorkError> {
    let input: WriteInput = work.input()?;
    let compared = work.site().objects.get(&input.compared).await?;
    let compared: Vec<Compared> =
        serde_json::from_slice(&compared).map_err(|error| WorkError::Failed(error.to_string()))?;
    let mut tally = Tally::default();
    compared.iter().for_each(|compared| tally += compared.tally);
    let objects: Vec<String> = compared.into_iter().filter_map(|compared| compared.object).collect();
    match output {
        Location::Path(path) => {
            let io = |error: std::io::Error| WorkError::from(FileError::from_io(&output.to_string(), &error));
            let mut file = Output::create(path).map_err(io)?;
            for object in &objects {
                let content = work.site().objects.get(object).await?;
                file.write_all(&content).map_err(io)?;
            }
            // Syncing to the disk may take a while.
            let published = tokio::task::spawn_blocking(move || file.publish()).await;
            published.map_err(|error| WorkError::Failed(error.to_string()))?.map_err(io)?;
        }
        Location::Object { bucket, key } => to_object(work, files, &objects, bucket, key).await?,
    }
    Outcome::done(&Written { tally })
}

async fn to_object(
    work: &Work,
    files: &Files,
    objects: &[String],
    bucket: &str,
    key: &str,
) -> Result<(), WorkError> {
    let mut upload = Upload { files, bucket, key, id: None, parts: Vec::new() };
    let mut held = Vec::new();
    for object in objects {
        held.extend(work.site().objects.get(object).await?);
        if held.len() >= PART {
            upload.part(std::mem::take(&mut held)).await?;
        }
    }
    upload.finish(held).await
}

/// A large object, in parts. One that is cut off is begun anew; the bucket's lifecycle removes what was left.
struct Upload<'a> {
    files: &'a Files,
    bucket: &'a str,
    key: &'a str,
    id: Option<String>,
    parts: Vec<CompletedPart>,
}

impl Upload<'_> {
    fn name(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }

    async fn part(&mut self, content: Vec<u8>) -> Result<(), WorkError> {
        let (name, s3) = (self.name(), self.files.s3());
        let id = match &self.id {
            Some(id) => id.clone(),
            None => {
                let created = s3.create_multipart_upload().bucket(self.bucket).key(self.key).send().await;
                created.map_err(|error| FileError::from_sdk(&name, error))?.upload_id.unwrap_or_default()
            }
        };
        let number = i32::try_from(self.parts.len() + 1).unwrap_or(i32::MAX);
        let sent = s3.upload_part().bucket(self.bucket).key(self.key).upload_id(&id).part_number(number);
        let sent = sent.body(ByteStream::from(content)).send().await;
        let sent = sent.map_err(|error| FileError::from_sdk(&name, error))?;
        let part = CompletedPart::builder()
            .part_number(number)
            .set_e_tag(sent.e_tag)
            .set_checksum_crc32(sent.checksum_crc32)
            .set_checksum_crc64_nvme(sent.checksum_crc64_nvme);
        self.parts.push(part.build());
        self.id = Some(id);
        Ok(())
    }

    async fn finish(mut self, rest: Vec<u8>) -> Result<(), WorkError> {
        if self.id.is_none() {
            let location = Location::Object { bucket: self.bucket.to_owned(), key: self.key.to_owned() };
            return Ok(self.files.write(&location, rest).await?);
        }
        if !rest.is_empty() {
            self.part(rest).await?;
        }
        let name = self.name();
        let parts = CompletedMultipartUpload::builder().set_parts(Some(self.parts)).build();
        let complete = self.files.s3().complete_multipart_upload().bucket(self.bucket).key(self.key);
        let sent = complete.set_upload_id(self.id).multipart_upload(parts).send().await;
        Ok(sent.map(drop).map_err(|error| FileError::from_sdk(&name, error))?)
    }
}
