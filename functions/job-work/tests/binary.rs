//! The function's own binary, given the repository's events as the state machine would.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails there")]

use std::collections::BTreeSet;

use nextbasket_batch::engine::Step;
use nextbasket_batch::{Engine, JobId};
use nextbasket_tables::{TableNames, Tables};
use nextbasket_testkit::events::{ends_and_says, event, unused_events};
use nextbasket_testkit::{FunctionProcess, TestStack};
use serde_json::json;

fn engine(stack: &TestStack) -> Engine {
    let environment = stack.environment("job-work");
    let named = |variable: &str| environment.get(variable).cloned();
    let tables = Tables::new(stack.dynamodb(), TableNames::from_lookup(named));
    Engine::new(stack.site(), nextbasket_jobs::kinds(&tables, nextbasket_jobs::Commands::Refused))
}

#[tokio::test]
async fn a_batch_is_done_once_the_job_is_planned() {
    let stack = TestStack::start().await;
    let function =
        FunctionProcess::spawn(env!("CARGO_BIN_EXE_job-work"), &stack.environment("job-work")).await;
    let unknown = function.invoke(&event("job-work")).await.unwrap_err();
    assert_eq!(
        (unknown.error_type.as_str(), unknown.error_message.as_str()),
        ("Job.Lasting", "there is no job rebuild-history-1")
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
