//! `lock` as scripts and people use it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod command;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use command::{Server, fail, nextbasket, run, succeed};
use serde_json::Value;
use tempfile::TempDir;

struct World {
    _root: TempDir,
    data: String,
    server: Server,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let data = root.path().join("data").to_str().unwrap().to_owned();
        let server = Server::start(&["--data", &data]);
        Self { _root: root, data, server }
    }

    fn lock<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        let mut all = vec!["lock", "--data", &self.data];
        all.extend(arguments);
        all
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let mut all = vec!["--json"];
        all.extend(arguments);
        serde_json::from_str(&succeed(&self.lock(&all))).unwrap()
    }

    /// Runs a shell script under a lock.
    fn start(&self, name: &str, options: &[&str], script: &str) -> Running {
        let mut all = vec!["run", name];
        all.extend(options);
        all.extend(["--", "sh", "-c", script]);
        let mut child =
            nextbasket(&self.lock(&all)).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Running { child, out }
    }
}

struct Running {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
}

impl Running {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// Exit code and standard error.
    fn end(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        let mut err = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (status.code(), err)
    }
}

fn lives(pid: &str) -> bool {
    // A process that has ended and was not waited for is no process any more.
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    status.is_ok_and(|status| !status.rsplit(") ").next().unwrap().starts_with('Z'))
}

