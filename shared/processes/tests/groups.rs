//! Commands and all that they start, ended in every way.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails there")]

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nextbasket_processes::ProcessGroup;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

fn runs(pid: &str) -> bool {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    // A zombie has ended, and waits to be asked for its exit code.
    !status.is_empty() && !status.contains(") Z ")
}

fn name(pid: &str) -> String {
    let name = std::fs::read_to_string(Path::new("/proc").join(pid).join("comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

async fn until(so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it did not come to pass");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A command that starts another, with the ids of both.
async fn started(script: &str) -> (ProcessGroup, [String; 2]) {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", &format!("{script}\nsleep 600 & echo $!; echo $$; wait; sleep 600")])
        .stdout(Stdio::piped());
    let mut group = ProcessGroup::spawn(command, Duration::ZERO).unwrap();
    let mut lines = BufReader::new(group.child.stdout.take().unwrap()).lines();
    let ids @ [other, _] =
        &[lines.next_line().await.unwrap().unwrap(), lines.next_line().await.unwrap().unwrap()];
    assert!(ids.iter().all(|id| runs(id)));
    // Until then the other one is a copy of the shell, with its trap, which it loses together with the signal.
    until(|| name(other) == "sleep").await;
    (group, ids.clone())
}

#[tokio::test]
async fn a_group_that_is_killed_or_dropped_ends_with_all_that_it_started() {
    for how in [ProcessGroup::kill as fn(ProcessGroup), drop] {
        let (group, ids) = started("trap '' TERM").await;
        how(group);
        until(|| !ids.iter().any(|id| runs(id))).await;
    }
}

#[tokio::test]
async fn a_signal_reaches_all() {
    // Not SIGINT: whoever started the tests in the background may have had them ignore it.
    let (mut group, [other, itself]) = started("trap 'exit 7' TERM").await;
    group.signal("TERM").unwrap();
    assert_eq!(group.child.wait().await.unwrap().code(), Some(7));
    assert!(!runs(&itself));
    until(|| !runs(&other)).await;
    group.ended();
}

#[tokio::test]
async fn what_a_command_leaves_behind_may_go_on() {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "sleep 600 >/dev/null & echo $!"]).stdout(Stdio::piped());
    let mut group = ProcessGroup::spawn(command, Duration::ZERO).unwrap();
    let mut lines = BufReader::new(group.child.stdout.take().unwrap()).lines();
    let left = lines.next_line().await.unwrap().unwrap();
    assert!(group.child.wait().await.unwrap().success());
    group.ended();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(runs(&left));
    std::process::Command::new("kill").arg(&left).status().unwrap();
}

#[tokio::test]
async fn a_command_that_does_not_exist_is_an_error() {
    let error = ProcessGroup::spawn(Command::new("/no/such/command"), Duration::ZERO).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}

/// Run by the test below in a process of its own, which is killed.
#[tokio::test]
#[ignore = "is started by the test below"]
async fn holder() {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "trap 'echo asked' TERM; sleep 600 & echo $!; echo $$; while :; do sleep 0.05; done"]);
    let grace = Duration::from_millis(300);
    let mut group = ProcessGroup::spawn(command, grace).unwrap();
    group.child.wait().await.unwrap();
}

#[tokio::test]
async fn a_group_ends_when_the_process_that_started_it_is_killed() {
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "holder", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    let mut ids = Vec::new();
    while ids.len() < 2 {
        let line = lines.next_line().await.unwrap().unwrap();
        // The test harness prints a line of its own.
        let id: String = line.chars().rev().take_while(char::is_ascii_digit).collect();
        if !id.is_empty() && !line.contains("running") {
            ids.push(id.chars().rev().collect::<String>());
        }
    }
    assert!(ids.iter().all(|id| runs(id)), "{ids:?}");
    holder.kill().await.unwrap();
    let mut asked = false;
    while let Some(line) = lines.next_line().await.unwrap() {
        asked |= line == "asked";
    }
    assert!(asked, "it was asked to end before it was killed");
    until(|| !ids.iter().any(|id| runs(id))).await;
}
