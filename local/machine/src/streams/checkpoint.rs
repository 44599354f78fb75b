//! How far each shard has come, kept in the data folder.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{MappingProgress, StreamError};
use crate::folder::write_atomically;

pub(crate) struct Checkpoints {
    file: Option<PathBuf>,
    stream_arn: String,
    state: Mutex<MappingState>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct MappingState {
    shards: HashMap<String, ShardState>,
    delivered: u64,
    given_up: u64,
}

#[derive(Default)]
struct ShardState {
    /// Everything up to here is done.
    done: Option<u128>,
    /// What was read after that, and whether it is done.
    under_way: BTreeMap<u128, bool>,
}

/// As it is kept. Numbers are text: they have more digits than JSON readers take.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredCheckpoints {
    stream_arn: String,
    shards: BTreeMap<String, String>,
}

/// The number up to which a mapping has done everything in all shards, as it was last kept.
pub(crate) fn kept(folder: &Path, mapping: &str) -> Option<u128> {
    let numbers = read(folder, mapping)?.shards;
    numbers.values().map(|number| number.parse().ok()).min().flatten()
}

fn read(folder: &Path, mapping: &str) -> Option<StoredCheckpoints> {
    serde_json::from_slice(&std::fs::read(path(folder, mapping)).ok()?).ok()
}

fn path(folder: &Path, mapping: &str) -> PathBuf {
    folder.join("checkpoints").join(format!("{mapping}.json"))
}

impl Checkpoints {
    /// Takes up what was kept. What was kept of another stream, or cannot be read, counts as nothing: records are
    /// then given again, which a function behind a stream has to bear anyway.
    pub(crate) fn open(folder: Option<&Path>, mapping: &str, stream_arn: &str) -> Result<Self, StreamError> {
        let file = folder.map(|folder| path(folder, mapping));
        if let Some(parent) = file.as_deref().and_then(Path::parent) {
            std::fs::create_dir_all(parent)
                .map_err(|source| StreamError::Checkpoint { path: parent.to_owned(), source })?;
        }
        let mut state = MappingState::default();
        if let Some(kept) = folder.and_then(|f| read(f, mapping)).filter(|k| k.stream_arn == stream_arn) {
            for (shard, number) in kept.shards {
                state.shards.entry(shard).or_default().done = number.parse().ok();
            }
        }
        let changed = watch::channel(()).0;
        Ok(Checkpoints { file, stream_arn: stream_arn.to_owned(), state: Mutex::new(state), changed })
    }

    /// Everything up to this number is done in the shard.
    pub(crate) fn of(&self, shard: &str) -> Option<u128> {
        self.state().shards.get(shard).and_then(|shard| shard.done)
    }

    /// The position up to which all shards are done, and the number of records after it that are done too.
    pub(crate) fn reached(&self) -> (Option<u128>, u64) {
        let state = self.state();
        let done = state.shards.values().map(|shard| shard.done).min().flatten();
        let ahead = state.shards.values().flat_map(|s| s.under_way.values()).filter(|done| **done).count();
        (done, u64::try_from(ahead).unwrap_or(u64::MAX))
    }

    pub(crate) fn progress(&self) -> MappingProgress {
        let state = self.state();
        let under_way =
            state.shards.values().flat_map(|s| s.under_way.values()).filter(|done| !**done).count();
        MappingProgress { delivered: state.delivered, given_up: state.given_up, under_way }
    }

    /// Tells of every change from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// For a mapping that begins with what comes next: all before counts as done, unless it has a checkpoint.
    pub(crate) fn begin_after(&self, shard: &str, last: Option<u128>) -> Result<(), StreamError> {
        let mut state = self.state();
        let shard = state.shards.entry(shard.to_owned()).or_default();
        if shard.done.is_some() {
            return Ok(());
        }
        shard.done = last;
        self.keep(&state)
            .map_err(|source| StreamError::Checkpoint { path: self.file.clone().unwrap_or_default(), source })
    }

    pub(crate) fn under_way(&self, shard: &str, numbers: impl Iterator<Item = u128>) {
        let mut state = self.state();
        let shard = state.shards.entry(shard.to_owned()).or_default();
        shard.under_way.extend(numbers.map(|number| (number, false)));
    }

    pub(crate) fn taken(&self, shard: &str, numbers: impl Iterator<Item = u128>) {
        let mut state = self.state();
        state.delivered += self.finish(&mut state, shard, numbers);
    }

    pub(crate) fn given_up(&self, shard: &str, numbers: impl Iterator<Item = u128>) {
        let mut state = self.state();
        state.given_up += self.finish(&mut state, shard, numbers);
    }

    fn finish(&self, state: &mut MappingState, shard: &str, numbers: impl Iterator<Item = u128>) -> u64 {
        let shard = state.shards.entry(shard.to_owned()).or_default();
        let mut count = 0;
        for number in numbers {
            shard.under_way.insert(number, true);
            count += 1;
        }
        let mut advanced = false;
        while let Some(first) = shard.under_way.first_entry().filter(|first| *first.get()) {
            shard.done = Some(*first.key());
            first.remove();
            advanced = true;
        }
        if advanced {
            // Nothing is lost without it: the next start gives some records again.
            if let Err(e) = self.keep(state) {
                tracing::warn!(error = %e, "a checkpoint could not be written");
            }
            self.changed.send_replace(());
        }
        count
    }

    fn keep(&self, state: &MappingState) -> std::io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let shards = state
            .shards
            .iter()
            .filter_map(|(shard, state)| Some((shard.clone(), state.done?.to_string())))
            .collect();
        write_atomically(file, &StoredCheckpoints { stream_arn: self.stream_arn.clone(), shards }, false)
    }

    fn state(&self) -> MutexGuard<'_, MappingState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_never_passes_a_record_that_is_under_way() {
        let checkpoints = Checkpoints::open(None, "m", "arn").unwrap();
        checkpoints.under_way("s", 1..=5);
        checkpoints.taken("s", 3..=5);
        assert_eq!(checkpoints.of("s"), None);
        checkpoints.taken("s", 1..=1);
        assert_eq!(checkpoints.of("s"), Some(1));
        assert_eq!(checkpoints.progress(), MappingProgress { delivered: 4, given_up: 0, under_way: 1 });
        checkpoints.given_up("s", 2..=2);
        assert_eq!(checkpoints.of("s"), Some(5));
        assert_eq!(checkpoints.progress(), MappingProgress { delivered: 4, given_up: 1, under_way: 0 });
    }

    #[test]
    fn what_was_kept_is_taken_up_unless_the_stream_is_another() {
        let dir = tempfile::tempdir().unwrap();
        let open = |arn: &str| Checkpoints::open(Some(dir.path()), "m", arn).unwrap();
        let first = open("one");
        first.under_way("s", 7..=9);
        first.taken("s", 7..=8);
        assert_eq!(open("one").of("s"), Some(8));
        assert_eq!(open("two").of("s"), None);
        std::fs::write(path(dir.path(), "m"), "{").unwrap();
        assert_eq!(open("one").of("s"), None);
    }
}
