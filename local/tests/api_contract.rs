//! Every operation's answers, held against `openapi.yaml`: success, and each error that it promises.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod api;
#[path = "api/contract.rs"]
mod contract;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use lambda_runtime::{Context, LambdaEvent};
use nextbasket_domain::{Clock, Random};
use nextbasket_http::{AuthMode, Service};
use nextbasket_job_engine::{Engine, Site};
use nextbasket_objects::Bucket;
use nextbasket_tables::{TableNames, Tables};
use nextbasket_telemetry::Metrics;
use nextbasket_testkit::{Fault, FaultProxy};
use serde_json::{Value, json};

use api::{Answer, World};
use contract::Contract;

/// How long a new model may take to be in use on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

const ASKS: [&str; 4] = ["recommendForUser", "relatedProducts", "relatedProductsByQuery", "popularProducts"];

/// The operations that take a body.
const WITH_BODIES: [&str; 6] = [
    "recordPurchase",
    "putProduct",
    "putProductByQuery",
    "recommendForBasket",
    "submitJob",
    "setCurrentModel",
];

/// A target of each operation, and a body that it takes.
fn example(operation: &str) -> (&'static str, Value) {
    match operation {
        "recordPurchase" => (
            "/purchases",
            json!({
                "purchaseId": "order-1001",
                "userId": "ada",
                "purchasedAt": "2026-05-31T08:15:28+02:00",
                "lines": [
                    { "productId": "coffee-espresso-1kg", "quantity": 1, "unitPrice": { "amount": 1890, "currency": "EUR" } },
                    { "productId": "Käse 1/2 kg", "quantity": 2 },
                ],
                "recommendationId": "cart.1.9f86d081884c7d659a2feaa0c55ad015",
            }),
        ),
        "listPurchases" => ("/users/ada/purchases", Value::Null),
        "cancelPurchase" => ("/users/ada/purchases/order-1001", Value::Null),
        "eraseUser" => ("/users/nobody", Value::Null),
        "recommendForUser" => ("/users/ada/recommendations", Value::Null),
        "recommendForBasket" => {
            ("/recommendations", json!({ "userId": "ada", "basket": ["coffee-espresso-1kg"] }))
        }
        "relatedProducts" => ("/products/coffee-espresso-1kg/related", Value::Null),
        "relatedProductsByQuery" => ("/products/related?productId=coffee-espresso-1kg", Value::Null),
        "popularProducts" => ("/products/popular", Value::Null),
        "listProducts" => ("/products", Value::Null),
        "getProduct" => ("/products/coffee-espresso-1kg", Value::Null),
        "putProduct" => ("/products/K%C3%A4se%201%20kg", example("putProductByQuery").1),
        "putProductByQuery" => (
            "/products?productId=K%C3%A4se%201%2F2%20kg",
            json!({
                "name": "Käse, 1/2 kg",
                "categories": ["Cheese", "Breakfast"],
                "price": { "amount": 1250, "currency": "EUR" },
                "available": true,
                "attributes": { "milk": "sheep" },
            }),
        ),
        "deleteProduct" => ("/products/K%C3%A4se%201%20kg", Value::Null),
        "deleteProductByQuery" => ("/products?productId=K%C3%A4se%201%2F2%20kg", Value::Null),
        "submitJob" => (
            "/jobs",
            json!({ "jobId": "rebuild-1", "kind": "rebuild-history", "parameters": { "segments": 2 } }),
        ),
        "listJobs" => ("/jobs", Value::Null),
        "getJob" | "cancelJob" => ("/jobs/rebuild-1", Value::Null),
        "listModels" => ("/models", Value::Null),
        "setCurrentModel" => ("/models/current", json!({ "version": 1 })),
        other => panic!("an operation without an example: {other}"),
    }
}

/// The operation's target with a query such as `?limit=5`, which may be in addition to the target's own.
fn target(operation: &str, query: &str) -> String {
    let (target, _) = example(operation);
    let more = query.strip_prefix('?').filter(|_| target.contains('?'));
    more.map_or_else(|| format!("{target}{query}"), |more| format!("{target}&{more}"))
}

