//! Intermediate results of a training as bytes: a format number, then the value as
//! [postcard](https://postcard.jamesmunns.com) has it.
//!
//! For what is small beside the baskets and the counts of pairs. Those two are packed by hand, as postcard would need
//! 40 to 65 % more bytes for baskets and 27 % for counts of pairs, which ascend and are stored as differences.

use serde::{Deserialize, Serialize};

use crate::bytes::DecodeError;

const VERSION: u8 = 1;

/// Packs a value; equal values give equal bytes.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    // Only sequences of unknown length fail, and serde's derived code writes none.
    postcard::to_allocvec(&(VERSION, value)).unwrap_or_default()
}

/// Reads what [`encode`] wrote; `what` names it in errors.
pub fn decode<'b, T: Deserialize<'b>>(what: &'static str, bytes: &'b [u8]) -> Result<T, DecodeError> {
    let (&found, content) = bytes.split_first().ok_or(DecodeError::Truncated(what))?;
    if found != VERSION {
        return Err(DecodeError::Version { what, found, known: VERSION });
    }
    let (value, rest) = postcard::take_from_bytes(content).map_err(|error| match error {
        postcard::Error::DeserializeUnexpectedEnd => DecodeError::Truncated(what),
        _ => DecodeError::Invalid(what),
    })?;
    if rest.is_empty() { Ok(value) } else { Err(DecodeError::Trailing(rest.len())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_and_other_bytes_are_errors() {
        let value = (vec![b"ab".as_slice(), b"", b"cde"], Some(7_u64));
        let bytes = encode(&value);
        assert_eq!(decode("test", &bytes), Ok(value));
        for cut in 1..bytes.len() {
            let result = decode::<(Vec<&[u8]>, Option<u64>)>("test", &bytes[..cut]);
            assert_eq!(result, Err(DecodeError::Truncated("test")), "{cut}");
        }
        assert_eq!(decode::<Vec<&[u8]>>("test", &bytes), Err(DecodeError::Trailing(2)));
        let other = DecodeError::Version { what: "test", found: 2, known: 1 };
        assert_eq!(decode::<u64>("test", &[2, 0]), Err(other));
        // A length is no reason to ask for memory.
        assert_eq!(
            decode::<Vec<u64>>("test", &[1, 0xFF, 0xFF, 0xFF, 0x7F]),
            Err(DecodeError::Truncated("test"))
        );
    }
}
