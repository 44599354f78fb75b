//! An engine with the kinds of this crate over a fresh stack, tables of all types, and a clock that tests set forward.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]
#![allow(dead_code, unused_imports, unreachable_pub, reason = "each test binary uses its share")]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, PutRequest,
    ScalarAttributeType, WriteRequest,
};
use nextbasket_dynamodb::item::{Item, number, text};
use nextbasket_job_engine::pool::{Stop, drive};
use nextbasket_job_engine::{Engine, Job, JobId, JobState, Kinds, Site, Vouching};
use nextbasket_jobs_dump::manifest::{TableSettings, md5_base64};
use nextbasket_jobs_dump::{Archive, Diff, Dump, Restore, Revert, Verify};
use nextbasket_testkit::{JobStack, TestStack};
use serde_json::Value;

pub use nextbasket_testkit::Seeded;
pub use nextbasket_testkit::jobs::run;

pub fn kinds() -> Kinds {
    Kinds::default()
        .with(Dump)
        .with(Restore::default())
        .with(Verify)
        .with(Diff)
        .with(Archive)
        .with(Revert::default())
}

/// Works on the job until these calls have been made, and is killed then; or to its end.
pub async fn killed_at(engine: &Engine, job: &JobId, reached: impl Future<Output = ()>) -> Option<Job> {
    let stop = Stop::default();
    tokio::select! {
        ended = drive(engine, job, 4, &stop) => ended.unwrap(),
        () = reached => None,
    }
}

pub struct World {
    jobs: JobStack,
    pub folder: tempfile::TempDir,
}

/// A key's attribute and its type.
pub type Key<'a> = (&'a str, ScalarAttributeType);

impl Deref for World {
    type Target = JobStack;

    fn deref(&self) -> &JobStack {
        &self.jobs
    }
}

impl World {
    pub async fn start() -> Self {
        Self::with(|_: &_, _| kinds()).await
    }

    /// With other kinds.
    pub async fn with(kinds: fn(&TestStack, Client) -> Kinds) -> Self {
        Self { jobs: JobStack::start(kinds).await, folder: tempfile::tempdir().unwrap() }
    }

    /// The engine of another stack whose jobs work on the same tables: it sees none of this stack's locks.
    pub async fn engine_of_another_stack(&self) -> Engine {
        let client = self.client();
        let settings = TableSettings::read(&client, &self.stack.operations()).await.unwrap();
        let other = "operations-of-another-stack";
        settings.create_table.request(&client, other).unwrap().send().await.unwrap();
        let site = self.site_through(client, self.stack.s3());
        Engine::new(Site { operations: other.to_owned(), ..site }, kinds()).vouching(Vouching::all())
    }

    pub fn client(&self) -> Client {
        self.stack.dynamodb()
    }

    /// As [`run`](JobStack::run), for the result of a job that succeeds.
    pub async fn done(&self, kind: &str, parameters: Value) -> Value {
        let job = self.run(kind, parameters.clone()).await;
        assert_eq!(job.state, JobState::Succeeded, "{kind} {parameters}: {:?}", job.failure);
        job.result.unwrap()
    }

    /// As [`run`](JobStack::run), for the reason of a job that fails.
    pub async fn failed(&self, kind: &str, parameters: Value) -> String {
        let job = self.run(kind, parameters.clone()).await;
        assert_eq!(job.state, JobState::Failed, "{kind} {parameters}: {:?}", job.result);
        job.failure.unwrap()
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
        // Lives become longer, so that a slow machine gets on, too.
        let life = |chance: &mut Seeded, kills| life_ms / 2 + chance.below(life_ms) + kills * life_ms / 8;
        let ended = Box::pin(self.jobs.run_with_kills(engine, (kind, parameters), seed, 200, life)).await;
        // A job that was killed at its very end leaves its lock to expire.
        self.forward(Duration::from_secs(600));
        ended
    }

    /// Works on a job whose workers were killed until it has ended.
    pub async fn finished(&self, job: &JobId) -> Job {
        self.forward(Duration::from_secs(90));
        drive(&self.engine(), job, 4, &Stop::default()).await.unwrap().unwrap()
    }

