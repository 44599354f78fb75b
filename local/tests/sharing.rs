//! Any number of commands on one data folder without a server, whichever of them ends or is killed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod command;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use command::{Server, fail, nextbasket, run, shop_csv, succeed};
use serde_json::{Value, json};
use tempfile::TempDir;

struct World {
    root: TempDir,
    data: String,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let data = root.path().join("data").to_str().unwrap().to_owned();
        Self { root, data }
    }

    fn at(&self, name: &str) -> String {
        self.root.path().join(name).to_str().unwrap().to_owned()
    }

    fn start(&self, arguments: &[&str]) -> Child {
        let mut all = arguments.to_vec();
        let at = all.iter().position(|word| *word == "--").unwrap_or(all.len());
        all.splice(at..at, ["--data", self.data.as_str()]);
        nextbasket(&all).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// A command that has the folder open until it is ended.
    fn holder(&self) -> Holder {
        // The command that it runs ends with it, also when it is killed.
        let stays = "while kill -0 $PPID 2>/dev/null; do sleep 0.1; done";
        let child = self.start(&["lock", "run", "held", "--", "sh", "-c", stays]);
        let holder = Holder(child);
        self.until_open();
        holder
    }

    fn until_open(&self) {
        let announced = Path::new(&self.data).join("server.json");
        until("the folder is open", || announced.exists());
    }

    fn with_data(&self, arguments: &[&str]) -> String {
        let mut all = arguments.to_vec();
        all.extend(["--data", &self.data]);
        succeed(&all)
    }

    /// Makes the folder: only what fills one, or takes a lock, does.
    fn make(&self) {
        succeed(&["lock", "run", "first", "--data", &self.data, "--", "true"]);
    }

    fn job(&self, id: &str) -> Value {
        serde_json::from_str(&self.with_data(&["jobs", "show", id, "--json"])).unwrap()
    }

    /// A job of many batches, each of which writes a line to a file and waits until it may end.
    fn submit_map(&self, id: &str, batches: usize) {
        let lines: String = (0..batches).map(|n| format!("{{\"n\":{n}}}\n")).collect();
        fs::write(self.at("in.jsonl"), lines).unwrap();
        let (begun, go) = (self.at("begun"), self.at("go"));
        let script = format!("echo $$ >> {begun}; while [ ! -e {go} ]; do sleep 0.05; done; cat");
        let parameters = json!({
            "input": { "files": self.at("in.jsonl"), "format": "jsonl" },
            "output": self.at("out.jsonl"),
            "command": ["sh", "-c", script],
            "batchItems": 1,
            "width": 6,
        });
        self.with_data(&["jobs", "submit", "map", &parameters.to_string(), "--id", id]);
    }

    fn begun(&self) -> usize {
        fs::read_to_string(self.at("begun")).unwrap_or_default().lines().count()
    }
}

/// A process that is killed when it is dropped.
struct Holder(Child);

