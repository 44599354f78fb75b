//! The function behind a transport that fails: a page is whole or an error, and a product is written as it is told.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

use nextbasket_testkit::events::{answer, event};
use nextbasket_testkit::{Fault, FaultProxy, FunctionProcess, TestStack};
use serde_json::{Value, json};

struct World {
    _stack: TestStack,
    proxy: FaultProxy,
    function: FunctionProcess,
}

impl World {
    async fn new() -> Self {
        let stack = TestStack::start().await;
        let proxy = stack.proxy().await;
        let mut environment = stack.environment("products");
        environment.insert("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), proxy.url());
        let function = FunctionProcess::spawn(env!("CARGO_BIN_EXE_products"), &environment).await;
        Self { _stack: stack, proxy, function }
    }

    async fn put(&self, id: &str, categories: &Value) -> u64 {
        let mut put = event("products-put");
        put["pathParameters"]["productId"] = json!(id);
        put["body"] = json!({ "name": id, "categories": categories }).to_string().into();
        answer(&self.function, &put).await.0
    }

    async fn page(&self, query: &str) -> (u64, Value) {
        let mut list = event("products-list");
        list["rawQueryString"] = json!(query);
        answer(&self.function, &list).await
    }
}

#[tokio::test]
async fn a_page_is_whole_though_keys_are_left_unprocessed_and_answers_are_lost() {
    let world = World::new().await;
    for n in 0..20 {
        assert_eq!(world.put(&format!("p{n:02}"), &json!(["Coffee"])).await, 201);
    }
    let (_, whole) = world.page("category=Coffee&limit=100").await;
    assert_eq!(whole["items"].as_array().unwrap().len(), 20);
    for (operation, fault) in [
        ("BatchGetItem", Fault::Unprocessed),
        ("BatchGetItem", Fault::Throttle),
        ("BatchGetItem", Fault::DropAfter),
        ("Query", Fault::ServerError),
        ("Query", Fault::DropBefore),
    ] {
        world.proxy.inject(operation, 1..=2, fault.clone());
        let (status, page) = world.page("category=Coffee&limit=100").await;
        assert_eq!(status, 200, "{operation} {fault:?}: {page:#}");
        let ids = |page: &Value| -> Vec<String> {
            page["items"].as_array().unwrap().iter().map(|item| item["productId"].to_string()).collect()
        };
        assert_eq!(ids(&page), ids(&whole), "{operation} {fault:?}");
        world.proxy.heal();
    }
    for operation in ["BatchGetItem", "Query"] {
        world.proxy.inject(operation, 1..=1, Fault::Truncate);
        let (status, page) = world.page("category=Coffee&limit=100").await;
        assert!(page == whole || status >= 500, "half of a page with {status}: {page:#}");
        world.proxy.heal();
    }
}

#[tokio::test]
async fn a_table_that_stays_busy_is_told_as_such_and_nothing_of_the_cause() {
    let world = World::new().await;
    world.proxy.inject("*", 1..=u64::MAX, Fault::Throttle);
    for name in ["products-get", "products-put", "products-list", "product-delete"] {
        let whole = world.function.invoke(&event(name)).await.unwrap();
        assert_eq!(
            (&whole["statusCode"], &whole["headers"]["retry-after"]),
            (&json!(503), &json!("1")),
            "{name}"
        );
        let body = whole["body"].as_str().unwrap();
        assert!(body.contains("\"code\":\"unavailable\"") && !body.contains("Throughput"), "{name}: {body}");
    }
    // The log has the cause.
    world.function.says("ProvisionedThroughput").await;
}

#[tokio::test]
async fn a_product_is_written_though_the_answer_to_its_write_is_lost() {
    let world = World::new().await;
    for (operation, id, categories) in [
        ("PutItem", "one", json!(["Coffee"])),
        ("TransactWriteItems", "two", json!(["Coffee", "Espresso", "Beans"])),
    ] {
        world.proxy.inject(operation, 1..=1, Fault::DropAfter);
        let status = world.put(id, &categories).await;
        assert!([200, 201].contains(&status), "{operation}: {status}");
        assert!(world.proxy.calls(operation) >= 2, "{operation} is tried again");
    }
    for (category, ids) in [("Coffee", vec!["one", "two"]), ("Beans", vec!["two"])] {
        let (_, page) = world.page(&format!("category={category}")).await;
        let found: Vec<_> = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["productId"].as_str().unwrap())
            .collect();
        assert_eq!(found, ids, "{category}");
    }
}
