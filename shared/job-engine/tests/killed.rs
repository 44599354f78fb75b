//! Batches and plans that kill the process that works on them: real processes, killed as the kernel does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nextbasket_domain::{Clock, Random};
use nextbasket_job_engine::engine::Step;
use nextbasket_job_engine::pool::{Stop, drive, serve};
use nextbasket_job_engine::session::{Session, Share};
use nextbasket_job_engine::work::Go;
use nextbasket_job_engine::{
    BatchPlan, Engine, Estimate, Job, JobError, JobId, JobState, Kind, Kinds, Next, Outcome, Planning,
    Refusal, Site, StagePlan, Trust, Work, WorkError, kind,
};
use nextbasket_machine::AccessKey;
use nextbasket_objects::Bucket;
use nextbasket_testkit::{FaultProxy, TestStack};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// The variable with the settings of a child process of these tests: its tables and objects, and how far its clock is
/// ahead.
const CHILD: &str = "NEXTBASKET_BATCH_CHILD";
/// Longer than any claim, with the skew of clocks.
const CLAIMS_EXPIRE: i64 = 90_000;
/// The number of attempts after which a batch or a plan has failed.
const ATTEMPTS: u32 = 8;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Parameters {
    batches: u32,
    tolerated: f64,
    /// This batch kills its process.
    lethal: Option<u32>,
    /// The number of checkpoints that a batch makes; a lethal one kills after each.
    pages: u32,
    /// Every checkpoint of a lethal batch has the same content.
    same: bool,
    /// Planning kills its process.
    lethal_plan: bool,
    /// Batches wait this many times until they are stopped, before they are done.
    waits: bool,
}

#[derive(Debug)]
struct Lethal;

/// Like the kernel when a process takes too much memory: no message, no destructors.
fn kill_myself() -> ! {
    let mut kill = Command::new("kill").args(["-9", &std::process::id().to_string()]).spawn().unwrap();
    kill.wait().unwrap();
    loop {
        std::thread::park();
    }
}

impl Kind for Lethal {
    type Task = Parameters;

    fn name(&self) -> &'static str {
        "lethal"
    }

    fn task(&self, parameters: &Value, _: Trust) -> Result<Parameters, Refusal> {
        kind::parameters(parameters)
    }

    async fn estimate(&self, _: &Site, _: &Parameters) -> Result<Estimate, JobError> {
        Ok(Estimate::default())
    }

    async fn plan(&self, planning: &Planning<'_>, task: &Parameters) -> Result<Next, JobError> {
        if task.lethal_plan {
            kill_myself();
        }
        if planning.stages() > 0 {
            return Ok(Next::Done(Value::Null));
        }
        let batches = (0..task.batches).map(|batch| BatchPlan::new(json!(batch))).collect();
        let tolerated = task.tolerated;
        Ok(Next::Stage(StagePlan { tolerated, width: 4, ..StagePlan::new("risk", json!({}), batches) }))
    }

    async fn work(&self, work: &mut Work, task: Parameters) -> Result<Outcome, WorkError> {
        let lethal = task.lethal == Some(work.task().batch);
        if task.waits {
            while !work.must_stop() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            return Ok(Outcome::Stopped);
        }
        let mut page = work.checkpoint::<u32>()?.unwrap_or(0);
        if task.pages == 0 {
            if lethal {
                kill_myself();
            }
            // Long enough to be killed together with the lethal batch.
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        while page < task.pages {
            page += 1;
            work.progress.processed += 1;
            let saved = if task.same { work.save(&1).await? } else { work.save(&page).await? };
            if lethal {
                kill_myself();
            }
            if saved == Go::Stop && page < task.pages {
                return Ok(Outcome::Stopped);
            }
        }
        Outcome::done(&page)
    }
}

fn engine_at(dynamodb: aws_sdk_dynamodb::Client, objects: Bucket, operations: &str, ahead: i64) -> Engine {
    let clock = Clock::new(move || Clock::system().now().plus_millis(ahead));
    let random = Random::system().unwrap();
    let site = Site { clock, ..Site::new(dynamodb, operations.to_owned(), objects, random) };
    Engine::new(site, Kinds::default().with(Lethal))
}