fn until(so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it did not come to pass");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_lock_is_acquired_shown_renewed_and_released() {
    let world = World::new();
    assert_eq!(succeed(&world.lock(&["list"])), "There are no locks.\n");
    assert_eq!(succeed(&world.lock(&["show", "nightly"])), "nightly is free: it was never acquired.\n");
    let held = world.json(&["acquire", "nightly", "--holder", "ada", "--note", "dump", "--lease", "5m"]);
    let (owner, fence) = (held["owner"].as_str().unwrap(), held["fence"].to_string());
    assert!(owner.starts_with("ada/"), "{held}");
    assert_eq!(fence, "1");

    let busy = fail(&world.lock(&["acquire", "nightly"]), 3);
    assert!(busy.contains("nightly is held by ada (fence 1) until "), "{busy}");
    let waited = fail(&world.lock(&["acquire", "nightly", "--wait", "300ms"]), 3);
    assert!(waited.contains("held by ada"), "{waited}");

    let shown = world.json(&["show", "nightly"]);
    assert_eq!(
        (&shown["state"], &shown["holder"], &shown["note"]),
        (&"held".into(), &"ada".into(), &"dump".into())
    );
    let words = succeed(&world.lock(&["show", "nightly"]));
    assert!(words.starts_with("nightly is held by ada until ") && words.contains("fence 1"), "{words}");
    let renewed = world.json(&["renew", "nightly", "--owner", owner, "--fence", &fence, "--lease", "1h"]);
    assert!(renewed["expiresAt"].as_str().unwrap() > held["expiresAt"].as_str().unwrap(), "{renewed}");

    let not_ours = fail(&world.lock(&["release", "nightly", "--owner", "eve/1", "--fence", "1"]), 4);
    assert!(not_ours.contains("nightly is not held any more: the lease was stolen by ada"), "{not_ours}");
    succeed(&world.lock(&["release", "nightly", "--owner", owner, "--fence", &fence]));
    let words = succeed(&world.lock(&["show", "nightly"]));
    assert!(words.starts_with("nightly is free: ada released it"), "{words}");
    assert_eq!(world.json(&["acquire", "nightly"])["fence"], 2, "the fence goes on");
    let lost = fail(&world.lock(&["renew", "nightly", "--owner", owner, "--fence", &fence]), 4);
    assert!(lost.contains("nightly is not held any more"), "{lost}");

    world.json(&["acquire", "a second one"]);
    let listed = world.json(&["list"]);
    let names: Vec<&str> =
        listed["items"].as_array().unwrap().iter().map(|l| l["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["a second one", "nightly"]);
    assert!(succeed(&world.lock(&["list"])).contains("a second one"));
}

#[test]
fn a_lock_that_nobody_renews_is_taken_over_after_its_lease() {
    let world = World::new();
    world.json(&["acquire", "x", "--lease", "1s"]);
    let waited = world.json(&["acquire", "x", "--wait", "30s", "--lease", "1s"]);
    assert_eq!(waited["fence"], 2);
    let observed = world.json(&["acquire", "x", "--wait", "30s", "--observe"]);
    assert_eq!(observed["fence"], 3);
}

#[test]
fn locks_work_without_a_server_too() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let arguments = |rest: &[&str]| -> Vec<String> {
        let all = ["lock", "--data", data.to_str().unwrap(), "--json"];
        all.iter().chain(rest).map(|text| (*text).to_owned()).collect()
    };
    for fence in 1..=2 {
        let all = arguments(&["acquire", "x", "--lease", "1s", "--wait", "30s"]);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let held: Value = serde_json::from_str(&succeed(&all)).unwrap();
        assert_eq!(held["fence"], fence);
    }
}

#[test]
fn a_command_runs_under_a_lock_and_gives_its_exit_code() {
    let world = World::new();
    let script = r#"echo "$NEXTBASKET_LOCK_NAME $NEXTBASKET_LOCK_FENCE $NEXTBASKET_LOCK_OWNER"; exit 7"#;
    let (output, out, err) = run(&world.lock(&["run", "x", "--holder", "ada", "--", "sh", "-c", script]));
    assert_eq!(output.status.code(), Some(7), "{err}");
    assert!(out.starts_with("x 1 ada/"), "{out}");
    assert_eq!(err, "", "the command has said what there was to say");
    assert_eq!(world.json(&["show", "x"])["state"], "free");
    let missing = fail(&world.lock(&["run", "x", "--", "/no/such/command"]), 127);
    assert!(missing.contains("/no/such/command"), "{missing}");
    assert_eq!(world.json(&["show", "x"])["state"], "free");
    assert_eq!(
        succeed(&world.lock(&["run", "x", "--", "echo", "--lease", "it is the command's"])),
        "--lease it is the command's\n"
    );
    let (output, ..) = run(&world.lock(&["run", "x", "--", "sh", "-c", "kill -9 $$"]));
    assert_eq!(output.status.code(), Some(137));
}

#[test]
fn only_one_command_runs_at_a_time() {
    let world = World::new();
    let mut first = world.start("x", &["--lease", "2s"], "echo started; sleep 5; echo ended");
    assert_eq!(first.line(), "started");
    let busy = fail(&world.lock(&["run", "x", "--", "true"]), 3);
    assert!(busy.contains("x is held by "), "{busy}");
    // It outlives its lease by being renewed, and the next one waits for it.
    assert_eq!(succeed(&world.lock(&["run", "x", "--wait", "60s", "--", "echo", "mine"])), "mine\n");
    assert_eq!(first.line(), "ended");
    assert_eq!(first.end().0, Some(0));
}

#[test]
fn a_command_and_all_it_started_end_when_the_lock_is_lost() {
    let world = World::new();
    // It starts another, and does not listen to SIGTERM.
    let script = "trap '' TERM; sleep 600 & echo $!; echo $$; wait; sleep 600";
    let mut running = world.start("x", &["--lease", "1s", "--grace", "300ms"], script);
    let (grandchild, child) = (running.line(), running.line());
    assert!(lives(&grandchild) && lives(&child));
    let held = world.json(&["show", "x"]);
    let (owner, fence) = (held["owner"].as_str().unwrap(), held["fence"].to_string());
    succeed(&world.lock(&["release", "x", "--owner", owner, "--fence", &fence]));
    let (code, err) = running.end();
    assert_eq!(code, Some(4), "{err}");
    assert!(err.contains("the command was stopped because lock x was lost: the lease was released"), "{err}");
    until(|| !lives(&grandchild) && !lives(&child));
}

#[test]
fn a_command_and_all_it_started_end_when_its_lock_run_is_killed() {
    let world = World::new();
    // It starts another, and takes its time after SIGTERM.
    let script = "trap 'echo asked' TERM; sleep 600 & echo $!; echo $$; while :; do sleep 0.05; done";
    let mut running = world.start("x", &["--lease", "3s"], script);
    let (grandchild, child) = (running.line(), running.line());
    assert!(lives(&grandchild) && lives(&child));
    running.child.kill().unwrap();
    // The next holder's command never runs beside this one.
    let script = format!("kill -0 {child} 2>/dev/null || kill -0 {grandchild} 2>/dev/null || echo alone");
    let next = succeed(&world.lock(&["run", "x", "--wait", "60s", "--", "sh", "-c", &script]));
    assert_eq!(next, "alone\n");
    assert_eq!(running.line(), "asked");
    assert!(!lives(&grandchild) && !lives(&child));
}

#[test]
fn a_command_that_ends_after_its_lock_was_lost_does_not_end_well() {
    let world = World::new();
    let fifo = world._root.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let script = format!("echo started; read -r code < {}; exit $code", fifo.display());
    for code in ["0", "7"] {
        let mut running = world.start("x", &["--lease", "2s", "--wait", "60s"], &script);
        assert_eq!(running.line(), "started");
        // It sleeps through the end of its lease, as a suspended machine does, and another one takes the lock.
        let signal = |name: &str| {
            let killed = Command::new("kill").args([name, &running.child.id().to_string()]).status();
            assert!(killed.unwrap().success());
        };
        signal("-STOP");
        world.json(&["acquire", "x", "--wait", "60s", "--lease", "1s"]);
        std::fs::write(&fifo, format!("{code}\n")).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        signal("-CONT");
        let (exit, err) = running.end();
        assert_eq!(exit, Some(4), "{err}");
        assert!(err.contains("lock x was lost"), "{err}");
    }
}

#[test]
fn a_command_ends_when_the_lock_cannot_be_renewed() {
    let World { server, data, _root } = World::new();
    let arguments =
        ["lock", "--data", &data, "run", "x", "--lease", "2s", "--", "sh", "-c", "echo started; sleep 600"];
    let mut child = nextbasket(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "started\n");
    server.kill();
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{err}");
    assert!(err.contains("could not be renewed"), "{err}");
}

#[test]
fn ctrl_c_is_the_commands_to_handle() {
    let world = World::new();
    let mut running =
        world.start("x", &[], "trap 'echo caught; exit 5' INT; echo started; while :; do sleep 0.1; done");
    assert_eq!(running.line(), "started");
    let killed = Command::new("kill").args(["-INT", &running.child.id().to_string()]).status();
    assert!(killed.unwrap().success());
    assert_eq!(running.line(), "caught");
    assert_eq!(running.end().0, Some(5));
    assert_eq!(world.json(&["show", "x"])["state"], "free");
}

#[test]
fn wrong_use_of_lock_is_answered_with_what_to_do() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let data = data.to_str().unwrap();
    let cases: &[(&[&str], &[&str])] = &[
        (&["lock", "acquire", "", "--data", data], &["must not be empty"]),
        (&["lock", "acquire", "two\nlines", "--data", data], &["control characters"]),
        (&["lock", "acquire", "x", "--lease", "10", "--data", data], &["--lease", "30s"]),
        (&["lock", "acquire", "x", "--lease", "10ms", "--data", data], &["--lease", "at least 1s"]),
        (&["lock", "acquire", "x", "--observe", "--data", data], &["--wait"]),
        (&["lock", "release", "x", "--data", data], &["--owner", "--fence"]),
        (&["lock", "run", "x", "--data", data], &["COMMAND"]),
        (&["lock", "--data", data], &["acquire", "release", "run"]),
    ];
    for (arguments, words) in cases {
        let said = fail(arguments, 2);
        for word in *words {
            assert!(said.contains(word), "{arguments:?} does not say {word:?}:\n{said}");
        }
    }
    assert!(!root.path().join("data").exists(), "nothing is made for a command that is refused");
}
