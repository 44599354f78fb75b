//! The event source mapping, over the real stream of a real table.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_lambda_events::event::dynamodb::Event;
use aws_lambda_events::event::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use aws_sdk_dynamodb::types::AttributeValue;
use lambda_runtime::LambdaEvent;
use nextbasket_machine::streams::{MappingPace, MappingProgress, StreamError};
use nextbasket_machine::{Machine, MachineOptions, StreamFunction, handler};
use support::{client, machine, put, put_many, template};

fn quick() -> MappingPace {
    MappingPace {
        poll: Duration::from_millis(10),
        first_backoff: Duration::from_millis(2),
        longest_backoff: Duration::from_millis(10),
        ..MappingPace::default()
    }
}

/// The orders of one invocation, as `user/order`.
fn orders(event: &LambdaEvent<Event>) -> Vec<String> {
    let text = |value: &serde_dynamo::AttributeValue| match value {
        serde_dynamo::AttributeValue::S(text) => text.clone(),
        other => panic!("{other:?}"),
    };
    let records = event.payload.records.iter();
    records
        .map(|r| {
            format!("{}/{}", text(&r.change.keys.inner()["user"]), text(&r.change.keys.inner()["order"]))
        })
        .collect()
}

fn failure(sequence_number: &str) -> DynamoDbBatchItemFailure {
    let mut failure = DynamoDbBatchItemFailure::default();
    failure.item_identifier = Some(sequence_number.to_owned());
    failure
}

/// Writes down each invocation's orders and answers what `answer` says: the orders that failed, or an error.
type Calls = Arc<Mutex<Vec<Vec<String>>>>;

fn recording(
    answer: impl Fn(usize, &[String]) -> Result<Vec<String>, &'static str> + Send + Sync + 'static,
) -> (Calls, StreamFunction) {
    let calls = Calls::default();
    let seen = Arc::clone(&calls);
    let answer = Arc::new(answer);
    let function = handler(move |event: LambdaEvent<Event>| {
        let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
        async move {
            let orders = orders(&event);
            let nth = {
                let mut seen = seen.lock().unwrap();
                seen.push(orders.clone());
                seen.len()
            };
            let failed = answer(nth, &orders)?;
            let mut response = DynamoDbEventResponse::default();
            for (order, record) in orders.iter().zip(&event.payload.records) {
                if failed.contains(order) {
                    response
                        .batch_item_failures
                        .push(failure(record.change.sequence_number.as_deref().unwrap()));
                }
            }
            Ok(response)
        }
    });
    (calls, function)
}

async fn put_orders(machine: &Machine, orders: &[&str]) {
    for order in orders {
        put(&client(machine), "anna", order).await;
    }
}

fn calls(calls: &Calls) -> Vec<String> {
    calls.lock().unwrap().iter().map(|c| c.join(" ").replace("anna/", "")).collect()
}

#[tokio::test]
async fn a_function_that_fails_twice_and_then_succeeds_loses_nothing() {
    let mut machine = machine("").await;
    put_orders(&machine, &["1", "2", "3"]).await;
    let (seen, function) = recording(|nth, _| if nth <= 2 { Err("not yet") } else { Ok(Vec::new()) });
    let mapping = machine.mapping("tally", function, quick()).await.unwrap();
    mapping.drain().await.unwrap();
    assert_eq!(calls(&seen), ["1 2 3", "1 2 3", "1 2 3"]);
    assert_eq!(mapping.progress(), MappingProgress { delivered: 3, given_up: 0, under_way: 0 });
}

#[tokio::test]
async fn a_partial_failure_is_retried_from_the_earliest_reported_record() {
    let mut machine = machine("").await;
    put_orders(&machine, &["1", "2", "3", "4", "5"]).await;
    let (seen, function) = recording(|nth, _| {
        Ok(if nth == 1 { vec!["anna/5".to_owned(), "anna/3".to_owned()] } else { Vec::new() })
    });
    let mapping = machine.mapping("tally", function, quick()).await.unwrap();
    mapping.drain().await.unwrap();
    assert_eq!(calls(&seen), ["1 2 3 4 5", "3 4 5"]);
}

