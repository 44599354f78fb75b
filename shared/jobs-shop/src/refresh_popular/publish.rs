//! Stage `publish`: the sums to lists in the model table.

use std::collections::{BTreeSet, HashMap};

use nextbasket_domain::{Category, ProductId, Timestamp};
use nextbasket_job_engine::calls::{CallError, Consumes};
use nextbasket_job_engine::{Outcome, Work};
use nextbasket_tables::Tables;
use nextbasket_tables::popular::{Made, Popular};
use nextbasket_tables::products::ProductsTable;
use serde::Deserialize;
use serde_json::json;

use super::popularity_sums::{PopularitySums, WINDOWS};
use crate::{refuse, unnamed};

/// How many products' cards are read in a call.
const CARDS: usize = 100;

#[derive(Deserialize)]
struct Input {
    sums: String,
    products: usize,
}

pub(super) async fn work(work: &mut Work, tables: &Tables) -> Result<Outcome, CallError> {
    let input: Input = work.input()?;
    let sums: PopularitySums = work.read_json(&input.sums).await?;
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
    let written = work.call(Consumes::Writes, || table.put(&made, &lists)).await?;
    let counts: HashMap<&str, usize> = WINDOWS.into_iter().zip(written).collect();
    let listed = u64::try_from(counts.values().sum::<usize>()).unwrap_or(u64::MAX);
    work.progress.processed = listed;
    work.progress.matched = listed;
    work.progress.changed = listed;
    let result = json!({
        "purchases": sums.purchases,
        "products": sums.products.len(),
        "newest": newest,
        "madeAt": made.at,
        "lists": counts,
        "published": true,
    });
    Ok(Outcome::done(&result)?)
}

/// The categories of those of the products that the catalogue has.
async fn categories(
    work: &mut Work,
    table: &ProductsTable,
    ids: &BTreeSet<&str>,
) -> Result<HashMap<String, Vec<Category>>, CallError> {
    let ids: Vec<ProductId> = ids.iter().filter_map(|id| ProductId::parse(id).ok()).collect();
    let mut categories = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(CARDS) {
        let cards = work.call(Consumes::Reads, || table.cards(ids)).await?;
        refuse(work, &cards.damaged);
        categories.extend(cards.items.into_iter().map(|card| (card.product_id.to_string(), card.categories)));
    }
    Ok(categories)
}
