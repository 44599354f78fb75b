//! What is popular: by the lists that were counted since the last training, and by the model behind them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_sdk_dynamodb::types::AttributeValue;
use lambda_runtime::{Context, LambdaEvent};
use nextbasket_domain::{Category, Clock, Line, Product, ProductId, Purchase, Random, Timestamp};
use nextbasket_http::{AuthMode, Service};
use nextbasket_job_engine::Site;
use nextbasket_tables::popular::{Made, Popular, PopularWindow};
use nextbasket_tables::{TableNames, Tables};
use nextbasket_telemetry::Metrics;
use nextbasket_testkit::TestStack;
use nextbasket_testkit::jobs::train;
use recommendations::{State, handle};
use serde_json::{Value, json};

/// When the model is trained.
const TRAINED: i64 = 1_700_000_000_000;

struct World {
    state: State,
    tables: Tables,
    now: Arc<AtomicI64>,
    stack: TestStack,
}

fn id(n: usize) -> ProductId {
    format!("p{n:02}").parse().unwrap()
}

impl World {
    /// Forty products, even and odd; if it is trained, p00 to p29 are in the model, the lower the more popular.
    async fn new(trained: bool) -> Self {
        let stack = TestStack::start().await;
        let names = TableNames::from_lookup(|variable| Some(stack.table(variable).to_owned()));
        let tables = Tables::new(stack.dynamodb(), names);
        for n in 0..40 {
            let product = Product {
                product_id: id(n),
                name: format!("Product {n}"),
                categories: vec![category(n)],
                price: None,
                available: true,
                attributes: BTreeMap::new(),
                updated_at: Timestamp::EPOCH,
            };
            tables.products().unwrap().put(&product).await.unwrap();
        }
        if trained {
            for n in 0..30 {
                let lines = (0..=n).map(|p| Line { product_id: id(p), quantity: 1, unit_price: None });
                let purchase = Purchase {
                    purchase_id: format!("b{n}").parse().unwrap(),
                    user_id: "ada".parse().unwrap(),
                    purchased_at: Timestamp::from_millis(TRAINED - 1_000).unwrap(),
                    lines: lines.collect(),
                    recommendation_id: None,
                };
                tables.purchases().unwrap().record(&purchase).await.unwrap();
            }
            let clock = Clock::new(|| at(TRAINED));
            train(Site { clock, ..stack.site() }, &tables).await;
        }
        let now = Arc::new(AtomicI64::new(TRAINED + 1_000_000));
        let told = now.clone();
        let clock = Clock::new(move || at(told.load(Ordering::Relaxed)));
        let service = Service { auth: AuthMode::Iam, metrics: Metrics::off() };
        let state = State::new(service, &tables, clock, Random::new(|| 4)).unwrap();
        Self { state, tables, now, stack }
    }

    /// Puts lists of these products, made so long after the training, and lets the function look again.
    async fn count(&self, after: i64, products: &[usize]) {
        let made = Made { at: at(TRAINED + after), newest: at(TRAINED), purchases: 100 };
        let share = |place: usize| 0.9 - 0.01 * f64::from(u32::try_from(place).unwrap());
        let popular = |(place, &n): (usize, &usize)| Popular {
            product_id: id(n),
            share: share(place),
            baskets: 90 - u32::try_from(place).unwrap(),
            shoppers: 20,
            categories: vec![category(n)],
        };
        let products = products.iter().enumerate().map(popular).collect();
        let list = PopularWindow { purchases: 120, products };
        self.tables.popular().unwrap().put(&made, &[("week", list)]).await.unwrap();
        self.now.fetch_add(2_000, Ordering::Relaxed);
    }

    async fn ask(&self, query: &str) -> (u64, Value) {
        let event = json!({
            "routeKey": "GET /products/popular",
            "rawQueryString": query,
            "requestContext": {
                "http": { "method": "GET" },
                "authorizer": { "iam": { "userArn": "arn:aws:iam::111122223333:user/shop" } },
            },
        });
        let event = LambdaEvent::new(serde_json::from_value(event).unwrap(), Context::default());
        let answer = serde_json::to_value(handle(&self.state, event).await.unwrap()).unwrap();
        let body = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        (answer["statusCode"].as_u64().unwrap(), body)
    }

