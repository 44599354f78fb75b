//! Small files, written as a whole.

use aws_sdk_s3::primitives::ByteStream;

use super::{FileError, Files, Location};
use crate::output::Output;

impl Files {
    /// Writes a small file as a whole: it appears when it is complete.
    ///
    /// # Errors
    /// [`FileError`] if it cannot be written.
    pub async fn write(&self, location: &Location, content: Vec<u8>) -> Result<(), FileError> {
        let name = location.to_string();
        match location {
            Location::Path(path) => {
                let path = path.clone();
                let write = move || {
                    // A folder that is not there is a mistake in the name.
                    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                        std::fs::metadata(folder)?;
                    }
                    Output::write_all_of(&path, &content)
                };
                let written = tokio::task::spawn_blocking(write).await;
                let unavailable = |reason| FileError::Unavailable { location: name.clone(), reason };
                written
                    .map_err(|error| unavailable(error.to_string()))?
                    .map_err(|error| FileError::from_io(&name, &error))
            }
            Location::Object { bucket, key } => {
                let put = self.s3().put_object().bucket(bucket).key(key).body(ByteStream::from(content));
                put.send().await.map(drop).map_err(|error| FileError::from_sdk(&name, error))
            }
        }
    }
}
