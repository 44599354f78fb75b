//! How a job that was accepted is begun: by a state machine that may be busy or refuse, or by this process's workers.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

#[path = "../../job-plan/tests/trial/mod.rs"]
mod trial;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_sfn::config::retry::RetryConfig;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use jobs_api::driver::StateMachine;
use jobs_api::{Driver, State, handle};
use lambda_runtime::{Context, LambdaEvent};
use nextbasket_http::{AuthMode, Service};
use nextbasket_tables::{TableNames, Tables};
use nextbasket_telemetry::Metrics;
use nextbasket_testkit::events::event;
use nextbasket_testkit::{Fault, FaultProxy, TestStack};
use serde_json::{Value, json};
use tokio::sync::Notify;

const ARN: &str = "arn:aws:states:eu-central-1:123456789012:stateMachine:nextbasket-job";

/// Step Functions' side of StartExecution: what it was asked, and what it answers.
#[derive(Clone, Default)]
struct Executions(Arc<Mutex<Book>>);

#[derive(Default)]
struct Book {
    asked: Vec<Value>,
    answer: Option<(u16, &'static str)>,
}

impl Executions {
    async fn serve(&self) -> aws_sdk_sfn::Client {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/", post(start)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let key = nextbasket_machine::AccessKey::random();
        let config =
            aws_sdk_sfn::config::Builder::from(&nextbasket_machine::dynamodb::sdk_config(&url, &key))
                .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(1)));
        aws_sdk_sfn::Client::from_conf(config.build())
    }

    fn answer(&self, status: u16, code: &'static str) {
        self.0.lock().unwrap().answer = Some((status, code));
    }

    fn heal(&self) {
        self.0.lock().unwrap().answer = None;
    }

    fn take(&self) -> Vec<Value> {
        std::mem::take(&mut self.0.lock().unwrap().asked)
    }
}

async fn start(
    Shared(executions): Shared<Executions>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    assert_eq!(headers["x-amz-target"], "AWSStepFunctions.StartExecution");
    let mut book = executions.0.lock().unwrap();
    book.asked.push(serde_json::from_slice(&body).unwrap());
    match book.answer {
        Some((status, code)) => {
            (StatusCode::from_u16(status).unwrap(), json!({ "__type": code, "message": "no" }).to_string())
        }
        None => (StatusCode::OK, json!({ "executionArn": "arn", "startDate": 1.0 }).to_string()),
    }
}

struct World {
    _stack: TestStack,
    state: State,
    engine: nextbasket_job_engine::Engine,
}

impl World {
    async fn with(driver: Driver) -> Self {
        Self::at(TestStack::start().await, None, driver)
    }

    /// A world whose calls go through this proxy, if there is one.
    fn at(stack: TestStack, proxy: Option<&FaultProxy>, driver: Driver) -> Self {
        let engine = trial::engine(&stack, proxy.map(FaultProxy::dynamodb));
        let names = TableNames::from_lookup(|variable| Some(stack.table(variable).to_owned()));
        let tables = Tables::new(stack.dynamodb(), names);
        let service = Service { auth: AuthMode::Iam, metrics: Metrics::off() };
        let state = State::new(service, engine.clone(), &tables, driver).unwrap();
        Self { _stack: stack, state, engine }
    }

    async fn submit(&self, body: Value) -> (u64, Value, Value) {
        let mut post = event("jobs-post");
        post["body"] = body.to_string().into();
        let event = LambdaEvent::new(serde_json::from_value(post).unwrap(), Context::default());
        let answer = serde_json::to_value(handle(&self.state, event).await.unwrap()).unwrap();
        let body = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        (answer["statusCode"].as_u64().unwrap(), answer["headers"].clone(), body)
    }

    async fn states(&self) -> Vec<String> {
        let page = self.engine.list(100, None).await.unwrap();
        page.jobs.iter().map(|job| job.state.as_str().to_owned()).collect()
    }
}

