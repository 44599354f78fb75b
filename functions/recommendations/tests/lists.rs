//! What a list holds: filled up, filtered, pinned, boosted, and continued page by page.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

use std::collections::{BTreeMap, BTreeSet};

use lambda_runtime::{Context, LambdaEvent};
use nextbasket_domain::{Category, Clock, Line, Product, ProductId, Purchase, Random, Timestamp, UserId};
use nextbasket_http::{AuthMode, Service};
use nextbasket_tables::{TableNames, Tables};
use nextbasket_telemetry::Metrics;
use nextbasket_testkit::TestStack;
use nextbasket_testkit::jobs::train;
use recommendations::{State, handle};
use serde_json::{Value, json};

struct World {
    state: State,
    tables: Tables,
    _stack: TestStack,
}

fn product(n: usize, available: bool) -> Product {
    Product {
        product_id: ProductId::parse(&format!("p{n:03}")).unwrap(),
        name: format!("Product {n}"),
        categories: vec![Category::parse(["even", "odd"][n % 2]).unwrap(), Category::parse("all").unwrap()],
        price: None,
        available,
        attributes: BTreeMap::new(),
        updated_at: Timestamp::EPOCH,
    }
}

impl World {
    /// `products` of which the first `sold` are bought, the lower the number the more often; trained if any is.
    async fn new(products: usize, sold: usize, available: impl Fn(usize) -> bool) -> Self {
        let stack = TestStack::start().await;
        let names = TableNames::from_lookup(|variable| Some(stack.table(variable).to_owned()));
        let tables = Tables::new(stack.dynamodb(), names);
        for n in 0..products {
            tables.products().unwrap().put(&product(n, available(n))).await.unwrap();
        }
        let purchases = tables.purchases().unwrap();
        for n in 0..sold {
            for user in 0..=(sold - n).min(4) {
                let line = Line { product_id: product(n, true).product_id, quantity: 1, unit_price: None };
                let purchase = Purchase {
                    purchase_id: format!("b{n}").parse().unwrap(),
                    user_id: format!("u{user}").parse().unwrap(),
                    purchased_at: Timestamp::from_millis(1_700_000_000_000).unwrap(),
                    lines: vec![line],
                    recommendation_id: None,
                };
                purchases.record(&purchase).await.unwrap();
            }
        }
        if sold > 0 {
            train(stack.site(), &tables).await;
        }
        let service = Service { auth: AuthMode::Iam, metrics: Metrics::off() };
        let state = State::new(service, &tables, Clock::system(), Random::new(|| 4)).unwrap();
        Self { state, tables, _stack: stack }
    }

    async fn ask(&self, body: &Value) -> (u64, Value) {
        let event = json!({
            "routeKey": "POST /recommendations",
            "body": body.to_string(),
            "requestContext": {
                "http": { "method": "POST" },
                "authorizer": { "iam": { "userArn": "arn:aws:iam::111122223333:user/shop" } },
            },
        });
        let event = LambdaEvent::new(serde_json::from_value(event).unwrap(), Context::default());
        let answer = serde_json::to_value(handle(&self.state, event).await.unwrap()).unwrap();
        (
            answer["statusCode"].as_u64().unwrap(),
            serde_json::from_str(answer["body"].as_str().unwrap()).unwrap(),
        )
    }

    async fn ids(&self, body: &Value) -> Vec<String> {
        let (status, answer) = self.ask(body).await;
        assert_eq!(status, 200, "{answer:#}");
        ids(&answer)
    }

    /// All pages of a list.
    async fn pages(&self, body: &Value) -> Vec<String> {
        let (mut all, mut body) = (Vec::new(), body.clone());
        for _ in 0..200 {
            let (status, answer) = self.ask(&body).await;
            assert_eq!(status, 200, "{answer:#}");
            all.extend(ids(&answer));
            let Some(cursor) = answer.get("cursor") else { return all };
            body["cursor"] = cursor.clone();
        }
        panic!("the list does not end");
    }
}

fn ids(answer: &Value) -> Vec<String> {
    let items = answer["items"].as_array().unwrap();
    items.iter().map(|item| item["productId"].as_str().unwrap().to_owned()).collect()
}

fn distinct(ids: &[String]) -> usize {
    ids.iter().collect::<BTreeSet<_>>().len()
}

#[tokio::test]
async fn pages_join_to_everything_that_is_available_and_nothing_comes_twice() {
    let world = World::new(90, 40, |n| n % 3 != 0).await;
    for limit in [1, 7, 100] {
        let all = world.pages(&json!({ "limit": limit })).await;
        assert_eq!((all.len(), distinct(&all)), (60, 60), "limit {limit}");
        assert!(all.iter().position(|id| id == "p001") < all.iter().position(|id| id == "p089"));
    }
    let odd = world.pages(&json!({ "limit": 7, "filter": { "categories": ["odd"] } })).await;
    assert_eq!((odd.len(), distinct(&odd)), (30, 30));
    let both = world.pages(&json!({ "limit": 7, "filter": { "categories": ["odd", "all"] } })).await;
    assert_eq!((both.len(), distinct(&both)), (60, 60));
    let sold_out_too = world.pages(&json!({ "limit": 50, "filter": { "available": false } })).await;
    assert_eq!((sold_out_too.len(), distinct(&sold_out_too)), (90, 90));
}

