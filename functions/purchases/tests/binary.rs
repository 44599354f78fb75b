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
    let mut environment = stack.environment("purchases");
    environment.insert("AUTH_MODE".to_owned(), auth_mode.to_owned());
    FunctionProcess::spawn(env!("CARGO_BIN_EXE_purchases"), &environment).await
}

fn problem(status: u64, code: &str, field: Option<&str>) -> (u64, Value, Value) {
    (status, json!(code), json!(field))
}

async fn refused(function: &FunctionProcess, event: &Value) -> (u64, Value, Value) {
    let (status, body) = answer(function, event).await;
    assert_eq!(body["requestId"], event["requestContext"]["requestId"]);
    (status, body["code"].clone(), body["field"].clone())
}

#[tokio::test]
async fn a_shops_back_end_records_lists_and_removes() {
    let stack = TestStack::start().await;
    let function = spawn(&stack, "iam").await;
    let stored = json!({
        "purchaseId": "order-1001",
        "userId": "ada",
        "purchasedAt": "2025-03-14T08:15:28.000Z",
        "lines": [
            { "productId": "coffee-espresso-1kg", "quantity": 1, "unitPrice": { "amount": 1890, "currency": "EUR" } },
            { "productId": "descaler-250ml", "quantity": 1, "unitPrice": { "amount": 790, "currency": "EUR" } },
        ],
    });
    assert_eq!(answer(&function, &event("purchases-post")).await, (201, stored.clone()));
    assert_eq!(answer(&function, &event("purchases-post-again")).await, (200, stored.clone()));
    assert_eq!(answer(&function, &event("purchases-post-base64")).await, (200, stored.clone()));
    let conflict = refused(&function, &event("purchases-post-conflict")).await;
    assert_eq!(conflict, problem(409, "purchase_differs", Some("purchaseId")));
    let invalid = refused(&function, &event("purchases-post-invalid")).await;
    assert_eq!(invalid, problem(400, "invalid_field", Some("lines[1].quantity")));
    assert_eq!(answer(&function, &event("purchases-list")).await, (200, json!({ "items": [stored] })));
    assert_eq!(answer(&function, &event("purchase-delete")).await, (204, Value::Null));
    assert_eq!(answer(&function, &event("purchases-list")).await, (200, json!({ "items": [] })));
    assert_eq!(answer(&function, &event("purchases-post")).await.0, 201);
    assert_eq!(answer(&function, &event("user-delete")).await, (202, Value::Null));
    assert_eq!(answer(&function, &event("purchases-list")).await, (200, json!({ "items": [] })));
    function.says("\"Route\":\"POST /purchases\"").await;
}

#[tokio::test]
async fn a_token_acts_for_its_subject_alone_unless_it_has_the_scope() {
    let stack = TestStack::start().await;
    let function = spawn(&stack, "jwt").await;
    let (status, stored) = answer(&function, &event("purchases-post-jwt")).await;
    assert_eq!((status, &stored["userId"]), (201, &json!("grace")));
    let forbidden = problem(403, "forbidden", None);
    assert_eq!(refused(&function, &event("purchases-post-jwt-other-user")).await, forbidden);
    let token = event("purchases-post-jwt")["requestContext"]["authorizer"].clone();
    for name in ["purchases-list", "purchase-delete", "user-delete"] {
        let mut event = event(name);
        event["requestContext"]["authorizer"] = token.clone();
        assert_eq!(refused(&function, &event).await, forbidden, "{name}: grace's token for ada");
        event["requestContext"]["authorizer"]["jwt"]["claims"]["scope"] = json!("openid nextbasket/admin");
        assert!(answer(&function, &event).await.0 < 300, "{name}: with the scope");
    }
    // Whatever a front end makes of a path: a function acts for the very id that it is given.
    for name in ["purchases-list", "purchase-delete", "user-delete"] {
        for user in ["grace ", " grace", "Grace", "grace/../ada", "ada?grace", "grace#", "%67race", "..", "."]
        {
            let mut event = event(name);
            event["requestContext"]["authorizer"] = token.clone();
            event["pathParameters"]["userId"] = json!(user);
            let (status, _) = answer(&function, &event).await;
            assert!([400, 403].contains(&status), "{name} of {user}: {status}");
        }
    }
    let mut list = event("purchases-list");
    list["pathParameters"]["userId"] = json!("grace");
    list["requestContext"]["authorizer"] = token;
    assert_eq!(answer(&function, &list).await, (200, json!({ "items": [stored] })));
}

#[tokio::test]
async fn a_request_that_names_no_caller_of_the_modes_kind_is_refused() {
    let stack = TestStack::start().await;
    let unauthorized = problem(401, "unauthorized", None);
    for (mode, other) in [("iam", "purchases-post-jwt"), ("jwt", "purchases-post")] {
        let function = spawn(&stack, mode).await;
        assert_eq!(refused(&function, &event(other)).await, unauthorized, "{mode}");
        let mut nobody = event("purchases-post");
        nobody["requestContext"].as_object_mut().unwrap().remove("authorizer");
        assert_eq!(refused(&function, &nobody).await, unauthorized, "{mode}");
    }
    let table = stack.table("PURCHASES_TABLE");
    assert_eq!(stack.dynamodb().scan().table_name(table).send().await.unwrap().count(), 0);
}

#[tokio::test]
async fn without_a_table_or_with_an_unknown_mode_it_ends_and_says_why() {
    let stack = TestStack::start().await;
    for (variable, value) in [
        ("PURCHASES_TABLE", None),
        ("HISTORY_TABLE", Some("")),
        ("MODEL_TABLE", None),
        ("AUTH_MODE", None),
        ("AUTH_MODE", Some("none")),
    ] {
        let mut environment = stack.environment("purchases");
        environment.remove(variable);
        environment.extend(value.map(|value| (variable.to_owned(), value.to_owned())));
        let function = FunctionProcess::spawn(env!("CARGO_BIN_EXE_purchases"), &environment).await;
        ends_and_says(&function, &event("purchases-post"), &format!("environment variable {variable} is"))
            .await;
    }
}

#[tokio::test]
async fn every_event_of_this_function_is_used_here() {
    let stack = TestStack::start().await;
    assert_eq!(unused_events(&stack, "purchases", include_str!("binary.rs")), BTreeSet::new());
}
