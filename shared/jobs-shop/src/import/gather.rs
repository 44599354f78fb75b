//! Stage `gather`: combines records that belong together, from all runs of a file, into purchases or products.

use std::ops::Range;

use nextbasket_importer::{
    Assembled, Assembler, FileLayout, ImportError, ProductMention, UserCount, group_hash,
};
use nextbasket_job_engine::{Outcome, Progress, Work, WorkError};
use serde::{Deserialize, Serialize};

use super::SIDE;
use super::parameters::ImportParameters;
use super::partitions::{PartitionSorter, PartitionedObject, damaged, entries};
use super::record_chunk::{self, ChunkContent};
use super::refusals::{self, Refused};
use super::result::GatherResult;

/// The number of parts of the data that a batch leaves besides its purchases.
pub(super) const FACT_PARTS: usize = 64;

/// The result of reading a file, stored as an object of the job.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct FileIndex {
    pub source: String,
    pub layout: FileLayout,
    pub runs: Vec<PartitionedObject>,
}

/// A batch's input: parts of all runs of a file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct GatherInput {
    /// The index of the file among the job's files.
    pub file: usize,
    pub index: String,
    pub parts: Range<usize>,
    /// The number of chunks that the batch should make, unless they would be too small.
    pub chunks: usize,
}

/// Facts from purchases about a user or a product, to be merged with those from other purchases.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum PurchaseFact {
    User(UserCount),
    Product(ProductMention),
}

/// Gathers the batch's parts. The work is small: an interrupted attempt starts again, and leaves the same result.
pub(super) async fn work(work: &mut Work, parameters: &ImportParameters) -> Result<Outcome, WorkError> {
    let input: GatherInput = work.input()?;
    let index: FileIndex = work.read_json(&input.index).await?;
    let options = parameters
        .options(work.job().created_at)
        .map_err(|refusal| WorkError::Failed(refusal.to_string()))?;
    let failed = |error: ImportError| WorkError::Failed(format!("{}: {error}", index.source));
    let mut assembler = Assembler::new(&index.layout, parameters.kind, &options).map_err(failed)?;
    let mut refused = Refused::new(index.source.clone());
    let (mut refused_files, mut records) = (0, 0);
    for run in &index.runs {
        let content = run.read(work, &input.parts).await?;
        let added = tokio::task::spawn_blocking(move || {
            let result = add(&mut assembler, &content, &mut refused);
            (assembler, refused, result)
        });
        let crashed = |error| WorkError::Failed(format!("{}: gathering panicked: {error}", index.source));
        let (assembler_back, refused_back, result) = added.await.map_err(crashed)?;
        (assembler, refused) = (assembler_back, refused_back);
        records += match result {
            Ok(Some(added)) => added,
            Ok(None) => return Err(damaged(&run.key)),
            Err(error) => return Err(failed(error)),
        };
        if refused.is_full() {
            refusals::put(work, &mut refused_files, refused.take()).await?;
        }
        if work.must_stop() {
            return Ok(Outcome::Stopped);
        }
    }
    refusals::put(work, &mut refused_files, refused.take()).await?;
    let Assembled { purchases, users, mentions, products, tally } = assembler.finish();
    let refused = tally.refused_records();
    work.progress =
        Progress { processed: records, matched: records - refused, refused, ..Progress::default() };
    let side = put_side(work, users, mentions).await?;
    let mut chunks = Vec::new();
    if !parameters.check {
        let items = parameters.batch_items(products.len(), input.chunks);
        chunks.extend(record_chunk::write(work, ChunkContent::Products, products, items).await?);
        let items = parameters.batch_items(purchases.len(), input.chunks);
        chunks.extend(record_chunk::write(work, ChunkContent::Purchases, purchases, items).await?);
    }
    Outcome::done(&GatherResult { file: input.file, tally, chunks, side })
}

/// The number of entries that were added; `None` if they are damaged.
fn add(assembler: &mut Assembler, content: &[u8], refused: &mut Refused) -> Result<Option<u64>, ImportError> {
    let mut count = 0;
    for entry in entries(content) {
        let Some((line, record)) = entry else { return Ok(None) };
        assembler.add(line, record, refused)?;
        count += 1;
    }
    Ok(Some(count))
}

async fn put_side(
    work: &Work,
    users: Vec<UserCount>,
    mentions: Vec<ProductMention>,
) -> Result<Option<PartitionedObject>, WorkError> {
    let mut sorter = PartitionSorter::new(FACT_PARTS);
    let users =
        users.into_iter().map(|user| (group_hash(&[user.user_id.as_str()]), PurchaseFact::User(user)));
    let products = mentions.into_iter().map(|mention| (mention.group(), PurchaseFact::Product(mention)));
    for (group, side) in users.chain(products) {
        sorter.push(group, 0, &serde_json::to_vec(&side)?);
    }
    let Some((object, ends)) = sorter.take() else { return Ok(None) };
    let key = work.put_own(SIDE, object).await?;
    Ok(Some(PartitionedObject { key, ends }))
}
