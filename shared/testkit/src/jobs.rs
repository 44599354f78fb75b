//! Jobs over a started stack, worked on and killed, with a clock that tests set forward.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_domain::Clock;
use nextbasket_job_engine::pool::{Stop, drive};
use nextbasket_job_engine::store::BatchState;
use nextbasket_job_engine::{Engine, Job, JobId, JobState, Kinds, Site, Vouching};
use nextbasket_jobs_train::Train;
use nextbasket_objects::Bucket;
use nextbasket_tables::Tables;
use serde_json::{Value, json};

use crate::{Seeded, TestStack};

/// How many batches are worked on at a time, if nothing else is said.
const WORKERS: u32 = 4;

/// A stack where jobs of some kinds run.
pub struct JobStack {
    pub stack: TestStack,
    /// How many batches of a job that is killed are worked on at a time.
    pub workers: u32,
    kinds: fn(&TestStack, Client) -> Kinds,
    ahead: Arc<AtomicI64>,
}

impl JobStack {
    /// Starts it; `kinds` makes the kinds for a client of the tables.
    pub async fn start(kinds: fn(&TestStack, Client) -> Kinds) -> Self {
        Self { stack: TestStack::start().await, kinds, workers: WORKERS, ahead: Arc::default() }
    }

    /// An engine with the kinds, that vouches for all jobs.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.engine_through(self.stack.dynamodb(), self.stack.s3())
    }

    /// The same, behind other clients.
    #[must_use]
    pub fn engine_through(&self, dynamodb: Client, s3: aws_sdk_s3::Client) -> Engine {
        let kinds = (self.kinds)(&self.stack, dynamodb.clone());
        Engine::new(self.site_through(dynamodb, s3), kinds).vouching(Vouching::all())
    }

    /// Where the jobs run, behind these clients.
    #[must_use]
    pub fn site_through(&self, dynamodb: Client, s3: aws_sdk_s3::Client) -> Site {
        let ahead = self.ahead.clone();
        let clock = Clock::new(move || Clock::system().now().plus_millis(ahead.load(Ordering::Relaxed)));
        let objects = Bucket::new(s3, self.stack.bucket("JobsBucket"));
        Site { dynamodb, objects, clock, ..self.stack.site() }
    }

    /// Sets the clock forward, as if so much time had passed.
    pub fn forward(&self, time: Duration) {
        self.ahead.fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// Submits and works until the job has ended.
    pub async fn run(&self, kind: &str, parameters: Value) -> Job {
        run(&self.engine(), kind, parameters).await
    }

    /// Submits and works, killed again and again after a while, until the job has ended; tells the kills. A life's
    /// milliseconds are given by chance and the number of kills so far; more than `most` are too many.
    pub async fn run_with_kills(
        &self,
        engine: &Engine,
        (kind, parameters): (&str, Value),
        seed: u64,
        most: u64,
        life: impl Fn(&mut Seeded, u64) -> u64,
    ) -> (Job, u64) {
        let mut chance = Seeded(seed);
        let job = engine.submit(None, kind, parameters).await.unwrap();
        let mut kills = 0;
        loop {
            let stop = Stop::default();
            let life =
                Duration::from_millis(life(&mut chance, kills)).max(grace(&self.engine(), &job.job_id).await);
            // Dropped in the middle of whatever it does.
            match tokio::time::timeout(life, drive(engine, &job.job_id, self.workers, &stop)).await {
                Ok(ended) => return (ended.unwrap().unwrap(), kills),
                Err(_) => kills += 1,
            }
            assert!(kills < most, "seed {seed}: it does not get on");
            // Longer than any claim, with the skew of clocks.
            self.forward(Duration::from_secs(90));
        }
    }

    pub async fn refused(&self, job: &JobId) -> Vec<Value> {
        let engine = self.engine();
        let mut lines = Vec::new();
        for key in engine.refused(job).await.unwrap() {
            let content = String::from_utf8(engine.site().objects.get(&key).await.unwrap()).unwrap();
            lines.extend(content.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
        }
        lines
    }

    /// An object of the jobs' bucket by its name.
    #[must_use]
    pub fn object_name(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.stack.bucket("JobsBucket"))
    }

    /// Puts an object into the jobs' bucket and gives its name.
    pub async fn object(&self, key: &str, content: impl Into<Vec<u8>>) -> String {
        let body = aws_sdk_s3::primitives::ByteStream::from(content.into());
        let bucket = self.stack.bucket("JobsBucket");
        self.stack.s3().put_object().bucket(bucket).key(key).body(body).send().await.unwrap();
        self.object_name(key)
    }
}

/// The minimum time that a process must live. A batch or a plan that is killed again and again without progress fails
/// after eight attempts, as it should; on a slow machine, the test's kills alone would cause that, so before the last
/// attempts the kills wait.
pub async fn grace(engine: &Engine, job: &JobId) -> Duration {
    const USED: u32 = 4;
    let site = engine.site();
    let stage = engine.job(job).await.unwrap().stage().map_or(0, |stage| stage.number);
    let batches = engine.batches(job, stage).await.unwrap();
    let key = |text: &str| AttributeValue::S(text.to_owned());
    let plan = site.dynamodb.get_item().table_name(&site.operations).consistent_read(true);
    let plan = plan.key("pk", key(&format!("job#{job}"))).key("sk", key("plan")).send().await.unwrap().item;
    let planned: u32 = plan.and_then(|plan| plan.get("attempts")?.as_n().ok()?.parse().ok()).unwrap_or(0);
    let open = batches.iter().filter(|batch| batch.state == BatchState::Open);
    let used = open.map(|batch| batch.attempts).chain([planned]).max().unwrap_or(0);
    if used >= USED { Duration::from_secs(60) } else { Duration::ZERO }
}

/// Submits and works until the job has ended.
pub async fn run(engine: &Engine, kind: &str, parameters: Value) -> Job {
    let job = engine.submit(None, kind, parameters).await.unwrap();
    drive(engine, &job.job_id, WORKERS, &Stop::default()).await.unwrap().unwrap()
}

/// Trains a model from the purchases in the tables and makes it the live one.
pub async fn train(site: Site, tables: &Tables) {
    train_with(site, tables, true).await;
}

/// The same, with or without a ranker. What one learns depends on the job's random key, and from purchases at random it
/// learns that nothing of them matters.
pub async fn train_with(site: Site, tables: &Tables, ranker: bool) {
    let engine = Engine::new(site, Kinds::default().with(Train(tables.clone())));
    // One batch per stage, and no comparison with the model before: the shops of tests are small.
    let parameters = json!({ "segments": 1, "productBlocks": 1, "ranker": ranker, "gate": 1 });
    result(&run(&engine, "train", parameters).await);
}

/// The result of a job that has succeeded.
#[allow(clippy::must_use_candidate, reason = "that it has succeeded may be all that a test asks")]
pub fn result(job: &Job) -> &Value {
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.failure);
    job.result.as_ref().unwrap()
}
