//! The files of an import: several, patterns, pipes; and its dry run.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod command;

use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use command::{fail, nextbasket, run, shop_csv, succeed, succeeding};
use serde_json::{Value, json};

const HEADER: &str = "user_id,product_id,timestamp,quantity,price,product_name,basket_id\n";

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

/// All files below a folder, in which others may be working.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

/// Runs it with this folder for temporary files.
fn with_temporary(folder: &Path, arguments: &[&str]) -> Output {
    nextbasket(arguments).env("TMPDIR", folder).output().unwrap()
}

#[test]
fn a_dry_run_prints_what_the_import_prints_and_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let csv = shop_csv(folder.path());
    let mut content = fs::read_to_string(&csv).unwrap();
    content.push_str(",beans,2026-01-01,1,1.00,Beans,lost\nada,beans,2026-01-01,-1,1.00,Beans,back\n");
    fs::write(&csv, content).unwrap();
    let temporary = folder.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let data = folder.path().join("data");
    let import = ["import", csv.to_str().unwrap(), "--data", data.to_str().unwrap()];
    let dry = |more: &[&str]| {
        let output = with_temporary(&temporary, &[&import[..], &["--dry-run"], more].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(names(&temporary), [""; 0]);
        text(&output.stdout)
    };
    let before = dry(&[]);
    assert!(!data.exists());
    let imported = succeed(&import);
    let understood = |text: &str| text.split("\n\n").next().unwrap().to_owned();
    assert_eq!(understood(&before), understood(&imported));
    for part in
        [" purchases of ", "revenue: ", "missing_user, first in line ", "the first purchases:", " each\n"]
    {
        assert!(before.contains(part), "{part}: {before}");
    }
    assert!(before.ends_with("Dry run: nothing was written.\n"), "{before}");
    assert!(imported.contains("Now there: ") && !before.contains("Now there: "), "{before}");

    // The rejected lines of the import stay, and those of the dry run are kept where it is asked for.
    let files = || names(&data.join("refused"));
    let kept = files();
    assert_eq!(kept.len(), 1);
    let refused = fs::read_to_string(data.join("refused").join(&kept[0])).unwrap();
    assert_eq!(refused.lines().count(), 2);
    fs::write(&csv, format!("{HEADER}bob,beans,2026-01-01,1,1.00,Beans,b1\n")).unwrap();
    dry(&[]);
    assert_eq!((files(), fs::read_to_string(data.join("refused").join(&kept[0])).unwrap()), (kept, refused));
    fs::write(&csv, format!("{HEADER}bob,beans,2026-01-01,1,1.00,Beans,b1\n,x,2026-01-01,1,1,X,b2\n"))
        .unwrap();
    let elsewhere = folder.path().join("elsewhere.jsonl");
    let report: Value =
        serde_json::from_str(&dry(&["--json", "--refused", elsewhere.to_str().unwrap()])).unwrap();
    assert_eq!(fs::read_to_string(&elsewhere).unwrap().lines().count(), 1);
    assert_eq!((&report["dryRun"], &report["written"]), (&json!(true), &Value::Null));
    assert_eq!(report["file"]["samples"][0]["lines"][0]["name"], "Beans");
    assert_eq!(report["file"]["revenue"], json!({ "EUR": 100 }));
    assert_eq!(report["refusedFile"], elsewhere.to_str().unwrap());
}