    async fn ids(&self, query: &str) -> Vec<String> {
        let (status, answer) = self.ask(query).await;
        assert_eq!(status, 200, "{answer:#}");
        ids(&answer)
    }
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

fn category(n: usize) -> Category {
    Category::parse(["even", "odd"][n % 2]).unwrap()
}

fn ids(answer: &Value) -> Vec<String> {
    let items = answer["items"].as_array().unwrap();
    items.iter().map(|item| item["productId"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn lists_counted_after_the_training_come_first_and_the_model_follows() {
    let world = World::new(true).await;
    assert_eq!(world.ids("limit=3").await, ["p00", "p01", "p02"]);
    // p35 was never sold before the training.
    world.count(1, &[35, 7, 8]).await;
    assert_eq!(world.ids("limit=6").await, ["p35", "p07", "p08", "p00", "p01", "p02"]);
    assert_eq!(world.ids("limit=3&category=odd").await, ["p35", "p07", "p01"]);
    let (_, answer) = world.ask("limit=6").await;
    assert_eq!(answer["modelVersion"], 1);
    let items = answer["items"].as_array().unwrap();
    let scores: Vec<f64> = items.iter().map(|item| item["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    assert_eq!(
        items[0]["reasons"],
        json!([{
            "kind": "popular", "share": 1.0, "text": "In 90 of the 120 purchases of the last 7 days",
            "baskets": 90, "purchases": 120,
            "since": "2023-11-07T22:13:20.000Z", "until": "2023-11-14T22:13:20.000Z",
        }])
    );
    // Ada alone bought what only the model knows.
    assert_eq!(items[3]["reasons"][0]["kind"], "catalogue");
    // Other windows have no list, and so the model's order.
    assert_eq!(world.ids("limit=2&window=day").await, ["p00", "p01"]);
}

#[tokio::test]
async fn lists_that_are_older_than_the_model_are_not_used() {
    let world = World::new(true).await;
    world.count(0, &[35]).await;
    assert_eq!(world.ids("limit=1").await, ["p00"]);
    world.count(1, &[36]).await;
    assert_eq!(world.ids("limit=1").await, ["p36"]);
}

#[tokio::test]
async fn before_the_first_training_lists_are_all_there_is() {
    let world = World::new(false).await;
    world.count(0, &[20, 3]).await;
    let (_, answer) = world.ask("limit=2").await;
    assert_eq!(ids(&answer), ["p20", "p03"]);
    assert_eq!(answer["modelVersion"], Value::Null);
    assert_eq!(answer["items"][0]["reasons"][0]["kind"], "popular");
}

#[tokio::test]
async fn pages_show_everything_once_even_if_the_lists_are_made_anew_in_between() {
    let world = World::new(true).await;
    world.count(1, &[35, 7, 33, 8]).await;
    let (mut all, mut query) = (Vec::new(), "limit=3".to_owned());
    loop {
        let (status, page) = world.ask(&query).await;
        assert_eq!(status, 200, "{page:#}");
        all.extend(ids(&page));
        let Some(cursor) = page.get("cursor") else { break };
        query = format!("limit=3&cursor={}", cursor.as_str().unwrap());
    }
    assert_eq!(all[..5], ["p35", "p07", "p33", "p08", "p00"]);
    assert_eq!((all.len(), all.iter().collect::<BTreeSet<_>>().len()), (40, 40));

    let (_, page) = world.ask("limit=3").await;
    assert_eq!(ids(&page), ["p35", "p07", "p33"]);
    world.count(2, &[35, 1, 2]).await;
    let next = world.ids(&format!("limit=3&cursor={}", page["cursor"].as_str().unwrap())).await;
    assert_eq!(next, ["p01", "p02", "p00"]);
}

#[tokio::test]
async fn a_list_that_cannot_be_read_leaves_the_models() {
    let world = World::new(true).await;
    world.count(1, &[35]).await;
    let damage = world
        .stack
        .dynamodb()
        .update_item()
        .table_name(world.stack.table("MODEL_TABLE"))
        .key("productId", AttributeValue::S("popular".to_owned()))
        .key("slot", AttributeValue::S("week".to_owned()))
        .update_expression("SET #list = :list")
        .expression_attribute_names("#list", "list")
        .expression_attribute_values(":list", AttributeValue::B(vec![9, 9].into()));
    damage.send().await.unwrap();
    assert_eq!(world.ids("limit=2").await, ["p00", "p01"]);
}
