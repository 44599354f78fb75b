//! The function's own binary, given the repository's stream events as Lambda would.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_domain::{ProductId, Purchase, PurchaseId, Timestamp, UserId};
use nextbasket_tables::{TableNames, Tables};
use nextbasket_testkit::events::{ends_and_says, event, unused_events};
use nextbasket_testkit::{FunctionProcess, TestStack};
use serde_json::{Value, json};

async fn spawn(stack: &TestStack) -> FunctionProcess {
    let environment = stack.environment("purchase-history");
    FunctionProcess::spawn(env!("CARGO_BIN_EXE_purchase-history"), &environment).await
}

fn tables(stack: &TestStack) -> Tables {
    let names = TableNames::from_lookup(|variable| {
        ["PURCHASES_TABLE", "HISTORY_TABLE"].contains(&variable).then(|| stack.table(variable).to_owned())
    });
    Tables::new(stack.dynamodb(), names)
}

/// Writes the purchases that the event's records say were written.
async fn write(stack: &TestStack, event: &Value) {
    for record in event["Records"].as_array().unwrap() {
        let change = &record["dynamodb"];
        let (keys, image) = (&change["Keys"], &change["NewImage"]);
        let (Some(user), Some(id)) = (keys["userId"]["S"].as_str(), keys["purchaseId"]["S"].as_str()) else {
            continue;
        };
        let products =
            image["lines"]["L"].as_array().unwrap().iter().map(|line| &line["M"]["productId"]["S"]);
        let purchase = Purchase {
            purchase_id: PurchaseId::parse(id).unwrap(),
            user_id: UserId::parse(user).unwrap(),
            purchased_at: Timestamp::parse(image["purchasedAt"]["S"].as_str().unwrap()).unwrap(),
            lines: products
                .map(|id| nextbasket_domain::Line {
                    product_id: ProductId::parse(id.as_str().unwrap()).unwrap(),
                    quantity: 1,
                    unit_price: None,
                })
                .collect(),
            recommendation_id: None,
        };
        tables(stack).purchases().unwrap().record(&purchase).await.unwrap();
    }
}

async fn users(stack: &TestStack) -> BTreeSet<String> {
    let scan = stack.dynamodb().scan().table_name(stack.table("HISTORY_TABLE")).send().await.unwrap();
    let user = |item: &HashMap<String, AttributeValue>| item["userId"].as_s().unwrap().clone();
    scan.items().iter().map(user).collect()
}

fn failures(of: &[&str]) -> Value {
    let failures: Value = of.iter().map(|number| json!({ "itemIdentifier": number })).collect();
    json!({ "batchItemFailures": failures })
}

#[tokio::test]
async fn the_history_follows_what_is_inserted_changed_and_removed() {
    let stack = TestStack::start().await;
    let function = spawn(&stack).await;
    let ada = UserId::parse("ada").unwrap();
    write(&stack, &event("purchase-history-insert")).await;
    for name in ["purchase-history-insert", "purchase-history-modify", "purchase-history-insert"] {
        assert_eq!(function.invoke(&event(name)).await.unwrap(), failures(&[]), "{name}");
        let baskets = tables(&stack).history().unwrap().baskets(&ada).await.unwrap();
        let products: Vec<_> =
            baskets.iter().flat_map(|basket| &basket.products).map(ProductId::as_str).collect();
        assert_eq!(products, ["coffee-espresso-1kg", "descaler-250ml"], "{name}");
    }
    write(&stack, &event("purchase-history-two-users")).await;
    assert_eq!(function.invoke(&event("purchase-history-two-users")).await.unwrap(), failures(&[]));
    assert_eq!(users(&stack).await, BTreeSet::from(["ada".to_owned(), "grace".to_owned()]));
    tables(&stack).purchases().unwrap().remove_all(&ada).await.unwrap();
    assert_eq!(function.invoke(&event("purchase-history-remove")).await.unwrap(), failures(&[]));
    assert_eq!(users(&stack).await, BTreeSet::from(["grace".to_owned()]));
    function.says("\"Consumer\":\"purchase-history\"").await;
}

#[tokio::test]
async fn a_record_that_names_no_user_is_skipped_and_counted_and_the_others_are_done() {
    let stack = TestStack::start().await;
    let function = spawn(&stack).await;
    let poison = event("purchase-history-poison");
    write(&stack, &poison).await;
    assert_eq!(function.invoke(&poison).await.unwrap(), failures(&[]));
    function.says("\"DamagedPurchases\":1").await;
    let named = poison["Records"].as_array().unwrap().iter();
    let named = named.filter_map(|record| record["dynamodb"]["Keys"]["userId"]["S"].as_str());
    assert_eq!(users(&stack).await, named.map(str::to_owned).collect());
}

#[tokio::test]
async fn what_is_no_stream_event_fails_and_the_next_batch_is_taken() {
    let stack = TestStack::start().await;
    let function = spawn(&stack).await;
    let error = function.invoke(&json!({ "Records": "none" })).await.unwrap_err();
    assert_ne!(error.error_type, "Runtime.ExitError", "{error}");
    assert_eq!(function.invoke(&json!({ "Records": [] })).await.unwrap(), failures(&[]));
}

#[tokio::test]
async fn without_a_table_it_ends_and_says_why() {
    let stack = TestStack::start().await;
    for variable in ["PURCHASES_TABLE", "HISTORY_TABLE"] {
        let mut environment = stack.environment("purchase-history");
        environment.remove(variable);
        let function = FunctionProcess::spawn(env!("CARGO_BIN_EXE_purchase-history"), &environment).await;
        ends_and_says(
            &function,
            &json!({ "Records": [] }),
            &format!("environment variable {variable} is not set"),
        )
        .await;
    }
}

#[tokio::test]
async fn every_event_of_this_function_is_used_here() {
    let stack = TestStack::start().await;
    assert_eq!(unused_events(&stack, "purchase-history", include_str!("binary.rs")), BTreeSet::new());
}
