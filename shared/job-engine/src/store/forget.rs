//! Removal of a stage's data from the table: without it, a job that follows a table would grow with each pass.

use futures::{StreamExt, TryStreamExt};
use nextbasket_dynamodb::TableError;

use super::batches::{batches_of, part_of, parts_of};
use super::counts::counts_of;
use super::log::failures_of;
use super::{PK, SK, Store, partition};
use crate::job::{JobId, StageSize};

/// The number of items that are removed at a time.
const REMOVERS: usize = 16;

impl Store {
    /// Removes the stage's batches, counts and failures. If they are already removed, this does nothing.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer; some items may already be removed then.
    pub(crate) async fn forget(&self, job: &JobId, stage: StageSize) -> Result<(), TableError> {
        let mut items = Vec::new();
        for part in parts_of(stage.batches) {
            items.extend(self.query(&part_of(job, part), &batches_of(stage.number)).await?);
        }
        for prefix in [counts_of(stage.number), failures_of(stage.number)] {
            items.extend(self.query(&partition(job), &prefix).await?);
        }
        futures::stream::iter(items)
            .map(|mut item| {
                item.retain(|name, _| name == PK || name == SK);
                self.delete(item)
            })
            .buffer_unordered(REMOVERS)
            .try_collect::<()>()
            .await
    }
}
