//! Names that a shop gives to its users, products and purchases.
//!
//! The ids of users and purchases are part of the API's paths, and nothing else can take their place there. An HTTP API
//! decodes a path before it matches it with its routes, and cuts it at a decoded `?`; browsers resolve `..` and turn `\`
//! into `/`. An id that does not survive this would name somebody else: `DELETE /users/ada%3Fold` erases `ada`. So new
//! records are refused such ids, and paths are held to the same rule ([`UserId::parse_new`], [`PurchaseId::parse_new`]). Records from
//! before this rule keep theirs, and are read with `parse`. Products may have any id: their calls take it as a query parameter, too.

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
    /// The text would be another one, or another route, in a path.
    #[error(
        "must not be . or .., and must not hold any of / ? # \\ or a % before two hexadecimal digits: paths cannot carry it"
    )]
    NotInPaths,
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

/// Passes if a path carries the text: encoded in one, decoded by whoever is on the way, it is still the same segment.
fn check_path_segment(text: &str) -> Result<(), IdError> {
    let escaped = text
        .split('%')
        .skip(1)
        .any(|after| after.as_bytes().get(..2).is_some_and(|pair| pair.iter().all(u8::is_ascii_hexdigit)));
    if text == "." || text == ".." || escaped || text.contains(['/', '?', '#', '\\']) {
        return Err(IdError::NotInPaths);
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

/// For ids that are part of paths.
macro_rules! path_segment {
    ($name:ident) => {
        impl $name {
            /// Takes the text for a new record, or from a path: if it is within the limits and a path carries it.
            ///
            /// # Errors
            /// [`IdError`] otherwise.
            pub fn parse_new(text: &str) -> Result<Self, IdError> {
                let id = Self::parse(text)?;
                check_path_segment(text)?;
                Ok(id)
            }

            /// Reads the id of a new record, for serde's `deserialize_with`.
            ///
            /// # Errors
            /// As [`parse_new`](Self::parse_new).
            pub fn deserialize_new<'de, D: serde::Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                Self::parse_new(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

name_type! {
    /// A shopper, by the shop's own name for them.
    UserId, MAX_ID_BYTES, IdError
}
path_segment!(UserId);
name_type! {
    /// A product, by the shop's own name for it (often a SKU).
    ProductId, MAX_ID_BYTES, IdError
}
name_type! {
    /// A purchase, unique among its user's purchases: the key that makes writing twice the same as once.
    PurchaseId, MAX_ID_BYTES, IdError
}
path_segment!(PurchaseId);
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

    #[test]
    fn a_new_users_or_purchases_id_is_one_that_a_path_carries() {
        for text in
            ["ada", "Käse kg", "100%", "5%er", "%zz", "a;b", "a+b", "...", ".a", " ada", "ada ", "a:b@c&d=e"]
        {
            assert_eq!(UserId::parse_new(text).unwrap().as_str(), text);
            assert_eq!(PurchaseId::parse_new(text).unwrap().as_str(), text);
        }
        for text in
            [".", "..", "/", "a/b", "ada?old", "?", "a#b", "a\\b", "x%20y", "%2e%2E", "a%3f", "100%25"]
        {
            assert_eq!(UserId::parse_new(text), Err(IdError::NotInPaths), "{text}");
            assert_eq!(PurchaseId::parse_new(text), Err(IdError::NotInPaths), "{text}");
            assert_eq!(UserId::parse(text).unwrap().as_str(), text, "a record from before has it");
        }
        assert_eq!(UserId::parse_new(""), Err(IdError::Empty));
        assert_eq!(PurchaseId::parse_new("a\nb"), Err(IdError::Control));
    }

    proptest! {
        /// What a path makes of a segment: decoded once, or once more, cut at `?`, split at `/`, normalized.
        #[test]
        fn the_path_of_a_new_id_leads_to_it_alone(text in "[a.%/?#\\\\0-9 ;+]{1,6}") {
            prop_assume!(UserId::parse_new(&text).is_ok());
            let decoded = text.split('%').skip(1).all(|after| {
                !after.as_bytes().get(..2).is_some_and(|pair| pair.iter().all(u8::is_ascii_hexdigit))
            });
            prop_assert!(decoded, "a second decoding changes {}", text);
            let path = format!("/users/{text}/purchases").replace('\\', "/");
            let path = path.split(['?', '#']).next().unwrap();
            let segments: Vec<&str> = path.split('/').collect();
            prop_assert_eq!(&segments, &["", "users", text.as_str(), "purchases"]);
            prop_assert!(![".", ".."].contains(&text.as_str()));
        }

        #[test]
        fn an_id_survives_json(text in "[^\\p{Cc}]{1,60}") {
            let id = PurchaseId::parse(&text).unwrap();
            let json = serde_json::to_string(&id).unwrap();
            prop_assert_eq!(serde_json::from_str::<PurchaseId>(&json).unwrap(), id);
        }
    }
}
