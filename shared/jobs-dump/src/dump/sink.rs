//! The data file that is being written, and how it is resumed after a kill.
//!
//! On this machine a page is appended to the file, and the checkpoint has the file's length. Whoever resumes it copies
//! that much to a file of a new name, so that a worker that has lost its claim and does not know it yet cannot write
//! into what another finishes. In S3 a page stands in the job's own objects until its file is closed; the file is put
//! under its name only once the checkpoint says what it holds, so two workers who both put it put the same.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use nextbasket_job_engine::{Journal, Work, WorkError};
use nextbasket_objects::{Bucket, Checksum, ConditionalWrite, Files, Location, ObjectError, digest};
use serde::{Deserialize, Serialize};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::csv::Columns;
use crate::digest::ItemsDigest;
use crate::gzip::{self, GzipState, Pages};
use crate::manifest::{DATA, DataFile};

/// When a file is closed, in bytes: of this machine, and in S3, where it is held in memory.
const FULL_FILE: u64 = 64 << 20;
const FULL_OBJECT: u64 = 8 << 20;
/// How much is copied at a time.
const PIECE: usize = 256 << 10;
/// What the pages in the job's objects are called.
pub(super) const PAGES: &str = "pages";

/// A data file as it stands in a checkpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OpenFile {
    pub segment: u32,
    pub part: u32,
    pub name: String,
    /// Its length; also without compression.
    pub state: GzipState,
    pub gzip: bool,
    pub digest: ItemsDigest,
    pub journal: Journal,
    pub columns: Option<Columns>,
    /// Nothing is added any more.
    pub closing: bool,
}

enum SinkTarget {
    File { file: File, path: PathBuf, md5: Md5 },
    Object { content: Vec<u8>, bucket: Bucket, key: String },
}

pub(crate) struct Sink {
    to: SinkTarget,
    pages: Pages,
    pub open: OpenFile,
}

pub(crate) struct Naming<'a> {
    pub folder: &'a Location,
    pub segment: u32,
    pub part: u32,
    pub extension: &'a str,
}

impl Naming<'_> {
    fn name(&self, work: &Work) -> String {
        let Self { folder, segment, part, extension } = self;
        match folder {
            Location::Path(_) => format!("{DATA}/{segment:06}-{part:06}-{}.{extension}", work.fence()),
            Location::Object { .. } => format!("{DATA}/{segment:06}-{part:06}.{extension}"),
        }
    }
}

impl Sink {
    pub(crate) async fn begin(
        files: &Files,
        work: &Work,
        naming: &Naming<'_>,
        gzip: bool,
        columns: Option<Columns>,
    ) -> Result<Self, WorkError> {
        let open = OpenFile {
            segment: naming.segment,
            part: naming.part,
            name: naming.name(work),
            state: GzipState::default(),
            gzip,
            digest: ItemsDigest::default(),
            journal: Journal::default(),
            columns,
            closing: false,
        };
        let to = match naming.folder.join(&open.name) {
            Location::Path(path) => SinkTarget::File { file: create(&path).await?, path, md5: Md5::new() },
            Location::Object { bucket, key } => {
                SinkTarget::Object { content: Vec::new(), bucket: files.bucket(&bucket), key }
            }
        };
        Ok(Self { to, pages: Pages::default(), open })
    }

    /// Resumes a file; `None` if it is shorter than the checkpoint says.
    pub(crate) async fn resume(
        files: &Files,
        work: &Work,
        naming: &Naming<'_>,
        mut open: OpenFile,
    ) -> Result<Option<Self>, WorkError> {
        let to = match naming.folder.join(&open.name) {
            Location::Path(old) => {
                let name = naming.name(work);
                let Location::Path(path) = naming.folder.join(&name) else { return Ok(None) };
                let Some((file, md5)) = copied(&old, &path, open.state.bytes).await? else { return Ok(None) };
                open.name = name;
                SinkTarget::File { file, path, md5 }
            }
            Location::Object { bucket, key } => {
                let content = open.journal.read(work, PAGES).await?.concat();
                if u64::try_from(content.len()).unwrap_or(0) != open.state.bytes {
                    return Ok(None);
                }
                SinkTarget::Object { content, bucket: files.bucket(&bucket), key }
            }
        };
        Ok(Some(Self { to, pages: Pages::default(), open }))
    }

