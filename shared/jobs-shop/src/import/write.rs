//! Stages `write` and `histories`: chunks of records into the tables.

use derive_more::{Add, Sum};
use futures::{StreamExt, TryStreamExt};
use nextbasket_domain::{Product, Purchase, UserId};
use nextbasket_dynamodb::TableError;
use nextbasket_erasure::Erasures;
use nextbasket_importer::RecordKind;
use nextbasket_job_engine::calls::{CallError, Consumes, MeteredCalls};
use nextbasket_job_engine::work::Go;
use nextbasket_job_engine::{Outcome, Work, WorkError};
use nextbasket_tables::Tables;
use nextbasket_tables::products::ProductsTable;
use nextbasket_tables::purchases::{ChangeOutcome, OnChange, PurchasesTable};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::parameters::ImportParameters;
use super::record_chunk::{self, ChunkContent, ReadProduct, ReadPurchase, RecordChunk};
use super::result::WriteResult;
use super::{INDEX, LAYOUT, RUN, SIDE};
use crate::histories::{self, HistoryAction};
use crate::unnamed;

const WRITERS: usize = 32;
/// How many records lie between two checkpoints.
const GROUP: usize = 400;
const USERS: usize = 200;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Add, Sum, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WriteCounts {
    pub new_purchases: u64,
    /// Purchases that were there already, with the same content.
    pub known_purchases: u64,
    /// Purchases that were there with other content and were changed, as the job's `onChange` says.
    pub changed_purchases: u64,
    /// Purchases that are there with other content than the file has; they are refused. One that got the lines that it
    /// lacked may still have other lines that differ: it is counted here as well.
    pub differing_purchases: u64,
    /// Purchases that their users have had erased; they are left out.
    pub erased_purchases: u64,
    pub new_products: u64,
    /// Products of a catalogue that were there and are now as the file says.
    pub changed_products: u64,
    /// Products that were there already and stay as they are.
    pub known_products: u64,
}

impl WriteCounts {
    pub fn nothing(&self) -> bool {
        self.changes() == 0
    }

    /// Those that the table has from this file, now or from an earlier import.
    pub fn purchases(&self) -> u64 {
        self.new_purchases + self.changed_purchases + self.known_purchases
    }

    fn count(&mut self, outcome: &ChangeOutcome) {
        match outcome {
            ChangeOutcome::New => self.new_purchases += 1,
            ChangeOutcome::Same => self.known_purchases += 1,
            ChangeOutcome::Changed { differs } => {
                self.changed_purchases += 1;
                self.differing_purchases += u64::from(*differs);
            }
            ChangeOutcome::Differs | ChangeOutcome::Full(_) | ChangeOutcome::Damaged(_) => {
                self.differing_purchases += 1;
            }
        }
    }

