//! Which older dumps go, which stay although they are old, and dumps that never count.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use std::path::Path;
use std::time::Duration;

use aws_sdk_dynamodb::types::Tag;
use common::{ID, World, kinds, made_earlier, small};
use nextbasket_job_engine::{Engine, JobState, Vouching};
use serde_json::{Value, json};

/// A world with a table of 100 items.
async fn with_orders() -> World {
    let world = World::start().await;
    world.make_table("orders", &ID).await;
    world.put_all("orders", &(0..100).map(|n| small(&format!("o{n}"), n)).collect::<Vec<_>>()).await;
    world
}

/// Makes a dump in the place `d`, a minute after the one before; its entry in the job's result.
async fn dumped(world: &World, parameters: Value) -> Value {
    world.forward(Duration::from_secs(60));
    let mut all = json!({ "table": "orders", "to": world.local("d") });
    all.as_object_mut().unwrap().extend(parameters.as_object().unwrap().clone());
    world.done("dump", all).await["dumps"][0].clone()
}

async fn newest_only(world: &World) -> Value {
    dumped(world, json!({ "keep": { "count": 1 } })).await
}

fn folder(dump: &Value) -> &Path {
    Path::new(dump["folder"].as_str().unwrap())
}

fn is_there(dump: &Value) -> bool {
    folder(dump).join("manifest-summary.json").exists()
}

/// Why dumps were kept, and how many.
fn reasons(dump: &Value) -> Vec<(String, u64)> {
    let reason =
        |kept: &Value| (kept["reason"].as_str().unwrap().to_owned(), kept["count"].as_u64().unwrap());
    dump["kept"].as_array().into_iter().flatten().map(reason).collect()
}

