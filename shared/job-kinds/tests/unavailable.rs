//! Jobs do not fail if files or tables do not answer for a while when the jobs are planned or estimated.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use nextbasket_job_engine::engine::Step;
use nextbasket_job_engine::pool::{Stop, drive};
use nextbasket_job_engine::{JobState, Kinds};
use nextbasket_tables::{TableNames, Tables};
use nextbasket_testkit::{Fault, JobStack, TestStack};
use serde_json::{Value, json};

/// All kinds. No job that is planned here calls a function.
fn kinds(stack: &TestStack, client: Client) -> Kinds {
    let names = TableNames::from_lookup(|variable| Some(stack.table(variable).to_owned()));
    let lambda = aws_sdk_lambda::Client::new(stack.sdk_config());
    nextbasket_job_kinds::kinds(&Tables::new(client, names), Some(lambda))
}

async fn world() -> (JobStack, String, String) {
    let world = JobStack::start(kinds).await;
    let lines: String =
        (0..40).map(|n| format!("{{\"user_id\":\"u{n}\",\"product_id\":\"p\",\"timestamp\":\"2025-03-01T00:00:00Z\",\"basket_id\":\"b{n}\"}}\n")).collect();
    let source = world.object("in/purchases.jsonl", lines).await;
    let dumps = world.object_name("dumps");
    let products = world.stack.table("PRODUCTS_TABLE").to_owned();
    world.run("fill", json!({ "table": products, "count": 50 })).await;
    let dumped = world.run("dump", json!({ "table": products, "to": dumps })).await;
    assert_eq!(dumped.state, JobState::Succeeded, "{:?}", dumped.failure);
    (world, source, dumps)
}

/// A job of each kind that reads something before it is planned.
fn jobs(world: &JobStack, source: &str, dumps: &str) -> Vec<(&'static str, Value)> {
    let table = world.stack.table("PRODUCTS_TABLE").to_owned();
    let to = |name: &str| world.object_name(name);
    vec![
        ("import", json!({ "source": source })),
        (
            "map",
            json!({ "input": { "files": source, "format": "jsonl" }, "function": "f", "output": to("out") }),
        ),
        ("map", json!({ "input": { "table": table }, "function": "f", "output": to("out2") })),
        ("count", json!({ "table": table })),
        ("verify", json!({ "dump": dumps, "table": table })),
        ("diff", json!({ "left": { "dump": dumps }, "right": { "table": table }, "output": to("diff") })),
        ("dump", json!({ "table": table, "to": to("more") })),
        ("restore", json!({ "from": dumps, "table": table, "onConflict": "skip" })),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_files_or_tables_do_not_answer_while_it_is_planned_is_planned_later() {
    let (world, source, dumps) = world().await;
    let (proxy, s3) = (world.stack.proxy().await, world.stack.s3_proxy().await);
    let engine = world.engine_through(proxy.dynamodb(), s3.s3());
    for fault in [Fault::ServerError, Fault::Throttle, Fault::DropBefore] {
        for (kind, parameters) in jobs(&world, &source, &dumps) {
            let job = engine.submit(None, kind, parameters).await.unwrap().job_id;
            proxy.inject("DescribeTable", 1..=u64::MAX, fault.clone());
            s3.inject("*", 1..=u64::MAX, fault.clone());
            let step = engine.plan(&job).await.unwrap();
            assert!(matches!(step, Step::Wait(_)), "{kind}, {fault:?}: {step:?}");
            proxy.heal();
            s3.heal();
            let log = engine.show(&job).await.unwrap().log;
            assert!(log[0].line.starts_with("planning the first stage: try 1: "), "{kind}: {log:?}");
            world.forward(Duration::from_secs(2));
            let step = engine.plan(&job).await.unwrap();
            assert!(matches!(step, Step::Work(_)), "{kind}, {fault:?}: {step:?}");
            // Its lock is needed by the next job.
            engine.cancel(&job).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_estimate_is_tried_again_and_says_that_it_may_be_had_later() {
    let (world, source, _) = world().await;
    let s3 = world.stack.s3_proxy().await;
    let engine = world.engine_through(world.stack.dynamodb(), s3.s3());
    let parameters = json!({ "source": source });
    // The client tries each call three times.
    s3.inject("HEAD", 1..=6, Fault::ServerError);
    assert!(engine.estimate("import", &parameters).await.is_ok());
    s3.inject("HEAD", 1..=u64::MAX, Fault::ServerError);
    assert!(engine.estimate("import", &parameters).await.unwrap_err().is_transient());
    s3.heal();
    s3.inject("HEAD", 1..=u64::MAX, Fault::Deny);
    assert!(!engine.estimate("import", &parameters).await.unwrap_err().is_transient());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_whose_dump_does_not_answer_for_a_while_is_done_later() {
    let (world, _, dumps) = world().await;
    let s3 = world.stack.s3_proxy().await;
    let engine = world.engine_through(world.stack.dynamodb(), s3.s3());
    let table = world.stack.table("PRODUCTS_TABLE").to_owned();
    let parameters = json!({ "from": dumps, "table": table, "onConflict": "skip" });
    let job = engine.submit(None, "restore", parameters).await.unwrap().job_id;
    assert!(matches!(engine.plan(&job).await.unwrap(), Step::Work(_)));
    // The first batch reads these objects of the dump; the plan of its stage is read by the workers.
    s3.inject("GET dumps", 1..=20, Fault::ServerError);
    let stop = Stop::default();
    let forwarding = async {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            world.forward(Duration::from_secs(5));
        }
    };
    let ended = tokio::select! {
        ended = drive(&engine, &job, 2, &stop) => ended.unwrap().unwrap(),
        () = forwarding => unreachable!(),
    };
    assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.failure);
    assert!(s3.calls("GET dumps") > 20);
}
