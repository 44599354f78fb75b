//! Every command is killed at random moments; run again, it succeeds with exact results.

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

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use command::{nextbasket, run, shop_csv, succeed};
use killed::Draw;
use serde_json::Value;
use tempfile::TempDir;

const PURCHASES: &str = "table:nextbasket-purchases";
/// When the older half of the generated purchases was made.
const OLD: &str = "purchasedAt < '2025-10-01'";

/// How many times each command is killed.
fn kills() -> u64 {
    std::env::var("NEXTBASKET_KILLS").map_or(2, |kills| kills.parse().unwrap())
}

fn memory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// A folder with an imported shop, a dump of its purchases and a copy of that table; and the time that a command
/// takes here to do next to nothing.
struct Base {
    folder: TempDir,
    purchases: u64,
    moment: Duration,
}

static BASE: LazyLock<Base> = LazyLock::new(|| {
    let folder = memory();
    let csv = shop_csv(folder.path());
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (data, dumps) = (at("data"), at("dumps"));
    let report = succeed(&["import", csv.to_str().unwrap(), "--data", &data, "--json"]);
    let report: Value = serde_json::from_str(&report).unwrap();
    let purchases = report["written"]["newPurchases"].as_u64().unwrap();
    succeed(&["dump", "nextbasket-purchases", "--to", &dumps, "--data", &data]);
    succeed(&["restore", &dumps, "things", "--create", "--data", &data]);
    let begun = Instant::now();
    succeed(&["count", "things", "--data", &data]);
    Base { purchases, moment: begun.elapsed(), folder }
});

/// A private copy of the base.
struct World {
    folder: TempDir,
    draw: Draw,
}

impl World {
    fn new(name: &str) -> Self {
        let folder = memory();
        copied(BASE.folder.path(), folder.path());
        println!("{name}");
        Self { folder, draw: Draw::seeded() }
    }

    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// The arguments, with the data folder.
    fn on<'a>(&self, arguments: &[&'a str]) -> Vec<String> {
        let own: [String; 2] = ["--data".to_owned(), self.at("data")];
        // After `--` comes the command line of another program.
        let behind = arguments.iter().position(|argument| *argument == "--").unwrap_or(arguments.len());
        let (ours, others) = arguments.split_at(behind);
        let text = |argument: &&'a str| (*argument).to_owned();
        ours.iter().map(text).chain(own).chain(others.iter().map(text)).collect()
    }

    fn succeed(&self, arguments: &[&str]) -> String {
        let all = self.on(arguments);
        let (output, out, err) = run(&all.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(output.status.success(), "seed {}: {all:?}: {}\n{out}\n{err}", self.draw.seed, output.status);
        out
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let all: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&self.succeed(&all)).unwrap()
    }

    /// Starts the command and kills it within `times` times the duration of a short one.
    fn kill(&mut self, arguments: &[&str], times: u64) {
        let all = self.on(arguments);
        let begun = Instant::now();
        let mut child = nextbasket(&all.iter().map(String::as_str).collect::<Vec<_>>())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let life = BASE.moment.mul_f64(self.draw.between(100, 1_000 * times) as f64 / 1_000.0);
        while begun.elapsed() < life && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = child.kill();
        let status = child.wait().unwrap();
        println!("{} after {:?}: {status}", arguments[0], begun.elapsed());
    }

    /// Kills the command again and again, and then lets it finish.
    fn killed(&mut self, arguments: &[&str], times: u64) -> String {
        for _ in 0..kills() {
            self.kill(arguments, times);
        }
        self.succeed(arguments)
    }

    /// How many items of a table meet a condition.
    fn count(&self, table: &str, condition: &str) -> u64 {
        let counted = self.json(&["count", table, "--where", condition]);
        counted["result"]["matched"].as_u64().unwrap_or_else(|| panic!("{counted}"))
    }

    fn equal(&self, one: &str, other: &str) {
        let said = self.succeed(&["verify", one, other]);
        assert!(said.starts_with("equal: "), "seed {}: {one} and {other}: {said}", self.draw.seed);
    }
}

