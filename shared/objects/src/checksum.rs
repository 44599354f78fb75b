//! SHA-256 in the form in which S3 reports it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// The SHA-256 of some bytes.
pub type Digest = [u8; 32];

/// The SHA-256 of an object, in base64: of the whole content, or, for one that was sent in parts, of its parts'
/// SHA-256 one after the other, followed by a hyphen and the number of parts (S3's *composite* checksum).
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct Checksum(String);

impl Checksum {
    /// The checksum of a content that is sent in one piece.
    #[must_use]
    pub fn whole(digest: Digest) -> Self {
        Self(STANDARD.encode(digest))
    }

    /// The checksum of a content that is sent in parts.
    #[must_use]
    pub fn composite(parts: &[Digest]) -> Self {
        let mut all = Sha256::new();
        for part in parts {
            all.update(part);
        }
        Self(format!("{}-{}", STANDARD.encode(all.finalize()), parts.len()))
    }

    /// As S3, or what was stored of its answer, reports it.
    #[must_use]
    pub fn reported(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The number of parts; `None` for a content that was sent in one piece.
    #[must_use]
    pub fn parts(&self) -> Option<u64> {
        self.0.rsplit_once('-').and_then(|(_, parts)| parts.parse().ok())
    }

    /// The text that S3 accepts and reports.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The SHA-256 of bytes.
#[must_use]
pub fn digest(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}

/// Takes a content piece by piece and returns its checksum, whole or by parts of a size.
pub struct Hasher {
    part_size: Option<u64>,
    current: Sha256,
    filled: u64,
    parts: Vec<Digest>,
}

impl Hasher {
    /// For the checksum of the whole content, or of parts of this size.
    #[must_use]
    pub fn new(part_size: Option<u64>) -> Self {
        Self { part_size, current: Sha256::new(), filled: 0, parts: Vec::new() }
    }

    /// Takes the next piece.
    pub fn update(&mut self, mut bytes: &[u8]) {
        let Some(part_size) = self.part_size else { return self.current.update(bytes) };
        while !bytes.is_empty() {
            let room = usize::try_from(part_size.saturating_sub(self.filled)).unwrap_or(usize::MAX);
            let (now, rest) = bytes.split_at(room.min(bytes.len()));
            self.current.update(now);
            self.filled += now.len() as u64;
            bytes = rest;
            if self.filled >= part_size {
                self.next_part();
            }
        }
    }

    /// The checksum of all pieces.
    #[must_use]
    pub fn finish(mut self) -> Checksum {
        if self.part_size.is_none() {
            return Checksum::whole(self.current.finalize().into());
        }
        if self.filled > 0 {
            self.next_part();
        }
        Checksum::composite(&self.parts)
    }

    fn next_part(&mut self) {
        self.parts.push(self.current.finalize_reset().into());
        self.filled = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_whole_contents_checksum_is_its_sha_256_in_base64() {
        // FIPS 180-2, appendix B.1.
        let checksum = Checksum::whole(digest(b"abc"));
        assert_eq!(checksum.as_str(), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
        assert_eq!(checksum.parts(), None);
    }

    #[test]
    fn a_composite_is_of_the_parts_digests() {
        let parts = [digest(b"ab"), digest(b"c")];
        let checksum = Checksum::composite(&parts);
        let expected = Checksum::whole(digest(&parts.concat()));
        assert_eq!(checksum.as_str(), format!("{expected}-2"));
        assert_eq!(checksum.parts(), Some(2));
    }

    proptest! {
        #[test]
        fn pieces_give_the_checksum_of_the_content(
            content in prop::collection::vec(any::<u8>(), 0..300), piece in 1_usize..50, part in 1_u64..80,
        ) {
            let of = |part_size| {
                let mut hasher = Hasher::new(part_size);
                content.chunks(piece).for_each(|chunk| hasher.update(chunk));
                hasher.finish()
            };
            prop_assert_eq!(of(None), Checksum::whole(digest(&content)));
            let size = usize::try_from(part).unwrap();
            let parts: Vec<Digest> = content.chunks(size).map(digest).collect();
            prop_assert_eq!(of(Some(part)), Checksum::composite(&parts));
        }
    }
}
