//! The function's own binary, given the repository's events as Lambda would.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

use std::collections::BTreeSet;

use nextbasket_testkit::events::{answer, ends_and_says, event, unused_events};
use nextbasket_testkit::{FunctionProcess, TestStack};
use serde_json::{Value, json};

async fn spawn(stack: &TestStack, auth_mode: &str) -> FunctionProcess {
    let mut environment = stack.environment("products");
    environment.insert("AUTH_MODE".to_owned(), auth_mode.to_owned());
    FunctionProcess::spawn(env!("CARGO_BIN_EXE_products"), &environment).await
}

/// The status and the body, without the time of the last change.
async fn timeless(function: &FunctionProcess, event: &Value) -> (u64, Value) {
    let (status, mut body) = answer(function, event).await;
    let time = body.as_object_mut().and_then(|product| product.remove("updatedAt"));
    assert!(time.is_some_and(|time| time.as_str().is_some_and(|time| time.ends_with('Z'))), "{body}");
    (status, body)
}

async fn code(function: &FunctionProcess, event: &Value) -> (u64, String, String) {
    let (status, body) = answer(function, event).await;
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    (status, text("code"), text("field"))
}

#[tokio::test]
async fn the_catalogue_is_written_read_listed_and_cleared() {
    let stack = TestStack::start().await;
    let function = spawn(&stack, "iam").await;
    let espresso = json!({
        "productId": "coffee-espresso-1kg",
        "name": "Espresso beans 1 kg",
        "categories": ["Coffee", "Espresso"],
        "price": { "amount": 1890, "currency": "EUR" },
        "available": true,
        "attributes": { "origin": "Brazil, Ethiopia", "roast": "dark" },
    });
    assert_eq!(timeless(&function, &event("products-put")).await, (201, espresso.clone()));
    assert_eq!(timeless(&function, &event("products-put")).await, (200, espresso.clone()));
    assert_eq!(timeless(&function, &event("products-get")).await, (200, espresso));
    let (status, page) = answer(&function, &event("products-list")).await;
    assert_eq!((status, &page["items"][0]["productId"]), (200, &json!("coffee-espresso-1kg")));
    let (status, found, field) = code(&function, &event("products-put-invalid")).await;
    assert_eq!((status, found.as_str(), field.as_str()), (400, "invalid_field", "price.amount"));
    let unknown = (404, "product_not_found".to_owned(), "productId".to_owned());
    assert_eq!(code(&function, &event("products-get-unknown")).await, unknown);
    assert_eq!(answer(&function, &event("product-delete")).await, (204, Value::Null));
    assert_eq!(code(&function, &event("products-get")).await, unknown);
    assert_eq!(answer(&function, &event("products-list")).await, (200, json!({ "items": [] })));
}

#[tokio::test]
async fn a_product_whose_id_no_path_carries_is_written_read_and_removed_by_query() {
    let stack = TestStack::start().await;
    let function = spawn(&stack, "iam").await;
    let (status, stored) = timeless(&function, &event("product-put-by-query")).await;
    assert_eq!((status, &stored["productId"]), (201, &json!("Käse 1/2 kg")));
    assert_eq!(timeless(&function, &event("product-get-by-query")).await, (200, stored));
    assert_eq!(answer(&function, &event("product-delete-by-query")).await, (204, Value::Null));
    let unknown = (404, "product_not_found".to_owned(), "productId".to_owned());
    assert_eq!(code(&function, &event("product-get-by-query")).await, unknown);
    for name in ["product-put-by-query", "product-delete-by-query"] {
        let mut nothing = event(name);
        nothing["rawQueryString"] = json!("");
        let missing = (400, "missing_field".to_owned(), "productId".to_owned());
        assert_eq!(code(&function, &nothing).await, missing, "{name}");
        let mut both = event(name);
        both["rawQueryString"] = json!("productId=a&productId=b");
        let twice = (400, "invalid_field".to_owned(), "productId".to_owned());
        assert_eq!(code(&function, &both).await, twice, "{name}");
    }
    let mut listed = event("product-get-by-query");
    listed["rawQueryString"] = json!("productId=a&limit=5");
    let unknown = (400, "unknown_field".to_owned(), "limit".to_owned());
    assert_eq!(code(&function, &listed).await, unknown, "one product or a page");
}

#[tokio::test]
async fn a_token_reads_the_catalogue_and_writes_it_with_the_scope_alone() {
    let stack = TestStack::start().await;
    let function = spawn(&stack, "jwt").await;
    let forbidden = (403, "forbidden".to_owned(), String::new());
    assert_eq!(code(&function, &event("products-put-jwt-user")).await, forbidden);
    assert_eq!(answer(&function, &event("products-put-jwt-admin")).await.0, 201);
    let with_token = |name: &str| {
        let mut request = event(name);
        request["requestContext"]["authorizer"] =
            event("products-put-jwt-user")["requestContext"]["authorizer"].clone();
        request
    };
    assert_eq!(answer(&function, &with_token("products-get")).await.0, 200);
    for name in ["product-delete", "product-delete-by-query", "product-put-by-query"] {
        assert_eq!(code(&function, &with_token(name)).await, forbidden, "{name}");
    }
    assert_eq!(answer(&function, &with_token("products-list")).await.0, 200);
    for name in ["products-put", "products-get"] {
        let unauthorized = (401, "unauthorized".to_owned(), String::new());
        assert_eq!(code(&function, &event(name)).await, unauthorized, "signed, where a token is asked for");
    }
}

#[tokio::test]
async fn without_its_table_or_its_mode_it_ends_and_says_why() {
    let stack = TestStack::start().await;
    for variable in ["PRODUCTS_TABLE", "AUTH_MODE"] {
        let mut environment = stack.environment("products");
        environment.remove(variable);
        let function = FunctionProcess::spawn(env!("CARGO_BIN_EXE_products"), &environment).await;
        ends_and_says(
            &function,
            &event("products-get"),
            &format!("environment variable {variable} is not set"),
        )
        .await;
    }
}

#[tokio::test]
async fn every_event_of_this_function_is_used_here() {
    let stack = TestStack::start().await;
    assert_eq!(unused_events(&stack, "products", include_str!("binary.rs")), BTreeSet::new());
}
