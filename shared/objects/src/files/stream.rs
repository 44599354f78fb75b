//! The bytes of a range of a file as a stream, however often the connection breaks.

use std::io::SeekFrom;
use std::ops::Range;
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::mpsc;

use super::{Files, FoundFile, list};
use crate::bucket::Bucket;
use crate::error::ObjectError;
use crate::location::Location;

/// How much of a file of this machine is read at a time.
const PIECE: usize = 256 * 1024;
/// How often in a row a connection may break before reading fails.
const MAX_FAILURES: u32 = 5;
/// The first pause after a break; it doubles.
const PAUSE: Duration = Duration::from_millis(100);
/// How many pieces are read ahead for a reader that blocks.
const AHEAD: usize = 4;

enum Origin {
    Disk(File),
    S3 { bucket: Bucket, key: String, body: Option<ByteStream> },
}

/// The bytes of a range of a file. What has been given is never given again, also after a break.
pub struct FileStream {
    file: FoundFile,
    rest: Range<u64>,
    from: Origin,
}

impl Files {
    /// Opens a range of the file; what lies beyond its end is left out.
    ///
    /// # Errors
    /// [`ObjectError::Changed`] if the file is not the one that was found.
    pub async fn open(&self, file: &FoundFile, range: Range<u64>) -> Result<FileStream, ObjectError> {
        let rest = range.start.min(file.bytes)..range.end.min(file.bytes);
        let from = match &file.at {
            Location::Path(path) => {
                let io = |error| ObjectError::from_io(&file.at.to_string(), &error);
                let mut open = File::open(path).await.map_err(io)?;
                let metadata = open.metadata().await.map_err(io)?;
                if list::found(path, &metadata) != *file {
                    return Err(ObjectError::Changed { location: file.at.to_string() });
                }
                open.seek(SeekFrom::Start(rest.start)).await.map_err(io)?;
                Origin::Disk(open)
            }
            Location::Object { bucket, key } => {
                Origin::S3 { bucket: self.bucket(bucket), key: key.clone(), body: None }
            }
        };
        Ok(FileStream { file: file.clone(), rest, from })
    }

    /// A range of the file as a whole.
    pub async fn read(&self, file: &FoundFile, range: Range<u64>) -> Result<Vec<u8>, ObjectError> {
        let mut pieces = self.open(file, range).await?;
        let mut all = Vec::new();
        while let Some(piece) = pieces.next().await? {
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }
}

impl FileStream {
    /// The next piece; `None` at the end of the range.
    ///
    /// # Errors
    /// [`ObjectError`] if the file has changed, or S3 still does not answer after some attempts.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ObjectError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let piece = match &mut self.from {
            Origin::Disk(file) => {
                let io = |error| ObjectError::from_io(&self.file.at.to_string(), &error);
                let left = usize::try_from(self.rest.end - self.rest.start).unwrap_or(usize::MAX);
                let mut piece = vec![0; left.min(PIECE)];
                let read = file.read(&mut piece).await.map_err(io)?;
                if read == 0 {
                    return Err(ObjectError::Changed { location: self.file.at.to_string() });
                }
                piece.truncate(read);
                Bytes::from(piece)
            }
            Origin::S3 { .. } => self.next_of_object().await?,
        };
        self.rest.start += u64::try_from(piece.len()).unwrap_or(u64::MAX);
        Ok(Some(piece))
    }

    async fn next_of_object(&mut self) -> Result<Bytes, ObjectError> {
        let name = self.file.at.to_string();
        let mut failures = 0;
        loop {
            let result = self.try_next_of_object(&name).await;
            match result {
                Err(error) if error.is_transient() && failures < MAX_FAILURES => {
                    tracing::warn!(file = %name, %error, "reading failed; it is resumed");
                    tokio::time::sleep(PAUSE * 2_u32.saturating_pow(failures)).await;
                    failures += 1;
                }
                result => return result,
            }
        }
    }

    async fn try_next_of_object(&mut self, name: &str) -> Result<Bytes, ObjectError> {
        let Origin::S3 { bucket, key, body } = &mut self.from else {
            return Err(ObjectError::NotFound { location: name.to_owned() });
        };
        let mut stream = match body.take() {
            Some(stream) => stream,
            None => {
                let stamp = Some(self.file.stamp.clone()).filter(|stamp| !stamp.is_empty());
                bucket.stream(key, &self.rest, stamp).await?
            }
        };
        loop {
            match stream.next().await {
                Some(Ok(piece)) if piece.is_empty() => {}
                Some(Ok(piece)) => {
                    *body = Some(stream);
                    return Ok(piece);
                }
                Some(Err(error)) => return Err(bucket.unavailable(key, "GetObject", error.to_string())),
                None => {
                    let reason = "the answer ended early".to_owned();
                    return Err(bucket.unavailable(key, "GetObject", reason));
                }
            }
        }
    }

    /// The pieces as a reader for code that blocks, on a thread of its own.
    #[must_use]
    pub fn into_blocking(mut self) -> BlockingFileStream {
        let (sender, receiver) = mpsc::channel(AHEAD);
        // Ends with the pieces, or when the reader is gone.
        tokio::spawn(async move {
            loop {
                let next = self.next().await.transpose();
                let Some(next) = next else { return };
                let failed = next.is_err();
                if sender.send(next).await.is_err() || failed {
                    return;
                }
            }
        });
        BlockingFileStream { receiver, piece: Bytes::new(), failure: None }
    }
}

/// [`FileStream`] for code that blocks.
pub struct BlockingFileStream {
    receiver: mpsc::Receiver<Result<Bytes, ObjectError>>,
    piece: Bytes,
    failure: Option<ObjectError>,
}

impl BlockingFileStream {
    /// Why reading failed, if it did: the error that [`read`](std::io::Read::read) gave is only its text.
    #[must_use]
    pub fn failure(&mut self) -> Option<ObjectError> {
        self.failure.take()
    }
}

impl std::io::Read for BlockingFileStream {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(Ok(piece)) => self.piece = piece,
                Some(Err(error)) => {
                    let reported = std::io::Error::other(error.to_string());
                    self.failure = Some(error);
                    return Err(reported);
                }
                None => return Ok(0),
            }
        }
        let length = into.len().min(self.piece.len());
        let taken = self.piece.split_to(length);
        if let Some(into) = into.get_mut(..length) {
            into.copy_from_slice(&taken);
        }
        Ok(length)
    }
}