    /// A path below the test's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn local(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub fn s3(&self, name: &str) -> String {
        self.object_name(name)
    }

    pub async fn make_table(&self, name: &str, keys: &[Key<'_>]) {
        let kinds = [KeyType::Hash, KeyType::Range];
        let mut create =
            self.client().create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
        for ((attribute, kind), role) in keys.iter().zip(kinds) {
            let definition =
                AttributeDefinition::builder().attribute_name(*attribute).attribute_type(kind.clone());
            let element = KeySchemaElement::builder().attribute_name(*attribute).key_type(role);
            create = create
                .attribute_definitions(definition.build().unwrap())
                .key_schema(element.build().unwrap());
        }
        create.send().await.unwrap();
    }

    pub async fn put_all(&self, table: &str, items: &[Item]) {
        let puts = items.chunks(25).map(|chunk| {
            let put = |item: &Item| {
                let put = PutRequest::builder().set_item(Some(item.clone())).build().unwrap();
                WriteRequest::builder().put_request(put).build()
            };
            let requests: Vec<_> = chunk.iter().map(put).collect();
            self.client().batch_write_item().request_items(table, requests).send()
        });
        for sent in futures::future::join_all(puts).await {
            sent.unwrap();
        }
    }

    pub async fn put(&self, table: &str, item: Item) {
        self.client().put_item().table_name(table).set_item(Some(item)).send().await.unwrap();
    }

    /// All items of a table, in one order.
    pub async fn items(&self, table: &str) -> Vec<BTreeMap<String, String>> {
        let mut pages = self.client().scan().table_name(table).into_paginator().items().send();
        let mut items = Vec::new();
        while let Some(item) = pages.next().await {
            items.push(plain(&item.unwrap()));
        }
        items.sort();
        items
    }

    /// An object or a file of a dump.
    pub async fn content(&self, location: &str) -> Vec<u8> {
        match location.strip_prefix("s3://").and_then(|rest| rest.split_once('/')) {
            Some((bucket, key)) => {
                let got = self.stack.s3().get_object().bucket(bucket).key(key).send().await.unwrap();
                got.body.collect().await.unwrap().to_vec()
            }
            None => std::fs::read(location).unwrap(),
        }
    }
}

fn md5_beside(folder: &Path, of: &str) -> String {
    let md5 = md5_base64(&std::fs::read(folder.join(of)).unwrap());
    std::fs::write(folder.join(of.replace(".json", ".md5")), &md5).unwrap();
    md5
}

/// Writes the checksums of a dump's edited manifests anew, as somebody would who means it.
pub fn checksummed(folder: &Path) {
    md5_beside(folder, "manifest-files.json");
    let md5 = md5_beside(folder, "nextbasket-dump.json");
    let summary = folder.join("manifest-summary.json");
    let text = std::fs::read_to_string(&summary).unwrap();
    let line = |line: &str| match line.contains("\"nextbasketDumpMd5\"") {
        true => format!("\"nextbasketDumpMd5\": \"{md5}\","),
        false => line.to_owned(),
    };
    let lines: Vec<String> = text.lines().map(line).collect();
    std::fs::write(summary, lines.join("\n")).unwrap();
    md5_beside(folder, "manifest-summary.json");
}

fn edited(path: &Path, edit: impl FnOnce(&mut serde_json::Map<String, Value>)) {
    let mut value: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    edit(value.as_object_mut().unwrap());
    std::fs::write(path, serde_json::to_vec_pretty(&value).unwrap()).unwrap();
}

/// Makes a dump one of version 1, which had no kind, no identity of its table and fewer checksums.
pub fn made_earlier(folder: &Path) {
    edited(&folder.join("nextbasket-dump.json"), |record| {
        for field in ["kind", "tableIdentity", "settingsMd5"] {
            record.remove(field).unwrap();
        }
        record.insert("version".to_owned(), Value::from(1));
    });
    edited(&folder.join("nextbasket-table.json"), |settings| drop(settings.remove("createdAt").unwrap()));
    edited(&folder.join("manifest-summary.json"), |summary| {
        for field in ["nextbasketDumpMd5", "nextbasketTableMd5"] {
            summary.remove(field).unwrap();
        }
    });
    std::fs::remove_file(folder.join("nextbasket-dump.md5")).unwrap();
    md5_beside(folder, "manifest-summary.json");
}

/// Values as texts, sets and maps in order.
pub fn plain(item: &Item) -> BTreeMap<String, String> {
    item.iter().map(|(name, value)| (name.clone(), shown(value))).collect()
}

