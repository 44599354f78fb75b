//! An import is a job: what that means for whoever is killed, or works through a server.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod command;

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use command::{Server, fail, nextbasket, run, shop_csv, succeed};
use serde_json::{Value, json};

#[test]
fn an_import_that_is_killed_is_completed_by_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let csv = shop_csv(folder.path());
    let csv = csv.to_str().unwrap();
    let whole = folder.path().join("whole");
    let whole: Value =
        serde_json::from_str(&succeed(&["import", csv, "--data", whole.to_str().unwrap(), "--json"]))
            .unwrap();
    let purchases = whole["written"]["newPurchases"].as_u64().unwrap();
    for (n, millis) in [60, 250, 500].into_iter().enumerate() {
        let data = folder.path().join(format!("data-{n}"));
        let data = data.to_str().unwrap();
        let mut child = nextbasket(&["import", csv, "--data", data])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(millis));
        child.kill().unwrap();
        child.wait().unwrap();
        let report: Value =
            serde_json::from_str(&succeed(&["import", csv, "--data", data, "--json"])).unwrap();
        let count = |name: &str| report["written"][name].as_u64().unwrap();
        assert_eq!(count("newPurchases") + count("knownPurchases"), purchases, "killed after {millis} ms");
        assert_eq!((count("differingPurchases"), &report["file"]), (0, &whole["file"]));
        let again = succeed(&["rebuild-history", "--data", data]);
        assert!(again.contains(": 0 histories were brought in line"), "killed after {millis} ms: {again}");
    }
}

#[test]
fn a_file_that_breaks_off_is_imported_up_to_there_and_the_exit_code_is_1() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lines.csv.gz");
    let lines: String = (0..2_000).map(|n| format!("u{n},p{},2026-01-01T10:00:00,1,b{n}\n", n % 7)).collect();
    let plain = folder.path().join("lines.csv");
    fs::write(&plain, format!("user_id,product_id,timestamp,quantity,basket_id\n{lines}")).unwrap();
    assert!(std::process::Command::new("gzip").arg(&plain).status().unwrap().success());
    let packed = fs::read(&path).unwrap();
    fs::write(&path, &packed[..packed.len() / 2]).unwrap();
    let data = folder.path().join("data");
    let (output, out, err) = run(&["import", path.to_str().unwrap(), "--data", data.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{out}\n{err}");
    assert!(err.contains("lines.csv.gz is truncated: ") && err.contains("import it again"), "{err}");
    assert!(out.contains("Now there: ") && !out.contains("Now there: 0 "), "{out}");
}

/// Through the server the job brings the histories in line itself.
#[test]
fn an_import_through_a_server_ends_when_the_histories_know_it() {
    let folder = tempfile::tempdir().unwrap();
    let csv = shop_csv(folder.path());
    let data = folder.path().join("data");
    let (csv, data) = (csv.to_str().unwrap(), data.to_str().unwrap());
    let server = Server::start(&["--data", data]);
    succeed(&["import", csv, "--data", data]);
    succeed(&["train", "--data", data]);
    let answer: Value =
        serde_json::from_str(&succeed(&["recommend", "ada", "--data", data, "--json"])).unwrap();
    assert_eq!(answer["items"][0]["reasons"][0]["kind"], "boughtAgain");
    let jobs: Value = serde_json::from_str(&succeed(&["jobs", "list", "--data", data, "--json"])).unwrap();
    let states: Vec<_> =
        jobs["items"].as_array().unwrap().iter().map(|job| (&job["kind"], &job["state"])).collect();
    assert_eq!(states, [(&json!("train"), &json!("succeeded")), (&json!("import"), &json!("succeeded"))]);
    assert!(server.stop());
}

#[test]
fn a_refused_file_goes_where_it_is_asked_for_and_never_over_the_import() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("lines.csv"), "user_id,product_id,timestamp\nada,beans,2026-01-01\n,beans,2026-01-02\n")
        .unwrap();
    let (lines, data, refused) = (at("lines.csv"), at("data"), at("refused.jsonl"));
    let said = fail(&["import", &lines, "--data", &data, "--refused", &lines], 2);
    assert!(said.contains("--refused"), "{said}");
    let out = succeed(&["import", &lines, "--data", &data, "--refused", &refused]);
    assert!(out.contains(&format!("Refused lines, with reasons: {refused}")), "{out}");
    let line: Value = serde_json::from_str(fs::read_to_string(&refused).unwrap().trim()).unwrap();
    assert_eq!((&line["line"], &line["reason"]), (&json!(3), &json!("missing_user")));
}
