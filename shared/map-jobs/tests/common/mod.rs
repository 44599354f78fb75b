//! An engine with `map` over a fresh stack, a folder, and a clock that tests set forward.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its share")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use nextbasket_batch::pool::{Stop, drive};
use nextbasket_batch::{Engine, Job, JobId, JobState, Kinds, Objects, Site};
use nextbasket_domain::{Clock, Random};
use nextbasket_map_jobs::Map;
use nextbasket_testkit::TestStack;
use serde_json::{Value, json};
use tempfile::TempDir;

pub struct World {
    pub stack: TestStack,
    folder: TempDir,
    ahead: Arc<AtomicI64>,
}

/// A generator (SplitMix64), so that a seed replays what happened.
pub struct Seeded(pub u64);

impl Seeded {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

impl World {
    pub async fn start() -> Self {
        Self { stack: TestStack::start().await, folder: tempfile::tempdir().unwrap(), ahead: Arc::default() }
    }

    pub fn engine(&self) -> Engine {
        self.engine_with(Map::new().with_commands(), self.stack.s3())
    }

    pub fn engine_with(&self, map: Map, s3: aws_sdk_s3::Client) -> Engine {
        let ahead = self.ahead.clone();
        let clock = Clock::new(move || Clock::system().now().plus_millis(ahead.load(Ordering::Relaxed)));
        let site = Site {
            dynamodb: self.stack.dynamodb(),
            operations: self.stack.operations(),
            objects: Objects::new(s3, self.stack.bucket("JobsBucket")),
            clock,
            random: Random::system().unwrap(),
        };
        Engine::new(site, Kinds::default().with(map))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of this machine.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The manifest beside the output of this name.
    pub fn manifest(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(&format!("{name}.manifest.json"))).unwrap()
    }

    pub fn object_name(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.stack.bucket("JobsBucket"))
    }

    /// Puts an object into a bucket of the stack's and gives its name.
    pub async fn object(&self, key: &str, content: impl Into<Vec<u8>>) -> String {
        let bucket = self.stack.bucket("JobsBucket");
        let body = aws_sdk_s3::primitives::ByteStream::from(content.into());
        self.stack.s3().put_object().bucket(&bucket).key(key).body(body).send().await.unwrap();
        self.object_name(key)
    }

    pub async fn read_object(&self, key: &str) -> Vec<u8> {
        self.engine().site().objects.get(key).await.unwrap()
    }

    /// Submits and works until the job has ended.
    pub async fn run(&self, parameters: Value) -> Job {
        run(&self.engine(), parameters).await
    }

    /// Submits and works, killed again and again after a while by chance, until the job has ended; tells the kills.
    pub async fn run_with_kills(&self, parameters: Value, seed: u64, life_ms: u64) -> (Job, u32) {
        let mut chance = Seeded(seed);
        let engine = self.engine();
        let job = engine.submit(None, "map", parameters).await.unwrap();
        let mut kills = 0;
        loop {
            let stop = Stop::default();
            // Longer and longer, so that a slow machine gets to the end, too.
            let life = life_ms / 2 + chance.below(life_ms);
            let life = Duration::from_millis(life * u64::from(10 + kills) / 10);
            // Dropped in the middle of whatever it does.
            match tokio::time::timeout(life, drive(&engine, &job.job_id, 3, &stop)).await {
                Ok(ended) => return (ended.unwrap().unwrap(), kills),
                Err(_) => kills += 1,
            }
            assert!(kills < 200, "seed {seed}: it does not get on");
            // Longer than any claim, with the skew of clocks.
            self.forward(90_000);
        }
    }

    /// Sets the clock forward.
    pub fn forward(&self, millis: i64) {
        self.ahead.fetch_add(millis, Ordering::Relaxed);
    }

    /// What the stages of a job have left in the bucket for each other.
    pub async fn leftovers(&self, job: &JobId) -> Vec<String> {
        let keys = self.engine().site().objects.list(&format!("jobs/{job}/stage-")).await.unwrap();
        keys.into_iter().filter(|key| key.contains("-out-") || key.contains("-bins-")).collect()
    }

    /// The job's refused lines.
    pub async fn refused(&self, job: &JobId) -> Vec<Value> {
        let engine = self.engine();
        let mut lines = Vec::new();
        for key in engine.refused(job).await.unwrap() {
            let content = String::from_utf8(engine.site().objects.get(&key).await.unwrap()).unwrap();
            lines.extend(content.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
        }
        lines
    }
}

/// Submits and works until the job has ended.
pub async fn run(engine: &Engine, parameters: Value) -> Job {
    let job = engine.submit(None, "map", parameters).await.unwrap();
    drive(engine, &job.job_id, 3, &Stop::default()).await.unwrap().unwrap()
}

/// The result of a job that has succeeded.
pub fn result(job: &Job) -> &Value {
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.failure);
    job.result.as_ref().unwrap()
}

/// JSON lines, one a number.
pub fn numbers(of: std::ops::Range<u32>) -> String {
    of.map(|n| format!("{}\n", json!({ "n": n, "text": "abc".repeat((n % 7) as usize) }))).collect()
}

/// A job over lines of a file of this machine, some of them a batch.
pub fn lines_of(input: &Path, output: &Path, command: &Value) -> Value {
    json!({
        "input": { "files": input, "format": "jsonl" },
        "output": output,
        "command": command,
        "batchBytes": 500,
    })
}

/// A script for `sh`.
pub fn script(text: &str) -> Value {
    json!(["sh", "-c", text])
}

/// Whether the process is there.
pub fn runs(pid: &str) -> bool {
    let status = fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    // A zombie has ended, and waits to be asked for its exit code.
    !status.is_empty() && !status.contains(") Z ")
}
