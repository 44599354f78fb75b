//! Stages `write` and `histories`: chunks of records into the tables.

use std::ops::Add;

use futures::{StreamExt, TryStreamExt};
use nextbasket_batch::work::Go;
use nextbasket_batch::{Outcome, Work, WorkError};
use nextbasket_domain::{Product, Purchase, UserId};
use nextbasket_dynamodb::TableError;
use nextbasket_tables::Tables;
use nextbasket_tables::products::ProductsTable;
use nextbasket_tables::purchases::{PurchasesTable, Recorded};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::chunk::{self, Chunk, ReadProduct, ReadPurchase, Records};
use super::parameters::Holds;
use super::result::WriteResult;
use super::{INDEX, LAYOUT, RUN, SIDE};
use crate::histories::{self, What};
use crate::unnamed;
use nextbasket_job_io::leftovers;
use nextbasket_job_io::patience::{Halt, Pace, Touches};

/// How many records are written at a time.
const WRITERS: usize = 32;
/// How many records lie between two checkpoints.
const GROUP: usize = 400;
/// How many users do.
const USERS: usize = 200;

/// What became of the records that files hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Written {
    /// Purchases that are new.
    pub new_purchases: u64,
    /// Purchases that were there already, with the same content.
    pub known_purchases: u64,
    /// Purchases whose id was there with other content; they are refused.
    pub differing_purchases: u64,
    /// Products that are new.
    pub new_products: u64,
    /// Products of a catalogue that were there and are now as the file says.
    pub changed_products: u64,
    /// Products that were there already and stay as they are.
    pub known_products: u64,
}

impl Written {
    /// Whether everything was there already.
    #[must_use]
    pub fn nothing(&self) -> bool {
        self.changes() == 0
    }

    fn changes(&self) -> u64 {
        self.new_purchases + self.new_products + self.changed_products
    }
}

impl Add for Written {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            new_purchases: self.new_purchases + other.new_purchases,
            known_purchases: self.known_purchases + other.known_purchases,
            differing_purchases: self.differing_purchases + other.differing_purchases,
            new_products: self.new_products + other.new_products,
            changed_products: self.changed_products + other.changed_products,
            known_products: self.known_products + other.known_products,
        }
    }
}

/// What became of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Put {
    New,
    Changed,
    Known,
}

/// How a product is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Catalogue {
    /// A catalogue says how a product is now.
    Says,
    /// A purchase says only that it was there.
    Lacks,
}