    fn changes(&self) -> u64 {
        self.new_purchases + self.changed_purchases + self.new_products + self.changed_products
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProductWrite {
    New,
    Changed,
    Known,
}

/// Where a product of the file comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProductSource {
    /// A catalogue: it has the product's current state.
    Catalogue,
    /// Purchases: they show only that the product exists.
    Purchases,
}

/// Writes the product unless the catalogue has it just so, but for the time of the change.
async fn put(
    table: &ProductsTable,
    product: &Product,
    catalogue: ProductSource,
) -> Result<ProductWrite, TableError> {
    if catalogue == ProductSource::Purchases {
        return Ok(if table.put_new(product).await? { ProductWrite::New } else { ProductWrite::Known });
    }
    let before = match table.get(&product.product_id).await {
        // A damaged product is overwritten: the file has the correct one.
        Err(TableError::Corrupt { .. }) => None,
        before => before?,
    };
    if let Some(before) = before
        && (Product { updated_at: before.updated_at, ..product.clone() }) == before
    {
        return Ok(ProductWrite::Known);
    }
    Ok(if table.put(product).await? { ProductWrite::New } else { ProductWrite::Changed })
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Checkpoint {
    done: usize,
    written: WriteCounts,
}

/// A chunk's records, and the tables that they go into.
enum LoadedChunk {
    Products(Vec<Product>, ProductSource),
    Purchases(Vec<Purchase>, OnChange),
    Users(Vec<UserId>),
}

impl LoadedChunk {
    async fn read(
        work: &Work,
        chunk: &RecordChunk,
        parameters: &ImportParameters,
    ) -> Result<Self, WorkError> {
        Ok(match chunk.holds {
            ChunkContent::Products => {
                let catalogue = if parameters.kind == RecordKind::Products {
                    ProductSource::Catalogue
                } else {
                    ProductSource::Purchases
                };
                Self::Products(record_chunk::read::<ReadProduct, _>(work, chunk).await?, catalogue)
            }
            ChunkContent::Purchases => {
                let purchases = record_chunk::read::<ReadPurchase, _>(work, chunk).await?;
                Self::Purchases(purchases, parameters.on_change())
            }
            ChunkContent::Users => Self::Users(record_chunk::read::<UserId, _>(work, chunk).await?),
        })
    }

    /// Writes the next group of records; for users, refreshes their histories.
    async fn write(
        &self,
        work: &mut Work,
        tables: &Tables,
        erasures: &Erasures,
        from: usize,
    ) -> Result<(WriteCounts, usize), CallError> {
        match self {
            Self::Products(products, catalogue) => {
                let group = group(products, from, GROUP);
                let table = tables.products().map_err(unnamed)?;
                Ok((write_products(work, &table, group, *catalogue).await?, group.len()))
            }
            Self::Purchases(purchases, on_change) => {
                let group = group(purchases, from, GROUP);
                let table = tables.purchases().map_err(unnamed)?;
                Ok((write_purchases(work, &table, erasures, group, *on_change).await?, group.len()))
            }
            Self::Users(users) => {
                let group = group(users, from, USERS);
                let history = tables.history().map_err(unnamed)?;
                let purchases = tables.purchases().map_err(unnamed)?;
                let damaged =
                    histories::update(work, HistoryAction::Refresh, &history, &purchases, group).await?;
                crate::refuse(work, &damaged);
                Ok((WriteCounts::default(), group.len()))
            }
        }
    }
}

fn group<T>(records: &[T], from: usize, size: usize) -> &[T] {
    let rest = records.get(from..).unwrap_or_default();
    rest.get(..size.min(rest.len())).unwrap_or_default()
}

/// Writes the batch's chunk, with a checkpoint after each group, and then removes it.
pub(super) async fn work(
    work: &mut Work,
    tables: &Tables,
    parameters: &ImportParameters,
) -> Result<Outcome, CallError> {
    let chunk: RecordChunk = work.input()?;
    if work.task().batch == 0 && !chunk.holds.is_users() {
        remove_read(work).await;
    }
    let mut at: Checkpoint = work.checkpoint()?.unwrap_or_default();
    let all = usize::try_from(chunk.items).unwrap_or(usize::MAX);
    // An attempt that got to the end may have removed the chunk.
    if at.done < all {
        let records = LoadedChunk::read(work, &chunk, parameters).await?;
        let erasures = match &records {
            LoadedChunk::Purchases(..) => {
                let erased_users = tables.erased_users().map_err(unnamed)?;
                work.call(Consumes::Reads, || erased_users.load()).await?
            }
            LoadedChunk::Products(..) | LoadedChunk::Users(_) => Erasures::default(),
        };
        while at.done < all {
            let (written, count) = records.write(work, tables, &erasures, at.done).await?;
            if count == 0 {
                let problem = format!(
                    "{} is truncated: it has {} of {all} records. Submit the job again.",
                    chunk.key, at.done
                );
                return Err(WorkError::Failed(problem).into());
            }
            at.written = at.written + written;
            at.done += count;
            if work.save(&at).await? == Go::Stop && at.done < all {
                return Ok(Outcome::Stopped);
            }
        }
    }
    record_chunk::remove(work, &chunk).await;
    Ok(Outcome::done(&WriteResult { written: at.written })?)
}

/// Removes the objects that the earlier stages left for each other; chunks are removed one by one.
async fn remove_read(work: &Work) {
    let run = format!("/{RUN}/");
    let left_over = |key: &str| {
        // The name comes after the number of the attempt.
        let name = key.rsplit('/').next().and_then(|name| name.split_once('-')).map_or("", |(_, name)| name);
        key.contains(&run) || [LAYOUT, INDEX, SIDE].contains(&name)
    };
    work.remove_leftovers("stage-", left_over).await;
}

async fn write_products(
    work: &mut Work,
    table: &ProductsTable,
    group: &[Product],
    catalogue: ProductSource,
) -> Result<WriteCounts, CallError> {
    let (mut written, mut progress) = (WriteCounts::default(), work.progress);
    let metered = MeteredCalls::new(work);
    let call = |product| metered.call(Consumes::Writes, move || put(table, product, catalogue));
    let puts: Vec<_> = group.iter().map(call).collect();
    let mut puts = futures::stream::iter(puts).buffer_unordered(WRITERS);
    while let Some((put, units)) = puts.try_next().await? {
        *match put {
            ProductWrite::New => &mut written.new_products,
            ProductWrite::Changed => &mut written.changed_products,
            ProductWrite::Known => &mut written.known_products,
        } += 1;
        progress.read_units += units.read;
        progress.write_units += units.write;
    }
    drop(puts);
    progress.processed += count(group);
    progress.matched += count(group);
    progress.changed += written.changes();
    work.progress = progress;
    Ok(written)
}

async fn write_purchases(
    work: &mut Work,
    table: &PurchasesTable,
    erasures: &Erasures,
    group: &[Purchase],
    on_change: OnChange,
) -> Result<WriteCounts, CallError> {
    let (mut written, mut progress) = (WriteCounts::default(), work.progress);
    let is_erased =
        |purchase: &&Purchase| erasures.covers(purchase.user_id.as_str(), Some(purchase.purchased_at));
    let (erased, taken): (Vec<&Purchase>, Vec<&Purchase>) = group.iter().partition(is_erased);
    written.erased_purchases = count(&erased);
    let mut refused = Vec::new();
    let metered = MeteredCalls::new(work);
    let call = |purchase| metered.call(Consumes::Writes, move || table.record_or_change(purchase, on_change));
    let records: Vec<_> = taken.iter().copied().map(call).collect();
    let mut records = futures::stream::iter(records).buffered(WRITERS);
    let mut purchases = taken.iter().copied();
    while let (Some((outcome, units)), Some(purchase)) = (records.try_next().await?, purchases.next()) {
        written.count(&outcome);
        if let Some((reason, text)) = refusal(outcome) {
            refused.push((purchase, reason, text));
        }
        progress.write_units += units.write;
    }
    drop(records);
    progress.processed += count(group);
    progress.matched += count(group);
    progress.changed += written.changes();
    work.progress = progress;
    for (purchase, reason, text) in refused {
        work.refuse(&json!({ "text": text, "raw": purchase }), reason);
    }
    Ok(written)
}

/// Why the file's content of a purchase is not stored, if it is not.
fn refusal(outcome: ChangeOutcome) -> Option<(&'static str, String)> {
    const THERE: &str = "the table already has a purchase with this user and id";
    Some(match outcome {
        ChangeOutcome::New | ChangeOutcome::Same | ChangeOutcome::Changed { differs: false } => return None,
        ChangeOutcome::Differs => ("purchase_differs", format!("{THERE}, with other content")),
        ChangeOutcome::Changed { differs: true } => {
            let text =
                format!("{THERE}: it got the lines that it lacked; others have another quantity or price");
            ("purchase_differs", text)
        }
        ChangeOutcome::Full(error) => {
            ("purchase_full", format!("{THERE}, which cannot get the lines that it lacks: it {error}"))
        }
        ChangeOutcome::Damaged(found) => {
            let text = format!("the table's purchase with this user and id is damaged: {}", found.problem);
            ("purchase_damaged", text)
        }
    })
}

fn count<T>(items: &[T]) -> u64 {
    u64::try_from(items.len()).unwrap_or(u64::MAX)
}
