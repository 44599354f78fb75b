//! Where objects go: the bucket, the prefix, and the keys below it.

use std::fmt;
use std::path::{Component, Path};
use std::str::FromStr;

use nextbasket_objects::{MAX_KEY_BYTES, is_bucket_name};

/// A bucket and a prefix in it, written `s3://BUCKET/PREFIX`.
///
/// The prefix is a folder: `s3://logs/2026` and `s3://logs/2026/` are the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UploadDestination {
    bucket: String,
    /// Empty, or ends in `/`.
    prefix: String,
}

/// Why a text is not a valid destination.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDestination {
    /// It does not begin with `s3://`.
    #[error("invalid destination {0:?}: expected s3://BUCKET/PREFIX")]
    Form(String),
    /// No bucket has this name.
    #[error("invalid bucket name {0:?}: expected 3 to 63 lowercase letters, digits, dots and hyphens")]
    Bucket(String),
    /// The prefix has an empty segment, `.`, `..` or control characters, or is too long.
    #[error(
        "invalid prefix {0:?}: expected up to 1,000 bytes without empty segments, \".\", \"..\" and control characters"
    )]
    Prefix(String),
}

/// Why a name cannot be the key of an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// The bytes of a file's name are not UTF-8, as those of keys are.
    #[error("the name is not UTF-8, which keys of S3 have to be")]
    NotUtf8,
    /// A line break or the like, which S3's listings cannot tell.
    #[error("the name has control characters, which listings of S3 cannot represent")]
    Control,
    /// Nothing but spaces, which clients of S3 take for nothing.
    #[error("the key would be blank")]
    Blank,
    /// More than S3 takes.
    #[error("the key would have {bytes} bytes; S3 accepts {MAX_KEY_BYTES}")]
    TooLong {
        /// How many bytes it would have.
        bytes: usize,
    },
    /// Nothing, or a path that leads out of the folder.
    #[error("the path leads out of the folder")]
    Outside,
}

impl UploadDestination {
    /// The bucket and a prefix, which may be empty.
    pub fn new(bucket: &str, prefix: &str) -> Result<Self, InvalidDestination> {
        if !is_bucket_name(bucket) {
            return Err(InvalidDestination::Bucket(bucket.to_owned()));
        }
        let folder = prefix.strip_suffix('/').unwrap_or(prefix);
        let bad = |segment: &str| ["", ".", ".."].contains(&segment);
        if !prefix.is_empty()
            && (folder.split('/').any(bad) || folder.chars().any(char::is_control) || folder.len() > 1_000)
        {
            return Err(InvalidDestination::Prefix(prefix.to_owned()));
        }
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        Ok(Self { bucket: bucket.to_owned(), prefix })
    }

    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The prefix: empty, or ending in `/`.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The key of a file, from its path within the folder.
    pub fn key(&self, relative: &Path) -> Result<String, InvalidKey> {
        let mut key = self.prefix.clone();
        for (n, component) in relative.components().enumerate() {
            let Component::Normal(segment) = component else { return Err(InvalidKey::Outside) };
            if n > 0 {
                key.push('/');
            }
            key.push_str(segment.to_str().ok_or(InvalidKey::NotUtf8)?);
        }
        if key.len() == self.prefix.len() {
            return Err(InvalidKey::Outside);
        }
        check(&key)?;
        Ok(key)
    }
}

impl FromStr for UploadDestination {
    type Err = InvalidDestination;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix("s3://").ok_or_else(|| InvalidDestination::Form(text.to_owned()))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        Self::new(bucket, prefix)
    }
}

impl fmt::Display for UploadDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

/// Whether S3 takes the key.
pub(crate) fn check(key: &str) -> Result<(), InvalidKey> {
    if key.trim().is_empty() {
        return Err(InvalidKey::Blank);
    }
    if key.chars().any(char::is_control) {
        return Err(InvalidKey::Control);
    }
    if key.len() > MAX_KEY_BYTES {
        return Err(InvalidKey::TooLong { bytes: key.len() });
    }
    Ok(())
}

/// The key of a further version of an object: `~N~` before the last ending, as in `logs/app.~2~.log`, or at the end
/// of a name that has none, as in `README.~2~`.
#[must_use]
pub fn version_key(key: &str, number: u32) -> String {
    let (folder, name) = split_name(key);
    match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() && !ending.is_empty() => {
            format!("{folder}{stem}.~{number}~.{ending}")
        }
        _ => format!("{key}.~{number}~"),
    }
}

