//! Where a file is: a path of this machine, or `s3://BUCKET/KEY`.

use std::fmt;
use std::path::{Component, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const SCHEME: &str = "s3://";

/// S3's limit.
pub const MAX_KEY_BYTES: usize = 1024;

/// Where a file, or a folder of files, is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(title = "Location", example = "s3://bucket/prefix", extend("format" = "location"))
)]
pub enum Location {
    /// A path of this machine.
    Path(PathBuf),
    /// An object, or a prefix of keys.
    Object {
        /// The bucket.
        bucket: String,
        /// The key or the prefix; empty for the whole bucket.
        key: String,
    },
}

/// Why a text is not a valid location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLocation {
    /// Nothing.
    #[error("must be a path or s3://BUCKET/KEY")]
    Empty,
    /// A bucket's name has small letters, digits, dots and hyphens.
    #[error("must name a bucket, as in s3://BUCKET/KEY")]
    Bucket,
    /// S3 takes keys of up to 1,024 bytes.
    #[error("must have a key of at most 1024 bytes without control characters")]
    Key,
}

/// Whether buckets can have this name: 3 to 63 lowercase letters, digits, dots and hyphens.
#[must_use]
pub fn is_bucket_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
    (3..=63).contains(&name.len()) && name.bytes().all(fits)
}

impl FromStr for Location {
    type Err = InvalidLocation;

    fn from_str(text: &str) -> Result<Self, InvalidLocation> {
        if text.is_empty() {
            return Err(InvalidLocation::Empty);
        }
        let Some(rest) = text.strip_prefix(SCHEME) else { return Ok(Self::Path(PathBuf::from(text))) };
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if !is_bucket_name(bucket) {
            return Err(InvalidLocation::Bucket);
        }
        if key.len() > MAX_KEY_BYTES || key.chars().any(char::is_control) {
            return Err(InvalidLocation::Key);
        }
        Ok(Self::Object { bucket: bucket.to_owned(), key: key.to_owned() })
    }
}

impl TryFrom<String> for Location {
    type Error = InvalidLocation;

    fn try_from(text: String) -> Result<Self, InvalidLocation> {
        text.parse()
    }
}

impl From<Location> for String {
    fn from(location: Location) -> Self {
        location.to_string()
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Object { bucket, key } => write!(f, "{SCHEME}{bucket}/{key}"),
        }
    }
}

