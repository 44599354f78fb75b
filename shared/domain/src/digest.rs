//! Contents told apart in few characters.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// The first `bytes` bytes (at most 32) of the SHA-256 of the content, in hexadecimal.
#[must_use]
pub fn digest(content: impl AsRef<[u8]>, bytes: usize) -> String {
    let mut text = String::with_capacity(2 * bytes);
    for byte in Sha256::digest(content).iter().take(bytes) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_beginning_of_the_sha_256() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(digest("abc", 8), "ba7816bf8f01cfea");
        assert_eq!(digest("abc", 99).len(), 64);
    }
}
