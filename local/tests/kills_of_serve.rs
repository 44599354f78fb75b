//! `serve` is killed again and again under load, with jobs running: nothing that it acknowledged is lost.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that cannot go on fails there"
)]

mod command;
mod killed;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock, mpsc};
use std::time::{Duration, Instant};

use command::{nextbasket, succeed};
use hyper::Method;
use killed::Draw;
use nextbasket::api_client::ApiClient;
use nextbasket::local_deployment::{DeploymentOptions, LocalDeployment};
use nextbasket_domain::UserId;
use serde_json::{Value, json};

const USERS: usize = 8;
const PRODUCTS: usize = 60;
/// The number of a user's newest purchases that a history holds.
const NEWEST: usize = 100;
/// How long nothing may change while the test waits for something: claims of killed processes expire after 15
/// seconds.
const PATIENCE: Duration = Duration::from_secs(240);

fn kills() -> u64 {
    std::env::var("NEXTBASKET_KILLS").map_or(50, |kills| kills.parse().unwrap())
}

/// The number of acknowledged purchases, over all clients.
static ACKNOWLEDGED: AtomicU64 = AtomicU64::new(0);

/// The address of the current server, if there is one.
type Address = Arc<RwLock<Option<SocketAddr>>>;

/// The server, killed and started again and again.
struct Lives {
    data: PathBuf,
    address: Address,
    child: Option<Child>,
}

impl Lives {
    fn new(data: &Path) -> Self {
        Self { data: data.to_owned(), address: Address::default(), child: None }
    }

    /// Starts a server; its address comes through the returned channel once it listens.
    fn begin(&mut self) -> mpsc::Receiver<SocketAddr> {
        let data = self.data.to_str().unwrap();
        let mut child = nextbasket(&["serve", "--listen", "127.0.0.1:0", "--data", data])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        self.child = Some(child);
        let (sender, receiver) = mpsc::channel();
        // Ends with the server, whose end closes the pipe.
        std::thread::spawn(move || {
            let mut line = String::new();
            while out.read_line(&mut line).is_ok_and(|read| read > 0) {
                if let Some(address) = line.trim().strip_prefix("http://").and_then(|text| text.parse().ok())
                {
                    let _ = sender.send(address);
                }
                line.clear();
            }
        });
        receiver
    }

    /// Starts a server and waits until it listens.
    fn serve(&mut self) -> SocketAddr {
        let address = self.begin().recv_timeout(PATIENCE).expect("the server listens");
        *self.address.write().unwrap() = Some(address);
        address
    }

