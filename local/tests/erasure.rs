//! An erased user is nowhere: not in a table, an object or a file of the data folder, as text, packed or as a hash that
//! somebody who knows the id could make; and no restore brings them back.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::rt::TokioExecutor;
use nextbasket::local_deployment::{
    DeploymentOptions, LocalDeployment, job_site, machine_engine, table_names,
};
use nextbasket_domain::{Clock, Timestamp, UserId};
use nextbasket_job_engine::engine::Step;
use nextbasket_job_engine::pool::{Stop, drive};
use nextbasket_job_engine::{Engine, Job, JobState, Site, Vouching};
use nextbasket_shop::ShopSize;
use nextbasket_tables::{TableNames, Tables};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const ADA: &str = "ada.lovelace@example.org";
const PURCHASES: usize = 12;

fn order(n: usize) -> String {
    format!("adas-order-{n:03}")
}

/// What must not be found, by name.
struct Needles(Vec<(String, Vec<u8>)>);

impl Needles {
    fn new() -> Self {
        let mut needles = Self(Vec::new());
        needles.add("user", ADA.as_bytes());
        for n in 0..PURCHASES {
            needles.add("purchase", order(n).as_bytes());
        }
        let bare = Sha256::digest(ADA);
        needles.add("bare hash", &bare[..8]);
        needles.add("bare hash in hexadecimal", &nextbasket_domain::digest(ADA, 8).into_bytes());
        needles.add("bare hash in base64", &STANDARD.encode(bare).as_bytes()[..10]);
        needles.add("bare hash in base64 of URLs", &URL_SAFE_NO_PAD.encode(bare).as_bytes()[..10]);
        needles
    }

    fn add(&mut self, name: &str, bytes: &[u8]) {
        self.0.push((format!("{name} {}", String::from_utf8_lossy(bytes)), bytes.to_vec()));
        // As text in JSON that is in base64, such as a result in an item.
        if name == "user" || name == "pseudonym" {
            for skipped in 0..3 {
                let encoded = STANDARD.encode(bytes.get(skipped..).unwrap_or_default());
                let whole = encoded.len() / 4 * 4 - 4;
                self.0.push((format!("{name} in base64"), encoded.as_bytes()[..whole].to_vec()));
            }
        }
    }

    /// A training's pseudonym of the user: as text, and packed.
    fn add_pseudonym(&mut self, job: &Job) {
        let pseudonym = job.key().unwrap().pseudonym(ADA);
        self.add("pseudonym", pseudonym.as_bytes());
        let raw: Vec<u8> =
            (0..16).map(|n| u8::from_str_radix(&pseudonym[2 * n..2 * n + 2], 16).unwrap()).collect();
        self.add("packed pseudonym", &raw);
    }

    /// The names of those that are in the bytes, also if those are packed.
    fn found_in(&self, content: &[u8]) -> Vec<&str> {
        let mut texts = vec![content.to_vec()];
        if content.starts_with(&[0x1f, 0x8b]) {
            let mut unpacked = Vec::new();
            flate2::read::MultiGzDecoder::new(content).read_to_end(&mut unpacked).unwrap();
            texts.push(unpacked);
        }
        let is_in = |needle: &[u8]| texts.iter().any(|text| contains(text, needle));
        self.0.iter().filter(|(_, needle)| is_in(needle)).map(|(name, _)| name.as_str()).collect()
    }
}

fn contains(text: &[u8], needle: &[u8]) -> bool {
    let Some((first, rest)) = needle.split_first() else { return false };
    let mut from = 0;
    while let Some(at) = text[from..].iter().position(|byte| byte == first) {
        if text[from + at + 1..].starts_with(rest) {
            return true;
        }
        from += at + 1;
    }
    false
}

