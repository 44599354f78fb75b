//! An engine with the shop's kinds over a fresh stack, and a clock that tests set forward.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]
#![allow(dead_code, unused_imports, unreachable_pub, reason = "each test binary uses its share")]

use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_domain::{Line, ProductId, Purchase, Timestamp};
use nextbasket_job_engine::{Job, JobId, Kinds};
use nextbasket_jobs_shop::{Import, RebuildHistory, RefreshPopular};
use nextbasket_tables::{TableNames, Tables};
use nextbasket_testkit::{JobStack, Seeded, TestStack};
use serde_json::Value;

pub use nextbasket_testkit::jobs::{result, run};

pub struct World(JobStack);

impl Deref for World {
    type Target = JobStack;

    fn deref(&self) -> &JobStack {
        &self.0
    }
}

fn tables(stack: &TestStack, client: Client) -> Tables {
    Tables::new(client, TableNames::from_lookup(|variable| Some(stack.table(variable).to_owned())))
}

impl World {
    pub async fn start() -> Self {
        let kinds = |stack: &_, client| {
            let tables = tables(stack, client);
            Kinds::default()
                .with(Import(tables.clone()))
                .with(RebuildHistory(tables.clone()))
                .with(RefreshPopular(tables))
        };
        Self(JobStack::start(kinds).await)
    }

    pub fn tables(&self) -> Tables {
        tables(&self.stack, self.stack.dynamodb())
    }

    /// Submits and works, killed again and again after a while by chance, until the job has ended; tells the kills.
    pub async fn run_with_kills(&self, kind: &str, parameters: Value, seed: u64, life_ms: u64) -> (Job, u64) {
        // Lives get longer and longer, since a batch that kills its worker again and again without progress fails.
        let life = |chance: &mut Seeded, kills| life_ms / 2 + chance.below(life_ms) + kills * life_ms / 2;
        self.0.run_with_kills(&self.engine(), (kind, parameters), seed, 200, life).await
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

    /// The job's objects whose names hold this.
    pub async fn objects(&self, job: &JobId, with: &str) -> Vec<String> {
        let keys = self.engine().site().objects.list(&format!("jobs/{job}/")).await.unwrap();
        keys.into_iter().filter(|key| key.contains(with)).collect()
    }
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