    fn kill(&mut self) {
        *self.address.write().unwrap() = None;
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Lives {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A client's view of its purchases.
#[derive(Default)]
struct Known {
    /// Acknowledged, and not cancelled.
    there: BTreeMap<String, Value>,
    /// The cancellation was acknowledged.
    gone: BTreeSet<String>,
    /// Sent without an answer: a purchase, or its cancellation.
    unsure: BTreeSet<String>,
    answers: u64,
}

/// Buys, cancels and asks for recommendations until `stop` is set, whichever server answers.
async fn client(user: String, mut draw: Draw, address: Address, stop: Arc<AtomicBool>) -> Known {
    let mut known = Known::default();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let Some(server) = *address.read().unwrap() else {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        let api = ApiClient::new(server);
        let cancelled = known.there.keys().next().filter(|_| draw.between(0, 6) == 0).cloned();
        if let Some(id) = cancelled {
            let path = format!("/users/{user}/purchases/{id}");
            match api.call(Method::DELETE, &path, None).await {
                Ok(_) => drop(known.gone.insert(id.clone())),
                Err(_) => drop(known.unsure.insert(id.clone())),
            }
            known.there.remove(&id);
            continue;
        }
        if draw.between(0, 8) == 0 {
            let asked = api.get(&format!("/users/{user}/recommendations?limit=3")).await;
            known.answers += u64::from(asked.is_ok());
            continue;
        }
        // Without an answer the same request is sent again, as a careful client does; now and then it is not.
        let again = known.unsure.iter().next_back().filter(|id| !id.is_empty() && draw.between(0, 2) == 0);
        let n = match again.and_then(|id| id.strip_prefix('o')?.parse().ok()) {
            Some(n) => n,
            None => {
                number += 1;
                number
            }
        };
        let (id, body) = purchase(&user, n);
        match api.call(Method::POST, "/purchases", Some(&body)).await {
            Ok(answer) => {
                known.unsure.remove(&id);
                known.there.insert(id, answer);
                ACKNOWLEDGED.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) => drop(known.unsure.insert(id)),
        }
    }
    known
}

fn purchase(user: &str, n: u64) -> (String, Value) {
    let id = format!("o{n:05}");
    let product = |k: u64| format!("p{}", (n * 7 + k * 13) % PRODUCTS as u64);
    let lines: Vec<Value> =
        (0..1 + n % 4).map(|k| json!({ "productId": product(k), "quantity": 1 + n % 3 })).collect();
    let at = format!("2026-01-{:02}T{:02}:{:02}:00.000Z", 1 + n / 1_440 % 28, n / 60 % 24, n % 60);
    (id.clone(), json!({ "purchaseId": id, "userId": user, "purchasedAt": at, "lines": lines }))
}

/// The jobs that run meanwhile, with parameters for which their results are known.
fn job(n: u64) -> Value {
    let (kind, parameters) = match n % 5 {
        0 => (
            "update",
            json!({
                "table": "nextbasket-products", "set": "visits = if_not_exists(visits, 0) + 1", "batchSize": 7,
            }),
        ),
        1 => (
            "dump",
            json!({ "table": "nextbasket-products", "to": format!("s3://nextbasket-jobsbucket/dumps/{n}") }),
        ),
        2 => ("count", json!({ "table": "nextbasket-products", "segments": 3 })),
        3 => ("rebuild-history", json!({})),
        _ => ("refresh-popular", json!({})),
    };
    json!({ "jobId": format!("life-{n}"), "kind": kind, "parameters": parameters })
}

/// Repeats the request until there is an answer.
async fn insist(address: &Address, method: Method, path: &str, body: Option<&Value>) -> Value {
    let begun = Instant::now();
    loop {
        let server = *address.read().unwrap();
        if let Some(server) = server {
            match ApiClient::new(server).call(method.clone(), path, body).await {
                Ok(answer) => return answer,
                Err(error) => assert!(begun.elapsed() < PATIENCE, "{path}: {error}"),
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A user's history, folded from the purchases themselves.
fn fold(mut purchases: Vec<Value>) -> Vec<(String, BTreeSet<String>)> {
    let text = |purchase: &Value, name: &str| purchase[name].as_str().unwrap().to_owned();
    purchases.sort_by_key(|purchase| (text(purchase, "purchasedAt"), text(purchase, "purchaseId")));
    let newest = purchases.iter().rev().take(NEWEST);
    let products = |purchase: &Value| {
        purchase["lines"].as_array().unwrap().iter().map(|line| text(line, "productId")).collect()
    };
    newest.map(|purchase| (text(purchase, "purchasedAt"), products(purchase))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_under_load_loses_nothing_and_its_jobs_end() {
    let mut draw = Draw::seeded();
    let seed = draw.seed;
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let data = folder.path().join("data");
    let mut lives = Lives::new(&data);
    lives.serve();
    for n in 0..PRODUCTS {
        let product = json!({ "name": format!("Product {n}"), "categories": ["Coffee"] });
        insist(&lives.address, Method::PUT, &format!("/products/p{n}"), Some(&product)).await;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..USERS)
        .map(|n| {
            let draw = draw.fork();
            tokio::spawn(client(format!("user{n}"), draw, lives.address.clone(), stop.clone()))
        })
        .collect();
    let mut jobs = Vec::new();
    for life in 0..kills() {
        if life % 3 == 0 {
            let job = job(life / 3);
            let id = insist(&lives.address, Method::POST, "/jobs", Some(&job)).await["jobId"].clone();
            jobs.push((id.as_str().unwrap().to_owned(), job["kind"].clone()));
        }
        // The kill comes in the middle of the load, however fast this machine is.
        let (begun, enough) = (Instant::now(), ACKNOWLEDGED.load(Ordering::Relaxed) + draw.between(0, 25));
        while ACKNOWLEDGED.load(Ordering::Relaxed) < enough && begun.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(draw.between(0, 100))).await;
        lives.kill();
        // Sometimes a server is killed while it is still starting.
        if draw.between(0, 4) == 0 {
            let _ = lives.begin();
            tokio::time::sleep(Duration::from_millis(draw.between(0, 400))).await;
            lives.kill();
        }
        lives.serve();
    }
    stop.store(true, Ordering::Relaxed);
    let mut known = Vec::new();
    for client in clients {
        known.push(client.await.unwrap());
    }
    let mut updates = 0;
    for (id, kind) in &jobs {
        let (mut changed, mut before) = (Instant::now(), Value::Null);
        let ended = loop {
            let job = insist(&lives.address, Method::GET, &format!("/jobs/{id}"), None).await;
            if !matches!(job["state"].as_str(), Some("waiting" | "running")) {
                break job;
            }
            if job != before {
                (changed, before) = (Instant::now(), job);
            }
            assert!(changed.elapsed() < PATIENCE, "seed {seed}: job {id} does not move: {before}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        assert_eq!(ended["state"], "succeeded", "seed {seed}: {ended}");
        let field = match kind.as_str().unwrap() {
            "update" => "changed",
            "dump" => "items",
            "count" => "processed",
            _ => continue,
        };
        updates += u64::from(kind == "update");
        assert_eq!(ended["result"][field], PRODUCTS, "seed {seed}: {ended}");
    }
    lives.kill();

    // Check from within: another system on the same folder, which follows the streams up to their ends.
    let settings = DeploymentOptions { workers: 0, ..DeploymentOptions::on_any_port(Some(data.clone())) };
    let system = LocalDeployment::start(settings).await.unwrap();
    system.drain(|_| ()).await.unwrap();
    let api = ApiClient::new(system.address());
    let (mut acknowledged, mut answers) = (0, 0);
    for (n, known) in known.iter().enumerate() {
        let user = format!("user{n}");
        let stored = purchases(&api, &user).await;
        let of = |id: &str| stored.iter().find(|purchase| purchase["purchaseId"] == id);
        for (id, purchase) in &known.there {
            assert_eq!(of(id), Some(purchase), "seed {seed}: {user} has lost {id}");
        }
        for id in &known.gone {
            assert_eq!(of(id), None, "seed {seed}: {user} has {id} again, which was cancelled");
        }
        for purchase in &stored {
            let id = purchase["purchaseId"].as_str().unwrap();
            assert!(known.there.contains_key(id) || known.unsure.contains(id), "seed {seed}: {user}: {id}");
        }
        let history =
            system.tables().history().unwrap().baskets(&UserId::parse(&user).unwrap()).await.unwrap();
        let history: Vec<_> = history
            .into_iter()
            .map(|basket| {
                let products: BTreeSet<_> = basket.products.iter().map(ToString::to_string).collect();
                (basket.purchased_at.to_string(), products)
            })
            .collect();
        assert_eq!(history, fold(stored), "seed {seed}: the history of {user}");
        acknowledged += known.there.len() + known.gone.len();
        answers += known.answers;
    }
    system.stop().await.unwrap();
    println!(
        "{} kills, {acknowledged} purchases acknowledged, {answers} answers, {} jobs",
        kills(),
        jobs.len()
    );
    assert!(acknowledged > USERS && answers > 0, "seed {seed}: {acknowledged} purchases, {answers} answers");

    let data = data.to_str().unwrap();
    let where_right = format!("visits = {updates}");
    let counted =
        succeed(&["count", "nextbasket-products", "--where", &where_right, "--json", "--data", data]);
    let counted: Value = serde_json::from_str(&counted).unwrap();
    assert_eq!(counted["result"]["matched"], PRODUCTS, "seed {seed}: each of {updates} updates counts once");
    let dump = jobs.iter().rposition(|(_, kind)| kind == "dump").unwrap();
    let verified = succeed(&["verify", &format!("s3://nextbasket-jobsbucket/dumps/{dump}"), "--data", data]);
    assert!(verified.starts_with(&format!("good: {PRODUCTS} items")), "seed {seed}: {verified}");
}

/// All purchases of a user.
async fn purchases(api: &ApiClient, user: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("/users/{user}/purchases?limit=100{cursor}")).await.unwrap();
        all.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}