#[test]
fn a_parquet_file_is_imported_and_no_copy_of_it_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let temporary = folder.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/importer/tests/files/pandas.parquet");
    let data = folder.path().join("data");
    let output = with_temporary(&temporary, &["import", file, "--data", data.to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    for part in ["Parquet table", "missing_user, first in line 4", "Now there: "] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    assert_eq!(names(&temporary), [""; 0]);
}

#[test]
fn a_dry_run_has_the_exit_codes_of_an_import() {
    let folder = tempfile::tempdir().unwrap();
    let good = "ada,beans,2026-01-01T10:00:00,1,1.00,Beans,b1\n";
    let late = "ada,beans,never,1,1.00,Beans,b2\n";
    let lost = ",beans,2026-01-01T10:00:00,1,1.00,Beans,b3\n";
    let cases = [
        ("good.csv", format!("{HEADER}{good}"), 0, ""),
        ("returns.csv", format!("{HEADER}{good}{lost}"), 0, ""),
        ("header.csv", HEADER.to_owned(), 0, ""),
        ("partly.csv", format!("{HEADER}{good}{late}"), 1, "1 malformed lines were rejected: 1 bad_time"),
        ("all.csv", format!("{HEADER}{late}{late}"), 1, "all 2 lines of "),
        ("lost.csv", format!("{HEADER}{lost}"), 1, "all 1 lines of "),
        ("open.csv", format!("{HEADER}{good}ada,\"beans"), 1, "rejected: 1 unclosed_quote"),
        ("empty.csv", String::new(), 1, "the file is empty"),
        ("other.csv", "a,b\n1,2\n".to_owned(), 1, "columns not found"),
    ];
    for (name, content, code, why) in cases {
        let file = folder.path().join(name);
        fs::write(&file, content).unwrap();
        for more in [vec!["--dry-run"], vec![]] {
            let data = folder.path().join(format!("{name}-data"));
            let import = ["import", file.to_str().unwrap(), "--data", data.to_str().unwrap()];
            let (output, out, err) = run(&[&import[..], &more].concat());
            assert_eq!(output.status.code(), Some(code), "{name} {more:?}\n{out}\n{err}");
            assert!(err.contains(why), "{name} {more:?}\n{err}");
            assert_eq!(out.contains("has no lines but its header"), name == "header.csv", "{out}");
        }
    }
}

#[test]
fn a_dry_run_that_is_interrupted_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let (file, temporary) = (folder.path().join("large.csv"), folder.path().join("tmp"));
    fs::create_dir(&temporary).unwrap();
    let mut large = HEADER.to_owned();
    for n in 0..900_000 {
        writeln!(large, "u{},p{},2026-01-01T10:00:00,1,1.00,Product,b{n}", n % 999, n % 99).unwrap();
    }
    fs::write(&file, large).unwrap();
    let data = folder.path().join("data");
    let import = ["import", file.to_str().unwrap(), "--data", data.to_str().unwrap(), "--dry-run"];
    // While its machine starts, and while it reads: the records are then in objects.
    let is_object = |path: &PathBuf| {
        path.to_string_lossy().contains("/s3/") && path.metadata().is_ok_and(|found| found.len() > 1 << 20)
    };
    for (stage, least) in [("start", 0), ("reading", 1)] {
        let child = nextbasket(&import).env("TMPDIR", &temporary).stderr(Stdio::piped()).spawn().unwrap();
        let begun = Instant::now();
        while names(&temporary).is_empty()
            || files_below(&temporary).iter().filter(|path| is_object(path)).count() < least
        {
            assert!(begun.elapsed() < Duration::from_secs(120), "{stage}: it does not get there");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        let err = text(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{stage}: {err}");
        assert!(!err.contains("jobs work"), "{stage}: {err}");
        assert!(err.contains("Nothing was written"), "{stage}: {err}");
        assert_eq!((names(&temporary), data.exists()), (Vec::new(), false), "{stage}");
    }
}

#[test]
fn files_and_patterns_are_imported_at_once_and_rejected_lines_do_not_meet() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for (sub, user) in [("a", "ada"), ("b", "bob")] {
        fs::create_dir(at(sub)).unwrap();
        let lines = format!("{user},beans,2026-01-01,1,1.00,Beans,b1\n,beans,2026-01-01,1,1.00,Beans,b2\n");
        fs::write(at(&format!("{sub}/orders.csv")), format!("{HEADER}{lines}")).unwrap();
    }
    let (data, pattern) = (at("data"), at("*/orders.csv"));
    let out = succeed(&["import", &pattern, &at("a/orders.csv"), "--data", &data]);
    assert!(out.contains("Now there: 2 new purchases"), "{out}");
    assert!(out.contains("All 2 files: 4 records, 2 taken.") && out.contains("a/orders.csv:\n"), "{out}");
    let refused = names(Path::new(&at("data/refused")));
    assert_eq!(refused.len(), 1, "{refused:?}");
    let lines = fs::read_to_string(at(&format!("data/refused/{}", refused[0]))).unwrap();
    for file in ["a/orders.csv", "b/orders.csv"] {
        assert!(lines.contains(file), "{lines}");
    }
    for file in ["a/orders.csv", "b/orders.csv"] {
        succeed(&["import", &at(file), "--data", &data]);
    }
    assert_eq!(names(Path::new(&at("data/refused"))).len(), 3);
    let report: Value =
        serde_json::from_str(&succeed(&["import", &pattern, "--data", &data, "--json"])).unwrap();
    assert_eq!((&report["file"], report["files"].as_array().unwrap().len()), (&Value::Null, 2));
    assert_eq!(report["files"][1]["summary"]["samples"][0]["userId"], "bob");

    // One that has nothing makes the exit code 1, and the others are imported all the same.
    fs::write(at("a/none.csv"), format!("{HEADER},x,2026-01-01,1,1.00,X,b9\n")).unwrap();
    fs::write(at("a/more.csv"), format!("{HEADER}eve,x,2026-01-01,1,1.00,X,b9\n")).unwrap();
    let (output, out, err) = run(&["import", &at("a/none.csv"), &at("a/more.csv"), "--data", &data]);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(
        err.contains("all 1 lines of ") && err.contains("a/none.csv were rejected: 1 missing_user"),
        "{err}"
    );
    assert!(out.contains("Now there: 1 new purchases"), "{out}");

    // One that cannot be read stops all of them before anything is written.
    fs::write(at("b/new.csv"), format!("{HEADER}new,x,2026-01-01,1,1.00,X,b9\n")).unwrap();
    fs::write(at("b/other.csv"), "a,b\n1,2\n").unwrap();
    let err = fail(&["import", &at("b/new.csv"), &at("b/other.csv"), "--data", &data], 1);
    assert!(err.contains("b/other.csv: columns not found"), "{err}");
    let again = succeed(&["import", &at("b/new.csv"), "--data", &data]);
    assert!(again.contains("Now there: 1 new purchases"), "{again}");

    for (file, says) in [(at("a"), "/a/*.csv'"), (at("*.json"), "no file matches")] {
        let err = fail(&["import", &file, "--data", &at("never")], 2);
        assert!(err.contains(says), "{err}");
    }
    assert!(!Path::new(&at("never")).exists());
}

#[test]
fn standard_input_and_pipes_are_imported_and_no_copy_of_them_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let data = at("data");
    let lines = format!("{HEADER}ada,beans,2026-01-01,1,1.00,Beans,b1\n,beans,2026-01-01,1,1.00,Beans,b2\n");
    let piped = |arguments: &[&str], content: &str| {
        let mut child = nextbasket(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(content.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, out, err) = piped(&["import", "-", "--data", &data], &lines);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("Now there: 1 new purchases"), "{out}");
    let refused = names(Path::new(&at("data/refused")));
    assert_eq!(refused.len(), 1);
    assert!(
        fs::read_to_string(at(&format!("data/refused/{}", refused[0]))).unwrap().contains("standard-input")
    );
    let (_, out, _) = piped(&["import", "-", "--data", &data], &lines);
    assert!(out.contains("Nothing changed: everything in standard input was there already."), "{out}");
    assert_eq!(names(Path::new(&at("data/refused"))).len(), 2, "the first one's lines stay");
    let (code, _, err) = piped(&["import", "-", "--data", &data], "customer,sku\n1,2\n");
    assert_eq!(code, Some(1));
    assert!(err.contains("nextbasket: -: columns not found"), "{err}");
    assert!(!names(Path::new(&data)).iter().any(|name| name.starts_with("spool-")));

    let pipe = at("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (to, content) = (pipe.clone(), lines.replace("ada", "bob"));
    let writer = std::thread::spawn(move || fs::write(to, content).unwrap());
    let out = succeed(&["import", &pipe, "--data", &data, "--refused", &at("refused.jsonl")]);
    writer.join().unwrap();
    assert!(out.contains("Now there: 1 new purchases"), "{out}");
    assert!(!names(Path::new(&data)).iter().any(|name| name.starts_with("spool-")));
    // Somebody who waits for standard input can interrupt it.
    let mut child = nextbasket(&["import", "-", "--data", &data])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !names(Path::new(&data)).iter().any(|name| name.starts_with("spool-")) {
        assert!(begun.elapsed() < Duration::from_secs(120), "it does not read standard input");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let kept_open = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(kept_open);
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert!(!names(Path::new(&data)).iter().any(|name| name.starts_with("spool-")));

    let err = fail(&["import", "-", "-", "--data", &data], 2);
    assert!(err.contains("given twice"), "{err}");
}

#[test]
fn an_order_that_grew_is_kept_added_to_or_replaced_as_asked_and_histories_follow() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (csv, data) = (at("orders.csv"), at("data"));
    let first = "ada,beans,2026-01-01T10:00:00,1,1.00,Beans,b1\n";
    let second = "ada,filters,2026-01-01T10:00:00,2,2.00,Filters,b1\n";
    fs::write(&csv, format!("{HEADER}{first}")).unwrap();
    succeed(&["import", &csv, "--data", &data]);
    fs::write(&csv, format!("{HEADER}{first}{second}")).unwrap();
    fail(&["import", &csv, "--data", &data], 1);
    let import = |on_change: &str| {
        let out = succeed(&["import", &csv, "--data", &data, "--on-change", on_change, "--json"]);
        let report: Value = serde_json::from_str(&out).unwrap();
        report["written"]["changedPurchases"].as_u64().unwrap()
    };
    assert_eq!((import("add"), import("add")), (1, 0));
    fs::write(&csv, format!("{HEADER}{}", second.replace(",2,2.00", ",5,2.00"))).unwrap();
    assert_eq!((import("replace"), import("replace")), (1, 0));
    let again = succeed(&["rebuild-history", "--data", &data]);
    assert!(again.contains(": 0 histories were brought in line"), "{again}");
    let found = succeed(&["find", "nextbasket-purchases", "--data", &data, "--output", "json"]);
    assert!(found.contains("filters") && !found.contains("beans"), "{found}");
}

#[test]
fn the_summary_names_persons_for_whoever_imports_and_the_job_keeps_none_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let (csv, data) = (folder.path().join("orders.csv"), folder.path().join("data"));
    let mut lines = HEADER.to_owned();
    for n in 0..30 {
        let user = if n < 6 { "guest-account".to_owned() } else { format!("u{}", n % 15) };
        writeln!(lines, "{user},p{},2026-01-01T10:00:{n:02},1,1.00,Product,b{n}", n % 5).unwrap();
    }
    fs::write(&csv, lines).unwrap();
    let import = succeeding(nextbasket(&["import", csv.to_str().unwrap(), "--data", data.to_str().unwrap()]));
    assert!(import.contains("user guest-account, purchase b0"), "{import}");
    assert!(import.contains("warning: user \"guest-account\" has 6 of 30 purchases."), "{import}");
    let jobs = succeed(&["jobs", "list", "--data", data.to_str().unwrap(), "--json"]);
    assert!(jobs.contains("one user has 6 of 30 purchases") && !jobs.contains("guest-account"), "{jobs}");
    let left: Vec<_> = files_below(&data.join("s3"))
        .into_iter()
        .filter(|path| text(&fs::read(path).unwrap()).contains("\"samples\""))
        .collect();
    assert_eq!(left, Vec::<PathBuf>::new());
}

#[test]
fn the_options_say_how_a_file_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (csv, data, profile) = (at("orders.csv"), at("data"), at("ours.toml"));
    let lines = [
        "Kunde;Beleg;Artikel;Datum;Preis;Status",
        "ada;1;beans;03/04/2026 10:00;1.234;ok",
        ";;filters;03/04/2026 10:00;2,50;ok",
        "0;2;beans;03/04/2026 11:00;1.234;ok",
        "0;3;beans;03/04/2026 11:00;1.234;ok",
        "bob;4;beans;03/04/2026 12:00;1.234;void",
        "eve;5;test;03/04/2026 12:00;1.234;ok",
    ];
    fs::write(&csv, lines.join("\n")).unwrap();
    let described = "title = \"Our till\"\n\
        header = [\"Kunde\", \"Beleg\", \"Artikel\", \"Datum\", \"Preis\"]\n\
        [columns]\nuser_id = \"Kunde\"\nbasket_id = \"Beleg\"\nproduct_id = \"Artikel\"\n\
        timestamp = \"Datum\"\nprice = \"Preis\"\n";
    fs::write(&profile, described).unwrap();
    let options = [
        "--timezone",
        "Europe/Berlin",
        "--decimal",
        "comma",
        "--date-order",
        "day-first",
        "--only",
        "Status=ok",
        "--skip",
        "Artikel=test",
        "--fill-down",
        "Kunde,Beleg",
        "--guest",
        "0",
        // Texts that are masked in the job's record may be part of the names in it.
        "--guest",
        "import",
        "--skip",
        "Status=orders",
        "--currency",
        "CHF",
    ];
    let map = ["--map", "user_id=Kunde,basket_id=Beleg,product_id=Artikel,timestamp=Datum,price=Preis"];
    for how in [&map[..], &["--as", &profile]] {
        let data = format!("{data}-{}", how[0]);
        let import = [&["import", &csv, "--data", &data, "--json"][..], &options, how].concat();
        let report: Value = serde_json::from_str(&succeed(&import)).unwrap();
        let summary = &report["file"];
        assert_eq!((&summary["purchases"], &summary["users"]), (&json!(3), &json!(3)), "{report:#}");
        assert_eq!(summary["revenue"], json!({ "CHF": 3 * 123_400 + 250 }), "{report:#}");
        let first = &summary["samples"][0];
        assert_eq!(
            (&first["userId"], &first["purchasedAt"]),
            (&json!("ada"), &json!("2026-04-03T08:00:00.000Z"))
        );
        assert_eq!(first["lines"].as_array().unwrap().len(), 2, "{report:#}");
        // Values of rows may be of persons.
        let jobs = succeed(&["jobs", "list", "--data", &data, "--json"]);
        assert!(
            jobs.contains("fillDown") && !jobs.contains("\"ok\"") && !jobs.contains("\"test\""),
            "{jobs}"
        );
    }
    for (option, value, says) in [
        ("--timezone", "Europe/Nowhere", "--timezone"),
        ("--as", "shopifi", "--as"),
        ("--only", "Status", "expected COLUMN=VALUE"),
        ("--decimal", "dot", "point, comma"),
        ("--currency", "euro", "--currency"),
    ] {
        let err = fail(&["import", &csv, "--data", &data, option, value], 2);
        assert!(err.contains(says), "{option}: {err}");
    }
    let err = fail(&["import", &csv, "--data", &data, "--as", &at("none.toml")], 2);
    assert!(err.contains("none.toml"), "{err}");
}
