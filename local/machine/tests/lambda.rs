//! Functions that are invoked by name.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_lambda::Client;
use aws_sdk_lambda::error::ProvideErrorMetadata;
use aws_sdk_lambda::operation::invoke::InvokeOutput;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use nextbasket_machine::Machine;
use nextbasket_machine::dynamodb::sdk_config;
use nextbasket_machine::lambda::{FunctionError, Functions, function};
use serde_json::{Value, json};
use support::machine;

struct World {
    client: Client,
    counted: Arc<AtomicU64>,
    machine: Machine,
}

async fn world() -> World {
    let mut machine = machine("").await;
    let counted = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&counted);
    let functions: Functions = [
        ("echo", function(|payload| async move { Ok(payload.to_vec()) })),
        ("fail", function(|_| async { Err(FunctionError::new("TypeError", "no such thing")) })),
        ("panic", function(|_| async { panic!("as a handler with a bug does") })),
        ("large", function(|_| async { Ok(format!("{:?}", "x".repeat(7_000_000)).into_bytes()) })),
        (
            "count",
            function(move |_| {
                let count = Arc::clone(&count);
                async move { Ok(count.fetch_add(1, Ordering::Relaxed).to_string().into_bytes()) }
            }),
        ),
    ]
    .map(|(name, function)| (name.to_owned(), function))
    .into();
    let address = machine.lambda(functions).await.unwrap();
    let config = sdk_config(&format!("http://{address}"), machine.key());
    World { client: Client::new(&config), counted, machine }
}

fn payload(answer: &InvokeOutput) -> Value {
    serde_json::from_slice(answer.payload().unwrap().as_ref()).unwrap()
}

#[tokio::test]
async fn a_function_is_found_by_its_name_or_its_arn() {
    let world = world().await;
    for name in [
        "echo",
        "echo:$LATEST",
        "arn:aws:lambda:local:000000000000:function:echo",
        "000000000000:function:echo:$LATEST",
    ] {
        let invoke = world.client.invoke().function_name(name).payload(Blob::new(r#"{"a":[1,"ü"]}"#));
        let answer = invoke.send().await.unwrap();
        assert_eq!((answer.status_code(), answer.function_error()), (200, None), "{name}");
        assert_eq!(payload(&answer), json!({ "a": [1, "ü"] }), "{name}");
    }
    let unknown =
        world.client.invoke().function_name("nobody").send().await.unwrap_err().into_service_error();
    assert!(unknown.is_resource_not_found_exception(), "{unknown:?}");
    world.machine.stop().await.unwrap();
}

#[tokio::test]
async fn a_function_that_fails_is_an_answer_that_says_so() {
    let world = world().await;
    let failed = async |name: &str| {
        let answer = world.client.invoke().function_name(name).send().await.unwrap();
        assert_eq!((answer.status_code(), answer.function_error()), (200, Some("Unhandled")));
        payload(&answer)
    };
    assert_eq!(failed("fail").await, json!({ "errorType": "TypeError", "errorMessage": "no such thing" }));
    assert_eq!(failed("panic").await["errorType"], "Runtime.ExitError");
    assert_eq!(failed("large").await["errorType"], "Function.ResponseSizeTooLarge");
}

#[tokio::test]
async fn what_is_no_payload_is_refused() {
    let world = world().await;
    let refusal = async |payload: Vec<u8>, kind: InvocationType| {
        let invoke = world.client.invoke().function_name("count").invocation_type(kind);
        let error = invoke.payload(Blob::new(payload)).send().await.unwrap_err().into_service_error();
        error.code().unwrap().to_owned()
    };
    let large = |bytes| format!("{:?}", "x".repeat(bytes)).into_bytes();
    let wait = InvocationType::RequestResponse;
    assert_eq!(refusal(b"{".to_vec(), wait.clone()).await, "InvalidRequestContentException");
    assert_eq!(refusal(large(6 * 1024 * 1024), wait).await, "RequestTooLargeException");
    assert_eq!(refusal(large(1024 * 1024), InvocationType::Event).await, "RequestTooLargeException");
    assert_eq!(world.counted.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn an_event_is_taken_and_done_later_and_a_dry_run_is_not_done() {
    let world = world().await;
    let invoke = |kind| world.client.invoke().function_name("count").invocation_type(kind).send();
    assert_eq!(invoke(InvocationType::DryRun).await.unwrap().status_code(), 204);
    assert_eq!(invoke(InvocationType::Event).await.unwrap().status_code(), 202);
    let begin = Instant::now();
    while world.counted.load(Ordering::Relaxed) == 0 {
        assert!(begin.elapsed() < Duration::from_secs(30), "the event is lost");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(world.counted.load(Ordering::Relaxed), 1);
}
