//! Stage `map`: one batch through the command or the function, and how its failures are counted.

use nextbasket_job_engine::{Outcome, Progress, Work, WorkError};
use serde::{Deserialize, Serialize};

use crate::batch_attempt::{AttemptOutcome, BatchAttempt};
use crate::batch_input::{BatchInput, RecordStream};
use crate::command;
use crate::function;
use crate::parameters::{Executor, MapTask};

#[derive(Debug, Default, Serialize, Deserialize)]
struct Checkpoint {
    /// How many tries have failed.
    failed: u32,
}

pub(crate) async fn work(
    work: &mut Work,
    task: &MapTask,
    lambda: Option<&aws_sdk_lambda::Client>,
) -> Result<Outcome, WorkError> {
    let input: BatchInput = work.input()?;
    let failed = work.checkpoint::<Checkpoint>()?.unwrap_or_default().failed;
    work.progress = Progress::default();
    let named = |reason: String| format!("{}: {reason}", input.name);
    let attempt = BatchAttempt { name: &input.name, number: failed + 1, timeout: task.timeout };
    let stream = match RecordStream::open(work, &input, task.format()).await {
        Err(WorkError::Failed(reason)) => return Err(WorkError::Failed(named(reason))),
        stream => stream?,
    };
    let ended = match (&task.executor, lambda) {
        (Executor::Command { argv, folder }, _) => {
            command::run(work, &attempt, argv, folder.as_deref(), stream).await
        }
        (Executor::Function(name), Some(lambda)) => {
            function::run(work, &attempt, lambda, name, task.batch_bytes, stream).await
        }
        (Executor::Function(_), None) => Err(WorkError::Systemic("there are no functions here".to_owned())),
    };
    match ended {
        Ok(AttemptOutcome::Done(output, records)) => {
            work.progress = Progress { processed: records, matched: records, ..Progress::default() };
            Outcome::done(&output)
        }
        Ok(AttemptOutcome::Stopped) => Ok(Outcome::Stopped),
        Ok(AttemptOutcome::Failed(reason)) if failed < task.retries => {
            work.save(&Checkpoint { failed: failed + 1 }).await?;
            Err(WorkError::Transient(named(reason)))
        }
        Ok(AttemptOutcome::Failed(reason)) | Err(WorkError::Failed(reason)) => {
            Err(WorkError::Failed(named(reason)))
        }
        Err(error) => Err(error),
    }
}