impl Location {
    /// Whether it is on this machine, and so out of reach of all others.
    #[must_use]
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Path(_))
    }

    /// Whether it is the same for whoever reads it, in whatever folder they are.
    #[must_use]
    pub fn is_absolute(&self) -> bool {
        match self {
            Self::Path(path) => path.is_absolute(),
            Self::Object { .. } => true,
        }
    }

    /// The location of this name below the folder or prefix.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        match self {
            Self::Path(path) => Self::Path(path.join(name)),
            Self::Object { bucket, key } => {
                let slash = if key.is_empty() || key.ends_with('/') { "" } else { "/" };
                Self::Object { bucket: bucket.clone(), key: format!("{key}{slash}{name}") }
            }
        }
    }

    /// The last part of its name.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Path(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            Self::Object { key, .. } => {
                key.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned()
            }
        }
    }

    /// The folder that it is in.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        match self {
            Self::Path(path) => path.parent().map(|parent| Self::Path(parent.to_owned())),
            Self::Object { bucket, key } => {
                let (parent, _) = key.trim_end_matches('/').rsplit_once('/')?;
                Some(Self::Object { bucket: bucket.clone(), key: parent.to_owned() })
            }
        }
    }

    /// One form for all spellings of a folder: `/a/../b/`, and a link to it, become `/b`. A prefix in S3 loses only the
    /// slash at its end, since S3 treats any other difference as another key.
    #[must_use]
    pub fn normalized(&self) -> Self {
        let path = match self {
            Self::Object { bucket, key } => {
                let key = key.strip_suffix('/').unwrap_or(key).to_owned();
                return Self::Object { bucket: bucket.clone(), key };
            }
            Self::Path(path) => path,
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
        Self::Path(plain.canonicalize().unwrap_or(plain))
    }

    /// The location with this behind its name.
    #[must_use]
    pub fn with_suffix(&self, suffix: &str) -> Self {
        match self {
            Self::Path(path) => {
                let mut name = path.clone().into_os_string();
                name.push(suffix);
                Self::Path(name.into())
            }
            Self::Object { bucket, key } => {
                Self::Object { bucket: bucket.clone(), key: format!("{key}{suffix}") }
            }
        }
    }

    /// Whether `other` is this, or lies in the folder or under the prefix that this may be.
    #[must_use]
    pub fn holds(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Path(folder), Self::Path(path)) => path.starts_with(folder),
            (Self::Object { bucket, key }, Self::Object { bucket: other_bucket, key: other_key }) => {
                let folder = key.is_empty() || key.ends_with('/');
                let below = |rest: &str| folder || rest.is_empty() || rest.starts_with('/');
                bucket == other_bucket && other_key.strip_prefix(key.as_str()).is_some_and(below)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Location {
        text.parse().unwrap()
    }

    #[test]
    fn objects_and_paths_are_distinguished() {
        for (text, bucket, key) in [
            ("s3://shop/orders/2026.csv", "shop", "orders/2026.csv"),
            ("s3://shop/orders/", "shop", "orders/"),
            ("s3://shop", "shop", ""),
        ] {
            let object = Location::Object { bucket: bucket.to_owned(), key: key.to_owned() };
            assert_eq!(text.parse(), Ok(object));
        }
        for path in ["orders.csv", "/tmp/orders.csv", "./s3/orders"] {
            assert_eq!(path.parse(), Ok(Location::Path(path.into())));
            assert_eq!(path.parse::<Location>().unwrap().to_string(), path);
        }
        for (text, why) in [
            ("", InvalidLocation::Empty),
            ("s3://", InvalidLocation::Bucket),
            ("s3://Shop/x", InvalidLocation::Bucket),
            ("s3://shop/a\nb", InvalidLocation::Key),
        ] {
            assert_eq!(text.parse::<Location>(), Err(why), "{text}");
        }
    }

    #[test]
    fn a_location_holds_itself_and_what_lies_below_it() {
        for (outer, inner, is) in [
            ("s3://shop/orders", "s3://shop/orders", true),
            ("s3://shop/orders", "s3://shop/orders/2026.csv", true),
            ("s3://shop/orders/", "s3://shop/orders/2026.csv", true),
            ("s3://shop", "s3://shop/orders", true),
            ("s3://shop/orders", "s3://shop/orders-done", false),
            ("s3://shop/orders", "s3://other/orders", false),
            ("/data/orders", "/data/orders/out.csv", true),
            ("/data/orders", "/data/orders.csv", false),
            ("/data", "s3://data/x", false),
        ] {
            assert_eq!(at(outer).holds(&at(inner)), is, "{outer} {inner}");
        }
    }

    #[test]
    fn names_are_joined_and_taken_apart() {
        for (folder, name_below, joined) in [
            ("/dumps", "a/b.json", "/dumps/a/b.json"),
            ("s3://shop/dumps", "a", "s3://shop/dumps/a"),
            ("s3://shop/dumps/", "a", "s3://shop/dumps/a"),
            ("s3://shop", "a", "s3://shop/a"),
        ] {
            assert_eq!(at(folder).join(name_below).to_string(), joined);
        }
        assert_eq!(at("s3://shop/dumps/a/").name(), "a");
        assert_eq!(at("s3://shop/dumps/a/").parent(), Some(at("s3://shop/dumps")));
        assert_eq!(at("/dumps/a").parent(), Some(at("/dumps")));
    }

    #[test]
    fn all_spellings_of_a_folder_are_one() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(folder.join("real/below")).unwrap();
        std::os::unix::fs::symlink(folder.join("real"), folder.join("link")).unwrap();
        let spelled = |path: &str| Location::Path(folder.join(path)).normalized();
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
        assert_eq!(at("s3://shop/dumps/").normalized(), at("s3://shop/dumps").normalized());
        assert_ne!(at("s3://shop/dumps//").normalized(), at("s3://shop/dumps").normalized());
    }
}
