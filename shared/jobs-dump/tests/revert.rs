//! Changes of an incremental export, taken back.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use std::path::Path;
use std::time::Duration;

use common::{ID, World, killed_at, run, small};
use nextbasket_dynamodb::item::{Item, number, text};
use nextbasket_items::write::{ItemGuard, WriteGuard};
use nextbasket_job_engine::{JobState, Kinds};
use nextbasket_jobs_dump::Revert;
use nextbasket_jobs_dump::json::write_item;
use nextbasket_jobs_dump::manifest::md5_base64;
use nextbasket_testkit::{Fault, FaultProxy};
use serde_json::{Value, json};

const EXPORT: &str = "01693685827463-2d8752fd";

fn encoded(item: &Item) -> String {
    let mut text = Vec::new();
    write_item(item, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

/// A line of an export: what an item was and became.
fn line(old: Option<&Item>, new: Option<&Item>) -> String {
    let id = old.or(new).unwrap()["id"].as_s().unwrap();
    let image = |name: &str, item: Option<&Item>| {
        item.map(|item| format!(",\"{name}\":{}", encoded(item))).unwrap_or_default()
    };
    format!(
        "{{\"Metadata\":{{\"WriteTimestampMicros\":{{\"N\":\"1680109764000000\"}}}},\"Keys\":{{\"id\":{{\"S\":\"{id}\"}}}}{}{}}}\n",
        image("OldImage", old),
        image("NewImage", new)
    )
}

/// An incremental export as AWS documents it, with this view.
fn export(place: &Path, view: &str, files: &[String]) {
    let folder = place.join("AWSDynamoDB").join(EXPORT);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::create_dir_all(place.join("AWSDynamoDB/data")).unwrap();
    let (mut manifest, mut items) = (String::new(), 0);
    for (n, content) in files.iter().enumerate() {
        let name = format!("AWSDynamoDB/data/file{n}.json");
        std::fs::write(place.join(&name), content).unwrap();
        let count = content.lines().count();
        let line = json!({
            "itemCount": count, "md5Checksum": md5_base64(content.as_bytes()),
            "etag": "f2c5-1", "dataFileS3Key": format!("some-prefix/{name}"),
        });
        manifest.push_str(&format!("{line}\n"));
        items += count;
    }
    let summary = json!({
        "version": "2023-08-01",
        "tableArn": "arn:aws:dynamodb:us-east-1:123456789012:table/catalog",
        "exportFromTime": "2023-09-02T12:00:00.000Z",
        "exportToTime": "2023-09-02T13:00:00.000Z",
        "itemCount": items, "outputFormat": "DYNAMODB_JSON",
        "exportType": "INCREMENTAL_EXPORT", "outputView": view,
    });
    let summary = summary.to_string();
    std::fs::write(folder.join("manifest-files.json"), &manifest).unwrap();
    std::fs::write(folder.join("manifest-files.md5"), md5_base64(manifest.as_bytes())).unwrap();
    std::fs::write(folder.join("manifest-summary.json"), &summary).unwrap();
    std::fs::write(folder.join("manifest-summary.md5"), md5_base64(summary.as_bytes())).unwrap();
}

async fn state(world: &World) -> Vec<String> {
    let items = world.items("catalog").await;
    items.iter().map(|item| format!("{}={}", item["id"], item["n"])).collect()
}

fn counts(result: &Value) -> [u64; 5] {
    ["restored", "deleted", "already", "changedSince", "refused"].map(|name| result[name].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_inserted_modified_or_deleted_is_as_it_was_before() {
    let world = World::start().await;
    world.make_table("catalog", &ID).await;
    let (a, b, d) = (small("a", 1), small("b", 2), small("d", 4));
    let (a2, c) = (small("a", 10), small("c", 3));
    let mut spelled = a2.clone();
    spelled.insert("n".to_owned(), number("10.0"));
    // Of the two that were changed since, one was modified, the other inserted once more.
    let lines = [
        line(Some(&a), Some(&spelled)),
        line(Some(&b), None),
        line(None, Some(&c)),
        line(Some(&d), Some(&small("d", 5))),
        line(Some(&small("e", 6)), None),
        line(Some(&small("f", 7)), Some(&small("f", 8))),
    ];
    let place = world.path("both");
    export(&place, "NEW_AND_OLD_IMAGES", &[lines[..3].concat(), lines[3..].concat()]);
    world
        .put_all("catalog", &[a2, c, small("d", 50), small("e", 60), small("f", 7), small("outside", 0)])
        .await;
    let parameters = json!({ "from": place, "table": "catalog" });
    let estimate = world.done("revert", json!({ "from": place, "table": "catalog", "dryRun": true })).await;
    assert_eq!(estimate["estimate"]["items"], 6, "{estimate}");
    let job = world.run("revert", parameters).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.failure);
    assert_eq!(counts(&job.result.unwrap()), [2, 1, 1, 2, 0]);
    let as_before = |d: &str, e: &str| {
        ["a=1", "b=2", d, e, "f=7", "outside=0"]
            .iter()
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap())
            .map(|(id, n)| format!("S({id:?})=N({n:?})"))
            .collect::<Vec<_>>()
    };
    assert_eq!(state(&world).await, as_before("d=50", "e=60"));
    let mut listed = world.refused(&job.job_id).await;
    listed.sort_by_key(|line| line["refused"]["key"]["id"]["S"].as_str().map(str::to_owned));
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert_eq!(listed[0]["refused"]["key"], json!({ "id": { "S": "d" } }));
    assert_eq!(
        (&listed[0]["refused"]["line"], &listed[0]["reason"]),
        (&json!(1), &json!("it was changed since"))
    );

    let forced = world.done("revert", json!({ "from": place, "table": "catalog", "force": true })).await;
    assert_eq!(counts(&forced), [2, 0, 4, 0, 0], "{forced}");
    assert_eq!(state(&world).await, as_before("d=4", "e=6"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_does_not_say_what_was_before_is_refused() {
    let world = World::start().await;
    world.make_table("catalog", &ID).await;
    let place = world.path("new");
    export(&place, "NEW_IMAGE", &[line(None, Some(&small("a", 1)))]);
    let failure = world.failed("revert", json!({ "from": place, "table": "catalog" })).await;
    assert!(
        failure.contains("its view is NEW_IMAGE, which does not say what items were before"),
        "{failure}"
    );
    world.put("catalog", small("a", 1)).await;
    let dump = world.local("dump");
    world.done("dump", json!({ "table": "catalog", "to": dump })).await;
    let failure = world.failed("revert", json!({ "from": dump, "table": "catalog" })).await;
    assert!(failure.contains("expected an incremental export of AWS"), "{failure}");
    assert_eq!(state(&world).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_cannot_be_meant_are_rejected_and_a_damaged_file_changes_nothing() {
    let world = World::start().await;
    world.make_table("catalog", &ID).await;
    world.put_all("catalog", &[small("a", 2), small("b", 2)]).await;
    let good = line(Some(&small("a", 1)), Some(&small("a", 2)));
    let lines = format!("{good}{{\"Item\":{{\"id\":{{\"S\":\"b\"}}}}}}\n{good}");
    let place = world.path("odd");
    export(&place, "NEW_AND_OLD_IMAGES", &[lines]);
    let job = world.run("revert", json!({ "from": place, "table": "catalog" })).await;
    assert_eq!(counts(&job.result.clone().unwrap()), [1, 0, 0, 0, 2], "{:?}", job.result);
    let mut reasons: Vec<String> =
        world.refused(&job.job_id).await.iter().map(|line| line["reason"].to_string()).collect();
    reasons.sort();
    assert_eq!(reasons, ["\"no \\\"Keys\\\" in the line\"", "\"the export has its key twice\""]);
    std::fs::write(place.join("AWSDynamoDB/data/file0.json"), good.replace("\"1\"", "\"9\"")).unwrap();
    world.put("catalog", small("a", 2)).await;
    let failure = world.failed("revert", json!({ "from": place, "table": "catalog" })).await;
    assert!(failure.contains("its MD5 differs from the manifest"), "{failure}");
    assert!(state(&world).await.contains(&"S(\"a\")=N(\"2\")".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revert_that_is_killed_again_and_again_reverts_everything_once() {
    let world = World::start().await;
    world.make_table("catalog", &ID).await;
    let id = |n: u32| format!("id-{n}");
    let (mut lines, mut before) = (Vec::new(), Vec::new());
    for n in 0..900_u32 {
        let (old, new) = (small(&id(n), n), small(&id(n), n + 1_000_000));
        let (old, new) = match n % 3 {
            0 => (Some(old), Some(new)),
            1 => (Some(old), None),
            _ => (None, Some(new)),
        };
        lines.push(line(old.as_ref(), new.as_ref()));
        before.extend(old);
        if let Some(new) = new {
            world.put("catalog", new).await;
        }
    }
    let place = world.path("killed");
    export(&place, "NEW_AND_OLD_IMAGES", &[lines[..450].concat(), lines[450..].concat()]);
    let parameters = json!({ "from": place, "table": "catalog" });
    let (job, kills) = world.run_with_kills(&world.engine(), "revert", parameters, 3, 300).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.failure);
    assert!(kills > 0, "it was never killed");
    let result = job.result.unwrap();
    let [restored, deleted, already, changed, refused] = counts(&result);
    assert_eq!((restored + deleted + already, changed, refused), (900, 0, 0), "{result}");
    let mut wanted: Vec<_> = before.iter().map(common::plain).collect();
    wanted.sort();
    assert_eq!(world.items("catalog").await, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_table_must_not_get_does_not_come_back() {
    let kinds = |_: &_, _| {
        let bars = |item: &Item| item["id"].as_s().is_ok_and(|id| id.starts_with("erased"));
        let guard = move |_: &str| -> futures::future::BoxFuture<'static, _> {
            Box::pin(async move { Ok(Some(ItemGuard::new(bars))) })
        };
        Kinds::default().with(Revert(WriteGuard::new(guard)))
    };
    let world = World::with(kinds).await;
    world.make_table("catalog", &ID).await;
    world.put("catalog", small("erased-2", 2)).await;
    let place = world.path("guarded");
    let lines = [
        line(Some(&small("erased-1", 1)), None),
        line(Some(&small("kept", 1)), None),
        line(None, Some(&small("erased-2", 2))),
    ];
    export(&place, "NEW_AND_OLD_IMAGES", &[lines.concat()]);
    let result = world.done("revert", json!({ "from": place, "table": "catalog" })).await;
    assert_eq!(counts(&result), [1, 1, 0, 0, 0], "{result}");
    assert_eq!(result["erased"], 1);
    assert_eq!(state(&world).await, ["S(\"kept\")=N(\"1\")"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_answer_was_lost_is_no_change_by_others() {
    let world = World::start().await;
    world.make_table("catalog", &ID).await;
    world.put_all("catalog", &[small("a", 2), small("b", 2)]).await;
    let place = world.path("lost");
    let lines = [line(Some(&small("a", 1)), Some(&small("a", 2))), line(None, Some(&small("b", 2)))];
    export(&place, "NEW_AND_OLD_IMAGES", &[lines.concat()]);
    let proxy = world.stack.proxy().await;
    let engine = world.engine_through(proxy.dynamodb(), world.stack.s3());
    proxy.inject("PutItem", 1..=1, Fault::DropAfter);
    proxy.inject("DeleteItem", 1..=1, Fault::DropAfter);
    let job = run(&engine, "revert", json!({ "from": place, "table": "catalog" })).await;
    assert_eq!(counts(&job.result.clone().unwrap()), [1, 1, 0, 0, 0], "{:?}", job.result);
    assert_eq!(state(&world).await, ["S(\"a\")=N(\"1\")"]);
}

const LATE: u32 = 3;

/// A table with items that a revert puts or deletes, and the parameters of that revert.
async fn reverted_items(world: &World, puts: bool) -> Value {
    world.make_table("catalog", &ID).await;
    let mut lines = String::new();
    for n in 0..LATE {
        let (id, new) = (format!("i{n}"), small(&format!("i{n}"), 2));
        let old = puts.then(|| small(&id, 1));
        lines.push_str(&line(old.as_ref(), Some(&new)));
        world.put("catalog", new).await;
    }
    let place = world.path("late");
    export(&place, "NEW_AND_OLD_IMAGES", &[lines]);
    json!({ "from": place, "table": "catalog" })
}

/// Gives every item an attribute that no condition asks for, once all writes are on their way.
async fn change_late(world: &World, proxy: &FaultProxy, write: &str) {
    // Those before the items are read are the engine's own.
    let mut before = 0;
    loop {
        let writes = proxy.calls(write);
        if proxy.calls("BatchGetItem") == 0 {
            before = writes;
        } else if writes >= before + u64::from(LATE) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for n in 0..LATE {
        let update = world.client().update_item().table_name("catalog").key("id", text(format!("i{n}")));
        let update =
            update.update_expression("SET seen = :yes").expression_attribute_values(":yes", text("yes"));
        update.condition_expression("attribute_exists(id)").send().await.unwrap();
    }
}

async fn all_are_seen(world: &World) -> bool {
    let left = world.items("catalog").await;
    left.len() == LATE as usize
        && left.iter().all(|item| item["seen"] == "S(\"yes\")" && item["n"] == "N(\"2\")")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_changes_in_the_moment_of_its_revert_survives_a_kill_at_every_call() {
    for (puts, write) in [(true, "PutItem"), (false, "DeleteItem")] {
        for (operation, fault) in [
            ("PUT put-back/", Fault::DropBefore),
            ("PUT put-back/", Fault::DropAfter),
            ("PutItem", Fault::DropBefore),
            ("PutItem", Fault::DropAfter),
            ("POST ?delete", Fault::DropBefore),
        ] {
            let case = format!("{write}, {operation} {fault:?}");
            let world = World::start().await;
            let parameters = reverted_items(&world, puts).await;
            let (proxy, s3) = (world.stack.proxy().await, world.stack.s3_proxy().await);
            let engine = world.engine_through(proxy.dynamodb(), s3.s3());
            proxy.inject(write, 1..=u64::from(LATE), Fault::Delay(Duration::from_secs(3)));
            let job = engine.submit(None, "revert", parameters).await.unwrap().job_id;
            let meeting = async {
                change_late(&world, &proxy, write).await;
                let at = if operation.contains(' ') { &s3 } else { &proxy };
                let before = at.calls(operation);
                at.inject(operation, 1..=u64::MAX, fault.clone());
                while at.calls(operation) < before + u64::from(LATE) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            };
            // Objects that cannot be removed do not stop the job.
            let ended = match killed_at(&engine, &job, meeting).await {
                Some(ended) => ended,
                None => world.finished(&job).await,
            };
            assert_eq!(ended.state, JobState::Succeeded, "{case}: {:?}", ended.failure);
            assert!(all_are_seen(&world).await, "{case}: {:?}", world.items("catalog").await);
            assert_eq!(counts(&ended.result.unwrap()), [0, 0, 0, u64::from(LATE), 0], "{case}");
            assert_eq!(world.refused(&job).await.len(), LATE as usize, "{case}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_can_never_be_put_back_is_kept_where_the_failure_says() {
    let world = World::start().await;
    let parameters = reverted_items(&world, false).await;
    let proxy = world.stack.proxy().await;
    let engine = world.engine_through(proxy.dynamodb(), world.stack.s3());
    proxy.inject("DeleteItem", 1..=u64::from(LATE), Fault::Delay(Duration::from_secs(3)));
    let job = engine.submit(None, "revert", parameters).await.unwrap().job_id;
    let losing_permission = async {
        change_late(&world, &proxy, "DeleteItem").await;
        // Each item once; later puts are the engine's own.
        proxy.inject("PutItem", 1..=u64::from(LATE), Fault::Deny);
        std::future::pending::<()>().await;
    };
    let ended = killed_at(&engine, &job, losing_permission).await.unwrap();
    assert_eq!(ended.state, JobState::Failed, "{:?}", ended.result);
    let failure = ended.failure.unwrap();
    assert!(failure.contains("was changed in the moment of its revert and cannot be put back"), "{failure}");
    let from = world.object_name(&format!("jobs/{job}/output/put-back"));
    assert!(failure.contains(&format!("nextbasket restore {from}")), "{failure}");
    let back = world.done("restore", json!({ "from": from, "table": "catalog" })).await;
    assert_eq!(back["written"], json!(LATE), "{back}");
    assert!(all_are_seen(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_permission_to_put_nothing_is_deleted() {
    let world = World::start().await;
    let parameters = reverted_items(&world, false).await;
    let proxy = world.stack.proxy().await;
    let engine = world.engine_through(proxy.dynamodb(), world.stack.s3());
    proxy.inject("PutItem", 1..=1, Fault::Deny);
    let job = run(&engine, "revert", parameters).await;
    assert_eq!(job.state, JobState::Failed, "{:?}", job.result);
    let failure = job.failure.unwrap();
    assert!(failure.contains("items cannot be put, so none is deleted"), "{failure}");
    assert_eq!(world.items("catalog").await.len(), LATE as usize);
}
