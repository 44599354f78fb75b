//! The data folder: who may use it, which version made it, and who serves it now.
//!
//! It is accessible to its owner only (mode 0700). A folder that was complete once and lacks its database is damaged,
//! not new.
//!
//! | file | holds |
//! |---|---|
//! | `lock` | locked by the process that has the folder open; the lock goes with the process, however it ends |
//! | `format.json` | the folder's format, the version that created it, and whether it was complete once |
//! | `access-key` | the key that signs calls to its DynamoDB and S3 |
//! | `server.json` | process and addresses of the server or command that has the folder open |
//! | `last-server.json` | the same for the last process that had it open: clients of that process read it |
//! | `clients` | locked (shared) by each command that works through that process |
//! | `dynamodb.sqlite` | the tables |
//! | `s3/` | buckets and objects |
//! | `checkpoints/` | how far each stream mapping has come |
//! | `dead-letters.jsonl` | what stream mappings gave up |

mod clients;

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use clients::{ClientRegistration, has_clients};

/// The tables' file in the data folder.
pub(crate) const DATABASE: &str = "dynamodb.sqlite";

/// The objects' folder in the data folder, and the index in it.
pub(crate) const OBJECTS: &str = "s3";
const OBJECTS_INDEX: &str = "index.sqlite";

/// The format that this version reads and writes.
const FORMAT: u32 = 1;

/// The file that marks a folder as a data folder.
const MARKER: &str = "format.json";

const SERVER: &str = "server.json";
const LAST_SERVER: &str = "last-server.json";

/// The number of attempts to lock, and the pause between them: [`folder_state`] holds the lock for a moment.
const LOCK_ATTEMPTS: u32 = 5;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// What to do if a data folder does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingFolder {
    /// For commands that fill a folder.
    Create,
    /// For commands that read a folder.
    Fail,
}

/// A data folder that this process has to itself. The lock is let go when it is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

/// The server or command that has a folder open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderHost {
    pub pid: u32,
    /// Where it answers HTTP requests.
    pub http: SocketAddr,
    /// Where its DynamoDB listens.
    pub dynamodb: SocketAddr,
    /// Where its S3 listens; a server of an earlier version has none.
    #[serde(default)]
    pub s3: Option<SocketAddr>,
    /// Whether it is a server or a command.
    #[serde(default)]
    pub role: Role,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// A server, which follows the streams.
    #[serde(rename_all = "camelCase")]
    Server {
        /// Whether it works on jobs.
        works_on_jobs: bool,
    },
    /// A command, which has the folder open while it works.
    #[serde(rename_all = "camelCase")]
    Command {
        name: String,
        /// Whether current writes could be lost in a power failure. This mode ends soon after another process joins.
        bulk_loading: bool,
    },
}

