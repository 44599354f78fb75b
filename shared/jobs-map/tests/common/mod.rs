//! An engine with `map` over a fresh stack, a folder, and a clock that tests set forward.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]
#![allow(dead_code, unused_imports, unreachable_pub, reason = "each test binary uses its share")]

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use nextbasket_job_engine::{Engine, Job, JobId, Kinds, Vouching};
use nextbasket_jobs_map::Map;
use nextbasket_testkit::{JobStack, jobs};
use serde_json::{Value, json};
use tempfile::TempDir;

pub use nextbasket_testkit::Seeded;
pub use nextbasket_testkit::jobs::result;

pub struct World {
    jobs: JobStack,
    folder: TempDir,
}

impl Deref for World {
    type Target = JobStack;

    fn deref(&self) -> &JobStack {
        &self.jobs
    }
}

impl World {
    pub async fn start() -> Self {
        let kinds = |_: &_, _| Kinds::default().with(Map::default());
        let mut jobs = JobStack::start(kinds).await;
        jobs.workers = 3;
        Self { jobs, folder: tempfile::tempdir().unwrap() }
    }

    pub fn engine_with(&self, map: Map) -> Engine {
        let site = self.site_through(self.stack.dynamodb(), self.stack.s3());
        Engine::new(site, Kinds::default().with(map)).vouching(Vouching::all())
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

    pub async fn read_object(&self, key: &str) -> Vec<u8> {
        self.engine().site().objects.get(key).await.unwrap()
    }

    /// Submits and works until the job has ended.
    pub async fn run(&self, parameters: Value) -> Job {
        run(&self.engine(), parameters).await
    }

    /// Submits and works, killed again and again after a while by chance, until the job has ended; tells the kills.
    pub async fn run_with_kills(&self, parameters: Value, seed: u64, life_ms: u64) -> (Job, u64) {
        // Longer and longer, so that a slow machine gets to the end, too.
        let life = |chance: &mut Seeded, kills| (life_ms / 2 + chance.below(life_ms)) * (2 + kills) / 2;
        self.jobs.run_with_kills(&self.engine(), ("map", parameters), seed, 200, life).await
    }

    /// What the stages of a job have left in the bucket for each other.
    pub async fn leftovers(&self, job: &JobId) -> Vec<String> {
        let keys = self.engine().site().objects.list(&format!("jobs/{job}/stage-")).await.unwrap();
        keys.into_iter().filter(|key| key.contains("-out-") || key.contains("-bins-")).collect()
    }
}

/// Submits and works until the job has ended.
pub async fn run(engine: &Engine, parameters: Value) -> Job {
    jobs::run(engine, "map", parameters).await
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
