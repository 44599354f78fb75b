//! The data folder: who may use it, which version made it, and who serves it now.
//!
//! | file | holds |
//! |---|---|
//! | `lock` | locked by the process that has the folder open; the lock goes with the process, however it ends |
//! | `format.json` | the folder's format and the version that made it |
//! | `server.json` | process and addresses of the server that has the folder open |
//! | `dynamodb.sqlite` | the tables |
//! | `s3/` | buckets and objects |
//! | `checkpoints/` | how far each stream mapping has come |
//! | `dead-letters.jsonl` | what stream mappings gave up |

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The format that this version reads and writes.
const FORMAT: u32 = 1;

/// How often a lock is tried again, and how long after: [`running_server`] holds it for a moment.
const LOOKS: u32 = 5;
const LOOK: Duration = Duration::from_millis(10);

/// A data folder that this process has to itself. The lock is let go when it is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

/// The server that has a folder open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Its process id.
    pub pid: u32,
    /// Where it answers HTTP requests.
    pub http: SocketAddr,
    /// Where its DynamoDB listens.
    pub dynamodb: SocketAddr,
    /// Where its S3 listens; a server of an earlier version has none.
    #[serde(default)]
    pub s3: Option<SocketAddr>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Format {
    format: u32,
    created_by: String,
}

impl Folder {
    /// Opens the folder at `path`, or makes it when it is not there or empty.
    ///
    /// # Errors
    /// [`FolderError::InUse`] when another process has it open, [`FolderError::OtherFormat`] when another version
    /// made it, [`FolderError::NotOurs`] when it holds something else, [`FolderError::Io`] for the rest.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        fs::create_dir_all(path).map_err(|source| io(path, source))?;
        let marker = path.join("format.json");
        if !marker.exists() && !looks_new(path)? {
            return Err(FolderError::NotOurs { path: path.to_owned() });
        }
        let lock = lock_file(path)?;
        let mut tries = 0..LOOKS;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                // It may be no server, only somebody who looks for one.
                Err(TryLockError::WouldBlock) if tries.next().is_some() => std::thread::sleep(LOOK),
                Err(TryLockError::WouldBlock) => {
                    return Err(FolderError::InUse {
                        path: path.to_owned(),
                        server: recorded(path).map(Box::new),
                    });
                }
                Err(TryLockError::Error(source)) => return Err(io(path, source)),
            }
        }
        let folder = Folder { path: path.to_owned(), _lock: lock };
        match fs::read(&marker) {
            Ok(bytes) => check_format(path, &bytes)?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let format = Format {
                    format: FORMAT,
                    created_by: concat!("nextbasket ", env!("CARGO_PKG_VERSION")).to_owned(),
                };
                folder.write_json("format.json", &format)?;
            }
            Err(source) => return Err(io(&marker, source)),
        }
        // Left by a server that was killed: the lock says that nobody serves.
        folder.remove("server.json")?;
        Ok(folder)
    }

    /// Where the folder is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Tells other processes where this one serves the folder.
    ///
    /// # Errors
    /// [`FolderError::Io`] when the file cannot be written.
    pub fn announce(&self, server: &Server) -> Result<(), FolderError> {
        self.write_json("server.json", server)
    }

    /// Takes the announcement back.
    ///
    /// # Errors
    /// [`FolderError::Io`] when the file is there and cannot be removed.
    pub fn withdraw(&self) -> Result<(), FolderError> {
        self.remove("server.json")
    }

    /// Replaces a file whole: a reader sees the old or the new content, never a part.
    fn write_json(&self, name: &str, content: &impl Serialize) -> Result<(), FolderError> {
        let path = self.path.join(name);
        write_atomically(&path, content, true).map_err(|source| io(&path, source))
    }

    fn remove(&self, name: &str) -> Result<(), FolderError> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(io(&path, source)),
            _ => Ok(()),
        }
    }
}

/// The server that has the folder at `path` open, if one is ready. What a killed server left is not believed.
///
/// # Errors
/// [`FolderError::Io`] when the folder is there and cannot be read.
pub fn running_server(path: &Path) -> Result<Option<Server>, FolderError> {
    if !path.join("lock").exists() {
        return Ok(None);
    }
    let lock = lock_file(path)?;
    match lock.try_lock() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(recorded(path)),
        Err(TryLockError::Error(source)) => Err(io(path, source)),
    }
}

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process has it open.
    #[error("the data folder {path} is in use{}; stop that process or take another folder", by(.server.as_deref()))]
    InUse {
        /// The folder.
        path: PathBuf,
        /// Who has it open, when that is a server that is ready.
        server: Option<Box<Server>>,
    },
    /// Another version made it.
    #[error(
        "the data folder {path} has format {found}, made by {created_by}; this version reads format {FORMAT}: \
         use the version that made it, or take a new folder and import again"
    )]
    OtherFormat {
        /// The folder.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The version that made it.
        created_by: String,
    },
    /// Its format cannot be read.
    #[error("{path} is damaged: {reason}; take a new folder and import again, or restore the file")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It holds other files.
    #[error("the folder {path} is not empty and no data folder of nextbasket; take a new or empty one")]
    NotOurs {
        /// The folder.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
}

