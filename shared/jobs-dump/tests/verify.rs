//! Damage that is found, and differences that are named.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use common::{ID, World, items, small};
use nextbasket_dynamodb::item::text;
use serde_json::{Value, json};

/// A dump of 200 items in two files or more, in a folder; its folder and its data files.
async fn dumped(world: &World, name: &str) -> (PathBuf, Vec<PathBuf>) {
    let parameters = json!({ "table": "sound", "to": world.local(name), "segments": 4 });
    let dumped = world.done("dump", parameters).await;
    let folder = PathBuf::from(dumped["dumps"][0]["folder"].as_str().unwrap());
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder.join("data")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    (folder, files)
}

fn name(file: &Path) -> String {
    format!("data/{}", file.file_name().unwrap().to_str().unwrap())
}

async fn problems(world: &World, folder: &Path) -> Vec<String> {
    let verified = world.done("verify", json!({ "dump": folder })).await;
    let problems: Vec<String> = serde_json::from_value(verified["problems"].clone()).unwrap();
    assert_eq!(verified["equal"], json!(problems.is_empty()));
    problems
}

fn change(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut content = std::fs::read(file).unwrap();
    change(&mut content);
    std::fs::write(file, content).unwrap();
}

fn unpacked(content: &[u8]) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(content).read_to_string(&mut text).unwrap();
    text
}

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_damage_is_found_and_named() {
    let world = World::start().await;
    world.make_table("sound", &ID).await;
    world.put_all("sound", &items(&ID, 200, 21)).await;

    let (folder, _) = dumped(&world, "sound").await;
    assert_eq!(problems(&world, &folder).await, [""; 0]);

    let (folder, files) = dumped(&world, "flipped").await;
    change(&files[1], |content| {
        let middle = content.len() / 2;
        content[middle] ^= 1;
    });
    let found = problems(&world, &folder).await;
    assert!(found.iter().any(|problem| problem.starts_with(&name(&files[1]))), "{found:?}");
    assert!(!found.iter().any(|problem| problem.starts_with(&name(&files[0]))), "{found:?}");

    let (folder, files) = dumped(&world, "missing").await;
    std::fs::remove_file(&files[0]).unwrap();
    let found = problems(&world, &folder).await;
    assert!(found.contains(&format!("{} not found", name(&files[0]))), "{found:?}");

    let (folder, files) = dumped(&world, "extra-line").await;
    change(&files[0], |content| {
        *content = packed(&(unpacked(content) + "{\"Item\":{\"id\":{\"S\":\"new\"}}}\n"));
    });
    let found = problems(&world, &folder).await;
    assert!(found.contains(&format!("{}: its MD5 differs from the manifest", name(&files[0]))), "{found:?}");
    assert!(
        found.iter().any(|problem| problem.starts_with(&format!("{}: has ", name(&files[0])))),
        "{found:?}"
    );

    let (folder, files) = dumped(&world, "changed").await;
    change(&files[0], |content| *content = packed(&unpacked(content).replacen("id-", "di-", 1)));
    let found = problems(&world, &folder).await;
    let digest = format!("{}: its items differ from those that were dumped", name(&files[0]));
    assert!(found.contains(&digest), "{found:?}");

    let (folder, files) = dumped(&world, "truncated").await;
    change(&files[2], |content| content.truncate(content.len() - 20));
    let found = problems(&world, &folder).await;
    assert!(
        found.iter().any(|problem| problem.starts_with(&format!("{}: invalid gzip data", name(&files[2])))),
        "{found:?}"
    );

    let (folder, files) = dumped(&world, "stray").await;
    std::fs::copy(&files[0], folder.join("data/stray.json.gz")).unwrap();
    assert_eq!(problems(&world, &folder).await, ["data/stray.json.gz: not listed in any manifest"]);

    let (folder, _) = dumped(&world, "manifest").await;
    change(&folder.join("manifest-files.json"), |content| content.extend(b"{}\n"));
    let found = problems(&world, &folder).await;
    assert!(
        found.contains(&"manifest-files.json: its MD5 differs from the one in manifest-files.md5".to_owned()),
        "{found:?}"
    );

    let (folder, files) = dumped(&world, "many").await;
    std::fs::remove_file(&files[0]).unwrap();
    change(&files[1], |content| content.truncate(30));
    std::fs::remove_file(folder.join("nextbasket-dump.json")).unwrap();
    let found = problems(&world, &folder).await;
    for of in [name(&files[0]), name(&files[1]), "nextbasket-dump.json".to_owned()] {
        assert!(found.iter().any(|problem| problem.starts_with(&of)), "{of}: {found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_without_its_summary_is_none() {
    let world = World::start().await;
    world.make_table("sound", &ID).await;
    world.put("sound", small("a", 1)).await;
    let (folder, _) = dumped(&world, "d").await;
    std::fs::remove_file(folder.join("manifest-summary.json")).unwrap();
    let failure = world.failed("restore", json!({ "from": world.local("d"), "table": "sound" })).await;
    assert_eq!(failure, format!("{}: no complete dump found", world.local("d")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_at_another_endpoint_is_compared_in_one_job() {
    let (world, other) = (World::start().await, World::start().await);
    for there in [&world, &other] {
        there.make_table("same", &ID).await;
        there.put_all("same", &items(&ID, 100, 51)).await;
    }
    let proxy = other.stack.proxy().await;
    let endpoint = proxy.url();
    let parameters = json!({ "table": "same", "other": { "table": "same", "endpoint": &endpoint } });
    assert_eq!(world.done("verify", parameters.clone()).await["equal"], true);
    other.put("same", small("one more", 1)).await;
    let verified = world.done("verify", parameters).await;
    assert_eq!((&verified["left"]["count"], &verified["right"]["count"]), (&json!(100), &json!(101)));
    let problem = format!("table same has 100 items, table same at {endpoint} has 101; diff names them");
    assert_eq!(verified["problems"], json!([problem]));
}

fn lines(content: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(content).unwrap();
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.sort_by_key(|line| line["key"].to_string());
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn differences_are_named_with_their_attributes() {
    let world = World::start().await;
    let all = items(&ID, 500, 31);
    for table in ["left", "right"] {
        world.make_table(table, &ID).await;
        world.put_all(table, &all).await;
    }
    let output = world.local("out/differences.jsonl");
    let tables = json!({ "left": { "table": "left" }, "right": { "table": "right" }, "output": output });
    let equal = world.done("diff", tables.clone()).await;
    assert_eq!((&equal["equal"], &equal["differing"]), (&json!(true), &json!(0)), "{equal}");
    assert_eq!(world.content(&output).await, b"");

    world.put("left", small("only left", 1)).await;
    world.put("right", small("only right", 2)).await;
    let mut changed = small("both", 3);
    changed.insert("name".to_owned(), text("one"));
    world.put("left", changed.clone()).await;
    changed.insert("name".to_owned(), text("two"));
    changed.insert("more".to_owned(), text("x"));
    world.put("right", changed).await;
    world.put("left", small("spelt", "1.50")).await;
    world.put("right", small("spelt", "1.5")).await;
    let expected = [
        json!({
            "differs": ["more", "name"], "key": { "id": { "S": "both" } },
            "left": { "name": { "S": "one" } }, "right": { "more": { "S": "x" }, "name": { "S": "two" } },
        }),
        json!({ "only": "left", "key": { "id": { "S": "only left" } }, "item": { "id": { "S": "only left" }, "n": { "N": "1" } } }),
        json!({ "only": "right", "key": { "id": { "S": "only right" } }, "item": { "id": { "S": "only right" }, "n": { "N": "2" } } }),
    ];
    let differs = world.done("diff", tables).await;
    assert_eq!(differs["equal"], false);
    assert_eq!(
        (&differs["onlyLeft"], &differs["onlyRight"], &differs["differing"]),
        (&json!(1), &json!(1), &json!(1)),
        "{differs}"
    );
    assert_eq!(lines(&world.content(&output).await), expected);

    let (to, output) = (world.s3("dumps"), world.s3("differences.jsonl"));
    world.done("dump", json!({ "table": "right", "to": to, "format": "csv" })).await;
    let parameters = json!({ "left": { "table": "left" }, "right": { "dump": to }, "output": output });
    let (job, _) = world.run_with_kills(&world.engine(), "diff", parameters, 5, 400).await;
    assert_eq!(job.result.unwrap()["differing"], 1);
    assert_eq!(lines(&world.content(&output).await), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_with_nothing_in_common_are_compared_whole() {
    let world = World::start().await;
    for (table, seed) in [("left", 1), ("right", 2)] {
        world.make_table(table, &ID).await;
        let items: Vec<_> = (0..700).map(|n| small(&format!("{seed}-{n}"), n)).collect();
        world.put_all(table, &items).await;
    }
    let output = world.local("all.jsonl");
    let parameters = json!({ "left": { "table": "left" }, "right": { "table": "right" }, "output": output });
    let differs = world.done("diff", parameters).await;
    assert_eq!((&differs["onlyLeft"], &differs["onlyRight"]), (&json!(700), &json!(700)), "{differs}");
    assert_eq!(lines(&world.content(&output).await).len(), 1_400);
}