fn copied(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copied(&path, &target) } else { fs::copy(&path, &target).map(drop).unwrap() }
    }
}

#[test]
fn import() {
    let mut world = World::new("import");
    fs::remove_dir_all(world.at("data")).unwrap();
    let csv = world.at("shop.csv");
    let report = world.killed(&["import", &csv, "--json"], 4);
    let report: Value = serde_json::from_str(&report).unwrap();
    let count = |name: &str| report["written"][name].as_u64().unwrap();
    assert_eq!(count("newPurchases") + count("knownPurchases"), BASE.purchases, "seed {}", world.draw.seed);
    assert_eq!(count("differingPurchases"), 0);
    let dumps = world.at("dumps");
    world.equal(&dumps, PURCHASES);
    assert!(world.succeed(&["rebuild-history"]).contains(": 0 histories were brought in line"));
}

#[test]
fn train_and_recommend() {
    let whole = World::new("train");
    whole.succeed(&["train"]);
    let mut world = World::new("train");
    world.killed(&["train"], 3);
    let recommended = |world: &World| world.json(&["recommend", "ada"])["items"].clone();
    // The same purchases give the same model.
    assert_eq!(recommended(&world), recommended(&whole), "seed {}", world.draw.seed);
    world.killed(&["recommend", "ada"], 1);
    let models = world.json(&["models", "list"]);
    let live = models["items"].as_array().unwrap().iter().filter(|model| model["live"] == true).count();
    assert_eq!(live, 1, "{models}");
}

#[test]
fn rebuild_history_and_refresh_popular() {
    let mut world = World::new("rebuild-history");
    world.succeed(&["delete", "nextbasket-history", "--all"]);
    world.killed(&["rebuild-history"], 2);
    let again = world.succeed(&["rebuild-history"]);
    assert!(again.contains(": 0 histories were brought in line"), "seed {}: {again}", world.draw.seed);
    world.killed(&["refresh-popular"], 2);
}

#[test]
fn dump_verify_and_restore() {
    let mut world = World::new("dump");
    let (dumps, to) = (world.at("dumps"), world.at("again"));
    world.killed(&["dump", "nextbasket-purchases", "--to", &to], 2);
    world.equal(&to, PURCHASES);
    let said = world.killed(&["verify", &dumps, PURCHASES], 2);
    assert!(said.starts_with(&format!("equal: {} items", BASE.purchases)), "{said}");
    // A table that exists is not created again; the job is resumed.
    let parameters = serde_json::json!({ "from": dumps, "table": "restored", "create": true }).to_string();
    world.succeed(&["jobs", "submit", "restore", &parameters, "--id", "restore-again"]);
    world.killed(&["jobs", "work", "restore-again", "--vouch"], 2);
    world.equal("table:restored", PURCHASES);
    let differences = world.at("differences.jsonl");
    let said = world.killed(&["diff", "table:restored", PURCHASES, "--to", &differences], 2);
    assert_eq!(said, format!("equal: {} items\n", BASE.purchases));
}

#[test]
fn copy_and_delete() {
    let mut world = World::new("delete");
    world.killed(&["delete", "things", "--all"], 2);
    assert_eq!(world.json(&["count", "things"])["result"]["processed"], 0, "seed {}", world.draw.seed);
    world.killed(&["copy", "nextbasket-purchases", "things"], 2);
    world.equal("table:things", PURCHASES);
    let old = world.count("things", OLD);
    world.killed(&["delete", "things", "--where", OLD], 2);
    let left = world.json(&["count", "things"]);
    assert_eq!(left["result"]["processed"], BASE.purchases - old, "seed {}", world.draw.seed);
    let said = world.killed(&["count", "things"], 1);
    assert!(said.contains(&(BASE.purchases - old).to_string()), "{said}");
}

