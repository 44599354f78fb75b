//! One attempt at a batch of `map`, by a command or a function.

use std::time::Duration;

use nextbasket_job_engine::Work;

use crate::batch_output::BatchOutput;

/// How often a running batch checks whether to stop.
const LOOK: Duration = Duration::from_millis(200);

pub(crate) struct BatchAttempt<'a> {
    pub name: &'a str,
    /// From 1; attempts that were stopped or cut off do not count.
    pub number: u32,
    pub timeout: Duration,
}

pub(crate) enum AttemptOutcome {
    /// The output, and the number of records it was made from.
    Done(BatchOutput, u64),
    Failed(String),
    Stopped,
}

/// Ends when the batch has to stop.
pub(crate) async fn stopped(work: &Work) {
    while !work.must_stop() {
        tokio::time::sleep(LOOK).await;
    }
}
