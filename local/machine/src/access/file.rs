//! The key of a data folder, in a file of two lines that a shell can read:
//!
//! ```text
//! AWS_ACCESS_KEY_ID=NBKT0123456789ABCDEF
//! AWS_SECRET_ACCESS_KEY=…
//! ```

use std::fs::{self, Metadata};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::AccessKey;

const ACCESS_KEY_FILE: &str = "access-key";

const ID: &str = "AWS_ACCESS_KEY_ID=";
const SECRET: &str = "AWS_SECRET_ACCESS_KEY=";

/// Why a data folder's key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file does not exist, or this user cannot read or write it.
    #[error("access key {path}: {source}{}", advice(.source))]
    Io { path: PathBuf, source: std::io::Error },
    #[error(
        "access key {path} belongs to another user (id {owner}), who could run commands through this process. Remove \
         the file if the data folder is yours: a new key is then created."
    )]
    Foreign {
        path: PathBuf,
        /// The id of the user who owns it.
        owner: u32,
    },
}

fn advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied => "; only the user whose server has the folder open may use it",
        ErrorKind::NotFound => "; start the server again, and it makes one",
        _ => "",
    }
}

/// The key of the folder at `folder`, for clients of the process that has it open.
pub fn read(folder: &Path) -> Result<AccessKey, KeyError> {
    let path = folder.join(ACCESS_KEY_FILE);
    let failed = |source| KeyError::Io { path: path.clone(), source };
    let text = fs::read_to_string(&path).map_err(failed)?;
    parse(&text).ok_or_else(|| failed(std::io::Error::new(ErrorKind::InvalidData, "it holds no key")))
}

/// The key of a folder that this process has opened exclusively. A new key is generated if there is none, if it is
/// damaged, or if other users could have read it.
pub(crate) fn open(folder: &Path) -> Result<AccessKey, KeyError> {
    let path = folder.join(ACCESS_KEY_FILE);
    let failed = |source| KeyError::Io { path: path.clone(), source };
    match fs::symlink_metadata(&path) {
        Ok(known) => {
            if let Some(owner) = foreign_owner(folder, &known).map_err(failed)? {
                return Err(KeyError::Foreign { path, owner });
            }
            if known.is_file() && is_private(&known) {
                let text = fs::read_to_string(&path).map_err(failed)?;
                if let Some(key) = parse(&text) {
                    return Ok(key);
                }
            } else {
                tracing::warn!(
                    "other users could read the access key {}: it is replaced by a new one",
                    path.display()
                );
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let key = AccessKey::random();
    write(folder, &path, &key).map_err(failed)?;
    Ok(key)
}

/// The file appears when it is complete, and only its owner can ever read it: temporary files have mode 0600.
fn write(folder: &Path, path: &Path, key: &AccessKey) -> std::io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".access-key-").tempfile_in(folder)?;
    file.write_all(format!("{ID}{}\n{SECRET}{}\n", key.id, key.secret).as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

fn parse(text: &str) -> Option<AccessKey> {
    let value = |name| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let (id, secret) = (value(ID)?, value(SECRET)?);
    let fits = |text: &str| text.len() >= 16 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (fits(id) && fits(secret)).then(|| AccessKey::new(id, secret))
}

#[cfg(unix)]
fn is_private(file: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.permissions().mode() & 0o077 == 0
}

/// The owner of the file, if that is not the user who would own a file that this process creates.
#[cfg(unix)]
fn foreign_owner(folder: &Path, file: &Metadata) -> std::io::Result<Option<u32>> {
    use std::os::unix::fs::MetadataExt;
    let own = tempfile::tempfile_in(folder)?.metadata()?.uid();
    Ok((file.uid() != own).then_some(file.uid()))
}

#[cfg(not(unix))]
fn is_private(_file: &Metadata) -> bool {
    true
}

#[cfg(not(unix))]
fn foreign_owner(_folder: &Path, _file: &Metadata) -> std::io::Result<Option<u32>> {
    Ok(None)
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_folder_keeps_its_key_and_nobody_else_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let key = open(dir.path()).unwrap();
        assert_eq!(mode(&dir.path().join(ACCESS_KEY_FILE)), 0o600);
        assert_eq!(open(dir.path()).unwrap(), key);
        assert_eq!(read(dir.path()).unwrap(), key);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_key_that_others_could_read_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let known = open(dir.path()).unwrap();
        let path = dir.path().join(ACCESS_KEY_FILE);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let new = open(dir.path()).unwrap();
        assert_ne!(new, known);
        assert_eq!(mode(&path), 0o600);
        assert_eq!(read(dir.path()).unwrap(), new);
    }

    #[test]
    fn a_link_to_a_key_elsewhere_is_replaced_by_a_key() {
        let dir = tempfile::tempdir().unwrap();
        let planted = dir.path().join("planted");
        fs::write(
            &planted,
            "AWS_ACCESS_KEY_ID=NBKT0123456789ABCDEF\nAWS_SECRET_ACCESS_KEY=0123456789abcdef\n",
        )
        .unwrap();
        let path = dir.path().join(ACCESS_KEY_FILE);
        std::os::unix::fs::symlink(&planted, &path).unwrap();
        assert_ne!(open(dir.path()).unwrap().id(), "NBKT0123456789ABCDEF");
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
    }

    #[test]
    fn a_damaged_key_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(ACCESS_KEY_FILE);
        for text in
            ["", "AWS_ACCESS_KEY_ID=\nAWS_SECRET_ACCESS_KEY=\n", "AWS_ACCESS_KEY_ID=NBKT0123456789ABCDEF\n"]
        {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            assert!(read(dir.path()).is_err(), "{text:?}");
            let key = open(dir.path()).unwrap();
            assert_eq!(read(dir.path()).unwrap(), key);
        }
    }
}