impl Default for Role {
    /// Servers of earlier versions did not write their role.
    fn default() -> Self {
        Self::Server { works_on_jobs: true }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FolderState {
    Closed,
    /// A process that is starting or about to end.
    Changing,
    Open(FolderHost),
}

#[derive(Debug, Serialize, Deserialize)]
struct FolderFormat {
    format: u32,
    created_by: String,
    /// Whether the folder's database was ever created. Folders of earlier versions do not have this field.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    complete: bool,
}

fn yes() -> bool {
    true
}

impl Folder {
    /// Opens the folder at `path`; `missing` says what to do if it does not exist or is empty.
    ///
    /// # Errors
    /// [`FolderError::Missing`] if it does not exist and is not to be created, [`FolderError::InUse`] if another
    /// process has it open, [`FolderError::OtherFormat`] if another version created it, [`FolderError::NotOurs`] if
    /// it contains something else, [`FolderError::Incomplete`] if its database is missing, [`FolderError::Io`] for
    /// other errors.
    pub fn open(path: &Path, missing: MissingFolder) -> Result<Self, FolderError> {
        let marker = path.join(MARKER);
        if !marker.exists() {
            if path.exists() && !looks_new(path)? {
                return Err(FolderError::NotOurs { path: path.to_owned() });
            }
            if missing == MissingFolder::Fail {
                return Err(FolderError::Missing { path: path.to_owned() });
            }
            make(path).map_err(|source| io(path, source))?;
        }
        keep_to_owner(path)?;
        let lock = lock_file(path)?;
        let mut tries = 0..LOCK_ATTEMPTS;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                // It may be a process that only looks for a server.
                Err(TryLockError::WouldBlock) if tries.next().is_some() => std::thread::sleep(LOCK_PAUSE),
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
        // Left by a process that was killed: the lock is free, so no process has the folder open.
        folder.withdraw()?;
        match fs::read(&marker) {
            Ok(bytes) => {
                if check_format(path, &bytes)? {
                    check_files(path)?;
                }
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => folder.mark(false)?,
            Err(source) => return Err(io(&marker, source)),
        }
        Ok(folder)
    }

    /// Marks the folder as complete: from now on, a folder without its database is damaged.
    pub fn complete(&self) -> Result<(), FolderError> {
        let marker = self.path.join(MARKER);
        let marked = fs::read(&marker).map_err(|source| io(&marker, source))?;
        if check_format(&self.path, &marked)? { Ok(()) } else { self.mark(true) }
    }

    fn mark(&self, complete: bool) -> Result<(), FolderError> {
        let created_by = concat!("nextbasket ", env!("CARGO_PKG_VERSION")).to_owned();
        self.write_json(MARKER, &FolderFormat { format: FORMAT, created_by, complete })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes for other processes where this one serves the folder.
    pub fn announce(&self, server: &FolderHost) -> Result<(), FolderError> {
        self.write_json(SERVER, server)
    }

    /// Removes the announcement.
    pub fn withdraw(&self) -> Result<(), FolderError> {
        let path = self.path.join(SERVER);
        match fs::rename(&path, self.path.join(LAST_SERVER)) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(io(&path, source)),
            _ => Ok(()),
        }
    }

    /// Replaces a file whole: a reader sees the old or the new content, never a part.
    fn write_json(&self, name: &str, content: &impl Serialize) -> Result<(), FolderError> {
        let path = self.path.join(name);
        write_atomically(&path, content, true).map_err(|source| io(&path, source))
    }
}

/// The process that has the folder at `path` open, if one is ready. Files that a killed process left are ignored.
pub fn running_server(path: &Path) -> Result<Option<FolderHost>, FolderError> {
    Ok(match folder_state(path)? {
        FolderState::Open(server) => Some(server),
        FolderState::Closed | FolderState::Changing => None,
    })
}

/// Whether a process has the folder at `path` open.
pub fn folder_state(path: &Path) -> Result<FolderState, FolderError> {
    if !path.join("lock").exists() {
        return Ok(FolderState::Closed);
    }
    let lock = lock_file(path)?;
    // The lock is shared, so that several processes can look at once.
    match lock.try_lock_shared() {
        Ok(()) => Ok(FolderState::Closed),
        Err(TryLockError::WouldBlock) => Ok(recorded(path).map_or(FolderState::Changing, FolderState::Open)),
        Err(TryLockError::Error(source)) => Err(io(path, source)),
    }
}

#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("data folder {path} is in use{}: stop that process, or name another folder with --data", by(.server.as_deref()))]
    InUse {
        path: PathBuf,
        /// Who has it open, when that is a server that is ready.
        server: Option<Box<FolderHost>>,
    },
    #[error(
        "data folder {path} has format {found}, created by {created_by}, and this version reads format {FORMAT}: \
         use the version that created it, or import into a new folder"
    )]
    OtherFormat { path: PathBuf, found: u32, created_by: String },
    #[error(
        "{path} is damaged: {reason}. Restore the file from a copy of the folder, or import into a new folder."
    )]
    Damaged { path: PathBuf, reason: String },
    /// The folder does not exist, and this command does not create one.
    #[error(
        "no data folder \"{path}\": name one with --data, or create one with `nextbasket import FILE --data DIR`",
        path = .path.display()
    )]
    Missing { path: PathBuf },
    /// A file or folder that it once had is missing.
    #[error(
        "data folder {path} is damaged: {file} {problem}. Restore the file from a copy of the folder; or import, or \
         restore a dump, into a new folder.",
        path = .path.display()
    )]
    Incomplete { path: PathBuf, file: String, problem: &'static str },
    #[error(
        "folder {path} is not empty and not a data folder of nextbasket: name a new or an empty folder with --data"
    )]
    NotOurs { path: PathBuf },
    /// Other users could read the folder, and its mode cannot be changed.
    #[error(
        "data folder {path} is readable by other users, and its mode cannot be changed: {source}. Name a folder of your \
         own with --data."
    )]
    Open { path: PathBuf, source: std::io::Error },
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
}