/// Writes the product unless the catalogue has it just so, but for the time of the change.
async fn put(table: &ProductsTable, product: &Product, catalogue: Catalogue) -> Result<Put, TableError> {
    if catalogue == Catalogue::Lacks {
        return Ok(if table.put_new(product).await? { Put::New } else { Put::Known });
    }
    let before = match table.get(&product.product_id).await {
        // A damaged product is overwritten: the file has the correct one.
        Err(TableError::Corrupt { .. }) => None,
        before => before?,
    };
    if let Some(before) = before
        && (Product { updated_at: before.updated_at, ..product.clone() }) == before
    {
        return Ok(Put::Known);
    }
    Ok(if table.put(product).await? { Put::New } else { Put::Changed })
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Checkpoint {
    /// How many of the chunk's records are done.
    done: usize,
    written: Written,
}

/// A chunk's records, and the tables that they go into.
enum Loaded {
    Products(Vec<Product>, Catalogue),
    Purchases(Vec<Purchase>),
    Users(Vec<UserId>),
}

impl Loaded {
    async fn read(work: &Work, chunk: &Chunk, holds: Holds) -> Result<Self, WorkError> {
        Ok(match chunk.holds {
            Records::Products => {
                let catalogue = if holds == Holds::Products { Catalogue::Says } else { Catalogue::Lacks };
                Self::Products(chunk::read::<ReadProduct, _>(work, chunk).await?, catalogue)
            }
            Records::Purchases => Self::Purchases(chunk::read::<ReadPurchase, _>(work, chunk).await?),
            Records::Users => Self::Users(chunk::read::<UserId, _>(work, chunk).await?),
        })
    }

    /// Writes so many records from this one on; for users, brings their histories in line.
    async fn write(&self, work: &mut Work, tables: &Tables, from: usize) -> Result<(Written, usize), Halt> {
        match self {
            Self::Products(products, catalogue) => {
                let group = group(products, from, GROUP);
                let table = tables.products().map_err(unnamed)?;
                Ok((write_products(work, &table, group, *catalogue).await?, group.len()))
            }
            Self::Purchases(purchases) => {
                let group = group(purchases, from, GROUP);
                let table = tables.purchases().map_err(unnamed)?;
                Ok((write_purchases(work, &table, group).await?, group.len()))
            }
            Self::Users(users) => {
                let group = group(users, from, USERS);
                let history = tables.history().map_err(unnamed)?;
                let purchases = tables.purchases().map_err(unnamed)?;
                let damaged = histories::keep(work, What::Refresh, &history, &purchases, group).await?;
                crate::refuse(work, &damaged);
                Ok((Written::default(), group.len()))
            }
        }
    }
}

fn group<T>(records: &[T], from: usize, size: usize) -> &[T] {
    let rest = records.get(from..).unwrap_or_default();
    rest.get(..size.min(rest.len())).unwrap_or_default()
}

/// Writes the batch's chunk, with a checkpoint after each group, and then removes it.
pub(super) async fn work(work: &mut Work, tables: &Tables, holds: Holds) -> Result<Outcome, WorkError> {
    match write(work, tables, holds).await {
        Ok(written) => Outcome::done(&WriteResult { written }),
        Err(halt) => halt.outcome(),
    }
}

async fn write(work: &mut Work, tables: &Tables, holds: Holds) -> Result<Written, Halt> {
    let chunk: Chunk = work.input()?;
    if work.task().batch == 0 && !chunk.holds.is_users() {
        remove_read(work).await;
    }
    let mut at: Checkpoint = work.checkpoint()?.unwrap_or_default();
    let all = usize::try_from(chunk.items).unwrap_or(usize::MAX);
    // An attempt that got to the end may have removed the chunk.
    if at.done < all {
        let records = Loaded::read(work, &chunk, holds).await?;
        while at.done < all {
            let (written, count) = records.write(work, tables, at.done).await?;
            if count == 0 {
                let problem = format!("{}: {} of {all} records are there", chunk.key, at.done);
                return Err(WorkError::Failed(problem).into());
            }
            at.written = at.written + written;
            at.done += count;
            if work.save(&at).await? == Go::Stop && at.done < all {
                return Err(Halt::Stopped);
            }
        }
    }
    chunk::remove(work, &chunk).await;
    Ok(at.written)
}

/// Removes the objects that the earlier stages left for each other; chunks are removed one by one.
async fn remove_read(work: &Work) {
    let run = format!("/{RUN}/");
    let left_over = |key: &str| {
        // The name comes after the number of the attempt.
        let name = key.rsplit('/').next().and_then(|name| name.split_once('-')).map_or("", |(_, name)| name);
        key.contains(&run) || [LAYOUT, INDEX, SIDE].contains(&name)
    };
    leftovers::remove(work, "stage-", left_over).await;
}

async fn write_products(
    work: &mut Work,
    table: &ProductsTable,
    group: &[Product],
    catalogue: Catalogue,
) -> Result<Written, Halt> {
    let (mut written, mut progress) = (Written::default(), work.progress);
    let pace = Pace::of(work);
    let call = |product| pace.call(Touches::Writes, move || put(table, product, catalogue));
    let puts: Vec<_> = group.iter().map(call).collect();
    let mut puts = futures::stream::iter(puts).buffer_unordered(WRITERS);
    while let Some((put, units)) = puts.try_next().await? {
        *match put {
            Put::New => &mut written.new_products,
            Put::Changed => &mut written.changed_products,
            Put::Known => &mut written.known_products,
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
    group: &[Purchase],
) -> Result<Written, Halt> {
    let (mut written, mut progress) = (Written::default(), work.progress);
    let (mut differing, mut damaged) = (Vec::new(), Vec::new());
    let pace = Pace::of(work);
    let call = |purchase| pace.call(Touches::Writes, move || table.record(purchase));
    let records: Vec<_> = group.iter().map(call).collect();
    let mut records = futures::stream::iter(records).buffered(WRITERS);
    let mut purchases = group.iter();
    while let (Some((recorded, units)), Some(purchase)) = (records.try_next().await?, purchases.next()) {
        match recorded {
            Recorded::New => written.new_purchases += 1,
            Recorded::Before(before) if *before == *purchase => written.known_purchases += 1,
            Recorded::Before(_) => {
                written.differing_purchases += 1;
                differing.push(purchase);
            }
            Recorded::Damaged(found) => {
                written.differing_purchases += 1;
                damaged.push((purchase, found));
            }
        }
        progress.write_units += units.write;
    }
    drop(records);
    progress.processed += count(group);
    progress.matched += count(group);
    progress.changed += written.changes();
    work.progress = progress;
    for purchase in differing {
        let text = "the table has a purchase of this user and id with other content";
        work.refuse(&json!({ "text": text, "raw": purchase }), "purchase_differs");
    }
    for (purchase, found) in damaged {
        let text = format!("the table's purchase of this user and id is damaged: {}", found.problem);
        work.refuse(&json!({ "text": text, "raw": purchase }), "purchase_damaged");
    }
    Ok(written)
}

fn count<T>(items: &[T]) -> u64 {
    u64::try_from(items.len()).unwrap_or(u64::MAX)
}