/// The bytes of a value, whatever it is: texts, numbers and binaries, names included.
fn bytes_of(value: &AttributeValue, bytes: &mut Vec<u8>) {
    bytes.push(b'\n');
    match value {
        AttributeValue::S(text) | AttributeValue::N(text) => bytes.extend(text.as_bytes()),
        AttributeValue::B(blob) => bytes.extend(blob.as_ref()),
        AttributeValue::L(values) => values.iter().for_each(|value| bytes_of(value, bytes)),
        AttributeValue::M(fields) => fields.iter().for_each(|(name, value)| {
            bytes.extend(name.as_bytes());
            bytes_of(value, bytes);
        }),
        other => bytes.extend(format!("{other:?}").as_bytes()),
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

struct World {
    system: LocalDeployment,
    folder: PathBuf,
    ahead: Arc<AtomicI64>,
}

impl World {
    async fn start(folder: &Path) -> Self {
        let options =
            DeploymentOptions { workers: 0, ..DeploymentOptions::on_any_port(Some(folder.to_owned())) };
        let system = Box::pin(LocalDeployment::start(options)).await.unwrap();
        Self { system, folder: folder.to_owned(), ahead: Arc::default() }
    }

    fn tables(&self) -> &Tables {
        self.system.tables()
    }

    fn dynamodb(&self) -> Client {
        Client::new(self.system.machine().sdk_config())
    }

    fn site(&self) -> Site {
        let ahead = self.ahead.clone();
        let clock = Clock::new(move || Clock::system().now().plus_millis(ahead.load(Ordering::Relaxed)));
        Site { clock, ..job_site(self.system.machine()).unwrap() }
    }

    fn engine(&self) -> Engine {
        machine_engine(self.site(), self.tables(), self.system.machine().key())
    }

    /// An engine whose trainings find no table for their model.
    fn broken_engine(&self) -> Engine {
        let names = TableNames { model: Some("no-such-table".to_owned()), ..table_names().unwrap() };
        let tables = Tables::new(self.dynamodb(), names);
        Engine::new(self.site(), nextbasket_job_kinds::kinds(&tables, None)).vouching(Vouching::all())
    }

    /// Submits a job and works on it until it has ended. Returns it as it was submitted, and as it ended.
    async fn run(&self, engine: &Engine, kind: &str, parameters: Value) -> (Job, Job) {
        let submitted = engine.submit(None, kind, parameters).await.unwrap();
        let ended = Box::pin(drive(engine, &submitted.job_id, 4, &Stop::default())).await.unwrap().unwrap();
        (submitted, ended)
    }

    async fn succeed(&self, kind: &str, parameters: Value) -> Value {
        let (_, ended) = self.run(&self.engine(), kind, parameters).await;
        assert_eq!(ended.state, JobState::Succeeded, "{kind}: {:?}", ended.failure);
        ended.result.unwrap()
    }

    async fn send(&self, method: Method, target: &str, body: Value) -> u16 {
        let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{target}", self.system.address()))
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        let (head, body) = client.request(request).await.unwrap().into_parts();
        body.collect().await.unwrap();
        head.status.as_u16()
    }

    async fn buy(&self, id: &str) {
        let lines = json!([{ "productId": "coffee-espresso-1kg", "quantity": 1 }]);
        let body = json!({ "purchaseId": id, "userId": ADA, "lines": lines });
        assert_eq!(self.send(Method::POST, "/purchases", body).await, 201);
    }

    async fn bought(&self) -> Vec<String> {
        let page = self.tables().purchases().unwrap().newest(&UserId::parse(ADA).unwrap()).await.unwrap();
        page.items.iter().map(|purchase| purchase.purchase_id.to_string()).collect()
    }

    async fn baskets(&self) -> usize {
        self.tables().history().unwrap().baskets(&UserId::parse(ADA).unwrap()).await.unwrap().len()
    }

    /// Where the needles are, in items and objects.
    async fn scan(&self, needles: &Needles, but: &[&str]) -> Vec<String> {
        let (client, mut found) = (self.dynamodb(), Vec::new());
        for table in client.list_tables().send().await.unwrap().table_names.unwrap() {
            if but.contains(&table.as_str()) {
                continue;
            }
            let mut pages =
                client.scan().table_name(&table).consistent_read(true).into_paginator().items().send();
            while let Some(item) = pages.next().await {
                let mut bytes = Vec::new();
                bytes_of(&AttributeValue::M(item.unwrap()), &mut bytes);
                found.extend(needles.found_in(&bytes).iter().map(|name| format!("table {table}: {name}")));
            }
        }
        let s3 = aws_sdk_s3::Client::from_conf(self.system.machine().s3_config());
        for bucket in s3.list_buckets().send().await.unwrap().buckets() {
            let bucket = bucket.name().unwrap();
            let mut pages = s3.list_objects_v2().bucket(bucket).into_paginator().send();
            while let Some(page) = pages.next().await {
                for object in page.unwrap().contents() {
                    let key = object.key().unwrap();
                    let body = s3.get_object().bucket(bucket).key(key).send().await.unwrap().body;
                    let content = [key.as_bytes(), b"\n"].concat();
                    let body = body.collect().await.unwrap().to_vec();
                    let names = [needles.found_in(&content), needles.found_in(&body)].concat();
                    found.extend(names.iter().map(|name| format!("{bucket}/{key}: {name}")));
                }
            }
        }
        found
    }

    /// Stops the system and looks into every file of the data folder, except for what the stream keeps for a day.
    async fn stop_and_scan_files(self, needles: &Needles) -> Vec<String> {
        let Self { system, folder, .. } = self;
        system.stop().await.unwrap();
        let database = folder.join("dynamodb.sqlite");
        let connection = rusqlite::Connection::open(&database).unwrap();
        let overwrites: i64 = connection.query_row("PRAGMA secure_delete", [], |row| row.get(0)).unwrap();
        assert_eq!(overwrites, 1, "SQLite was built without the flags of .cargo/config.toml");
        connection.execute("DELETE FROM _stream_records", []).unwrap();
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        drop(connection);
        let mut found = Vec::new();
        for file in files_below(&folder) {
            let names = needles.found_in(&std::fs::read(&file).unwrap()).join(", ");
            if !names.is_empty() {
                found.push(format!("{}: {names}", file.display()));
            }
        }
        found
    }
}

/// A file of ada's purchases, older than now.
fn csv_of_ada(folder: &Path) -> PathBuf {
    let mut lines = "user_id,product_id,timestamp,quantity,basket_id\n".to_owned();
    for n in 0..PURCHASES {
        let (day, order) = (n + 1, order(n));
        lines.push_str(&format!("{ADA},coffee-espresso-1kg,2026-03-{day:02}T10:00:00Z,1,{order}\n"));
        lines.push_str(&format!("{ADA},cleaning-tablets,2026-03-{day:02}T10:00:00Z,1,{order}\n"));
    }
    let file = folder.join("ada.csv");
    std::fs::write(&file, lines).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_user_is_nowhere_and_does_not_come_back() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("data");
    let world = World::start(&folder).await;
    let end = Timestamp::parse("2026-04-01T00:00:00Z").unwrap();
    let shop = nextbasket_shop::generate(7, end, ShopSize { shoppers: 40, days: 200 });
    let (products, purchases) = (world.tables().products().unwrap(), world.tables().purchases().unwrap());
    for product in &shop.products {
        products.put_new(product).await.unwrap();
    }
    for purchase in &shop.purchases {
        purchases.record(purchase).await.unwrap();
    }
    let mut needles = Needles::new();
    let csv = csv_of_ada(outside.path());
    let import = json!({ "source": csv, "histories": true });
    let imported = world.succeed("import", import.clone()).await;
    assert_eq!(imported["written"]["newPurchases"], PURCHASES, "{imported:#}");
    world.system.drain(|_| ()).await.unwrap();
    assert_eq!((world.bought().await.len(), world.baskets().await), (PURCHASES, PURCHASES));

    Box::pin(train_in_every_way(&world, &mut needles)).await;
    let dumps = outside.path().join("dumps");
    Box::pin(ask_for_the_user(&world, &import, outside.path(), &dumps)).await;

    let holds = |file: &PathBuf| !needles.found_in(&std::fs::read(file).unwrap()).is_empty();
    assert!(files_below(&folder).iter().any(holds), "the user is in the data folder");
    assert_eq!(world.send(Method::DELETE, &format!("/users/{ADA}"), Value::Null).await, 202);
    world.system.drain(|_| ()).await.unwrap();
    assert_eq!((world.bought().await.len(), world.baskets().await), (0, 0));
    assert_eq!(world.scan(&needles, &["purchases-copy"]).await, Vec::<String>::new());

    Box::pin(bring_back_in_our_ways(&world, &needles, &import, &dumps)).await;
    Box::pin(bring_back_with_another_tool(&world)).await;

    let update = world.dynamodb().update_table().table_name("purchases-copy");
    update.deletion_protection_enabled(false).send().await.unwrap();
    world.dynamodb().delete_table().table_name("purchases-copy").send().await.unwrap();
    assert_eq!(world.scan(&needles, &[]).await, Vec::<String>::new());
    assert_eq!(world.stop_and_scan_files(&needles).await, Vec::<String>::new());

    Box::pin(come_back(World::start(&folder).await, outside.path(), &dumps)).await;
}

/// Trainings that end well, are refused by the gate, fail, and are cancelled.
async fn train_in_every_way(world: &World, needles: &mut Needles) {
    let (submitted, trained) = world.run(&world.engine(), "train", json!({})).await;
    assert_eq!(trained.state, JobState::Succeeded, "{:?}", trained.failure);
    needles.add_pseudonym(&submitted);
    let poor = json!({ "popularityWeight": 1000, "personalDecay": 0.01, "nextWeight": 0 });
    let (submitted, gated) =
        world.run(&world.engine(), "train", json!({ "params": poor, "ranker": false })).await;
    assert!(gated.failure.as_deref().unwrap().starts_with("the new model is worse"), "{gated:?}");
    needles.add_pseudonym(&submitted);
    let (submitted, failed) = world.run(&world.broken_engine(), "train", json!({})).await;
    assert_eq!(failed.state, JobState::Failed);
    assert!(
        failed.failure.as_deref().unwrap().contains("no-such-table") || failed.stages.len() > 2,
        "{failed:?}"
    );
    needles.add_pseudonym(&submitted);
    let engine = world.engine();
    let cancelled = engine.submit(None, "train", json!({})).await.unwrap();
    needles.add_pseudonym(&cancelled);
    loop {
        let Step::Work(step) = engine.plan(&cancelled.job_id).await.unwrap() else { panic!("it runs") };
        if step.stage == 2 {
            break;
        }
        let job = engine.job(&cancelled.job_id).await.unwrap();
        let share = nextbasket_job_engine::session::Share::Workers(1);
        let session =
            nextbasket_job_engine::session::Session::join(engine.site(), job, share).await.unwrap().unwrap();
        for task in engine.tasks(&step).await.unwrap() {
            engine.work(task, &session, None).await.unwrap();
        }
        session.leave().await.unwrap();
    }
    // The scan finds what is there.
    let found = world.scan(needles, &[]).await;
    for name in
        ["nextbasket-purchases: user", "nextbasket-purchases: purchase", "jobsbucket/jobs/", "pseudonym"]
    {
        assert!(found.iter().any(|found| found.contains(name)), "{name}: {found:#?}");
    }
    engine.cancel(&cancelled.job_id).await.unwrap();
    assert_eq!(engine.job(&cancelled.job_id).await.unwrap().state, JobState::Cancelled);
}

/// Jobs that ask for the user, also some that fail.
async fn ask_for_the_user(world: &World, import: &Value, outside: &Path, dumps: &Path) {
    let table = "nextbasket-purchases";
    let where_user = format!("userId = '{ADA}'");
    let counted = world.succeed("count", json!({ "table": table, "where": where_user })).await;
    assert_eq!(counted["matched"], PURCHASES);
    let set = format!("note = 'for {ADA}'");
    world.succeed("update", json!({ "table": table, "where": where_user, "set": set })).await;
    let set = format!("seen = if_not_exists(seen, 0) + 1, note = '{ADA}'");
    world.succeed("update", json!({ "table": table, "where": where_user, "set": set })).await;
    let split = json!({ "by": "time", "attribute": "purchasedAt", "every": "30d" });
    world
        .succeed("update", json!({ "table": table, "where": where_user, "set": "x = 5", "split": split }))
        .await;
    let gone = format!("purchaseId = '{}'", order(0));
    assert_eq!(world.succeed("delete", json!({ "table": table, "where": gone })).await["changed"], 1);
    let keys = json!({ "table": table, "where": where_user, "set": format!("userId = '{ADA}'") });
    let (_, refused) = world.run(&world.engine(), "update", keys).await;
    assert_eq!(refused.state, JobState::Failed);
    let missing = json!({ "table": "no-such-table", "where": where_user });
    assert_eq!(world.run(&world.engine(), "count", missing).await.1.state, JobState::Failed);
    world.succeed("rebuild-history", json!({ "user": ADA })).await;
    world.succeed("rebuild-history", json!({})).await;
    let mapped = json!({
        "input": { "table": table, "where": where_user },
        "command": ["grep", "-c", ADA],
        "output": outside.join("mapped.txt"),
        "outputFormat": "text",
    });
    world.succeed("map", mapped).await;
    world.succeed("import", import.clone()).await;
    world.system.drain(|_| ()).await.unwrap();
    let tables = json!(["nextbasket-purchases", "nextbasket-history"]);
    world
        .succeed("dump", json!({ "tables": tables, "to": dumps, "where": "attribute_exists(userId)" }))
        .await;
    // Restored elsewhere, the user is there: that is a copy of its own.
    let copy = json!({ "from": newest_dump(dumps, "nextbasket-purchases"), "table": "purchases-copy", "create": true });
    assert_eq!(world.succeed("restore", copy).await["erased"], 0);
}

/// No way of ours back into the stack brings them back, also after the secret was changed.
async fn bring_back_in_our_ways(world: &World, needles: &Needles, import: &Value, dumps: &Path) {
    let table = "nextbasket-purchases";
    let newest = |table: &str| newest_dump(dumps, table);
    for rotated in [false, true] {
        if rotated {
            let rotation = world.succeed("rotate-secret", json!({})).await;
            assert_eq!((&rotation["kept"], &rotation["removed"]), (&json!(1), &json!(0)), "{rotation}");
        }
        for conflict in ["overwrite", "skip"] {
            let restore =
                json!({ "from": newest("nextbasket-purchases"), "table": table, "onConflict": conflict });
            let restored = world.succeed("restore", restore).await;
            assert_eq!(restored["erased"], PURCHASES, "{restored}");
            let restore = json!({
                "from": newest("nextbasket-history"), "table": "nextbasket-history", "onConflict": conflict,
            });
            assert_eq!(world.succeed("restore", restore).await["erased"], 1);
        }
        let copied =
            world.succeed("copy", json!({ "table": "purchases-copy", "to": { "table": table } })).await;
        assert_eq!(copied["erased"], PURCHASES, "{copied}");
        let imported = world.succeed("import", import.clone()).await;
        assert_eq!(imported["written"]["erasedPurchases"], PURCHASES, "{imported:#}");
        world.system.drain(|_| ()).await.unwrap();
        assert_eq!((world.bought().await.len(), world.baskets().await), (0, 0));
        assert_eq!(world.scan(needles, &["purchases-copy"]).await, Vec::<String>::new());
    }
}

/// Another tool does bring them back; then `rebuild-history` removes them.
async fn bring_back_with_another_tool(world: &World) {
    let table = "nextbasket-purchases";
    let raw = world.dynamodb().scan().table_name("purchases-copy").send().await.unwrap().items.unwrap();
    for item in raw.into_iter().filter(|item| item["userId"] == AttributeValue::S(ADA.to_owned())) {
        world.dynamodb().put_item().table_name(table).set_item(Some(item)).send().await.unwrap();
    }
    world.system.drain(|_| ()).await.unwrap();
    assert_eq!((world.bought().await.len(), world.baskets().await), (PURCHASES, PURCHASES));
    let rebuilt = world.succeed("rebuild-history", json!({})).await;
    assert_eq!(rebuilt["erased"], PURCHASES, "{rebuilt}");
    world.system.drain(|_| ()).await.unwrap();
    assert_eq!((world.bought().await.len(), world.baskets().await), (0, 0));
}

/// The person comes back: what they buy from now on stays, and nothing from before.
async fn come_back(world: World, outside: &Path, dumps: &Path) {
    let table = "nextbasket-purchases";
    let newest = |table: &str| newest_dump(dumps, table);
    world.buy("back-again").await;
    let restore = json!({ "from": newest("nextbasket-purchases"), "table": table });
    assert_eq!(world.succeed("restore", restore).await["erased"], PURCHASES);
    let dumped = outside.join("later");
    world.succeed("dump", json!({ "table": table, "to": dumped })).await;
    assert_eq!(world.succeed("rebuild-history", json!({ "user": ADA })).await["erased"], 0);
    world.tables().purchases().unwrap().remove_all(&UserId::parse(ADA).unwrap()).await.unwrap();
    let restore = json!({ "from": newest_dump(&dumped, table), "table": table });
    assert_eq!(world.succeed("restore", restore).await["erased"], 0, "it was bought after the erasure");
    world.system.drain(|_| ()).await.unwrap();
    assert_eq!((world.bought().await, world.baskets().await), (vec!["back-again".to_owned()], 1));

    // Erased again, they are remembered with the secret in use alone; the old one can go after a day.
    assert_eq!(world.send(Method::DELETE, &format!("/users/{ADA}"), Value::Null).await, 202);
    world.ahead.store(Duration::from_secs(25 * 60 * 60).as_millis().try_into().unwrap(), Ordering::Relaxed);
    let rotation = world.succeed("rotate-secret", json!({})).await;
    assert_eq!((&rotation["kept"], &rotation["removed"]), (&json!(1), &json!(1)), "{rotation}");
    let restore = json!({ "from": newest_dump(&dumped, table), "table": table });
    assert_eq!(world.succeed("restore", restore).await["erased"], 1);
    world.system.stop().await.unwrap();
}

/// The folder of the newest dump of this table.
fn newest_dump(dumps: &Path, table: &str) -> PathBuf {
    let exports = std::fs::read_dir(dumps.join("AWSDynamoDB")).unwrap();
    let mut folders: Vec<PathBuf> = exports.map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let of_table = |folder: &&PathBuf| {
        let summary = std::fs::read_to_string(folder.join("manifest-summary.json")).unwrap_or_default();
        summary.contains(&format!("table/{table}\""))
    };
    folders.iter().rev().find(of_table).unwrap_or_else(|| panic!("{folders:?}")).clone()
}