    /// Adds a page. It counts once the checkpoint has [`OpenFile`] as it is then.
    pub(crate) async fn append(
        &mut self,
        work: &Work,
        bytes: Vec<u8>,
        digest: ItemsDigest,
    ) -> Result<(), WorkError> {
        let mut page = bytes;
        if self.open.gzip {
            let mut packed = Vec::with_capacity(page.len() / 3);
            let state = &mut self.open.state;
            self.pages
                .page(state, &page, &mut packed)
                .map_err(|error| WorkError::Failed(error.to_string()))?;
            page = packed;
        } else {
            self.open.state.bytes += u64::try_from(page.len()).unwrap_or(u64::MAX);
        }
        self.open.digest += digest;
        match &mut self.to {
            SinkTarget::File { file, path, md5 } => {
                md5.update(&page);
                put(file, &page).await.map_err(|error| io(path, &error))?;
            }
            SinkTarget::Object { content, .. } => {
                content.extend_from_slice(&page);
                self.open.journal.append(work, PAGES, page).await?;
            }
        }
        Ok(())
    }

    pub(crate) fn is_full(&self, asked: Option<u64>) -> bool {
        let full = if matches!(self.to, SinkTarget::File { .. }) { FULL_FILE } else { FULL_OBJECT };
        self.open.state.bytes >= asked.unwrap_or(full)
    }

    /// Closes it: what stands in the last checkpoint is all that it gets.
    pub(crate) async fn finish(self) -> Result<DataFile, WorkError> {
        let Self { to, mut open, .. } = self;
        let mut tail = Vec::new();
        if open.gzip {
            gzip::end(&mut open.state, &mut tail);
        }
        let (md5, tag): ([u8; 16], Option<String>) = match to {
            SinkTarget::File { mut file, path, mut md5 } => {
                md5.update(&tail);
                let written = async {
                    put(&mut file, &tail).await?;
                    file.sync_all().await
                };
                written.await.map_err(|error| io(&path, &error))?;
                (md5.finalize().into(), None)
            }
            SinkTarget::Object { mut content, bucket, key } => {
                content.extend_from_slice(&tail);
                let md5 = Md5::digest(&content).into();
                (md5, put_once(&bucket, &key, content).await?)
            }
        };
        Ok(DataFile {
            name: open.name,
            segment: open.segment,
            bytes: open.state.bytes,
            md5: STANDARD.encode(md5),
            // What S3 would report of an object that was sent in one piece.
            etag: tag.map_or_else(|| hex::encode(md5), |tag| tag.trim_matches('"').to_owned()),
            digest: open.digest,
        })
    }
}

fn io(path: &std::path::Path, error: &std::io::Error) -> WorkError {
    ObjectError::from_io(&path.display().to_string(), error).into()
}

async fn create(path: &std::path::Path) -> Result<File, WorkError> {
    let created = OpenOptions::new().write(true).create(true).truncate(true).open(path).await;
    created.map_err(|error| io(path, &error))
}

async fn put(file: &mut File, content: &[u8]) -> std::io::Result<()> {
    file.write_all(content).await?;
    // The system has it then: it outlives the process.
    file.flush().await
}

/// The beginning of a file under a new name; `None` if the file is shorter.
async fn copied(
    old: &std::path::Path,
    new: &std::path::Path,
    length: u64,
) -> Result<Option<(File, Md5)>, WorkError> {
    let mut from = match File::open(old).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|error| io(old, &error))?,
    };
    let there = from.metadata().await.map_err(|error| io(old, &error))?.len();
    if there < length {
        return Ok(None);
    }
    let (mut file, mut md5, mut left) = (create(new).await?, Md5::new(), length);
    let mut piece = vec![0; PIECE];
    while left > 0 {
        let most = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let room = piece.get_mut(..most).unwrap_or_default();
        let read = from.read(room).await.map_err(|error| io(old, &error))?;
        let Some(content) = room.get(..read).filter(|content| !content.is_empty()) else { return Ok(None) };
        md5.update(content);
        file.write_all(content).await.map_err(|error| io(new, &error))?;
        left -= u64::try_from(read).unwrap_or(left);
    }
    file.flush().await.map_err(|error| io(new, &error))?;
    Ok(Some((file, md5)))
}

/// Puts an object under a key that is never used for other content, and returns its ETag. The ETag is not the MD5 of
/// the content if objects are encrypted with a KMS key.
async fn put_once(bucket: &Bucket, key: &str, content: Vec<u8>) -> Result<Option<String>, WorkError> {
    let checksum = Checksum::whole(digest(&content));
    match bucket.put_if_absent(key, content, &checksum).await? {
        ConditionalWrite::Written { etag, .. } => Ok(etag),
        // Put before this attempt, or by it, and the answer was lost.
        ConditionalWrite::Exists => match bucket.head(key).await? {
            Some(head) if head.checksum.as_ref() == Some(&checksum) => Ok(head.etag),
            _ => {
                let name = format!("s3://{}/{key}", bucket.name());
                Err(WorkError::Failed(format!("{name} exists with other content. Dump to another folder.")))
            }
        },
        ConditionalWrite::Conflict | ConditionalWrite::UnusableUpload => {
            Err(WorkError::Transient(format!("another write to s3://{}/{key} is in progress", bucket.name())))
        }
    }
}
