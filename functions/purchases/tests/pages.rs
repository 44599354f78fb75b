//! Lists of large purchases: a page stays within what a function may answer, and the pages hold all of them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

use lambda_runtime::{Context, LambdaEvent};
use nextbasket_domain::{Clock, Random};
use nextbasket_http::{AuthMode, Service};
use nextbasket_tables::{TableNames, Tables};
use nextbasket_telemetry::Metrics;
use nextbasket_testkit::TestStack;
use nextbasket_testkit::events::event;
use purchases::{State, handle};
use serde_json::{Value, json};

/// What Lambda takes of a function.
const MOST_BYTES: usize = 6 * 1024 * 1024;

async fn ask(state: &State, event: Value) -> (u64, String) {
    let event = LambdaEvent::new(serde_json::from_value(event).unwrap(), Context::default());
    let answer = serde_json::to_value(handle(state, event).await.unwrap()).unwrap();
    (answer["statusCode"].as_u64().unwrap(), answer["body"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_page_of_the_largest_purchases_can_be_answered_and_none_is_left_out() {
    let stack = TestStack::start().await;
    let names = TableNames::from_lookup(|variable| Some(stack.table(variable).to_owned()));
    let service = Service { auth: AuthMode::Iam, metrics: Metrics::off() };
    let tables = Tables::new(stack.dynamodb(), names);
    let state = State::new(service, &tables, Clock::system(), Random::system().unwrap()).unwrap();
    let lines: Vec<Value> =
        (0..1_000).map(|n| json!({ "productId": format!("{n:0>95}"), "quantity": 1 })).collect();
    for n in 0..40 {
        let mut post = event("purchases-post");
        let at = format!("2026-01-01T00:00:{n:02}Z");
        let body =
            json!({ "purchaseId": format!("o{n}"), "userId": "ada", "purchasedAt": at, "lines": lines });
        post["body"] = body.to_string().into();
        assert_eq!(ask(&state, post).await.0, 201);
    }
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let mut list = event("purchases-list");
        list["rawQueryString"] = format!("limit=100{cursor}").into();
        let (status, body) = ask(&state, list).await;
        assert!(status == 200 && body.len() < MOST_BYTES, "{status}, {} bytes", body.len());
        let page: Value = serde_json::from_str(&body).unwrap();
        found.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["purchaseId"].as_str().unwrap().to_owned()),
        );
        match page["cursor"].as_str() {
            Some(text) => cursor = format!("&cursor={text}"),
            None => break,
        }
    }
    assert_eq!(found, (0..40).rev().map(|n| format!("o{n}")).collect::<Vec<_>>());
    let newest = tables.purchases().unwrap().newest(&"ada".parse().unwrap()).await.unwrap().items;
    assert_eq!(newest.len(), 40, "a history is of all of them");
}
