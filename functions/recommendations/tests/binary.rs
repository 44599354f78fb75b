//! The function's own binary, given the repository's events as Lambda would.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

use std::collections::BTreeSet;

use nextbasket_domain::{Category, Line, Product, ProductId, Purchase, PurchaseId, Timestamp, UserId};
use nextbasket_tables::{TableNames, Tables};
use nextbasket_testkit::events::{answer, ends_and_says, event, unused_events};
use nextbasket_testkit::jobs::train;
use nextbasket_testkit::{FunctionProcess, TestStack};
use serde_json::{Value, json};

/// The products of the events, each with its category.
const PRODUCTS: [(&str, &str); 4] = [
    ("coffee-espresso-1kg", "Coffee"),
    ("coffee-filter-500g", "Coffee"),
    ("filter-paper-no4", "Accessories"),
    ("descaler-250ml", "Accessories"),
];

/// Shoppers of two habits: espresso with descaler, filter coffee with paper.
async fn shop() -> TestStack {
    let stack = TestStack::start().await;
    let names = TableNames::from_lookup(|variable| Some(stack.table(variable).to_owned()));
    let tables = Tables::new(stack.dynamodb(), names);
    let at = |day: i64| Timestamp::from_millis(1_740_000_000_000 + day * 86_400_000).unwrap();
    for (id, category) in PRODUCTS {
        let product = Product {
            product_id: ProductId::parse(id).unwrap(),
            name: id.replace('-', " "),
            categories: vec![Category::parse(category).unwrap()],
            price: None,
            available: true,
            attributes: [].into(),
            updated_at: at(0),
        };
        tables.products().unwrap().put(&product).await.unwrap();
    }
    let (purchases, history) = (tables.purchases().unwrap(), tables.history().unwrap());
    for (user, habit) in [("ada", [0, 3]), ("linus", [0, 3]), ("grace", [1, 2]), ("alan", [1, 2])] {
        let user_id = UserId::parse(user).unwrap();
        for week in 0..4 {
            let bought = habit.iter().filter(|&&place| place < 2 || week % 2 == 1);
            let purchase = Purchase {
                purchase_id: PurchaseId::parse(&format!("w{week}")).unwrap(),
                user_id: user_id.clone(),
                purchased_at: at(7 * week),
                lines: bought
                    .map(|&place| Line {
                        product_id: ProductId::parse(PRODUCTS.get(place).unwrap().0).unwrap(),
                        quantity: 1,
                        unit_price: None,
                    })
                    .collect(),
                recommendation_id: None,
            };
            purchases.record(&purchase).await.unwrap();
        }
        history.refresh(&user_id, &purchases).await.unwrap();
    }
    train(stack.site(), &tables).await;
    stack
}

async fn spawn(stack: &TestStack, auth_mode: &str) -> FunctionProcess {
    let mut environment = stack.environment("recommendations");
    environment.insert("AUTH_MODE".to_owned(), auth_mode.to_owned());
    FunctionProcess::spawn(env!("CARGO_BIN_EXE_recommendations"), &environment).await
}

