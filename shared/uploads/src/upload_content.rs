//! What is to be uploaded, read piece by piece.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use nextbasket_domain::Timestamp;

use nextbasket_objects::{Checksum, Digest, Hasher, digest};

/// What a digest reads at once.
const CHUNK: usize = 1 << 20;

/// A file that changed less than so many milliseconds before it was read may change again without its time saying so.
const RACY: i64 = 2_000;

/// What is to be uploaded.
#[derive(Debug, Clone)]
pub enum UploadContent {
    /// A file, read from the disk as it is sent.
    File(PathBuf),
    Bytes(Bytes),
}

/// Why a content cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// The file is not there (any more).
    #[error("the file does not exist any more")]
    Gone,
    /// The file changed while it was read.
    #[error("the file changed while it was read")]
    Changing,
    /// A folder, a socket or the like.
    #[error("not a regular file")]
    NotAFile,
    /// The operating system rejects the call.
    #[error("cannot be read: {0}")]
    Unreadable(#[source] io::Error),
}

impl From<io::Error> for ContentError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Gone,
            // It was longer when it was opened.
            io::ErrorKind::UnexpectedEof => Self::Changing,
            _ => Self::Unreadable(error),
        }
    }
}

/// What shows that a file changed without reading it: size, and time of change in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileStamp {
    pub(crate) size: u64,
    pub(crate) modified: i64,
}

impl FileStamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let modified = metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
        Self { size: metadata.size(), modified }
    }
}

/// A content that is open for reading. What is read from it is of one state of the content, or an error.
#[derive(Debug, Clone)]
pub(crate) struct OpenContent {
    source: OpenSource,
    size: u64,
    /// The file's time, if a change after it would change it.
    modified: Option<i64>,
}

#[derive(Debug, Clone)]
enum OpenSource {
    File(Arc<File>, FileStamp),
    Bytes(Bytes),
}

impl UploadContent {
    pub(crate) async fn open(&self, now: Timestamp) -> Result<OpenContent, ContentError> {
        match self {
            Self::Bytes(bytes) => {
                let source = OpenSource::Bytes(bytes.clone());
                Ok(OpenContent { source, size: bytes.len() as u64, modified: None })
            }
            Self::File(path) => {
                let path = path.clone();
                blocking(move || open_file(&path, now)).await
            }
        }
    }
}

fn open_file(path: &Path, now: Timestamp) -> Result<OpenContent, ContentError> {
    // Opening a pipe would wait for who writes to it.
    if !std::fs::metadata(path)?.is_file() {
        return Err(ContentError::NotAFile);
    }
    let file = File::open(path)?;
    let look = FileStamp::of(&file.metadata()?);
    let settled = look.modified / 1_000_000 < now.as_millis().saturating_sub(RACY);
    let modified = settled.then_some(look.modified);
    Ok(OpenContent { source: OpenSource::File(Arc::new(file), look), size: look.size, modified })
}

impl OpenContent {
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn modified(&self) -> Option<i64> {
        self.modified
    }

    /// Some of the content, and its digest.
    pub(crate) async fn read(&self, range: std::ops::Range<u64>) -> Result<(Bytes, Digest), ContentError> {
        let source = self.source.clone();
        blocking(move || {
            let bytes = source.read(range)?;
            let digest = digest(&bytes);
            Ok((bytes, digest))
        })
        .await
    }

    /// The checksum of all of it, whole or by parts of a size.
    pub(crate) async fn checksum(&self, part_size: Option<u64>) -> Result<Checksum, ContentError> {
        let opened = self.clone();
        blocking(move || {
            let mut hasher = Hasher::new(part_size);
            let mut at = 0;
            while at < opened.size {
                let end = opened.size.min(at + CHUNK as u64);
                hasher.update(&opened.source.read(at..end)?);
                at = end;
            }
            opened.source.expect_unchanged()?;
            Ok(hasher.finish())
        })
        .await
    }

    /// That all that was read so far is of one state of the content.
    pub(crate) async fn expect_unchanged(&self) -> Result<(), ContentError> {
        let source = self.source.clone();
        blocking(move || source.expect_unchanged()).await
    }
}

