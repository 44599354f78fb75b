//! The files of a folder, and what in it is none.

use std::fs;
use std::io::ErrorKind::NotFound;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::UploadDestination;
use crate::upload_content::FileStamp;

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
pub fn walk(folder: &Path, destination: &UploadDestination) -> std::io::Result<FolderFiles> {
    // A folder that cannot be read is refused, but for the first.
    fs::read_dir(folder)?;
    let mut found = FolderFiles::default();
    for entry in WalkDir::new(folder).min_depth(1).follow_links(true) {
        match entry.and_then(|entry| Ok((entry.metadata()?, entry.into_path()))) {
            Ok((metadata, path)) if metadata.is_file() => found.file(folder, path, &metadata, destination),
            Ok((metadata, _)) => found.skipped += u64::from(!metadata.is_dir()),
            Err(error) => found.refuse(folder, &error),
        }
    }
    Ok(found)
}

impl FolderFiles {
    fn file(&mut self, root: &Path, path: PathBuf, metadata: &fs::Metadata, destination: &UploadDestination) {
        match destination.key(path.strip_prefix(root).unwrap_or(&path)) {
            Ok(key) => {
                let FileStamp { size, modified } = FileStamp::of(metadata);
                self.files.push(LocalFile { path, key, size, modified });
            }
            Err(error) => self.refused.push(RejectedFile::new(&path, error)),
        }
    }

    fn refuse(&mut self, root: &Path, error: &walkdir::Error) {
        let path = error.path().unwrap_or(root);
        let reason = match error.io_error() {
            None => "the link leads to a folder that it is in".to_owned(),
            Some(error) if error.kind() == NotFound && fs::symlink_metadata(path).is_ok() => {
                "the link leads nowhere".to_owned()
            }
            // Gone between the listing and this.
            Some(error) if error.kind() == NotFound => return,
            Some(error) => error.to_string(),
        };
        self.refused.push(RejectedFile::new(path, reason));
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
