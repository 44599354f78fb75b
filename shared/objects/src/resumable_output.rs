//! One file or object that several attempts write one after the other, each from where the one before it saved.

use std::io::SeekFrom;
use std::path::PathBuf;

use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

use crate::atomic_file::{part_path, publish};
use crate::error::ObjectError;
use crate::files::Files;
use crate::location::Location;
use crate::multipart::{MAX_PARTS, ObjectWriter, WrittenParts};

/// What is held in memory before it is written, at least.
const PART_SIZE: u64 = 16 << 20;

/// A file that is renamed, or an object that appears, when it is complete; an earlier one stays until then.
#[derive(Debug)]
pub struct ResumableOutput {
    sink: OutputSink,
    held: Vec<u8>,
    part_size: usize,
}

#[derive(Debug)]
enum OutputSink {
    File {
        path: PathBuf,
        part: PathBuf,
        /// `None` if an earlier attempt has renamed it already.
        file: Option<File>,
        written: u64,
    },
    Object(ObjectWriter),
}

impl ResumableOutput {
    /// Continues behind what earlier attempts have `written`; what they wrote behind that is written again. All
    /// attempts name the same `run`. At most `total` bytes are expected.
    pub async fn open(
        files: &Files,
        location: &Location,
        run: &str,
        written: WrittenParts,
        total: u64,
    ) -> Result<Self, ObjectError> {
        let sink = match location {
            Location::Path(path) => {
                let (part, written) = (part_path(path, run), written.bytes);
                let file = open_part(&part, written).await;
                let file = file.map_err(|error| ObjectError::from_io(&part.display().to_string(), &error))?;
                OutputSink::File { path: path.clone(), part, file, written }
            }
            Location::Object { bucket, key } => {
                OutputSink::Object(ObjectWriter::new(files.bucket(bucket), key, written))
            }
        };
        // The last tenth of the parts is for what is added between the pieces.
        let part_size = PART_SIZE.max(total / (MAX_PARTS - MAX_PARTS / 10));
        let part_size = usize::try_from(part_size).unwrap_or(usize::MAX);
        Ok(Self { sink, held: Vec::new(), part_size })
    }

    /// Adds to what is held.
    pub fn push(&mut self, bytes: Vec<u8>) {
        if self.held.is_empty() {
            self.held = bytes;
        } else {
            self.held.extend_from_slice(&bytes);
        }
    }

    /// Whether it is time to [`write`](Self::write).
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.held.len() >= self.part_size
    }

    /// Writes what is held; returns how much is written, to be saved.
    pub async fn write(&mut self) -> Result<WrittenParts, ObjectError> {
        let held = std::mem::take(&mut self.held);
        match &mut self.sink {
            OutputSink::File { part, file, written, .. } => {
                let name = part.display().to_string();
                let Some(file) = file else { return Err(ObjectError::NotFound { location: name }) };
                let result = async {
                    file.write_all(&held).await?;
                    file.flush().await?;
                    file.sync_data().await
                };
                result.await.map_err(|error| ObjectError::from_io(&name, &error))?;
                *written += held.len() as u64;
                Ok(WrittenParts::of_file(*written))
            }
            OutputSink::Object(writer) => {
                writer.write_part(held).await?;
                Ok(writer.written().clone())
            }
        }
    }

    /// Writes the rest and lets the output appear; returns its size.
    pub async fn finish(mut self) -> Result<u64, ObjectError> {
        if matches!(self.sink, OutputSink::File { file: Some(_), .. }) && !self.held.is_empty() {
            self.write().await?;
        }
        let (path, part, file) = match self.sink {
            OutputSink::Object(writer) => return writer.finish(self.held).await,
            OutputSink::File { path, part, file, .. } => (path, part, file),
        };
        let name = path.display().to_string();
        if file.is_some() {
            drop(file);
            publish(&part, &path).map_err(|error| ObjectError::from_io(&name, &error))?;
        }
        let metadata = fs::metadata(&path).await;
        Ok(metadata.map_err(|error| ObjectError::from_io(&name, &error))?.len())
    }
}

/// `None` if the file was renamed already.
async fn open_part(part: &std::path::Path, written: u64) -> std::io::Result<Option<File>> {
    let begun = written > 0;
    let opened = OpenOptions::new().write(true).create(!begun).truncate(false).open(part).await;
    let mut file = match opened {
        Err(error) if begun && error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    file.set_len(written).await?;
    file.seek(SeekFrom::Start(written)).await?;
    Ok(Some(file))
}
