//! Files of a dump: named below a folder or a prefix, written, found, removed.

use std::path::{Component, Path, PathBuf};

use nextbasket_job_io::files::{FileError, Files, FoundFile, Location};

/// The location of this name below the folder or prefix.
pub(crate) fn join(folder: &Location, name: &str) -> Location {
    match folder {
        Location::Path(path) => Location::Path(path.join(name)),
        Location::Object { bucket, key } => {
            let slash = if key.is_empty() || key.ends_with('/') { "" } else { "/" };
            Location::Object { bucket: bucket.clone(), key: format!("{key}{slash}{name}") }
        }
    }
}

/// One form for all spellings of a folder: `/a/../b/`, and a link to it, become `/b`. A prefix in S3 loses only the
/// slash at its end, since S3 treats any other difference as another key.
pub(crate) fn one_spelling(folder: &Location) -> Location {
    let path = match folder {
        Location::Object { bucket, key } => {
            let key = key.strip_suffix('/').unwrap_or(key).to_owned();
            return Location::Object { bucket: bucket.clone(), key };
        }
        Location::Path(path) => path,
    };
    let mut plain = PathBuf::new();
    for component in path.components() {
        // Links have to be followed first: `..` leads to the parent of the folder that a link points to.
        if let Ok(followed) = plain.canonicalize() {
            plain = followed;
        }
        match component {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            component => plain.push(component),
        }
    }
    Location::Path(plain.canonicalize().unwrap_or(plain))
}

/// The last part of its name.
pub(crate) fn name(location: &Location) -> String {
    match location {
        Location::Path(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        Location::Object { key, .. } => {
            key.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned()
        }
    }
}

/// The folder that it is in.
pub(crate) fn parent(location: &Location) -> Option<Location> {
    match location {
        Location::Path(path) => path.parent().map(|parent| Location::Path(parent.to_owned())),
        Location::Object { bucket, key } => {
            let (parent, _) = key.trim_end_matches('/').rsplit_once('/')?;
            Some(Location::Object { bucket: bucket.clone(), key: parent.to_owned() })
        }
    }
}

/// Whether a name from a manifest stays below the folder that it is looked for in.
pub(crate) fn is_within(name: &str) -> bool {
    !name.is_empty()
        && Path::new(name).components().all(|component| matches!(component, Component::Normal(_)))
}

/// The file of this very name; `None` if there is none.
pub(crate) async fn find(files: &Files, location: &Location) -> Result<Option<FoundFile>, FileError> {
    match files.list(location).await {
        Ok(found) => Ok(found.into_iter().find(|file| file.at == *location)),
        Err(FileError::Missing(_)) => Ok(None),
        // Below a file there is nothing.
        Err(FileError::Refused { code, .. }) if code == "NotADirectory" => Ok(None),
        Err(error) => Err(error),
    }
}

/// The content of a small file; `None` if there is none.
pub(crate) async fn read(files: &Files, location: &Location) -> Result<Option<Vec<u8>>, FileError> {
    match find(files, location).await? {
        Some(found) => files.read(&found, 0..found.bytes).await.map(Some),
        None => Ok(None),
    }
}

/// Writes a small file as a whole, and its folder if that is not there.
pub(crate) async fn write(files: &Files, location: &Location, content: Vec<u8>) -> Result<(), FileError> {
    if let Location::Path(path) = location
        && let Some(folder) = path.parent()
    {
        make_folder(folder).await?;
    }
    files.write(location, content).await
}

pub(crate) async fn make_folder(path: &Path) -> Result<(), FileError> {
    let made = tokio::fs::create_dir_all(path).await;
    made.map_err(|error| FileError::from_io(&path.display().to_string(), &error))
}

/// Removes a file, if it is there.
pub(crate) async fn remove(files: &Files, location: &Location) -> Result<(), FileError> {
    let name = location.to_string();
    match location {
        Location::Path(path) => match tokio::fs::remove_file(path).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(FileError::from_io(&name, &error))
            }
            _ => Ok(()),
        },
        Location::Object { bucket, key } => {
            let removed = files.s3().delete_object().bucket(bucket).key(key).send().await;
            removed.map(drop).map_err(|error| FileError::from_sdk(&name, error))
        }
    }
}

