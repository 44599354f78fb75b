//! The function as the state machine calls it, batch by batch.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

#[path = "../../job-plan/tests/trial/mod.rs"]
mod trial;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use job_work::{Answer, Ask, FunctionFailure, Stand, State, handle};
use lambda_runtime::{Context, LambdaEvent};
use nextbasket_job_engine::engine::Step;
use nextbasket_job_engine::stage::BatchTask;
use nextbasket_job_engine::store::BatchState;
use nextbasket_job_engine::{Engine, JobId};
use nextbasket_testkit::{Fault, TestStack};
use serde_json::{Value, json};

/// A job whose first stage is planned.
struct World {
    engine: Engine,
    id: JobId,
    tasks: Vec<BatchTask>,
}

impl World {
    async fn new(stack: &TestStack, parameters: Value) -> Self {
        Self::on(trial::engine(stack, None), parameters).await
    }

    async fn on(engine: Engine, parameters: Value) -> Self {
        let id = engine.submit(None, "trial", parameters).await.unwrap().job_id;
        let Step::Work(step) = engine.plan(&id).await.unwrap() else { panic!("no stage") };
        let tasks = engine.tasks(&step).await.unwrap();
        Self { engine, id, tasks }
    }

    async fn work(&self, batch: usize) -> Result<Answer, FunctionFailure> {
        self.work_for(batch, 0, Duration::from_secs(900)).await
    }

    /// After so many calls, in an invocation that has so much time left.
    async fn work_for(&self, batch: usize, rounds: u32, left: Duration) -> Result<Answer, FunctionFailure> {
        let task = self.tasks.iter().find(|task| task.batch as usize == batch).unwrap().clone();
        let mut context = Context::default();
        let end = (SystemTime::now() + left).duration_since(UNIX_EPOCH).unwrap();
        context.deadline = u64::try_from(end.as_millis()).unwrap();
        let event = LambdaEvent::new(Ask { task, width: 1, rounds }, context);
        handle(&State::new(self.engine.clone()), event).await
    }

    async fn progress(&self) -> u64 {
        self.engine.show(&self.id).await.unwrap().job.stages[0].progress.processed
    }
}

fn stand(state: Stand, seconds: u64, rounds: u32) -> Answer {
    Answer { state, seconds, rounds }
}

#[tokio::test]
async fn a_batch_is_done_once_however_often_it_is_asked_for() {
    let stack = TestStack::start().await;
    let world = World::new(&stack, json!({ "batches": 2, "steps": 3 })).await;
    for _ in 0..2 {
        assert_eq!(world.work(1).await.unwrap(), stand(Stand::Done, 0, 1));
    }
    assert_eq!(world.progress().await, 3);
    let records = world.engine.batches(&world.id, 0).await.unwrap();
    assert_eq!(
        records.iter().map(|record| (record.batch, record.state)).collect::<Vec<_>>(),
        [(1, BatchState::Done)]
    );
}

#[tokio::test]
async fn a_batch_that_stumbles_is_to_be_asked_for_after_its_pause() {
    let stack = TestStack::start().await;
    let world = World::new(&stack, json!({ "stumbling": true, "steps": 2 })).await;
    assert_eq!(world.work(0).await.unwrap(), stand(Stand::Again, 1, 1));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(world.work(0).await.unwrap().state, Stand::Done);
}

#[tokio::test]
async fn work_stops_before_the_function_does_and_goes_on_from_its_checkpoint() {
    let stack = TestStack::start().await;
    let world = World::new(&stack, json!({ "steps": 50, "pauseMillis": 100 })).await;
    let mut rounds = 0;
    loop {
        let begun = tokio::time::Instant::now();
        let answer = world.work_for(0, rounds, Duration::from_secs(4)).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(4), "the function ran out of time");
        rounds = answer.rounds;
        match answer.state {
            Stand::Again => assert_eq!(answer.seconds, 0),
            state => {
                assert_eq!(state, Stand::Done);
                break;
            }
        }
    }
    assert!(rounds >= 2, "{rounds} rounds for five seconds of work");
    assert_eq!(world.progress().await, 50, "nothing is done twice");
}

