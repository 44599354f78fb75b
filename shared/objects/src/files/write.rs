//! Small files written as a whole, files and folders removed.

use std::fs;
use std::io;

use super::{Files, FoundFile, blocking};
use crate::atomic_file::AtomicFile;
use crate::error::ObjectError;
use crate::location::Location;

impl Files {
    /// Writes a small file as a whole: it appears when it is complete. A local folder has to exist.
    pub async fn write(&self, location: &Location, content: Vec<u8>) -> Result<(), ObjectError> {
        match location {
            Location::Path(path) => {
                let path = path.clone();
                local(location, move || {
                    // A folder that does not exist is a mistake in the name.
                    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                        fs::metadata(folder)?;
                    }
                    AtomicFile::write_all_of(&path, &content)
                })
                .await
            }
            Location::Object { bucket, key } => self.bucket(bucket).put(key, content).await,
        }
    }

    /// Writes a small file as a whole, after its folder if that does not exist.
    pub async fn write_with_folder(&self, location: &Location, content: Vec<u8>) -> Result<(), ObjectError> {
        if let Some(folder) = location.parent() {
            self.create_folder(&folder).await?;
        }
        self.write(location, content).await
    }

    /// Creates a local folder, and those above it. A prefix in S3 needs no creation.
    pub async fn create_folder(&self, folder: &Location) -> Result<(), ObjectError> {
        let Location::Path(path) = folder.clone() else { return Ok(()) };
        local(folder, move || fs::create_dir_all(&path)).await
    }

    /// The content of a small file; `None` if it does not exist.
    pub async fn read_if_found(&self, location: &Location) -> Result<Option<Vec<u8>>, ObjectError> {
        match self.find(location).await? {
            Some(found @ FoundFile { bytes, .. }) => self.read(&found, 0..bytes).await.map(Some),
            None => Ok(None),
        }
    }

    /// Removes a file, if it exists.
    pub async fn remove(&self, location: &Location) -> Result<(), ObjectError> {
        match location {
            Location::Path(path) => {
                let path = path.clone();
                local(location, move || unless_missing(fs::remove_file(&path))).await
            }
            Location::Object { bucket, key } => self.bucket(bucket).delete(key).await,
        }
    }

    /// Removes a folder or a prefix with everything below it.
    ///
    /// # Errors
    /// [`ObjectError`] if it cannot be removed; some of it may be removed then.
    pub async fn remove_folder(&self, folder: &Location) -> Result<(), ObjectError> {
        if let Location::Path(path) = folder.clone() {
            return local(folder, move || unless_missing(fs::remove_dir_all(&path))).await;
        }
        let Location::Object { bucket, key } = folder.join("") else { return Ok(()) };
        self.bucket(&bucket).delete_prefix(&key).await
    }
}

async fn local(
    location: &Location,
    work: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> Result<(), ObjectError> {
    let name = location.to_string();
    blocking(name.clone(), move || work().map_err(|error| ObjectError::from_io(&name, &error))).await
}

fn unless_missing(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