#[tokio::test]
async fn each_job_is_an_execution_of_its_own_under_its_own_name() {
    let executions = Executions::default();
    let driver = Driver::StateMachine(StateMachine { client: executions.serve().await, arn: ARN.to_owned() });
    let world = World::with(driver).await;
    let body = json!({ "jobId": "nightly-1", "kind": "trial", "parameters": { "stages": 2 } });
    let (status, headers, job) = world.submit(body.clone()).await;
    assert_eq!((status, &headers["location"]), (202, &json!("/jobs/nightly-1")));
    assert_eq!((&job["jobId"], &job["state"]), (&json!("nightly-1"), &json!("waiting")));
    let start = json!({ "stateMachineArn": ARN, "name": "nightly-1", "input": "{\"jobId\":\"nightly-1\"}" });
    assert_eq!(executions.take(), std::slice::from_ref(&start));
    // The answer was lost: the same execution again, which is there already.
    executions.answer(400, "ExecutionAlreadyExists");
    assert_eq!(world.submit(body.clone()).await.0, 202);
    assert_eq!(executions.take(), [start]);
    // A job that has ended is not begun again.
    let id = nextbasket_job_engine::JobId::parse("nightly-1").unwrap();
    world.engine.cancel(&id).await.unwrap();
    world.engine.plan(&id).await.unwrap();
    assert_eq!(world.submit(body).await.2["state"], "cancelled");
    let (_, _, own) = world.submit(json!({ "kind": "trial" })).await;
    assert_eq!(executions.take().len(), 1);
    assert_eq!(own["jobId"].as_str().unwrap().len(), 21, "{own:#}");
}

#[tokio::test]
async fn a_job_that_cannot_be_begun_is_begun_by_the_same_request_later() {
    let executions = Executions::default();
    let driver = Driver::StateMachine(StateMachine { client: executions.serve().await, arn: ARN.to_owned() });
    let world = World::with(driver).await;
    let body = json!({ "jobId": "nightly-1", "kind": "trial" });
    for (status, code, told) in [
        (500, "InternalServerError", 503),
        (400, "ThrottlingException", 503),
        (400, "AccessDeniedException", 500),
    ] {
        executions.answer(status, code);
        let (answered, headers, problem) = world.submit(body.clone()).await;
        assert_eq!(answered, told, "{code}: {problem:#}");
        assert_eq!(headers.get("retry-after").is_some(), told == 503, "{code}");
        assert!(!problem.to_string().contains(code), "{problem:#}");
    }
    assert_eq!(world.states().await, ["waiting"]);
    executions.heal();
    executions.take();
    assert_eq!(world.submit(body).await.0, 202);
    assert_eq!(executions.take().len(), 1);
}