struct Session {
    world: World,
    contract: Contract,
}

impl Session {
    /// Asks, holds the answer against the contract and expects this status.
    async fn ask(&mut self, operation: &str, query: &str, body: &Value, status: u16) -> Answer {
        self.ask_at(operation, &target(operation, query), body, status).await
    }

    async fn ask_at(&mut self, operation: &str, target: &str, body: &Value, status: u16) -> Answer {
        let sent = if body.is_null() { String::new() } else { body.to_string() };
        self.send(operation, target, sent, status).await
    }

    async fn send(&mut self, operation: &str, target: &str, body: String, status: u16) -> Answer {
        let method = self.contract.route(operation).split(' ').next().unwrap().to_owned();
        let answer = self.world.send(&method, target, body).await;
        assert_eq!(answer.status, status, "{operation} {target}: {answer:#?}");
        self.contract.check(operation, &answer);
        answer
    }

    async fn refused(&mut self, operation: &str, query: &str, body: &Value, code: &str) {
        let answer = self.ask(operation, query, body, 400).await;
        assert_eq!(answer.text("/code"), code, "{operation}{query} {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_answers_as_the_contract_says_and_every_promise_of_it_is_seen() {
    let contract = Contract::read();
    let mut client = Session { world: World::with_shop().await, contract };
    let routes: BTreeSet<String> =
        client.world.system.machine().template().routes.iter().map(|route| route.key.clone()).collect();
    assert_eq!(routes, client.contract.routes(), "the template's routes are the contract's operations");

    products(&mut client).await;
    purchases(&mut client).await;
    recommendations(&mut client).await;
    jobs_and_models(&mut client).await;
    wrong_parameters(&mut client).await;
    wrong_bodies(&mut client).await;
    our_own_failures(&mut client).await;

    let unseen = client.contract.unseen();
    assert!(unseen.is_empty(), "promised and not seen: {unseen:#?}");
}

async fn products(client: &mut Session) {
    let (_, body) = example("putProduct");
    client.ask("getProduct", "", &Value::Null, 200).await;
    for (put, get) in [("putProduct", "getProduct"), ("putProductByQuery", "listProducts")] {
        client.ask(put, "", &body, 201).await;
        let put_again = client.ask(put, "", &body, 200).await;
        let got = client.ask_at(get, example(put).0, &Value::Null, 200).await;
        assert_eq!(got.body, put_again.body);
    }
    let mut found = 0;
    let mut cursor = String::new();
    loop {
        let page = client.ask("listProducts", &format!("?limit=100{cursor}"), &Value::Null, 200).await;
        found += page.body.as_ref().unwrap()["items"].as_array().unwrap().len();
        if page.text("/cursor").is_empty() {
            break;
        }
        cursor = format!("&cursor={}", page.cursor());
    }
    assert!(found > 100, "{found} products");
    let cheese = client.ask("listProducts", "?category=Cheese", &Value::Null, 200).await;
    assert_eq!(cheese.body.unwrap()["items"].as_array().unwrap().len(), 2);
    for (delete, get) in [("deleteProduct", "getProduct"), ("deleteProductByQuery", "listProducts")] {
        client.ask(delete, "", &Value::Null, 204).await;
        client.ask(delete, "", &Value::Null, 204).await;
        client.ask_at(get, example(delete).0, &Value::Null, 404).await;
    }
}

async fn purchases(client: &mut Session) {
    let (_, mut body) = example("recordPurchase");
    let new = client.ask("recordPurchase", "", &body, 201).await;
    let again = client.ask("recordPurchase", "", &body, 200).await;
    assert_eq!(again.body, new.body);
    body["lines"][0]["quantity"] = json!(7);
    client.ask("recordPurchase", "", &body, 409).await;
    client.ask("recordPurchase", "", &json!({
        "purchaseId": "least", "userId": "ada", "lines": [{ "productId": "descaler", "quantity": 1, "unitPrice": null }],
        "purchasedAt": null, "recommendationId": null,
    }), 201).await;
    let first = client.ask("listPurchases", "?limit=1", &Value::Null, 200).await;
    let second =
        client.ask("listPurchases", &format!("?limit=2&cursor={}", first.cursor()), &Value::Null, 200).await;
    assert_eq!(first.text("/items/0/purchaseId"), "least");
    assert_eq!(second.text("/items/0/purchaseId"), "order-1001");
    client.ask_at("listPurchases", "/users/nobody/purchases", &Value::Null, 200).await;
    client.ask("cancelPurchase", "", &Value::Null, 204).await;
    client.ask("eraseUser", "", &Value::Null, 202).await;
    client.world.system.drain(|_| ()).await.unwrap();
}

async fn recommendations(client: &mut Session) {
    // Before the first training there is no model, and there are answers.
    for operation in ASKS {
        let answer = client.ask(operation, "?limit=5", &Value::Null, 200).await;
        let body = answer.body.unwrap();
        assert!(body["modelVersion"].is_null() && body["items"].as_array().unwrap().len() == 5, "{body:#}");
    }
    client.world.train().await;
    let before = until(client, "recommendForUser", "?limit=2", |answer| {
        answer.status == 200 && answer.body.as_ref().unwrap()["modelVersion"] == 1
    })
    .await;
    client.ask_at("relatedProducts", "/products/no%20such/related", &Value::Null, 404).await;
    client.ask_at("relatedProductsByQuery", "/products/related?productId=no/such", &Value::Null, 404).await;
    for operation in ["relatedProducts", "relatedProductsByQuery"] {
        for query in
            ["?kind=together&limit=100", "?kind=similar&scenario=page", "?category=Coffee&exclude=descaler"]
        {
            client.ask(operation, query, &Value::Null, 200).await;
        }
    }
    for window in ["day", "week", "month", "all"] {
        client.ask("popularProducts", &format!("?window={window}&limit=100"), &Value::Null, 200).await;
    }
    for user in ["ada", "grace", "user-0001", "user-0002", "nobody"] {
        client
            .ask_at(
                "recommendForUser",
                &format!("/users/{user}/recommendations?limit=100"),
                &Value::Null,
                200,
            )
            .await;
    }
    for body in [
        json!({}),
        json!({ "basket": ["coffee-espresso-1kg", "no such"], "limit": 100 }),
        json!({ "basket": [], "exclude": ["descaler", "Käse 1/2 kg"], "filter": {} }),
        json!({ "userId": "grace", "filter": { "categories": ["Coffee"], "available": false, "exclude": ["descaler"] } }),
        json!({
            "userId": null, "boost": [{ "category": "Coffee", "factor": 2 }, { "productId": "descaler", "factor": 0.5 }],
            "pin": ["coffee-espresso-1kg"], "scenario": "cart", "filter": { "available": null }, "cursor": null,
        }),
    ] {
        client.contract.admits("recommendForBasket", &body).unwrap();
        client.ask("recommendForBasket", "", &body, 200).await;
    }
    // The list of one model is continued with the next.
    let basket =
        client.ask("recommendForBasket", "", &json!({ "basket": ["descaler"], "limit": 2 }), 200).await;
    let mut lists = vec![("recommendForUser", before)];
    for operation in ["relatedProducts", "relatedProductsByQuery", "popularProducts"] {
        lists.push((operation, client.ask(operation, "?limit=2", &Value::Null, 200).await));
    }
    client.world.train().await;
    for (operation, first) in &lists {
        let next = format!("?limit=2&cursor={}", first.cursor());
        let version = |answer: &Answer| answer.body.as_ref().unwrap()["modelVersion"].clone();
        let renewed = |answer: &Answer| version(answer) != version(first);
        until(client, operation, &next, renewed).await;
    }
    let body = json!({ "basket": ["descaler"], "limit": 2, "cursor": basket.cursor() });
    client.ask("recommendForBasket", "", &body, 200).await;
}

async fn jobs_and_models(client: &mut Session) {
    let (_, body) = example("submitJob");
    for body in
        [&body, &body, &json!({ "kind": "rebuild-history", "parameters": body["parameters"], "jobId": null })]
    {
        client.ask("submitJob", "", body, 202).await;
    }
    let other = json!({ "jobId": body["jobId"], "kind": "refresh-popular" });
    assert_eq!(client.ask("submitJob", "", &other, 409).await.text("/code"), "job_differs");
    until(client, "getJob", "", |answer| answer.text("/state") == "succeeded").await;
    let first = client.ask("listJobs", "?limit=1", &Value::Null, 200).await;
    client.ask("listJobs", &format!("?cursor={}", first.cursor()), &Value::Null, 200).await;
    assert_eq!(client.ask("cancelJob", "", &Value::Null, 409).await.text("/code"), "job_ended");
    let endless = json!({
        "jobId": "follow-1",
        "kind": "count",
        "parameters": { "table": "nextbasket-products", "follow": { "interval": "1s" } },
    });
    client.ask("submitJob", "", &endless, 202).await;
    client.ask_at("cancelJob", "/jobs/follow-1", &Value::Null, 202).await;
    let cancelled = Instant::now();
    while client.ask_at("getJob", "/jobs/follow-1", &Value::Null, 200).await.text("/state") != "cancelled" {
        assert!(cancelled.elapsed() < Duration::from_secs(60), "it does not end");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    client.ask_at("cancelJob", "/jobs/follow-1", &Value::Null, 200).await;
    for operation in ["getJob", "cancelJob"] {
        client.ask_at(operation, "/jobs/never-submitted", &Value::Null, 404).await;
    }
    let tried = json!({ "kind": "rebuild-history", "dryRun": true });
    client.ask("submitJob", "", &tried, 200).await;
    let nowhere = json!({ "source": "s3://nextbasket-nowhere/purchases.csv" });
    let tried = json!({ "kind": "import", "parameters": nowhere, "dryRun": true });
    client.ask("submitJob", "", &tried, 409).await;

    client.ask("listModels", "", &Value::Null, 200).await;
    let (_, before) = example("setCurrentModel");
    client.ask("setCurrentModel", "", &before, 200).await;
    client.ask("setCurrentModel", "", &json!({ "version": 77 }), 404).await;
    client.world.tables().model().unwrap().begin().await.unwrap();
    client.ask("setCurrentModel", "", &json!({ "version": 2 }), 409).await;
}

/// Asks until the answer is as it shall become; every answer on the way is held against the contract.
async fn until(client: &mut Session, operation: &str, query: &str, done: impl Fn(&Answer) -> bool) -> Answer {
    let started = Instant::now();
    loop {
        let answer = client.world.send("GET", &target(operation, query), "").await;
        client.contract.check(operation, &answer);
        if done(&answer) {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "{operation}{query}: {answer:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn wrong_parameters(client: &mut Session) {
    for route in client.contract.routes() {
        let operation = client.contract.operation(&route).to_owned();
        let (_, body) = example(&operation);
        client.refused(&operation, "?colour=red", &body, "unknown_field").await;
    }
    for operation in ASKS.into_iter().chain(["listPurchases", "listProducts", "listJobs"]) {
        client.refused(operation, "?limit=0", &Value::Null, "invalid_field").await;
        client.refused(operation, "?cursor=x", &Value::Null, "invalid_cursor").await;
    }
    for (operation, target) in [
        ("cancelPurchase", "/users/ada/purchases/a%00b"),
        ("eraseUser", "/users/a%0Ab"),
        ("getProduct", "/products/a%7Fb"),
        ("deleteProduct", "/products/a%C2%85b"),
        ("putProduct", "/products/%0D"),
        ("getJob", "/jobs/a%20b"),
        ("cancelJob", "/jobs/a%20b"),
        ("putProductByQuery", "/products?productId=%0D"),
        ("putProductByQuery", "/products"),
        ("deleteProductByQuery", "/products?productId="),
        ("deleteProductByQuery", "/products"),
        ("relatedProductsByQuery", "/products/related"),
        // API Gateway's own answer.
        ("getProduct", "/products/100%"),
    ] {
        client.ask_at(operation, target, &example(operation).1, 400).await;
    }
    for (operation, target) in [
        ("cancelPurchase", "/users/ada/purchases/a%2Fb"),
        ("eraseUser", "/users/a%2Fb"),
        ("getProduct", "/products/a%2Fb"),
        ("putProduct", "/products/%3Fa"),
        ("deleteProduct", "/products/a%2Fb"),
        ("getJob", "/jobs/a%2Fb"),
    ] {
        client.ask_at(operation, target, &example(operation).1, 404).await;
    }
    for operation in ["listProducts", "recordPurchase", "recommendForUser"] {
        let long = format!("?exclude={}", "x".repeat(10_240));
        client.ask(operation, &long, &example(operation).1, 431).await;
    }
}

async fn wrong_bodies(client: &mut Session) {
    for (operation, without) in [
        ("recordPurchase", json!({})),
        ("putProduct", json!({})),
        ("putProductByQuery", json!({})),
        ("recommendForBasket", json!({ "boost": [{ "category": "Coffee" }] })),
        ("submitJob", json!({})),
        ("setCurrentModel", json!({})),
    ] {
        let (target, mut body) = example(operation);
        client.send(operation, target, "{".to_owned(), 400).await;
        client.refused(operation, "", &without, "missing_field").await;
        body["colour"] = json!("red");
        client.refused(operation, "", &body, "unknown_field").await;
        client.refused(operation, "", &json!([]), "invalid_field").await;
        for size in [262_145, 10 * 1024 * 1024 + 1] {
            client.send(operation, target, " ".repeat(size), 413).await;
        }
    }
    client.refused("recommendForBasket", "", &json!({ "cursor": "x" }), "invalid_cursor").await;
    for operation in WITH_BODIES {
        let (target, body) = example(operation);
        let method = client.contract.route(operation).split(' ').next().unwrap().to_owned();
        let gzip = [("content-type", "application/json"), ("content-encoding", "gzip")];
        let answer = client.world.send_with(&method, target, &gzip, body.to_string()).await;
        assert_eq!(answer.status, 415, "{operation}: {answer:#?}");
        client.contract.check(operation, &answer);
    }
}

/// What no client of a healthy system on one machine sees: asked of the functions themselves.
async fn our_own_failures(client: &mut Session) {
    let machine = client.world.system.machine();
    let names = nextbasket::local_deployment::table_names().unwrap();
    let proxy = FaultProxy::start(&machine.dynamodb().endpoint_url(), machine.key()).await;
    proxy.inject("*", 1..=u64::MAX, Fault::Throttle);
    let gone = TableNames::from_lookup(|variable| Some(format!("no-{variable}")));
    let direct = Client::new(machine.sdk_config());
    let operations = &machine.template().table("OperationsTable").unwrap().name;
    let objects = || {
        let bucket = machine.template().bucket("JobsBucket").unwrap().name.clone();
        Bucket::new(aws_sdk_s3::Client::from_conf(machine.s3_config()), bucket)
    };
    let throttled = Functions::on(proxy.dynamodb(), names.clone(), operations, objects());
    let missing = Functions::on(direct.clone(), gone, "no-operations", objects());
    let healthy = Functions::on(direct, names, operations, objects());
    let admin = json!({ "jwt": { "claims": { "sub": "shop", "scope": "nextbasket/admin" } } });
    let other = json!({ "jwt": { "claims": { "sub": "mallory" } } });
    for route in client.contract.routes() {
        let operation = client.contract.operation(&route).to_owned();
        for (functions, authorizer, status) in [
            (&healthy, &Value::Null, 401),
            (&healthy, &other, 403),
            (&throttled, &admin, 503),
            (&missing, &admin, 500),
        ] {
            let answer = functions.invoke(&route, &operation, authorizer).await;
            // The catalogue and what is popular are for every caller.
            let open = status == 403 && answer.status == 200;
            assert!(open || answer.status == status, "{route}: {answer:#?}");
            assert!(!answer.text("/detail").contains("Exception"), "{answer:#?}");
            client.contract.check(&operation, &answer);
        }
    }
}

struct Functions {
    purchases: purchases::State,
    products: products::State,
    recommendations: recommendations::State,
    jobs: jobs_api::State,
}

impl Functions {
    fn on(client: Client, names: TableNames, operations: &str, objects: Bucket) -> Self {
        let tables = &Tables::new(client.clone(), names);
        let service = Service { auth: AuthMode::Jwt, metrics: Metrics::off() };
        let (clock, random) = (Clock::system(), Random::new(|| 4));
        let site = Site::new(client, operations.to_owned(), objects, random.clone());
        let engine = Engine::new(site, nextbasket_job_kinds::kinds(tables, None));
        let driver = jobs_api::Driver::Workers(Arc::default());
        Self {
            jobs: jobs_api::State::new(service.clone(), engine, tables, driver).unwrap(),
            purchases: purchases::State::new(service.clone(), tables, clock.clone(), random.clone()).unwrap(),
            products: products::State::new(service.clone(), tables, clock.clone()).unwrap(),
            recommendations: recommendations::State::new(service, tables, clock, random).unwrap(),
        }
    }

    async fn invoke(&self, route: &str, operation: &str, authorizer: &Value) -> Answer {
        let (_, body) = example(operation);
        let event = json!({
            "routeKey": route,
            "rawQueryString": "",
            "pathParameters": {
                "userId": "ada", "purchaseId": "order-1001", "productId": "coffee-espresso-1kg", "jobId": "count-1",
            },
            "requestContext": {
                "requestId": "4f3c8a52",
                "authorizer": authorizer,
                "http": { "method": route.split(' ').next() },
            },
            "body": (!body.is_null()).then(|| body.to_string()),
        });
        let event = LambdaEvent::new(serde_json::from_value(event).unwrap(), Context::default());
        let response = match operation {
            "recordPurchase" | "listPurchases" | "cancelPurchase" | "eraseUser" => {
                purchases::handle(&self.purchases, event).await
            }
            "listProducts"
            | "getProduct"
            | "putProduct"
            | "putProductByQuery"
            | "deleteProduct"
            | "deleteProductByQuery" => products::handle(&self.products, event).await,
            "submitJob" | "listJobs" | "getJob" | "cancelJob" | "listModels" | "setCurrentModel" => {
                jobs_api::handle(&self.jobs, event).await
            }
            _ => recommendations::handle(&self.recommendations, event).await,
        };
        let response = serde_json::to_value(response.unwrap()).unwrap();
        let headers = response["headers"].as_object().unwrap().iter();
        Answer {
            status: u16::try_from(response["statusCode"].as_u64().unwrap()).unwrap(),
            headers: headers
                .map(|(name, value)| (name.to_lowercase(), value.as_str().unwrap().to_owned()))
                .collect(),
            body: response["body"].as_str().map(|body| serde_json::from_str(body).unwrap()),
        }
    }
}

#[test]
fn the_examples_of_the_contract_are_as_their_schemas_say() {
    let contract = Contract::read();
    assert!(contract.check_examples() >= 8);
    for operation in WITH_BODIES {
        let (_, mut body) = example(operation);
        contract.admits(operation, &body).unwrap();
        body["colour"] = json!("red");
        contract.admits(operation, &body).unwrap_err();
    }
}

/// What a page of another origin may read of an answer without being told.
const SAFELISTED: [&str; 7] = [
    "cache-control",
    "content-language",
    "content-length",
    "content-type",
    "expires",
    "last-modified",
    "pragma",
];

#[test]
fn a_page_of_an_allowed_origin_reads_every_header_of_the_contract() {
    let template = include_str!("../../template.yaml");
    let line = template.lines().find_map(|line| line.trim().strip_prefix("ExposeHeaders: [")).unwrap();
    let exposed: BTreeSet<&str> = line.trim_end_matches(']').split(", ").collect();
    let headers = Contract::read().headers();
    assert!(headers.contains("location") && headers.contains("retry-after"), "{headers:?}");
    for name in headers.iter().filter(|name| !SAFELISTED.contains(&name.as_str())) {
        assert!(exposed.contains(name.as_str()), "{name} is not exposed");
    }
}
