//! The function's own binary, given the repository's events as the state machine would.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

use std::collections::BTreeSet;

use nextbasket_job_engine::{Engine, JobId};
use nextbasket_tables::{TableNames, Tables};
use nextbasket_testkit::events::{ends_and_says, event, unused_events};
use nextbasket_testkit::{FunctionProcess, TestStack};
use serde_json::json;

async fn spawn(stack: &TestStack) -> FunctionProcess {
    FunctionProcess::spawn(env!("CARGO_BIN_EXE_job-plan"), &stack.environment("job-plan")).await
}

/// Submits the job of the events, as the function `jobs` does.
async fn submit(stack: &TestStack) {
    let environment = stack.environment("job-plan");
    let named = |variable: &str| environment.get(variable).cloned();
    let tables = Tables::new(stack.dynamodb(), TableNames::from_lookup(named));
    let engine = Engine::new(stack.site(), nextbasket_job_kinds::kinds(&tables, None));
    let id = JobId::parse("rebuild-history-1").unwrap();
    engine.submit(Some(id), "rebuild-history", json!({ "segments": 2 })).await.unwrap();
}

#[tokio::test]
async fn a_job_is_planned_and_ended() {
    let stack = TestStack::start().await;
    submit(&stack).await;
    let function = spawn(&stack).await;
    let step = function.invoke(&event("job-plan")).await.unwrap();
    assert_eq!((&step["next"], &step["stage"]), (&json!("work"), &json!(0)));
    let again = function.invoke(&event("job-plan-again")).await.unwrap();
    assert_eq!((&again["next"], &again["plan"]), (&json!("work"), &step["plan"]));
    let end = function.invoke(&event("job-plan-fail")).await.unwrap();
    assert_eq!((&end["next"], &end["state"]), (&json!("done"), &json!("failed")));
}

#[tokio::test]
async fn a_schedule_s_execution_submits_its_job_once() {
    let stack = TestStack::start().await;
    let function = spawn(&stack).await;
    let submitted = function.invoke(&event("job-plan-submit")).await.unwrap();
    assert_eq!(submitted["next"], "submitted");
    assert_eq!(function.invoke(&event("job-plan-submit")).await.unwrap(), submitted);
    let step = function.invoke(&json!({ "jobId": submitted["jobId"] })).await.unwrap();
    assert_eq!(step["next"], "work");
    let mut other = event("job-plan-submit");
    other["submit"]["kind"] = json!("rebuild-histories");
    let unknown = function.invoke(&other).await.unwrap_err();
    assert_eq!(unknown.error_message, "kind of job \"rebuild-histories\" not found");
}

#[tokio::test]
async fn what_will_not_pass_has_a_name_that_is_not_tried_again() {
    let stack = TestStack::start().await;
    let function = spawn(&stack).await;
    let unknown = function.invoke(&event("job-plan")).await.unwrap_err();
    assert_eq!(
        (unknown.error_type.as_str(), unknown.error_message.as_str()),
        ("Job.Lasting", "job \"rebuild-history-1\" not found")
    );
    let wrong = function.invoke(&json!({ "jobId": "a b" })).await.unwrap_err();
    assert!(wrong.error_message.contains("must be 1 to 64"), "{wrong}");
    submit(&stack).await;
    assert_eq!(function.invoke(&event("job-plan")).await.unwrap()["next"], "work");
}

#[tokio::test]
async fn without_its_table_or_its_bucket_it_ends_and_says_why() {
    let stack = TestStack::start().await;
    for variable in ["OPERATIONS_TABLE", "JOBS_BUCKET"] {
        let mut environment = stack.environment("job-plan");
        environment.remove(variable);
        let function = FunctionProcess::spawn(env!("CARGO_BIN_EXE_job-plan"), &environment).await;
        ends_and_says(&function, &event("job-plan"), variable).await;
    }
}

#[tokio::test]
async fn every_event_of_this_function_is_used_here() {
    let stack = TestStack::start().await;
    assert_eq!(unused_events(&stack, "job-plan", include_str!("binary.rs")), BTreeSet::new());
}
