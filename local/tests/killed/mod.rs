//! Endpoints that stay, and processes at them that are killed.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its share")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

use std::process::{Child, Command};
use std::time::{Duration, Instant, SystemTime};

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use nextbasket_testkit::{FaultProxy, TestStack};
use serde_json::Value;
use tempfile::TempDir;

use crate::command::{failing, nextbasket, succeeding};

/// Random numbers from a seed that is printed, or given as `NEXTBASKET_SEED`.
pub struct Draw {
    pub seed: u64,
    state: u64,
}

impl Draw {
    pub fn seeded() -> Self {
        let given = std::env::var("NEXTBASKET_SEED").ok().and_then(|seed| seed.parse().ok());
        let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64;
        let seed = given.unwrap_or_else(now) | 1;
        println!("NEXTBASKET_SEED={seed}");
        Self { seed, state: seed }
    }

    pub fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    /// Another random sequence, derived from this one.
    pub fn fork(&mut self) -> Self {
        Self { seed: self.seed, state: self.next() | 1 }
    }

    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low)
    }
}

/// The stand-ins alone, without a server that would work on jobs itself.
pub struct Site {
    folder: TempDir,
    stack: TestStack,
    pub endpoint: String,
    pub dynamodb: aws_sdk_dynamodb::Client,
}

impl Site {
    pub async fn start() -> Self {
        // On a disk that needs no syncing, where there is one.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let stack = TestStack::start().await;
        let endpoint = stack.machine().dynamodb().endpoint_url();
        Self { folder, endpoint, dynamodb: stack.dynamodb(), stack }
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    pub fn file(&self, name: &str, content: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// A table with the key `id`, a string.
    pub async fn table(&self, name: &str) {
        let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build().unwrap();
        let id = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S);
        let table = self.dynamodb.create_table().table_name(name).key_schema(key);
        let table = table.attribute_definitions(id.build().unwrap()).billing_mode(BillingMode::PayPerRequest);
        table.send().await.unwrap();
    }

    /// A proxy in front of this DynamoDB.
    pub async fn proxy(&self) -> FaultProxy {
        self.stack.proxy().await
    }

    /// The command, with the key of this site's endpoints and confirmed where that is needed.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.unconfirmed(arguments);
        let confirmed = ["archive", "copy", "delete", "fill", "restore", "revert", "update"];
        if arguments.first().is_some_and(|name| confirmed.contains(name)) {
            command.arg("--yes");
        }
        command
    }

    /// The command, with the key of this site's endpoints, in the site's folder: what it writes there goes with it.
    pub fn unconfirmed(&self, arguments: &[&str]) -> Command {
        let mut command = nextbasket(arguments);
        command.envs(self.access()).current_dir(self.folder.path());
        command
    }

    /// The variables with this site's access key and endpoints.
    pub fn access(&self) -> [(&'static str, String); 5] {
        self.stack.machine().access()
    }

    /// The options that lead a command to this DynamoDB and to this site's S3.
    pub fn through(&self, dynamodb: &str) -> Vec<String> {
        let (s3, operations) = (self.stack.s3_endpoint(), self.stack.operations());
        let bucket = self.stack.bucket("JOBS_BUCKET");
        let options =
            ["--endpoint", dynamodb, "--s3-endpoint", &s3, "--operations", &operations, "--bucket", &bucket];
        options.map(str::to_owned).to_vec()
    }

    /// Runs a command at this site and expects success; answers standard output.
    pub async fn succeed(&self, command: &[&str]) -> String {
        self.run(command, succeeding).await
    }

    /// Runs a command at this site and expects the exit code; answers standard error.
    pub async fn fail(&self, command: &[&str], code: i32) -> String {
        self.run(command, move |command| failing(command, code)).await
    }

    /// The endpoints are this process's own and have to go on meanwhile.
    async fn run(&self, arguments: &[&str], run: impl FnOnce(Command) -> String + Send + 'static) -> String {
        let mut command = self.command(arguments);
        command.args(self.through(&self.endpoint));
        tokio::task::spawn_blocking(move || run(command)).await.unwrap()
    }

    /// The id of the newest job, once there is one that has begun.
    pub async fn running_job(&self) -> String {
        let begun = Instant::now();
        loop {
            let list = self.succeed(&["jobs", "list", "--json"]).await;
            let list: Value = serde_json::from_str(&list).unwrap();
            let jobs = list["items"].as_array().cloned().unwrap_or_default();
            let running = jobs.iter().find(|job| job["state"] == "running" || job["state"] == "waiting");
            if let Some(job) = running {
                return job["jobId"].as_str().unwrap().to_owned();
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "no job has begun: {list}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Waits until the process has ended with this exit code; returns what it printed, as JSON.
pub async fn until_ended(process: Child, code: i32) -> Value {
    let output = tokio::task::spawn_blocking(move || process.wait_with_output().unwrap()).await.unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{err}");
    serde_json::from_slice(&output.stdout).unwrap()
}
