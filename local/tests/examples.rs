//! The examples run, and show what they say.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

use std::process::Command;

#[test]
fn old_orders_move_to_an_archive_and_come_back_whole() {
    let folder = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/order-archive.sh");
    let mut command = Command::new("bash");
    command.arg(script).arg(folder.path()).env("NEXTBASKET", env!("CARGO_BIN_EXE_nextbasket"));
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    for step in ["200 of 200 items moved", "100 of 100 items", "equal"] {
        assert!(out.contains(step), "no {step:?} in:\n{out}\n{err}");
    }
}
