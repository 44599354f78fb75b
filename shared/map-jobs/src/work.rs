//! Stage `map`: one batch through the command or the function, and how its failures are counted.

use std::time::Duration;

use nextbasket_batch::{Outcome, Progress, Work, WorkError};
use serde::{Deserialize, Serialize};

use crate::command::{self, LOOK};
use crate::function;
use crate::output::Output;
use crate::parameters::{Doer, Task};
use crate::source::{BatchInput, Stream};

/// One try of a batch.
pub(crate) struct Attempt<'a> {
    /// What the batch is called.
    pub name: &'a str,
    /// From 1; tries that were stopped or cut off do not count.
    pub number: u32,
    pub timeout: Duration,
}

/// How a try ended.
pub(crate) enum Ended {
    /// With this output, of so many records.
    Done(Output, u64),
    /// It failed, and may be tried again.
    Failed(String),
    /// It was told to stop.
    Stopped,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Checkpoint {
    /// How many tries have failed.
    failed: u32,
}

/// Ends when the batch has to stop.
pub(crate) async fn stopped(work: &Work) {
    while !work.must_stop() {
        tokio::time::sleep(LOOK).await;
    }
}

/// Works on the batch.
pub(crate) async fn work(
    work: &mut Work,
    task: &Task,
    lambda: Option<&aws_sdk_lambda::Client>,
) -> Result<Outcome, WorkError> {
    let input: BatchInput = work.input()?;
    let failed = work.checkpoint::<Checkpoint>()?.unwrap_or_default().failed;
    work.progress = Progress::default();
    let named = |reason: String| format!("{}: {reason}", input.name);
    let attempt = Attempt { name: &input.name, number: failed + 1, timeout: task.timeout };
    let stream = match Stream::open(work, &input, task.format()).await {
        Err(WorkError::Failed(reason)) => return Err(WorkError::Failed(named(reason))),
        stream => stream?,
    };
    let ended = match (&task.doer, lambda) {
        (Doer::Command { argv, folder }, _) => {
            command::run(work, &attempt, argv, folder.as_deref(), stream).await
        }
        (Doer::Function(name), Some(lambda)) => {
            function::run(work, &attempt, lambda, name, task.batch_bytes, stream).await
        }
        (Doer::Function(_), None) => Err(WorkError::Systemic("there are no functions here".to_owned())),
    };
    match ended {
        Ok(Ended::Done(output, records)) => {
            work.progress = Progress { processed: records, matched: records, ..Progress::default() };
            Outcome::done(&output)
        }
        Ok(Ended::Stopped) => Ok(Outcome::Stopped),
        Ok(Ended::Failed(reason)) if failed < task.retries => {
            work.save(&Checkpoint { failed: failed + 1 }).await?;
            Err(WorkError::Transient(named(reason)))
        }
        Ok(Ended::Failed(reason)) | Err(WorkError::Failed(reason)) => Err(WorkError::Failed(named(reason))),
        Err(error) => Err(error),
    }
}
