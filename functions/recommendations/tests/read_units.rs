//! What an answer costs to read, as DynamoDB charges it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_sdk_dynamodb::Client;
use lambda_runtime::{Context, LambdaEvent};
use nextbasket_domain::{Category, Clock, Line, Product, ProductId, Purchase, Random, Timestamp, UserId};
use nextbasket_http::{AuthMode, Service};
use nextbasket_shop::{Shop, ShopSize};
use nextbasket_tables::popular::{MAX_BYTES, Made, Popular, PopularWindow};
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

    /// The products of an answer, and its read units.
    async fn items_and_units(&self, function: &Function, route: &str, event: Value) -> (usize, f64) {
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
        (body["items"].as_array().unwrap().len(), self.proxy.take_capacity().read())
    }

    /// The read units of an answer with ten products.
    async fn ask(&self, function: &Function, route: &str, event: Value) -> f64 {
        let (items, units) = self.items_and_units(function, route, event).await;
        assert_eq!(items, 10);
        units
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
        .map(|product_id| Popular {
            product_id,
            share: 0.01,
            baskets: 7,
            shoppers: 5,
            categories: Vec::new(),
        })
        .collect();
    let now = Clock::system().now().plus_millis(1_000);
    let made = Made { at: now, newest: now, purchases: 1 };
    let written = tables
        .popular()
        .unwrap()
        .put(&made, &[("week", PopularWindow { purchases: 700, products })])
        .await
        .unwrap();
    assert!(written[0] > 50 && written[0] * 112 > MAX_BYTES - 3_000, "{written:?}");
    let function = measured.function().await;
    let route = "GET /products/popular";
    hold("cold, with lists", &[measured.ask(&function, route, json!({})).await], COLD);
    for (when, millis) in [("at once", 0), ("1.5 s later", 1_500)] {
        function.pass(millis);
        hold(&format!("warm, with lists, {when}"), &[measured.ask(&function, route, json!({})).await], WARM);
    }
}

/// What is asked of each route: a name, and the parameters beside those of the path.
fn questions() -> Vec<(&'static str, &'static str, Value)> {
    let many: Vec<String> = (0..100).map(|n| format!("sold-out-{n:04}")).collect();
    let excluded: String = many.iter().map(|id| format!("&exclude={id}")).collect();
    let categories: Vec<String> = (0..9).map(|n| format!("none {n}")).chain(["rare B".to_owned()]).collect();
    let mut questions = Vec::new();
    for route in
        ["GET /users/{userId}/recommendations", "GET /products/popular", "GET /products/{productId}/related"]
    {
        for (name, query) in [
            ("limit=10", "limit=10".to_owned()),
            ("limit=100", "limit=100".to_owned()),
            ("a category with one product", "category=rare%20A".to_owned()),
            ("a category that is sold out but for one", "category=sold%20out".to_owned()),
            ("no such category", "category=none".to_owned()),
            ("a hundred excluded", format!("limit=10{excluded}")),
        ] {
            questions.push((route, name, json!({ "rawQueryString": query })));
        }
    }
    for (name, body) in [
        ("limit=10", json!({})),
        ("limit=100", json!({ "limit": 100 })),
        ("two rare categories", json!({ "filter": { "categories": ["rare A", "rare B"] } })),
        ("ten categories, nine of them empty", json!({ "filter": { "categories": categories } })),
        (
            "a category that is sold out but for one",
            json!({ "limit": 100, "filter": { "categories": ["sold out"] } }),
        ),
        ("unavailable ones, too", json!({ "limit": 100, "filter": { "available": false } })),
        (
            "ten pinned that are sold out, ten categories, a hundred excluded",
            json!({ "pin": many[..10], "filter": { "categories": categories, "exclude": many } }),
        ),
        ("a cart of a hundred", json!({ "basket": many, "filter": { "categories": ["sold out"] } })),
        ("a robot that has bought everything", json!({ "userId": "robot", "limit": 100 })),
        ("a robot in ten categories", json!({ "userId": "robot", "filter": { "categories": categories } })),
    ] {
        questions.push(("POST /recommendations", name, json!({ "body": body.to_string() })));
    }
    questions
}

/// Prints a table; docs/QUALITY.md has it.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_asked_reads_sixteen_units_and_half_a_unit_per_product_at_most() {
    let measured = Measured::new().await;
    let tables = tables(&measured.stack, measured.stack.dynamodb());
    let catalogue = tables.products().unwrap();
    let category = |name: &str| vec![Category::parse(name).unwrap()];
    for n in 0..400 {
        catalogue
            .put_new(&product(&format!("sold-out-{n:04}"), category("sold out"), n == 399))
            .await
            .unwrap();
    }
    for name in ["rare A", "rare B"] {
        catalogue.put_new(&product(&format!("the only {name}"), category(name), true)).await.unwrap();
    }
    // A robot has bought everything, a hundred products at a time.
    let everything: Vec<ProductId> = {
        let ids = std::sync::Mutex::new(Vec::new());
        catalogue.scan(1, |product| ids.lock().unwrap().push(product.product_id)).await.unwrap();
        ids.into_inner().unwrap()
    };
    let truth = tables.purchases().unwrap();
    let robot: UserId = "robot".parse().unwrap();
    for n in 0..100 {
        let own = (0..60)
            .map(|m| format!("an id that is as long as some are, of product {n} {m}").parse().unwrap());
        let lines = everything.iter().skip(n % 5 * 100).take(100).cloned().chain(own);
        let purchase = Purchase {
            purchase_id: format!("r{n}").parse().unwrap(),
            user_id: robot.clone(),
            purchased_at: Timestamp::from_millis(1_779_000_000_000 + i64::from(u32::try_from(n).unwrap()))
                .unwrap(),
            lines: lines.map(|product_id| Line { product_id, quantity: 1, unit_price: None }).collect(),
            recommendation_id: None,
        };
        truth.record(&purchase).await.unwrap();
    }
    tables.history().unwrap().refresh(&robot, &truth).await.unwrap();
    for sold_out in [false, true] {
        if sold_out {
            for id in everything.iter().skip(1) {
                let product = catalogue.get(id).await.unwrap().unwrap();
                if !["the only", "sold-out"].iter().any(|start| id.as_str().starts_with(start)) {
                    catalogue.put(&Product { available: false, ..product }).await.unwrap();
                }
            }
        }
        println!("| route | asked for | products | read units |\n|---|---|---|---|");
        for (route, name, event) in questions() {
            let mut event = event;
            event["pathParameters"] = match route {
                "GET /users/{userId}/recommendations" => json!({ "userId": measured.users[0] }),
                "GET /products/{productId}/related" => json!({ "productId": "coffee-espresso-1kg" }),
                _ => json!({}),
            };
            let function = measured.function().await;
            function.pass(1_500);
            let (items, units) = measured.items_and_units(&function, route, event).await;
            println!("| `{route}` | {name} | {items} | {units} |");
            let most = COLD + 0.5 * f64::from(u32::try_from(items).unwrap());
            assert!(units <= most, "{route} {name}, sold out: {sold_out}: {units} of {most}");
            let nothing = name.starts_with("no such");
            assert_eq!(items == 0, nothing, "{route} {name}, sold out: {sold_out}");
        }
    }
}

fn product(id: &str, categories: Vec<Category>, available: bool) -> Product {
    Product {
        product_id: id.parse().unwrap(),
        name: id.to_owned(),
        categories,
        price: None,
        available,
        attributes: BTreeMap::new(),
        updated_at: Timestamp::EPOCH,
    }
}
