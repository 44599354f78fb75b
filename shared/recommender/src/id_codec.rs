//! Ascending ids as bytes: each repeats the front of the one before it.
//!
//! So three bytes can stand for an id of the maximum length, but no more: a few corrupt bytes cannot request much
//! memory.

use crate::bytes::{ByteReader, DecodeError, put_varint};

/// The maximum length of an id in bytes, as for a shop's users and products.
pub(crate) const LONGEST: usize = 256;

pub(crate) fn put<'a>(ids: impl IntoIterator<Item = &'a str>, out: &mut Vec<u8>) {
    let mut before = "";
    for id in ids {
        let shared = before.bytes().zip(id.bytes()).take_while(|(a, b)| a == b).count();
        put_varint(out, shared as u64);
        put_varint(out, (id.len() - shared) as u64);
        out.extend(id.bytes().skip(shared));
        before = id;
    }
}

/// Ids read from one run of bytes or several.
#[derive(Debug, Default)]
pub(crate) struct DecodedIds {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl DecodedIds {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Takes what one [`put`] wrote; a run starts afresh, whatever was taken before.
    pub(crate) fn take(&mut self, reader: &mut ByteReader<'_>, length: usize) -> Result<(), DecodeError> {
        let (mut start, mut end) = (self.text.len(), self.text.len());
        for _ in 0..length {
            let shared = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
            if shared > end - start {
                return Err(DecodeError::Invalid("id"));
            }
            let own = reader.length(1)?;
            if shared + own > LONGEST {
                return Err(DecodeError::Invalid("length of an id"));
            }
            self.text.extend_from_within(start..start + shared);
            self.text.extend_from_slice(reader.take(own)?);
            (start, end) = (end, self.text.len());
            self.ends.push(end);
        }
        Ok(())
    }

    /// Gives all ids to `read` once they are known to ascend.
    pub(crate) fn finish<T>(self, read: impl FnOnce(Vec<&str>) -> Option<T>) -> Result<T, DecodeError> {
        let text = String::from_utf8(self.text).map_err(|_| DecodeError::Invalid("id"))?;
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let ids: Option<Vec<&str>> =
            starts.zip(&self.ends).map(|(start, &end)| text.get(start..end)).collect();
        let ids = ids.ok_or(DecodeError::Invalid("id"))?;
        if !ids.is_sorted_by(|a, b| a < b) {
            return Err(DecodeError::Invalid("order of ids"));
        }
        read(ids).ok_or(DecodeError::Invalid("number of ids"))
    }
}
