//! Rows that a lagging replica does not have yet: read again, and never cached as missing.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lambda_runtime::{Context, LambdaEvent};
use nextbasket_domain::{Clock, Line, Product, ProductId, Purchase, Random, Timestamp};
use nextbasket_http::{AuthMode, Service};
use nextbasket_tables::{TableNames, Tables};
use nextbasket_telemetry::Metrics;
use nextbasket_testkit::jobs::train;
use nextbasket_testkit::{Fault, FaultProxy, TestStack};
use recommendations::{State, handle};
use serde_json::{Value, json};

struct World {
    stack: TestStack,
    proxy: FaultProxy,
    state: State,
    now: Arc<AtomicI64>,
    records: Arc<Mutex<Vec<Value>>>,
}

/// A shop with beans and a tamper in every basket, and filters that more people buy.
async fn shop() -> World {
    let stack = TestStack::start().await;
    let proxy = stack.proxy().await;
    let names = TableNames::from_lookup(|variable| Some(stack.table(variable).to_owned()));
    let direct = Tables::new(stack.dynamodb(), names.clone());
    for id in ["beans", "tamper", "filters"] {
        let product = Product {
            product_id: ProductId::parse(id).unwrap(),
            name: id.to_owned(),
            categories: Vec::new(),
            price: None,
            available: true,
            attributes: BTreeMap::new(),
            updated_at: Timestamp::EPOCH,
        };
        direct.products().unwrap().put_new(&product).await.unwrap();
    }
    for (user, products) in [
        ("u1", &["beans", "tamper"][..]),
        ("u2", &["beans", "tamper"]),
        ("u3", &["filters"]),
        ("u4", &["filters"]),
        ("u5", &["filters"]),
    ] {
        let line = |id: &&str| Line { product_id: id.parse().unwrap(), quantity: 1, unit_price: None };
        let purchase = Purchase {
            purchase_id: "p".parse().unwrap(),
            user_id: user.parse().unwrap(),
            purchased_at: Timestamp::from_millis(1_700_000_000_000).unwrap(),
            lines: products.iter().map(line).collect(),
            recommendation_id: None,
        };
        direct.purchases().unwrap().record(&purchase).await.unwrap();
    }
    train(stack.site(), &direct).await;
    let now = Arc::new(AtomicI64::new(1_780_000_000_000));
    let told = now.clone();
    let clock = Clock::new(move || Timestamp::from_millis(told.load(Ordering::Relaxed)).unwrap());
    let records = Arc::new(Mutex::new(Vec::new()));
    let sink = records.clone();
    let metrics = Metrics::new("shop", clock.clone(), move |line| {
        sink.lock().unwrap().push(serde_json::from_str(line).unwrap());
    });
    let service = Service { auth: AuthMode::Iam, metrics };
    let state = State::new(service, &Tables::new(proxy.dynamodb(), names), clock, Random::new(|| 4)).unwrap();
    World { stack, proxy, state, now, records }
}

impl World {
    async fn ask(&self, route: &str, event: Value) -> Value {
        let mut whole = json!({
            "routeKey": route,
            "requestContext": {
                "http": { "method": "GET" },
                "authorizer": { "iam": { "userArn": "arn:aws:iam::111122223333:user/shop" } },
            },
        });
        whole.as_object_mut().unwrap().extend(event.as_object().unwrap().clone());
        let event = LambdaEvent::new(serde_json::from_value(whole).unwrap(), Context::default());
        let answer = serde_json::to_value(handle(&self.state, event).await.unwrap()).unwrap();
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!(answer["statusCode"], 200, "{body:#}");
        body
    }

    /// The first product related to beans, and its reason.
    async fn with_beans(&self) -> (Value, Value) {
        let body = self
            .ask("GET /products/{productId}/related", json!({ "pathParameters": { "productId": "beans" } }))
            .await;
        (body["items"][0]["productId"].clone(), body["items"][0]["reasons"][0]["kind"].clone())
    }

    async fn damage(&self, product: &str, slot: &str, attribute: &str) {
        let text = |value: &str| aws_sdk_dynamodb::types::AttributeValue::S(value.to_owned());
        let update = self.stack.dynamodb().update_item().table_name(self.stack.table("MODEL_TABLE"));
        let update = update.key("productId", text(product)).key("slot", text(slot));
        let update = update.update_expression("SET #attribute = :value");
        let update = update.expression_attribute_names("#attribute", attribute);
        update.expression_attribute_values(":value", text("x")).send().await.unwrap();
    }
}

