//! Names that a shop gives to its users, products and purchases.

/// The longest id, in bytes of UTF-8.
pub const MAX_ID_BYTES: usize = 256;

/// Why a text is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text has no characters.
    #[error("must not be empty")]
    Empty,
    /// The text is too long.
    #[error("must be at most {limit} bytes of UTF-8, not {bytes}")]
    TooLong {
        bytes: usize,
        /// The most that it may have.
        limit: usize,
    },
    /// The text holds a control character (Unicode category Cc).
    #[error("must not hold control characters")]
    Control,
}

/// 1 to `limit` bytes of UTF-8 without control characters. Spaces, slashes and umlauts are fine: real SKUs have them.
pub(crate) fn check_text(text: &str, limit: usize) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    if text.len() > limit {
        return Err(IdError::TooLong { bytes: text.len(), limit });
    }
    if text.chars().any(char::is_control) {
        return Err(IdError::Control);
    }
    Ok(())
}

/// Reads a type from a text by its `parse`.
macro_rules! deserialize_by_parse {
    ($name:ident) => {
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use deserialize_by_parse;

/// A text of 1 to `limit` bytes without control characters, shared by its clones.
macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $limit:expr, $error:ty) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// Takes the text if it is within the limits.
            pub fn parse(text: &str) -> Result<Self, $error> {
                crate::id::check_text(text, $limit)?;
                Ok(Self(text.into()))
            }

            /// The name as the shop wrote it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                Self::parse(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        crate::id::deserialize_by_parse!($name);
    };
}
pub(crate) use name_type;

name_type! {
    /// A shopper, by the shop's own name for them.
    UserId, MAX_ID_BYTES, IdError
}
name_type! {
    /// A product, by the shop's own name for it (often a SKU).
    ProductId, MAX_ID_BYTES, IdError
}
name_type! {
    /// A purchase, unique among its user's purchases: the key that makes writing twice the same as once.
    PurchaseId, MAX_ID_BYTES, IdError
}
name_type! {
    /// An answer that was shown, given back with the purchase it led to.
    RecommendationId, MAX_ID_BYTES, IdError
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn skus_with_spaces_slashes_and_umlauts_are_ids() {
        for text in ["85123A", "Käse 1/2 kg", "a b", "商品", "x%20y", &"é".repeat(128)] {
            assert_eq!(ProductId::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn empty_long_and_control_texts_are_refused_by_name() {
        assert_eq!(UserId::parse(""), Err(IdError::Empty));
        assert_eq!(UserId::parse(&"é".repeat(129)), Err(IdError::TooLong { bytes: 258, limit: 256 }));
        for text in ["a\nb", "\u{0}", "a\u{7f}", "\u{85}"] {
            assert_eq!(UserId::parse(text), Err(IdError::Control), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn an_id_survives_json(text in "[^\\p{Cc}]{1,60}") {
            let id = PurchaseId::parse(&text).unwrap();
            let json = serde_json::to_string(&id).unwrap();
            prop_assert_eq!(serde_json::from_str::<PurchaseId>(&json).unwrap(), id);
        }
    }
}