impl OpenSource {
    fn read(&self, range: std::ops::Range<u64>) -> Result<Bytes, ContentError> {
        let too_large = || ContentError::Unreadable(io::ErrorKind::OutOfMemory.into());
        let start = usize::try_from(range.start).map_err(|_| too_large())?;
        let length = usize::try_from(range.end.saturating_sub(range.start)).map_err(|_| too_large())?;
        match self {
            Self::Bytes(bytes) => Ok(bytes.slice(start.min(bytes.len())..(start + length).min(bytes.len()))),
            Self::File(file, _) => {
                let mut buffer = vec![0; length];
                file.read_exact_at(&mut buffer, range.start)?;
                Ok(buffer.into())
            }
        }
    }

    fn expect_unchanged(&self) -> Result<(), ContentError> {
        match self {
            Self::Bytes(_) => Ok(()),
            Self::File(file, before) if FileStamp::of(&file.metadata()?) == *before => Ok(()),
            Self::File(..) => Err(ContentError::Changing),
        }
    }
}

/// Waits for the disk on a thread of its own.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ContentError> + Send + 'static,
) -> Result<T, ContentError> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.unwrap_or_else(|crash| Err(ContentError::Unreadable(io::Error::other(crash))))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::time::{Duration, SystemTime};

    use super::*;

    fn now() -> Timestamp {
        nextbasket_domain::Clock::system().now()
    }

    #[tokio::test]
    async fn a_file_and_bytes_read_alike() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let content: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
        fs::write(&path, &content).unwrap();
        for given in [UploadContent::File(path), UploadContent::Bytes(content.clone().into())] {
            let opened = given.open(now()).await.unwrap();
            assert_eq!(opened.size(), 3_000_000);
            let (bytes, found) = opened.read(1_000..2_500_000).await.unwrap();
            assert_eq!(bytes, &content[1_000..2_500_000]);
            assert_eq!(found, digest(&content[1_000..2_500_000]));
            assert_eq!(opened.checksum(None).await.unwrap(), Checksum::whole(digest(&content)));
            let parts: Vec<Digest> = content.chunks(1_100_000).map(digest).collect();
            assert_eq!(opened.checksum(Some(1_100_000)).await.unwrap(), Checksum::composite(&parts));
            opened.expect_unchanged().await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_file_that_grows_or_shrinks_meanwhile_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "first").unwrap();
        let opened = UploadContent::File(path.clone()).open(now()).await.unwrap();
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b" and more").unwrap();
        assert!(matches!(opened.expect_unchanged().await, Err(ContentError::Changing)));
        assert!(matches!(opened.checksum(None).await, Err(ContentError::Changing)));
        fs::write(&path, "").unwrap();
        assert!(matches!(opened.read(0..5).await, Err(ContentError::Changing)));
    }

    #[tokio::test]
    async fn a_file_that_is_replaced_meanwhile_is_read_as_it_was_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "first").unwrap();
        let opened = UploadContent::File(path.clone()).open(now()).await.unwrap();
        fs::write(folder.path().join("b"), "second").unwrap();
        fs::rename(folder.path().join("b"), &path).unwrap();
        assert_eq!(opened.read(0..5).await.unwrap().0, "first");
        opened.expect_unchanged().await.unwrap();
    }

    #[tokio::test]
    async fn a_time_tells_something_only_if_it_has_passed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "x").unwrap();
        let content = UploadContent::File(path.clone());
        assert_eq!(content.open(now()).await.unwrap().modified(), None);
        let before = SystemTime::now() - Duration::from_secs(10);
        fs::File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
        assert!(content.open(now()).await.unwrap().modified().is_some());
    }

    #[tokio::test]
    async fn what_is_not_a_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let open = async |path: PathBuf| UploadContent::File(path).open(now()).await.unwrap_err();
        assert!(matches!(open(folder.path().join("none")).await, ContentError::Gone));
        assert!(matches!(open(folder.path().to_owned()).await, ContentError::NotAFile));
    }
}
