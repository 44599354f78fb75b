//! Jobs that change no more than so many items, whoever is killed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use common::{N, S, World, counts, int};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn at_most_as_many_items_are_changed_as_were_asked_for() {
    let world = World::start().await;
    world.numbered("some", (S, Some(N)), 400).await;
    for (set, limit, changed) in [("a = 1", 37, 37), ("n = n + 1", 50, 50), ("b = 1", 1_000, 200)] {
        let update =
            json!({ "table": "some", "set": set, "where": "status = 'old'", "limit": limit, "segments": 6 });
        let job = world.run("update", update).await;
        assert_eq!(counts(&job, ["matched", "changed", "skipped"]), [changed, changed, 0], "{set}");
    }
    let items = world.items("some").await;
    let having =
        |name: &str, value: u64| items.values().filter(|item| int(item, name) == Some(value)).count();
    assert_eq!((having("a", 1), having("n", 1), having("b", 1)), (37, 50, 200));
    let job = world.run("delete", json!({ "table": "some", "all": true, "limit": 60 })).await;
    assert_eq!(counts(&job, ["changed"]), [60]);
    let job = world.run("delete", json!({ "table": "some", "where": "b = 1", "limit": 10 })).await;
    assert_eq!(counts(&job, ["changed"]), [10]);
    assert_eq!(world.items("some").await.len(), 330);
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_do_not_change_more() {
    let world = World::start().await;
    let mut kills = 0;
    for (seed, set) in [(1, "n = n + 1"), (2, "n = 1")] {
        let table = format!("killed-{seed}");
        world.numbered(&table, (N, None), 900).await;
        let update = json!({
            "table": table, "set": set, "where": "n = 0", "limit": 500, "segments": 12, "batchSize": 15, "width": 4,
        });
        let (job, more) = world.run_with_kills(&world.engine(), "update", update, seed, 100).await;
        let changed = world.items(&table).await.values().filter(|item| int(item, "n") == Some(1)).count();
        assert_eq!(changed, 500, "{set}: {more} kills, {:?}", job.result);
        kills += more;
    }
    assert!(kills > 0, "it was never killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn little_is_read_for_a_small_limit() {
    let world = World::start().await;
    world.numbered("large", (S, None), 2_000).await;
    let delete =
        json!({ "table": "large", "all": true, "limit": 5, "segments": 100, "batchSize": 10, "width": 4 });
    let job = world.run("delete", delete.clone()).await;
    let [changed, processed] = counts(&job, ["changed", "processed"]);
    assert_eq!(changed, 5);
    assert!(processed <= 300, "{processed} items were read");
    let mut dry = delete;
    dry["dryRun"] = json!(true);
    let estimate = common::result(&world.run("delete", dry).await)["estimate"].clone();
    assert_eq!(estimate["changes"], 5, "{estimate}");
    let notes = estimate["notes"].to_string();
    assert!(notes.contains("at most 5 items are changed"), "{notes}");
    assert_eq!(world.items("large").await.len(), 1_995);
}