#[tokio::test]
async fn a_reported_record_that_is_none_of_the_batch_fails_the_whole_batch() {
    let mut machine = machine("").await;
    put_orders(&machine, &["1", "2"]).await;
    let count = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&count);
    let function: StreamFunction = handler(move |_: LambdaEvent<Event>| {
        let mut count = counted.lock().unwrap();
        *count += 1;
        let mut response = DynamoDbEventResponse::default();
        if *count == 1 {
            response.batch_item_failures.push(failure("nonsense"));
        }
        async move { Ok(response) }
    });
    let mapping = machine.mapping("tally", function, quick()).await.unwrap();
    mapping.drain().await.unwrap();
    assert_eq!(*count.lock().unwrap(), 2);
}

#[tokio::test]
async fn a_poison_record_ends_in_the_dead_letters_while_the_others_pass() {
    let mut machine = machine("BisectBatchOnFunctionError: true\nMaximumRetryAttempts: 2").await;
    put_orders(&machine, &["1", "2", "3", "4", "poison", "6", "7", "8"]).await;
    let (seen, function) =
        recording(
            |_, orders| {
                if orders.iter().any(|o| o.ends_with("poison")) { Err("poison") } else { Ok(Vec::new()) }
            },
        );
    let mapping = machine.mapping("tally", function, quick()).await.unwrap();
    mapping.drain().await.unwrap();
    assert_eq!(
        calls(&seen),
        [
            "1 2 3 4 poison 6 7 8",
            "1 2 3 4",
            "poison 6 7 8",
            "poison 6",
            "poison",
            "poison",
            "poison",
            "6",
            "7 8"
        ]
    );
    assert_eq!(mapping.progress(), MappingProgress { delivered: 7, given_up: 1, under_way: 0 });
    let letters = mapping.dead_letters().all().unwrap();
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!(letter["requestContext"]["condition"], "RetryAttemptsExhausted");
    assert_eq!(letter["responseContext"]["functionError"], "Unhandled");
    let batch = &letter["DDBStreamBatchInfo"];
    assert_eq!(batch["batchSize"], 1);
    assert_eq!(batch["startSequenceNumber"], batch["endSequenceNumber"]);
    assert!(batch["streamArn"].as_str().unwrap().contains("t-orders"), "{letter:#}");
}

#[tokio::test]
async fn records_that_are_too_old_are_given_up_at_once() {
    let mut machine = machine("MaximumRecordAgeInSeconds: 0").await;
    put_orders(&machine, &["1", "2"]).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let (seen, function) = recording(|_, _| Ok(Vec::new()));
    let mapping = machine.mapping("tally", function, quick()).await.unwrap();
    mapping.drain().await.unwrap();
    assert!(calls(&seen).is_empty());
    let letters = mapping.dead_letters().all().unwrap();
    assert_eq!(letters[0]["requestContext"]["condition"], "RecordAgeExceeded");
    assert_eq!(letters[0]["DDBStreamBatchInfo"]["batchSize"], 2);
}

#[tokio::test]
async fn a_function_that_panics_or_takes_too_long_is_called_again() {
    let mut machine = machine("").await;
    put_orders(&machine, &["1"]).await;
    let count = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&count);
    let function: StreamFunction = handler(move |_: LambdaEvent<Event>| {
        let nth = {
            let mut count = counted.lock().unwrap();
            *count += 1;
            *count
        };
        async move {
            match nth {
                1 => panic!("as a handler with a bug does"),
                2 => tokio::time::sleep(Duration::from_secs(60)).await,
                _ => {}
            }
            Ok(DynamoDbEventResponse::default())
        }
    });
    let mapping = machine.mapping("tally", function, quick()).await.unwrap();
    mapping.drain().await.unwrap();
    assert_eq!(*count.lock().unwrap(), 3);
}

#[tokio::test]
async fn batches_are_as_large_as_the_template_says() {
    let mut machine = machine("BatchSize: 4").await;
    put_orders(&machine, &["1", "2", "3", "4", "5", "6"]).await;
    let (seen, function) = recording(|_, _| Ok(Vec::new()));
    let mapping = machine.mapping("tally", function, quick()).await.unwrap();
    mapping.drain().await.unwrap();
    let seen = calls(&seen);
    assert_eq!(seen.join(" "), "1 2 3 4 5 6");
    assert!(seen.iter().all(|batch| batch.split(' ').count() <= 4), "{seen:?}");
}

