//! The consumer against a real endpoint: whatever a stream does to a batch, the histories end the same.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "a test that cannot go on fails there"
)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aws_lambda_events::dynamodb::Event;
use aws_sdk_dynamodb::types::AttributeValue;
use lambda_runtime::{Context, LambdaEvent};
use nextbasket_domain::{Clock, Line, ProductId, Purchase, PurchaseId, Timestamp, UserId};
use nextbasket_tables::{TableNames, Tables};
use nextbasket_telemetry::Metrics;
use nextbasket_testkit::{Fault, TestStack};
use purchase_history::{State, handle};
use serde_json::{Value, json};

type Items = Vec<HashMap<String, AttributeValue>>;

struct World {
    stack: TestStack,
    tables: Tables,
    state: Arc<State>,
}

impl World {
    async fn new() -> Self {
        let stack = TestStack::start().await;
        let names = TableNames::from_lookup(|variable| Some(stack.table(variable).to_owned()));
        let tables = Tables::new(stack.dynamodb(), names);
        let state = State::new(Metrics::off(), &tables, Clock::system()).unwrap();
        Self { stack, tables, state: Arc::new(state) }
    }

    async fn with_purchases(purchases: &[Purchase]) -> Self {
        let world = Self::new().await;
        for purchase in purchases {
            world.tables.purchases().unwrap().record(purchase).await.unwrap();
        }
        world
    }

    /// Gives the records to the consumer; answers the sequence numbers that it reports.
    async fn deliver(&self, records: &[Value]) -> Vec<String> {
        let event: Event = serde_json::from_value(json!({ "Records": records })).unwrap();
        let response = handle(&self.state, LambdaEvent::new(event, Context::default())).await.unwrap();
        response.batch_item_failures.into_iter().filter_map(|failure| failure.item_identifier).collect()
    }

    /// The histories in the order of their users. Of a version only the digest: how often it was written may differ.
    async fn histories(&self) -> Items {
        let table = self.stack.table("HISTORY_TABLE");
        let output = self.stack.dynamodb().scan().table_name(table).send().await.unwrap();
        let mut items = output.items.unwrap_or_default();
        items.sort_by_key(|item| format!("{:?}", item.get("userId")));
        for item in &mut items {
            let digest = item["version"].as_s().unwrap().split('.').next().unwrap().to_owned();
            item.insert("version".to_owned(), AttributeValue::S(digest));
        }
        items
    }
}

fn purchase(n: i64) -> Purchase {
    let product =
        |id: String| Line { product_id: ProductId::parse(&id).unwrap(), quantity: 1, unit_price: None };
    Purchase {
        purchase_id: PurchaseId::parse(&format!("p{n}")).unwrap(),
        user_id: UserId::parse(["ada", "grace", "linus"][(n % 3) as usize]).unwrap(),
        purchased_at: Timestamp::from_millis(1_700_000_000_000 + 1_000 * (n / 2)).unwrap(),
        lines: vec![product(format!("a{}", n % 5)), product("b".to_owned())],
        recommendation_id: None,
    }
}

fn record(sequence: i64, user: &str, purchase: &str) -> Value {
    json!({
        "eventID": format!("e{sequence}"),
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-central-1",
        "eventSourceARN": "arn:aws:dynamodb:eu-central-1:111122223333:table/purchases/stream/2026-01-01T00:00:00.000",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_700_000_000,
            "Keys": { "userId": { "S": user }, "purchaseId": { "S": purchase } },
            "SequenceNumber": format!("{sequence:021}"),
            "SizeBytes": 100,
            "StreamViewType": "NEW_AND_OLD_IMAGES"
        }
    })
}

fn records(purchases: &[Purchase]) -> Vec<Value> {
    (1..).zip(purchases).map(|(n, p)| record(n, p.user_id.as_str(), p.purchase_id.as_str())).collect()
}

#[tokio::test]
async fn a_batch_delivered_twice_split_in_two_or_in_reverse_leaves_the_same_bytes() {
    let purchases: Vec<_> = (0..30).map(purchase).collect();
    let records = records(&purchases);
    let reversed: Vec<_> = records.iter().rev().cloned().collect();
    let once = World::with_purchases(&purchases).await;
    assert_eq!(once.deliver(&records).await, [""; 0]);
    let expected = once.histories().await;
    assert_eq!(expected.len(), 3);
    let deliveries: [&[&[Value]]; 4] = [
        &[&records, &records],
        &[&records[..11], &records[11..]],
        &[&reversed],
        &[&records[11..], &records[..11]],
    ];
    for (n, batches) in deliveries.into_iter().enumerate() {
        let world = World::with_purchases(&purchases).await;
        for batch in batches {
            assert_eq!(world.deliver(batch).await, [""; 0]);
        }
        assert_eq!(world.histories().await, expected, "delivery {n}");
    }
}

