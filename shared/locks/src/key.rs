//! Which item a lease is.

use std::fmt;

use nextbasket_dynamodb::item::{Item, text};

/// The partition of all named locks, so that listing them is one query.
pub(crate) const LOCKS: &str = "lock";

const MOST_BYTES: usize = 256;

/// The key of a lease's item.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LeaseKey {
    /// The partition key.
    pub pk: String,
    /// The sort key.
    pub sk: String,
}

/// Why a text is not the name of a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// Nothing.
    #[error("invalid name of a lock: must not be empty")]
    Empty,
    /// More than 256 bytes of UTF-8.
    #[error("invalid name of a lock: has {bytes} bytes, at most 256 are allowed")]
    TooLong {
        /// How many bytes it has.
        bytes: usize,
    },
    /// A line break, a tab or another control character.
    #[error("invalid name of a lock: must not have control characters, such as line breaks")]
    Control,
}

impl LeaseKey {
    /// The lock of a name: 1 to 256 bytes of UTF-8 without control characters.
    pub fn lock(name: &str) -> Result<Self, BadName> {
        if name.is_empty() {
            return Err(BadName::Empty);
        }
        if name.len() > MOST_BYTES {
            return Err(BadName::TooLong { bytes: name.len() });
        }
        if name.chars().any(char::is_control) {
            return Err(BadName::Control);
        }
        Ok(Self::new(LOCKS, name))
    }

    /// The lease on any other item. The item may hold attributes of its owner's beside the lease's.
    pub fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }

    /// The name, if this is a lock's key.
    pub(crate) fn name(&self) -> Option<&str> {
        (self.pk == LOCKS).then_some(self.sk.as_str())
    }

    pub(crate) fn item(&self) -> Item {
        Item::from([("pk".to_owned(), text(&self.pk)), ("sk".to_owned(), text(&self.sk))])
    }
}

impl fmt::Display for LeaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.pk, self.sk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_named_by_1_to_256_bytes_without_control_characters() {
        for good in ["train", "Nächtliche Ausfuhr / 3", &"n".repeat(256), &"ü".repeat(128)] {
            let key = LeaseKey::lock(good).unwrap();
            assert_eq!((key.pk.as_str(), key.sk.as_str(), key.name()), ("lock", good, Some(good)));
        }
        assert_eq!(LeaseKey::lock(""), Err(BadName::Empty));
        assert_eq!(LeaseKey::lock(&"ü".repeat(129)), Err(BadName::TooLong { bytes: 258 }));
        for bad in ["two\nlines", "tab\t", "nul\0", "\u{7f}", "\u{85}"] {
            assert_eq!(LeaseKey::lock(bad), Err(BadName::Control), "{bad:?}");
        }
    }

    #[test]
    fn a_lease_elsewhere_has_no_name() {
        assert_eq!(LeaseKey::new("job#7", "lock").name(), None);
    }
}