#[tokio::test]
async fn a_window_gathers_what_comes_one_by_one() {
    let mut machine = machine("MaximumBatchingWindowInSeconds: 1").await;
    let (seen, function) = recording(|_, _| Ok(Vec::new()));
    let mapping = machine.mapping("tally", function, quick()).await.unwrap();
    for order in ["1", "2", "3"] {
        put_orders(&machine, &[order]).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    mapping.drain().await.unwrap();
    assert_eq!(calls(&seen), ["1 2 3"]);
}

#[tokio::test]
async fn a_restart_continues_from_the_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let start = async || {
        let options = MachineOptions {
            data: Some(dir.path().to_owned()),
            ..MachineOptions::in_memory(template("BatchSize: 2"), "t")
        };
        Machine::start(options).await.unwrap()
    };
    let mut first = start().await;
    put_orders(&first, &["1", "2"]).await;
    let (seen, function) = recording(|_, _| Ok(Vec::new()));
    first.mapping("tally", function, quick()).await.unwrap().drain().await.unwrap();
    assert_eq!(calls(&seen), ["1 2"]);
    first.stop().await.unwrap();

    let mut second = start().await;
    put_orders(&second, &["3"]).await;
    let (seen, function) = recording(|_, _| Ok(Vec::new()));
    let mapping = second.mapping("tally", function, quick()).await.unwrap();
    mapping.drain().await.unwrap();
    assert_eq!(calls(&seen), ["3"]);
    second.stop().await.unwrap();
}

