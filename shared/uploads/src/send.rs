//! A content under a key where no object may be replaced, in one piece.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::error::UploadError;
use crate::part_plan;
use crate::upload_content::OpenContent;
use crate::upload_record::UploadedObject;
use crate::uploads::{Claim, Uploads};
use nextbasket_objects::{Checksum, ConditionalWrite, MultipartUpload, ObjectHead};

/// After so many objects that were there without a mark, the others are looked for before they are sent.
const UNMARKED: u32 = 3;

/// Attempts at a write that conflicts with those of others.
pub(crate) const TRIES: u32 = 8;

/// Between two of these.
pub(crate) const PAUSE: Duration = Duration::from_millis(200);

/// What is under the key now.
#[derive(Debug)]
pub(crate) enum SendOutcome {
    /// The content, of which so many bytes were sent now.
    Sent(UploadedObject, u64),
    /// The content; it was there.
    There(UploadedObject),
    Differs,
}

impl Uploads {
    /// Puts the content under the key if nothing is there.
    pub(crate) async fn send(
        &self,
        claim: &Claim<'_>,
        key: &str,
        opened: &OpenContent,
    ) -> Result<SendOutcome, UploadError> {
        let part_size = part_plan::part_size(opened.size(), self.settings.part_size);
        let noted = claim.uploading.as_ref().filter(|uploading| uploading.key == key);
        // Of earlier claims that were killed after they began an upload and before they noted it.
        if !claim.first {
            let keep = noted.filter(|_| part_size.is_some()).map(|uploading| uploading.id.as_str());
            self.abort_others(key, keep).await?;
        }
        let look_first =
            !claim.first || part_size.is_some() || self.unmarked.load(Ordering::Relaxed) >= UNMARKED;
        if look_first && let Some(head) = self.bucket.head(key).await? {
            if let Some(uploading) = noted {
                self.bucket
                    .abort_upload(&MultipartUpload { key: key.to_owned(), id: uploading.id.clone() })
                    .await?;
            }
            return self.compare(key, &head, opened).await;
        }
        match part_size {
            None => self.send_whole(key, opened, look_first).await,
            Some(part_size) => self.send_parts(claim, key, opened, part_size, noted.cloned()).await,
        }
    }

    async fn send_whole(
        &self,
        key: &str,
        opened: &OpenContent,
        looked: bool,
    ) -> Result<SendOutcome, UploadError> {
        let _room = self.room(opened.size()).await?;
        let (content, digest) = opened.read(0..opened.size()).await?;
        opened.expect_unchanged().await?;
        let checksum = Checksum::whole(digest);
        for _ in 0..TRIES {
            let written = self.bucket.put_if_absent(key, content.clone(), &checksum).await?;
            let stored = |etag, version_id| UploadedObject {
                size: opened.size(),
                checksum: checksum.clone(),
                part_size: None,
                etag,
                version_id,
                modified: opened.modified(),
            };
            match self.after(key, opened, written, stored).await? {
                // It was not there when we looked, so that the first answer to this write was lost.
                ControlFlow::Break(SendOutcome::There(stored)) if looked => {
                    return Ok(SendOutcome::Sent(stored, opened.size()));
                }
                ControlFlow::Break(placed) => {
                    if !looked && matches!(placed, SendOutcome::There(_) | SendOutcome::Differs) {
                        self.found_unmarked();
                    }
                    return Ok(placed);
                }
                ControlFlow::Continue(()) => self.pause(PAUSE).await?,
            }
        }
        Err(self.contended(key))
    }

    /// The result of a write that must not replace anything, or that it has to be tried again.
    pub(crate) async fn after(
        &self,
        key: &str,
        opened: &OpenContent,
        written: ConditionalWrite,
        stored: impl FnOnce(Option<String>, Option<String>) -> UploadedObject,
    ) -> Result<ControlFlow<SendOutcome>, UploadError> {
        if let ConditionalWrite::Written { etag, version_id } = written {
            return Ok(ControlFlow::Break(SendOutcome::Sent(stored(etag, version_id), opened.size())));
        }
        Ok(match self.bucket.head(key).await? {
            Some(head) => ControlFlow::Break(self.compare(key, &head, opened).await?),
            None => ControlFlow::Continue(()),
        })
    }

    /// Whether what is there is the content.
    async fn compare(
        &self,
        key: &str,
        head: &ObjectHead,
        opened: &OpenContent,
    ) -> Result<SendOutcome, UploadError> {
        if head.size != opened.size() {
            return Ok(SendOutcome::Differs);
        }
        let stored = |checksum, part_size| UploadedObject {
            size: head.size,
            checksum,
            part_size,
            etag: head.etag.clone(),
            version_id: head.version_id.clone(),
            modified: opened.modified(),
        };
        let part_size = part_plan::part_size(head.size, self.settings.part_size);
        if let (Some(reported), Some(part_size)) = (&head.checksum, part_size)
            && reported.parts() == Some(head.size.div_ceil(part_size))
        {
            let checksum = opened.checksum(Some(part_size)).await?;
            if checksum == *reported {
                return Ok(SendOutcome::There(stored(checksum, Some(part_size))));
            }
        }
        let reported = match &head.checksum {
            Some(reported) if reported.parts().is_none() => reported.clone(),
            // Sent by others, or in parts of other sizes: only the object itself tells.
            _ => match self.bucket.checksum(key, head.etag.clone()).await? {
                Some(checksum) => checksum,
                None => return Err(self.contended(key)),
            },
        };
        let checksum = opened.checksum(None).await?;
        Ok(if checksum == reported {
            SendOutcome::There(stored(checksum, None))
        } else {
            SendOutcome::Differs
        })
    }

    /// Aborts all multipart uploads to the key but one.
    pub(crate) async fn abort_others(&self, key: &str, keep: Option<&str>) -> Result<u64, UploadError> {
        let mut aborted = 0;
        for upload in self.bucket.uploads_in_progress(key).await? {
            if upload.key == key && keep != Some(upload.id.as_str()) {
                self.bucket.abort_upload(&upload).await?;
                aborted += 1;
            }
        }
        Ok(aborted)
    }

    pub(crate) fn contended(&self, key: &str) -> UploadError {
        UploadError::Contended { bucket: self.bucket.name().to_owned(), key: key.to_owned() }
    }
}
