//! Small files, written as a whole.

use aws_sdk_s3::primitives::ByteStream;
use tokio::fs;

use super::{FileError, Files, Location};

impl Files {
    /// Writes a small file as a whole.
    ///
    /// # Errors
    /// [`FileError`] if it cannot be written.
    pub async fn write(&self, location: &Location, content: Vec<u8>) -> Result<(), FileError> {
        let name = location.to_string();
        match location {
            Location::Path(path) => {
                let part = path.with_file_name(format!(
                    "{}.part",
                    path.file_name().unwrap_or_default().to_string_lossy()
                ));
                let written = async {
                    fs::write(&part, content).await?;
                    fs::rename(&part, path).await
                };
                written.await.map_err(|error| FileError::from_io(&name, &error))
            }
            Location::Object { bucket, key } => {
                let put = self.s3().put_object().bucket(bucket).key(key).body(ByteStream::from(content));
                put.send().await.map(drop).map_err(|error| FileError::from_sdk(&name, error))
            }
        }
    }
}
