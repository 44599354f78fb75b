//! Stage `publish`: the sums to lists in the model table.

use std::collections::{BTreeSet, HashMap};

use nextbasket_domain::{Category, ProductId, Timestamp};
use nextbasket_job_engine::calls::{CallError, Consumes};
use nextbasket_job_engine::{Outcome, Work};
use nextbasket_tables::Tables;
use nextbasket_tables::popular::{Made, Popular, PopularWindow};
use nextbasket_tables::products::ProductsTable;
use serde::Deserialize;
use serde_json::json;

use super::popularity_sums::{BestProduct, PopularitySums, WINDOWS};
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
    let best: Vec<Vec<BestProduct<'_>>> =
        (0..WINDOWS.len()).map(|window| sums.best(window, input.products)).collect();
    let ids: BTreeSet<&str> = best.iter().flatten().map(|best| best.product).collect();
    let categories = categories(work, &tables.products().map_err(unnamed)?, &ids).await?;
    let listed = |best: &BestProduct<'_>| {
        Some(Popular {
            product_id: ProductId::parse(best.product).ok()?,
            share: best.share,
            baskets: u32::try_from(best.baskets).unwrap_or(u32::MAX),
            shoppers: u32::try_from(best.shoppers).unwrap_or(u32::MAX),
            categories: categories.get(best.product).cloned().unwrap_or_default(),
        })
    };
    let lists: Vec<(&str, PopularWindow)> = (0..)
        .zip(WINDOWS)
        .zip(&best)
        .map(|((at, window), best)| {
            let products = best.iter().filter_map(listed).collect();
            (window, PopularWindow { purchases: sums.purchases_in(at), products })
        })
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
