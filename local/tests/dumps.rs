//! `dump`, `restore`, `verify` and `diff` as their users run them, killed at any time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that cannot go on fails there"
)]

mod command;
mod killed;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use killed::{Draw, Site, until_ended};
use nextbasket_jobs_dump::manifest::md5_base64;
use nextbasket_testkit::FaultProxy;
use serde_json::Value;

const WORKERS: u64 = 4;
const SEGMENTS: u64 = 8;
const PAGE: u64 = 500;

/// How many items the tests with kills have; a million takes some minutes with a release build.
fn items() -> u64 {
    std::env::var("NEXTBASKET_ITEMS").map_or(8_000, |items| items.parse().unwrap())
}

fn kills() -> u64 {
    std::env::var("NEXTBASKET_KILLS").map_or(3, |kills| kills.parse().unwrap())
}

/// A command that is killed when the proxy has seen so many calls of an operation, and gone on with each time.
async fn killed(
    site: &Site,
    proxy: &FaultProxy,
    command: &[&str],
    operation: &str,
    calls: u64,
    draw: &mut Draw,
) -> Value {
    let through = site.through(&proxy.url());
    let start = |command: &[&str]| -> Child {
        let workers = WORKERS.to_string();
        let mut command = site.command(command);
        command.args(["--workers", &workers, "--json"]).args(&through);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let before = proxy.calls(operation);
    let mut process = start(command);
    let job = site.running_job().await;
    let kills = kills();
    for kill in 1..=kills {
        let at = before + kill * calls / (kills + 1) + draw.between(0, calls / (2 * kills + 2) + 1);
        while proxy.calls(operation) < at && process.try_wait().unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        process.kill().unwrap();
        process.wait().unwrap();
        // Only somebody at this machine can name the folder, and the process that vouched for the job is gone.
        process = start(&["jobs", "work", &job, "--vouch"]);
    }
    until_ended(process, 0).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_and_its_restore_that_are_killed_again_and_again_are_complete() {
    let mut draw = Draw::seeded();
    let (items, count) = (items(), items().to_string());
    let site = Site::start().await;
    site.table("things").await;
    site.table("copies").await;
    site.succeed(&["fill", "things", "--count", &count, "--item-bytes", "200"]).await;
    let proxy = site.proxy().await;

    let folder = site.path("dumps");
    let (segments, page) = (SEGMENTS.to_string(), PAGE.to_string());
    let dump = ["dump", "things", "--to", &folder, "--segments", &segments, "--batch-size", &page];
    let pages = items / PAGE;
    let ended = killed(&site, &proxy, &dump, "Scan", pages, &mut draw).await;
    assert_eq!(
        (&ended["state"], &ended["result"]["items"]),
        (&"succeeded".into(), &items.into()),
        "seed {}",
        draw.seed
    );
    let read = proxy.calls("Scan");
    println!("{read} pages read, {} at least, {} kills", pages + SEGMENTS, kills());
    assert!(read <= pages + 2 * SEGMENTS + kills() * WORKERS, "seed {}: {read} pages", draw.seed);
    let good = site.succeed(&["verify", &folder]).await;
    assert!(good.starts_with(&format!("good: {items} items, digest ")), "{good}");
    let equal = site.succeed(&["verify", &folder, "table:things"]).await;
    assert!(equal.starts_with("equal: "), "{equal}");

    let restore = ["restore", &folder, "copies"];
    let ended = killed(&site, &proxy, &restore, "BatchWriteItem", items / 25, &mut draw).await;
    assert_eq!(ended["state"], "succeeded", "seed {}: {ended}", draw.seed);
    let equal = site.succeed(&["verify", "table:things", "table:copies"]).await;
    assert!(equal.starts_with(&format!("equal: {items} items")), "seed {}: {equal}", draw.seed);
}

/// The data files of the only dump below a folder.
fn data_files(folder: &Path) -> Vec<PathBuf> {
    let exports = folder.join("AWSDynamoDB");
    let export = fs::read_dir(exports).unwrap().next().unwrap().unwrap().path();
    let mut files: Vec<PathBuf> =
        fs::read_dir(export.join("data")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[tokio::test]
async fn what_is_wrong_with_a_dump_is_named_and_the_command_fails() {
    let site = Site::start().await;
    site.table("things").await;
    site.succeed(&["fill", "things", "--count", "200"]).await;
    let folder = site.path("dumps");
    let said = site.succeed(&["dump", "things", "--to", &folder, "--segments", "3"]).await;
    assert!(said.starts_with("things: 200 items in 3 files, "), "{said}");
    let files = data_files(Path::new(&folder));
    let mut flipped = fs::read(&files[0]).unwrap();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    fs::write(&files[0], flipped).unwrap();
    fs::remove_file(&files[1]).unwrap();
    let said = site.fail(&["verify", &folder], 1).await;
    assert!(said.contains("problems"), "{said}");
    let json = site.command(&["verify", &folder, "--json"]);
    let named = run(json, &site).await;
    for file in &files[..2] {
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(named.contains(name), "{name} is not named: {named}");
    }
    assert!(!named.contains(files[2].file_name().unwrap().to_str().unwrap()), "{named}");
    site.table("copies").await;
    let said = site.fail(&["restore", &folder, "copies"], 1).await;
    assert!(said.contains(files[1].file_name().unwrap().to_str().unwrap()), "{said}");
}

/// A command's standard output, whatever its exit code.
async fn run(mut command: std::process::Command, site: &Site) -> String {
    command.args(site.through(&site.endpoint));
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn a_table_comes_back_from_csv_and_plain_json_and_differences_are_named() {
    let site = Site::start().await;
    site.table("things").await;
    let put = site
        .dynamodb
        .put_item()
        .table_name("things")
        .item("id", AttributeValue::S("a, \"b\"\n#1".to_owned()));
    let put = put.item("number", AttributeValue::N("12345678901234567890123456789012345678".to_owned()));
    let put = put.item("bytes", AttributeValue::B(Blob::new([0, 255, 10])));
    let put = put.item("tags", AttributeValue::Ss(vec!["x".to_owned(), "y, z".to_owned()]));
    put.item("empty", AttributeValue::S(String::new())).send().await.unwrap();
    site.succeed(&["fill", "things", "--count", "50"]).await;
    for format in ["csv", "json-lines", "dynamodb-json"] {
        let folder = site.path(format);
        site.succeed(&["dump", "things", "--to", &folder, "--format", format]).await;
        let table = format!("copy-{format}");
        let restored = site.succeed(&["restore", &folder, &table, "--create"]).await;
        assert!(restored.starts_with(&format!("51 of 51 items written to {table}")), "{restored}");
        let side = format!("table:{table}");
        let equal = site.succeed(&["diff", "table:things", &side, "--to", &site.path("none.jsonl")]).await;
        assert_eq!(equal, "equal: 51 items\n");
    }
    let changed = "copy-csv";
    site.succeed(&["update", changed, "--set", "extra = 1", "--where", "begins_with(id, 'a, ')"]).await;
    site.succeed(&["delete", changed, "--where", "contains(id, '7')"]).await;
    let differences = site.path("differences.jsonl");
    let said = site.fail(&["diff", "table:things", "table:copy-csv", "--to", &differences], 1).await;
    assert!(said.contains("0 only right, 1 differ"), "{said}");
    let lines = fs::read_to_string(&differences).unwrap();
    assert!(lines.lines().any(|line| line.contains("extra")), "{lines}");
}

#[tokio::test]
async fn schemas_patterns_and_tags_are_dumped_and_made_again() {
    let site = Site::start().await;
    for table in ["shop-a", "shop-b", "other"] {
        site.table(table).await;
        site.succeed(&["fill", table, "--count", "10"]).await;
    }
    let arn = site.dynamodb.describe_table().table_name("shop-b").send().await.unwrap().table.unwrap();
    let tag = aws_sdk_dynamodb::types::Tag::builder().key("team").value("shop").build().unwrap();
    site.dynamodb.tag_resource().resource_arn(arn.table_arn.unwrap()).tags(tag).send().await.unwrap();
    let tables = |said: &str| {
        let lines = said.lines().filter(|line| !line.starts_with(' '));
        lines.map(|line| line.split_once(':').unwrap().0.to_owned()).collect::<Vec<_>>()
    };
    let to = site.path("dumps");
    assert_eq!(tables(&site.succeed(&["dump", "shop-*", "--to", &to]).await), ["shop-a", "shop-b"]);
    let tagged = site.path("tagged");
    let said = site.succeed(&["dump", "--tag", "team=shop", "--schema-only", "--to", &tagged]).await;
    assert!(tables(&said) == ["shop-b"] && said.contains("shop-b: 0 items in 0 files"), "{said}");
    let schema = said.trim().rsplit(": ").next().unwrap().to_owned();
    let made = ["restore", &schema, "shape", "--create", "--schema-only"];
    assert!(site.succeed(&made).await.starts_with("0 of 0 items written to shape"));
    let said = site.fail(&made, 1).await;
    assert!(said.contains("table \"shape\" already exists, so it cannot be created"), "{said}");
    let said = site.fail(&["restore", &tagged, "shape"], 1).await;
    assert!(said.contains("no complete dump found, only a dump of the schema alone"), "{said}");
    let restored = site.succeed(&["restore", &to, "shop-a", "--data-only"]).await;
    assert!(restored.starts_with("10 of 10 items written to shop-a"), "{restored}");
}

#[tokio::test]
async fn a_restore_of_an_incomplete_dump_says_so_and_fails() {
    let site = Site::start().await;
    site.table("things").await;
    site.table("copies").await;
    site.succeed(&["fill", "things", "--count", "10"]).await;
    let to = site.path("dumps");
    let said = site.fail(&["dump", "things", "--to", &to, "--format", "csv", "--columns", "none:S"], 1).await;
    assert!(said.contains("items were refused"), "{said}");
    let exports = fs::read_dir(Path::new(&to).join("AWSDynamoDB")).unwrap();
    let folder = exports.map(|entry| entry.unwrap().path()).next().unwrap();
    let said = site.fail(&["restore", folder.to_str().unwrap(), "copies"], 1).await;
    assert!(said.contains("the dump is not complete: see the notes"), "{said}");
    let said = site.fail(&["restore", &to, "copies"], 1).await;
    assert!(said.contains("no complete dump found, only an incomplete dump"), "{said}");
    // What retention did is reported with its reason.
    let kept = site.succeed(&["dump", "things", "--to", &to, "--keep", "1"]).await;
    assert!(kept.contains("  1 kept: an incomplete dump ("), "{kept}");
}

#[tokio::test]
async fn files_of_other_tools_are_restored_and_changed_on_their_way() {
    let site = Site::start().await;
    let people = site.file("people.csv", "id,name,age\na,Ada,36\nb,Bob,\nc,Cy,x\n");
    let restore = ["restore", &people, "people", "--create", "--keys", "id", "--types", "age=N"];
    let change = ["--set", "SET mail = 'masked', fullName = name REMOVE name", "--where", "id <> 'b'"];
    let said = site.fail(&[restore.as_slice(), &change].concat(), 1).await;
    assert!(said.contains("1 items were refused"), "{said}");
    let count = |condition: &'static str| {
        let site = &site;
        async move { site.succeed(&["count", "people", "--where", condition]).await }
    };
    let there =
        count("fullName = 'Ada' AND age = 36 AND mail = 'masked' AND attribute_not_exists(name)").await;
    assert!(there.starts_with("1 of 1 items"), "{there}");
    let scan = site.file("scan.json", "{\"Items\":[{\"id\":{\"S\":\"d\"}}],\"Count\":1,\"ScannedCount\":1}");
    let said = site.succeed(&["restore", &scan, "people", "--format", "scan"]).await;
    assert!(said.starts_with("1 of 1 items written to people"), "{said}");
    site.table("masked").await;
    let said = site.succeed(&["copy", "people", "masked", "--set", "seen = true REMOVE age"]).await;
    assert!(said.starts_with("2 of 2 items copied"), "{said}");
    let said =
        site.succeed(&["count", "masked", "--where", "seen = true AND attribute_not_exists(age)"]).await;
    assert!(said.starts_with("2 of 2 items"), "{said}");
}

/// An incremental export of AWS with these lines.
fn incremental_export(place: &Path, lines: &str) {
    let folder = place.join("AWSDynamoDB/01693685827463-2d8752fd");
    fs::create_dir_all(folder.join("data")).unwrap();
    fs::write(folder.join("data/a.json"), lines).unwrap();
    let files = serde_json::json!({
        "itemCount": lines.lines().count(), "md5Checksum": md5_base64(lines.as_bytes()),
        "dataFileS3Key": "AWSDynamoDB/01693685827463-2d8752fd/data/a.json",
    });
    let summary = serde_json::json!({
        "itemCount": lines.lines().count(), "outputFormat": "DYNAMODB_JSON",
        "exportType": "INCREMENTAL_EXPORT", "outputView": "NEW_AND_OLD_IMAGES",
    });
    for (name, content) in
        [("manifest-files", format!("{files}\n")), ("manifest-summary", summary.to_string())]
    {
        fs::write(folder.join(format!("{name}.json")), &content).unwrap();
        fs::write(folder.join(format!("{name}.md5")), md5_base64(content.as_bytes())).unwrap();
    }
}

#[tokio::test]
async fn changes_of_an_export_are_taken_back_and_what_was_changed_since_is_named() {
    let site = Site::start().await;
    let there = site.file("there.jsonl", "{\"id\":\"a\",\"n\":2}\n{\"id\":\"b\",\"n\":9}\n");
    site.succeed(&["restore", &there, "things", "--create", "--keys", "id"]).await;
    let change = |id: &str| {
        let image = |n: u32| format!("{{\"id\":{{\"S\":\"{id}\"}},\"n\":{{\"N\":\"{n}\"}}}}");
        let key = format!("{{\"id\":{{\"S\":\"{id}\"}}}}");
        format!("{{\"Metadata\":{{}},\"Keys\":{key},\"OldImage\":{},\"NewImage\":{}}}\n", image(1), image(2))
    };
    let place = site.path("export");
    incremental_export(Path::new(&place), &(change("a") + &change("b")));
    let revert = ["revert", "things", "--from", &place];
    let estimate = site.succeed(&[revert.as_slice(), &["--dry-run"]].concat()).await;
    assert!(estimate.contains('2'), "{estimate}");
    let mut unconfirmed = site.unconfirmed(&revert);
    unconfirmed.args(site.through(&site.endpoint));
    let said = tokio::task::spawn_blocking(move || command::failing(unconfirmed, 2)).await.unwrap();
    assert!(said.contains("revert: table things (") && said.contains("--yes"), "{said}");
    let refused = site.path("refused.jsonl");
    let said = site.fail(&[revert.as_slice(), &["--refused", &refused]].concat(), 1).await;
    assert!(said.contains("1 items were refused"), "{said}");
    let listed = fs::read_to_string(&refused).unwrap();
    assert!(listed.contains("it was changed since") && listed.contains("\"b\""), "{listed}");
    let said = site.succeed(&[revert.as_slice(), &["--force"]].concat()).await;
    assert_eq!(said, "1 of 2 items of things reverted, 0 of them deleted, 1 were as before already\n");
}

#[tokio::test]
async fn wrong_use_is_answered_with_what_to_do() {
    let site = Site::start().await;
    site.table("things").await;
    let (none, here) = (site.path("none"), site.path("here"));
    let cases: &[(&[&str], i32, &[&str])] = &[
        (&["dump", "nothings", "--to", &here], 1, &["nothings"]),
        (&["dump", "things"], 2, &["--to"]),
        (&["dump", "things", "--to", &here, "--filter", "n >"], 2, &["--where", "character"]),
        (&["dump", "things", "--to", &here, "--columns", "id:S"], 2, &["--columns", "csv"]),
        (&["dump", "things", "--to", &here, "--keep", "1", "--where", "n = 1"], 2, &["--keep", "--where"]),
        (&["dump", "things", "--to", &here, "--keep", "1", "--schema-only"], 2, &["--keep", "--schema-only"]),
        (&["dump", "thinks*", "--to", &here], 1, &["no table fits \"thinks*\""]),
        (&["dump", "--tag", "team", "--to", &here], 2, &["--tag", "KEY=VALUE"]),
        (&["restore", &none, "things", "--schema-only"], 2, &["--create"]),
        (&["restore", &none, "things", "--create", "--data-only"], 2, &["--create", "--data-only"]),
        (&["dump", "things", "--to", "s3://no-such-bucket/x"], 1, &["no-such-bucket"]),
        (&["restore", &none, "things"], 1, &["none"]),
        (&["restore", &none, "things", "--on-conflict", "ask"], 2, &["if-newer=ATTRIBUTE"]),
        (&["restore", &none, "things", "--format", "xml"], 2, &["dynamodb-json", "scan"]),
        (&["restore", &none, "things", "--types", "price"], 2, &["NAME=TYPE"]),
        (&["restore", &none, "things", "--set", "a ="], 2, &["--set", "character 4"]),
        (&["restore", &none, "things", "--keys", "id:L"], 2, &["--keys", "type S, N or B"]),
        (&["revert", "things"], 2, &["--from"]),
        (&["revert", "things", "--from", &none], 1, &["none"]),
        (&["verify", &none], 1, &["none"]),
        (&["verify", "table:things"], 2, &["table:things must equal"]),
        (&["verify", &none, &here], 2, &["to compare two dumps"]),
        (&["diff", &none, "table:things"], 1, &["none"]),
        (&["archive", "things", "--to", &here], 2, &["--where"]),
    ];
    for (arguments, code, words) in cases {
        let said = site.fail(arguments, *code).await;
        for word in *words {
            assert!(said.contains(word), "{arguments:?} does not say {word:?}:\n{said}");
        }
    }
}
