//! The bytes of a range of a file, in pieces.

use std::io::SeekFrom;
use std::ops::Range;
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::mpsc;

use crate::files::{FileError, Files, FoundFile, Location, list};

/// How much of a file of this machine is read at a time.
const PIECE: usize = 256 * 1024;
/// How often in a row a connection may break before the reading fails.
const BREAKS: u32 = 5;
/// The first pause after a break; it doubles.
const PAUSE: Duration = Duration::from_millis(100);
/// How many pieces are read ahead for a reader that blocks.
const AHEAD: usize = 4;

enum Origin {
    Disk(File),
    S3 { bucket: String, key: String, body: Option<ByteStream> },
}

/// The bytes of a range of a file. What has been given is never given again, also after a break.
pub struct Pieces {
    files: Files,
    file: FoundFile,
    rest: Range<u64>,
    from: Origin,
}

impl Files {
    /// Opens a range of the file; what lies beyond its end is left out.
    ///
    /// # Errors
    /// [`FileError::Changed`] if the file is not the one that was found.
    pub async fn open(&self, file: &FoundFile, range: Range<u64>) -> Result<Pieces, FileError> {
        let rest = range.start.min(file.bytes)..range.end.min(file.bytes);
        let from = match &file.at {
            Location::Path(path) => {
                let io = |error| FileError::from_io(&file.at.to_string(), &error);
                let mut open = File::open(path).await.map_err(io)?;
                let metadata = open.metadata().await.map_err(io)?;
                if list::found(path, &metadata) != *file {
                    return Err(FileError::Changed(file.at.to_string()));
                }
                open.seek(SeekFrom::Start(rest.start)).await.map_err(io)?;
                Origin::Disk(open)
            }
            Location::Object { bucket, key } => {
                Origin::S3 { bucket: bucket.clone(), key: key.clone(), body: None }
            }
        };
        Ok(Pieces { files: self.clone(), file: file.clone(), rest, from })
    }

    /// A range of the file as a whole.
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`Pieces::next`].
    pub async fn read(&self, file: &FoundFile, range: Range<u64>) -> Result<Vec<u8>, FileError> {
        let mut pieces = self.open(file, range).await?;
        let mut all = Vec::new();
        while let Some(piece) = pieces.next().await? {
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }
}

impl Pieces {
    /// The next piece; `None` at the end of the range.
    ///
    /// # Errors
    /// [`FileError`] if the file has changed, or S3 goes on not to answer.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FileError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let piece = match &mut self.from {
            Origin::Disk(file) => {
                let io = |error| FileError::from_io(&self.file.at.to_string(), &error);
                let left = usize::try_from(self.rest.end - self.rest.start).unwrap_or(usize::MAX);
                let mut piece = vec![0; left.min(PIECE)];
                let read = file.read(&mut piece).await.map_err(io)?;
                if read == 0 {
                    return Err(FileError::Changed(self.file.at.to_string()));
                }
                piece.truncate(read);
                Bytes::from(piece)
            }
            Origin::S3 { .. } => self.next_of_object().await?,
        };
        self.rest.start += u64::try_from(piece.len()).unwrap_or(u64::MAX);
        Ok(Some(piece))
    }

    async fn next_of_object(&mut self) -> Result<Bytes, FileError> {
        let name = self.file.at.to_string();
        let mut breaks = 0;
        loop {
            let result = self.try_next_of_object(&name).await;
            match result {
                Err(FileError::Unavailable { reason, .. }) if breaks < BREAKS => {
                    tracing::warn!(file = %name, %reason, "the connection broke; reading goes on");
                    tokio::time::sleep(PAUSE * 2_u32.saturating_pow(breaks)).await;
                    breaks += 1;
                }
                result => return result,
            }
        }
    }

    async fn try_next_of_object(&mut self, name: &str) -> Result<Bytes, FileError> {
        let Origin::S3 { bucket, key, body } = &mut self.from else {
            return Err(FileError::Missing(name.to_owned()));
        };
        let unavailable = |reason: String| FileError::Unavailable { location: name.to_owned(), reason };
        let mut stream = match body.take() {
            Some(stream) => stream,
            None => {
                let get = self.files.s3.get_object().bucket(bucket.as_str()).key(key.as_str());
                let range = format!("bytes={}-{}", self.rest.start, self.rest.end - 1);
                let stamp = Some(self.file.stamp.clone()).filter(|stamp| !stamp.is_empty());
                let get = get.range(range).set_if_match(stamp);
                get.send().await.map_err(|error| FileError::from_sdk(name, error))?.body
            }
        };
        loop {
            match stream.next().await {
                Some(Ok(piece)) if piece.is_empty() => {}
                Some(Ok(piece)) => {
                    *body = Some(stream);
                    return Ok(piece);
                }
                Some(Err(error)) => return Err(unavailable(error.to_string())),
                None => return Err(unavailable("the answer ended early".to_owned())),
            }
        }
    }

    /// The pieces as a reader for code that blocks, on a thread of its own.
    #[must_use]
    pub fn into_blocking(mut self) -> BlockingPieces {
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
        BlockingPieces { receiver, piece: Bytes::new(), failure: None }
    }
}

/// [`Pieces`] for code that blocks.
pub struct BlockingPieces {
    receiver: mpsc::Receiver<Result<Bytes, FileError>>,
    piece: Bytes,
    failure: Option<FileError>,
}

impl BlockingPieces {
    /// Why reading failed, if it did: the error that [`read`](std::io::Read::read) gave is only its text.
    #[must_use]
    pub fn failure(&mut self) -> Option<FileError> {
        self.failure.take()
    }
}

impl std::io::Read for BlockingPieces {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(Ok(piece)) => self.piece = piece,
                Some(Err(error)) => {
                    let told = std::io::Error::other(error.to_string());
                    self.failure = Some(error);
                    return Err(told);
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
