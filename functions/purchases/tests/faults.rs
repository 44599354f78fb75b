//! The function behind a transport that fails: what a client is told is true.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

use std::time::Duration;

use lambda_runtime::{Context, LambdaEvent};
use nextbasket_domain::{Clock, Random};
use nextbasket_http::{AuthMode, Service};
use nextbasket_tables::{TableNames, Tables};
use nextbasket_telemetry::Metrics;
use nextbasket_testkit::events::{answer, event};
use nextbasket_testkit::{Fault, FaultProxy, FunctionProcess, TestStack};
use purchases::{State, handle};
use serde_json::{Value, json};

struct World {
    stack: TestStack,
    proxy: FaultProxy,
    state: State,
}

/// What a client sees.
struct Answer {
    status: u64,
    retry_after: Value,
    body: Value,
}

impl World {
    async fn new() -> Self {
        let stack = TestStack::start().await;
        let proxy = stack.proxy().await;
        let names = TableNames::from_lookup(|variable| Some(stack.table(variable).to_owned()));
        let tables = Tables::new(proxy.dynamodb(), names);
        let service = Service { auth: AuthMode::Iam, metrics: Metrics::off() };
        let state = State::new(service, &tables, Clock::system(), Random::system().unwrap()).unwrap();
        Self { stack, proxy, state }
    }

    async fn ask(&self, event: Value) -> Answer {
        let event = LambdaEvent::new(serde_json::from_value(event).unwrap(), Context::default());
        let answer = serde_json::to_value(handle(&self.state, event).await.unwrap()).unwrap();
        let body = answer["body"].as_str().map_or(Value::Null, |body| serde_json::from_str(body).unwrap());
        Answer {
            status: answer["statusCode"].as_u64().unwrap(),
            retry_after: answer["headers"]["retry-after"].clone(),
            body,
        }
    }

    async fn stored(&self) -> i32 {
        let scan = self.stack.dynamodb().scan().table_name(self.stack.table("PURCHASES_TABLE"));
        scan.send().await.unwrap().count()
    }

    /// Purchases of ada's.
    async fn fill(&self, number: usize) {
        for n in 0..number {
            let mut post = event("purchases-post");
            let body = json!({ "purchaseId": format!("o{n}"), "userId": "ada", "lines": [{ "productId": "p", "quantity": 1 }] });
            post["body"] = body.to_string().into();
            assert_eq!(self.ask(post).await.status, 201);
        }
    }
}

fn assert_unavailable(answer: &Answer) {
    assert_eq!((answer.status, &answer.body["code"]), (503, &json!("unavailable")), "{:#}", answer.body);
    assert_eq!(answer.retry_after, "1");
    assert_no_cause(answer);
}

/// Neither a table's name nor the database's words.
fn assert_no_cause(answer: &Answer) {
    let body = answer.body.to_string();
    for cause in ["test-", "fault proxy", "Exception", "Throughput", "DynamoDB", "127.0.0.1"] {
        assert!(!body.contains(cause), "{cause} in {body}");
    }
}

