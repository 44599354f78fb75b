//! Opaque, versioned positions in a list.
//!
//! A cursor carries a digest of the name of its list (`of`, such as a route and a user), so that one list's cursor is
//! rejected by another, and a version, so that a later form can be distinguished from this one. It is base64 of the
//! version (1 byte), the digest ([`DIGEST_BYTES`]) and the position in postcard's form.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::ApiError;

const VERSION: u8 = 2;

/// How much of the SHA-256 of a list's name a cursor carries.
const DIGEST_BYTES: usize = 8;

/// What the cursors of a list begin with.
fn header(of: &str) -> Vec<u8> {
    std::iter::once(VERSION).chain(Sha256::digest(of).into_iter().take(DIGEST_BYTES)).collect()
}

/// A cursor for `position` in the list named `of`.
pub fn encode<P: Serialize>(of: &str, position: P) -> Result<String, ApiError> {
    let mut bytes = header(of);
    bytes.extend(postcard::to_allocvec(&position).map_err(ApiError::internal)?);
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The position that [`encode`] wrote for the list named `of`.
///
/// # Errors
/// 400 `invalid_cursor` for anything else.
pub fn decode<P: DeserializeOwned>(of: &str, cursor: &str) -> Result<P, ApiError> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| ApiError::invalid_cursor())?;
    let position = bytes.strip_prefix(header(of).as_slice()).ok_or_else(ApiError::invalid_cursor)?;
    match postcard::take_from_bytes(position) {
        Ok((position, [])) => Ok(position),
        _ => Err(ApiError::invalid_cursor()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_own_list_alone() {
        let cursor = encode("purchases/ada", ("p1", 7_u32)).unwrap();
        assert_eq!(decode::<(String, u32)>("purchases/ada", &cursor).unwrap(), ("p1".to_owned(), 7));
        let bytes = URL_SAFE_NO_PAD.decode(&cursor).unwrap();
        let longer = URL_SAFE_NO_PAD.encode([bytes.as_slice(), b"x"].concat());
        let shorter = URL_SAFE_NO_PAD.encode(&bytes[..bytes.len() - 1]);
        let mut next_version = bytes;
        next_version[0] += 1;
        for (of, text) in [
            ("purchases/grace", cursor.as_str()),
            ("purchases/ada", "not base64!"),
            ("purchases/ada", ""),
            ("purchases/ada", &cursor[1..]),
            ("purchases/ada", &longer),
            ("purchases/ada", &shorter),
            ("purchases/ada", &URL_SAFE_NO_PAD.encode(next_version)),
            ("purchases/ada", &URL_SAFE_NO_PAD.encode(r#"{"v":1,"of":"purchases/ada","at":["p1",7]}"#)),
        ] {
            assert_eq!(decode::<(String, u32)>(of, text).unwrap_err().code, "invalid_cursor", "{of} {text}");
        }
    }
}
