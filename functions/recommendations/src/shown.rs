//! Which products the pages of a list have shown.

use std::collections::BTreeSet;

use nextbasket_domain::ProductId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How many products a list remembers. With them, the longest id and the longest place on a shelf a cursor has 1,500
/// characters.
pub const MAX_SHOWN: usize = 100;

/// The first 6 bytes of the SHA-256 of a product's id: among 100,000 products, one list of 20 million would take
/// another product for one of a hundred that it has shown.
type ShownHash = [u8; 6];

/// Products that were shown, by hashes of their ids.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Shown(BTreeSet<ShownHash>);

fn hash(id: &ProductId) -> ShownHash {
    let mut hash = ShownHash::default();
    hash.iter_mut().zip(Sha256::digest(id.as_str())).for_each(|(byte, digit)| *byte = digit);
    hash
}

impl Shown {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn contains(&self, id: &ProductId) -> bool {
        !self.0.is_empty() && self.0.contains(&hash(id))
    }

    /// Whether it was not shown before.
    pub(crate) fn insert(&mut self, id: &ProductId) -> bool {
        self.0.insert(hash(id))
    }
}
