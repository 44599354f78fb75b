//! Stage `publish`: the sums to lists in the model table.

use std::collections::{BTreeSet, HashMap};

use futures::StreamExt;
use nextbasket_batch::{Outcome, Work, WorkError};
use nextbasket_domain::{Category, ProductId, Timestamp};
use nextbasket_tables::Tables;
use nextbasket_tables::popular::{Made, Popular};
use nextbasket_tables::products::ProductsTable;
use serde::Deserialize;
use serde_json::json;

use super::read::BASKETS;
use super::sums::{Sums, WINDOWS};
use crate::{refuse, unnamed};
use nextbasket_job_io::patience::{Halt, Pace, Touches};

/// How many products' cards are read in a call.
const CARDS: usize = 100;
/// How many objects are removed at a time.
const REMOVERS: usize = 16;

#[derive(Deserialize)]
struct Input {
    /// The object with the sums.
    sums: String,
    /// How many products a list has at the most.
    products: usize,
}

pub(super) async fn work(work: &mut Work, tables: &Tables) -> Result<Outcome, WorkError> {
    match publish(work, tables).await {
        Ok(result) => Outcome::done(&result),
        Err(halt) => halt.outcome(),
    }
}

async fn publish(work: &mut Work, tables: &Tables) -> Result<serde_json::Value, Halt> {
    let input: Input = work.input()?;
    let content = work.site().objects.get(&input.sums).await.map_err(WorkError::from)?;
    let sums: Sums = serde_json::from_slice(&content)
        .map_err(|error| WorkError::Failed(format!("{}: {error}", input.sums)))?;
    let best: Vec<Vec<(&str, f64)>> =
        (0..WINDOWS.len()).map(|window| sums.best(window, input.products)).collect();
    let ids: BTreeSet<&str> = best.iter().flatten().map(|(id, _)| *id).collect();
    let categories = categories(work, &tables.products().map_err(unnamed)?, &ids).await?;
    let listed = |(id, share): &(&str, f64)| {
        Some(Popular {
            product_id: ProductId::parse(id).ok()?,
            share: *share,
            categories: categories.get(*id).cloned().unwrap_or_default(),
        })
    };
    let lists: Vec<(&str, Vec<Popular>)> = WINDOWS
        .into_iter()
        .zip(&best)
        .map(|(window, best)| (window, best.iter().filter_map(listed).collect()))
        .collect();
    let newest = Timestamp::from_millis(sums.newest).unwrap_or(Timestamp::EPOCH);
    // The lists are as old as the reading that they come from.
    let at = work.job().started_at.unwrap_or(work.job().created_at);
    let made = Made { at, newest, purchases: sums.purchases };
    let table = tables.popular().map_err(unnamed)?;
    let (written, units) = Pace::of(work).call(Touches::Writes, || table.put(&made, &lists)).await?;
    work.progress.write_units += units.write;
    let counts: HashMap<&str, usize> = WINDOWS.into_iter().zip(written).collect();
    remove_baskets(work).await;
    let listed = u64::try_from(counts.values().sum::<usize>()).unwrap_or(u64::MAX);
    work.progress.processed = listed;
    work.progress.matched = listed;
    work.progress.changed = listed;
    Ok(json!({
        "purchases": sums.purchases,
        "products": sums.products.len(),
        "newest": newest,
        "madeAt": made.at,
        "lists": counts,
        "published": true,
    }))
}

/// The categories of those of the products that the catalogue has.
async fn categories(
    work: &mut Work,
    table: &ProductsTable,
    ids: &BTreeSet<&str>,
) -> Result<HashMap<String, Vec<Category>>, Halt> {
    let ids: Vec<ProductId> = ids.iter().filter_map(|id| ProductId::parse(id).ok()).collect();
    let mut categories = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(CARDS) {
        let (cards, units) = Pace::of(work).call(Touches::Reads, || table.cards(ids)).await?;
        work.progress.read_units += units.read;
        refuse(work, &cards.damaged);
        categories.extend(cards.items.into_iter().map(|card| (card.product_id.to_string(), card.categories)));
    }
    Ok(categories)
}

/// Removes what stage `read` left, also its attempts that were cut off.
async fn remove_baskets(work: &Work) {
    let objects = &work.site().objects;
    let keys = match objects.list(&work.job_object("stage-")).await {
        Ok(keys) => keys,
        Err(error) => {
            tracing::warn!(%error, "what was read stays until the bucket's own rules remove it");
            return;
        }
    };
    let removals: Vec<_> = keys
        .into_iter()
        .filter(|key| key.rsplit('/').next().is_some_and(|name| name.contains(BASKETS)))
        .map(|key| objects.client().delete_object().bucket(objects.bucket()).key(key).send())
        .collect();
    let mut removed = futures::stream::iter(removals).buffer_unordered(REMOVERS);
    while let Some(removed) = removed.next().await {
        if let Err(error) = removed {
            tracing::warn!(%error, "an object stays until the bucket's own rules remove it");
        }
    }
}
