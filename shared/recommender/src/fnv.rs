//! FNV-1a, 64 bits: a hash that is the same in every version of the program.

/// What hashing begins with.
pub(crate) const START: u64 = 0xcbf2_9ce4_8422_2325;

/// Goes on with more bytes.
pub(crate) fn add(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_its_authors() {
        // Of "" and "a" and "foobar": Fowler, Noll and Vo's test vectors.
        assert_eq!(add(START, b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(add(START, b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(add(add(START, b"foo"), b"bar"), 0x8594_4171_f739_67e8);
    }
}