fn by(server: Option<&FolderHost>) -> String {
    server.map_or_else(String::new, |server| format!(" by {server}"))
}

impl fmt::Display for FolderHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.role {
            Role::Server { .. } => write!(f, "the server at http://{} (process {})", self.http, self.pid),
            Role::Command { name, .. } => write!(f, "`nextbasket {name}` (process {})", self.pid),
        }
    }
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

/// The process that had the folder at `path` open last, or has it open now.
#[must_use]
pub fn last_server(path: &Path) -> Option<FolderHost> {
    recorded(path).or_else(|| read_server(path, LAST_SERVER))
}

fn recorded(path: &Path) -> Option<FolderHost> {
    read_server(path, SERVER)
}

fn read_server(path: &Path, name: &str) -> Option<FolderHost> {
    serde_json::from_slice(&fs::read(path.join(name)).ok()?).ok()
}

/// Whether the folder was complete once.
fn check_format(path: &Path, marker: &[u8]) -> Result<bool, FolderError> {
    let found: FolderFormat = serde_json::from_slice(marker)
        .map_err(|e| FolderError::Damaged { path: path.join(MARKER), reason: e.to_string() })?;
    if found.format == FORMAT {
        return Ok(found.complete);
    }
    Err(FolderError::OtherFormat { path: path.to_owned(), found: found.format, created_by: found.created_by })
}

/// Rejects a folder whose databases are missing: new, empty databases would take their place, and copies of the data
/// elsewhere would be overwritten from them.
fn check_files(path: &Path) -> Result<(), FolderError> {
    check_database(path, Path::new(DATABASE))?;
    // Folders of the first version have no objects.
    let objects = Path::new(OBJECTS);
    if path.join(objects).join("files").exists() {
        check_database(path, &objects.join(OBJECTS_INDEX))?;
    }
    Ok(())
}

fn check_database(folder: &Path, file: &Path) -> Result<(), FolderError> {
    const HEADER: &[u8; 16] = b"SQLite format 3\0";
    let incomplete = |problem| {
        let file = file.display().to_string();
        FolderError::Incomplete { path: folder.to_owned(), file, problem }
    };
    let path = folder.join(file);
    let mut header = [0; HEADER.len()];
    match File::open(&path).and_then(|mut file| file.read_exact(&mut header)) {
        Ok(()) if header == *HEADER => Ok(()),
        Ok(()) => Err(incomplete("is not a database")),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(incomplete("is missing")),
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Err(incomplete("is empty")),
        Err(source) => Err(io(&path, source)),
    }
}

/// Creates the folder with access for its owner only.
fn make(path: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Only the owner may read the folder. If it was created by other means, or by an earlier version, its mode is
/// corrected.
#[cfg(unix)]
fn keep_to_owner(path: &Path) -> Result<(), FolderError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path).map_err(|source| io(path, source))?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let closed = fs::Permissions::from_mode(mode & !0o077);
    fs::set_permissions(path, closed).map_err(|source| FolderError::Open { path: path.to_owned(), source })
}

#[cfg(not(unix))]
fn keep_to_owner(_path: &Path) -> Result<(), FolderError> {
    Ok(())
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
mod tests;