#[tokio::test]
async fn a_row_that_was_missed_is_read_once_more_and_is_there_from_then_on() {
    let world = shop().await;
    world.state.warm_up().await;
    world.proxy.inject("BatchGetItem", 1..=1, Fault::Missed);
    let together = (json!("tamper"), json!("boughtTogether"));
    assert_eq!(world.with_beans().await, together);
    world.proxy.heal();
    let reads = world.proxy.calls("BatchGetItem");
    assert_eq!(world.with_beans().await, together);
    assert_eq!(world.proxy.calls("BatchGetItem"), reads, "row and cards are in memory");
}

#[tokio::test]
async fn a_pointer_that_was_missed_does_not_take_the_model_away() {
    let world = shop().await;
    world.proxy.inject("GetItem", 1..=u64::MAX, Fault::Missed);
    for _ in 0..3 {
        let body = world.ask("GET /products/popular", json!({})).await;
        assert_eq!(body["modelVersion"], 1);
        world.now.fetch_add(1_500, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_damaged_row_is_as_good_as_none_and_a_damaged_pointer_leaves_the_model_that_is_known() {
    let world = shop().await;
    world.damage("beans", "a", "row").await;
    assert_eq!(world.with_beans().await.1, "popular");
    let reads = world.proxy.calls("BatchGetItem");
    assert_eq!(world.with_beans().await.1, "popular");
    assert_eq!(world.proxy.calls("BatchGetItem"), reads, "it is not read for each answer");
    world.damage("model", "current", "version").await;
    world.now.fetch_add(1_500, Ordering::Relaxed);
    assert_eq!(world.ask("GET /products/popular", json!({})).await["modelVersion"], 1);
}

#[tokio::test]
async fn no_text_of_a_caller_is_a_dimension_of_a_metric() {
    let world = shop().await;
    for scenario in ["home", "x7f3", "another"] {
        let query = json!({ "rawQueryString": format!("scenario={scenario}") });
        let body = world.ask("GET /products/popular", query).await;
        assert!(
            body["recommendationId"].as_str().unwrap().starts_with(&format!("{scenario}.1.")),
            "{body:#}"
        );
        let records = std::mem::take(&mut *world.records.lock().unwrap());
        assert_eq!(records.len(), 2, "{records:#?}");
        for record in &records {
            assert_eq!(
                record["_aws"]["CloudWatchMetrics"][0]["Dimensions"],
                json!([["Route"]]),
                "{record:#}"
            );
            assert_eq!(record["Route"], "GET /products/popular");
        }
        let answers = records.iter().find(|record| record["Answers"] == 1.0).unwrap();
        assert_eq!(
            (&answers["scenario"], &answers["recommendationId"]),
            (&json!(scenario), &body["recommendationId"])
        );
    }
    // Invoked directly and not through the API, with a route that does not exist.
    let nowhere = json!({
        "routeKey": "GET /made/up",
        "requestContext": {
            "http": { "method": "GET" },
            "authorizer": { "iam": { "userArn": "arn:aws:iam::111122223333:user/shop" } },
        },
    });
    let nobody = json!({ "routeKey": "GET /made/up", "requestContext": { "http": { "method": "GET" } } });
    for event in [nowhere, nobody] {
        let event = LambdaEvent::new(serde_json::from_value(event).unwrap(), Context::default());
        assert!(handle(&world.state, event).await.unwrap().status_code >= 400);
        assert_eq!(world.records.lock().unwrap().pop().unwrap()["Route"], "none");
    }
}

#[tokio::test]
async fn an_id_that_a_cursor_was_given_by_its_client_does_not_come_back() {
    let world = shop().await;
    let first = world.ask("GET /products/popular", json!({ "rawQueryString": "limit=1" })).await;
    let cursor = first["cursor"].as_str().unwrap();
    let next = |cursor: &str| json!({ "rawQueryString": format!("limit=1&cursor={cursor}") });
    let second = world.ask("GET /products/popular", next(cursor)).await;
    assert_eq!(second["recommendationId"], first["recommendationId"], "the same on all pages");
    let mut forged = URL_SAFE_NO_PAD.decode(cursor).unwrap();
    let (id, script) = (first["recommendationId"].as_str().unwrap().as_bytes(), b"<script>alert(1)");
    let place = forged.windows(id.len()).position(|part| part == id).unwrap();
    forged[place..place + script.len()].copy_from_slice(script);
    let forged = URL_SAFE_NO_PAD.encode(forged);
    let second = world.ask("GET /products/popular", next(&forged)).await;
    let id = second["recommendationId"].as_str().unwrap();
    assert!(id.starts_with("default.1.") && id.len() == "default.1.".len() + 32, "{id}");
}