fn one(reason: &str) -> Vec<(String, u64)> {
    vec![(reason.to_owned(), 1)]
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_and_dumps_of_some_items_neither_count_nor_go() {
    let world = with_orders().await;
    let to = world.local("d");
    let full = dumped(&world, json!({})).await;
    world.forward(Duration::from_secs(60));
    let archived = world.done("archive", json!({ "table": "orders", "where": "n < 40", "to": to })).await;
    let archive = json!({ "folder": archived["archive"] });
    let some = dumped(&world, json!({ "where": "n < 50" })).await;
    let schema = dumped(&world, json!({ "schemaOnly": true })).await;
    // Two full ones are kept: the new one and the one before it, whatever is between them.
    let second = dumped(&world, json!({ "keep": { "count": 2 } })).await;
    assert_eq!(second["removed"], Value::Null, "{second}");
    let third = newest_only(&world).await;
    assert_eq!(third["removed"], json!([second["folder"], full["folder"]]), "{third}");
    let kept = [("a dump of some items", 1), ("an archive", 1), ("a dump of the schema alone", 1)];
    assert_eq!(reasons(&third), kept.map(|(reason, count)| (reason.to_owned(), count)));
    assert!([&archive, &some, &schema, &third].into_iter().all(is_there));

    // All that the archive has comes back, from its own folder since the place has a full dump.
    let restored = json!({ "from": archive["folder"], "table": "orders", "onConflict": "fail" });
    assert_eq!(world.done("restore", restored).await["written"], 40);
    assert_eq!(world.items("orders").await.len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn dumps_of_another_table_of_the_same_name_stay() {
    let world = with_orders().await;
    let first = dumped(&world, json!({})).await;
    world.client().delete_table().table_name("orders").send().await.unwrap();
    world.make_table("orders", &ID).await;
    let second = newest_only(&world).await;
    let reason =
        "of another table of this name: in another account, region or endpoint, or made at another time";
    assert_eq!(reasons(&second), one(reason));
    // At another endpoint.
    let other = World::start().await;
    other.make_table("orders", &ID).await;
    other.forward(Duration::from_secs(600));
    let parameters = json!({ "table": "orders", "to": world.local("d"), "keep": { "count": 1 } });
    let third = other.done("dump", parameters).await["dumps"][0].clone();
    assert_eq!(reasons(&third), vec![(reason.to_owned(), 2)]);
    assert!([&first, &second, &third].into_iter().all(is_there));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_dump_with_the_items_stays_when_most_of_them_are_gone() {
    let world = with_orders().await;
    let whole = dumped(&world, json!({})).await;
    for n in 0..60 {
        let id = aws_sdk_dynamodb::types::AttributeValue::S(format!("o{n}"));
        world.client().delete_item().table_name("orders").key("id", id).send().await.unwrap();
    }
    let shrunk = newest_only(&world).await;
    assert_eq!(shrunk["removed"], Value::Null, "{shrunk}");
    let reason = "it has 100 items, the new dump 40, less than half of them; with acceptShrunk (--accept-shrunk) it goes";
    assert_eq!(reasons(&shrunk), one(reason));
    // Nor with the next one, which has lost nothing.
    let again = newest_only(&world).await;
    assert_eq!(again["removed"], json!([shrunk["folder"]]), "{again}");
    assert_eq!(reasons(&again), one(reason));
    assert!(is_there(&whole));
    let accepted = dumped(&world, json!({ "keep": { "count": 1, "acceptShrunk": true } })).await;
    assert_eq!(accepted["removed"], json!([again["folder"], whole["folder"]]), "{accepted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dumps_of_an_earlier_version_go_only_if_they_are_provably_the_same() {
    let world = with_orders().await;
    let mut earlier = Vec::new();
    for parameters in [json!({}), json!({ "where": "n < 50" })] {
        let dump = dumped(&world, parameters).await;
        made_earlier(folder(&dump));
        earlier.push(dump);
    }
    // One whose settings do not name the table's id.
    let unknown = dumped(&world, json!({})).await;
    made_earlier(folder(&unknown));
    let settings = folder(&unknown).join("nextbasket-table.json");
    let mut content: Value = serde_json::from_slice(&std::fs::read(&settings).unwrap()).unwrap();
    content["tableId"] = Value::Null;
    std::fs::write(&settings, content.to_string()).unwrap();
    let newest = newest_only(&world).await;
    assert_eq!(newest["removed"], json!([earlier[0]["folder"]]), "{newest}");
    let kept = [("a dump of some items", 1), ("nothing proves that it is of the same table", 1)]
        .map(|(reason, n)| (reason.to_owned(), n));
    assert_eq!(reasons(&newest), kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_whose_record_was_edited_proves_nothing() {
    let world = with_orders().await;
    let first = dumped(&world, json!({ "where": "n < 50" })).await;
    let record = folder(&first).join("nextbasket-dump.json");
    let text = std::fs::read_to_string(&record).unwrap();
    let begin = text.find("  \"filter\"").unwrap();
    let end = begin + text[begin..].find("},").unwrap() + 3;
    std::fs::write(&record, format!("{}{}", &text[..begin], &text[end..])).unwrap();
    let newest = newest_only(&world).await;
    assert_eq!(newest["removed"], Value::Null, "{newest}");
    assert_eq!(reasons(&newest), one("damaged: its manifests cannot be read"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_alone_is_dumped_and_makes_an_empty_table() {
    let world = with_orders().await;
    let schema = dumped(&world, json!({ "schemaOnly": true })).await;
    assert_eq!(
        (&schema["count"], &schema["files"], &schema["complete"]),
        (&json!(0), &json!(0), &json!(true))
    );
    let from = schema["folder"].clone();
    assert_eq!(world.done("verify", json!({ "dump": from })).await["equal"], true);
    let only = |from: &Value, table: &str| json!({ "from": from, "table": table, "create": true, "schemaOnly": true });
    let restored = world.done("restore", only(&from, "empty")).await;
    assert_eq!((&restored["created"], &restored["written"]), (&json!(true), &json!(0)), "{restored}");
    assert_eq!(world.items("empty").await.len(), 0);

    // It is no dump of the items, for nobody.
    let place = json!(world.local("d"));
    for (parameters, problem) in [
        (json!({ "from": place, "table": "orders" }), "only a dump of the schema alone"),
        (json!({ "from": from, "table": "orders" }), "the dump has only the table's settings"),
        (json!({ "from": from, "table": "other", "create": true }), "the dump has only the table's settings"),
    ] {
        let failure = world.failed("restore", parameters).await;
        assert!(failure.contains(problem), "{failure}");
    }
    let failure = world.failed("verify", json!({ "dump": from, "table": "orders" })).await;
    assert!(failure.contains("only the table's settings, no items"), "{failure}");

    // The schema of a full dump is restored in the same way.
    dumped(&world, json!({})).await;
    world.done("restore", only(&place, "shape")).await;
    assert_eq!(world.items("shape").await.len(), 0);
    assert_eq!(world.done("restore", json!({ "from": place, "table": "shape" })).await["written"], 100);
    let engine = world.engine();
    let refused =
        engine.submit(None, "restore", json!({ "from": place, "table": "shape", "schemaOnly": true })).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("parameters.schemaOnly: only accepted with create"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_chosen_by_pattern_and_by_tag() {
    let world = World::start().await;
    let client = world.client();
    for table in ["shop-orders", "shop-users", "other"] {
        world.make_table(table, &ID).await;
        world.put(table, small(table, 1)).await;
        if table != "shop-users" {
            let arn = client.describe_table().table_name(table).send().await.unwrap().table.unwrap();
            let tag = Tag::builder().key("team").value("shop").build().unwrap();
            client.tag_resource().resource_arn(arn.table_arn.unwrap()).tags(tag).send().await.unwrap();
        }
    }
    let tables = async |name: &str, parameters: Value| {
        let mut all = json!({ "to": world.local(name) });
        all.as_object_mut().unwrap().extend(parameters.as_object().unwrap().clone());
        let dumped = world.done("dump", all).await;
        let table = |dump: &Value| dump["table"].as_str().unwrap().to_owned();
        let mut tables: Vec<String> = dumped["dumps"].as_array().unwrap().iter().map(table).collect();
        tables.sort();
        tables
    };
    let tag = json!({ "key": "team", "value": "shop" });
    assert_eq!(tables("a", json!({ "tables": ["shop-*"] })).await, ["shop-orders", "shop-users"]);
    assert_eq!(tables("b", json!({ "tables": ["shop-*", "shop-orders", "other"] })).await.len(), 3);
    assert_eq!(tables("c", json!({ "tag": tag })).await, ["other", "shop-orders"]);
    assert_eq!(tables("d", json!({ "tables": ["shop-*"], "tag": tag })).await, ["shop-orders"]);
    // The table of the jobs is none that a pattern means.
    let all = tables("e", json!({ "tables": ["*"] })).await;
    assert!(all.contains(&"other".to_owned()) && !all.contains(&world.stack.operations()), "{all:?}");
    for (parameters, problem) in [
        (json!({ "tables": ["shpo-*"] }), "no table fits \"shpo-*\""),
        (json!({ "tag": { "key": "team", "value": "x" } }), "none of the tables has the tag team=x"),
    ] {
        let mut parameters = parameters;
        parameters["to"] = json!(world.local("f"));
        let failure = world.failed("dump", parameters).await;
        assert!(failure.starts_with(problem), "{failure}");
    }
    let estimate = json!({ "tables": ["shop-*"], "to": world.local("g") });
    assert_eq!(world.engine().estimate("dump", &estimate).await.unwrap().items, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_was_given_up_is_no_dump_that_was_given_up() {
    let world = with_orders().await;
    let proxy = world.stack.proxy().await;
    let site = world.site_through(proxy.dynamodb(), world.stack.s3());
    let engine = Engine::new(site, kinds()).vouching(Vouching::all());
    let parameters = json!({ "table": "orders", "where": "n < 40", "to": world.local("d") });
    proxy.inject("Scan", 1..=u64::MAX, nextbasket_testkit::Fault::Deny);
    let ended = common::run(&engine, "archive", parameters).await;
    assert_eq!(ended.state, JobState::Failed);
    world.forward(Duration::from_secs(3 * 24 * 3600));
    let newest = newest_only(&world).await;
    assert_eq!(newest["removed"], Value::Null, "{newest}");
    assert_eq!(reasons(&newest), one("an archive"));
}
