//! What an answer costs to read, as DynamoDB charges it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_sdk_dynamodb::Client;
use lambda_runtime::{Context, LambdaEvent};
use nextbasket_domain::{Clock, Random, Timestamp, UserId};
use nextbasket_http::{AuthMode, Service};
use nextbasket_shop::{Shop, ShopSize};
use nextbasket_tables::popular::{MAX_BYTES, Made, Popular};
use nextbasket_tables::{TableNames, Tables};
use nextbasket_telemetry::Metrics;
use nextbasket_testkit::jobs::train;
use nextbasket_testkit::{FaultProxy, TestStack};
use recommendations::{State, handle};
use serde_json::{Value, json};

/// With nothing cached but the priors, and with everything cached that a warm function has.
const COLD: f64 = 16.0;
const WARM: f64 = 3.0;

/// A shop that is trained, behind a proxy that measures.
struct Measured {
    stack: TestStack,
    proxy: FaultProxy,
    users: Vec<UserId>,
}

/// A function whose time stands still until it is told.
struct Function {
    state: State,
    now: Arc<AtomicI64>,
}

impl Measured {
    async fn new() -> Self {
        let stack = TestStack::start().await;
        let proxy = stack.proxy().await;
        let end = Timestamp::parse("2026-06-01T00:00:00Z").unwrap();
        let Shop { products, purchases } =
            nextbasket_shop::generate(11, end, ShopSize { shoppers: 120, days: 400 });
        let tables = tables(&stack, stack.dynamodb());
        let (catalogue, truth, history) =
            (tables.products().unwrap(), tables.purchases().unwrap(), tables.history().unwrap());
        for product in &products {
            catalogue.put_new(product).await.unwrap();
        }
        for purchase in &purchases {
            truth.record(purchase).await.unwrap();
        }
        let users: BTreeSet<_> = purchases.iter().map(|purchase| purchase.user_id.clone()).collect();
        for user in &users {
            history.refresh(user, &truth).await.unwrap();
        }
        train(stack.site(), &tables).await;
        Self { stack, proxy, users: users.into_iter().collect() }
    }

    /// A function that has read the model's pointer and its priors, and nothing else.
    async fn function(&self) -> Function {
        let now = Arc::new(AtomicI64::new(1_780_000_000_000));
        let told = now.clone();
        let clock = Clock::new(move || Timestamp::from_millis(told.load(Ordering::Relaxed)).unwrap());
        let service = Service { auth: AuthMode::Iam, metrics: Metrics::off() };
        let tables = tables(&self.stack, self.proxy.dynamodb());
        let state = State::new(service, &tables, clock, Random::new(|| 4)).unwrap();
        state.warm_up().await;
        Function { state, now }
    }

    /// The read units of an answer, by operation and table.
    async fn ask(&self, function: &Function, route: &str, event: Value) -> f64 {
        let _before = self.proxy.take_capacity();
        let mut whole = json!({
            "routeKey": route,
            "requestContext": {
                "http": { "method": "GET" },
                "authorizer": { "iam": { "userArn": "arn:aws:iam::111122223333:user/shop" } },
            },
        });
        whole.as_object_mut().unwrap().extend(event.as_object().unwrap().clone());
        let event = LambdaEvent::new(serde_json::from_value(whole).unwrap(), Context::default());
        let answer = serde_json::to_value(handle(&function.state, event).await.unwrap()).unwrap();
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!(answer["statusCode"], 200, "{body:#}");
        assert_eq!(body["items"].as_array().unwrap().len(), 10, "{body:#}");
        self.proxy.take_capacity().read()
    }

    async fn ask_for(&self, function: &Function, user: &UserId) -> f64 {
        let event = json!({ "pathParameters": { "userId": user }, "rawQueryString": "limit=10" });
        self.ask(function, "GET /users/{userId}/recommendations", event).await
    }
}

impl Function {
    fn pass(&self, millis: i64) {
        self.now.fetch_add(millis, Ordering::Relaxed);
    }
}

fn tables(stack: &TestStack, client: Client) -> Tables {
    Tables::new(client, TableNames::from_lookup(|variable| Some(stack.table(variable).to_owned())))
}

