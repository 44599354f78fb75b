//! Local files that appear when they are complete.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

/// A file that is being written. Its content is in a file beside it under another name, until
/// [`publish`](Self::publish) renames it. If it is dropped before that, nothing is left, and an earlier file of its
/// name stays as it was. A path that is not a regular file, such as a device, is written directly.
#[derive(Debug)]
#[must_use = "without publish the file does not appear"]
pub struct AtomicFile {
    path: PathBuf,
    part: PathBuf,
    file: Option<BufWriter<File>>,
}

impl AtomicFile {
    /// Creates a file of this name, and its folder if it does not exist.
    pub fn create(path: &Path) -> io::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder)?;
        }
        let is_special = fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir());
        let part = if is_special {
            path.to_owned()
        } else {
            // Different from the name of every other process and thread.
            part_path(path, &format!("{}-{}", process::id(), NUMBER.fetch_add(1, Ordering::Relaxed)))
        };
        let file = BufWriter::new(File::create(&part)?);
        Ok(Self { path: path.to_owned(), part, file: Some(file) })
    }

    /// Writes a whole file at once.
    pub fn write_all_of(path: &Path, content: &[u8]) -> io::Result<()> {
        let mut output = Self::create(path)?;
        output.write_all(content)?;
        output.publish()
    }

    /// Syncs the file to the disk, then renames it to its name.
    pub fn publish(mut self) -> io::Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let written = file.into_inner().map_err(io::IntoInnerError::into_error);
        if self.is_special() {
            return written.map(drop);
        }
        let published =
            written.and_then(|file| file.sync_all()).and_then(|()| publish(&self.part, &self.path));
        if published.is_err() {
            let _ = fs::remove_file(&self.part);
        }
        published
    }

    /// Whether it is written directly under its name.
    fn is_special(&self) -> bool {
        self.part == self.path
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_mut().map_or(Ok(bytes.len()), |file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if self.file.take().is_some() && !self.is_special() {
            let _ = fs::remove_file(&self.part);
        }
    }
}

/// The name of a file until it is complete: its own name, a part that differs between attempts, and `.part`.
pub(crate) fn part_path(path: &Path, attempt: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{attempt}.part"));
    path.with_file_name(name)
}

/// Renames a file, whose content is on the disk, to its name. Whatever fails afterwards, the name has the old content
/// or the new one.
pub(crate) fn publish(part: &Path, path: &Path) -> io::Result<()> {
    fs::rename(part, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Some file systems cannot sync a folder; then the rename is as durable as they make it.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails there")]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(name).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_file_appears_when_it_is_published_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("below/out.jsonl");
        AtomicFile::write_all_of(&path, b"old").unwrap();
        let mut output = AtomicFile::create(&path).unwrap();
        output.write_all(b"new").unwrap();
        output.flush().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        output.publish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(path.parent().unwrap()), ["out.jsonl"]);
    }

    #[test]
    fn what_is_dropped_or_fails_leaves_what_was_there_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        fs::write(&path, "old").unwrap();
        let mut output = AtomicFile::create(&path).unwrap();
        output.write_all(b"half").unwrap();
        drop(output);
        assert_eq!(
            (fs::read(&path).unwrap(), names(folder.path())),
            (b"old".to_vec(), vec!["out".to_owned()])
        );
        let taken = folder.path().join("taken");
        fs::create_dir_all(taken.join("full")).unwrap();
        let mut output = AtomicFile::create(&taken).unwrap();
        output.write_all(b"x").unwrap();
        output.publish().unwrap_err();
        assert_eq!(names(folder.path()), ["out", "taken"]);
    }

    #[test]
    fn a_device_is_written_itself_and_says_that_it_is_full() {
        let Ok(mut full) = AtomicFile::create(Path::new("/dev/full")) else { return };
        full.write_all(b"x").unwrap();
        assert_eq!(full.publish().unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert!(Path::new("/dev/full").exists());
    }

    #[test]
    fn two_who_write_one_file_do_not_meet() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let (mut one, mut other) = (AtomicFile::create(&path).unwrap(), AtomicFile::create(&path).unwrap());
        one.write_all(b"one").unwrap();
        other.write_all(b"other").unwrap();
        one.publish().unwrap();
        other.publish().unwrap();
        assert_eq!(
            (fs::read(&path).unwrap(), names(folder.path())),
            (b"other".to_vec(), vec!["out".to_owned()])
        );
    }
}