/// Removes all that is below a folder or a prefix, and the folder itself.
pub(crate) async fn remove_all(files: &Files, folder: &Location) -> Result<(), FileError> {
    if let Location::Path(path) = folder {
        return match tokio::fs::remove_dir_all(path).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(FileError::from_io(&folder.to_string(), &error))
            }
            _ => Ok(()),
        };
    }
    let Location::Object { bucket, key } = join(folder, "") else { return Ok(()) };
    let name = folder.to_string();
    let mut pages = files.s3().list_objects_v2().bucket(&bucket).prefix(key).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| FileError::from_sdk(&name, error))?;
        for key in page.contents.unwrap_or_default().into_iter().filter_map(|object| object.key) {
            remove(files, &Location::Object { bucket: bucket.clone(), key }).await?;
        }
    }
    Ok(())
}

/// The folders right below a folder or a prefix, by name; none if it is not there.
pub(crate) async fn folders(files: &Files, folder: &Location) -> Result<Vec<Location>, FileError> {
    let name = folder.to_string();
    let mut found = Vec::new();
    match folder {
        Location::Path(path) => {
            let io = |error: std::io::Error| FileError::from_io(&name, &error);
            let mut entries = match tokio::fs::read_dir(path).await {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
                Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => return Ok(found),
                entries => entries.map_err(io)?,
            };
            while let Some(entry) = entries.next_entry().await.map_err(io)? {
                if entry.file_type().await.map_err(io)?.is_dir() {
                    found.push(Location::Path(entry.path()));
                }
            }
        }
        Location::Object { bucket, .. } => {
            let Location::Object { key: prefix, .. } = join(folder, "") else { return Ok(found) };
            let prefix = if prefix == "/" { String::new() } else { prefix };
            let list = files.s3().list_objects_v2().bucket(bucket).prefix(prefix).delimiter("/");
            let mut pages = list.into_paginator().send();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|error| FileError::from_sdk(&name, error))?;
                for prefix in page.common_prefixes.unwrap_or_default() {
                    let Some(key) = prefix.prefix else { continue };
                    let key = key.trim_end_matches('/').to_owned();
                    found.push(Location::Object { bucket: bucket.clone(), key });
                }
            }
        }
    }
    found.sort_by_cached_key(ToString::to_string);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Location {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_joined_and_taken_apart() {
        for (folder, name_below, joined) in [
            ("/dumps", "a/b.json", "/dumps/a/b.json"),
            ("s3://shop/dumps", "a", "s3://shop/dumps/a"),
            ("s3://shop/dumps/", "a", "s3://shop/dumps/a"),
            ("s3://shop", "a", "s3://shop/a"),
        ] {
            assert_eq!(join(&at(folder), name_below).to_string(), joined);
        }
        assert_eq!(name(&at("s3://shop/dumps/a/")), "a");
        assert_eq!(parent(&at("s3://shop/dumps/a/")), Some(at("s3://shop/dumps")));
        assert_eq!(parent(&at("/dumps/a")), Some(at("/dumps")));
    }

    #[test]
    fn all_spellings_of_a_folder_are_one() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(folder.join("real/below")).unwrap();
        std::os::unix::fs::symlink(folder.join("real"), folder.join("link")).unwrap();
        let spelled = |path: &str| one_spelling(&Location::Path(folder.join(path)));
        let wanted = Location::Path(folder.join("real/below"));
        for path in
            ["real/below", "real//below/", "real/./below/../below", "link/below", "link/../real/below"]
        {
            assert_eq!(spelled(path), wanted, "{path}");
        }
        // This also holds for a folder that does not exist yet.
        let wanted = Location::Path(folder.join("real/none/at/all"));
        for path in ["link/none/at/all", "real/none/x/../at/all/"] {
            assert_eq!(spelled(path), wanted, "{path}");
        }
        assert_eq!(one_spelling(&at("s3://shop/dumps/")), one_spelling(&at("s3://shop/dumps")));
        assert_ne!(one_spelling(&at("s3://shop/dumps//")), one_spelling(&at("s3://shop/dumps")));
    }

    #[test]
    fn names_that_lead_out_of_the_folder_are_told() {
        for name in ["data/a.json.gz", "a"] {
            assert!(is_within(name), "{name}");
        }
        for name in ["", "/etc/passwd", "../a", "a/../../b"] {
            assert!(!is_within(name), "{name}");
        }
    }
}