#[derive(Serialize, Deserialize)]
struct Child {
    dynamodb: String,
    s3: String,
    /// The access key: its id and its secret.
    key: (String, String),
    operations: String,
    bucket: String,
    ahead: i64,
}

/// Not a test of its own: the tests below start it as a process, and the batches that it works on kill it.
#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_serves() {
    let Ok(child) = std::env::var(CHILD) else { return };
    let child: Child = serde_json::from_str(&child).unwrap();
    let key = AccessKey::new(child.key.0, child.key.1);
    let (dynamodb, s3) =
        (FaultProxy::start(&child.dynamodb, &key).await, FaultProxy::start(&child.s3, &key).await);
    let objects = Bucket::new(s3.s3(), child.bucket);
    let engine = engine_at(dynamodb.dynamodb(), objects, &child.operations, child.ahead);
    let (stop, changed) = (Arc::new(Stop::default()), Notify::new());
    let stopping = stop.clone();
    let watch = async {
        while !engine.active().await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stopping.stop();
    };
    tokio::join!(serve(&engine, 4, &stop, &changed), watch);
}

struct World {
    stack: TestStack,
}

impl World {
    async fn start() -> Self {
        Self { stack: TestStack::start().await }
    }

    fn engine(&self, ahead: i64) -> Engine {
        let objects = Bucket::new(self.stack.s3(), self.stack.bucket("JobsBucket"));
        engine_at(self.stack.dynamodb(), objects, &self.stack.operations(), ahead)
    }

    /// Starts a serving process again and again until it survives all jobs. Returns how many times it was killed.
    async fn serve(&self) -> u32 {
        for kills in 0..40 {
            let child = Child {
                dynamodb: self.stack.machine().dynamodb().endpoint_url(),
                key: (
                    self.stack.machine().key().id().to_owned(),
                    self.stack.machine().key().secret().to_owned(),
                ),
                s3: self.stack.s3_endpoint(),
                operations: self.stack.operations(),
                bucket: self.stack.bucket("JobsBucket"),
                ahead: CLAIMS_EXPIRE * (i64::from(kills) + 1),
            };
            let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
            command.args(["a_child_that_serves", "--exact", "--nocapture"]).kill_on_drop(true);
            command.env(CHILD, serde_json::to_string(&child).unwrap()).stdout(std::process::Stdio::null());
            let ended = tokio::time::timeout(Duration::from_secs(120), command.status()).await;
            let status = ended.expect("it neither ends nor dies").unwrap();
            if status.success() {
                return kills;
            }
            assert_eq!(status.code(), None, "it was to be killed, not to fail: {status}");
        }
        panic!("it never ends");
    }

    async fn submit(&self, parameters: &Parameters) -> JobId {
        let value = serde_json::to_value(parameters).unwrap();
        self.engine(0).submit(None, "lethal", value).await.unwrap().job_id
    }

