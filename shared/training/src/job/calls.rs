//! Calls to tables and the bucket, within the job's rates.

use futures::{StreamExt, TryStreamExt};
use nextbasket_batch::limit::Limiter;
use nextbasket_batch::{Work, WorkError};
use nextbasket_dynamodb::TableError;
use nextbasket_dynamodb::capacity::metered;

/// How many objects are read at a time.
const READERS: usize = 8;

/// What a call is held back by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Touches {
    /// The rate of reads.
    Reads,
    /// The rate of writes.
    Writes,
}

/// Makes the call within the batch's part of the rate, again while it is throttled: each time the pace has fallen.
pub(super) async fn call<T, F>(
    work: &mut Work,
    touches: Touches,
    call: impl Fn() -> F,
) -> Result<T, WorkError>
where
    F: Future<Output = Result<T, TableError>>,
{
    let limiter = |work: &Work| -> Limiter {
        match touches {
            Touches::Reads => work.limits().read.clone(),
            Touches::Writes => work.limits().write.clone(),
        }
    };
    loop {
        limiter(work).ready().await;
        let (result, units) = metered(call()).await;
        work.spent_read(units.read);
        work.spent_write(units.write);
        match result {
            Err(TableError::Throttled { .. }) if !work.must_stop() => limiter(work).throttled(),
            other => return Ok(other?),
        }
    }
}

/// Reads objects, some at a time, and gives each to `take`, in their order.
pub(super) async fn objects<'k>(
    work: &Work,
    keys: impl IntoIterator<Item = &'k str>,
    mut take: impl FnMut(Vec<u8>) -> Result<(), WorkError>,
) -> Result<(), WorkError> {
    let objects = &work.site().objects;
    let gets: Vec<_> = keys.into_iter().map(|key| objects.get(key)).collect();
    let mut read = futures::stream::iter(gets).buffered(READERS);
    while let Some(content) = read.try_next().await? {
        take(content)?;
    }
    Ok(())
}