fn shown(value: &AttributeValue) -> String {
    match value {
        AttributeValue::Ss(set) | AttributeValue::Ns(set) => {
            format!("{:?}", set.iter().collect::<BTreeSet<_>>())
        }
        AttributeValue::Bs(set) => format!("{:?}", set.iter().map(Blob::as_ref).collect::<BTreeSet<_>>()),
        AttributeValue::L(list) => format!("{:?}", list.iter().map(shown).collect::<Vec<_>>()),
        AttributeValue::M(map) => format!("{:?}", plain(map)),
        other => format!("{other:?}"),
    }
}

/// Compares two tables' items and names the first that differs.
pub fn assert_same(left: &[BTreeMap<String, String>], right: &[BTreeMap<String, String>], what: &str) {
    if let Some((one, other)) = left.iter().zip(right).find(|(one, other)| one != other) {
        panic!("{what}: {one:?} is not {other:?}");
    }
    assert_eq!(left.len(), right.len(), "{what}");
}

fn value(chance: &mut Seeded, deep: u32) -> AttributeValue {
    let texts = ["", "a", "\\", "x,\"y\"\n", "ü€😀", "=1+1", " 1", "{\"$binary\":1}"];
    let numbers = [
        "0",
        "-1.5",
        "12345678901234567890123456789012345678",
        "1E-130",
        "9.9999999999999999999999999999999999999E125",
        "0.1",
        "1000000000000000000000000",
    ];
    match chance.below(if deep > 0 { 10 } else { 8 }) {
        0 => text(texts[usize::try_from(chance.below(8)).unwrap()]),
        1 => number(numbers[usize::try_from(chance.below(7)).unwrap()]),
        2 => AttributeValue::B(Blob::new(
            (0..chance.below(9)).map(|_| chance_byte(chance.0)).collect::<Vec<u8>>(),
        )),
        3 => AttributeValue::Bool(chance.below(2) == 0),
        4 => AttributeValue::Null(true),
        5 => AttributeValue::Ss((0..=chance.below(3)).map(|n| format!("s{n}")).collect()),
        6 => AttributeValue::Ns((0..=chance.below(3)).map(|n| format!("{}", n * 7)).collect()),
        7 => AttributeValue::Bs(
            (0..=chance.below(3)).map(|n| Blob::new([u8::try_from(n).unwrap(), 255])).collect(),
        ),
        8 => AttributeValue::L((0..chance.below(4)).map(|_| value(chance, deep - 1)).collect()),
        _ => {
            let names = ["a", "$set", "b:c", "d e", "\"q\""];
            let count = usize::try_from(chance.below(4)).unwrap();
            AttributeValue::M(
                names.iter().take(count).map(|n| ((*n).to_owned(), value(chance, deep - 1))).collect(),
            )
        }
    }
}

fn chance_byte(seed: u64) -> u8 {
    seed.to_be_bytes()[3]
}

fn key_value(kind: &ScalarAttributeType, n: u64) -> AttributeValue {
    match kind {
        ScalarAttributeType::N => number(format!("{n}.5")),
        ScalarAttributeType::B => AttributeValue::B(Blob::new(n.to_be_bytes())),
        _ => text(format!("id-{n}")),
    }
}

/// Items of all types, with these keys; five share a partition where there is a sort key.
pub fn items(keys: &[Key<'_>], count: u64, seed: u64) -> Vec<Item> {
    let mut chance = Seeded(seed);
    let names = ["name", "price", "tags", "raw", "a,b", "c:d", "reserved name", "état", "x", "$y"];
    let item = |n: u64| {
        let mut item = Item::new();
        for name in names.iter().take(usize::try_from(chance.below(11)).unwrap()) {
            item.insert((*name).to_owned(), value(&mut chance, 4));
        }
        let partition = if keys.len() > 1 { n / 5 } else { n };
        item.insert(keys[0].0.to_owned(), key_value(&keys[0].1, partition));
        if let Some((name, kind)) = keys.get(1) {
            item.insert((*name).to_owned(), key_value(kind, n));
        }
        item
    };
    (0..count).map(item).collect()
}

/// An item with a text as its key and one more attribute.
pub fn small(id: &str, n: impl std::fmt::Display) -> Item {
    Item::from([("id".to_owned(), text(id)), ("n".to_owned(), number(n))])
}

pub const ID: [Key<'static>; 1] = [("id", ScalarAttributeType::S)];
