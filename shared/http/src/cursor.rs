//! Opaque, versioned positions in a list.
//!
//! A cursor says which list it belongs to (`of`, such as a route and a user), so that one list's cursor is rejected
//! by another, and it carries a version, so that a later form can be distinguished from this one.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::ApiError;

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<P> {
    v: u32,
    of: String,
    at: P,
}

/// A cursor for `position` in the list named `of`.
pub fn encode<P: Serialize>(of: &str, position: P) -> Result<String, ApiError> {
    let envelope = Envelope { v: VERSION, of: of.to_owned(), at: position };
    let json = serde_json::to_vec(&envelope).map_err(ApiError::internal)?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}

/// The position that [`encode`] wrote for the list named `of`.
///
/// # Errors
/// 400 `invalid_cursor` for anything else.
pub fn decode<P: DeserializeOwned>(of: &str, cursor: &str) -> Result<P, ApiError> {
    let json = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| ApiError::invalid_cursor())?;
    let envelope: Envelope<P> = serde_json::from_slice(&json).map_err(|_| ApiError::invalid_cursor())?;
    if envelope.v != VERSION || envelope.of != of {
        return Err(ApiError::invalid_cursor());
    }
    Ok(envelope.at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_own_list_alone() {
        let cursor = encode("purchases/ada", ("p1", 7)).unwrap();
        assert_eq!(decode::<(String, u32)>("purchases/ada", &cursor).unwrap(), ("p1".to_owned(), 7));
        for (of, text) in [
            ("purchases/grace", cursor.as_str()),
            ("purchases/ada", "not base64!"),
            ("purchases/ada", ""),
            ("purchases/ada", &cursor[1..]),
            ("purchases/ada", &URL_SAFE_NO_PAD.encode(r#"{"v":2,"of":"purchases/ada","at":["p1",7]}"#)),
        ] {
            assert_eq!(decode::<(String, u32)>(of, text).unwrap_err().code, "invalid_cursor", "{of} {text}");
        }
    }
}
