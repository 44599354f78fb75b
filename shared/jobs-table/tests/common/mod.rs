//! An engine with the kinds on tables over a fresh stack, tables of any keys, and a clock that tests set forward.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]
#![allow(dead_code, unused_imports, unreachable_pub, reason = "each test binary uses its share")]

use std::collections::BTreeMap;
use std::ops::Deref;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, PutRequest,
    ScalarAttributeType, WriteRequest,
};
use nextbasket_dynamodb::item::{Item, number, text};
use nextbasket_job_engine::{Engine, Job, Kinds};
use nextbasket_jobs_table::TableOperation;
use nextbasket_testkit::JobStack;
use serde_json::Value;

pub use ScalarAttributeType::{B, N, S};
pub use nextbasket_testkit::Seeded;
pub use nextbasket_testkit::jobs::{result, run};

/// The types of a table's keys.
pub type Keys = (ScalarAttributeType, Option<ScalarAttributeType>);

/// Keys of every type, with and without a sort key.
pub fn all_keys() -> [Keys; 6] {
    [(S, None), (N, None), (B, None), (S, Some(N)), (N, Some(B)), (B, Some(S))]
}

pub struct World(JobStack);

impl Deref for World {
    type Target = JobStack;

    fn deref(&self) -> &JobStack {
        &self.0
    }
}

impl World {
    pub async fn start() -> Self {
        let kinds = |_: &_, _| {
            Kinds::default()
                .with(TableOperation::Count)
                .with(TableOperation::Update)
                .with(TableOperation::Delete)
                .with(TableOperation::Copy)
                .with(TableOperation::Fill)
        };
        Self(JobStack::start(kinds).await)
    }

    pub fn client(&self) -> Client {
        self.stack.dynamodb()
    }

    /// Submits and works, killed again and again after a while by chance, until the job has ended; tells the kills.
    pub async fn run_with_kills(
        &self,
        engine: &Engine,
        kind: &str,
        parameters: Value,
        seed: u64,
        life_ms: u64,
    ) -> (Job, u64) {
        let life = |chance: &mut Seeded, _| life_ms / 2 + chance.below(life_ms);
        self.0.run_with_kills(engine, (kind, parameters), seed, 300, life).await
    }

    /// Makes a table with the keys `pk` and, if there is one, `sk`.
    pub async fn table(&self, name: &str, keys: Keys) {
        self.table_of(name, [("pk", Some(keys.0)), ("sk", keys.1)]).await;
    }

    /// Makes a table with keys of these names.
    pub async fn table_of(&self, name: &str, keys: [(&str, Option<ScalarAttributeType>); 2]) {
        let roles = [KeyType::Hash, KeyType::Range];
        let attributes = keys.into_iter().zip(roles).map(|((name, kind), role)| (name, kind, role));
        let mut create =
            self.client().create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
        for (attribute, kind, role) in attributes {
            let Some(kind) = kind else { continue };
            let defined = AttributeDefinition::builder().attribute_name(attribute).attribute_type(kind);
            let element = KeySchemaElement::builder().attribute_name(attribute).key_type(role);
            create =
                create.attribute_definitions(defined.build().unwrap()).key_schema(element.build().unwrap());
        }
        create.send().await.unwrap();
    }

    pub async fn put(&self, table: &str, items: impl IntoIterator<Item = Item>) {
        let request = |item: Item| {
            let put = PutRequest::builder().set_item(Some(item)).build().unwrap();
            WriteRequest::builder().put_request(put).build()
        };
        let requests: Vec<WriteRequest> = items.into_iter().map(request).collect();
        for chunk in requests.chunks(25) {
            let write = self.client().batch_write_item().request_items(table, chunk.to_vec());
            let left = write.send().await.unwrap().unprocessed_items.unwrap_or_default();
            assert!(left.is_empty());
        }
    }

    /// A table of numbered items.
    pub async fn numbered(&self, table: &str, keys: Keys, count: u64) {
        self.table(table, keys.clone()).await;
        self.put(table, (0..count).map(|n| item(&keys, n))).await;
    }

    /// All items of a table by their number `id`.
    pub async fn items(&self, table: &str) -> BTreeMap<u64, Item> {
        let items = self.all(table).await;
        items.into_iter().map(|item| (int(&item, "id").unwrap(), item)).collect()
    }

    /// All items of a table, in any order.
    pub async fn all(&self, table: &str) -> Vec<Item> {
        let scan = self.client().scan().table_name(table).consistent_read(true);
        let mut pages = scan.into_paginator().items().send();
        let mut items = Vec::new();
        while let Some(item) = pages.next().await {
            items.push(item.unwrap());
        }
        items
    }
}

/// The key's value for a number.
pub fn key_value(kind: &ScalarAttributeType, n: u64) -> AttributeValue {
    match kind {
        N => number(n),
        B => AttributeValue::B(Blob::new(n.to_be_bytes())),
        _ => text(format!("key {n}")),
    }
}

/// An item: every other one is `old`, the others are `new`.
pub fn item(keys: &Keys, n: u64) -> Item {
    let (partition, sort) = match &keys.1 {
        Some(sort) => (key_value(&keys.0, n % 10), Some(key_value(sort, n))),
        None => (key_value(&keys.0, n), None),
    };
    let mut item = Item::from([
        ("pk".to_owned(), partition),
        ("id".to_owned(), number(n)),
        ("n".to_owned(), number(0)),
        ("status".to_owned(), text(if n.is_multiple_of(2) { "old" } else { "new" })),
    ]);
    item.extend(sort.map(|sort| ("sk".to_owned(), sort)));
    item
}

/// An attribute that is a whole number.
pub fn int(item: &Item, attribute: &str) -> Option<u64> {
    item.get(attribute)?.as_n().ok()?.parse().ok()
}

/// These fields of a job's result.
pub fn counts<const K: usize>(job: &Job, fields: [&str; K]) -> [u64; K] {
    let result = result(job);
    fields.map(|field| result[field].as_u64().unwrap_or_else(|| panic!("{field} of {result}")))
}
