//! Counts of indexes, and counts from samples.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, LocalSecondaryIndex,
    Projection, ProjectionType,
};
use common::{N, S, World, counts, item, result};
use nextbasket_dynamodb::item::{number, text};
use nextbasket_job_engine::JobState;
use serde_json::{Value, json};

fn keys(partition: &str, sort: Option<&str>) -> Vec<KeySchemaElement> {
    let element =
        |name: &str, role| KeySchemaElement::builder().attribute_name(name).key_type(role).build().unwrap();
    let sort = sort.map(|sort| element(sort, KeyType::Range));
    [element(partition, KeyType::Hash)].into_iter().chain(sort).collect()
}

/// A table of 300 items, of which 100 are in a global index, and 200 in a local one.
async fn indexed(world: &World) {
    let mut create = world.client().create_table().table_name("indexed");
    for (name, kind) in [("pk", S), ("sk", N), ("city", S), ("rank", N)] {
        let attribute = AttributeDefinition::builder().attribute_name(name).attribute_type(kind);
        create = create.attribute_definitions(attribute.build().unwrap());
    }
    let keys_only = Projection::builder().projection_type(ProjectionType::KeysOnly).build();
    let all = Projection::builder().projection_type(ProjectionType::All).build();
    let global = GlobalSecondaryIndex::builder().index_name("by-city").projection(keys_only);
    let global = global.set_key_schema(Some(keys("city", None))).build().unwrap();
    let local = LocalSecondaryIndex::builder().index_name("by-rank").projection(all);
    let local = local.set_key_schema(Some(keys("pk", Some("rank")))).build().unwrap();
    let create = create.set_key_schema(Some(keys("pk", Some("sk")))).billing_mode(BillingMode::PayPerRequest);
    create.global_secondary_indexes(global).local_secondary_indexes(local).send().await.unwrap();
    let items = (0..300).map(|n| {
        let mut item = item(&(S, Some(N)), n);
        if n < 100 {
            item.insert("city".to_owned(), text(["Faro", "Ghent"][usize::from(n.is_multiple_of(4))]));
        }
        if n < 200 {
            item.insert("rank".to_owned(), number(n));
        }
        item
    });
    world.put("indexed", items).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_items_of_an_index_are_counted() {
    let world = World::start().await;
    indexed(&world).await;
    let count = async |more: Value| {
        let mut parameters = json!({ "table": "indexed", "segments": 3, "batchSize": 40 });
        parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        world.run("count", parameters).await
    };
    for (more, expected) in [
        (json!({}), [300, 300]),
        (json!({ "index": "by-city" }), [100, 100]),
        (json!({ "index": "by-city", "where": "city = 'Ghent'" }), [100, 25]),
        (json!({ "index": "by-rank", "where": "status = 'old'", "consistentRead": true }), [200, 100]),
        (
            json!({ "index": "by-rank", "split": { "by": "feature", "attribute": "status", "parts": 2 } }),
            [200, 200],
        ),
    ] {
        let job = count(more.clone()).await;
        assert_eq!(counts(&job, ["processed", "matched"]), expected, "{more}");
    }
    for (more, problem) in [
        (
            json!({ "index": "by-town" }),
            "parameters.index: index \"by-town\" not found: table \"indexed\" has by-city, by-rank",
        ),
        (
            json!({ "index": "by-city", "where": "attribute_not_exists(status)" }),
            "parameters.where: attribute \"status\" is not projected into index \"by-city\", which has city, pk, sk",
        ),
        (
            json!({ "index": "by-city", "consistentRead": true }),
            "parameters.consistentRead: not accepted for the global index \"by-city\": it is read eventually consistent",
        ),
        (
            json!({ "index": "by-city", "split": { "by": "feature", "attribute": "n", "parts": 2 } }),
            "parameters.split.attribute: attribute \"n\" is not projected into index \"by-city\", which has city, pk, sk",
        ),
    ] {
        let job = count(more.clone()).await;
        assert_eq!((job.state, job.failure.as_deref()), (JobState::Failed, Some(problem)), "{more}");
    }
    let none = json!({ "table": "plain", "index": "any" });
    world.table("plain", (S, None)).await;
    let job = world.run("count", none).await;
    let problem = "parameters.index: index \"any\" not found: table \"plain\" has no indexes";
    assert_eq!(job.failure.as_deref(), Some(problem));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_estimates_the_whole_and_says_how_skewed_it_is() {
    let world = World::start().await;
    world.numbered("sampled", (S, None), 2_000).await;
    let sample = |more: Value| {
        let mut parameters =
            json!({ "table": "sampled", "where": "status = 'old'", "segments": 200, "seed": 5 });
        parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        parameters
    };
    let job = world.run("count", sample(json!({ "sample": "20%" }))).await;
    let found = result(&job)["sample"].clone();
    assert_eq!(
        (&found["segments"], &found["of"], &found["seed"]),
        (&json!(40), &json!(200), &json!(5)),
        "{found}"
    );
    for (name, truth) in [("items", 2_000), ("matched", 1_000)] {
        let [low, high] = ["low", "high"].map(|end| found[name][end].as_u64().unwrap());
        assert!(low <= truth && truth <= high && low < high, "{name}: {found}");
    }
    let skew = &found["itemsPerSegment"];
    let [min, max] = ["min", "max"].map(|end| skew[end].as_u64().unwrap());
    let [median, variation] = ["median", "variation"].map(|name| skew[name].as_f64().unwrap());
    assert!(min < 10 && max > 10 && (7.0..13.0).contains(&median), "{skew}");
    assert!((0.1..0.6).contains(&variation), "{skew}");
    let [read] = counts(&job, ["processed"]);
    assert!((200..700).contains(&read), "{read} items were read");

    let again = world.run("count", sample(json!({ "sample": 40 }))).await;
    assert_eq!(result(&again)["sample"], found, "the same seed draws the same segments");
    let other = world.run("count", sample(json!({ "sample": 40, "seed": 6 }))).await;
    assert_ne!(result(&other)["sample"], found);
    let job = world.run("count", sample(json!({ "sample": 40, "seed": 0 }))).await;
    let drawn = result(&job)["sample"]["seed"].as_u64().unwrap();
    assert!(drawn > 0, "a job without a seed records its own");
    let replayed = world.run("count", sample(json!({ "sample": 40, "seed": drawn }))).await;
    assert_eq!(result(&replayed)["sample"], result(&job)["sample"]);

    let few = world.run("count", sample(json!({ "sample": "1%" }))).await.failure.unwrap();
    assert!(few.starts_with("parameters.sample: 1% of 200 segments are 2: between 10"), "{few}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_table_is_counted_as_a_whole_and_says_so() {
    let world = World::start().await;
    world.numbered("small", (S, None), 100).await;
    let job = world.run("count", json!({ "table": "small", "sample": "10%" })).await;
    assert_eq!(counts(&job, ["processed", "matched"]), [100, 100]);
    assert_eq!(result(&job)["sample"], json!({ "whole": true }));
}
