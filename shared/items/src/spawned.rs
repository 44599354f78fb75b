//! Work on tasks of its own, gone with whoever waits for it.

use std::future::{Future, pending};
use std::panic::resume_unwind;

use tokio::task::JoinSet;

/// Runs the work on a task of its own: on another core, if there is one to spare. Dropping it ends the task.
pub fn spawned<F>(work: F) -> impl Future<Output = F::Output> + Send
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    // A set ends its tasks when it is dropped.
    let mut task = JoinSet::new();
    task.spawn(work);
    async move {
        match task.join_next().await {
            Some(Ok(value)) => value,
            // It is aborted by nobody else, so it panicked; so does who waits for it.
            Some(Err(error)) if error.is_panic() => resume_unwind(error.into_panic()),
            // The runtime is going down.
            Some(Err(_)) | None => pending().await,
        }
    }
}
