//! Stage `count`: what was bought when to sums.

use futures::{StreamExt, TryStreamExt};
use nextbasket_domain::Timestamp;
use nextbasket_job_engine::{Outcome, Work, WorkError};
use serde::Deserialize;

use super::popularity_sums::PopularitySums;
use super::read::{BasketPage, ObjectRun};

const READERS: usize = 8;

#[derive(Deserialize)]
struct Input {
    newest: Timestamp,
    runs: Vec<ObjectRun>,
}

/// The work is small: an interrupted attempt starts again.
pub(super) async fn work(work: &mut Work) -> Result<Outcome, WorkError> {
    let input: Input = work.input()?;
    work.progress = nextbasket_job_engine::Progress::default();
    let mut sums = PopularitySums::new(input.newest.as_millis());
    let objects = work.site().objects.clone();
    let keys: Vec<String> = input.runs.iter().flat_map(ObjectRun::keys).collect();
    let gets: Vec<_> =
        keys.into_iter().map(|key| async { objects.get(&key).await.map(|content| (key, content)) }).collect();
    let mut pages = futures::stream::iter(gets).buffered(READERS);
    while let Some((key, content)) = pages.try_next().await? {
        let page: BasketPage =
            serde_json::from_slice(&content).map_err(|error| WorkError::Failed(format!("{key}: {error}")))?;
        sums.add(&page);
        work.progress.processed = sums.purchases;
        work.progress.matched = sums.purchases;
        if work.must_stop() {
            return Ok(Outcome::Stopped);
        }
    }
    drop(pages);
    Outcome::done(&sums)
}
