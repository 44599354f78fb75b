//! Where a file is: a path of this machine, or `s3://BUCKET/KEY`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const SCHEME: &str = "s3://";

/// Where a file, or a folder of files, is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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

/// Why a text is no location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadLocation {
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

impl FromStr for Location {
    type Err = BadLocation;

    fn from_str(text: &str) -> Result<Self, BadLocation> {
        if text.is_empty() {
            return Err(BadLocation::Empty);
        }
        let Some(rest) = text.strip_prefix(SCHEME) else { return Ok(Self::Path(PathBuf::from(text))) };
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
        if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(fits) {
            return Err(BadLocation::Bucket);
        }
        if key.len() > 1024 || key.chars().any(char::is_control) {
            return Err(BadLocation::Key);
        }
        Ok(Self::Object { bucket: bucket.to_owned(), key: key.to_owned() })
    }
}

impl TryFrom<String> for Location {
    type Error = BadLocation;

    fn try_from(text: String) -> Result<Self, BadLocation> {
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

    #[test]
    fn objects_and_paths_are_told_apart() {
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
            ("", BadLocation::Empty),
            ("s3://", BadLocation::Bucket),
            ("s3://Shop/x", BadLocation::Bucket),
            ("s3://shop/a\nb", BadLocation::Key),
        ] {
            assert_eq!(text.parse::<Location>(), Err(why), "{text}");
        }
    }

    #[test]
    fn a_location_holds_itself_and_what_lies_below_it() {
        let at = |text: &str| text.parse::<Location>().unwrap();
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
}
