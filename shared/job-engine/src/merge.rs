//! Results of a stage's batches merged into one.

use futures::{StreamExt, TryStreamExt};
use nextbasket_objects::Bucket;

use crate::error::JobError;
use crate::stage::Aggregate;
use crate::store::BatchRecord;

/// How many results are read at a time.
const READERS: usize = 8;

/// Puts the results of batches together: see [`Planning::merged`](crate::Planning::merged).
pub(crate) async fn merged(
    objects: &Bucket,
    batches: &[BatchRecord],
    aggregate: Aggregate,
    merge: impl Fn(Vec<u8>, Vec<u8>) -> Result<Vec<u8>, String> + Clone + Send + Sync + 'static,
) -> Result<Option<Vec<u8>>, JobError> {
    let results = futures::stream::iter(batches).map(|batch| batch.result(objects)).buffered(READERS);
    let mut results: std::pin::Pin<Box<dyn futures::Stream<Item = _> + Send + '_>> = Box::pin(results);
    match aggregate {
        Aggregate::Serial => {
            let mut sum: Option<Vec<u8>> = None;
            while let Some(result) = results.try_next().await? {
                sum = match (sum, result) {
                    (Some(left), Some(right)) => Some(merge(left, right).map_err(JobError::Failed)?),
                    (one, other) => one.or(other),
                };
            }
            Ok(sum)
        }
        Aggregate::Parallel => {
            // A binary counter of subtrees: the memory of one result per level, and neighbours only.
            let mut subtrees: Vec<(u32, Vec<u8>)> = Vec::new();
            let mut level = Vec::with_capacity(2 * READERS);
            let mut open = true;
            while open {
                while level.len() < 2 * READERS {
                    match results.try_next().await? {
                        Some(Some(result)) => level.push(result),
                        Some(None) => {}
                        None => {
                            open = false;
                            break;
                        }
                    }
                }
                let merged = tree(std::mem::take(&mut level), &merge).await?;
                subtrees.extend(merged.map(|merged| (1, merged)));
                while let [.., (left, _), (right, _)] = subtrees.as_slice()
                    && left == right
                {
                    let (weight, last) = subtrees.pop().unwrap_or_default();
                    let (_, before) = subtrees.pop().unwrap_or_default();
                    subtrees.push((weight + 1, merge(before, last).map_err(JobError::Failed)?));
                }
            }
            let rest = subtrees.into_iter().map(|(_, subtree)| subtree).collect();
            tree(rest, &merge).await
        }
    }
}

/// Merges neighbours at a time until one is left, each pair on a thread of its own.
async fn tree(
    mut level: Vec<Vec<u8>>,
    merge: &(impl Fn(Vec<u8>, Vec<u8>) -> Result<Vec<u8>, String> + Clone + Send + Sync + 'static),
) -> Result<Option<Vec<u8>>, JobError> {
    while level.len() > 1 {
        let mut pairs = Vec::with_capacity(level.len().div_ceil(2));
        let mut rest = level.into_iter();
        while let Some(left) = rest.next() {
            let (merge, right) = (merge.clone(), rest.next());
            pairs.push(tokio::task::spawn_blocking(move || match right {
                Some(right) => merge(left, right),
                None => Ok(left),
            }));
        }
        level = Vec::with_capacity(pairs.len());
        for pair in pairs {
            let merged = pair.await.map_err(|error| JobError::Failed(format!("merging crashed: {error}")))?;
            level.push(merged.map_err(JobError::Failed)?);
        }
    }
    Ok(level.pop())
}
