//! What a person may do to tables in a week: hostile items through every format, damaged dumps, many conditions and
//! many changes, each compared with what DynamoDB itself does.
//!
//! The endpoint is the embedded one, or the one that `NEXTBASKET_TEST_DYNAMODB` and `NEXTBASKET_TEST_S3` name; then the
//! credentials are those of the environment.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that cannot go on fails there"
)]

mod changes;
mod conditions;
mod damages;
mod endpoint;
mod items;

use std::collections::BTreeMap;

use damages::Damage;
use endpoint::Endpoint;
use nextbasket_job_engine::JobState;
use nextbasket_testkit::Seeded;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn hostile_items_survive_every_format() {
    let endpoint = Endpoint::start().await;
    let table = endpoint.table("hostile").await;
    let mut put = 0;
    for item in items::hostile() {
        // An endpoint may refuse what DynamoDB takes.
        put += u32::from(endpoint.put(&table, item).await);
    }
    assert!(put >= 293, "{put} items were put");
    let expected = endpoint.all(&table).await;
    for format in ["dynamodb-json", "csv", "json-lines"] {
        let folder = tempfile::tempdir().unwrap();
        let dump = json!({ "tables": [&table], "to": folder.path(), "format": format });
        let dumped = endpoint.succeed("dump", dump).await;
        assert_eq!(dumped.total.refused, 0, "{format}");
        let copy = endpoint.table("copy").await;
        let restored = endpoint.succeed("restore", json!({ "from": folder.path(), "table": &copy })).await;
        assert_eq!(restored.total.refused, 0, "{format}");
        endpoint.assert_same(&expected, &copy, format).await;
        let verify = json!({ "dump": folder.path(), "table": &copy });
        let verified = endpoint.succeed("verify", verify).await;
        assert_eq!(verified.result.unwrap()["problems"], json!([]), "{format}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_damaged_dump_is_restored_as_if_it_were_whole() {
    let endpoint = Endpoint::start().await;
    let table = endpoint.table("whole").await;
    for n in 0..60 {
        endpoint.put(&table, items::plain(n)).await;
    }
    let expected = endpoint.all(&table).await;
    // By the kind of damage, how many restores noticed it, of all.
    let mut outcomes = BTreeMap::<&str, (u32, u32)>::new();
    for format in ["dynamodb-json", "csv"] {
        let folder = tempfile::tempdir().unwrap();
        let dump = json!({ "tables": [&table], "to": folder.path(), "format": format, "segments": 3 });
        endpoint.succeed("dump", dump).await;
        for seed in 0..80 {
            let damaged = tempfile::tempdir().unwrap();
            let damage = Damage::make(folder.path(), damaged.path(), &mut Seeded(seed));
            let copy = endpoint.table("damaged").await;
            let restore = json!({ "from": damaged.path(), "table": &copy });
            let noticed = match endpoint.run("restore", restore).await {
                Ok(job) if job.state == JobState::Succeeded && job.total.refused == 0 => {
                    endpoint
                        .assert_same(&expected, &copy, &format!("{format}, seed {seed}: {damage:?}"))
                        .await;
                    false
                }
                Ok(_) | Err(_) => true,
            };
            let outcome = outcomes.entry(damage.name()).or_default();
            *outcome = (outcome.0 + u32::from(noticed), outcome.1 + 1);
            endpoint.drop_table(&copy).await;
        }
    }
    // A damage that no restore ever noticed would be none of this test's.
    let noticed = outcomes.values().filter(|(noticed, _)| *noticed > 0).count();
    assert!(noticed >= 8, "{outcomes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_find_what_dynamodb_finds_by_them() {
    let endpoint = Endpoint::start().await;
    let table = endpoint.table("conditions").await;
    for item in items::for_conditions() {
        endpoint.put(&table, item).await;
    }
    let (mut some, all) = (0, conditions::all());
    assert!(all.len() >= 118, "{} conditions", all.len());
    for condition in all {
        let expected = match endpoint.matching(&table, &condition).await {
            Ok(expected) => expected,
            // An endpoint may not know everything of DynamoDB's language; the embedded one does.
            Err(problem) if endpoint.is_elsewhere() => {
                println!("not compared: {}: {problem}", condition.ours);
                continue;
            }
            Err(problem) => panic!("{}: {problem}", condition.ours),
        };
        let count = json!({ "table": &table, "where": condition.ours, "segments": 2 });
        let counted = endpoint.succeed("count", count).await.result.unwrap();
        assert_eq!(counted["matched"], expected, "{}", condition.ours);
        some += u32::from(expected > 0);
    }
    assert!(
        some >= if endpoint.is_elsewhere() { 60 } else { 100 },
        "only {some} conditions hold for any item"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_make_what_update_item_makes() {
    let endpoint = Endpoint::start().await;
    let all = changes::all();
    assert!(all.len() >= 57, "{} changes", all.len());
    let (ours, theirs) = (endpoint.table("ours").await, endpoint.table("theirs").await);
    for change in all {
        for item in items::for_changes() {
            endpoint.put(&ours, item.clone()).await;
            endpoint.put(&theirs, item).await;
        }
        let refused = match endpoint.update_each(&theirs, &change).await {
            Ok(refused) => refused,
            Err(problem) if endpoint.is_elsewhere() => {
                println!("not compared: {}: {problem}", change.ours);
                continue;
            }
            Err(problem) => panic!("{}: {problem}", change.ours),
        };
        let update = json!({ "table": &ours, "set": change.ours, "segments": 2 });
        let job = endpoint.run("update", update).await.unwrap();
        assert_eq!(job.state, JobState::Succeeded, "{}: {:?}", change.ours, job.failure);
        assert_eq!(job.total.refused, refused, "{}", change.ours);
        let expected = endpoint.all(&theirs).await;
        endpoint.assert_same(&expected, &ours, &change.ours).await;
        let changed = job.result.as_ref().and_then(|result| result["changed"].as_u64());
        assert_eq!(
            changed,
            Some(items::for_changes().len() as u64 - refused),
            "{}: {}",
            change.ours,
            Value::from(refused)
        );
    }
}