/// Prints and holds: the largest may not be above the limit.
fn hold(what: &str, units: &[f64], limit: f64) {
    let largest = units.iter().copied().fold(0.0, f64::max);
    #[allow(clippy::cast_precision_loss, reason = "some hundred")]
    let mean = units.iter().fold(0.0, |sum, units| sum + units) / units.len() as f64;
    println!("{what}: {} answers, {mean:.2} read units in the mean, {largest:.1} at most", units.len());
    assert!(largest <= limit, "{what}: {largest} of {limit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_ten_reads_sixteen_units_cold_and_three_warm_at_most() {
    let measured = Measured::new().await;
    assert!(measured.users.len() >= 100, "{}", measured.users.len());
    let mut cold = Vec::new();
    let mut warm = HashMap::<&str, Vec<f64>>::new();
    for user in &measured.users {
        let function = measured.function().await;
        cold.push(measured.ask_for(&function, user).await);
        // Within a second, after the pointer is not trusted any more, and after the cards are not.
        for (when, millis) in [("at once", 0), ("1.5 s later", 1_500), ("10 s later", 8_500)] {
            function.pass(millis);
            warm.entry(when).or_default().push(measured.ask_for(&function, user).await);
        }
    }
    hold("cold", &cold, COLD);
    hold("warm, at once", &warm["at once"], WARM);
    hold("warm, 1.5 s later", &warm["1.5 s later"], WARM);
    // Ten cards at half a unit each have to be looked at again.
    hold("warm, 10 s later", &warm["10 s later"], WARM + 5.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_has_served_others_reads_three_units_for_the_next_user() {
    let measured = Measured::new().await;
    let function = measured.function().await;
    for user in &measured.users {
        measured.ask_for(&function, user).await;
    }
    let mut warm = Vec::new();
    for user in &measured.users {
        function.pass(20);
        warm.push(measured.ask_for(&function, user).await);
    }
    hold("warm, others served", &warm, WARM);
    let cart = json!({ "body": json!({ "basket": ["coffee-espresso-1kg", "filter-paper-4"] }).to_string() });
    let of_product = json!({ "pathParameters": { "productId": "coffee-espresso-1kg" } });
    for (route, event) in [
        ("POST /recommendations", cart),
        ("GET /products/{productId}/related", of_product),
        ("GET /products/popular", json!({})),
    ] {
        let fresh = measured.function().await;
        hold(&format!("cold, {route}"), &[measured.ask(&fresh, route, event.clone()).await], COLD);
        hold(&format!("warm, {route}"), &[measured.ask(&fresh, route, event).await], WARM);
    }
}

/// Lists as large as they get, of the model's products and of others.
#[tokio::test(flavor = "multi_thread")]
async fn lists_counted_since_the_training_keep_within_the_same_limits() {
    let measured = Measured::new().await;
    let tables = tables(&measured.stack, measured.stack.dynamodb());
    let catalogue = tables.products().unwrap().page(None, 50, None).await.unwrap();
    let sold = catalogue.products.into_iter().map(|product| product.product_id);
    let others = (0..1_000).map(|n| format!("{n:0100}").parse().unwrap());
    let products: Vec<Popular> = sold
        .chain(others)
        .map(|product_id| Popular { product_id, share: 0.01, categories: Vec::new() })
        .collect();
    let now = Clock::system().now().plus_millis(1_000);
    let made = Made { at: now, newest: now, purchases: 1 };
    let written = tables.popular().unwrap().put(&made, &[("week", products.clone())]).await.unwrap();
    assert!(written[0] > 50 && written[0] * 112 > MAX_BYTES - 3_000, "{written:?}");
    let function = measured.function().await;
    let route = "GET /products/popular";
    hold("cold, with lists", &[measured.ask(&function, route, json!({})).await], COLD);
    for (when, millis) in [("at once", 0), ("1.5 s later", 1_500)] {
        function.pass(millis);
        hold(&format!("warm, with lists, {when}"), &[measured.ask(&function, route, json!({})).await], WARM);
    }
}
