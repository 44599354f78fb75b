//! Stage `merge`: combines what a file's purchases say about products and users.

use std::collections::BTreeSet;
use std::ops::Range;

use nextbasket_batch::{Outcome, Progress, Work, WorkError};
use nextbasket_domain::UserId;
use nextbasket_importer::Sightings;
use serde::{Deserialize, Serialize};

use super::chunk::{self, Records};
use super::gather::Side;
use super::parameters::Parameters;
use super::read_json;
use super::result::MergeResult;
use super::shuffle::{Sorted, damaged, entries};

/// A batch's input: parts of everything that was gathered from a file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MergeInput {
    /// The index of the file among the job's files.
    pub file: usize,
    /// The key of a list of [`Sorted`].
    pub index: String,
    pub parts: Range<usize>,
    /// The number of chunks that the batch should make, unless they would be too small.
    pub chunks: usize,
}

/// Merges the batch's parts. The work is small: an interrupted attempt starts again, and leaves the same result.
pub(super) async fn work(work: &mut Work, parameters: &Parameters) -> Result<Outcome, WorkError> {
    let input: MergeInput = work.input()?;
    let sides: Vec<Sorted> = read_json(work, &input.index).await?;
    let (mut users, mut sightings) = (BTreeSet::<UserId>::new(), Sightings::default());
    for side in &sides {
        let content = side.read(work, &input.parts).await?;
        for entry in entries(&content) {
            let said = entry.and_then(|(_, content)| serde_json::from_slice(content).ok());
            match said.ok_or_else(|| damaged(&side.key))? {
                Side::User(user) => drop(users.insert(user)),
                Side::Product(sighting) => sightings.add(sighting),
            }
        }
        if work.must_stop() {
            return Ok(Outcome::Stopped);
        }
        tokio::task::yield_now().await;
    }
    let (products, mut tally) = sightings.into_products();
    tally.users = u64::try_from(users.len()).unwrap_or(u64::MAX);
    work.progress = Progress { processed: tally.users + tally.products, ..Progress::default() };
    let mut chunks = Vec::new();
    let items = parameters.batch_items(products.len(), input.chunks);
    chunks.extend(chunk::write(work, Records::Products, products, items).await?);
    if parameters.histories {
        let items = parameters.batch_items(users.len(), input.chunks);
        chunks.extend(chunk::write(work, Records::Users, users.into_iter().collect(), items).await?);
    }
    Outcome::done(&MergeResult { file: input.file, tally, chunks })
}
