//! A function for the tests of [`FunctionProcess`](nextbasket_testkit::FunctionProcess): it does what its event says.

#![allow(clippy::panic, reason = "a test asks for it")]

use std::time::Duration;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    println!("testkit-function starts");
    lambda_runtime::run(service_fn(handle)).await
}

async fn handle(event: LambdaEvent<Value>) -> Result<Value, Error> {
    match event.payload.get("do").and_then(Value::as_str) {
        Some("fail") => Err("asked to fail".into()),
        Some("panic") => panic!("asked to panic"),
        Some("exit") => std::process::exit(7),
        Some("sleep") => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            Ok(Value::Null)
        }
        _ => Ok(json!({
            "event": event.payload,
            "requestId": event.context.request_id,
            "deadline": event.context.deadline,
            "variable": std::env::var("GREETING").ok(),
            "home": std::env::var("HOME").ok(),
        })),
    }
}
