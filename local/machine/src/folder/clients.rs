//! The commands that work on a folder through the process that has it open.
//!
//! Each of them holds a shared lock on the file `clients`; the kernel releases it when the process ends, however that
//! happens.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::Path;

use super::{FolderError, io};

const FILE: &str = "clients";

/// Registers this process as one that works on a folder through another process, until it is dropped.
#[derive(Debug)]
pub struct ClientRegistration {
    _lock: File,
}

impl ClientRegistration {
    /// Registers this process at the folder.
    pub fn join(folder: &Path) -> Result<Self, FolderError> {
        let path = folder.join(FILE);
        let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = opened.map_err(|source| io(&path, source))?;
        file.lock_shared().map_err(|source| io(&path, source))?;
        Ok(Self { _lock: file })
    }
}

/// Whether any command works on the folder through the process that has, or had, it open.
pub fn has_clients(folder: &Path) -> Result<bool, FolderError> {
    let path = folder.join(FILE);
    let file = match OpenOptions::new().write(true).open(&path) {
        Ok(file) => file,
        Err(source) if source.kind() == ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(io(&path, source)),
    };
    match file.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(source)) => Err(io(&path, source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_clients_until_the_last_one_has_left() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!has_clients(dir.path()).unwrap());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "a look leaves nothing");
        let (one, other) =
            (ClientRegistration::join(dir.path()).unwrap(), ClientRegistration::join(dir.path()).unwrap());
        drop(one);
        assert!(has_clients(dir.path()).unwrap());
        drop(other);
        assert!(!has_clients(dir.path()).unwrap());
    }
}