/// The products of an answer, in order, each with its strongest reason.
async fn listed(function: &FunctionProcess, name: &str) -> Vec<(String, String)> {
    let (status, body) = answer(function, &event(name)).await;
    assert_eq!((status, &body["modelVersion"]), (200, &json!(1)), "{name}: {body:#}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let items = body["items"].as_array().unwrap().iter();
    items.map(|item| (text(&item["productId"]), text(&item["reasons"][0]["kind"]))).collect()
}

fn first(list: &[(String, String)]) -> (&str, &str) {
    list.first().map(|(product, reason)| (product.as_str(), reason.as_str())).unwrap()
}

#[tokio::test]
async fn the_shops_back_end_gets_lists_with_reasons() {
    let stack = shop().await;
    let function = spawn(&stack, "iam").await;
    let ada = listed(&function, "recommendations-user").await;
    assert_eq!(first(&ada), ("coffee-espresso-1kg", "boughtAgain"));
    assert_eq!(ada.len(), 4, "the whole catalogue: {ada:?}");
    let basket = listed(&function, "recommendations-basket").await;
    assert_eq!(basket.len(), 1, "neither what is in the cart nor what is excluded: {basket:?}");
    assert_eq!(first(&basket).0, "coffee-espresso-1kg");
    assert_eq!(first(&listed(&function, "related").await), ("descaler-250ml", "boughtTogether"));
    assert_eq!(listed(&function, "related-by-query").await, listed(&function, "related").await);
    let similar = listed(&function, "related-similar").await;
    assert!(similar.iter().all(|(product, _)| product != "coffee-espresso-1kg"), "{similar:?}");
    let popular = listed(&function, "popular").await;
    assert!(popular.len() == 4 && popular.iter().all(|(_, reason)| reason == "popular"), "{popular:?}");
    let (status, body) = answer(&function, &event("recommendations-user-invalid")).await;
    assert_eq!((status, &body["code"], &body["field"]), (400, &json!("invalid_field"), &json!("limit")));
}

#[tokio::test]
async fn a_token_sees_its_subjects_recommendations_alone() {
    let stack = shop().await;
    let function = spawn(&stack, "jwt").await;
    assert_eq!(
        first(&listed(&function, "recommendations-user-jwt").await),
        ("coffee-filter-500g", "boughtAgain")
    );
    let (status, body) = answer(&function, &event("recommendations-user-jwt-other")).await;
    assert_eq!((status, &body["code"]), (403, &json!("forbidden")));
    let token = &event("recommendations-user-jwt-other")["requestContext"]["authorizer"];
    let mut cart = event("recommendations-basket");
    cart["requestContext"]["authorizer"] = token.clone();
    assert_eq!(answer(&function, &cart).await.0, 200, "a cart of nobody's");
    cart["body"] = json!(r#"{"userId":"grace"}"#);
    assert_eq!(answer(&function, &cart).await.0, 403, "another user's");
    cart["requestContext"]["authorizer"]["jwt"]["claims"]["scope"] = json!("nextbasket/admin");
    assert_eq!(answer(&function, &cart).await.0, 200, "with the scope");
    cart["requestContext"].as_object_mut().unwrap().remove("authorizer");
    let (status, body) = answer(&function, &cart).await;
    assert_eq!((status, &body["code"]), (401, &json!("unauthorized")));
}

#[tokio::test]
async fn without_a_table_or_its_mode_it_ends_and_says_why() {
    let stack = TestStack::start().await;
    for variable in ["HISTORY_TABLE", "MODEL_TABLE", "PRODUCTS_TABLE", "AUTH_MODE"] {
        let mut environment = stack.environment("recommendations");
        environment.remove(variable);
        let function = FunctionProcess::spawn(env!("CARGO_BIN_EXE_recommendations"), &environment).await;
        ends_and_says(&function, &event("popular"), &format!("environment variable {variable} is not set"))
            .await;
    }
}

#[tokio::test]
async fn with_wrong_texts_of_reasons_it_ends_and_names_the_message() {
    let stack = TestStack::start().await;
    let folder = tempfile::tempdir().unwrap();
    let texts = include_str!("../texts/de.ftl").replace("pinned =", "pined =");
    std::fs::write(folder.path().join("de.ftl"), texts).unwrap();
    let mut environment = stack.environment("recommendations");
    assert_eq!(environment.get("REASON_TEXTS").map(String::as_str), Some(""), "none but the built-in ones");
    environment.insert("REASON_TEXTS".to_owned(), folder.path().to_str().unwrap().to_owned());
    let function = FunctionProcess::spawn(env!("CARGO_BIN_EXE_recommendations"), &environment).await;
    ends_and_says(&function, &event("popular"), r#"de.ftl: message \"pinned\" is missing. Copy it"#).await;
}

#[tokio::test]
async fn every_event_of_this_function_is_used_here() {
    let stack = TestStack::start().await;
    assert_eq!(unused_events(&stack, "recommendations", include_str!("binary.rs")), BTreeSet::new());
}
