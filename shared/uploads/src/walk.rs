//! The files of a folder, and what in it is none.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::Destination;
use crate::content::FileStamp;

/// A file and the key that its object gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalFile {
    pub path: PathBuf,
    pub key: String,
    /// Its size in bytes when it was looked at.
    pub size: u64,
    /// Its time of change in nanoseconds since 1970, when it was looked at.
    pub modified: i64,
}

impl LocalFile {
    pub(crate) fn look(&self) -> FileStamp {
        FileStamp { size: self.size, modified: self.modified }
    }
}

/// Something that was not uploaded, and why.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RejectedFile {
    /// The path, as far as it can be written.
    pub path: String,
    pub reason: String,
}

impl RejectedFile {
    pub(crate) fn new(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self { path: path.display().to_string(), reason: reason.to_string() }
    }
}

/// What a folder holds.
#[derive(Debug, Default)]
pub struct FolderFiles {
    /// Its files, with those of folders in it.
    pub files: Vec<LocalFile>,
    /// What cannot be uploaded: names that are no keys, folders that cannot be read, links that lead in a circle.
    pub refused: Vec<RejectedFile>,
    /// Sockets, pipes and devices: they have no content.
    pub skipped: u64,
}

/// Looks through a folder. Links are followed: what they lead to is uploaded under the link's name.
///
/// It waits for the disk: call it where that may be.
///
/// # Errors
/// If the folder itself cannot be read.
pub fn walk(folder: &Path, destination: &Destination) -> std::io::Result<FolderFiles> {
    let mut found = FolderFiles::default();
    let metadata = fs::metadata(folder)?;
    let mut walk = Walk { root: folder, destination, found: &mut found };
    // A folder that cannot be read is refused, but for the first.
    let entries = fs::read_dir(folder)?;
    walk.entries(folder, entries, &mut vec![identity(&metadata)]);
    Ok(found)
}

struct Walk<'a> {
    root: &'a Path,
    destination: &'a Destination,
    found: &'a mut FolderFiles,
}

/// Device and number: what a folder is, however it is called.
type Identity = (u64, u64);

fn identity(metadata: &fs::Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

impl Walk<'_> {
    fn entries(&mut self, folder: &Path, entries: fs::ReadDir, above: &mut Vec<Identity>) {
        for entry in entries {
            match entry {
                Ok(entry) => self.entry(&entry.path(), above),
                Err(error) => self.refuse(folder, error),
            }
        }
    }

    fn entry(&mut self, path: &Path, above: &mut Vec<Identity>) {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            // Between the listing and this, or a link that leads nowhere.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if fs::symlink_metadata(path).is_ok() {
                    self.refuse(path, "the link leads nowhere");
                }
                return;
            }
            Err(error) => return self.refuse(path, error),
        };
        if metadata.is_dir() {
            self.folder(path, identity(&metadata), above);
        } else if metadata.is_file() {
            self.file(path, &metadata);
        } else {
            self.found.skipped += 1;
        }
    }

    fn folder(&mut self, path: &Path, identity: Identity, above: &mut Vec<Identity>) {
        if above.contains(&identity) {
            return self.refuse(path, "the link leads to a folder that it is in");
        }
        match fs::read_dir(path) {
            Ok(entries) => {
                above.push(identity);
                self.entries(path, entries, above);
                above.pop();
            }
            Err(error) => self.refuse(path, error),
        }
    }

    fn file(&mut self, path: &Path, metadata: &fs::Metadata) {
        let relative = path.strip_prefix(self.root).unwrap_or(path);
        match self.destination.key(relative) {
            Ok(key) => {
                let FileStamp { size, modified } = FileStamp::of(metadata);
                self.found.files.push(LocalFile { path: path.to_owned(), key, size, modified });
            }
            Err(error) => self.refuse(path, error),
        }
    }

    fn refuse(&mut self, path: &Path, reason: impl std::fmt::Display) {
        self.found.refused.push(RejectedFile::new(path, reason));
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn look(folder: &Path) -> (Vec<(String, u64)>, Vec<String>, u64) {
        let found = walk(folder, &"s3://bucket/p".parse().unwrap()).unwrap();
        let mut files: Vec<_> = found.files.into_iter().map(|file| (file.key, file.size)).collect();
        files.sort();
        let mut refused: Vec<_> = found.refused.into_iter().map(|refused| refused.reason).collect();
        refused.sort();
        (files, refused, found.skipped)
    }

    #[test]
    fn files_of_all_names_and_depths_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let long = "n".repeat(255);
        let names = ["a b.log", "ä/ö/ü 100%.log", ".hidden", "empty", &long, "x/y/z/+&?#=.txt", "a%20b"];
        for name in names {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, if name == "empty" { "" } else { "content" }).unwrap();
        }
        fs::create_dir(folder.path().join("an empty folder")).unwrap();
        let mut expected: Vec<_> =
            names.iter().map(|name| (format!("p/{name}"), if *name == "empty" { 0 } else { 7 })).collect();
        expected.sort();
        assert_eq!(look(folder.path()), (expected, vec![], 0));
    }

    #[test]
    fn links_are_followed_but_not_in_circles() {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(elsewhere.path().join("far"), "far").unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        fs::write(folder.path().join("sub/file"), "f").unwrap();
        symlink("sub/file", folder.path().join("to-file")).unwrap();
        symlink(elsewhere.path(), folder.path().join("to-folder")).unwrap();
        symlink(folder.path(), folder.path().join("sub/up")).unwrap();
        symlink("nowhere", folder.path().join("broken")).unwrap();
        let (files, refused, _) = look(folder.path());
        let keys: Vec<&str> = files.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["p/sub/file", "p/to-file", "p/to-folder/far"]);
        assert_eq!(refused, ["the link leads nowhere", "the link leads to a folder that it is in"]);
    }

    #[test]
    fn what_cannot_be_a_key_is_refused_by_name_and_what_has_no_content_is_skipped() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(OsStr::from_bytes(b"bad-\xff")), "x").unwrap();
        fs::write(folder.path().join("two\nlines"), "x").unwrap();
        let _socket = UnixListener::bind(folder.path().join("socket")).unwrap();
        fs::write(folder.path().join("good"), "x").unwrap();
        let found = walk(folder.path(), &"s3://bucket".parse().unwrap()).unwrap();
        assert_eq!(found.files.len(), 1);
        assert_eq!(found.skipped, 1);
        let mut refused: Vec<_> = found.refused.iter().map(|refused| refused.path.clone()).collect();
        refused.sort();
        assert!(refused[0].ends_with("bad-\u{fffd}") && refused[1].ends_with("two\nlines"), "{refused:?}");
        assert!(walk(&folder.path().join("good"), &"s3://bucket".parse().unwrap()).is_err());
    }
}
