//! Copies: what is there already, other endpoints, all types.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use common::{N, S, World, counts, int, item};
use nextbasket_dynamodb::item::{Item, bytes, number, text};
use nextbasket_items::key::hash_value;
use nextbasket_job_engine::JobState;
use serde_json::{Value, json};

/// An item with a value of every type.
fn every_type() -> Item {
    let blob = |content: &[u8]| Blob::new(content);
    let deep = (0..20).fold(text("bottom"), |inner, _| AttributeValue::L(vec![inner]));
    let map = AttributeValue::M(
        [("a b".to_owned(), number("-1.5")), ("empty".to_owned(), AttributeValue::M(Item::new()))].into(),
    );
    [
        ("text", text("é\n\"'")),
        ("empty text", text("")),
        ("large", number("99999999999999999999999999999999999999")),
        ("tiny", number("0.00000000000000000000000000000000000001")),
        ("raw", bytes(vec![0, 255, 10])),
        ("yes", AttributeValue::Bool(true)),
        ("nothing", AttributeValue::Null(true)),
        ("texts", AttributeValue::Ss(vec!["a".to_owned(), "b".to_owned()])),
        ("numbers", AttributeValue::Ns(vec!["1".to_owned(), "2.5".to_owned()])),
        ("blobs", AttributeValue::Bs(vec![blob(b"x"), blob(b"y")])),
        ("list", AttributeValue::L(vec![text("a"), number(1), AttributeValue::L(vec![])])),
        ("map", map),
        ("deep", deep),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_all_types_survive() {
    let world = World::start().await;
    let keys = (S, None);
    world.table("from", keys.clone()).await;
    let whole = |n: u64| item(&keys, n).into_iter().chain(every_type()).collect::<Item>();
    world.put("from", (0..40).map(whole)).await;
    let by_bins = json!({ "by": "feature", "attribute": "id", "parts": 3 });
    for (to, more) in [("plain", json!({})), ("by-bins", json!({ "split": by_bins }))] {
        world.table(to, keys.clone()).await;
        let mut copy = more;
        copy["table"] = json!("from");
        copy["to"] = json!({ "table": to });
        copy["where"] = json!("id < 30");
        let job = world.run("copy", copy).await;
        assert_eq!(counts(&job, ["processed", "matched", "changed"]), [40, 30, 30], "{to}");
        let there = world.items(to).await;
        let here = world.items("from").await;
        assert!(there.keys().copied().eq(0..30));
        assert!(there.iter().all(|(id, item)| here[id] == *item), "{to}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn items_are_changed_on_their_way_also_in_their_keys() {
    let world = World::start().await;
    let keys = (S, None);
    world.table("from", keys.clone()).await;
    let whole = |n: u64| {
        let mut item = item(&keys, n);
        item.insert("mail".to_owned(), text(format!("user-{n}@example.org")));
        item.insert("code".to_owned(), if n == 7 { text("seven") } else { number(n) });
        item
    };
    world.put("from", (0..20).map(whole)).await;
    let by_bins = json!({ "by": "feature", "attribute": "id", "parts": 3 });
    for (to, split) in [("plain", json!({ "by": "size" })), ("by-bins", by_bins)] {
        world.table_of(to, [("code", Some(N)), ("", None)]).await;
        let copy = json!({
            "table": "from", "to": { "table": to }, "where": "id < 15", "split": split,
            "set": "SET mail = 'masked', old = id REMOVE pk",
        });
        let job = world.run("copy", copy.clone()).await;
        assert_eq!(job.state, JobState::Failed, "its keys are others: {:?}", job.result);
        assert!(job.failure.unwrap().contains("its key is pk (S), the target's key is code (N)"));
        let mut copy = copy;
        copy["set"] = json!("SET mail = 'masked', old = id, code = code REMOVE pk");
        let job = world.run("copy", copy).await;
        assert_eq!(
            counts(&job, ["processed", "matched", "changed"]),
            [20, 15, 14],
            "{to}: {:?}",
            job.failure
        );
        let refused = world.refused(&job.job_id).await;
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert_eq!(
            refused[0]["reason"],
            "the changed item has no valid key: attribute \"code\" must have type N"
        );
        assert_eq!(refused[0]["refused"]["pk"], json!({ "S": whole(7)["pk"].as_s().unwrap() }));
        for (id, item) in world.items(to).await {
            assert_eq!(
                (&item["mail"], &item["old"], &item["code"]),
                (&text("masked"), &number(id), &number(id))
            );
            assert!(!item.contains_key("pk"), "{item:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_is_there_is_replaced_left_refused_or_replaced_if_it_is_older() {
    let world = World::start().await;
    let keys = (S, Some(N));
    let versioned = |n: u64, version: Option<AttributeValue>| {
        let mut item = item(&keys, n);
        item.extend(version.map(|version| ("version".to_owned(), version)));
        item
    };
    world.table("from", keys.clone()).await;
    // One without a version, one of another type.
    let from = |n: u64| match n {
        8 => versioned(n, None),
        9 => versioned(n, Some(text("9"))),
        n => versioned(n, Some(number(5))),
    };
    world.put("from", (0..10).map(from)).await;
    for (at, on, changed, skipped, refused) in [
        (0, json!("overwrite"), 10, 0, 0),
        (1, json!("skip"), 4, 6, 0),
        (2, json!("fail"), 4, 0, 6),
        // 0 and 1 are older there, 2 is the same, 3 newer, 4 has no version there; 5 is not there.
        (3, json!({ "ifNewer": "version" }), 5, 4, 1),
    ] {
        let table = format!("to-{at}");
        world.table(&table, keys.clone()).await;
        let there = [
            (0, Some(number(3))),
            (1, Some(number(4))),
            (2, Some(number(5))),
            (3, Some(number(50))),
            (4, None),
            (9, Some(number(1))),
        ]
        .map(|(n, version)| {
            let mut item = versioned(n, version);
            item.insert("there".to_owned(), number(1));
            item
        });
        world.put(&table, there).await;
        let copy = json!({ "table": "from", "to": { "table": table }, "onConflict": on });
        let job = world.run("copy", copy).await;
        assert_eq!(counts(&job, ["changed", "skipped", "refused"]), [changed, skipped, refused], "{on}");
        let items = world.items(&table).await;
        let kept: Vec<u64> =
            items.iter().filter(|(_, item)| item.contains_key("there")).map(|(id, _)| *id).collect();
        let lines = world.refused(&job.job_id).await;
        let reasons: Vec<&str> = lines.iter().map(|line| line["reason"].as_str().unwrap()).collect();
        match at {
            0 => assert!(kept.is_empty() && items.len() == 10),
            1 => assert!(kept == [0, 1, 2, 3, 4, 9] && items.len() == 10),
            2 => {
                assert!(kept == [0, 1, 2, 3, 4, 9] && items.len() == 10);
                assert_eq!(reasons, ["an item with this key exists and differs"; 6]);
                assert!(
                    lines
                        .iter()
                        .any(|line| line["refused"] == json!({ "pk": { "S": "key 3" }, "sk": { "N": "3" } }))
                );
            }
            _ => {
                assert_eq!(kept, [2, 3, 4, 9]);
                assert_eq!(reasons, ["attribute \"version\" is missing"]);
                assert_eq!(int(&items[&0], "version"), Some(5));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_goes_to_another_endpoint() {
    let (world, other) = (World::start().await, World::start().await);
    world.numbered("items", (N, None), 300).await;
    other.table("items", (N, None)).await;
    let proxy = other.stack.proxy().await;
    let endpoint = proxy.url();
    let copy =
        json!({ "table": "items", "to": { "table": "items", "endpoint": endpoint }, "consistentRead": true });
    let job = world.run("copy", copy).await;
    assert_eq!(counts(&job, ["changed"]), [300]);
    assert_eq!(other.items("items").await, world.items("items").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_other_keys_are_no_target() {
    let world = World::start().await;
    world.numbered("one", (S, Some(N)), 5).await;
    world.table("other", (S, None)).await;
    let job = world.run("copy", json!({ "table": "one", "to": { "table": "other" } })).await;
    let problem = "table \"one\" cannot be copied to table \"other\": its key is pk (S) and sk (N), the target's key is pk (S)";
    assert_eq!((job.state, job.failure.as_deref()), (JobState::Failed, Some(problem)));
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_items_have_the_tables_keys_and_are_the_same_for_the_same_seed() {
    let world = World::start().await;
    for (at, keys) in common::all_keys().into_iter().enumerate() {
        let made = |seed: u64| json!({ "count": 300, "seed": seed, "itemBytes": 700, "segments": 4, "batchSize": 30 });
        let mut tables = Vec::new();
        for (name, seed) in [("one", 1), ("same", 1), ("other", 2)] {
            let table = format!("{name}-{at}");
            world.table(&table, keys.clone()).await;
            let mut fill = made(seed);
            fill["table"] = json!(table);
            let job = world.run("fill", fill).await;
            assert_eq!(counts(&job, ["processed", "changed", "refused"]), [300, 300, 0], "{table}");
            let items = world.all(&table).await.into_iter();
            let mut items: Vec<u128> = items.map(|item| hash_value(&AttributeValue::M(item))).collect();
            items.sort_unstable();
            assert_eq!(items.len(), 300, "{table}");
            tables.push(items);
        }
        assert!(tables[0] == tables[1], "the same seed");
        assert!(tables[0] != tables[2], "another seed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_items_follow_a_template() {
    let world = World::start().await;
    world.table("users", (S, Some(N))).await;
    let template = json!({ "pk": "user-{n}", "id": 7, "mail": "u{n}@example.com", "flags": [true, "{n}"] });
    let fill: Value = json!({ "table": "users", "count": 50, "template": template });
    let job = world.run("fill", fill).await;
    assert_eq!(counts(&job, ["changed"]), [50]);
    let mut items = world.all("users").await;
    items.sort_by_key(|item| int(item, "sk"));
    assert_eq!(items.len(), 50);
    for (n, item) in items.iter().enumerate() {
        assert_eq!(item["pk"], text(format!("user-{n}")));
        assert_eq!(item["mail"], text(format!("u{n}@example.com")));
        assert_eq!(item["flags"], AttributeValue::L(vec![AttributeValue::Bool(true), text(n.to_string())]));
        assert_eq!(item["id"], number(7));
    }
}
