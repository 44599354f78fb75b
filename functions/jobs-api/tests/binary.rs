//! The function's own binary, given the repository's events as Lambda would.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

use std::collections::BTreeSet;

use nextbasket_testkit::events::{answer, ends_and_says, event, unused_events};
use nextbasket_testkit::{FunctionProcess, TestStack};
use serde_json::{Value, json};

/// Without a state machine: there is none on this machine.
async fn spawn(stack: &TestStack, auth_mode: &str) -> FunctionProcess {
    let mut environment = stack.environment("jobs-api");
    environment.remove("STATE_MACHINE_ARN");
    environment.insert("AUTH_MODE".to_owned(), auth_mode.to_owned());
    FunctionProcess::spawn(env!("CARGO_BIN_EXE_jobs-api"), &environment).await
}

async fn code(function: &FunctionProcess, event: &Value) -> (u64, String, String) {
    let (status, body) = answer(function, event).await;
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    (status, text("code"), text("field"))
}

fn problem(status: u64, code: &str, field: &str) -> (u64, String, String) {
    (status, code.to_owned(), field.to_owned())
}

#[tokio::test]
async fn a_job_is_taken_once_shown_listed_and_cancelled() {
    let stack = TestStack::start().await;
    let function = spawn(&stack, "iam").await;
    assert_eq!(answer(&function, &event("jobs-list")).await, (200, json!({ "items": [] })));
    let (status, job) = answer(&function, &event("jobs-post")).await;
    assert_eq!((status, &job["state"]), (202, &json!("waiting")), "{job:#}");
    assert_eq!(job["parameters"], json!({ "segments": 2 }));
    assert_eq!(answer(&function, &event("jobs-post")).await, (202, job.clone()));
    let mut other = event("jobs-post");
    other["body"] = event("jobs-post")["body"].as_str().unwrap().replace(":2}", ":3}").into();
    assert_eq!(code(&function, &other).await, problem(409, "job_differs", "jobId"));

    let (status, shown) = answer(&function, &event("job-get")).await;
    assert_eq!((status, &shown["jobId"]), (200, &job["jobId"]));
    assert_eq!((&shown["failures"], &shown["log"]), (&json!([]), &json!([])));
    assert_eq!(code(&function, &event("job-get-unknown")).await, problem(404, "job_not_found", "jobId"));

    // No process works on it, so it ends at once; the same request again finds it cancelled.
    for expected in [202, 200] {
        let (status, job) = answer(&function, &event("job-delete")).await;
        assert_eq!((status, &job["state"], job.get("cancelling")), (expected, &json!("cancelled"), None));
    }
    let (status, page) = answer(&function, &event("jobs-list")).await;
    assert_eq!((status, page["items"].as_array().unwrap().len()), (200, 1));
    assert_eq!(page["items"][0]["jobId"], job["jobId"]);
}

#[tokio::test]
async fn pages_of_jobs_hold_each_of_them_once_newest_first() {
    let stack = TestStack::start().await;
    let function = spawn(&stack, "iam").await;
    for n in 0..7 {
        let mut post = event("jobs-post");
        let body = json!({ "jobId": format!("job-{n}"), "kind": "rebuild-history", "parameters": { "segments": 2 } });
        post["body"] = body.to_string().into();
        assert_eq!(answer(&function, &post).await.0, 202);
    }
    let mut found = Vec::new();
    let mut query = "limit=3".to_owned();
    loop {
        let mut list = event("jobs-list");
        list["rawQueryString"] = json!(query);
        let (status, page) = answer(&function, &list).await;
        assert_eq!(status, 200);
        let ids =
            page["items"].as_array().unwrap().iter().map(|job| job["jobId"].as_str().unwrap().to_owned());
        found.extend(ids);
        let Some(cursor) = page["cursor"].as_str() else { break };
        query = format!("limit=3&cursor={cursor}");
    }
    assert_eq!(found, ["job-6", "job-5", "job-4", "job-3", "job-2", "job-1", "job-0"]);
    let mut wrong = event("jobs-list");
    wrong["rawQueryString"] = json!("cursor=x");
    assert_eq!(code(&function, &wrong).await, problem(400, "invalid_cursor", "cursor"));
}

