//! One user who buys without a pause, and the other users of the same stream.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lambda_events::dynamodb::Event;
use lambda_runtime::LambdaEvent;
use nextbasket_domain::history::fold;
use nextbasket_domain::{Clock, Line, Purchase, Timestamp, UserId};
use nextbasket_machine::streams::MappingPace;
use nextbasket_machine::{StreamFunction, handler};
use nextbasket_tables::purchases::PurchasesTable;
use nextbasket_tables::{TableNames, Tables};
use nextbasket_telemetry::Metrics;
use nextbasket_testkit::{Fault, TestStack};
use purchase_history::{State, handle};
use serde_json::Value;

const BUYERS: usize = 3;

fn purchase(user: &str, id: &str, at: i64) -> Purchase {
    Purchase {
        purchase_id: id.parse().unwrap(),
        user_id: user.parse().unwrap(),
        purchased_at: Timestamp::from_millis(at).unwrap(),
        lines: vec![Line { product_id: id.parse().unwrap(), quantity: 1, unit_price: None }],
        recommendation_id: None,
    }
}

/// Buys as fast as the endpoint accepts purchases.
async fn buy(purchases: PurchasesTable, buyer: usize, stop: Arc<AtomicBool>) {
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        purchases.record(&purchase("hot", &format!("{buyer}-{n}"), n)).await.unwrap();
    }
}

/// How many times each record was delivered to the consumer.
type Deliveries = Arc<Mutex<HashMap<String, u32>>>;

fn counted(state: Arc<State>, deliveries: Deliveries) -> StreamFunction {
    handler(move |event: LambdaEvent<Event>| {
        let (state, deliveries) = (state.clone(), deliveries.clone());
        async move {
            for record in &event.payload.records {
                let number = record.change.sequence_number.clone().unwrap();
                *deliveries.lock().unwrap().entry(number).or_default() += 1;
            }
            handle(&state, event).await
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_buys_without_a_pause_fails_no_batch_and_holds_nobody_up() {
    let stack = TestStack::start().await;
    let proxy = stack.proxy().await;
    // Between any two reads of the purchases there is time for more of them.
    proxy.inject("Query", 1..=u64::MAX, Fault::Delay(Duration::from_millis(100)));
    let names = TableNames::from_lookup(|variable| Some(stack.table(variable).to_owned()));
    let direct = Tables::new(stack.dynamodb(), names.clone());
    let (purchases, history) = (direct.purchases().unwrap(), direct.history().unwrap());
    let metrics = Arc::new(Mutex::new(Vec::<Value>::new()));
    let sink = metrics.clone();
    let metrics_to = Metrics::new("shop", Clock::system(), move |line| {
        sink.lock().unwrap().push(serde_json::from_str(line).unwrap());
    });
    let through = Tables::new(proxy.dynamodb(), names);
    let state = Arc::new(State::new(metrics_to, &through, Clock::system()).unwrap());
    let deliveries = Deliveries::default();
    let mut machine = stack.into_machine();
    let consumer = counted(state, deliveries.clone());
    let mapping = machine.mapping("purchase-history", consumer, MappingPace::default()).await.unwrap();

    let stop = Arc::new(AtomicBool::new(false));
    let buying: Vec<_> =
        (0..BUYERS).map(|buyer| tokio::spawn(buy(purchases.clone(), buyer, stop.clone()))).collect();
    for n in 0..8 {
        let user = format!("u{n}");
        purchases.record(&purchase(&user, "p", 1)).await.unwrap();
        let user: UserId = user.parse().unwrap();
        // This would never end if the others' batch never got through.
        while history.baskets(&user).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for buyer in buying {
        buyer.await.unwrap();
    }
    mapping.drain().await.unwrap();

    let again: Vec<_> =
        deliveries.lock().unwrap().clone().into_iter().filter(|(_, times)| *times != 1).collect();
    assert_eq!(again, [], "every record was taken the first time that it was given");
    assert_eq!(mapping.dead_letters().all().unwrap(), [] as [Value; 0]);
    let batches = metrics.lock().unwrap().clone();
    assert!(batches.iter().all(|batch| batch["UsersFailed"] == 0.0), "{batches:#?}");
    let hot = "hot".parse().unwrap();
    let bought = purchases.newest(&hot).await.unwrap().items;
    assert_eq!(history.baskets(&hot).await.unwrap(), fold(bought));
    println!("{} records, {} batches", deliveries.lock().unwrap().len(), batches.len());
}