#[tokio::test]
async fn a_batch_that_was_not_taken_before_a_stop_is_given_again() {
    let dir = tempfile::tempdir().unwrap();
    let options =
        MachineOptions { data: Some(dir.path().to_owned()), ..MachineOptions::in_memory(template(""), "t") };
    let mut machine = Machine::start(options.clone()).await.unwrap();
    put_orders(&machine, &["1"]).await;
    let (seen, function) = recording(|_, _| Err("the disk is full, say"));
    let mapping = machine.mapping("tally", function, quick()).await.unwrap();
    while seen.lock().unwrap().len() < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let waiting = tokio::spawn(async move { mapping.drain().await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    machine.stop().await.unwrap();
    assert!(matches!(waiting.await.unwrap(), Err(StreamError::Stopped { .. })));

    let mut machine = Machine::start(options).await.unwrap();
    let (seen, function) = recording(|_, _| Ok(Vec::new()));
    machine.mapping("tally", function, quick()).await.unwrap().drain().await.unwrap();
    assert_eq!(calls(&seen), ["1"]);
}

#[tokio::test]
async fn lanes_work_side_by_side_and_keep_a_users_order() {
    let mut machine = machine("ParallelizationFactor: 4\nBatchSize: 10").await;
    put_many(&client(&machine), 200).await;
    for order in 0..20 {
        put(&client(&machine), "u000007", &format!("p{order:02}")).await;
    }
    let most = Arc::new(Mutex::new((0, 0)));
    let seen = Calls::default();
    let (counter, noted) = (Arc::clone(&most), Arc::clone(&seen));
    let function: StreamFunction = handler(move |event: LambdaEvent<Event>| {
        let (counter, noted) = (Arc::clone(&counter), Arc::clone(&noted));
        async move {
            {
                let mut at_once = counter.lock().unwrap();
                at_once.0 += 1;
                at_once.1 = at_once.1.max(at_once.0);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            counter.lock().unwrap().0 -= 1;
            noted.lock().unwrap().push(orders(&event));
            Ok(DynamoDbEventResponse::default())
        }
    });
    let mapping = machine.mapping("tally", function, quick()).await.unwrap();
    mapping.drain().await.unwrap();
    let mut of_user: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for order in seen.lock().unwrap().iter().flatten() {
        let (user, order) = order.split_once('/').unwrap();
        of_user.entry(user.to_owned()).or_default().push(order.to_owned());
    }
    assert_eq!(of_user.len(), 200);
    let mut sorted = of_user["u000007"].clone();
    sorted.sort();
    assert_eq!(of_user["u000007"], sorted);
    assert_eq!(most.lock().unwrap().1, 4);
}

#[tokio::test]
async fn all_types_of_values_reach_the_function() {
    let mut machine = machine("").await;
    let all = [
        ("text", AttributeValue::S("ä".into())),
        ("number", AttributeValue::N("12345678901234567890.5".into())),
        ("bytes", AttributeValue::B(vec![0, 255].into())),
        ("flag", AttributeValue::Bool(true)),
        ("none", AttributeValue::Null(true)),
        ("list", AttributeValue::L(vec![AttributeValue::N("1".into()), AttributeValue::S(String::new())])),
        ("map", AttributeValue::M([("k".to_owned(), AttributeValue::Bool(false))].into())),
        ("texts", AttributeValue::Ss(vec!["a".into()])),
        ("numbers", AttributeValue::Ns(vec!["2".into()])),
        ("blobs", AttributeValue::Bs(vec![vec![7].into()])),
    ];
    let mut item = client(&machine).put_item().table_name("t-orders");
    for (name, value) in &all {
        item = item.item(*name, value.clone());
    }
    let keys = [("user", "anna"), ("order", "1")].map(|(k, v)| (k, AttributeValue::S(v.into())));
    item.item("user", keys[0].1.clone()).item("order", keys[1].1.clone()).send().await.unwrap();
    let delete = client(&machine).delete_item().table_name("t-orders");
    delete.key("user", keys[0].1.clone()).key("order", keys[1].1.clone()).send().await.unwrap();

    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&events);
    let function: StreamFunction = handler(move |event: LambdaEvent<Event>| {
        seen.lock().unwrap().extend(event.payload.records);
        async { Ok(DynamoDbEventResponse::default()) }
    });
    machine.mapping("tally", function, quick()).await.unwrap().drain().await.unwrap();
    let events = events.lock().unwrap();
    let names: Vec<_> = events.iter().map(|e| e.event_name.as_str()).collect();
    assert_eq!(names, ["INSERT", "REMOVE"]);
    let new = serde_json::to_value(&events[0].change.new_image).unwrap();
    let expected = serde_json::json!({
        "user": {"S": "anna"}, "order": {"S": "1"},
        "text": {"S": "ä"}, "number": {"N": "12345678901234567890.5"}, "bytes": {"B": "AP8="},
        "flag": {"BOOL": true}, "none": {"NULL": true}, "list": {"L": [{"N": "1"}, {"S": ""}]},
        "map": {"M": {"k": {"BOOL": false}}}, "texts": {"SS": ["a"]}, "numbers": {"NS": ["2"]}, "blobs": {"BS": ["Bw=="]},
    });
    assert_eq!(new, expected);
    assert_eq!(serde_json::to_value(&events[1].change.old_image).unwrap(), expected);
    assert!(events[1].change.new_image.inner().is_empty());
    let record = &events[0];
    assert_eq!(record.event_source.as_deref(), Some("aws:dynamodb"));
    assert!(record.event_source_arn.as_deref().unwrap().contains("t-orders/stream/"));
    assert_eq!(record.change.sequence_number.as_ref().unwrap().len(), 21);
    let age =
        std::time::SystemTime::now().duration_since(record.change.approximate_creation_date_time.into());
    assert!(age.unwrap() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_mapping_from_the_latest_record_sees_only_what_comes() {
    let template = template("").replace("TRIM_HORIZON", "LATEST");
    let mut machine = Machine::start(MachineOptions::in_memory(template, "t")).await.unwrap();
    put_orders(&machine, &["1"]).await;
    let (seen, function) = recording(|_, _| Ok(Vec::new()));
    let mapping = machine.mapping("tally", function, quick()).await.unwrap();
    mapping.drain().await.unwrap();
    put_orders(&machine, &["2"]).await;
    mapping.drain().await.unwrap();
    assert_eq!(calls(&seen), ["2"]);
}

#[tokio::test]
async fn what_has_no_mapping_is_refused() {
    let mut machine = machine("TumblingWindowInSeconds: 5").await;
    let (_, function) = recording(|_, _| Ok(Vec::new()));
    let refused = machine.mapping("tally", function.clone(), quick()).await.err().unwrap();
    assert!(matches!(refused, StreamError::TumblingWindow { .. }), "{refused}");
    let refused = machine.mapping("shop", function, quick()).await.err().unwrap();
    assert!(matches!(refused, StreamError::NoMapping { .. }), "{refused}");
}

#[tokio::test]
async fn a_wake_spares_a_record_the_wait() {
    let mut machine = machine("").await;
    let (at, mut arrived) = tokio::sync::mpsc::unbounded_channel();
    let function: StreamFunction = handler(move |_: LambdaEvent<Event>| {
        at.send(()).unwrap();
        async { Ok(DynamoDbEventResponse::default()) }
    });
    machine
        .mapping("tally", function, MappingPace { poll: Duration::from_secs(60), ..quick() })
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let written = Instant::now();
    put_orders(&machine, &["1"]).await;
    machine.wake().wake();
    arrived.recv().await.unwrap();
    println!("put and wake to function: {:?}", written.elapsed());
    assert!(written.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn an_idle_stream_shows_a_write_within_moments() {
    let mut machine = machine("").await;
    let (at, mut arrived) = tokio::sync::mpsc::unbounded_channel();
    let function: StreamFunction = handler(move |_: LambdaEvent<Event>| {
        at.send(Instant::now()).unwrap();
        async { Ok(DynamoDbEventResponse::default()) }
    });
    machine.mapping("tally", function, MappingPace::default()).await.unwrap();
    let mut delays = Vec::new();
    for order in 0..10 {
        tokio::time::sleep(Duration::from_millis(37)).await;
        let written = Instant::now();
        put_orders(&machine, &[&order.to_string()]).await;
        delays.push(arrived.recv().await.unwrap() - written);
    }
    delays.sort();
    println!("put to function: {:?} (median), {:?} (longest)", delays[5], delays[9]);
    assert!(delays[5] < Duration::from_millis(500), "{delays:?}");
}

/// Nobody waits for ever for a mapping that makes no progress; fixing its cause is enough.
#[tokio::test]
async fn whoever_waits_is_told_that_the_dead_letters_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("dead-letters.jsonl");
    let options = MachineOptions {
        data: Some(dir.path().to_owned()),
        ..MachineOptions::in_memory(template("MaximumRetryAttempts: 0"), "t")
    };
    let mut machine = Machine::start(options).await.unwrap();
    put_orders(&machine, &["1"]).await;
    // Like a full disk, this makes writing notes fail.
    std::fs::create_dir(&file).unwrap();
    let (_, function) = recording(|_, _| Err("it cannot be taken"));
    let mapping = machine.mapping("tally", function, quick()).await.unwrap();
    let stuck = mapping.drain().await.unwrap_err();
    assert!(matches!(stuck, StreamError::Stuck { .. }), "{stuck}");
    assert!(stuck.to_string().contains(file.to_str().unwrap()), "{stuck}");
    std::fs::remove_dir(&file).unwrap();
    while mapping.drain().await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(mapping.progress(), MappingProgress { delivered: 0, given_up: 1, under_way: 0 });
    assert_eq!(mapping.dead_letters().all().unwrap().len(), 1);
}

#[tokio::test]
async fn whoever_waits_is_told_why_a_mapping_does_not_get_ahead() {
    let mut machine = machine("").await;
    put_orders(&machine, &["1"]).await;
    let (_, function) = recording(|_, _| Err("it is never taken"));
    let pace = MappingPace { patience: Duration::from_millis(300), ..quick() };
    let mapping = machine.mapping("tally", function, pace).await.unwrap();
    let stuck = mapping.drain().await.unwrap_err();
    assert!(stuck.to_string().contains("it is never taken"), "{stuck}");
}

#[tokio::test]
async fn how_many_records_a_mapping_is_behind_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let options = || MachineOptions {
        data: Some(dir.path().to_owned()),
        ..MachineOptions::in_memory(template(""), "t")
    };
    let mut machine = Machine::start(options()).await.unwrap();
    put_orders(&machine, &["1", "2", "3"]).await;
    let (_, function) = recording(|_, _| Ok(Vec::new()));
    machine.mapping("tally", function, quick()).await.unwrap().drain().await.unwrap();
    machine.stop().await.unwrap();
    // Records that nobody followed come first; none of those that were followed counts.
    let mut machine = Machine::start(options()).await.unwrap();
    put_orders(&machine, &["4", "5"]).await;
    let go = Arc::new(tokio::sync::Semaphore::new(0));
    let waits = Arc::clone(&go);
    let function: StreamFunction = handler(move |_: LambdaEvent<Event>| {
        let waits = Arc::clone(&waits);
        async move {
            waits.acquire().await.unwrap().forget();
            Ok(DynamoDbEventResponse::default())
        }
    });
    let mapping = machine.mapping("tally", function, quick()).await.unwrap();
    assert_eq!(mapping.behind().await, Some(2));
    go.add_permits(100);
    mapping.drain().await.unwrap();
    assert_eq!((mapping.behind().await, mapping.progress().delivered), (Some(0), 2));
}
