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
async fn every_file_of_a_dump_is_under_a_checksum() {
    let world = World::start().await;
    world.make_table("sound", &ID).await;
    world.put_all("sound", &items(&ID, 50, 22)).await;
    let (folder, _) = dumped(&world, "edits").await;
    let all: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && std::fs::metadata(path).unwrap().len() > 0)
        .collect();
    assert_eq!(all.len(), 7, "{all:?}");
    for file in all {
        let name = file.file_name().unwrap().to_str().unwrap();
        let whole = std::fs::read(&file).unwrap();
        // The last digit or letter becomes another one, so that the file can still be read as what it is.
        change(&file, |content| {
            let at = content.iter().rposition(u8::is_ascii_alphanumeric).unwrap();
            content[at] = if content[at] == b'1' { b'2' } else { b'1' };
        });
        let found = problems(&world, &folder).await;
        assert!(!found.is_empty(), "an edit of {name} is not found");
        let failure = world.failed("restore", json!({ "from": folder, "table": "sound" })).await;
        assert!(failure.contains(&format!("{}: ", folder.display())), "{failure}");
        std::fs::write(&file, whole).unwrap();
    }
    assert_eq!(problems(&world, &folder).await, [""; 0]);

    // Also together with the checksum beside it.
    let settings = folder.join("nextbasket-table.json");
    let expiring = std::fs::read_to_string(&settings).unwrap();
    let expiring = expiring.replace("\"timeToLive\": null", "\"timeToLive\": \"createdAt\"");
    assert!(expiring.contains("createdAt\""), "{expiring}");
    std::fs::write(&settings, expiring).unwrap();
    let of = |other: &str| format!("nextbasket-table.json: its MD5 differs from the one in {other}");
    let both = [of("nextbasket-dump.json"), of("manifest-summary.json")];
    assert_eq!(problems(&world, &folder).await, both);
    let created = json!({ "from": folder, "table": "expiring", "create": true });
    let failure = world.failed("restore", created).await;
    assert!(failure.contains(&both[0]), "{failure}");
    let record = folder.join("nextbasket-dump.json");
    change(&record, |content| {
        let text = String::from_utf8(content.clone()).unwrap();
        let md5 = nextbasket_jobs_dump::manifest::md5_base64(&std::fs::read(&settings).unwrap());
        let at = text.find("\"settingsMd5\": \"").unwrap() + 16;
        *content = format!("{}{md5}{}", &text[..at], &text[at + md5.len()..]).into_bytes();
    });
    let md5 = nextbasket_jobs_dump::manifest::md5_base64(&std::fs::read(&record).unwrap());
    std::fs::write(folder.join("nextbasket-dump.md5"), md5).unwrap();
    let found = problems(&world, &folder).await;
    assert!(
        found.contains(
            &"nextbasket-dump.json: its MD5 differs from the one in manifest-summary.json".to_owned()
        ),
        "{found:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_of_an_earlier_version_is_still_read() {
    let world = World::start().await;
    world.make_table("sound", &ID).await;
    world.put_all("sound", &items(&ID, 50, 22)).await;
    let (folder, _) = dumped(&world, "earlier").await;
    common::made_earlier(&folder);
    assert_eq!(problems(&world, &folder).await, [""; 0]);
    let again = json!({ "from": world.local("earlier"), "table": "again", "create": true });
    assert_eq!(world.done("restore", again).await["written"], 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_and_sizes_of_manifests_reserve_no_memory_and_end_with_a_sentence() {
    let world = World::start().await;
    world.make_table("sound", &ID).await;
    world.put_all("sound", &items(&ID, 50, 22)).await;
    for (n, count) in
        ["18446744073709551615", "9223372036854775807", "-1", "1e30", "\"50\""].iter().enumerate()
    {
        let (folder, _) = dumped(&world, &format!("absurd-{n}")).await;
        let edited = |name: &str, field: &str| {
            let path = folder.join(name);
            let text = std::fs::read_to_string(&path).unwrap();
            let value = |line: &str| {
                let Some((before, after)) = line.split_once(&format!("\"{field}\":")) else {
                    return line.to_owned();
                };
                let rest = after.find([',', '}']).map_or("", |at| &after[at..]);
                format!("{before}\"{field}\":{count}{rest}")
            };
            let text = text.lines().map(value).collect::<Vec<_>>().join("\n") + "\n";
            std::fs::write(path, text).unwrap();
        };
        edited("manifest-files.json", "itemCount");
        edited("manifest-summary.json", "itemCount");
        edited("manifest-summary.json", "billedSizeBytes");
        edited("nextbasket-dump.json", "count");
        edited("nextbasket-dump.json", "bytes");
        edited("nextbasket-dump.json", "refused");
        // As if they had been written so.
        common::checksummed(&folder);
        let found = problems(&world, &folder).await;
        assert!(!found.is_empty(), "{count}");
        let engine = world.engine();
        for parameters in [
            json!({ "from": folder, "table": "sound" }),
            json!({ "from": world.local(&format!("absurd-{n}")), "table": "sound" }),
        ] {
            let estimated = engine.estimate("restore", &parameters).await;
            assert!(estimated.is_ok_and(|estimate| estimate.write_units >= 0.0), "{count}");
            let failure = world.failed("restore", parameters).await;
            assert!(failure.contains("manifest") || failure.contains("nextbasket-dump.json"), "{failure}");
        }
        engine.estimate("verify", &json!({ "dump": folder })).await.unwrap();
        // Retention takes it for nothing that it may remove or count.
        let to = world.local(&format!("absurd-{n}"));
        let kept = world.done("dump", json!({ "table": "sound", "to": to, "keep": { "count": 1 } })).await;
        assert_eq!(kept["dumps"][0]["removed"], Value::Null, "{count}: {kept}");
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
    let failure = world.failed("restore", json!({ "from": folder, "table": "sound" })).await;
    assert!(failure.contains("the dump was not finished: it has no summary"), "{failure}");
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
