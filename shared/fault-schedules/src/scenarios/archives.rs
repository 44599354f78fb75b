//! Items that move to files: each is in the table or in the archive, whatever happens.

use std::collections::BTreeMap;

use nextbasket_dynamodb::item::Item;
use serde_json::json;

use super::items::{self, by_number, filled};
use crate::jobs::{self, counts, in_small_pages, run_without_faults};
use crate::{Checked, World, ensure};

pub(super) async fn run(world: &World) -> Checked {
    let (table, count) = (world.named("archived"), 1 + world.below(40));
    let put = filled(world, &table, world.below(2) == 0, count).await?;
    let least = world.below(count + 1);
    let prefix = format!("{}/", world.named("archive"));
    let to = items::object_name(world, prefix.trim_end_matches('/'));
    let parameters = json!({ "table": table, "where": format!("id >= {least}"), "to": to });
    let result = jobs::run(world, "archive", in_small_pages(world, parameters)).await?;
    let there = by_number(world, &table).await?;
    for (id, item) in &there {
        ensure!(put.get(id) == Some(item), "item {id} has changed: {}", items::shown(item));
    }
    let gone: BTreeMap<u64, &Item> =
        put.iter().filter(|(id, _)| !there.contains_key(id)).map(|(id, item)| (*id, item)).collect();
    if let Some(id) = gone.keys().find(|id| **id < least) {
        ensure!(false, "item {id} is gone, and was not meant");
    }
    if let Some(result) = result {
        let [deleted, others @ ..] = counts(&result, ["deleted", "changed", "gone", "putBack"])?;
        let meant = count - least;
        ensure!(gone.len() as u64 == meant, "{} of {meant} items are gone: {result}", gone.len());
        // Whatever answers were lost and workers were killed.
        ensure!(deleted == meant && others == [0, 0, 0], "{meant} items: {result}");
    }
    if !gone.is_empty() {
        let back = restored(world, &to).await?;
        for (id, item) in gone {
            ensure!(back.get(&id) == Some(item), "item {id} is gone from the table and not in the archive");
        }
    }
    items::remove(world, &table).await
}

async fn restored(world: &World, from: &str) -> Checked<BTreeMap<u64, Item>> {
    let table = world.named("unarchived");
    let parameters = json!({ "from": from, "table": table, "create": true });
    run_without_faults(world, "restore", parameters).await?;
    let items = by_number(world, &table).await?;
    items::remove(world, &table).await?;
    Ok(items)
}
