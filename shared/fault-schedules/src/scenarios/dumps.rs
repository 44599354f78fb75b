//! Dumps and restores, and the kinds that compare them.

use std::collections::BTreeMap;
use std::io::Read;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use nextbasket_dynamodb::item::{Item, number};
use serde_json::{Value, json};

use super::items::{self, all, equal, filled, sorted};
use crate::jobs::{self, counts, in_small_pages, run_without_faults};
use crate::world::broken;
use crate::{Checked, World, ensure};

/// The summary is written last: a dump is complete if and only if it has one.
const SUMMARY: &str = "manifest-summary.json";

/// The folders below a prefix that hold a complete dump, as keys.
async fn complete(world: &World, prefix: &str) -> Checked<Vec<String>> {
    let keys = items::objects(world, prefix).await?;
    Ok(keys.iter().filter_map(|key| key.strip_suffix(SUMMARY)).map(str::to_owned).collect())
}

/// Reads the items of a complete dump in DynamoDB JSON without the product's code, and checks that every file is
/// there, with its MD5 and the number of lines in the manifest.
async fn lines(world: &World, folder: &str) -> Checked<Vec<String>> {
    let summary: Value = serde_json::from_slice(&items::object(world, &format!("{folder}{SUMMARY}")).await?)
        .map_err(broken)?;
    let files = items::object(world, &format!("{folder}manifest-files.json")).await?;
    let mut lines = Vec::new();
    for file in String::from_utf8_lossy(&files).lines() {
        let file: Value = serde_json::from_str(file).map_err(broken)?;
        let key = file["dataFileS3Key"].as_str().unwrap_or_default();
        let there = items::objects(world, key).await?;
        ensure!(there.iter().any(|there| there == key), "{key} is in the manifest and not there");
        let content = items::object(world, key).await?;
        let md5 = STANDARD.encode(Md5::digest(&content));
        ensure!(file["md5Checksum"] == json!(md5), "{key} has another MD5 than the manifest says");
        let mut text = String::new();
        flate2::read::MultiGzDecoder::new(content.as_slice()).read_to_string(&mut text).map_err(broken)?;
        let before = lines.len();
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).map_err(broken)?;
            lines.push(normal(&line["Item"]).to_string());
        }
        ensure!(file["itemCount"] == json!(lines.len() - before), "{key} has another count: {file}");
    }
    ensure!(summary["itemCount"] == json!(lines.len()), "{} lines: {summary}", lines.len());
    lines.sort_unstable();
    Ok(lines)
}

fn normal(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| {
                let mut value = normal(value);
                if let (true, Some(set)) = (matches!(name.as_str(), "SS" | "NS" | "BS"), value.as_array_mut())
                {
                    set.sort_by_key(ToString::to_string);
                }
                (name.clone(), value)
            };
            Value::Object(fields.iter().map(field).collect())
        }
        Value::Array(values) => values.iter().map(normal).collect(),
        other => other.clone(),
    }
}

fn as_lines<'i>(items: impl IntoIterator<Item = &'i Item>) -> Vec<String> {
    let mut lines: Vec<String> = items.into_iter().map(|item| normal(&fields(item)).to_string()).collect();
    lines.sort_unstable();
    lines
}

fn fields(item: &Item) -> Value {
    Value::Object(item.iter().map(|(name, value)| (name.clone(), value_json(value))).collect())
}

fn value_json(value: &aws_sdk_dynamodb::types::AttributeValue) -> Value {
    use aws_sdk_dynamodb::types::AttributeValue as V;
    let base64 = |bytes: &[u8]| json!(STANDARD.encode(bytes));
    match value {
        V::S(text) => json!({ "S": text }),
        V::N(digits) => json!({ "N": digits }),
        V::B(bytes) => json!({ "B": base64(bytes.as_ref()) }),
        V::Bool(flag) => json!({ "BOOL": flag }),
        V::Ss(set) => json!({ "SS": set }),
        V::Ns(set) => json!({ "NS": set }),
        V::Bs(set) => json!({ "BS": set.iter().map(|b| base64(b.as_ref())).collect::<Vec<_>>() }),
        V::L(list) => json!({ "L": list.iter().map(value_json).collect::<Vec<_>>() }),
        V::M(map) => json!({ "M": fields(map) }),
        _ => json!({ "NULL": true }),
    }
}

/// The destination as a parameter of jobs and as a prefix of keys.
fn place(world: &World, name: &str) -> (String, String) {
    let prefix = format!("{}/", world.named(name));
    (items::object_name(world, prefix.trim_end_matches('/')), prefix)
}

pub(super) async fn dump(world: &World) -> Checked {
    let (table, count) = (world.named("dumped"), 1 + world.below(40));
    let put = filled(world, &table, world.below(2) == 0, count).await?;
    let (to, prefix) = place(world, "dump");
    let format = world.one_of(&["dynamodb-json", "dynamodb-json", "csv", "json-lines"]);
    let mut parameters = in_small_pages(world, json!({ "table": table, "to": to, "format": format }));
    if world.below(2) == 0 {
        parameters["fileBytes"] = json!(1_000);
    }
    // An older dump, which is removed once there is a newer one, and not before.
    let older = world.below(3) == 0 && format == "dynamodb-json";
    if older {
        run_without_faults(world, "dump", json!({ "table": table, "to": to, "segments": 1 })).await?;
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        parameters["keep"] = json!({ "count": 1 });
    }
    let result = jobs::run(world, "dump", parameters).await?;
    let complete = complete(world, &prefix).await?;
    if let Some(result) = result {
        let [items, refused] = counts(&result, ["items", "refused"])?;
        ensure!((items, refused) == (count, 0), "{count} items: {result}");
        ensure!(complete.len() == 1, "{} dumps are there, one should be: {complete:?}", complete.len());
    }
    ensure!(!older || !complete.is_empty(), "the older dump is gone, and no newer one is there");
    for folder in &complete {
        if format == "dynamodb-json" {
            equal(&format!("the dump {folder}"), &lines(world, folder).await?, &as_lines(put.values()))?;
        } else {
            let back = world.named("back");
            let from = items::object_name(world, folder.trim_end_matches('/'));
            run_without_faults(world, "restore", json!({ "from": from, "table": back, "create": true }))
                .await?;
            equal(&format!("the dump {folder}"), &sorted(&all(world, &back).await?), &sorted(put.values()))?;
            items::remove(world, &back).await?;
        }
    }
    items::remove(world, &table).await
}

