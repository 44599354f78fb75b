//! What there is under a name.

use std::fs;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::{Files, blocking};
use crate::bucket::ListedObject;
use crate::error::ObjectError;
use crate::location::Location;

/// A file as it was listed: how large, and which of the files that may have had this name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundFile {
    /// Where it is.
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
    /// The file of this name, or all files in the folder or under the prefix, sorted by name. Of a folder, empty files
    /// and local files with a name that begins with a dot are skipped.
    ///
    /// # Errors
    /// [`ObjectError::NotFound`] if there is nothing.
    pub async fn list(&self, location: &Location) -> Result<Vec<FoundFile>, ObjectError> {
        let name = location.to_string();
        let found = match location {
            Location::Path(path) => {
                let path = path.clone();
                blocking(name.clone(), move || local_files(&path)).await?
            }
            Location::Object { bucket, key } => self.objects(bucket, key, location).await?,
        };
        if found.is_empty() { Err(ObjectError::NotFound { location: name }) } else { Ok(found) }
    }

    /// The file of exactly this name; `None` if there is none.
    pub async fn find(&self, location: &Location) -> Result<Option<FoundFile>, ObjectError> {
        match self.list(location).await {
            Ok(found) => Ok(found.into_iter().find(|file| file.at == *location)),
            Err(ObjectError::NotFound { .. }) => Ok(None),
            // Below a file there is nothing.
            Err(ObjectError::Rejected { code, .. }) if code == "NotADirectory" => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn objects(
        &self,
        bucket: &str,
        key: &str,
        location: &Location,
    ) -> Result<Vec<FoundFile>, ObjectError> {
        let objects = self.bucket(bucket);
        let is_folder = key.is_empty() || key.ends_with('/');
        if !is_folder && let Some(head) = objects.head(key).await? {
            return Ok(vec![FoundFile {
                at: location.clone(),
                bytes: head.size,
                stamp: head.etag.unwrap_or_default(),
                modified_ms: head.modified_ms,
            }]);
        }
        let prefix = if is_folder { key.to_owned() } else { format!("{key}/") };
        let found = objects.list_objects(&prefix).await?.into_iter();
        let found = found.filter(|object| object.size > 0 && !object.key.ends_with('/'));
        let file = |ListedObject { key, size, etag, modified_ms }| FoundFile {
            at: Location::Object { bucket: bucket.to_owned(), key },
            bytes: size,
            stamp: etag.unwrap_or_default(),
            modified_ms,
        };
        Ok(found.map(file).collect())
    }

    /// The folders right below a folder or a prefix, sorted by name; none if it does not exist.
    pub async fn folders(&self, folder: &Location) -> Result<Vec<Location>, ObjectError> {
        let mut found = Vec::new();
        match folder {
            Location::Path(path) => {
                use io::ErrorKind::{NotADirectory, NotFound};
                let (path, name) = (path.clone(), folder.to_string());
                let list = move || match local_folders(&path) {
                    Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Ok(Vec::new()),
                    listed => listed.map_err(|error| ObjectError::from_io(&name, &error)),
                };
                found = blocking(folder.to_string(), list).await?;
            }
            Location::Object { bucket, .. } => {
                let Location::Object { key: prefix, .. } = folder.join("") else { return Ok(found) };
                let prefix = if prefix == "/" { String::new() } else { prefix };
                for folder in self.bucket(bucket).list_folders(&prefix).await? {
                    let key = folder.trim_end_matches('/').to_owned();
                    found.push(Location::Object { bucket: bucket.clone(), key });
                }
            }
        }
        found.sort_by_cached_key(ToString::to_string);
        Ok(found)
    }
}

fn local_folders(folder: &Path) -> io::Result<Vec<Location>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(Location::Path(entry.path()));
        }
    }
    Ok(found)
}

fn local_files(path: &Path) -> Result<Vec<FoundFile>, ObjectError> {
    let at = |path: &Path| {
        let name = path.display().to_string();
        move |error| ObjectError::from_io(&name, &error)
    };
    let metadata = fs::metadata(path).map_err(at(path))?;
    if !metadata.is_dir() {
        return Ok(vec![found(path, &metadata)]);
    }
    let (mut files, mut folders) = (Vec::new(), vec![path.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(at(&folder))? {
            let path = entry.map_err(at(&folder))?.path();
            if path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b".")) {
                continue;
            }
            let metadata = fs::metadata(&path).map_err(at(&path))?;
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

pub(super) fn found(path: &Path, metadata: &fs::Metadata) -> FoundFile {
    let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    let since = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    FoundFile {
        at: Location::Path(path.to_owned()),
        bytes: metadata.len(),
        stamp: since.as_nanos().to_string(),
        modified_ms: i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
    }
}