    async fn job(&self, id: &JobId) -> Job {
        self.engine(0).job(id).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_kills_its_worker_fails_by_name_and_takes_no_other_along() {
    let world = World::start().await;
    let parameters = Parameters { batches: 6, lethal: Some(2), tolerated: 50.0, ..Parameters::default() };
    let job = world.submit(&parameters).await;
    let kills = world.serve().await;
    assert_eq!(kills, ATTEMPTS);
    let view = world.engine(0).show(&job).await.unwrap();
    assert_eq!(view.job.state, JobState::Succeeded, "{:?}", view.job.failure);
    let stage = view.job.stage().unwrap();
    assert_eq!((stage.done, stage.failed), (5, 1), "the others were only near");
    let failure = &view.failures[0];
    assert_eq!(failure.batch, 2);
    let begins = "tried 8 times: its worker ended without a message 8 times, the last time ";
    let rest = failure.reason.strip_prefix(begins).unwrap_or_else(|| panic!("{}", failure.reason));
    let (worker, ends) = rest.split_once("; ").unwrap();
    assert_eq!(worker.split('/').count(), 3, "HOST/PID/…: {worker}");
    assert_eq!(ends, "it may need more memory than the worker has");
    assert!(view.log.iter().any(|line| line.line.starts_with("batch 2 of stage risk has failed: tried 8")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_batch_kills_the_server_at_each_start_ends_and_the_server_lives() {
    let world = World::start().await;
    let job = world.submit(&Parameters { batches: 1, lethal: Some(0), ..Parameters::default() }).await;
    assert_eq!(world.serve().await, ATTEMPTS);
    let job = world.job(&job).await;
    assert_eq!(job.state, JobState::Failed);
    let failure = job.failure.unwrap();
    assert!(failure.starts_with("batch 0 of stage risk has failed: tried 8 times"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_moves_is_not_given_up_and_one_that_only_writes_is() {
    let world = World::start().await;
    let lethal = Parameters { batches: 1, lethal: Some(0), pages: 12, ..Parameters::default() };
    let moves = world.submit(&lethal).await;
    assert_eq!(world.serve().await, 12, "one page in each life");
    let job = world.job(&moves).await;
    assert_eq!((job.state, job.total.processed), (JobState::Succeeded, 12), "{:?}", job.failure);

    let world = World::start().await;
    let writes = world.submit(&Parameters { same: true, ..lethal }).await;
    // The first checkpoint differs from having none.
    assert_eq!(world.serve().await, ATTEMPTS + 1);
    assert_eq!(world.job(&writes).await.state, JobState::Failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_kills_its_planner_ends_the_job_by_name() {
    let world = World::start().await;
    let job = world.submit(&Parameters { lethal_plan: true, ..Parameters::default() }).await;
    assert_eq!(world.serve().await, ATTEMPTS);
    let job = world.job(&job).await;
    assert_eq!(job.state, JobState::Failed);
    let failure = job.failure.unwrap();
    let begins = "planning the first stage: the planner ended without a message 8 times, the last time ";
    assert!(failure.starts_with(begins), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn stops_in_order_use_no_attempts_up() {
    let world = World::start().await;
    let engine = world.engine(0);
    let job = world.submit(&Parameters { batches: 2, waits: true, ..Parameters::default() }).await;
    for _ in 0..3 * ATTEMPTS {
        let stop = Stop::default();
        let (left, ()) = tokio::join!(drive(&engine, &job, 2, &stop), async {
            loop {
                let batches = engine.batches(&job, 0).await.unwrap();
                if batches.iter().filter(|batch| batch.held.is_some()).count() == 2 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            stop.stop();
        });
        assert!(left.unwrap().is_none());
        let attempts: BTreeSet<(u32, u32)> = engine
            .batches(&job, 0)
            .await
            .unwrap()
            .iter()
            .map(|batch| (batch.attempts, batch.silent))
            .collect();
        assert_eq!(attempts, BTreeSet::from([(0, 0)]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_never_gets_to_a_checkpoint_in_a_functions_time_fails_by_name() {
    let world = World::start().await;
    let engine = world.engine(0);
    let job = world.submit(&Parameters { batches: 1, waits: true, ..Parameters::default() }).await;
    let Step::Work(step) = engine.plan(&job).await.unwrap() else { panic!("no stage") };
    let task = engine.tasks(&step).await.unwrap().pop().unwrap();
    let mut times = 0;
    let reason = loop {
        let session =
            Session::join(engine.site(), world.job(&job).await, Share::OneOf(1)).await.unwrap().unwrap();
        // Without any time, no attempt is counted.
        let over = Some(Instant::now());
        engine.work(task.clone(), &session, over).await.unwrap();
        let soon = Some(Instant::now() + Duration::from_millis(50));
        engine.work(task.clone(), &session, soon).await.unwrap();
        session.leave().await.unwrap();
        times += 1;
        assert!(times <= 20, "it never ends");
        if let Step::Ended(job) = engine.plan(&job).await.unwrap() {
            break job.failure.unwrap();
        }
    };
    assert_eq!(times, ATTEMPTS);
    assert!(reason.contains("tried 8 times: the function's time was up"), "{reason}");
}
