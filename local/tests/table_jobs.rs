//! `count`, `update`, `delete`, `copy` and `fill` as their users run them, killed at any time.

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

use std::process::Stdio;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use killed::{Draw, Site, until_ended};
use serde_json::Value;

async fn items(dynamodb: &Client, table: &str) -> Vec<std::collections::HashMap<String, AttributeValue>> {
    let mut pages = dynamodb.scan().table_name(table).consistent_read(true).into_paginator().items().send();
    let mut items = Vec::new();
    while let Some(item) = pages.next().await {
        items.push(item.unwrap());
    }
    items
}

#[tokio::test]
async fn a_table_is_filled_counted_changed_copied_and_emptied() {
    let site = Site::start().await;
    site.table("things").await;
    site.table("copies").await;
    let said = async |command: &[&str]| site.succeed(command).await;
    let template = site.file("template.json", r#"{ "n": 0, "name": "thing {n}" }"#);
    let filled = said(&["fill", "things", "--count", "300", "--template", &template]).await;
    assert!(filled.starts_with("300 of 300 items written"), "{filled}");
    assert!(said(&["count", "things"]).await.starts_with("300 of 300 items"));
    let some = said(&["count", "things", "--where", "begins_with(name, 'thing 1')"]).await;
    assert!(some.starts_with("111 of 300 items"), "{some}");
    let set = [
        "update",
        "things",
        "--set",
        "SET n = n + 1, seen = true",
        "--where",
        "begins_with(name, 'thing 1')",
    ];
    let dry = said(&[&set[..], &["--dry-run"]].concat()).await;
    assert!(dry.starts_with("Estimate: 300 items, about ") && dry.contains("write units"), "{dry}");
    assert!(said(&["count", "things", "--where", "n > 0"]).await.starts_with("0 of 300 items"));
    let changed: Value = serde_json::from_str(&said(&[&set[..], &["--json"]].concat()).await).unwrap();
    assert_eq!((&changed["state"], &changed["result"]["changed"]), (&"succeeded".into(), &111.into()));
    let copied = said(&["copy", "things", "copies", "--where", "seen = true"]).await;
    assert!(copied.starts_with("111 of 300 items copied"), "{copied}");
    let again = said(&["copy", "things", "copies", "--where", "seen = true", "--on-conflict", "skip"]).await;
    assert!(again.starts_with("0 of 300 items copied, 111 skipped"), "{again}");
    assert!(said(&["delete", "things", "--where", "n = 1"]).await.starts_with("111 of 300 items deleted"));
    assert!(said(&["delete", "things", "--all"]).await.starts_with("189 of 189 items deleted"));
    assert_eq!(
        (items(&site.dynamodb, "things").await.len(), items(&site.dynamodb, "copies").await.len()),
        (0, 111)
    );
}

#[tokio::test]
async fn refused_items_stand_in_a_file_with_the_reason() {
    let site = Site::start().await;
    site.table("things").await;
    let template = site.file("template.json", r#"{ "n": 0 }"#);
    site.succeed(&["fill", "things", "--count", "20", "--template", &template]).await;
    let text = AttributeValue::S("not a number".to_owned());
    let odd = site.dynamodb.put_item().table_name("things");
    odd.item("id", AttributeValue::S("odd".to_owned())).item("n", text).send().await.unwrap();
    let refused = site.path("refused.jsonl");
    let update = ["update", "things", "--set", "n = n + 1", "--refused", &refused];
    let said = site.fail(&update, 1).await;
    assert!(said.contains("1 items were refused: see ") && said.contains(&refused), "{said}");
    let line: Value = serde_json::from_str(std::fs::read_to_string(&refused).unwrap().trim()).unwrap();
    assert_eq!(line["refused"]["id"]["S"], "odd");
    assert!(line["reason"].as_str().unwrap().contains("n"), "{line}");
    assert!(site.succeed(&["count", "things", "--where", "n = 1"]).await.starts_with("20 of 21 items"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_that_is_killed_again_and_again_changes_every_item_once() {
    const ITEMS: u64 = 6_000;
    const WORKERS: u64 = 4;
    const KILLS: u64 = 4;
    let mut draw = Draw::seeded();
    let site = Site::start().await;
    site.table("things").await;
    let template = site.file("template.json", r#"{ "n": 0 }"#);
    site.succeed(&["fill", "things", "--count", &ITEMS.to_string(), "--template", &template]).await;
    let proxy = site.proxy().await;
    let update = ["update", "things", "--set", "n = n + 1", "--batch-size", "250", "--segments", "8"];
    let through = site.through(&proxy.url());
    let start = |command: &[&str]| {
        let workers = WORKERS.to_string();
        let mut command = site.command(command);
        command.args(["--workers", &workers, "--json"]).args(&through);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut process = start(&update);
    let job = site.running_job().await;
    let transactions = ITEMS / 99;
    for kill in 1..=KILLS {
        let at = kill * transactions / (KILLS + 2) + draw.between(0, 4);
        while proxy.calls("TransactWriteItems") < at {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        process.kill().unwrap();
        process.wait().unwrap();
        process = start(&["jobs", "work", &job]);
    }
    let ended = until_ended(process, 0).await;
    assert_eq!(ended["state"], "succeeded", "seed {}: {ended}", draw.seed);
    let counts: Vec<String> =
        items(&site.dynamodb, "things").await.iter().map(|item| item["n"].as_n().unwrap().clone()).collect();
    let wrong: Vec<&String> = counts.iter().filter(|n| *n != "1").collect();
    assert!(wrong.is_empty(), "seed {}: {wrong:?}", draw.seed);
    assert_eq!(counts.len() as u64, ITEMS);
    let pages = proxy.calls("Scan");
    let needed = ITEMS / 250 + 2 * 8;
    println!("{pages} pages read of at most {needed}, {KILLS} kills");
    // One more for the estimate's sample, two for those that the command and the job itself look at.
    assert!(pages <= needed + 3 + KILLS * WORKERS, "seed {}: {pages} pages", draw.seed);
}

#[tokio::test]
async fn following_goes_on_with_new_items_until_it_is_stopped() {
    let site = Site::start().await;
    site.table("things").await;
    site.succeed(&["fill", "things", "--count", "50"]).await;
    let follow = [
        "update",
        "things",
        "--set",
        "seen = 1",
        "--where",
        "attribute_not_exists(seen)",
        "--follow",
        "--interval",
        "200ms",
    ];
    let mut command = site.command(&follow);
    let through = site.through(&site.endpoint);
    let process =
        command.args(through).arg("--json").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let seen = async |count: usize| {
        let begun = Instant::now();
        loop {
            let seen =
                items(&site.dynamodb, "things").await.iter().filter(|item| item.contains_key("seen")).count();
            if seen == count {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{seen} of {count} are seen");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    seen(50).await;
    let late = site.dynamodb.put_item().table_name("things").item("id", AttributeValue::S("late".to_owned()));
    late.send().await.unwrap();
    seen(51).await;
    let interrupted = std::process::Command::new("kill").args(["-INT", &process.id().to_string()]).status();
    assert!(interrupted.unwrap().success());
    let ended = until_ended(process, 130).await;
    assert_eq!((&ended["state"], &ended["total"]["changed"]), (&"cancelled".into(), &51.into()));
}

#[tokio::test]
async fn wrong_use_is_answered_with_what_to_do() {
    let site = Site::start().await;
    site.table("things").await;
    let cases: &[(&[&str], i32, &[&str])] = &[
        (&["count", "nothings"], 1, &["table \"nothings\" not found"]),
        (&["count", "t"], 2, &["TABLE", "3 to 255"]),
        (&["count", "things", "--where", "n >"], 2, &["--where", "character"]),
        (&["update", "things"], 2, &["--set"]),
        (&["update", "things", "--set", "id = 'x'"], 1, &["id"]),
        (&["update", "things", "--set", "n = "], 2, &["--set"]),
        (&["delete", "things"], 2, &["--where"]),
        (&["delete", "things", "--all", "--where", "n = 1"], 2, &["--all"]),
        (&["copy", "things", "things"], 2, &["TO", "another table than the source"]),
        (&["copy", "things", "nothings"], 1, &["nothings"]),
        (&["copy", "things", "others", "--on-conflict", "ask"], 2, &["if-newer=ATTRIBUTE"]),
        (&["fill", "things", "--count", "0"], 2, &["--count"]),
        (&["fill", "things", "--count", "1", "--template", "/no/such/file"], 1, &["/no/such/file"]),
        (&["count", "things", "--split", "time", "--by", "at"], 2, &["--every"]),
        (&["count", "things", "--rcu", "0"], 2, &["--rcu"]),
    ];
    for (arguments, code, words) in cases {
        let said = site.fail(arguments, *code).await;
        for word in *words {
            assert!(said.contains(word), "{arguments:?} does not say {word:?}:\n{said}");
        }
    }
}
