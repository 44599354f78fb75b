//! Stage `merge`: combines what a file's purchases say about products and users.

use std::ops::Range;

use nextbasket_importer::{ProductMentions, UserPurchases};
use nextbasket_job_engine::{Outcome, Progress, Work, WorkError};
use serde::{Deserialize, Serialize};

use super::gather::PurchaseFact;
use super::parameters::ImportParameters;
use super::partitions::{PartitionedObject, damaged, entries};
use super::record_chunk::{self, ChunkContent};
use super::result::MergeResult;

/// A batch's input: parts of everything that was gathered from a file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MergeInput {
    /// The index of the file among the job's files.
    pub file: usize,
    /// The key of a list of [`PartitionedObject`].
    pub index: String,
    pub parts: Range<usize>,
    /// The number of chunks that the batch should make, unless they would be too small.
    pub chunks: usize,
}

/// Merges the batch's parts. The work is small: an interrupted attempt starts again, and leaves the same result.
pub(super) async fn work(work: &mut Work, parameters: &ImportParameters) -> Result<Outcome, WorkError> {
    let input: MergeInput = work.input()?;
    let sides: Vec<PartitionedObject> = work.read_json(&input.index).await?;
    let (mut users, mut mentions) = (UserPurchases::default(), ProductMentions::default());
    for side in &sides {
        let content = side.read(work, &input.parts).await?;
        for entry in entries(&content) {
            let said = entry.and_then(|(_, content)| serde_json::from_slice(content).ok());
            match said.ok_or_else(|| damaged(&side.key))? {
                PurchaseFact::User(user) => users.add(user),
                PurchaseFact::Product(mention) => mentions.add(mention),
            }
        }
        if work.must_stop() {
            return Ok(Outcome::Stopped);
        }
        tokio::task::yield_now().await;
    }
    let (products, mut tally) = mentions.into_products();
    tally += users.tally();
    work.progress = Progress { processed: tally.users + tally.products, ..Progress::default() };
    let mut chunks = Vec::new();
    if !parameters.check {
        let items = parameters.batch_items(products.len(), input.chunks);
        chunks.extend(record_chunk::write(work, ChunkContent::Products, products, items).await?);
    }
    if parameters.histories && !parameters.check {
        let users = users.into_users();
        let items = parameters.batch_items(users.len(), input.chunks);
        chunks.extend(record_chunk::write(work, ChunkContent::Users, users, items).await?);
    }
    Outcome::done(&MergeResult { file: input.file, tally, chunks })
}
