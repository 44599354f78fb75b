//! What one call has to tell the next.

use std::hash::{DefaultHasher, Hash, Hasher};

use nextbasket_job_engine::store::BatchRecord;
use serde::{Deserialize, Serialize};

/// How many calls one execution makes. Each is some fifteen events of its history, of which it may have 25,000.
const ROUNDS: u32 = 500;
/// How many rounds of work on a stage may come to nothing, before the job is given up.
const STILL: u32 = 5;

/// What is remembered between calls.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Memory {
    /// Executions before this one.
    pub executions: u32,
    pub rounds: u32,
    pub stage: Option<u32>,
    /// How many of its batches had ended.
    pub moved: u64,
    /// The digest of its batches' checkpoints, if none had ended since the round before.
    pub checkpoints: Option<String>,
    /// Rounds of work since then that came to nothing.
    pub still: u32,
}

impl Memory {
    /// Notes how many of the stage's batches have ended. Returns whether that is more than after the last round, or
    /// the stage is another one. If neither, the checkpoints decide: see [`stands_still`](Self::stands_still).
    pub(crate) fn moves_on(&mut self, stage: u32, ended: u32) -> bool {
        let ended = u64::from(ended);
        let moves = self.stage != Some(stage) || ended > self.moved;
        (self.stage, self.moved) = (Some(stage), ended);
        if moves {
            (self.still, self.checkpoints) = (0, None);
        }
        moves
    }

    /// Notes the checkpoints of these batches, none of which has ended since the last round. Returns whether the
    /// checkpoints have not changed for too long: a function that dies before it claims a batch leaves no other
    /// trace. A checkpoint that is written again with the same content is no progress.
    pub(crate) fn stands_still(&mut self, batches: &[BatchRecord]) -> bool {
        let mut hasher = DefaultHasher::new();
        for batch in batches {
            (batch.batch, &batch.checkpoint).hash(&mut hasher);
        }
        let checkpoints = Some(format!("{:016x}", hasher.finish()));
        if self.checkpoints.is_none() || self.checkpoints == checkpoints {
            self.still += 1;
        } else {
            self.still = 0;
        }
        self.checkpoints = checkpoints;
        self.still >= STILL
    }

    pub(crate) fn is_long(&self) -> bool {
        self.rounds >= ROUNDS
    }

    pub(crate) fn begin_again(&mut self) {
        self.executions += 1;
        self.rounds = 0;
        // Its first call is no round of work.
        self.stage = None;
    }
}
