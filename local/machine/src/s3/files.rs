//! The bytes of objects and parts, in files with numbers for names.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::body::Bytes;

/// Bytes that are read from the disk at once.
const CHUNK: usize = 128 * 1024;

/// A part of an object's bytes: a file and its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FilePiece {
    pub(super) file: i64,
    pub(super) size: u64,
}

pub(super) struct Files {
    folder: PathBuf,
    next: AtomicI64,
    held: Mutex<HashMap<i64, Held>>,
}

#[derive(Default)]
struct Held {
    holders: usize,
    unwanted: bool,
}

impl Files {
    /// Opens the folder and removes every file but those that are `known`.
    pub(super) fn open(folder: &Path, known: &HashSet<i64>) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let number = entry.file_name().to_str().and_then(|name| i64::from_str_radix(name, 16).ok());
            if number.is_some_and(|number| !known.contains(&number)) {
                fs::remove_file(entry.path())?;
            }
        }
        let next = known.iter().max().map_or(1, |last| last.saturating_add(1));
        Ok(Files { folder: folder.to_owned(), next: AtomicI64::new(next), held: Mutex::default() })
    }

    /// A new file, removed again unless it is [kept](Incoming::keep).
    pub(super) fn create(self: &Arc<Self>) -> io::Result<Incoming> {
        let number = self.number();
        let file = File::create_new(self.path(number))?;
        Ok(Incoming { store: Arc::clone(self), number, file: Some(file), kept: false })
    }

    /// The same bytes under a new number, without being written again where the file system can do that.
    pub(super) fn copy(self: &Arc<Self>, of: i64) -> io::Result<Incoming> {
        let number = self.number();
        let (from, to) = (self.path(of), self.path(number));
        fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(drop))?;
        Ok(Incoming { store: Arc::clone(self), number, file: None, kept: false })
    }

    /// Keeps files from being removed while somebody reads them.
    pub(super) fn hold(self: &Arc<Self>, files: Vec<i64>) -> Hold {
        let mut held = self.held();
        for file in &files {
            held.entry(*file).or_default().holders += 1;
        }
        Hold { store: Arc::clone(self), files }
    }

    /// Removes files that the index does not know any more: at once, or when nobody reads them.
    pub(super) fn remove(&self, files: &[i64]) {
        for file in files {
            if let Some(held) = self.held().get_mut(file) {
                held.unwanted = true;
                continue;
            }
            self.unlink(*file);
        }
    }

    fn unlink(&self, file: i64) {
        // It goes at the next start.
        if let Err(e) = fs::remove_file(self.path(file)) {
            tracing::warn!(error = %e, "a file of the local S3 could not be removed");
        }
    }

    fn number(&self) -> i64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn path(&self, file: i64) -> PathBuf {
        self.folder.join(format!("{file:x}"))
    }

    fn held(&self) -> MutexGuard<'_, HashMap<i64, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file that is being written. It is removed when this is dropped before the index knows it.
pub(super) struct Incoming {
    store: Arc<Files>,
    number: i64,
    file: Option<File>,
    kept: bool,
}

impl Incoming {
    pub(super) fn number(&self) -> i64 {
        self.number
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), |file| file.write_all(bytes))
    }

    /// The index knows it now.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.kept {
            self.store.unlink(self.number);
        }
    }
}

/// Files that are being read.
pub(super) struct Hold {
    store: Arc<Files>,
    files: Vec<i64>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = self.store.held();
        for file in &self.files {
            let Some(entry) = held.get_mut(file) else { continue };
            entry.holders = entry.holders.saturating_sub(1);
            if entry.holders > 0 {
                continue;
            }
            if entry.unwanted {
                self.store.unlink(*file);
            }
            held.remove(file);
        }
    }
}

/// The bytes of some pieces, chunk by chunk.
pub(super) struct Reader {
    hold: Hold,
    pieces: VecDeque<FilePiece>,
    skip: u64,
    left: u64,
    open: Option<File>,
}

impl Reader {
    /// Reads a range of the pieces' bytes, all of which lie within them.
    pub(super) fn new(hold: Hold, pieces: impl IntoIterator<Item = FilePiece>, range: &Range<u64>) -> Self {
        let left = range.end.saturating_sub(range.start);
        Reader { hold, pieces: pieces.into_iter().collect(), skip: range.start, left, open: None }
    }

    fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        while self.left > 0 {
            if self.open.is_none() {
                let Some(piece) = self.pieces.pop_front() else {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "an object's pieces are too short",
                    ));
                };
                if self.skip >= piece.size {
                    self.skip -= piece.size;
                    continue;
                }
                let mut file = File::open(self.hold.store.path(piece.file))?;
                file.seek(SeekFrom::Start(std::mem::take(&mut self.skip)))?;
                self.open = Some(file);
            }
            let Some(file) = &mut self.open else { continue };
            let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(CHUNK);
            let mut chunk = vec![0; most];
            let read = file.read(&mut chunk)?;
            if read == 0 {
                self.open = None;
                continue;
            }
            chunk.truncate(read);
            self.left = self.left.saturating_sub(u64::try_from(read).unwrap_or(u64::MAX));
            return Ok(Some(Bytes::from(chunk)));
        }
        Ok(None)
    }
}

impl Iterator for Reader {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        self.chunk().transpose()
    }
}
