//! `find`, and limits, indexes and samples of the other commands, as their users run them.

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

use killed::Site;
use serde_json::Value;

async fn filled() -> Site {
    let site = Site::start().await;
    site.table("things").await;
    let template = site
        .file("template.json", r#"{ "n": 0, "name": "thing {n}", "at": { "city": "Faro" }, "tags": ["a"] }"#);
    site.succeed(&["fill", "things", "--count", "200", "--template", &template]).await;
    site
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn items_are_shown_as_a_table_as_json_and_as_csv() {
    let site = filled().await;
    let condition = "begins_with(name, 'thing 1') AND at.city = 'Faro'";
    let find = ["find", "things", "--where", condition, "--order-by", "name desc", "--limit", "3"];
    let json = site.succeed(&[&find[..], &["--output", "json"]].concat()).await;
    let names: Vec<Value> = lines(&json).iter().map(|item| item["name"].clone()).collect();
    assert_eq!(names, ["thing 199", "thing 198", "thing 197"]);
    assert_eq!(lines(&json)[0]["at"]["city"], "Faro");

    let columns = ["--columns", "name, at.city, tags[0]"];
    let csv = site.succeed(&[&find[..], &columns, &["--output", "csv"]].concat()).await;
    let expected = "name:S,at.city:S,tags[0]:S\nthing 199,Faro,a\nthing 198,Faro,a\nthing 197,Faro,a\n";
    assert_eq!(csv, expected);
    let json = site.succeed(&[&find[..], &columns, &["--output", "json"]].concat()).await;
    assert_eq!(lines(&json)[0]["at.city"], "Faro");

    let table = site.succeed(&[&find[..], &["--columns", "name, n"]].concat()).await;
    for word in ["name", "thing 199", "thing 198", "thing 197"] {
        assert!(table.contains(word), "{word} is not in\n{table}");
    }
    assert!(!table.contains("thing 196") && !table.contains("Faro"), "{table}");
}

#[tokio::test]
async fn what_was_read_is_reported_and_csv_can_be_restored() {
    let site = filled().await;
    let mut command =
        site.command(&["find", "things", "--where", "id = 'item-0000000007'", "--output", "json"]);
    command.args(site.through(&site.endpoint));
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "1 items, found by a query of the table: 1 items read, 0.5 read units\n");
    assert_eq!(lines(&String::from_utf8(output.stdout).unwrap())[0]["name"], "thing 7");

    let csv = site.succeed(&["find", "things", "--output", "csv"]).await;
    let file = site.file("things.csv", &csv);
    site.table("again").await;
    site.succeed(&["restore", &file, "again"]).await;
    let same = site.succeed(&["find", "again", "--order-by", "id", "--output", "json"]).await;
    assert_eq!(same, site.succeed(&["find", "things", "--order-by", "id", "--output", "json"]).await);
}

#[tokio::test]
async fn no_more_items_are_changed_than_the_limit_says() {
    let site = filled().await;
    let update = ["update", "things", "--set", "n = n + 1", "--limit", "30"];
    let dry = site.succeed(&[&update[..], &["--dry-run"]].concat()).await;
    assert!(dry.contains("about 30 to change") && dry.contains("at most 30 items are changed"), "{dry}");
    let said = site.succeed(&update).await;
    assert!(said.starts_with("30 of ") && said.contains(" items updated"), "{said}");
    assert!(site.succeed(&["count", "things", "--where", "n = 1"]).await.starts_with("30 of 200 items"));
    let said = site.succeed(&["delete", "things", "--where", "n = 1", "--limit", "12"]).await;
    assert!(said.starts_with("12 of ") && said.contains(" items deleted"), "{said}");
    assert!(site.succeed(&["count", "things"]).await.starts_with("188 of 188 items"));
}

#[tokio::test]
async fn a_sample_says_its_interval_and_its_seed() {
    let site = filled().await;
    let sample = ["count", "things", "--sample", "25%", "--segments", "80", "--seed", "9"];
    let said = site.succeed(&sample).await;
    assert!(said.starts_with("about ") && said.contains("with 95 % confidence"), "{said}");
    assert!(
        said.contains("read 20 of 80 segments (seed 9)") && said.contains("coefficient of variation"),
        "{said}"
    );
    let whole = site.succeed(&["count", "things", "--sample", "25%"]).await;
    assert!(whole.starts_with("200 of 200 items") && whole.contains("the table is small"), "{whole}");
}

#[tokio::test]
async fn wrong_use_is_answered_with_what_to_do() {
    let site = Site::start().await;
    site.table("things").await;
    let cases: &[(&[&str], i32, &[&str])] = &[
        (&["find", "nothings"], 1, &["table \"nothings\" not found"]),
        (&["find", "t"], 2, &["TABLE", "3 to 255"]),
        (&["find", "things", "--where", "n >"], 2, &["--where", "character"]),
        (&["find", "things", "--columns", "a,"], 2, &["--columns", "character"]),
        (&["find", "things", "--order-by", "a down"], 2, &["--order-by", "down"]),
        (&["find", "things", "--index", "by-n"], 2, &["--index", "\"by-n\" not found", "has no indexes"]),
        (&["find", "things", "--rcu", "0"], 2, &["--rcu"]),
        (&["find", "things", "--limit", "0"], 2, &["--limit"]),
        (&["count", "things", "--index", "by-n"], 2, &["--index", "\"by-n\" not found", "has no indexes"]),
        (&["count", "things", "--sample", "few"], 2, &["--sample", "10%"]),
        (&["count", "things", "--seed", "5"], 2, &["--sample"]),
        (&["delete", "things", "--all", "--limit", "0"], 2, &["--limit"]),
        (&["update", "things", "--set", "n = 1", "--limit", "5", "--follow"], 2, &["--limit"]),
    ];
    for (arguments, code, words) in cases {
        let said = site.fail(arguments, *code).await;
        for word in *words {
            assert!(said.contains(word), "{arguments:?} does not say {word:?}:\n{said}");
        }
    }
}