#[tokio::test]
async fn a_job_that_cannot_be_begun_and_has_no_name_leaves_nothing_that_waits() {
    let executions = Executions::default();
    let driver = Driver::StateMachine(StateMachine { client: executions.serve().await, arn: ARN.to_owned() });
    let world = World::with(driver).await;
    executions.answer(500, "InternalServerError");
    assert_eq!(world.submit(json!({ "kind": "trial" })).await.0, 503);
    assert_eq!(world.states().await, ["cancelled"]);
    assert!(world.engine.active().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_job_that_meets_a_throttle_or_a_conflict_is_taken_or_told_to_come_back_and_never_unknown() {
    let stack = TestStack::start().await;
    let proxy = stack.proxy().await;
    let world = World::at(stack, Some(&proxy), Driver::Workers(Arc::default()));
    let faults = [
        Fault::Cancel("TransactionConflict"),
        Fault::Cancel("ThrottlingError"),
        Fault::Cancel("ProvisionedThroughputExceeded"),
        Fault::Throttle,
        Fault::ServerError,
        Fault::DropAfter,
    ];
    for (n, fault) in faults.iter().enumerate() {
        let body = json!({ "jobId": format!("job-{n}"), "kind": "trial" });
        proxy.inject("TransactWriteItems", 1..=2, fault.clone());
        let (status, _, job) = world.submit(body.clone()).await;
        assert_eq!((status, &job["state"]), (202, &json!("waiting")), "{fault:?}: {job:#}");
        proxy.heal();
        // The same submission again returns the same job; other content under its id is a conflict.
        assert_eq!(world.submit(body.clone()).await.2["createdAt"], job["createdAt"]);
        let mut other = body;
        other["parameters"] = json!({ "stages": 3 });
        let (status, _, problem) = world.submit(other).await;
        assert_eq!((status, &problem["code"]), (409, &json!("job_differs")), "{fault:?}: {problem:#}");
    }
    assert_eq!(world.states().await.len(), faults.len());
    proxy.inject("TransactWriteItems", 1..=u64::MAX, Fault::Cancel("TransactionConflict"));
    let (status, headers, problem) = world.submit(json!({ "jobId": "late", "kind": "trial" })).await;
    assert_eq!((status, &problem["code"]), (503, &json!("unavailable")), "{problem:#}");
    assert!(headers.get("retry-after").is_some());
    proxy.heal();
    assert_eq!(world.submit(json!({ "jobId": "late", "kind": "trial" })).await.0, 202);
}

#[tokio::test]
async fn a_job_that_has_ended_is_not_cancelled_and_says_how_it_ended() {
    let world = World::with(Driver::Workers(Arc::default())).await;
    let delete = async |id: &str| {
        let mut delete = event("job-delete");
        delete["pathParameters"]["jobId"] = id.into();
        let event = LambdaEvent::new(serde_json::from_value(delete).unwrap(), Context::default());
        let answer = serde_json::to_value(handle(&world.state, event).await.unwrap()).unwrap();
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        (answer["statusCode"].as_u64().unwrap(), body)
    };
    for (id, parameters, how) in
        [("good", json!({ "stages": 0 }), "succeeded"), ("bad", json!({ "failing": [0] }), "failed")]
    {
        world.submit(json!({ "jobId": id, "kind": "trial", "parameters": parameters })).await;
        let job = nextbasket_job_engine::JobId::parse(id).unwrap();
        let stop = nextbasket_job_engine::pool::Stop::default();
        let ended = nextbasket_job_engine::pool::drive(&world.engine, &job, 1, &stop).await.unwrap().unwrap();
        assert_eq!(ended.state.as_str(), how);
        let (status, problem) = delete(id).await;
        assert_eq!((status, &problem["code"]), (409, &json!("job_ended")), "{problem:#}");
        let detail = format!("job {id} has already {how}; nothing was changed");
        assert_eq!(problem["detail"], json!(detail));
        assert_eq!(world.engine.job(&job).await.unwrap(), ended);
    }
    world.submit(json!({ "jobId": "left", "kind": "trial" })).await;
    let (status, job) = delete("left").await;
    assert_eq!((status, &job["state"]), (202, &json!("cancelled")), "nobody works on it");
    assert_eq!(delete("left").await, (200, job), "the same wish again");
}

#[tokio::test]
async fn the_workers_of_this_process_are_told_at_once() {
    let changed = Arc::new(Notify::new());
    let world = World::with(Driver::Workers(changed.clone())).await;
    assert_eq!(world.submit(json!({ "kind": "trial" })).await.0, 202);
    tokio::time::timeout(Duration::from_secs(5), changed.notified()).await.unwrap();
    assert_eq!(world.states().await, ["waiting"]);
}

#[tokio::test]
async fn a_job_that_is_only_tried_is_neither_kept_nor_begun() {
    let executions = Executions::default();
    let driver = Driver::StateMachine(StateMachine { client: executions.serve().await, arn: ARN.to_owned() });
    let world = World::with(driver).await;
    let (status, _, answer) =
        world.submit(json!({ "kind": "trial", "parameters": { "stages": 1 }, "dryRun": true })).await;
    let estimate = json!({ "items": 7, "readUnits": 0.0, "writeUnits": 0.0, "costUsd": 0.0 });
    assert_eq!(
        (status, answer),
        (200, json!({ "kind": "trial", "parameters": { "stages": 1 }, "estimate": estimate }))
    );
    assert!(executions.take().is_empty() && world.states().await.is_empty());
}