#[tokio::test]
async fn a_purchase_whose_answer_is_lost_is_taken_once_and_the_client_is_told_so() {
    let world = World::new().await;
    for (n, fault) in
        [Fault::DropAfter, Fault::DropBefore, Fault::Truncate, Fault::ServerError].into_iter().enumerate()
    {
        let mut post = event("purchases-post");
        let mut body: Value = serde_json::from_str(post["body"].as_str().unwrap()).unwrap();
        body["purchaseId"] = json!(format!("order-{n}"));
        post["body"] = body.to_string().into();
        world.proxy.inject("PutItem", 1..=1, fault.clone());
        let first = world.ask(post.clone()).await;
        if fault == Fault::Truncate {
            // Of an answer that is cut off the client knows nothing; it asks again.
            assert!([200, 201, 500, 503].contains(&first.status), "{fault:?}: {}", first.status);
            assert_no_cause(&first);
        } else {
            assert!([200, 201].contains(&first.status), "{fault:?}: {} {:#}", first.status, first.body);
            assert_eq!(first.body["purchaseId"], body["purchaseId"]);
        }
        world.proxy.heal();
        let again = world.ask(post).await;
        assert_eq!((again.status, &again.body), (200, &body), "{fault:?}");
        assert_eq!(world.stored().await, i32::try_from(n).unwrap() + 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_throttled_table_is_asked_again_and_then_the_client_is_told_when_to_come_back() {
    let world = World::new().await;
    world.proxy.inject("PutItem", 1..=2, Fault::Throttle);
    assert_eq!(world.ask(event("purchases-post")).await.status, 201);
    assert_eq!(world.proxy.calls("PutItem"), 3);
    for name in ["purchases-post", "purchases-list", "purchase-delete", "user-delete"] {
        let before = world.proxy.calls("*");
        world.proxy.inject("*", 1..=u64::MAX, Fault::Throttle);
        assert_unavailable(&world.ask(event(name)).await);
        assert!(world.proxy.calls("*") > before + 1, "{name} is tried again");
        world.proxy.heal();
    }
    assert_eq!(world.stored().await, 1);
}

#[tokio::test]
async fn a_list_is_whole_or_no_list() {
    let world = World::new().await;
    world.fill(9).await;
    for fault in
        [Fault::Truncate, Fault::DropAfter, Fault::ServerError, Fault::Delay(Duration::from_millis(50))]
    {
        world.proxy.inject("Query", 1..=1, fault.clone());
        let mut list = event("purchases-list");
        list["rawQueryString"] = json!("limit=100");
        let answer = world.ask(list).await;
        if answer.status == 200 {
            assert_eq!(answer.body["items"].as_array().unwrap().len(), 9, "{fault:?}");
            assert_eq!(answer.body.get("cursor"), None, "{fault:?}");
        } else {
            assert_eq!(fault, Fault::Truncate);
            assert_unavailable(&answer);
        }
    }
}

#[tokio::test]
async fn an_erased_user_is_gone_whole_though_deletions_are_left_unprocessed() {
    let world = World::new().await;
    world.fill(30).await;
    world.proxy.inject("BatchWriteItem", 1..=3, Fault::Unprocessed);
    assert_eq!(world.ask(event("user-delete")).await.status, 202);
    assert_eq!(world.stored().await, 0);
    world.fill(30).await;
    world.proxy.inject("BatchWriteItem", 1..=1, Fault::DropAfter);
    assert_eq!(world.ask(event("user-delete")).await.status, 202);
    assert_eq!(world.stored().await, 0);
}

#[tokio::test]
async fn the_binary_takes_a_purchase_once_though_the_answer_to_its_put_is_lost() {
    let world = World::new().await;
    let mut environment = world.stack.environment("purchases");
    environment.insert("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), world.proxy.url());
    let function = FunctionProcess::spawn(env!("CARGO_BIN_EXE_purchases"), &environment).await;
    world.proxy.inject("PutItem", 1..=1, Fault::DropAfter);
    let (status, body) = answer(&function, &event("purchases-post")).await;
    assert_eq!((status, &body["purchaseId"]), (200, &json!("order-1001")));
    assert_eq!((world.proxy.calls("PutItem"), world.stored().await), (2, 1));
}

/// The number of histories in the table.
async fn histories(world: &World) -> i32 {
    let scan = world.stack.dynamodb().scan().table_name(world.stack.table("HISTORY_TABLE"));
    scan.send().await.unwrap().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_bought_while_an_erasure_ends_keeps_its_history() {
    let world = World::new().await;
    let names = TableNames::from_lookup(|variable| Some(world.stack.table(variable).to_owned()));
    let direct = Tables::new(world.stack.dynamodb(), names);
    let (purchases, history) = (direct.purchases().unwrap(), direct.history().unwrap());
    let ada = "ada".parse().unwrap();
    world.fill(3).await;
    history.refresh(&ada, &purchases).await.unwrap();
    let deletions = world.proxy.calls("DeleteItem");
    // The history is the only item that an erasure deletes with a call of its own.
    world.proxy.inject("DeleteItem", 1..=1, Fault::Delay(Duration::from_secs(3)));
    let buying = async {
        while world.proxy.calls("DeleteItem") == deletions {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(world.stored().await, 0, "the purchases are gone by then");
        let mut purchase = nextbasket_domain::Purchase {
            purchase_id: "new".parse().unwrap(),
            user_id: "ada".parse().unwrap(),
            purchased_at: nextbasket_domain::Timestamp::EPOCH,
            lines: Vec::new(),
            recommendation_id: None,
        };
        let line =
            nextbasket_domain::Line { product_id: "p".parse().unwrap(), quantity: 1, unit_price: None };
        purchase.lines.push(line);
        purchases.record(&purchase).await.unwrap();
        history.refresh(&ada, &purchases).await.unwrap();
    };
    let (answer, ()) = tokio::join!(world.ask(event("user-delete")), buying);
    assert_eq!(answer.status, 202);
    assert_eq!(world.stored().await, 1);
    assert_eq!(history.baskets(&ada).await.unwrap().len(), 1, "the new purchase's history is there");
    assert_eq!(world.ask(event("user-delete")).await.status, 202);
    assert_eq!((world.stored().await, histories(&world).await), (0, 0), "and goes with the next erasure");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_is_cut_off_is_remembered_before_anything_is_deleted() {
    let world = World::new().await;
    world.fill(30).await;
    let erase = event("user-delete");
    let tables = {
        let names = TableNames::from_lookup(|variable| Some(world.stack.table(variable).to_owned()));
        Tables::new(world.stack.dynamodb(), names)
    };
    let remembered = async || tables.erased_users().unwrap().load().await.unwrap().until("ada");
    // Without the memory nothing is deleted.
    for operation in ["PutItem", "Query"] {
        world.proxy.inject(operation, 1..=u64::MAX, Fault::ServerError);
        assert_unavailable(&world.ask(erase.clone()).await);
        world.proxy.heal();
        assert_eq!((world.stored().await, remembered().await), (30, None), "{operation}");
    }
    world.proxy.inject("BatchWriteItem", 2..=u64::MAX, Fault::ServerError);
    assert_unavailable(&world.ask(erase.clone()).await);
    let first = remembered().await.expect("it is remembered");
    assert_eq!(world.stored().await, 5, "the first 25 went");
    world.proxy.heal();
    assert_eq!(world.ask(erase).await.status, 202);
    assert_eq!(world.stored().await, 0);
    assert!(remembered().await.unwrap() >= first);
}

#[tokio::test(flavor = "multi_thread")]
async fn purchases_that_are_dated_ahead_are_erased_with_the_others() {
    let world = World::new().await;
    let ahead = Clock::system().now().plus_millis(20 * 60 * 60 * 1000);
    let mut post = event("purchases-post");
    let lines = json!([{ "productId": "p", "quantity": 1 }]);
    post["body"] = json!({ "purchaseId": "o", "userId": "ada", "purchasedAt": ahead, "lines": lines })
        .to_string()
        .into();
    assert_eq!(world.ask(post).await.status, 201);
    assert_eq!(world.ask(event("user-delete")).await.status, 202);
    let names = TableNames::from_lookup(|variable| Some(world.stack.table(variable).to_owned()));
    let erasures = Tables::new(world.stack.dynamodb(), names).erased_users().unwrap().load().await.unwrap();
    assert_eq!(erasures.until("ada"), Some(ahead));
    assert!(erasures.covers("ada", Some(ahead)) && erasures.covers("ada", None));
    assert!(!erasures.covers("ada", Some(ahead.plus_millis(1))) && !erasures.covers("adam", Some(ahead)));
}
