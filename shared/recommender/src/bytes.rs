//! Little-endian and variable-length integers, written and read without panics.

/// Why bytes are not what they should be. Corrupt or foreign bytes end here, never in a panic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end early.
    #[error("{0} is truncated: the bytes end too early")]
    Truncated(&'static str),
    /// There are bytes after the end.
    #[error("{0} unexpected bytes after the end")]
    Trailing(usize),
    /// Written by a newer or an older program.
    #[error("{what} has format {found}, but this version of the program reads format {known}")]
    Version {
        /// What was read.
        what: &'static str,
        /// The format found.
        found: u8,
        /// The format understood.
        known: u8,
    },
    /// A value that the writer never writes.
    #[error("invalid {0}")]
    Invalid(&'static str),
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while let Some(low) = u8::try_from(value & 0x7F).ok().filter(|_| value > 0x7F) {
        out.push(low | 0x80);
        value >>= 7;
    }
    out.extend(u8::try_from(value));
}

pub(crate) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Reads from the front of a slice; errors name what was being read.
#[derive(Debug, Clone)]
pub(crate) struct ByteReader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> ByteReader<'a> {
    pub(crate) fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(DecodeError::Truncated(self.what))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated(self.what))?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    /// A finite number.
    pub(crate) fn f32(&mut self) -> Result<f32, DecodeError> {
        let value = self.array().map(f32::from_le_bytes)?;
        if value.is_finite() { Ok(value) } else { Err(DecodeError::Invalid(self.what)) }
    }

    pub(crate) fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::Invalid(self.what))
    }

    pub(crate) fn varint32(&mut self) -> Result<u32, DecodeError> {
        u32::try_from(self.varint()?).map_err(|_| DecodeError::Invalid(self.what))
    }

    pub(crate) fn signed(&mut self) -> Result<i64, DecodeError> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
    }

    /// A number of things that take at least `least` bytes each: never more than the rest can hold, so that
    /// a corrupt length cannot ask for memory.
    pub(crate) fn length(&mut self, least: usize) -> Result<usize, DecodeError> {
        let length = usize::try_from(self.varint()?).map_err(|_| DecodeError::Invalid(self.what))?;
        if length.saturating_mul(least.max(1)) > self.rest.len() {
            return Err(DecodeError::Truncated(self.what));
        }
        Ok(length)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, DecodeError> {
        let length = self.length(1)?;
        std::str::from_utf8(self.take(length)?).map_err(|_| DecodeError::Invalid(self.what))
    }

    pub(crate) fn version(&mut self, known: u8) -> Result<(), DecodeError> {
        let found = self.byte()?;
        if found == known { Ok(()) } else { Err(DecodeError::Version { what: self.what, found, known }) }
    }

    pub(crate) fn end(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Trailing(self.rest.len())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_come_back(value: u64, signed: i64) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            put_signed(&mut out, signed);
            let mut reader = ByteReader::new(&out, "test");
            prop_assert_eq!(reader.varint(), Ok(value));
            prop_assert_eq!(reader.signed(), Ok(signed));
            prop_assert_eq!(reader.end(), Ok(()));
        }
    }

    #[test]
    fn overlong_and_cut_integers_are_errors() {
        assert_eq!(ByteReader::new(&[0xFF; 10], "x").varint(), Err(DecodeError::Invalid("x")));
        assert_eq!(ByteReader::new(&[0x80], "x").varint(), Err(DecodeError::Truncated("x")));
        assert_eq!(ByteReader::new(&[0x05, 1], "x").length(1), Err(DecodeError::Truncated("x")));
    }
}
