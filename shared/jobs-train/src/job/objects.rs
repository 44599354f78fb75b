//! Objects that earlier stages left.

use futures::{StreamExt, TryStreamExt};
use nextbasket_job_engine::{Work, WorkError};

const READERS: usize = 8;

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
