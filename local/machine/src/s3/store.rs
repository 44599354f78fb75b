//! Index and files together: what the operations work on.

use std::path::Path;
use std::sync::Arc;

use s3s::{S3Error as Answer, S3ErrorCode, S3Result};

use super::S3Error;
use super::files::{Files, Hold};
use super::index::{ObjectIndex, StoredObject};

/// The storage of one endpoint. Clones share it.
#[derive(Clone)]
pub(super) struct ObjectStore {
    pub(super) index: Arc<ObjectIndex>,
    pub(super) files: Arc<Files>,
}

impl ObjectStore {
    /// Opens the storage in `folder` and removes files that no write finished. With `kept`, the index is safe
    /// against loss of power as SQLite is; without, it is not.
    pub(super) fn open(folder: &Path, kept: bool) -> Result<Self, S3Error> {
        let failed = |reason: String| S3Error::Open { path: folder.display().to_string(), reason };
        std::fs::create_dir_all(folder).map_err(|e| failed(e.to_string()))?;
        let index =
            ObjectIndex::open(&folder.join("index.sqlite"), kept).map_err(|e| failed(e.to_string()))?;
        let known = index.files().map_err(|e| failed(e.to_string()))?;
        let files = Files::open(&folder.join("files"), &known).map_err(|e| failed(e.to_string()))?;
        Ok(ObjectStore { index: Arc::new(index), files: Arc::new(files) })
    }

    /// An object, and a hold on its files: they stay for as long as the hold does.
    pub(super) fn find(&self, bucket: &str, key: &str) -> S3Result<(StoredObject, Hold)> {
        let found = self.index.object(bucket, key, |object| self.files.hold(object.file_ids()))?;
        if let Some(found) = found {
            return Ok(found);
        }
        self.index.expect_bucket(bucket)?;
        Err(Answer::new(S3ErrorCode::NoSuchKey))
    }
}