fn by(server: Option<&Server>) -> String {
    server.map_or_else(String::new, |s| format!(" by the server at http://{} (process {})", s.http, s.pid))
}

/// A start that was killed before the marker was written leaves at most the lock and a half-written marker.
fn looks_new(path: &Path) -> Result<bool, FolderError> {
    for entry in fs::read_dir(path).map_err(|source| io(path, source))? {
        let name = entry.map_err(|source| io(path, source))?.file_name();
        if name != "lock" && name != "format.json.new" {
            return Ok(false);
        }
    }
    Ok(true)
}

fn lock_file(path: &Path) -> Result<File, FolderError> {
    let path = path.join("lock");
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|source| io(&path, source))
}

fn recorded(path: &Path) -> Option<Server> {
    serde_json::from_slice(&fs::read(path.join("server.json")).ok()?).ok()
}

fn check_format(path: &Path, marker: &[u8]) -> Result<(), FolderError> {
    let found: Format = serde_json::from_slice(marker)
        .map_err(|e| FolderError::Damaged { path: path.join("format.json"), reason: e.to_string() })?;
    if found.format == FORMAT {
        return Ok(());
    }
    Err(FolderError::OtherFormat { path: path.to_owned(), found: found.format, created_by: found.created_by })
}

/// Writes `content` as JSON beside `path` and renames it there; with `sync`, after it has reached the disk.
pub(crate) fn write_atomically(path: &Path, content: &impl Serialize, sync: bool) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    let mut file = File::create(&beside)?;
    file.write_all(&serde_json::to_vec(content)?)?;
    if sync {
        file.sync_data()?;
    }
    fs::rename(&beside, path)
}

fn io(path: &Path, source: std::io::Error) -> FolderError {
    FolderError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Server {
        Server {
            pid: std::process::id(),
            http: "127.0.0.1:1".parse().unwrap(),
            dynamodb: "127.0.0.1:2".parse().unwrap(),
            s3: Some("127.0.0.1:3".parse().unwrap()),
        }
    }

    #[test]
    fn a_second_server_on_a_folder_is_told_who_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        let folder = Folder::open(&path).unwrap();
        assert_eq!(running_server(&path).unwrap(), None, "not ready yet");
        folder.announce(&server()).unwrap();
        assert_eq!(running_server(&path).unwrap(), Some(server()));
        let refused = Folder::open(&path).unwrap_err();
        assert!(matches!(&refused, FolderError::InUse { server: Some(s), .. } if **s == server()));
        assert!(refused.to_string().contains("http://127.0.0.1:1"), "{refused}");
        folder.withdraw().unwrap();
        drop(folder);
        Folder::open(&path).unwrap();
    }

    #[test]
    fn what_a_killed_server_left_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        folder.announce(&server()).unwrap();
        // As SIGKILL does: the lock goes, the file stays.
        drop(folder);
        assert!(dir.path().join("server.json").exists());
        assert_eq!(running_server(dir.path()).unwrap(), None);
        Folder::open(dir.path()).unwrap();
        assert!(!dir.path().join("server.json").exists());
    }

    #[test]
    fn a_server_of_an_earlier_version_is_found_without_object_storage() {
        let dir = tempfile::tempdir().unwrap();
        let _folder = Folder::open(dir.path()).unwrap();
        let earlier = r#"{"pid":7,"http":"127.0.0.1:1","dynamodb":"127.0.0.1:2"}"#;
        fs::write(dir.path().join("server.json"), earlier).unwrap();
        let found = running_server(dir.path()).unwrap().unwrap();
        assert_eq!((found.pid, found.s3), (7, None));
    }

    #[test]
    fn a_folder_of_another_version_is_refused_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        drop(Folder::open(dir.path()).unwrap());
        fs::write(dir.path().join("format.json"), r#"{"format":7,"created_by":"nextbasket 9.0.0"}"#).unwrap();
        let refused = Folder::open(dir.path()).unwrap_err();
        assert!(matches!(refused, FolderError::OtherFormat { found: 7, .. }));
        assert!(refused.to_string().contains("use the version that made it"), "{refused}");
        fs::write(dir.path().join("format.json"), "{").unwrap();
        assert!(matches!(Folder::open(dir.path()).unwrap_err(), FolderError::Damaged { .. }));
    }

    #[test]
    fn a_folder_with_other_files_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.tex"), "").unwrap();
        assert!(matches!(Folder::open(dir.path()).unwrap_err(), FolderError::NotOurs { .. }));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_start_that_was_killed_at_once_does_not_spoil_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("lock"), "").unwrap();
        fs::write(dir.path().join("format.json.new"), "{").unwrap();
        Folder::open(dir.path()).unwrap();
    }

    #[test]
    fn a_folder_that_is_not_there_has_no_server() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(running_server(&dir.path().join("none")).unwrap(), None);
        assert!(!dir.path().join("none").exists());
    }
}