#[test]
fn update_and_jobs_work() {
    let mut world = World::new("update");
    world.killed(&["update", "things", "--set", "season = 'spring'"], 2);
    assert_eq!(world.count("things", "season = 'spring'"), BASE.purchases, "seed {}", world.draw.seed);
    // A change that would count twice is not submitted again; its job is resumed.
    let job = "count-up";
    let parameters = r#"{"table": "things", "set": "n = if_not_exists(n, 0) + 1", "batchSize": 20}"#;
    world.succeed(&["jobs", "submit", "update", parameters, "--id", job]);
    world.killed(&["jobs", "work", job], 2);
    assert_eq!(world.count("things", "n = 1"), BASE.purchases, "seed {}", world.draw.seed);
    let filled = ["fill", "filled", "--count", "900", "--item-bytes", "300"];
    let dumps = world.at("dumps");
    world.succeed(&["restore", &dumps, "filled", "--create"]);
    world.succeed(&["delete", "filled", "--all"]);
    world.killed(&filled, 2);
    assert_eq!(world.json(&["count", "filled"])["result"]["processed"], 900, "seed {}", world.draw.seed);
}

#[test]
fn archive() {
    let mut world = World::new("archive");
    let archive = world.at("archive");
    let old = world.count("things", OLD);
    assert!(old > 0);
    world.killed(&["archive", "things", "--where", OLD, "--to", &archive], 3);
    assert_eq!(world.count("things", OLD), 0, "seed {}", world.draw.seed);
    let left = world.json(&["count", "things"]);
    assert_eq!(left["result"]["processed"], BASE.purchases - old, "seed {}", world.draw.seed);
    // Nothing is lost: items that several interrupted runs moved away come back.
    for export in fs::read_dir(Path::new(&archive).join("AWSDynamoDB")).unwrap() {
        let export = export.unwrap().path();
        if export.join("manifest-summary.json").exists() {
            world.succeed(&["restore", export.to_str().unwrap(), "things", "--on-conflict", "skip"]);
        }
    }
    world.equal("table:things", PURCHASES);
}

#[test]
fn map() {
    let mut world = World::new("map");
    let out = world.at("out.jsonl");
    let map =
        ["map", "--table", "things", "--command", "cat", "--to", &out, "--plain", "--batch-size", "100"];
    world.killed(&map, 2);
    let lines = fs::read_to_string(&out).unwrap();
    let key = |line: &str| {
        let item: Value = serde_json::from_str(line).unwrap();
        (item["userId"].as_str().unwrap().to_owned(), item["purchaseId"].as_str().unwrap().to_owned())
    };
    let keys: BTreeSet<_> = lines.lines().map(key).collect();
    let counts = (keys.len() as u64, lines.lines().count() as u64);
    assert_eq!(counts, (BASE.purchases, BASE.purchases), "seed {}", world.draw.seed);
}

#[test]
fn upload() {
    let mut world = World::new("upload");
    let folder = world.folder.path().join("logs");
    fs::create_dir_all(&folder).unwrap();
    for n in 0..300 {
        fs::write(folder.join(format!("{n}.log")), format!("line {n}\n").repeat(n)).unwrap();
    }
    let folder = folder.to_str().unwrap().to_owned();
    let upload = ["upload", &folder, "s3://nextbasket-jobsbucket/logs", "--lease", "1s", "--json"];
    world.killed(&upload, 2);
    let again: Value = serde_json::from_str(&world.succeed(&upload)).unwrap();
    assert_eq!(
        (&again["files"], &again["alreadyThere"]),
        (&300.into(), &300.into()),
        "seed {}",
        world.draw.seed
    );
}

#[test]
fn lock_run() {
    let mut world = World::new("lock");
    let log = world.at("log");
    let script = format!("echo $NEXTBASKET_LOCK_FENCE >> {log}");
    let lock =
        ["lock", "run", "nightly", "--lease", "1s", "--wait", "60s", "--", "sh", "-c", script.as_str()];
    world.killed(&lock, 1);
    world.killed(&lock, 1);
    let fences = fs::read_to_string(&log).unwrap();
    let fences: Vec<u64> = fences.lines().map(|fence| fence.parse().unwrap()).collect();
    assert!(fences.len() >= 2 && fences.is_sorted_by(|a, b| a < b), "seed {}: {fences:?}", world.draw.seed);
    let shown = world.json(&["lock", "show", "nightly"]);
    assert_eq!(shown["state"], "free", "seed {}: {shown}", world.draw.seed);
}
