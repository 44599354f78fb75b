//! The kinds on the items of any table.

use std::collections::BTreeMap;

use nextbasket_dynamodb::item::{Item, number};
use serde_json::{Value, json};

use super::items::{self, by_number, equal, filled, int, sorted};
use crate::jobs::{self, counts, run_without_faults};
use crate::{Checked, World, ensure};

/// The job's parameters, in small pages.
fn small(world: &World, table: &str, mut parameters: Value) -> Value {
    parameters["table"] = json!(table);
    parameters["batchSize"] = json!(2 + world.below(8));
    parameters["segments"] = json!(1 + world.below(4));
    parameters["width"] = json!(1 + world.below(4));
    if world.below(3) == 0 {
        parameters["consistentRead"] = json!(true);
    }
    parameters
}

fn split(world: &World, parameters: &mut Value) {
    match world.below(4) {
        0 => parameters["split"] = json!({ "by": "time", "attribute": "at", "every": "1d" }),
        1 => parameters["split"] = json!({ "by": "feature", "attribute": "user", "parts": 3 }),
        _ => {}
    }
}

pub(super) async fn count(world: &World) -> Checked {
    let (table, all) = (world.named("count"), 1 + world.below(40));
    let put = filled(world, &table, world.below(2) == 0, all).await?;
    let least = world.below(all + 1);
    let mut parameters = small(world, &table, json!({ "where": format!("id >= {least}") }));
    split(world, &mut parameters);
    let by_bins = parameters.get("split").is_some();
    if let Some(result) = jobs::run(world, "count", parameters).await? {
        let [processed, matched] = counts(&result, ["processed", "matched"])?;
        ensure!(
            (processed, matched) == (all, all - least),
            "{all} items, {} that meet it: counted {result}",
            all - least
        );
        if by_bins {
            let parts = result["parts"].as_object().cloned().unwrap_or_default();
            let sum: u64 = parts.values().filter_map(Value::as_u64).sum();
            ensure!(sum == all - least, "the parts have {sum} of {}: {result}", all - least);
        }
    }
    ensure!(by_number(world, &table).await? == put, "counting has changed the table");
    items::remove(world, &table).await
}

pub(super) async fn update(world: &World) -> Checked {
    let (table, all) = (world.named("update"), 1 + world.below(40));
    let put = filled(world, &table, world.below(2) == 0, all).await?;
    let least = world.below(all);
    let (set, once) = match world.below(4) {
        0 => ("n = n + 1, last = n", true),
        1 => ("ADD n 1", true),
        2 => ("status = 'done'", false),
        _ => ("status = 'done' ADD seen <<'x'>>", false),
    };
    let mut parameters = small(world, &table, json!({ "set": set, "where": format!("id >= {least}") }));
    if once {
        split(world, &mut parameters);
    }
    let result = jobs::run(world, "update", parameters).await?;
    let there = by_number(world, &table).await?;
    ensure!(there.len() == put.len(), "{} of {} items are there", there.len(), put.len());
    for (id, item) in &there {
        let meant = *id >= least;
        if once {
            let n = int(item, "n");
            let fits = if meant && result.is_none() { n <= Some(1) } else { n == Some(u64::from(meant)) };
            ensure!(fits && n.is_some(), "item {id} was changed {n:?} times: {}", items::shown(item));
        } else if result.is_some() || !meant {
            let done = item["status"] == nextbasket_dynamodb::item::text("done");
            ensure!(done == meant, "item {id}: {}", items::shown(item));
        }
    }
    if let Some(result) = result {
        let [processed, matched, changed, skipped, refused] =
            counts(&result, ["processed", "matched", "changed", "skipped", "refused"])?;
        let meant = all - least;
        ensure!((processed, matched, refused) == (all, meant, 0), "{meant} of {all}: {result}");
        if once {
            ensure!((changed, skipped) == (meant, 0), "{meant} of {all}: {result}");
        } else {
            ensure!(changed + skipped <= meant, "{meant} of {all}: {result}");
        }
    }
    items::remove(world, &table).await
}

