//! The function as the state machine calls it, round after round, together with the one that works.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod trial;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use job_plan::{Answer, FunctionFailure};
use lambda_runtime::{Context, LambdaEvent};
use nextbasket_domain::Clock;
use nextbasket_job_engine::{Engine, JobId, JobState};
use nextbasket_telemetry::Metrics;
use nextbasket_testkit::{Fault, TestStack};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// One job, and what the state machine knows of it.
struct Execution {
    engine: Engine,
    id: JobId,
    memory: Value,
    round: Value,
}

fn event<T: DeserializeOwned>(payload: &Value) -> LambdaEvent<T> {
    let end = SystemTime::now() + Duration::from_secs(60);
    let mut context = Context::default();
    context.deadline = u64::try_from(end.duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    LambdaEvent::new(serde_json::from_value(payload.clone()).unwrap(), context)
}

impl Execution {
    async fn of(engine: Engine, parameters: Value) -> Self {
        let job = engine.submit(None, "trial", parameters).await.unwrap();
        Self { engine, id: job.job_id, memory: json!({}), round: json!({}) }
    }

    /// Calls the function with what it said the last time.
    async fn plan(&mut self) -> Value {
        let ask = json!({ "jobId": self.id, "memory": self.memory, "round": self.round });
        let answer = self.ask(&ask).await.unwrap();
        self.memory = answer.get("memory").cloned().unwrap_or(json!({}));
        answer
    }

    async fn ask(&self, ask: &Value) -> Result<Value, FunctionFailure> {
        let state = job_plan::State::new(self.engine.clone(), Metrics::off());
        let answer: Answer = job_plan::handle(&state, event(ask)).await?;
        Ok(serde_json::to_value(answer).unwrap())
    }

    /// Works on every batch of the plan until it ends, as a Distributed Map does.
    async fn work(&mut self, step: &Value) {
        let objects = &self.engine.site().objects;
        assert_eq!(step["plan"]["bucket"], objects.name());
        let plan = objects.get(step["plan"]["key"].as_str().unwrap()).await.unwrap();
        let tasks: Vec<Value> = serde_json::from_slice(&plan).unwrap();
        let state = job_work::State::new(self.engine.clone());
        let mut failed = 0;
        for task in tasks {
            loop {
                let ask = json!({ "task": task, "width": step["width"] });
                let answer = job_work::handle(&state, event(&ask)).await.unwrap();
                match answer.state {
                    job_work::Stand::Again => tokio::time::sleep(Duration::from_millis(100)).await,
                    job_work::Stand::Failed => {
                        failed += 1;
                        break;
                    }
                    _ => break,
                }
            }
        }
        self.round =
            if failed > 0 { json!({ "Error": "Job.BatchFailed" }) } else { json!({ "ended": true }) };
    }

    /// To the end, in so many calls at most.
    async fn run(&mut self, calls: u32) -> Value {
        for _ in 0..calls {
            let step = self.plan().await;
            match step["next"].as_str().unwrap() {
                "work" => self.work(&step).await,
                "done" => return step,
                _ => panic!("{step:#}"),
            }
        }
        panic!("the job has not ended after {calls} calls");
    }
}

#[tokio::test]
async fn how_a_job_ends_is_counted_for_alarms() {
    let stack = TestStack::start().await;
    let engine = trial::engine(&stack, None);
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = lines.clone();
    let metrics = Metrics::new("shop", Clock::system(), move |line| {
        sink.lock().unwrap().push(serde_json::from_str::<Value>(line).unwrap());
    });
    let state = job_plan::State::new(engine.clone(), metrics);
    let job = engine.submit(None, "trial", json!({ "stages": 0 })).await.unwrap();
    let ask = json!({ "jobId": job.job_id });
    job_plan::handle(&state, event(&ask)).await.unwrap();
    let failing = engine.submit(None, "trial", json!({})).await.unwrap();
    let fail = json!({ "jobId": failing.job_id, "action": "fail", "reason": "enough" });
    job_plan::handle(&state, event(&fail)).await.unwrap();
    let lines = lines.lock().unwrap();
    assert_eq!((&lines[0]["JobKind"], &lines[0]["JobsSucceeded"]), (&json!("trial"), &json!(1.0)));
    assert_eq!((&lines[1]["JobKind"], &lines[1]["JobsFailed"]), (&json!("trial"), &json!(1.0)));
    assert_eq!(lines.len(), 2);
}

#[tokio::test]
async fn the_two_functions_bring_a_job_to_its_end() {
    let stack = TestStack::start().await;
    let engine = trial::engine(&stack, None);
    let parameters = json!({ "stages": 3, "batches": 4, "steps": 2, "stumbling": true, "lock": "trial" });
    let mut execution = Execution::of(engine.clone(), parameters).await;
    assert_eq!(execution.run(4).await, json!({ "next": "done", "state": "succeeded", "failure": "" }));
    let job = engine.job(&execution.id).await.unwrap();
    assert_eq!((job.state, job.result), (JobState::Succeeded, Some(json!({ "batches": [4, 4, 4] }))));
    let locks = engine.site().leases().list_locks().await.unwrap();
    assert_eq!(
        locks.iter().map(|lock| (lock.name.as_deref(), lock.released)).collect::<Vec<_>>(),
        [(Some("trial"), true)]
    );
    assert_eq!(execution.run(1).await["state"], "succeeded", "a job that has ended stays so");
}

#[tokio::test]
async fn a_step_names_the_stage_its_width_and_where_its_batches_stand() {
    let stack = TestStack::start().await;
    for (parameters, width, percentage) in [
        (json!({ "batches": 3, "width": 8 }), 3, 0),
        (json!({ "batches": 3, "width": 2, "tolerated": 0.2 }), 2, 1),
        (json!({ "batches": 3, "width": 1, "tolerated": 100 }), 1, 100),
    ] {
        let mut execution = Execution::of(trial::engine(&stack, None), parameters).await;
        let mut step = execution.plan().await;
        let key = format!("jobs/{}/stage-000000/plan.json", execution.id);
        step.as_object_mut().unwrap().remove("memory").unwrap();
        let expected = json!({
            "next": "work", "stage": 0, "batches": 3, "width": width, "toleratedFailurePercentage": percentage,
            "plan": { "bucket": stack.bucket("JOBS_BUCKET"), "key": key },
        });
        assert_eq!(step, expected);
    }
}

#[tokio::test]
async fn a_job_waits_for_its_lock_and_is_told_when_to_ask_again() {
    let stack = TestStack::start().await;
    let engine = trial::engine(&stack, None);
    let mut first = Execution::of(engine.clone(), json!({ "lock": "trial" })).await;
    let step = first.plan().await;
    let mut second = Execution::of(engine.clone(), json!({ "lock": "trial", "batches": 2 })).await;
    let wait = second.plan().await;
    assert_eq!((&wait["next"], &wait["seconds"]), (&json!("wait"), &json!(15)));
    first.work(&step).await;
    assert_eq!(first.run(1).await["state"], "succeeded");
    assert_eq!(second.run(2).await["state"], "succeeded");
}

#[tokio::test]
async fn a_job_that_waits_is_looked_at_every_minute() {
    let stack = TestStack::start().await;
    let parameters = json!({ "stages": 2, "waitSeconds": 3600 });
    let mut execution = Execution::of(trial::engine(&stack, None), parameters).await;
    let step = execution.plan().await;
    execution.work(&step).await;
    for _ in 0..3 {
        let wait = execution.plan().await;
        assert_eq!((&wait["next"], &wait["seconds"]), (&json!("wait"), &json!(60)));
    }
    execution.engine.cancel(&execution.id).await.unwrap();
    assert_eq!(execution.run(1).await["state"], "cancelled");
}

#[tokio::test]
async fn batches_that_fail_end_the_job_if_they_are_too_many() {
    let stack = TestStack::start().await;
    for (tolerated, state) in [(0, "failed"), (20, "failed"), (50, "succeeded")] {
        let parameters = json!({ "batches": 4, "failing": [1, 3], "tolerated": tolerated, "lock": "trial" });
        let mut execution = Execution::of(trial::engine(&stack, None), parameters).await;
        let step = execution.plan().await;
        if tolerated == 0 {
            // The first one ends the job, so that the others are not begun.
            execution.round = json!({ "Error": "States.ExceedToleratedFailureThreshold" });
            work_on_one(&execution, &step, 1).await;
        } else {
            execution.work(&step).await;
        }
        let end = execution.run(1).await;
        assert_eq!(end["state"], state, "{tolerated} %: {end:#}");
        if state == "failed" {
            assert!(end["failure"].as_str().unwrap().contains("batch 1 is bad"), "{end:#}");
        }
        let locks = execution.engine.site().leases().list_locks().await.unwrap();
        assert!(locks.iter().all(|lock| lock.released));
    }
}

async fn work_on_one(execution: &Execution, step: &Value, batch: usize) {
    let plan = execution.engine.site().objects.get(step["plan"]["key"].as_str().unwrap()).await.unwrap();
    let tasks: Vec<Value> = serde_json::from_slice(&plan).unwrap();
    let task = tasks.iter().find(|task| task["batch"] == batch).unwrap();
    let ask = json!({ "task": task, "width": 1 });
    let state = job_work::State::new(execution.engine.clone());
    assert_eq!(job_work::handle(&state, event(&ask)).await.unwrap().state, job_work::Stand::Failed);
}

#[tokio::test]
async fn a_stage_whose_batches_do_not_move_is_given_up_with_what_the_state_machine_met() {
    let stack = TestStack::start().await;
    let engine = trial::engine(&stack, None);
    let mut execution = Execution::of(engine.clone(), json!({ "batches": 2, "lock": "trial" })).await;
    execution.round = json!({
        "Error": "Runtime.ExitError",
        "Cause": json!({ "errorType": "Runtime.ExitError", "errorMessage": "signal: killed" }).to_string(),
    });
    for round in 0..5 {
        assert_eq!(execution.plan().await["next"], "work", "round {round}");
    }
    let end = execution.plan().await;
    assert_eq!((&end["next"], &end["state"]), (&json!("done"), &json!("failed")));
    let failure = end["failure"].as_str().unwrap();
    assert!(
        failure.contains("5 rounds") && failure.contains("Runtime.ExitError: signal: killed"),
        "{failure}"
    );
    assert!(engine.site().leases().list_locks().await.unwrap()[0].released);
}

#[tokio::test]
async fn a_checkpoint_that_is_written_again_as_it_was_is_no_movement() {
    let stack = TestStack::start().await;
    let engine = trial::engine(&stack, None);
    let job = engine.submit(None, "trial", json!({})).await.unwrap();
    let checkpoint = async |text: &str| {
        let key = nextbasket_job_engine::store::batch_key(&job.job_id, 0, 0);
        let text = aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
        let update = stack
            .dynamodb()
            .update_item()
            .table_name(stack.operations())
            .key("pk", aws_sdk_dynamodb::types::AttributeValue::S(key.pk))
            .key("sk", aws_sdk_dynamodb::types::AttributeValue::S(key.sk))
            .update_expression("SET checkpoint = :text ADD saves :one")
            .expression_attribute_values(":text", text)
            .expression_attribute_values(":one", aws_sdk_dynamodb::types::AttributeValue::N("1".to_owned()));
        update.send().await.unwrap();
    };
    let mut execution =
        Execution { engine: engine.clone(), id: job.job_id.clone(), memory: json!({}), round: json!({}) };
    for round in 0..12 {
        checkpoint(&round.to_string()).await;
        assert_eq!(execution.plan().await["next"], "work", "round {round}: the batch moves");
    }
    let mut rounds = 0;
    while execution.plan().await["next"] == "work" {
        checkpoint("11").await;
        rounds += 1;
        assert!(rounds < 10, "it never ends");
    }
    assert!((4..=5).contains(&rounds), "{rounds} rounds came to nothing");
}

#[tokio::test]
async fn a_stage_whose_batches_move_is_never_given_up() {
    let stack = TestStack::start().await;
    let engine = trial::engine(&stack, None);
    let mut execution = Execution::of(engine.clone(), json!({ "batches": 8 })).await;
    execution.round = json!({ "Error": "States.ExceedToleratedFailureThreshold" });
    let state = job_work::State::new(engine.clone());
    for batch in 0..8 {
        let mut step = execution.plan().await;
        for _ in 0..3 {
            step = execution.plan().await;
        }
        let task = json!({ "jobId": execution.id, "stage": 0, "batch": batch, "input": {} });
        let ask = json!({ "task": task, "width": step["width"] });
        assert_eq!(job_work::handle(&state, event(&ask)).await.unwrap().state, job_work::Stand::Done);
    }
    assert_eq!(execution.run(1).await["state"], "succeeded");
}

#[tokio::test]
async fn a_long_execution_goes_on_as_a_new_one_that_knows_what_this_one_knew() {
    let stack = TestStack::start().await;
    let parameters = json!({ "stages": 2, "waitSeconds": 3600 });
    let mut execution = Execution::of(trial::engine(&stack, None), parameters).await;
    let step = execution.plan().await;
    execution.work(&step).await;
    for n in 1..=2 {
        execution.memory["rounds"] = json!(499);
        let step = execution.plan().await;
        assert_eq!(
            (&step["next"], &step["name"]),
            (&json!("continue"), &json!(format!("{}.{n}", execution.id)))
        );
        assert_eq!((&execution.memory["rounds"], &execution.memory["executions"]), (&json!(0), &json!(n)));
        assert_eq!(execution.plan().await["next"], "wait");
    }
    // One that is over is over.
    execution.memory["rounds"] = json!(499);
    execution.engine.cancel(&execution.id).await.unwrap();
    assert_eq!(execution.run(1).await["state"], "cancelled");
}

#[tokio::test]
async fn a_job_that_the_state_machine_gives_up_is_ended_and_its_lock_given_back() {
    let stack = TestStack::start().await;
    let engine = trial::engine(&stack, None);
    let mut execution = Execution::of(engine.clone(), json!({ "lock": "trial" })).await;
    execution.plan().await;
    let cause = json!({ "errorType": "Job.Lasting", "errorMessage": "there is no stage 7" }).to_string();
    let round = json!({ "Error": "Job.Lasting", "Cause": cause });
    let fail = json!({ "jobId": execution.id, "action": "fail", "round": round });
    for _ in 0..2 {
        let end = execution.ask(&fail).await.unwrap();
        assert_eq!((&end["next"], &end["state"]), (&json!("done"), &json!("failed")));
        let failure = end["failure"].as_str().unwrap();
        assert_eq!(failure, "the state machine cannot continue: Job.Lasting: there is no stage 7");
    }
    assert!(engine.site().leases().list_locks().await.unwrap()[0].released);
    // The first reason stays.
    let again = json!({ "jobId": execution.id, "action": "fail", "reason": "for fun" });
    assert!(execution.ask(&again).await.unwrap()["failure"].as_str().unwrap().contains("stage 7"));
}

#[tokio::test]
async fn a_table_that_is_busy_is_told_from_one_that_is_not_there() {
    let stack = TestStack::start().await;
    let proxy = stack.proxy().await;
    let execution = Execution::of(trial::engine(&stack, Some(proxy.dynamodb())), json!({})).await;
    let ask = json!({ "jobId": execution.id });
    proxy.inject("*", 1..=u64::MAX, Fault::Throttle);
    assert!(matches!(execution.ask(&ask).await, Err(FunctionFailure::Transient(_))));
    proxy.heal();
    assert_eq!(execution.ask(&ask).await.unwrap()["next"], "work");
    let unknown = execution.ask(&json!({ "jobId": "never-submitted" })).await.unwrap_err();
    assert_eq!(unknown, FunctionFailure::Lasting("job \"never-submitted\" not found".to_owned()));
}
