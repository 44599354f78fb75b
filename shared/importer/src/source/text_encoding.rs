//! The encoding of a text.

use std::fmt;
use std::str::FromStr;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The encoding of a text, one of the WHATWG Encoding Standard's. Stored by its name there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextEncoding(&'static Encoding);

impl TextEncoding {
    /// What texts without a sign of another encoding are in.
    pub const UTF_8: Self = Self(UTF_8);
    pub(crate) const UTF_16_LITTLE: Self = Self(UTF_16LE);
    pub(crate) const UTF_16_BIG: Self = Self(UTF_16BE);

    pub(crate) fn new(encoding: &'static Encoding) -> Self {
        Self(encoding)
    }

    pub(crate) fn encoding(self) -> &'static Encoding {
        self.0
    }

    /// Whether the bytes are read as they are.
    #[must_use]
    pub fn is_utf_8(self) -> bool {
        self == Self::UTF_8
    }
}

/// The name is not one of an encoding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown encoding \"{0}\": expected a name such as UTF-8, windows-1252, UTF-16LE or Shift_JIS")]
pub struct EncodingError(String);

impl FromStr for TextEncoding {
    type Err = EncodingError;

    fn from_str(name: &str) -> Result<Self, EncodingError> {
        Encoding::for_label(name.trim().as_bytes()).map(Self).ok_or_else(|| EncodingError(name.to_owned()))
    }
}

impl fmt::Display for TextEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.name() {
            "UTF-16LE" => f.write_str("UTF-16 (little endian)"),
            "UTF-16BE" => f.write_str("UTF-16 (big endian)"),
            "macintosh" => f.write_str("Mac Roman"),
            name => match name.strip_prefix("windows-") {
                Some(page) => write!(f, "Windows-{page}"),
                None => f.write_str(name),
            },
        }
    }
}

impl Serialize for TextEncoding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

impl<'de> Deserialize<'de> for TextEncoding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_stored_by_name_and_shown_to_people() {
        for (encoding, shown, stored) in [
            (TextEncoding::UTF_8, "UTF-8", "\"UTF-8\""),
            (TextEncoding::UTF_16_LITTLE, "UTF-16 (little endian)", "\"UTF-16LE\""),
            (TextEncoding::new(encoding_rs::WINDOWS_1252), "Windows-1252", "\"windows-1252\""),
            (TextEncoding::new(encoding_rs::SHIFT_JIS), "Shift_JIS", "\"Shift_JIS\""),
            (TextEncoding::new(encoding_rs::MACINTOSH), "Mac Roman", "\"macintosh\""),
        ] {
            assert_eq!(encoding.to_string(), shown);
            assert_eq!(serde_json::to_string(&encoding).unwrap(), stored);
            assert_eq!(serde_json::from_str::<TextEncoding>(stored).unwrap(), encoding);
        }
        assert!(serde_json::from_str::<TextEncoding>("\"EBCDIC\"").is_err());
    }
}