/// The key that a key is a version of, if it is written as one.
#[must_use]
pub fn base_key(version: &str) -> Option<String> {
    let (folder, name) = split_name(version);
    name.match_indices(".~").find_map(|(at, mark)| {
        let (stem, rest) = (name.get(..at)?, name.get(at + mark.len()..)?);
        let (number, ending) = rest.split_once('~')?;
        let base = format!("{folder}{stem}{ending}");
        // Only what `version_key` would write.
        (version_key(&base, number.parse().ok()?) == version).then_some(base)
    })
}

fn split_name(key: &str) -> (&str, &str) {
    key.split_at(key.rfind('/').map_or(0, |slash| slash + 1))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_destination_is_a_bucket_and_a_folder_in_it() {
        for (text, bucket, prefix) in [
            ("s3://logs", "logs", ""),
            ("s3://logs/", "logs", ""),
            ("s3://logs/2026/11", "logs", "2026/11/"),
            ("s3://logs/2026/11/", "logs", "2026/11/"),
            ("s3://my.logs-2/ä b", "my.logs-2", "ä b/"),
        ] {
            let destination: UploadDestination = text.parse().unwrap();
            assert_eq!((destination.bucket(), destination.prefix()), (bucket, prefix), "{text}");
            assert_eq!(destination.to_string().parse(), Ok(destination), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_no_destination_is_answered_with_what_is_wrong() {
        let error = |text: &str| text.parse::<UploadDestination>().unwrap_err();
        assert!(matches!(error("logs/2026"), InvalidDestination::Form(_)));
        assert!(error("/tmp/logs").to_string().contains("s3://BUCKET/PREFIX"));
        for text in ["s3://", "s3:///x", "s3://Logs", "s3://lo", "s3://lo gs/x"] {
            assert!(matches!(error(text), InvalidDestination::Bucket(_)), "{text}");
        }
        for text in ["s3://logs//x", "s3://logs/a/../b", "s3://logs/./b", "s3://logs/a\nb", "s3://logs//"] {
            assert!(matches!(error(text), InvalidDestination::Prefix(_)), "{text}");
        }
    }

    #[test]
    fn a_files_key_is_the_prefix_and_its_path() {
        let logs: UploadDestination = "s3://logs/2026".parse().unwrap();
        let key = |path: &str| logs.key(Path::new(path));
        assert_eq!(key("a.log"), Ok("2026/a.log".to_owned()));
        assert_eq!(key("web/ä 100%+x.log"), Ok("2026/web/ä 100%+x.log".to_owned()));
        assert_eq!(key("two\nlines"), Err(InvalidKey::Control));
        assert_eq!(key("../a.log"), Err(InvalidKey::Outside));
        assert_eq!(key(""), Err(InvalidKey::Outside));
        assert_eq!(key(" "), Ok("2026/ ".to_owned()));
        assert_eq!(check(" "), Err(InvalidKey::Blank));
        assert_eq!(logs.key(Path::new(OsStr::from_bytes(b"\xff.log"))), Err(InvalidKey::NotUtf8));
        let deep = vec!["n".repeat(255); 4].join("/");
        assert_eq!(key(&deep), Err(InvalidKey::TooLong { bytes: 1028 }));
        assert!("s3://logs".parse::<UploadDestination>().unwrap().key(Path::new(&deep)).is_ok());
    }

    #[test]
    fn a_version_keeps_the_ending_of_its_name() {
        for (key, version) in [
            ("logs/app.log", "logs/app.~2~.log"),
            ("app.tar.gz", "app.tar.~2~.gz"),
            ("v1.2/README", "v1.2/README.~2~"),
            (".env", ".env.~2~"),
            ("odd.", "odd..~2~"),
        ] {
            assert_eq!(version_key(key, 2), version);
            assert_eq!(base_key(version).as_deref(), Some(key));
        }
        for key in ["logs/app.log", "app.~x~.log", "a~2~", ".~02~.log", "a.~2~.tar.gz"] {
            assert_eq!(base_key(key), None, "{key}");
        }
    }

    proptest! {
        #[test]
        fn a_versions_base_is_found_again(key in "[a.~2/]{1,12}", number in 2_u32..) {
            prop_assert_eq!(base_key(&version_key(&key, number)), Some(key));
        }
    }
}
