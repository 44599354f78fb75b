//! An engine with the shop's kinds over a fresh stack, and a clock that tests set forward.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its share")]

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_batch::pool::{Stop, drive};
use nextbasket_batch::{Engine, Job, JobId, JobState, Kinds, Objects, Site};
use nextbasket_domain::{Clock, Line, ProductId, Purchase, Random, Timestamp};
use nextbasket_shop_jobs::{Import, RebuildHistory, RefreshPopular};
use nextbasket_tables::{TableNames, Tables};
use nextbasket_testkit::TestStack;
use serde_json::Value;

pub struct World {
    pub stack: TestStack,
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
        Self { stack: TestStack::start().await, ahead: Arc::default() }
    }

    pub fn tables(&self) -> Tables {
        self.tables_through(self.stack.dynamodb())
    }

    pub fn tables_through(&self, client: Client) -> Tables {
        Tables::new(client, TableNames::from_lookup(|variable| Some(self.stack.table(variable).to_owned())))
    }

    pub fn engine(&self) -> Engine {
        self.engine_through(self.stack.dynamodb(), self.stack.s3())
    }

    pub fn engine_through(&self, dynamodb: Client, s3: aws_sdk_s3::Client) -> Engine {
        let ahead = self.ahead.clone();
        let clock = Clock::new(move || Clock::system().now().plus_millis(ahead.load(Ordering::Relaxed)));
        let tables = self.tables_through(dynamodb.clone());
        let site = Site {
            dynamodb,
            operations: self.stack.operations(),
            objects: Objects::new(s3, self.stack.bucket("JobsBucket")),
            clock,
            random: Random::system().unwrap(),
        };
        let kinds = Kinds::default()
            .with(Import::new(tables.clone()).with_local_files())
            .with(RebuildHistory::new(tables.clone()))
            .with(RefreshPopular::new(tables));
        Engine::new(site, kinds)
    }

    /// Submits and works until the job has ended.
    pub async fn run(&self, kind: &str, parameters: Value) -> Job {
        run(&self.engine(), kind, parameters).await
    }

    /// Submits and works, killed again and again after a while by chance, until the job has ended; tells the kills.
    pub async fn run_with_kills(&self, kind: &str, parameters: Value, seed: u64, life_ms: u64) -> (Job, u32) {
        let mut chance = Seeded(seed);
        let engine = self.engine();
        let job = engine.submit(None, kind, parameters).await.unwrap();
        let mut kills = 0;
        loop {
            let stop = Stop::default();
            let life = Duration::from_millis(life_ms / 2 + chance.below(life_ms));
            // Dropped in the middle of whatever it does.
            match tokio::time::timeout(life, drive(&engine, &job.job_id, 4, &stop)).await {
                Ok(ended) => return (ended.unwrap().unwrap(), kills),
                Err(_) => kills += 1,
            }
            assert!(kills < 200, "seed {seed}: it does not get on");
            // Longer than any claim, with the skew of clocks.
            self.ahead.fetch_add(90_000, Ordering::Relaxed);
        }
    }

    /// All items of a table, in one order.
    pub async fn items(&self, variable: &str) -> Vec<BTreeMap<String, AttributeValue>> {
        let scan = self.stack.dynamodb().scan().table_name(self.stack.table(variable));
        let mut pages = scan.into_paginator().items().send();
        let mut items: Vec<BTreeMap<String, AttributeValue>> = Vec::new();
        while let Some(item) = pages.next().await {
            let item: HashMap<_, _> = item.unwrap();
            items.push(item.into_iter().collect());
        }
        // By the strings, the keys among them: maps have no order of their own.
        items.sort_by_cached_key(|item| {
            item.values().filter_map(|value| value.as_s().ok().cloned()).collect::<Vec<_>>()
        });
        items
    }

    /// Puts an object into a bucket of the stack's and gives its name.
    pub async fn object(&self, key: &str, content: impl Into<Vec<u8>>) -> String {
        let bucket = self.stack.bucket("JobsBucket");
        let body = aws_sdk_s3::primitives::ByteStream::from(content.into());
        self.stack.s3().put_object().bucket(&bucket).key(key).body(body).send().await.unwrap();
        format!("s3://{bucket}/{key}")
    }

    /// The job's objects whose names hold this.
    pub async fn objects(&self, job: &JobId, with: &str) -> Vec<String> {
        let keys = self.engine().site().objects.list(&format!("jobs/{job}/")).await.unwrap();
        keys.into_iter().filter(|key| key.contains(with)).collect()
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
pub async fn run(engine: &Engine, kind: &str, parameters: Value) -> Job {
    let job = engine.submit(None, kind, parameters).await.unwrap();
    drive(engine, &job.job_id, 4, &Stop::default()).await.unwrap().unwrap()
}

/// The result of a job that has succeeded.
pub fn result(job: &Job) -> &Value {
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.failure);
    job.result.as_ref().unwrap()
}

pub fn purchase(user: &str, id: &str, at: i64, products: &[&str]) -> Purchase {
    Purchase {
        purchase_id: id.parse().unwrap(),
        user_id: user.parse().unwrap(),
        purchased_at: Timestamp::from_millis(at).unwrap(),
        lines: products
            .iter()
            .map(|id| Line { product_id: ProductId::parse(id).unwrap(), quantity: 1, unit_price: None })
            .collect(),
        recommendation_id: None,
    }
}
