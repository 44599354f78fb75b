//! The function's own binary, given the repository's events as the state machine would.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_job_engine::engine::Step;
use nextbasket_job_engine::store::batch_key;
use nextbasket_job_engine::{Engine, JobId};
use nextbasket_tables::{TableNames, Tables};
use nextbasket_testkit::events::{ends_and_says, event, unused_events};
use nextbasket_testkit::{Fault, FunctionProcess, TestStack};
use serde_json::json;

fn engine(stack: &TestStack) -> Engine {
    let environment = stack.environment("job-work");
    let named = |variable: &str| environment.get(variable).cloned();
    let tables = Tables::new(stack.dynamodb(), TableNames::from_lookup(named));
    Engine::new(stack.site(), nextbasket_job_kinds::kinds(&tables, None))
}

#[tokio::test]
async fn a_batch_is_done_once_the_job_is_planned() {
    let stack = TestStack::start().await;
    let function =
        FunctionProcess::spawn(env!("CARGO_BIN_EXE_job-work"), &stack.environment("job-work")).await;
    let unknown = function.invoke(&event("job-work")).await.unwrap_err();
    assert_eq!(
        (unknown.error_type.as_str(), unknown.error_message.as_str()),
        ("Job.Lasting", "job \"rebuild-history-1\" not found")
    );
    let (engine, id) = (engine(&stack), JobId::parse("rebuild-history-1").unwrap());
    engine.submit(Some(id.clone()), "rebuild-history", json!({ "segments": 2 })).await.unwrap();
    while let Step::Work(step) = engine.plan(&id).await.unwrap() {
        for task in engine.tasks(&step).await.unwrap() {
            let ask = json!({ "task": task, "width": 2 });
            let ask = if (task.stage, task.batch) == (0, 0) { event("job-work") } else { ask };
            assert_eq!(ask["task"], serde_json::to_value(&task).unwrap());
            assert_eq!(function.invoke(&ask).await.unwrap()["state"], "done");
        }
    }
    let ended = function.invoke(&event("job-work")).await.unwrap_err();
    assert_eq!(ended.error_type, "Job.Stopped");
}

/// Moves time back so far that the claim of a dead worker has expired.
async fn expire(stack: &TestStack, job: &JobId) {
    let key = batch_key(job, 0, 0);
    let update = stack
        .dynamodb()
        .update_item()
        .table_name(stack.operations())
        .key("pk", AttributeValue::S(key.pk))
        .key("sk", AttributeValue::S(key.sk))
        .update_expression("SET expiresAt = :then")
        .condition_expression("attribute_exists(pk)")
        .expression_attribute_values(":then", AttributeValue::N("0".to_owned()));
    update.send().await.unwrap();
}

#[tokio::test]
async fn a_batch_whose_functions_are_killed_fails_by_name_after_eight_of_them() {
    let stack = TestStack::start().await;
    let proxy = stack.proxy().await;
    let mut environment = stack.environment("job-work");
    environment.insert("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), proxy.url());
    let (engine, id) = (engine(&stack), JobId::parse("rebuild-history-1").unwrap());
    engine.submit(Some(id.clone()), "rebuild-history", json!({ "segments": 1 })).await.unwrap();
    let Step::Work(step) = engine.plan(&id).await.unwrap() else { panic!("no stage") };
    let task = engine.tasks(&step).await.unwrap().remove(0);
    let ask = json!({ "task": task, "width": 1 });
    // Every function dies in the middle of its work: while it reads the first page.
    proxy.inject("Scan", 1..=u64::MAX, Fault::Delay(Duration::from_secs(600)));
    for kill in 1..=8 {
        let function = FunctionProcess::spawn(env!("CARGO_BIN_EXE_job-work"), &environment).await;
        let reading = async {
            while proxy.calls("Scan") < kill {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            answer = function.invoke(&ask) => panic!("kill {kill}: {answer:?}"),
            () = reading => {}
        }
        drop(function);
        expire(&stack, &id).await;
    }
    proxy.heal();
    let function = FunctionProcess::spawn(env!("CARGO_BIN_EXE_job-work"), &environment).await;
    assert_eq!(function.invoke(&ask).await.unwrap()["state"], "failed");
    let Step::Ended(job) = engine.plan(&id).await.unwrap() else { panic!("it goes on") };
    let failure = job.failure.unwrap();
    assert!(failure.contains("tried 8 times: its worker ended without a message 8 times"), "{failure}");
    assert!(failure.contains("the last time function/"), "{failure}");
}

#[tokio::test]
async fn without_its_table_or_its_bucket_it_ends_and_says_why() {
    let stack = TestStack::start().await;
    for variable in ["OPERATIONS_TABLE", "JOBS_BUCKET"] {
        let mut environment = stack.environment("job-work");
        environment.remove(variable);
        let function = FunctionProcess::spawn(env!("CARGO_BIN_EXE_job-work"), &environment).await;
        ends_and_says(&function, &event("job-work"), variable).await;
    }
}

#[tokio::test]
async fn every_event_of_this_function_is_used_here() {
    let stack = TestStack::start().await;
    assert_eq!(unused_events(&stack, "job-work", include_str!("binary.rs")), BTreeSet::new());
}
