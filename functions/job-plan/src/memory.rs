//! What one call has to tell the next.

use nextbasket_batch::store::{BatchRecord, BatchState};
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
    /// Calls in this execution.
    pub rounds: u32,
    /// The stage that was worked on last.
    pub stage: Option<u32>,
    /// How far its batches had come: a number that grows with all that they do.
    pub moved: u64,
    /// Rounds of work since then that came to nothing.
    pub still: u32,
}

impl Memory {
    /// Takes note of where the stage's batches stand, and tells whether they have not moved for too long: a function
    /// that dies of a batch leaves no other trace.
    pub(crate) fn stands_still(&mut self, stage: u32, batches: &[BatchRecord]) -> bool {
        let moved = batches.iter().map(steps).sum();
        if self.stage == Some(stage) && moved <= self.moved {
            self.still += 1;
        } else {
            self.still = 0;
        }
        (self.stage, self.moved) = (Some(stage), moved);
        self.still >= STILL
    }

    /// Whether the execution should end here.
    pub(crate) fn is_long(&self) -> bool {
        self.rounds >= ROUNDS
    }

    /// For the next execution.
    pub(crate) fn begin_again(&mut self) {
        self.executions += 1;
        self.rounds = 0;
        // Its first call is no round of work.
        self.stage = None;
    }
}

fn steps(batch: &BatchRecord) -> u64 {
    batch.saves + u64::from(batch.attempts) + u64::from(batch.state != BatchState::Open)
}
