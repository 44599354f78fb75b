//! Stage `gather`: combines records that belong together, from all runs of a file, into purchases or products.

use std::ops::Range;

use nextbasket_batch::{Outcome, Progress, Work, WorkError};
use nextbasket_importer::{Gathered, Gatherer, ImportError, Layout, group};
use serde::{Deserialize, Serialize};

use super::chunk::{self, Records};
use super::parameters::Parameters;
use super::refusals::{self, Refused};
use super::result::GatherResult;
use super::shuffle::{Sorted, Sorter, damaged, entries};
use super::{SIDE, read_json};

/// The number of parts of the data that a batch leaves besides its purchases.
pub(super) const SIDE_PARTS: usize = 64;

/// The result of reading a file, stored as an object of the job.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Index {
    pub source: String,
    pub layout: Layout,
    pub runs: Vec<Sorted>,
}

/// A batch's input: parts of all runs of a file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct GatherInput {
    /// The index of the file among the job's files.
    pub file: usize,
    /// The key of the [`Index`].
    pub index: String,
    pub parts: Range<usize>,
    /// The number of chunks that the batch should make, unless they would be too small.
    pub chunks: usize,
}

/// Facts from purchases about a user or a product, to be merged with those from other purchases.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Side {
    User(nextbasket_domain::UserId),
    Product(nextbasket_importer::Sighting),
}

/// Gathers the batch's parts. The work is small: an interrupted attempt starts again, and leaves the same result.
pub(super) async fn work(work: &mut Work, parameters: &Parameters) -> Result<Outcome, WorkError> {
    let input: GatherInput = work.input()?;
    let index: Index = read_json(work, &input.index).await?;
    let options = parameters
        .options(work.job().created_at)
        .map_err(|refusal| WorkError::Failed(refusal.to_string()))?;
    let failed = |error: ImportError| WorkError::Failed(format!("{}: {error}", index.source));
    let mut gatherer = Gatherer::new(&index.layout, parameters.kind.into(), &options).map_err(failed)?;
    let mut refused = Refused::new(index.source.clone());
    let (mut refused_files, mut records) = (0, 0);
    for run in &index.runs {
        let content = run.read(work, &input.parts).await?;
        let added = tokio::task::spawn_blocking(move || {
            let result = add(&mut gatherer, &content, &mut refused);
            (gatherer, refused, result)
        });
        let crashed = |error| WorkError::Failed(format!("{}: gathering crashed: {error}", index.source));
        let (gatherer_back, refused_back, result) = added.await.map_err(crashed)?;
        (gatherer, refused) = (gatherer_back, refused_back);
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
    let Gathered { purchases, users, sightings, products, tally } = gatherer.finish();
    let refused = tally.refused_records();
    work.progress =
        Progress { processed: records, matched: records - refused, refused, ..Progress::default() };
    let side = put_side(work, users, sightings).await?;
    let mut chunks = Vec::new();
    let items = parameters.batch_items(products.len(), input.chunks);
    chunks.extend(chunk::write(work, Records::Products, products, items).await?);
    let items = parameters.batch_items(purchases.len(), input.chunks);
    chunks.extend(chunk::write(work, Records::Purchases, purchases, items).await?);
    Outcome::done(&GatherResult { file: input.file, tally, chunks, side })
}

/// The number of entries that were added; `None` if they are damaged.
fn add(gatherer: &mut Gatherer, content: &[u8], refused: &mut Refused) -> Result<Option<u64>, ImportError> {
    let mut count = 0;
    for entry in entries(content) {
        let Some((line, record)) = entry else { return Ok(None) };
        gatherer.add(line, record, refused)?;
        count += 1;
    }
    Ok(Some(count))
}

async fn put_side(
    work: &Work,
    users: Vec<nextbasket_domain::UserId>,
    sightings: Vec<nextbasket_importer::Sighting>,
) -> Result<Option<Sorted>, WorkError> {
    let mut sorter = Sorter::new(SIDE_PARTS);
    let users = users.into_iter().map(|user| (group(&[user.as_str()]), Side::User(user)));
    let products = sightings.into_iter().map(|sighting| (sighting.group(), Side::Product(sighting)));
    for (group, side) in users.chain(products) {
        let content = serde_json::to_vec(&side).map_err(|error| WorkError::Failed(error.to_string()))?;
        sorter.push(group, 0, &content);
    }
    let Some((object, ends)) = sorter.take() else { return Ok(None) };
    let key = work.own_object(SIDE);
    work.site().objects.put(&key, object).await?;
    Ok(Some(Sorted { key, ends }))
}
