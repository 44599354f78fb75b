//! Each kind on tables of any keys.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use aws_sdk_dynamodb::types::AttributeValue;
use common::{N, S, World, all_keys, counts, int, item, result};
use nextbasket_dynamodb::item::{Item, number, text};
use nextbasket_job_engine::{Aggregate, Assign, JobState};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn items_of_any_key_are_counted_updated_and_deleted() {
    let world = World::start().await;
    for (at, keys) in all_keys().into_iter().enumerate() {
        let table = format!("any-{at}");
        world.numbered(&table, keys, 230).await;
        let small = |mut more: serde_json::Value| {
            more["table"] = json!(table);
            more["batchSize"] = json!(20);
            more["segments"] = json!(3);
            more
        };
        let job = world.run("count", small(json!({}))).await;
        assert_eq!(counts(&job, ["processed", "matched"]), [230, 230], "{table}");
        let job = world.run("count", small(json!({ "where": "status = 'old' AND id < 100" }))).await;
        assert_eq!(counts(&job, ["processed", "matched"]), [230, 50], "{table}");

        let change = json!({ "where": "status = 'old'", "set": "status = 'done', seen = true REMOVE n" });
        let job = world.run("update", small(change.clone())).await;
        let all = ["processed", "matched", "changed", "skipped", "refused"];
        assert_eq!(counts(&job, all), [230, 115, 115, 0, 0], "{table}");
        assert_eq!(counts(&world.run("update", small(change)).await, all), [230, 0, 0, 0, 0], "{table}");

        // Not to be made twice.
        let job = world.run("update", small(json!({ "where": "status = 'new'", "set": "n = n + 1" }))).await;
        assert_eq!(counts(&job, all), [230, 115, 115, 0, 0], "{table}");
        for (id, item) in world.items(&table).await {
            let old = id.is_multiple_of(2);
            assert_eq!(int(&item, "n"), (!old).then_some(1), "{table}: {item:?}");
            assert_eq!(item["status"], text(if old { "done" } else { "new" }), "{table}");
            assert_eq!(item.get("seen"), old.then_some(&AttributeValue::Bool(true)), "{table}");
        }

        let job = world.run("delete", small(json!({ "where": "id >= 30" }))).await;
        assert_eq!(counts(&job, all), [230, 200, 200, 0, 0], "{table}");
        assert!(world.items(&table).await.into_keys().eq(0..30), "{table}");
        let job = world.run("delete", small(json!({ "all": true }))).await;
        assert_eq!(counts(&job, all), [30, 30, 30, 0, 0], "{table}");
        assert!(world.all(&table).await.is_empty(), "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_expired_is_deleted() {
    let world = World::start().await;
    let keys = (S, None);
    world.table("sessions", keys.clone()).await;
    let now = world.engine().site().clock.now().as_millis() / 1000;
    let expiring = (0..100).map(|n| {
        let mut item = item(&keys, n);
        item.insert("expiresAt".to_owned(), number(now + (i64::try_from(n).unwrap() - 50) * 3600 + 1800));
        item
    });
    world.put("sessions", expiring).await;
    let job = world.run("delete", json!({ "table": "sessions", "where": "expiresAt < now()" })).await;
    assert_eq!(counts(&job, ["processed", "changed"]), [100, 50]);
    assert!(world.items("sessions").await.into_keys().eq(50..100));
    let job = world.run("delete", json!({ "table": "sessions", "where": "expiresAt < now() + 10h" })).await;
    assert_eq!(counts(&job, ["changed"]), [10]);
}

#[tokio::test(flavor = "multi_thread")]
async fn items_that_cannot_be_changed_are_refused_with_their_key_and_why() {
    let world = World::start().await;
    let keys = (S, Some(N));
    world.table("mixed", keys.clone()).await;
    let one = |n: u64| {
        let mut item = item(&keys, n);
        if n == 7 {
            item.insert("n".to_owned(), text("seven"));
        }
        if n == 9 {
            item.insert("heavy".to_owned(), text("x".repeat(409_000)));
        }
        item
    };
    world.put("mixed", (0..20).map(one)).await;
    for (set, name, whose) in [
        // In transactions, and as statements or updates of their own.
        ("n = n + 1", "sum", 7),
        ("n = other + 1, other = 5", "other", 20),
        (&*format!("more = '{}'", "y".repeat(1000)), "more", 9),
        (&*format!("tags = list_append(if_not_exists(tags, []), ['{}'])", "z".repeat(1000)), "tags", 9),
    ] {
        let job = world.run("update", json!({ "table": "mixed", "set": set, "segments": 1 })).await;
        let refused = world.refused(&job.job_id).await;
        let ids: Vec<String> =
            refused.iter().map(|line| line["refused"]["sk"]["N"].as_str().unwrap().to_owned()).collect();
        if whose == 20 {
            assert_eq!(ids.len(), 20, "{name}");
        } else {
            assert_eq!(ids, [whose.to_string()], "{name}: {refused:?}");
        }
        assert!(refused[0]["reason"].as_str().unwrap().contains("Validation"), "{name}: {refused:?}");
        let changed = 20 - u64::try_from(ids.len()).unwrap();
        assert_eq!(counts(&job, ["changed", "refused"]), [changed, 20 - changed], "{name}");
    }
    let items = world.items("mixed").await;
    assert!((0..20).filter(|n| *n != 7).all(|n| int(&items[&n], "n") == Some(1)));
    assert!((0..20).all(|n| items[&n].contains_key("more") == (n != 9)));
    assert!((0..20).all(|n| items[&n].contains_key("tags") == (n != 9)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_batch_could_do_ends_the_job_with_one_sentence() {
    let world = World::start().await;
    world.numbered("there", (S, None), 10).await;
    for (kind, parameters, problem) in [
        ("count", json!({ "table": "nowhere" }), "table \"nowhere\" not found"),
        ("copy", json!({ "table": "there", "to": { "table": "nowhere" } }), "table \"nowhere\" not found"),
        (
            "update",
            json!({ "table": "there", "set": "pk = 'x'" }),
            "parameters.set: attribute \"pk\" cannot be changed: it is part of the key",
        ),
        (
            "fill",
            json!({ "table": "there", "count": 5, "partitions": 2 }),
            "parameters.partitions: not accepted for a table without a sort key: each item is a partition",
        ),
    ] {
        let job = world.run(kind, parameters).await;
        assert_eq!((job.state, job.failure.as_deref()), (JobState::Failed, Some(problem)));
        assert!(job.stages.is_empty(), "{problem}");
    }
    let operations = world.stack.operations();
    for (kind, parameters) in [
        ("delete", json!({ "table": operations, "all": true })),
        ("copy", json!({ "table": "there", "to": { "table": operations } })),
    ] {
        let failure = world.run(kind, parameters).await.failure.unwrap();
        assert_eq!(failure, format!("table \"{operations}\" cannot be changed by a job: it stores the jobs"));
    }
    // A table that goes while the job is at it.
    let engine = world.engine();
    let job = engine.submit(None, "count", json!({ "table": "there", "segments": 4 })).await.unwrap();
    engine.plan(&job.job_id).await.unwrap();
    world.client().delete_table().table_name("there").send().await.unwrap();
    let stop = nextbasket_job_engine::pool::Stop::default();
    let job = nextbasket_job_engine::pool::drive(&engine, &job.job_id, 4, &stop).await.unwrap().unwrap();
    assert_eq!(job.state, JobState::Failed);
    let failure = job.failure.unwrap();
    assert!(failure.starts_with("table there: refused: ResourceNotFoundException"), "{failure}");
    assert_eq!(failure.lines().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_estimate_says_what_a_job_would_take_and_changes_nothing() {
    let world = World::start().await;
    world.numbered("large", (S, None), 3000).await;
    let engine = world.engine();
    let parameters =
        json!({ "table": "large", "where": "status = 'old'", "set": "n = n + 1", "writeUnits": 100.0 });
    let estimate = engine.estimate("update", &parameters).await.unwrap();
    assert_eq!(estimate.items, Some(3000));
    let changes = estimate.changes.unwrap();
    assert!((1350..1650).contains(&changes), "{changes}");
    // A transaction takes two units for each small item.
    assert!((estimate.write_units - 2.0 * changes as f64).abs() < 1e-9, "{estimate:?}");
    assert!((estimate.seconds.unwrap() - estimate.write_units / 100.0).abs() < 1e-9, "{estimate:?}");
    assert!(estimate.bytes.unwrap() > 50_000 && estimate.cost_usd > 0.0 && estimate.read_units > 5.0);
    let small = engine.estimate("delete", &json!({ "table": "large", "where": "id = 5" })).await.unwrap();
    assert!(small.notes.iter().any(|note| note.contains("items looked at meet the condition")), "{small:?}");

    let mut dry = parameters.clone();
    dry["dryRun"] = json!(true);
    let job = world.run("update", dry).await;
    let result = result(&job);
    assert_eq!((&result["dryRun"], &result["estimate"]["items"]), (&json!(true), &json!(3000)));
    assert!(world.items("large").await.values().all(|item| int(item, "n") == Some(0)));
    let missing = engine.estimate("count", &json!({ "table": "nowhere" })).await.unwrap_err();
    assert_eq!(missing.to_string(), "table \"nowhere\" not found");
    let wrong =
        engine.estimate("count", &json!({ "table": "large", "where": "status <" })).await.unwrap_err();
    assert!(wrong.to_string().starts_with("parameters.where: at character 9"), "{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn results_put_together_one_by_one_or_in_a_tree_are_the_same_bytes() {
    let world = World::start().await;
    world.numbered("sum", (S, None), 500).await;
    let mut results = Vec::new();
    for (aggregate, assign, parallel) in [
        (Aggregate::Serial, Assign::InOrder, false),
        (Aggregate::Parallel, Assign::Random, true),
        (Aggregate::Parallel, Assign::Balanced, true),
        (Aggregate::Serial, Assign::Priority, true),
    ] {
        let job = world
            .run(
                "count",
                json!({
                    "table": "sum", "where": "id < 321", "segments": 37, "aggregate": aggregate, "assign": assign,
                    "parallel": parallel, "width": 3,
                }),
            )
            .await;
        let mut result = result(&job).clone();
        assert!(result.as_object_mut().unwrap().remove("seconds").unwrap().as_f64().unwrap() > 0.0);
        results.push(result.to_string());
        let stage = job.stage().unwrap();
        assert_eq!((stage.aggregate, stage.assign, stage.batches), (aggregate, assign, 37));
        assert_eq!(stage.width, if parallel { 3 } else { 1 });
        assert_eq!(stage.split, json!({ "by": "size", "segments": 37 }));
    }
    assert!(results[0].contains("\"matched\":321"), "{}", results[0]);
    assert!(results.iter().all(|result| *result == results[0]), "{results:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_jobs_that_change_a_table_do_not_run_at_once() {
    let world = World::start().await;
    world.numbered("shared", (S, None), 10).await;
    let engine = world.engine();
    let one = engine.submit(None, "update", json!({ "table": "shared", "set": "a = 1" })).await.unwrap();
    let other = engine.submit(None, "delete", json!({ "table": "shared", "where": "a = 1" })).await.unwrap();
    engine.plan(&one.job_id).await.unwrap();
    let step = engine.plan(&other.job_id).await.unwrap();
    let nextbasket_job_engine::engine::Step::Locked { name, holder } = step else { panic!("{step:?}") };
    assert_eq!((name.as_str(), holder), ("table/shared", format!("job/{}", one.job_id)));
    let counted = world.run("count", json!({ "table": "shared" })).await;
    assert_eq!(counts(&counted, ["matched"]), [10], "counting waits for nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_table_is_soon_done() {
    let world = World::start().await;
    world.table("empty", (S, None)).await;
    world.table("empty-too", (S, None)).await;
    for (kind, parameters) in [
        ("count", json!({ "table": "empty" })),
        ("update", json!({ "table": "empty", "set": "n = n + 1" })),
        (
            "delete",
            json!({ "table": "empty", "all": true, "split": { "by": "time", "attribute": "at", "every": "1d" } }),
        ),
        ("copy", json!({ "table": "empty", "to": { "table": "empty-too" } })),
    ] {
        let job = world.run(kind, parameters).await;
        assert_eq!(counts(&job, ["processed", "matched"]), [0, 0], "{kind}");
    }
    let items: Vec<Item> = world.all("empty-too").await;
    assert!(items.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_no_item_takes_ends_the_job() {
    let world = World::start().await;
    world.numbered("plain", (S, None), 50).await;
    // DynamoDB takes expressions of 4 KB.
    let many = (0..900).map(|n| format!("a{n} = 1")).collect::<Vec<_>>().join(", ");
    for set in [many.clone(), format!("n = n + 1, {many}")] {
        let job = world.run("update", json!({ "table": "plain", "set": set })).await;
        let failure = job.failure.unwrap_or_default();
        assert_eq!(job.state, JobState::Failed);
        assert!(failure.contains("Invalid UpdateExpression: Expression size"), "{failure}");
        assert_eq!(failure.lines().count(), 1, "{failure}");
    }
}
