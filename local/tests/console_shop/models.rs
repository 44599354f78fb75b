use serde_json::{Value, json};

use super::common::{trained, until};
use crate::api::World;

async fn trainings(world: &World) -> Vec<Value> {
    world.console_ok("GET", "trainings", Value::Null).await["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_shows_what_it_has_learned() {
    let world = trained().await;
    let stored = world.public("/models").await["items"][0].clone();
    let model = world.console_ok("GET", "models/1", Value::Null).await;
    assert_eq!((&model["version"], &model["live"]), (&json!(1), &json!(true)));
    for count in ["products", "users", "purchases"] {
        assert_eq!(model[count], stored[count], "{count}");
    }
    assert_eq!(model["parameters"]["maxGap"], 10);
    assert_eq!(model["cartWeight"], model["parameters"]["togetherWeight"]);
    let report = &stored["metrics"]["ranker"];
    assert_eq!(report["used"].as_bool().unwrap(), !model["ranker"].is_null(), "{report:#}");
    if report["used"] == true {
        assert_eq!(model["ranker"]["trees"], report["trees"]);
        let reported = |name: &Value| {
            report["features"].as_array().unwrap().iter().find(|one| one["name"] == *name).unwrap().clone()
        };
        for column in model["ranker"]["columns"].as_array().unwrap() {
            assert_eq!(column["weight"], reported(&column["name"])["weight"], "{column}");
        }
        let features = model["ranker"]["features"].as_array().unwrap();
        assert!(features.is_sorted_by_key(|one| std::cmp::Reverse(one["splits"].as_u64().unwrap())));
        assert!(features[0]["splits"].as_u64().unwrap() > 0);
        for feature in features {
            assert_eq!(feature["gain"], reported(&feature["name"])["gain"], "{feature}");
        }
    }

    for (path, status, code) in [("models/2", 404, "model_not_found"), ("models/x", 400, "invalid_field")] {
        let answer = world.console("GET", path, Value::Null).await;
        assert_eq!((answer.status, answer.text("/code")), (status, code), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trainings_are_listed_newest_first_with_their_models_and_failures() {
    let world = World::empty().await;
    assert_eq!(trainings(&world).await, [Value::Null; 0]);
    assert_eq!(world.console("GET", "models/1", Value::Null).await.status, 404);
    let job = world.send("POST", "/jobs", json!({ "kind": "train", "parameters": {} }).to_string()).await;
    assert_eq!(job.status, 202, "{job:?}");
    let listed = || async { json!(trainings(&world).await) };
    let failed = until(listed, |items| items[0]["state"] == "failed").await;
    assert_eq!(failed[0]["jobId"], job.body.unwrap()["jobId"]);
    assert!(failed[0]["reason"].as_str().unwrap().contains("purchases"), "{failed:#}");
    assert_eq!(failed[0].get("version"), None);

    let world = trained().await;
    world.train().await;
    let items = trainings(&world).await;
    let versions: Vec<_> = items.iter().map(|item| item["version"].as_u64().unwrap()).collect();
    assert_eq!(versions, [2, 1]);
    let models = world.public("/models").await;
    for (training, model) in items.iter().zip(models["items"].as_array().unwrap()) {
        assert_eq!((&training["version"], &training["metrics"]), (&model["version"], &model["metrics"]));
        assert_eq!(training["state"], "succeeded");
        assert!(training["startedAt"].as_str().unwrap() <= training["endedAt"].as_str().unwrap());
    }
}
