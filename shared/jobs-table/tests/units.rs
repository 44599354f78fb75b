//! What a job reports to have consumed is what DynamoDB says that it charged for the table.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use common::{N, S, World, counts, result, run};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn the_units_of_a_change_are_those_that_dynamodb_charges_for_the_table() {
    let world = World::start().await;
    world.numbered("charged", (S, Some(N)), 400).await;
    let proxy = world.stack.proxy().await;
    let engine = world.engine_through(proxy.dynamodb(), world.stack.s3());
    // In transactions DynamoDB takes two units for each item of up to 1 KB, and says so in its answers.
    for (set, operation, each) in
        [("n = n + 1", "TransactWriteItems", 2.0), ("note.x = 1, a = 1", "UpdateItem", 1.0)]
    {
        world.run("update", json!({ "table": "charged", "set": "note = {y: 1}" })).await;
        let change = json!({ "table": "charged", "set": set, "segments": 3, "batchSize": 60 });
        let estimate = engine.estimate("update", &change).await.unwrap();
        let _before = proxy.take_capacity();
        let job = run(&engine, "update", change).await;
        assert_eq!(counts(&job, ["changed", "refused"]), [400, 0], "{set}");
        let charged = proxy.take_capacity().units[&(operation.to_owned(), "charged".to_owned())];
        let reported = result(&job)["writeUnits"].as_f64().unwrap();
        assert!((charged - 400.0 * each).abs() < 0.01, "{set}: DynamoDB charged {charged}");
        assert!((reported - charged).abs() < 0.01, "{set}: {reported} reported, {charged} charged");
        assert!((estimate.write_units - charged).abs() < 0.01, "{set}: {} estimated", estimate.write_units);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_within_a_map_or_a_list_goes_as_one_update_for_each_item() {
    let world = World::start().await;
    world.numbered("nested", (S, None), 60).await;
    world.run("update", json!({ "table": "nested", "set": "m = {x: 'old', y: 1}, l = [1, 2]" })).await;
    let proxy = world.stack.proxy().await;
    let engine = world.engine_through(proxy.dynamodb(), world.stack.s3());
    for (set, condition) in
        [("m.x = 'new'", "m.x = 'old'"), ("REMOVE m.y", "l[0] = 1"), ("a = 1", "m.x = 'new'")]
    {
        let job = run(&engine, "update", json!({ "table": "nested", "set": set, "where": condition })).await;
        assert_eq!(counts(&job, ["changed", "refused"]), [60, 0], "{set}");
    }
    assert_eq!(proxy.calls("BatchExecuteStatement"), 0);
    for item in world.items("nested").await.values() {
        let map = item["m"].as_m().unwrap();
        assert_eq!((map.len(), map["x"].as_s().unwrap().as_str()), (1, "new"), "{item:?}");
        assert!(!item.contains_key("m.x") && item.contains_key("a"), "{item:?}");
    }
    run(&engine, "update", json!({ "table": "nested", "set": "a = 2" })).await;
    assert!(proxy.calls("BatchExecuteStatement") > 0, "an attribute of the item goes in statements");
}
