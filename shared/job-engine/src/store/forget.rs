//! Removal of a stage's data from the table, without which a job that follows a table would grow with each pass; and of
//! the data of a job that ends.

use futures::{StreamExt, TryStreamExt};
use nextbasket_dynamodb::TableError;

use nextbasket_dynamodb::item::Item;

use super::batches::{batches_of, part_of, parts_of};
use super::counts::counts_of;
use super::log::failures_of;
use super::{PK, SK, Store, partition};
use crate::job::{Job, JobId, StageSize};

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
        self.delete_all(items).await
    }

    /// Removes the batches, counts and processes of a job that ends, and the failures of all stages but its last.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer; some items may already be removed then.
    pub(crate) async fn forget_all(&self, job: &Job) -> Result<(), TableError> {
        let id = &job.job_id;
        let begins = job.stages.first().is_none_or(|stage| stage.number == 0);
        let most = job.stages.iter().map(|stage| stage.batches).max().unwrap_or(0);
        let mut items = Vec::new();
        // A stage that the job does not remember may have had any number of batches.
        for part in parts_of(if begins { most } else { u32::MAX }) {
            items.extend(self.keys(&part_of(id, part), "batch/").await?);
        }
        for prefix in ["count/", "process/"] {
            items.extend(self.keys(&partition(id), prefix).await?);
        }
        let shown = job.stage().map(|stage| failures_of(stage.number));
        let mut failures = self.keys(&partition(id), "failed/").await?;
        failures.retain(|item| {
            let sk = item.get(SK).and_then(|sk| sk.as_s().ok());
            !sk.zip(shown.as_ref()).is_some_and(|(sk, shown)| sk.starts_with(shown))
        });
        items.extend(failures);
        self.delete_all(items).await
    }

    /// The keys of the partition's items whose sort keys begin with `sk`.
    async fn keys(&self, pk: &str, sk: &str) -> Result<Vec<Item>, TableError> {
        let query = self.select(pk, sk).projection_expression("pk, sk").consistent_read(true);
        let mut pages = query.into_paginator().items().send();
        let mut items = Vec::new();
        while let Some(item) = pages.next().await {
            items.push(item.map_err(|error| self.failed(error))?);
        }
        Ok(items)
    }

    async fn delete_all(&self, items: Vec<Item>) -> Result<(), TableError> {
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