impl Holder {
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn until(what: &str, so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < Duration::from_secs(120), "in two minutes: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn ended(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), said)
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

#[test]
fn three_processes_work_on_a_job_and_the_one_with_the_folder_is_killed() {
    let world = World::new();
    world.make();
    world.submit_map("six", 6);
    let work = ["jobs", "work", "six", "--workers", "2"];
    let mut first = Holder(world.start(&work));
    until("the first one works", || world.begun() == 2);
    let others = [world.start(&work), world.start(&work)];
    until("all three work", || world.begun() >= 6);
    first.kill();
    fs::write(world.at("go"), "").unwrap();
    let mut took_over = 0;
    for other in others {
        let (code, said) = ended(other);
        assert_eq!(code, Some(0), "{said}");
        took_over += said.matches("this process has the data folder open now").count();
    }
    // If the first of them has ended before the other, the other opens it in turn.
    assert!((1..=2).contains(&took_over), "one at a time opens the folder in its place: {took_over}");
    let mut out: Vec<_> =
        fs::read_to_string(world.at("out.jsonl")).unwrap().lines().map(str::to_owned).collect();
    out.sort();
    assert_eq!(
        out,
        (0..6).map(|n| format!("{{\"n\":{n}}}")).collect::<Vec<_>>(),
        "nothing is lost or twice there"
    );
    assert_eq!(world.job("six")["state"], "succeeded");
}

#[test]
fn a_command_under_a_lock_works_on_the_folder_of_the_lock() {
    let world = World::new();
    let csv = shop_csv(world.root.path());
    let exe = env!("CARGO_BIN_EXE_nextbasket");
    let (csv, data) = (csv.to_str().unwrap(), world.data.as_str());
    let out = succeed(&["lock", "run", "nightly", "--data", data, "--", exe, "import", csv, "--data", data]);
    assert!(out.contains("Now there: "), "{out}");
    let out = succeed(&["lock", "run", "nightly", "--data", data, "--", exe, "train", "--data", data]);
    assert!(out.contains("Model 1 is live"), "{out}");
    assert!(world.with_data(&["rebuild-history"]).contains(": 0 histories were brought in line"));
}

#[test]
fn a_command_ends_when_its_own_work_is_done_and_leaves_the_folder_to_the_others() {
    let world = World::new();
    let owner =
        world.start(&["lock", "run", "first", "--", "sh", "-c", "while [ ! -e go ]; do sleep 0.05; done"]);
    world.until_open();
    world.submit_map("later", 2);
    let worker = world.start(&["jobs", "work", "later"]);
    until("the worker works", || world.begun() == 2);
    signal(&owner, "TERM");
    ended(owner);
    fs::write(world.at("go"), "").unwrap();
    let (code, said) = ended(worker);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("this process has the data folder open now"), "{said}");
}

#[test]
fn whoever_waits_for_a_job_that_nobody_works_on_works_on_it_and_says_so() {
    let world = World::new();
    world.make();
    world.with_data(&["jobs", "submit", "train", "{}", "--id", "none"]);
    let (output, _, err) = run(&["jobs", "wait", "none", "--data", &world.data]);
    assert!(err.contains("No other process works on job none; this one does now."), "{err}");
    assert_eq!(output.status.code(), Some(1), "there are no purchases: {err}");

    // Another command has the folder open, and works on something else.
    let mut holder = world.holder();
    world.with_data(&["jobs", "submit", "count", r#"{"table":"nextbasket-products"}"#, "--id", "counted"]);
    let (output, _, err) = run(&["jobs", "wait", "counted", "--data", &world.data]);
    assert!(err.contains("this one does now") && output.status.success(), "{err}");
    holder.kill();
}

#[test]
fn whoever_waits_for_a_job_that_others_work_on_waits() {
    let world = World::new();
    world.make();
    world.submit_map("shared", 1);
    let worker = world.start(&["jobs", "work", "shared"]);
    until("the worker works", || world.begun() == 1);
    let waiting = world.start(&["jobs", "wait", "shared"]);
    fs::write(world.at("go"), "").unwrap();
    assert_eq!(ended(worker).0, Some(0));
    let (code, said) = ended(waiting);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(world.begun(), 1, "nothing was done twice");
}

#[test]
fn a_server_waits_for_a_command_that_ends_and_refuses_beside_one_that_stays() {
    let world = World::new();
    let owner = world.start(&["lock", "run", "held", "--", "sleep", "2"]);
    world.until_open();
    let server = Server::start(&["--data", &world.data]);
    assert_eq!(ended(owner).0, Some(0));
    assert!(server.stop());

    let mut holder = world.holder();
    let refused = fail(&["serve", "--data", &world.data, "--listen", "127.0.0.1:0"], 1);
    assert!(refused.contains("in use by `nextbasket lock` (process "), "{refused}");
    holder.kill();
}

#[test]
fn what_a_killed_process_had_open_is_told_to_those_whom_nobody_succeeds() {
    let world = World::new();
    let server = Server::start(&["--data", &world.data, "--workers", "0"]);
    world.submit_map("left", 1);
    let worker = world.start(&["jobs", "work", "left"]);
    until("the worker works", || world.begun() == 1);
    server.kill();
    let (code, said) = ended(worker);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("which had the data folder open, has ended") && said.contains("run the command again"),
        "{said}"
    );
    fs::write(world.at("go"), "").unwrap();
    world.with_data(&["jobs", "work", "left"]);
}

#[test]
fn commands_that_begin_at_the_same_time_all_get_in() {
    let world = World::new();
    let csv = shop_csv(world.root.path());
    world.with_data(&["import", csv.to_str().unwrap()]);
    let commands: Vec<Child> = (0..6)
        .map(|n| match n % 3 {
            0 => world.start(&["recommend", "ada", "--json"]),
            1 => world.start(&["lock", "acquire", &format!("lock-{n}")]),
            _ => world.start(&["jobs", "list"]),
        })
        .collect();
    for command in commands {
        let (code, said) = ended(command);
        assert_eq!(code, Some(0), "{said}");
    }
}

/// Others come and go while an import loads in bulk: acknowledged writes are there, whichever process is killed then.
#[test]
fn an_import_in_bulk_and_others_do_not_harm_each_other() {
    let world = World::new();
    let csv = shop_csv(world.root.path());
    let mut import = Holder(world.start(&["import", csv.to_str().unwrap()]));
    world.until_open();
    let fences: Vec<u64> = (0..3)
        .map(|_| {
            let held =
                world.with_data(&["lock", "acquire", "mine", "--lease", "1s", "--wait", "30s", "--json"]);
            serde_json::from_str::<Value>(&held).unwrap()["fence"].as_u64().unwrap()
        })
        .collect();
    assert_eq!(fences, [1, 2, 3]);
    import.kill();
    let held = world.with_data(&["lock", "acquire", "mine", "--wait", "30s", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&held).unwrap()["fence"], 4);
    world.with_data(&["import", csv.to_str().unwrap()]);
    assert!(world.with_data(&["rebuild-history"]).contains(": 0 histories were brought in line"));
}
