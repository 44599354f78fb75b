//! What there is under a name.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::files::{FileError, Files, Location};

/// A file as it was found: how large, and which of the files that may have had this name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundFile {
    /// Where.
    pub at: Location,
    /// Its size.
    pub bytes: u64,
    /// Tells it from a later one of the same name: an ETag, or the time of the last change in nanoseconds. Empty for
    /// an object that never changes.
    pub stamp: String,
    /// When it was changed last, in milliseconds since 1970.
    pub modified_ms: i64,
}

impl Files {
    /// The file of this name, or all files in the folder or under the prefix, sorted by name. Empty ones, and on this
    /// machine those with a name that begins with a dot, are left out of a folder.
    ///
    /// # Errors
    /// [`FileError::Missing`] if there is nothing.
    pub async fn list(&self, location: &Location) -> Result<Vec<FoundFile>, FileError> {
        let found = match location {
            Location::Path(path) => {
                let (path, name) = (path.clone(), location.to_string());
                let listed = tokio::task::spawn_blocking(move || paths(&path)).await;
                let unavailable = |reason: String| FileError::Unavailable { location: name.clone(), reason };
                listed
                    .map_err(|error| unavailable(error.to_string()))?
                    .map_err(|(path, error)| FileError::from_io(&path.display().to_string(), &error))?
            }
            Location::Object { bucket, key } => self.objects(bucket, key, location).await?,
        };
        if found.is_empty() { Err(FileError::Missing(location.to_string())) } else { Ok(found) }
    }

    async fn objects(
        &self,
        bucket: &str,
        key: &str,
        location: &Location,
    ) -> Result<Vec<FoundFile>, FileError> {
        if !key.is_empty() && !key.ends_with('/') {
            let head = self.s3.head_object().bucket(bucket).key(key).send().await;
            match head.map_err(|error| FileError::from_sdk(&location.to_string(), error)) {
                Ok(head) => {
                    let bytes = head.content_length.and_then(|bytes| u64::try_from(bytes).ok());
                    return Ok(vec![FoundFile {
                        at: location.clone(),
                        bytes: bytes.unwrap_or(0),
                        stamp: head.e_tag.unwrap_or_default(),
                        modified_ms: head.last_modified.and_then(|at| at.to_millis().ok()).unwrap_or(0),
                    }]);
                }
                Err(FileError::Missing(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let prefix = if key.is_empty() || key.ends_with('/') { key.to_owned() } else { format!("{key}/") };
        let mut pages = self.s3.list_objects_v2().bucket(bucket).prefix(prefix).into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| FileError::from_sdk(&location.to_string(), error))?;
            for object in page.contents.unwrap_or_default() {
                let bytes = object.size.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0);
                let Some(key) = object.key.filter(|key| bytes > 0 && !key.ends_with('/')) else { continue };
                found.push(FoundFile {
                    at: Location::Object { bucket: bucket.to_owned(), key },
                    bytes,
                    stamp: object.e_tag.unwrap_or_default(),
                    modified_ms: object.last_modified.and_then(|at| at.to_millis().ok()).unwrap_or(0),
                });
            }
        }
        Ok(found)
    }
}

fn paths(path: &Path) -> Result<Vec<FoundFile>, (PathBuf, std::io::Error)> {
    let named = |path: &Path| {
        let path = path.to_owned();
        move |error| (path.clone(), error)
    };
    let metadata = fs::metadata(path).map_err(named(path))?;
    if !metadata.is_dir() {
        return Ok(vec![found(path, &metadata)]);
    }
    let (mut files, mut folders) = (Vec::new(), vec![path.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(named(&folder))? {
            let path = entry.map_err(named(&folder))?.path();
            if path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b".")) {
                continue;
            }
            let metadata = fs::metadata(&path).map_err(named(&path))?;
            if metadata.is_dir() {
                folders.push(path);
            } else if metadata.len() > 0 {
                files.push(found(&path, &metadata));
            }
        }
    }
    files.sort_by_cached_key(|file| file.at.to_string());
    Ok(files)
}

pub(crate) fn found(path: &Path, metadata: &fs::Metadata) -> FoundFile {
    let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    let since = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    FoundFile {
        at: Location::Path(path.to_owned()),
        bytes: metadata.len(),
        stamp: since.as_nanos().to_string(),
        modified_ms: i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
    }
}
