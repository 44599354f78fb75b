//! A real binary behind the emulated Runtime API.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use nextbasket_testkit::FunctionProcess;
use serde_json::json;

async fn spawn() -> FunctionProcess {
    let environment = BTreeMap::from([("GREETING".to_owned(), "hello".to_owned())]);
    FunctionProcess::spawn(env!("CARGO_BIN_EXE_testkit-function"), &environment).await
}

#[tokio::test]
async fn a_function_answers_one_invocation_after_another() {
    let function = spawn().await;
    let first = function.invoke(&json!({"n": 1})).await.unwrap();
    assert_eq!((&first["event"]["n"], &first["variable"]), (&json!(1), &json!("hello")));
    assert_eq!(first["home"], json!(null), "nothing of the test's own environment");
    let second = function.invoke(&json!({"n": 2})).await.unwrap();
    assert_ne!(first["requestId"], second["requestId"]);
    function.says("testkit-function starts").await;
}

#[tokio::test]
async fn a_functions_error_has_its_message_and_the_next_invocation_works() {
    let function = spawn().await;
    let error = function.invoke(&json!({"do": "fail"})).await.unwrap_err();
    assert_eq!(error.error_message, "asked to fail");
    let error = function.invoke(&json!({"do": "panic"})).await.unwrap_err();
    assert!(error.error_message.contains("asked to panic"), "{error:?}");
    assert!(function.invoke(&json!({})).await.is_ok());
}

#[tokio::test]
async fn a_function_that_ends_or_hangs_is_an_error() {
    let error = spawn().await.invoke(&json!({"do": "exit"})).await.unwrap_err();
    assert_eq!(error.error_type, "Runtime.ExitError");
    let slow = spawn().await.with_timeout(Duration::from_millis(300));
    assert_eq!(slow.invoke(&json!({"do": "sleep"})).await.unwrap_err().error_type, "Sandbox.Timedout");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_dropped_function_process_is_gone() {
    let function = spawn().await;
    let path = format!("/proc/{}", function.id());
    assert!(std::path::Path::new(&path).exists());
    drop(function);
    assert!(!std::path::Path::new(&path).exists());
}