#[tokio::test]
async fn a_list_is_not_empty_while_one_product_is_available() {
    // All that the model knows is sold out, and so is most of the catalogue.
    let world = World::new(400, 330, |n| n == 399).await;
    assert_eq!(world.ids(&json!({ "limit": 1 })).await, ["p399"]);
    assert_eq!(world.ids(&json!({ "limit": 10, "filter": { "categories": ["odd"] } })).await, ["p399"]);
    let untrained = World::new(150, 0, |n| n == 149).await;
    assert_eq!(untrained.ids(&json!({ "limit": 1 })).await, ["p149"]);
    let excluded = json!({ "filter": { "exclude": ["p149"] } });
    assert_eq!(untrained.pages(&excluded).await, [""; 0]);
}

#[tokio::test]
async fn pinned_products_come_first_once_each_and_go_on_to_the_next_page() {
    let world = World::new(30, 20, |n| n != 7).await;
    let pins = json!({ "pin": ["p020", "p007", "p020", "p002", "p029"], "limit": 2 });
    assert_eq!(world.ids(&pins).await, ["p020", "p002"]);
    let all = world.pages(&pins).await;
    assert_eq!(all[..3], ["p020", "p002", "p029"]);
    assert_eq!((all.len(), distinct(&all)), (29, 29));
    let one_by_one = json!({ "pin": ["p020", "p007", "p020", "p002", "p029"], "limit": 1 });
    assert_eq!(world.pages(&one_by_one).await, all);
    let without = json!({ "pin": ["p020", "p002"], "basket": ["p020"], "filter": { "exclude": ["p002"] } });
    let shown = world.ids(&without).await;
    assert!(!shown.contains(&"p020".to_owned()) && !shown.contains(&"p002".to_owned()), "{shown:?}");
}

#[tokio::test]
async fn boosts_raise_and_sink_what_they_name() {
    let world = World::new(30, 20, |_| true).await;
    let plain = world.ids(&json!({ "limit": 20 })).await;
    let product = json!({ "limit": 20, "boost": [{ "productId": plain[15], "factor": 100 }] });
    assert_eq!(world.ids(&product).await[0], plain[15]);
    let category = json!({ "limit": 10, "boost": [{ "category": "odd", "factor": 0 }] });
    assert!(world.ids(&category).await.iter().all(|id| id[1..].parse::<u32>().unwrap() % 2 == 0));
}

#[tokio::test]
async fn a_cursor_is_good_for_the_same_question_alone() {
    let world = World::new(30, 20, |_| true).await;
    let (_, first) = world.ask(&json!({ "limit": 3, "filter": { "categories": ["odd"] } })).await;
    for other in [
        json!({}),
        json!({ "filter": { "categories": ["even"] } }),
        json!({ "filter": { "categories": ["odd"], "exclude": ["p001"] } }),
        json!({ "filter": { "categories": ["odd"] }, "basket": ["p001"] }),
        json!({ "filter": { "categories": ["odd"] }, "pin": ["p001"] }),
    ] {
        let mut other = other;
        other["cursor"] = first["cursor"].clone();
        let (status, problem) = world.ask(&other).await;
        assert_eq!((status, problem["code"].as_str()), (400, Some("invalid_cursor")), "{other}");
    }
    let mut same = json!({ "limit": 5, "filter": { "categories": ["odd"] } });
    same["cursor"] = first["cursor"].clone();
    assert_eq!(world.ask(&same).await.0, 200);
}

#[tokio::test]
async fn what_the_model_has_not_seen_is_bought_again_before_it_is_trained_on() {
    let world = World::new(30, 10, |_| true).await;
    let ada = UserId::parse("ada").unwrap();
    let new = product(25, true).product_id;
    let purchases = world.tables.purchases().unwrap();
    let purchase = Purchase {
        purchase_id: "new".parse().unwrap(),
        user_id: ada.clone(),
        purchased_at: Timestamp::from_millis(1_700_000_100_000).unwrap(),
        lines: vec![Line { product_id: new.clone(), quantity: 1, unit_price: None }],
        recommendation_id: None,
    };
    purchases.record(&purchase).await.unwrap();
    world.tables.history().unwrap().refresh(&ada, &purchases).await.unwrap();
    let (_, answer) = world.ask(&json!({ "userId": "ada", "limit": 3 })).await;
    assert_eq!(answer["items"][0]["productId"], "p025");
    assert_eq!(answer["items"][0]["reasons"][0]["kind"], "boughtAgain");
    assert_eq!(answer["items"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_cart_named_twice_counts_once_in_the_reasons() {
    let world = World::new(30, 20, |_| true).await;
    let once = world.ids(&json!({ "basket": ["p001"] })).await;
    let thrice = world.ids(&json!({ "basket": ["p001", "p001", "p001"] })).await;
    assert_eq!(once, thrice);
}

#[tokio::test]
async fn a_page_is_full_however_many_of_the_best_are_sold_out() {
    // The best are sold out but for the first, far more of them than cards that an answer may look at in vain.
    let world = World::new(400, 330, |n| n == 0 || n > 200).await;
    for _ in 0..3 {
        let shown = world.ids(&json!({ "limit": 20 })).await;
        assert_eq!((shown.len(), shown[0].as_str()), (20, "p000"));
    }
}

#[tokio::test]
async fn an_answer_can_be_for_any_time_and_one_that_is_none_is_named() {
    let world = World::new(3, 2, |_| true).await;
    let (status, answer) = world.ask(&json!({ "userId": "u0", "at": "2026-12-04T09:00:00+01:00" })).await;
    assert_eq!((status, answer.get("asOf")), (200, None), "{answer:#}");
    let (status, problem) = world.ask(&json!({ "userId": "u0", "at": "next Friday" })).await;
    assert_eq!((status, &problem["field"]), (400, &json!("at")), "{problem:#}");
}
