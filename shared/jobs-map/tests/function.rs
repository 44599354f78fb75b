//! Batches through a Lambda function.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use common::{World, numbers, result, run};
use nextbasket_job_engine::{Engine, JobState};
use nextbasket_jobs_map::Map;
use nextbasket_machine::Machine;
use nextbasket_machine::lambda::{FunctionError, Functions, function};
use nextbasket_testkit::TestStack;
use serde_json::{Value, json};

/// What the functions were called with, and the machine that they are on.
struct Lambda {
    calls: Arc<Mutex<Vec<Value>>>,
    engine: Engine,
    _machine: Machine,
}

/// `upper` answers its records in capitals; `picky` fails for any with 42; `flaky` fails once; `odd` answers nonsense.
async fn lambda(world: &World) -> Lambda {
    let calls: Arc<Mutex<Vec<Value>>> = Arc::default();
    let (noted, flakes) = (calls.clone(), Arc::new(AtomicU32::new(0)));
    let mut functions = Functions::new();
    for name in ["upper", "picky", "flaky", "odd"] {
        let (noted, flakes) = (noted.clone(), flakes.clone());
        let work = function(move |payload| {
            let (noted, flakes) = (noted.clone(), flakes.clone());
            async move {
                let payload: Value = serde_json::from_slice(&payload).unwrap();
                noted.lock().unwrap().push(payload.clone());
                let records = payload["records"].as_array().unwrap();
                let broken = FunctionError::new("ValueError", "no record with 42 for me");
                if name == "picky" && records.iter().any(|record| record.as_str().unwrap().contains(":42,")) {
                    return Err(broken);
                }
                if name == "flaky" && flakes.fetch_add(1, Ordering::Relaxed) == 0 {
                    return Err(broken);
                }
                let upper: Vec<_> =
                    records.iter().map(|record| record.as_str().unwrap().to_uppercase()).collect();
                let answer = if name == "odd" { json!([]) } else { json!({ "records": upper }) };
                Ok(answer.to_string().into_bytes())
            }
        });
        functions.insert(name.to_owned(), work);
    }
    let mut machine = TestStack::start().await.into_machine();
    let address = machine.lambda(functions).await.unwrap();
    let config =
        machine.sdk_config().clone().into_builder().endpoint_url(format!("http://{address}")).build();
    let map = Map { lambda: Some(aws_sdk_lambda::Client::new(&config)) };
    Lambda { calls, engine: world.engine_with(map), _machine: machine }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_go_out_as_texts_and_answers_are_gathered_in_order() {
    let world = World::start().await;
    let lambda = lambda(&world).await;
    let source = world.object("in/numbers.jsonl", numbers(0..200)).await;
    let job = run(
        &lambda.engine,
        json!({
            "input": { "files": source, "format": "jsonl" },
            "function": "upper",
            "output": world.object_name("out.jsonl"),
            "batchBytes": 1_000,
        }),
    )
    .await;
    assert_eq!(result(&job)["records"], 200);
    let output = String::from_utf8(world.read_object("out.jsonl").await).unwrap();
    assert_eq!(output, numbers(0..200).to_uppercase());
    let calls = lambda.calls.lock().unwrap();
    assert!(calls.len() >= 5, "{}", calls.len());
    for call in calls.iter() {
        assert_eq!((&call["jobId"], &call["format"]), (&json!(job.job_id), &json!("jsonl")));
        assert!(call["fence"].as_u64().unwrap() >= 1);
        assert!(call.to_string().len() < 3_000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_comes_with_its_header_beside_the_records() {
    let world = World::start().await;
    let lambda = lambda(&world).await;
    let source = world.object("in.csv", "id,text\r\n1,\"a\nb\"\r\n\r\n2,c").await;
    run(
        &lambda.engine,
        json!({
            "input": { "files": source, "format": "csv" },
            "function": "upper",
            "output": world.object_name("out"),
        }),
    )
    .await;
    let calls = lambda.calls.lock().unwrap().clone();
    assert_eq!(calls.len(), 1);
    assert_eq!((&calls[0]["header"], &calls[0]["format"]), (&json!("id,text"), &json!("csv")));
    assert_eq!(calls[0]["records"], json!(["1,\"a\nb\"", "2,c"]));
    assert_eq!(world.read_object("out").await, b"1,\"A\nB\"\n2,C\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_function_fails_is_tried_again_then_reported_and_the_rest_is_kept() {
    let world = World::start().await;
    let lambda = lambda(&world).await;
    let source = world.object("in.jsonl", numbers(0..60)).await;
    let parameters = |function: &str| {
        json!({
            "input": { "files": source, "format": "jsonl" },
            "function": function,
            "output": world.object_name("out"),
            "batchItems": 10,
            "retries": 1,
        })
    };
    let job = run(&lambda.engine, parameters("picky")).await;
    let done = result(&job);
    assert_eq!((&done["done"], &done["failed"]), (&json!(5), &json!(1)), "{done:#}");
    let reason = done["failures"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("the function failed (Unhandled): no record with 42 for me"), "{reason}");
    let wanted = numbers(0..40) + &numbers(50..60);
    assert_eq!(String::from_utf8(world.read_object("out").await).unwrap(), wanted.to_uppercase());
    assert_eq!(lambda.calls.lock().unwrap().len(), 7, "the failing batch was tried twice");

    assert_eq!(result(&run(&lambda.engine, parameters("flaky")).await)["failed"], 0);
    let odd = run(&lambda.engine, parameters("odd")).await;
    assert!(odd.failure.unwrap().contains("records"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_larger_than_a_call_is_several_calls() {
    let world = World::start().await;
    let lambda = lambda(&world).await;
    let source = world.object("in.jsonl", numbers(0..100)).await;
    let job = run(
        &lambda.engine,
        json!({
            "input": { "files": source, "format": "jsonl" },
            "split": { "by": "feature", "attribute": "text", "parts": 1 },
            "function": "upper",
            "output": world.object_name("out"),
            "batchBytes": 500,
        }),
    )
    .await;
    assert_eq!((&result(&job)["batches"], &result(&job)["records"]), (&json!(1), &json!(100)));
    let calls: Vec<u64> =
        lambda.calls.lock().unwrap().iter().map(|call| call["call"].as_u64().unwrap()).collect();
    assert!(calls.len() > 4, "{calls:?}");
    assert_eq!(calls, (0..u64::try_from(calls.len()).unwrap()).collect::<Vec<_>>());
    assert_eq!(String::from_utf8(world.read_object("out").await).unwrap(), numbers(0..100).to_uppercase());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_is_not_there_stops_the_job_at_once() {
    let world = World::start().await;
    let lambda = lambda(&world).await;
    let source = world.object("in.jsonl", numbers(0..60)).await;
    let parameters = json!({
        "input": { "files": source, "format": "jsonl" },
        "function": "nobody",
        "output": world.object_name("out"),
        "batchItems": 1,
    });
    let job = run(&lambda.engine, parameters).await;
    assert_eq!(job.state, JobState::Failed);
    let failure = job.failure.unwrap();
    assert!(failure.contains("function \"nobody\""), "{failure}");
    assert!(lambda.calls.lock().unwrap().is_empty());
}
