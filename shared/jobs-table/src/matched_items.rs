//! The items that met the condition in the last pass of a job that follows a table.
//!
//! 16 bytes an item: a hash of its key. An item that met the condition in the last pass and still does is not
//! processed again; one that stopped meeting it is forgotten, so that it can newly meet it later.

use nextbasket_dynamodb::item::Item;
use nextbasket_job_engine::journal::Journal;
use nextbasket_job_engine::{Work, WorkError};

use nextbasket_items::key::{KeySchema, hash};

/// The number of hashes in one object: 4 MB.
const CHUNK: usize = 262_144;
const WHAT: &str = "seen";

/// The items that met the condition in the last pass, and in this one.
#[derive(Debug, Default)]
pub(crate) struct MatchedItems {
    /// The entries of the last pass, sorted.
    before: Vec<u128>,
    /// Of this pass, up to the last checkpoint.
    now: Vec<u128>,
    /// Of this pass, since the last checkpoint.
    fresh: Vec<u128>,
    /// The objects that hold this pass's so far.
    pub(crate) journal: Journal,
}

impl MatchedItems {
    /// The last pass's from its objects, and this pass's from those that an earlier attempt has noted.
    pub(crate) async fn load(work: &Work, before: Vec<String>, journal: Journal) -> Result<Self, WorkError> {
        let mut seen = Self { journal, ..Self::default() };
        for name in &before {
            seen.before.extend(decode(&work.site().objects.get(name).await?));
        }
        for content in seen.journal.read(work, WHAT).await? {
            seen.now.extend(decode(&content));
        }
        Ok(seen)
    }

    /// Whether the item met the condition in the last pass.
    pub(crate) fn knew(&self, schema: &KeySchema, key: &Item) -> bool {
        self.before.binary_search(&hash(schema, key)).is_ok()
    }

    /// Notes that the item meets the condition in this pass.
    pub(crate) fn add(&mut self, schema: &KeySchema, key: &Item) {
        self.fresh.push(hash(schema, key));
    }

    /// How many were noted since the last checkpoint.
    pub(crate) fn fresh(&self) -> usize {
        self.fresh.len()
    }

    /// Forgets what was noted since the last checkpoint, except for the first `fresh`.
    pub(crate) fn keep(&mut self, fresh: usize) {
        self.fresh.truncate(fresh);
    }

    /// Writes what was noted since the last checkpoint; the journal then has to be part of the next one.
    pub(crate) async fn stage(&mut self, work: &Work) -> Result<(), WorkError> {
        if self.fresh.is_empty() {
            return Ok(());
        }
        self.journal.append(work, WHAT, encode(&self.fresh)).await
    }

    /// The checkpoint with the journal was saved.
    pub(crate) fn saved(&mut self) {
        self.now.append(&mut self.fresh);
    }

    /// The objects that the next pass begins with. They are rewritten even if nothing has changed, since those of the
    /// last pass are removed with it.
    pub(crate) async fn finish(mut self, work: &Work) -> Result<Vec<String>, WorkError> {
        self.saved();
        self.now.sort_unstable();
        self.now.dedup();
        let mut names = Vec::new();
        for chunk in self.now.chunks(CHUNK) {
            let name = work.own_object(&format!("seen-{:04}", names.len()));
            work.site().objects.put(&name, encode(chunk)).await?;
            names.push(name);
        }
        Ok(names)
    }
}

fn encode(hashes: &[u128]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.to_be_bytes()).collect()
}

fn decode(content: &[u8]) -> impl Iterator<Item = u128> {
    content.chunks_exact(16).map(|bytes| bytes.iter().fold(0, |bits, byte| bits << 8 | u128::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_come_back_from_their_bytes() {
        let hashes = [0, 1, u128::MAX, 0x0123_4567_89ab_cdef_0011_2233_4455_6677];
        assert_eq!(decode(&encode(&hashes)).collect::<Vec<_>>(), hashes);
    }
}