#[tokio::test]
async fn what_is_wrong_with_a_job_is_named() {
    let stack = TestStack::start().await;
    let function = spawn(&stack, "iam").await;
    let unknown = problem(400, "unknown_field", "parameters.colour");
    assert_eq!(code(&function, &event("jobs-post-invalid")).await, unknown);
    let unknown = problem(400, "invalid_field", "kind");
    assert_eq!(code(&function, &event("jobs-post-unknown-kind")).await, unknown);
    for (body, expected) in [
        (json!({ "parameters": {} }), problem(400, "missing_field", "kind")),
        (json!({ "kind": "import" }), problem(400, "missing_field", "parameters.source")),
        (json!({ "kind": "rebuild-history", "parameters": [] }), problem(400, "invalid_field", "parameters")),
        (
            json!({ "kind": "rebuild-history", "parameters": { "segments": "two" } }),
            problem(400, "invalid_field", "parameters.segments"),
        ),
        (json!({ "kind": "rebuild-history", "jobId": "a b" }), problem(400, "invalid_field", "jobId")),
        (json!({ "kind": "rebuild-history", "colour": 1 }), problem(400, "unknown_field", "colour")),
    ] {
        let mut post = event("jobs-post");
        post["body"] = body.to_string().into();
        assert_eq!(code(&function, &post).await, expected, "{body}");
    }
    for name in ["job-get", "job-delete"] {
        let mut request = event(name);
        request["pathParameters"]["jobId"] = json!("a b");
        assert_eq!(code(&function, &request).await, problem(400, "invalid_field", "jobId"), "{name}");
    }
    assert_eq!(answer(&function, &event("jobs-list")).await.1, json!({ "items": [] }));
}

#[tokio::test]
async fn what_a_job_would_take_is_told_and_nothing_is_kept() {
    let stack = TestStack::start().await;
    let function = spawn(&stack, "iam").await;
    let (status, answered) = answer(&function, &event("jobs-post-dry-run")).await;
    assert_eq!((status, &answered["kind"]), (200, &json!("rebuild-history")), "{answered:#}");
    assert!(answered["estimate"]["readUnits"].is_number(), "{answered:#}");
    assert_eq!(answer(&function, &event("jobs-list")).await.1, json!({ "items": [] }));
}

#[tokio::test]
async fn jobs_and_models_are_for_those_with_the_scope_alone() {
    let stack = TestStack::start().await;
    let function = spawn(&stack, "jwt").await;
    assert_eq!(answer(&function, &event("jobs-post-jwt-admin")).await.0, 202);
    let user = event("jobs-post-jwt-user");
    assert_eq!(code(&function, &user).await, problem(403, "forbidden", ""));
    for name in ["jobs-list", "job-get", "job-delete", "models-list", "models-put-current"] {
        let mut request = event(name);
        assert_eq!(code(&function, &request).await, problem(401, "unauthorized", ""), "{name}, signed");
        request["requestContext"]["authorizer"] = user["requestContext"]["authorizer"].clone();
        assert_eq!(code(&function, &request).await, problem(403, "forbidden", ""), "{name}");
    }
    let mut shown = event("job-get");
    shown["requestContext"]["authorizer"] =
        event("jobs-post-jwt-admin")["requestContext"]["authorizer"].clone();
    assert_eq!(answer(&function, &shown).await.1["cancelling"], Value::Null, "nothing was done");
}

#[tokio::test]
async fn without_a_model_there_is_none_to_go_back_to() {
    let stack = TestStack::start().await;
    let function = spawn(&stack, "iam").await;
    assert_eq!(answer(&function, &event("models-list")).await, (200, json!({ "items": [] })));
    let none = problem(404, "model_not_found", "version");
    assert_eq!(code(&function, &event("models-put-current")).await, none);
    let mut wrong = event("models-put-current");
    wrong["body"] = json!("{\"version\":-1}");
    assert_eq!(code(&function, &wrong).await, problem(400, "invalid_field", "version"));
}

#[tokio::test]
async fn without_a_table_a_bucket_or_its_mode_it_ends_and_says_why() {
    let stack = TestStack::start().await;
    for variable in ["OPERATIONS_TABLE", "JOBS_BUCKET", "MODEL_TABLE", "AUTH_MODE"] {
        let mut environment = stack.environment("jobs-api");
        environment.remove(variable);
        let function = FunctionProcess::spawn(env!("CARGO_BIN_EXE_jobs-api"), &environment).await;
        ends_and_says(&function, &event("jobs-list"), variable).await;
    }
}

#[tokio::test]
async fn every_event_of_this_function_is_used_here() {
    let stack = TestStack::start().await;
    assert_eq!(unused_events(&stack, "jobs-api", include_str!("binary.rs")), BTreeSet::new());
}