pub(super) async fn delete(world: &World) -> Checked {
    let (table, all) = (world.named("delete"), 1 + world.below(40));
    let put = filled(world, &table, world.below(2) == 0, all).await?;
    let least = world.below(all + 1);
    let parameters = small(world, &table, json!({ "where": format!("id >= {least}") }));
    let result = jobs::run(world, "delete", parameters).await?;
    let there = by_number(world, &table).await?;
    for (id, item) in &put {
        match there.get(id) {
            Some(same) => ensure!(
                item == same && (*id < least || result.is_none()),
                "item {id} is there: {}",
                items::shown(same)
            ),
            None => ensure!(*id >= least, "item {id} is gone, and was not meant"),
        }
    }
    if let Some(result) = result {
        let [refused, changed] = counts(&result, ["refused", "changed"])?;
        ensure!(refused == 0 && changed <= all - least, "{} of {all}: {result}", all - least);
    }
    items::remove(world, &table).await
}

pub(super) async fn copy(world: &World) -> Checked {
    let (from, to, all) = (world.named("from"), world.named("to"), 1 + world.below(40));
    let two_keys = world.below(2) == 0;
    let put = filled(world, &from, two_keys, all).await?;
    items::make(world, &to, two_keys).await?;
    let on = world.one_of(&["overwrite", "skip", "fail", "ifNewer"]);
    // Some items exist already, with other content.
    let mut before: BTreeMap<u64, Item> = BTreeMap::new();
    for (id, item) in &put {
        if on != "fail" && world.below(4) == 0 {
            let mut item = item.clone();
            item.insert("n".to_owned(), number(7));
            item.insert("at".to_owned(), number(int(&item, "at").unwrap_or(0) + 5 - world.below(2) * 10));
            before.insert(*id, item);
        }
    }
    items::put(world, &to, before.values().cloned()).await?;
    let conflict = if on == "ifNewer" { json!({ "ifNewer": "at" }) } else { json!(on) };
    let parameters = small(world, &from, json!({ "to": { "table": to }, "onConflict": conflict }));
    let result = jobs::run(world, "copy", parameters).await?;
    let wanted = |id: &u64, item: &Item| match (on, before.get(id)) {
        ("skip", Some(there)) => there.clone(),
        ("ifNewer", Some(there)) if int(there, "at") >= int(item, "at") => there.clone(),
        _ => item.clone(),
    };
    let wanted: BTreeMap<u64, Item> = put.iter().map(|(id, item)| (*id, wanted(id, item))).collect();
    let there = by_number(world, &to).await?;
    if let Some(result) = result {
        equal("the copy differs", &sorted(there.values()), &sorted(wanted.values()))?;
        let [processed, matched, refused] = counts(&result, ["processed", "matched", "refused"])?;
        ensure!((processed, matched, refused) == (all, all, 0), "{all} items: {result}");
    } else {
        for (id, item) in &there {
            ensure!(
                wanted.get(id) == Some(item) || before.get(id) == Some(item),
                "item {id} of the copy is neither: {}",
                items::shown(item)
            );
        }
    }
    ensure!(by_number(world, &from).await? == put, "copying has changed the source");
    items::remove(world, &from).await?;
    items::remove(world, &to).await
}

pub(super) async fn fill(world: &World) -> Checked {
    let (table, like) = (world.named("filled"), world.named("like"));
    let (all, two_keys, seed) = (1 + world.below(60), world.below(2) == 0, world.below(1 << 20));
    items::make(world, &table, two_keys).await?;
    let mut parameters = small(world, &table, json!({ "count": all, "seed": seed }));
    if let Some(fields) = parameters.as_object_mut() {
        fields.remove("consistentRead");
    }
    let result = jobs::run(world, "fill", parameters.clone()).await?;
    let there = items::all(world, &table).await?;
    match result {
        Some(result) => {
            let [processed, changed] = counts(&result, ["processed", "changed"])?;
            ensure!((processed, changed) == (all, all), "{all} items: {result}");
            ensure!(there.len() as u64 == all, "{} of {all} items are there", there.len());
            // The same job without faults.
            items::make(world, &like, two_keys).await?;
            parameters["table"] = json!(like);
            run_without_faults(world, "fill", parameters).await?;
            let same = items::all(world, &like).await?;
            equal("the items differ", &sorted(&there), &sorted(&same))?;
            items::remove(world, &like).await?;
        }
        None => ensure!(there.len() as u64 <= all, "{} items of {all} are there", there.len()),
    }
    items::remove(world, &table).await
}