#[tokio::test]
async fn a_batch_that_another_worker_has_is_to_be_asked_for_later() {
    let stack = TestStack::start().await;
    let world = World::new(&stack, json!({ "steps": 10, "pauseMillis": 100 })).await;
    let (first, second) = tokio::join!(world.work(0), async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        world.work(0).await
    });
    assert_eq!(first.unwrap().state, Stand::Done);
    let second = second.unwrap();
    assert!(second.state == Stand::Again && (1..=2).contains(&second.seconds), "{second:?}");
    assert_eq!(world.progress().await, 10);
}

#[tokio::test]
async fn a_batch_that_was_asked_for_too_often_is_left_for_the_next_round() {
    let stack = TestStack::start().await;
    let world = World::new(&stack, json!({ "stumbling": true })).await;
    assert_eq!(world.work_for(0, 499, Duration::from_secs(900)).await.unwrap(), stand(Stand::Left, 1, 500));
}

#[tokio::test]
async fn a_batch_that_fails_for_good_is_no_error_of_the_function() {
    let stack = TestStack::start().await;
    let world = World::new(&stack, json!({ "batches": 2, "failing": [1], "tolerated": 50 })).await;
    for _ in 0..2 {
        assert_eq!(world.work(1).await.unwrap().state, Stand::Failed);
    }
    assert_eq!(world.work(0).await.unwrap().state, Stand::Done);
}

#[tokio::test]
async fn what_every_batch_would_meet_ends_the_job_at_once() {
    let stack = TestStack::start().await;
    let world = World::new(&stack, json!({ "batches": 3, "hopeless": true, "tolerated": 100 })).await;
    let systemic = world.work(0).await.unwrap_err();
    assert_eq!(systemic, FunctionFailure::Systemic("nobody may write here".to_owned()));
    for batch in [1, 2] {
        assert!(matches!(world.work(batch).await, Err(FunctionFailure::Stopped(_))));
    }
    let Step::Ended(job) = world.engine.plan(&world.id).await.unwrap() else { panic!("it goes on") };
    assert_eq!(job.failure.as_deref(), Some("nobody may write here"));
    assert!(matches!(world.work(1).await, Err(FunctionFailure::Stopped(_))), "nor once it has ended");
}

#[tokio::test]
async fn a_job_that_is_cancelled_has_to_be_planned_again() {
    let stack = TestStack::start().await;
    let world = World::new(&stack, json!({ "batches": 2, "steps": 200, "pauseMillis": 100 })).await;
    let (worked, _) = tokio::join!(world.work(0), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        world.engine.cancel(&world.id).await.unwrap();
    });
    assert!(matches!(worked, Err(FunctionFailure::Stopped(_))), "{worked:?}");
    assert!(matches!(world.work(1).await, Err(FunctionFailure::Stopped(_))));
    let done = world.progress().await;
    assert!((1..200).contains(&done), "{done} steps are kept");
}

#[tokio::test]
async fn a_job_that_has_lost_its_lock_has_to_be_planned_again() {
    let stack = TestStack::start().await;
    let world = World::new(&stack, json!({ "lock": "trial" })).await;
    let held = world.engine.job(&world.id).await.unwrap().lock.unwrap();
    let leases = world.engine.site().leases();
    let key = nextbasket_locks::LeaseKey::lock("trial").unwrap();
    leases.resume(&key, held.owner, held.fence, Duration::from_secs(60)).release().await.unwrap();
    assert!(matches!(world.work(0).await, Err(FunctionFailure::Stopped(_))));
    // The next plan takes it again.
    assert!(matches!(world.engine.plan(&world.id).await.unwrap(), Step::Work(_)));
    assert_eq!(world.work(0).await.unwrap().state, Stand::Done);
}

#[tokio::test]
async fn a_table_that_is_busy_is_told_from_a_job_that_is_not_there() {
    let stack = TestStack::start().await;
    let proxy = stack.proxy().await;
    let mut world = World::on(trial::engine(&stack, Some(proxy.dynamodb())), json!({})).await;
    proxy.inject("*", 1..=u64::MAX, Fault::Throttle);
    assert!(matches!(world.work(0).await, Err(FunctionFailure::Transient(_))));
    proxy.heal();
    assert_eq!(world.work(0).await.unwrap().state, Stand::Done);
    for (id, reason) in [("never-submitted", "job \"never-submitted\" not found"), ("a b", "jobId must be")] {
        world.tasks[0].job_id = id.to_owned();
        match world.work(0).await {
            Err(FunctionFailure::Lasting(told)) => assert!(told.starts_with(reason), "{told}"),
            other => panic!("{other:?}"),
        }
    }
}