#[tokio::test]
async fn purchases_that_come_one_by_one_leave_the_same_bytes_as_all_at_once() {
    let purchases: Vec<_> = (0..30).map(purchase).collect();
    let all = World::with_purchases(&purchases).await;
    all.deliver(&records(&purchases)).await;
    let one_by_one = World::new().await;
    // Newest first, so that every fold but the last is of another set.
    for (purchase, record) in purchases.iter().zip(records(&purchases)).rev() {
        one_by_one.tables.purchases().unwrap().record(purchase).await.unwrap();
        one_by_one.deliver(&[record]).await;
    }
    assert_eq!(one_by_one.histories().await, all.histories().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_consumers_racing_on_the_same_users_leave_the_same_bytes() {
    let purchases: Vec<_> = (0..30).map(purchase).collect();
    let records = Arc::new(records(&purchases));
    let expected = World::with_purchases(&purchases).await;
    expected.deliver(&records).await;
    let expected = expected.histories().await;
    let world = Arc::new(World::with_purchases(&purchases).await);
    let racing = (0..2).map(|_| {
        let (world, records) = (world.clone(), records.clone());
        tokio::spawn(async move { world.deliver(&records).await })
    });
    for consumer in racing.collect::<Vec<_>>() {
        assert_eq!(consumer.await.unwrap(), [""; 0]);
    }
    assert_eq!(world.histories().await, expected);
}

#[tokio::test]
async fn a_deleted_purchase_leaves_the_history_and_the_last_one_takes_it_along() {
    let purchases: Vec<_> = (0..6).map(purchase).collect();
    let world = World::with_purchases(&purchases).await;
    world.deliver(&records(&purchases)).await;
    assert_eq!(world.histories().await.len(), 3);
    let ada = UserId::parse("ada").unwrap();
    let table = world.tables.purchases().unwrap();
    table.remove(&ada, &PurchaseId::parse("p0").unwrap()).await.unwrap();
    world.deliver(&[record(90, "ada", "p0")]).await;
    assert_eq!(world.tables.history().unwrap().baskets(&ada).await.unwrap().len(), 1);
    table.remove(&ada, &PurchaseId::parse("p3").unwrap()).await.unwrap();
    world.deliver(&[record(91, "ada", "p3")]).await;
    assert_eq!(world.histories().await.len(), 2);
}

#[tokio::test]
async fn a_failed_user_is_named_by_their_earliest_record_and_holds_up_nobody() {
    let purchases: Vec<_> = (0..6).map(purchase).collect();
    let world = World::with_purchases(&purchases).await;
    let proxy = world.stack.proxy().await;
    let names = TableNames::from_lookup(|variable| Some(world.stack.table(variable).to_owned()));
    let through = Tables::new(proxy.dynamodb(), names);
    let world = World {
        state: Arc::new(State::new(Metrics::off(), &through, Clock::system()).unwrap()),
        stack: world.stack,
        tables: world.tables,
    };
    // The first write, whichever user it is for.
    proxy.inject("TransactWriteItems", 1..=1, Fault::Deny);
    let failed = world.deliver(&records(&purchases)).await;
    let first_of = [1, 2, 3].map(|sequence| format!("{sequence:021}"));
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert!(first_of.contains(&failed[0]), "{failed:?}");
    assert_eq!(world.histories().await.len(), 2);
    assert_eq!(world.deliver(&records(&purchases)).await, [""; 0]);
    assert_eq!(world.histories().await.len(), 3);
}

#[tokio::test]
async fn what_is_damaged_is_skipped_and_counted_and_fails_nobody() {
    let purchases: Vec<_> = (0..6).map(purchase).collect();
    let records_of_metrics = Arc::new(Mutex::new(Vec::<Value>::new()));
    let sink = records_of_metrics.clone();
    let metrics = Metrics::new("shop", Clock::system(), move |line| {
        sink.lock().unwrap().push(serde_json::from_str(line).unwrap());
    });
    let world = World::with_purchases(&purchases).await;
    let state = Arc::new(State::new(metrics, &world.tables, Clock::system()).unwrap());
    let world = World { state, ..world };
    // Not purchases: somebody wrote into the table by hand.
    let table = world.stack.table("PURCHASES_TABLE");
    let text = |value: &str| AttributeValue::S(value.to_owned());
    for user in ["mallory", "ada"] {
        let broken = world.stack.dynamodb().put_item().table_name(table).item("userId", text(user));
        let broken =
            broken.item("purchaseId", text("p9")).item("purchasedAt", text("2026-01-01T00:00:00.000Z"));
        broken.item("lines", AttributeValue::N("5".to_owned())).send().await.unwrap();
    }
    let mut batch = records(&purchases);
    batch.insert(2, record(102, "mallory", "p9"));
    let mut nameless = record(110, "x", "p");
    nameless["dynamodb"]["Keys"] = json!({});
    batch.push(nameless);
    batch.push(record(111, &"x".repeat(300), "p"));
    assert_eq!(world.deliver(&batch).await, [""; 0]);
    assert_eq!(world.histories().await.len(), 3, "mallory has nothing that can be read");
    let ada = UserId::parse("ada").unwrap();
    assert_eq!(world.tables.history().unwrap().baskets(&ada).await.unwrap().len(), 2);
    let counted = records_of_metrics.lock().unwrap().pop().unwrap();
    assert_eq!(
        (&counted["DamagedPurchases"], &counted["UsersFailed"]),
        (&json!(4.0), &json!(0.0)),
        "{counted}"
    );
}
