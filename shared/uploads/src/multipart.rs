//! A large content, sent in parts that a later claim can continue.

use std::collections::HashMap;
use std::ops::ControlFlow;

use futures::{StreamExt, TryStreamExt};

use crate::error::UploadError;
use crate::part_plan::{self, PartRange};
use crate::send::{PAUSE, SendOutcome, TRIES};
use crate::upload_content::OpenContent;
use crate::upload_record::{NotedUpload, UploadedObject};
use crate::uploads::{Claim, Uploads};
use nextbasket_objects::{Checksum, ConditionalWrite, Digest, MultipartUpload, SentPart, StoredPart};

/// How often an upload that S3 does not know any more is begun again.
const BEGINNINGS: u32 = 3;

/// A multipart upload with the parts that S3 had when it was taken up.
struct ResumedUpload {
    upload: MultipartUpload,
    part_size: u64,
    there: HashMap<i32, StoredPart>,
}

/// All parts of a content, there by now.
struct AllParts {
    parts: Vec<SentPart>,
    checksum: Checksum,
    /// How many bytes were sent now.
    sent: u64,
}

impl Uploads {
    /// Puts the content under the key if nothing is there, continuing what was `noted`.
    pub(crate) async fn send_parts(
        &self,
        claim: &Claim<'_>,
        key: &str,
        opened: &OpenContent,
        part_size: u64,
        mut noted: Option<NotedUpload>,
    ) -> Result<SendOutcome, UploadError> {
        let mut sent_before = 0;
        for _ in 0..BEGINNINGS {
            let upload = self.take_up(claim, key, opened.size(), part_size, noted.take()).await?;
            let Some(all) = self.all_parts(&upload, opened).await? else { continue };
            if let Err(changing) = opened.expect_unchanged().await {
                self.drop_upload(claim, &upload.upload).await?;
                return Err(changing.into());
            }
            sent_before += all.sent;
            if let Some(placed) = self.complete(&upload, opened, &all, sent_before).await? {
                return Ok(placed);
            }
            self.drop_upload(claim, &upload.upload).await?;
        }
        Err(self.contended(key))
    }

    /// The noted upload, if it can be continued, or a new one, noted.
    async fn take_up(
        &self,
        claim: &Claim<'_>,
        key: &str,
        size: u64,
        part_size: u64,
        noted: Option<NotedUpload>,
    ) -> Result<ResumedUpload, UploadError> {
        if let Some(noted) = noted {
            let upload = MultipartUpload { key: key.to_owned(), id: noted.id };
            if !part_plan::fits(size, noted.part_size) {
                self.bucket.abort_upload(&upload).await?;
            } else if let Some(there) = self.bucket.parts(&upload).await? {
                return Ok(ResumedUpload { upload, part_size: noted.part_size, there });
            }
        }
        let upload = self.bucket.create_upload(key).await?;
        let uploading = NotedUpload { id: upload.id.clone(), key: key.to_owned(), part_size };
        match self.records.note(claim.key, claim.guard.clone(), Some(&uploading)).await {
            Ok(true) => Ok(ResumedUpload { upload, part_size, there: HashMap::new() }),
            Ok(false) => {
                self.bucket.abort_upload(&upload).await?;
                Err(UploadError::ClaimLost)
            }
            Err(error) => {
                // Whether it is noted is not known. If this fails too, the next claim finds it by its key.
                if let Err(left) = self.bucket.abort_upload(&upload).await {
                    tracing::warn!(key, error = %left, "a multipart upload is left for the next claim");
                }
                Err(error.into())
            }
        }
    }

    /// Sends the parts that S3 does not have; none if it does not know the upload any more.
    async fn all_parts(
        &self,
        upload: &ResumedUpload,
        opened: &OpenContent,
    ) -> Result<Option<AllParts>, UploadError> {
        let parts = part_plan::parts(opened.size(), upload.part_size);
        let sent = futures::stream::iter(parts)
            .map(|part| self.part(upload, opened, part))
            .buffered(self.settings.workers.max(1))
            .try_collect::<Vec<Option<(SentPart, Digest, u64)>>>()
            .await?;
        let Some(sent) = sent.into_iter().collect::<Option<Vec<_>>>() else { return Ok(None) };
        let digests: Vec<Digest> = sent.iter().map(|(_, digest, _)| *digest).collect();
        Ok(Some(AllParts {
            checksum: Checksum::composite(&digests),
            sent: sent.iter().map(|(.., bytes)| bytes).sum(),
            parts: sent.into_iter().map(|(part, ..)| part).collect(),
        }))
    }

    async fn part(
        &self,
        upload: &ResumedUpload,
        opened: &OpenContent,
        part: PartRange,
    ) -> Result<Option<(SentPart, Digest, u64)>, UploadError> {
        let (number, size) = (part.number, part.size());
        let _room = self.room(size).await?;
        let (content, digest) = opened.read(part.range).await?;
        let checksum = Checksum::whole(digest);
        if let Some(there) = upload.there.get(&number)
            && there.size == size
            && there.checksum.as_ref() == Some(&checksum)
        {
            let part = SentPart { number, etag: there.etag.clone(), checksum };
            return Ok(Some((part, digest, 0)));
        }
        let sent = self.bucket.put_part(&upload.upload, number, content, checksum).await?;
        Ok(sent.map(|part| (part, digest, size)))
    }

    /// Makes the object of the parts; none if it has to be begun anew.
    async fn complete(
        &self,
        upload: &ResumedUpload,
        opened: &OpenContent,
        all: &AllParts,
        sent: u64,
    ) -> Result<Option<SendOutcome>, UploadError> {
        let key = &upload.upload.key;
        for _ in 0..TRIES {
            let written = self.bucket.complete_upload(&upload.upload, &all.parts, false).await?;
            let (ours, unusable) = (
                matches!(written, ConditionalWrite::Written { .. }),
                matches!(written, ConditionalWrite::UnusableUpload),
            );
            let stored = |etag, version_id| UploadedObject {
                size: opened.size(),
                checksum: all.checksum.clone(),
                part_size: Some(upload.part_size),
                etag,
                version_id,
                modified: opened.modified(),
            };
            let placed = match self.after(key, opened, written, stored).await? {
                // It was not there when we began, so that it was made of our parts and the answer was lost.
                ControlFlow::Break(SendOutcome::Sent(stored, _) | SendOutcome::There(stored)) => {
                    SendOutcome::Sent(stored, sent)
                }
                ControlFlow::Break(SendOutcome::Differs) => SendOutcome::Differs,
                ControlFlow::Continue(()) if unusable => return Ok(None),
                ControlFlow::Continue(()) => {
                    self.pause(PAUSE).await?;
                    continue;
                }
            };
            if !ours {
                self.bucket.abort_upload(&upload.upload).await?;
            }
            return Ok(Some(placed));
        }
        Ok(None)
    }

    /// Aborts an upload and removes its note.
    async fn drop_upload(&self, claim: &Claim<'_>, upload: &MultipartUpload) -> Result<(), UploadError> {
        self.bucket.abort_upload(upload).await?;
        if self.records.note(claim.key, claim.guard.clone(), None).await? {
            Ok(())
        } else {
            Err(UploadError::ClaimLost)
        }
    }
}
