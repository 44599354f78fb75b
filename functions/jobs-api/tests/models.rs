//! The models' routes: which there are, and the way back to the one before.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

#[path = "../../job-plan/tests/trial/mod.rs"]
mod trial;

use jobs_api::{Driver, State, handle};
use lambda_runtime::{Context, LambdaEvent};
use nextbasket_domain::{ProductId, Timestamp};
use nextbasket_http::{AuthMode, Service};
use nextbasket_tables::model::{ModelInfo, ModelRow, ModelTable, StoredModel};
use nextbasket_tables::{TableNames, Tables};
use nextbasket_telemetry::Metrics;
use nextbasket_testkit::TestStack;
use nextbasket_testkit::events::event;
use serde_json::{Value, json};

struct World {
    _stack: TestStack,
    state: State,
    models: ModelTable,
}

impl World {
    async fn new() -> Self {
        let stack = TestStack::start().await;
        let names = TableNames::from_lookup(|variable| Some(stack.table(variable).to_owned()));
        let tables = Tables::new(stack.dynamodb(), names);
        let service = Service { auth: AuthMode::Iam, metrics: Metrics::off() };
        let driver = Driver::Workers(std::sync::Arc::default());
        let state = State::new(service, trial::engine(&stack, None), &tables, driver).unwrap();
        Self { models: tables.model().unwrap(), _stack: stack, state }
    }

    async fn train(&self, users: u64) -> u64 {
        let draft = self.models.begin().await.unwrap();
        let row = ModelRow { product_id: ProductId::parse("p").unwrap(), name: None, row: vec![1] };
        self.models.put_rows(&draft, vec![row], || ()).await.unwrap().unwrap();
        let metrics = Some(r#"{"model":{"ndcg10":0.25}}"#.to_owned());
        let info =
            ModelInfo { users, purchases: 9, products: 1, params: "f00d".to_owned(), metrics, seconds: 1.5 };
        let at = Timestamp::from_millis(1_742_209_200_000).unwrap();
        let stored = StoredModel { priors: vec![vec![1]], ranker: None };
        self.models.publish(&draft, stored, &info, at).await.unwrap().unwrap().version
    }

    async fn ask(&self, name: &str, body: Option<Value>) -> (u64, Value) {
        let mut request = event(name);
        if let Some(body) = body {
            request["body"] = body.to_string().into();
        }
        let event = LambdaEvent::new(serde_json::from_value(request).unwrap(), Context::default());
        let answer = serde_json::to_value(handle(&self.state, event).await.unwrap()).unwrap();
        let body = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        (answer["statusCode"].as_u64().unwrap(), body)
    }

    async fn versions(&self) -> Value {
        let (status, page) = self.ask("models-list", None).await;
        assert_eq!(status, 200);
        let models = page["items"].as_array().unwrap();
        models.iter().map(|model| json!([model["version"], model["live"]])).collect()
    }
}

#[tokio::test]
async fn a_model_is_shown_with_what_its_training_said() {
    let world = World::new().await;
    let version = world.train(3).await;
    let model = json!({
        "version": version, "live": true, "trainedAt": "2025-03-17T11:00:00.000Z", "users": 3, "purchases": 9,
        "products": 1, "params": "f00d", "seconds": 1.5, "metrics": { "model": { "ndcg10": 0.25 } },
    });
    assert_eq!(world.ask("models-list", None).await, (200, json!({ "items": [model] })));
}

#[tokio::test]
async fn one_call_goes_back_to_the_model_before_and_another_one_returns() {
    let world = World::new().await;
    let (first, second) = (world.train(3).await, world.train(4).await);
    assert_eq!(world.versions().await, json!([[second, true], [first, false]]));
    for (version, other) in [(first, second), (first, second), (second, first)] {
        let (status, model) = world.ask("models-put-current", Some(json!({ "version": version }))).await;
        assert_eq!((status, &model["version"], &model["live"]), (200, &json!(version), &json!(true)));
        assert_eq!(model["users"], json!(if version == first { 3 } else { 4 }));
        assert_eq!(world.versions().await, json!([[version, true], [other, false]]));
    }
}

#[tokio::test]
async fn a_model_that_is_not_kept_or_not_whole_does_not_go_live() {
    let world = World::new().await;
    let (first, second) = (world.train(3).await, world.train(4).await);
    let (status, problem) = world.ask("models-put-current", Some(json!({ "version": 77 }))).await;
    assert_eq!(
        (status, &problem["code"], &problem["field"]),
        (404, &json!("model_not_found"), &json!("version"))
    );
    world.models.begin().await.unwrap();
    let (status, problem) = world.ask("models-put-current", Some(json!({ "version": first }))).await;
    assert_eq!((status, &problem["code"]), (409, &json!("model_overwritten")), "{problem:#}");
    assert_eq!(world.versions().await, json!([[second, true]]));
}
