//! Multipart uploads that nobody will continue.

use std::collections::BTreeMap;

use nextbasket_locks::{Attempt, AttributeChanges, LeaseRequest};

use crate::error::UploadError;
use crate::upload_destination::base_key;
use crate::upload_record::{UPLOADING, UploadRecord};
use crate::uploads::Uploads;
use nextbasket_objects::MultipartUpload;

impl Uploads {
    /// Ends the multipart uploads to keys with this prefix that were begun by uploads of ours and that nobody is at
    /// work on, and answers how many. What others began is left alone: it has no mark. So are the keys that `resumed`
    /// says somebody will come back to.
    pub async fn abort_leftovers(
        &self,
        prefix: &str,
        resumed: impl Fn(&str) -> bool,
    ) -> Result<u64, UploadError> {
        let mut by_key: BTreeMap<String, Vec<MultipartUpload>> = BTreeMap::new();
        for upload in self.bucket.uploads_in_progress(prefix).await? {
            by_key.entry(upload.key.clone()).or_default().push(upload);
        }
        let mut aborted = 0;
        for (object, uploads) in by_key {
            let Some(key) = self.marked_key(&object).await? else { continue };
            if resumed(&key) {
                continue;
            }
            aborted += self.abort_claimed(&key, &object, &uploads).await?;
        }
        Ok(aborted)
    }

    /// The key of the mark under whose claim an object was being sent: its own, or that of which it is a version.
    async fn marked_key(&self, object: &str) -> Result<Option<String>, UploadError> {
        let base = base_key(object);
        let of_base = match &base {
            Some(base) => self.records.read(base).await?,
            None => None,
        };
        if noted(of_base.as_ref(), object) {
            return Ok(base);
        }
        if self.records.read(object).await?.is_some() {
            return Ok(Some(object.to_owned()));
        }
        Ok(base.filter(|_| of_base.is_some()))
    }

    async fn abort_claimed(
        &self,
        key: &str,
        object: &str,
        uploads: &[MultipartUpload],
    ) -> Result<u64, UploadError> {
        let request = LeaseRequest::new(&self.settings.holder, self.settings.lease);
        let lease = match self.leases.try_acquire(&self.records.lease_key(key), &request).await? {
            Attempt::Held(lease) => lease,
            Attempt::Busy(_) => return Ok(0),
        };
        let keeper = lease.keep();
        let mut aborted = 0;
        for upload in uploads {
            self.bucket.abort_upload(upload).await?;
            aborted += 1;
        }
        let mark = self.records.read(key).await?;
        let also = if noted(mark.as_ref(), object) {
            AttributeChanges::new().remove(UPLOADING)
        } else {
            AttributeChanges::new()
        };
        // If this fails, the claim expires, and whoever has it next finds that the noted upload is gone.
        if let Ok(lease) = keeper.stop().await
            && let Err(unreleased) = lease.release_with(also).await
        {
            tracing::warn!(key, error = %unreleased, "a claim could not be released; it expires");
        }
        Ok(aborted)
    }
}

/// Whether the mark notes an upload to this object.
fn noted(mark: Option<&UploadRecord>, object: &str) -> bool {
    mark.and_then(|mark| mark.uploading.as_ref()).is_some_and(|uploading| uploading.key == object)
}
