//! Which purchases count as conversions of the answer whose id they carry.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

use std::sync::{Arc, Mutex};

use lambda_runtime::{Context, LambdaEvent};
use nextbasket_domain::recommendation::{AnswerKey, MAX_AGE_DAYS};
use nextbasket_domain::time::DAY_MS;
use nextbasket_domain::{Clock, Random, RecommendationId, Timestamp, UserId};
use nextbasket_http::{AuthMode, Service};
use nextbasket_tables::{TableNames, Tables};
use nextbasket_telemetry::Metrics;
use nextbasket_testkit::events::event;
use nextbasket_testkit::{Fault, FaultProxy, TestStack};
use purchases::{State, handle};
use serde_json::{Value, json};

const NOW: i64 = 1_780_000_000_000;

struct World {
    _stack: TestStack,
    proxy: FaultProxy,
    tables: Tables,
    state: State,
    records: Arc<Mutex<Vec<Value>>>,
}

impl World {
    async fn new() -> Self {
        let stack = TestStack::start().await;
        let proxy = stack.proxy().await;
        let names = TableNames::from_lookup(|variable| Some(stack.table(variable).to_owned()));
        let tables = Tables::new(proxy.dynamodb(), names);
        let records = Arc::new(Mutex::new(Vec::new()));
        let sink = records.clone();
        let clock = Clock::new(|| Timestamp::from_millis(NOW).unwrap());
        let metrics = Metrics::new("shop", clock.clone(), move |line| {
            sink.lock().unwrap().push(serde_json::from_str(line).unwrap());
        });
        let state =
            State::new(Service { auth: AuthMode::Iam, metrics }, &tables, clock, Random::system().unwrap())
                .unwrap();
        Self { _stack: stack, proxy, tables, state, records }
    }

    /// The key that authenticates the ids of answers.
    async fn key(&self) -> AnswerKey {
        self.tables.answer_keys().unwrap().find_or_draw(&Random::new(|| 7)).await.unwrap()
    }

    /// Records a purchase of ada's that carries this id; returns the status and the conversions that it counted.
    async fn buy(&self, purchase: &str, recommendation: &str) -> (u64, Vec<Value>) {
        self.records.lock().unwrap().clear();
        let mut post = event("purchases-post");
        let body = json!({
            "purchaseId": purchase,
            "userId": "ada",
            "lines": [{ "productId": "p", "quantity": 1 }],
            "recommendationId": recommendation,
        });
        post["body"] = body.to_string().into();
        let event = LambdaEvent::new(serde_json::from_value(post).unwrap(), Context::default());
        let answer = serde_json::to_value(handle(&self.state, event).await.unwrap()).unwrap();
        let records = self.records.lock().unwrap();
        for record in records.iter() {
            let dimensions = &record["_aws"]["CloudWatchMetrics"][0]["Dimensions"];
            assert_eq!(*dimensions, json!([["Route"]]), "{record}");
            assert_eq!(record["Route"], "POST /purchases", "{record}");
        }
        let conversions = records.iter().filter(|record| record.get("Conversions").is_some());
        (answer["statusCode"].as_u64().unwrap(), conversions.cloned().collect())
    }
}

fn id(key: Option<&AnswerKey>, scenario: &str, user: Option<&str>, days_ago: i64) -> String {
    let user = user.map(|user| UserId::parse(user).unwrap());
    let then = Timestamp::from_millis(NOW - days_ago * DAY_MS).unwrap();
    RecommendationId::of_answer(key, scenario, Some(3), user.as_ref(), then, &Random::new(|| u64::MAX / 5))
}

#[tokio::test]
async fn an_id_of_an_answer_of_this_user_or_of_nobodys_counts_once_and_names_its_scenario() {
    let world = World::new().await;
    let key = world.key().await;
    for (n, id) in [
        id(Some(&key), "cart", Some("ada"), 0),
        id(Some(&key), "cart", None, 1),
        id(Some(&key), "cart", Some("ada"), i64::from(MAX_AGE_DAYS)),
    ]
    .iter()
    .enumerate()
    {
        let (status, conversions) = world.buy(&format!("o{n}"), id).await;
        assert_eq!((status, conversions.len()), (201, 1), "{id}");
        assert_eq!(
            (&conversions[0]["Conversions"], &conversions[0]["scenario"]),
            (&json!(1.0), &json!("cart"))
        );
        let (status, conversions) = world.buy(&format!("o{n}"), id).await;
        assert_eq!((status, conversions), (200, Vec::new()), "the same purchase again");
    }
}

#[tokio::test]
async fn a_forged_an_old_or_another_users_id_is_kept_and_counts_nothing() {
    let world = World::new().await;
    let forged = "home.41.3c9d6eeda3edef4878fcb72d06ceeded".to_owned();
    let (status, conversions) = world.buy("before", &forged).await;
    assert_eq!((status, conversions), (201, Vec::new()), "nothing was given out yet");
    let key = world.key().await;
    let other = AnswerKey::draw(&Random::new(|| 8));
    let ours = id(Some(&key), "cart", Some("ada"), 0);
    for (n, id) in [
        forged,
        "anything at all".to_owned(),
        id(None, "cart", Some("ada"), 0),
        id(Some(&other), "cart", Some("ada"), 0),
        id(Some(&key), "cart", Some("grace"), 0),
        id(Some(&key), "cart", Some("ada"), i64::from(MAX_AGE_DAYS) + 1),
        id(Some(&key), "cart", Some("ada"), -2),
        ours.replacen("cart", "mail", 1),
        ours.replacen(".3.", ".4.", 1),
    ]
    .iter()
    .enumerate()
    {
        assert_eq!(world.buy(&format!("o{n}"), id).await, (201, Vec::new()), "{id}");
    }
    assert_eq!(world.buy("ours", &ours).await.1.len(), 1, "that there was no key is not remembered");
}

#[tokio::test]
async fn a_purchase_is_taken_though_the_key_cannot_be_read() {
    let world = World::new().await;
    let key = world.key().await;
    world.proxy.inject("GetItem", 1..=u64::MAX, Fault::Deny);
    let ours = id(Some(&key), "cart", Some("ada"), 0);
    assert_eq!(world.buy("o1", &ours).await, (201, Vec::new()));
}