pub(super) async fn restore(world: &World) -> Checked {
    let (table, into, count) = (world.named("from"), world.named("into"), 1 + world.below(40));
    let two_keys = world.below(2) == 0;
    let put = filled(world, &table, two_keys, count).await?;
    let (to, prefix) = place(world, "source");
    let mut dumping = json!({ "table": table, "to": to, "segments": 1 + world.below(3) });
    dumping["format"] = json!(world.one_of(&["dynamodb-json", "csv", "json-lines"]));
    run_without_faults(world, "dump", dumping).await?;
    ensure!(complete(world, &prefix).await?.len() == 1, "the dump is not there");
    let on = world.one_of(&["overwrite", "skip", "fail"]);
    let mut parameters = json!({ "from": to, "table": into, "onConflict": on, "width": 1 + world.below(3) });
    let mut kept: BTreeMap<u64, Item> = BTreeMap::new();
    if world.below(2) == 0 {
        parameters["create"] = json!(true);
    } else {
        items::make(world, &into, two_keys).await?;
        for (id, item) in &put {
            if on != "fail" && world.below(4) == 0 {
                let mut item = item.clone();
                item.insert("n".to_owned(), number(9));
                kept.insert(*id, item);
            }
        }
        items::put(world, &into, kept.values().cloned()).await?;
    }
    let result = jobs::run(world, "restore", parameters).await?;
    if let Some(result) = &result {
        let [lines, refused] = counts(result, ["lines", "refused"])?;
        ensure!((lines, refused) == (count, 0), "{count} items: {result}");
        let wanted = put.iter().map(|(id, item)| match kept.get(id) {
            Some(kept) if on == "skip" => kept,
            _ => item,
        });
        equal("the restored table", &sorted(&all(world, &into).await?), &sorted(wanted))?;
    }
    items::remove(world, &table).await?;
    // A job that failed may not have created the table.
    if result.is_some() || world.observer().dynamodb.describe_table().table_name(&into).send().await.is_ok() {
        items::remove(world, &into).await?;
    }
    Ok(())
}

/// A table, and a copy in which some items are changed, missing or new. Returns how many are only in the table, only
/// in the copy, and different.
async fn altered(world: &World, table: &str, copy: &str) -> Checked<[u64; 3]> {
    let (count, two_keys) = (1 + world.below(40), world.below(2) == 0);
    let put = filled(world, table, two_keys, count).await?;
    items::make(world, copy, two_keys).await?;
    let (mut other, mut found) = (put, [0; 3]);
    if world.below(2) == 0 {
        for id in 0..count {
            match world.below(12) {
                0 => {
                    other.remove(&id);
                    found[0] += 1;
                }
                1 => {
                    if let Some(item) = other.get_mut(&id) {
                        item.insert("n".to_owned(), number(3));
                    }
                    found[2] += 1;
                }
                2 => {
                    other.insert(1_000 + id, items::item(world, 1_000 + id, two_keys));
                    found[1] += 1;
                }
                _ => {}
            }
        }
    }
    items::put(world, copy, other.into_values()).await?;
    Ok(found)
}

pub(super) async fn verify(world: &World) -> Checked {
    let (table, copy) = (world.named("left"), world.named("right"));
    let found = altered(world, &table, &copy).await?;
    let equal = found == [0; 3];
    let parameters = if world.below(2) == 0 {
        let (to, _) = place(world, "verified");
        run_without_faults(world, "dump", json!({ "table": table, "to": to, "segments": 2 })).await?;
        json!({ "dump": to, "table": copy })
    } else {
        json!({ "table": table, "other": { "table": copy } })
    };
    if let Some(result) = jobs::run(world, "verify", in_small_pages(world, parameters)).await? {
        ensure!(result["equal"] == json!(equal), "{found:?} items differ: {result}");
    }
    items::remove(world, &table).await?;
    items::remove(world, &copy).await
}

pub(super) async fn diff(world: &World) -> Checked {
    let (table, copy) = (world.named("left"), world.named("right"));
    let found = altered(world, &table, &copy).await?;
    let output = world.named("differences.jsonl");
    let left = if world.below(2) == 0 {
        let (to, _) = place(world, "compared");
        run_without_faults(world, "dump", json!({ "table": table, "to": to, "segments": 2 })).await?;
        json!({ "dump": to })
    } else {
        json!({ "table": table })
    };
    let parameters = json!({
        "left": left, "right": { "table": copy }, "output": items::object_name(world, &output),
    });
    if let Some(result) = jobs::run(world, "diff", in_small_pages(world, parameters)).await? {
        let says = counts(&result, ["onlyLeft", "onlyRight", "differing"])?;
        ensure!(says == found, "{found:?} items differ: {result}");
        let lines = String::from_utf8_lossy(&items::object(world, &output).await?).lines().count();
        ensure!(lines as u64 == found.iter().sum::<u64>(), "{found:?} items differ, {lines} lines name them");
    }
    items::remove(world, &table).await?;
    items::remove(world, &copy).await
}
