//! `map` from the command line: records through a command or a function, and what is said of it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod command;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use command::{Server, fail, nextbasket, run, shop_csv, succeed};
use nextbasket_machine::lambda::{FunctionError, Functions, function};
use nextbasket_testkit::TestStack;
use serde_json::{Value, json};

fn numbers(folder: &Path, name: &str, count: u32) -> String {
    let lines: String = (0..count).map(|n| format!("{}\n", json!({ "n": n }))).collect();
    let path = folder.join(name);
    fs::write(&path, lines).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn records_go_through_a_command_and_come_back_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let csv: String = (0..500).map(|n| format!("{n},\"item\n{n}\"\n")).collect();
    fs::write(at("in.csv"), format!("id,text\n{csv}")).unwrap();
    let (data, out) = (at("data"), at("out.csv"));
    let said = succeed(&[
        "map",
        &at("in.csv"),
        "--to",
        &out,
        "--command",
        "tr a-z A-Z",
        "--batch-size",
        "60",
        "--data",
        &data,
    ]);
    assert!(said.contains("Processed 500 records in 9 of 9 batches."), "{said}");
    assert!(said.contains(&out), "{said}");
    assert_eq!(fs::read_to_string(&out).unwrap(), format!("id,text\n{csv}").to_uppercase());

    // Elsewhere, with names relative to there, and as JSON.
    let output =
        nextbasket(&["map", "in.csv", "--to", "again.csv", "--command", "cat > seen; cat seen", "--json"])
            .current_dir(folder.path())
            .output()
            .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told["state"], &told["result"]["records"]), (&json!("succeeded"), &json!(500)));
    assert_eq!(fs::read_to_string(at("again.csv")).unwrap(), fs::read_to_string(at("in.csv")).unwrap());
    assert!(folder.path().join("seen").exists(), "the command is run where nextbasket was");
}

#[test]
fn a_batch_that_fails_is_named_the_rest_is_kept_and_the_exit_code_is_1() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let input = numbers(folder.path(), "in.jsonl", 100);
    let picky = "if grep -q ':42}' > /dev/null; then echo no 42 for me >&2; exit 3; fi; echo good";
    let (output, said, err) = run(&[
        "map",
        &input,
        "--to",
        &at("out"),
        "--command",
        picky,
        "--batch-size",
        "10",
        "--retries",
        "1",
        "--data",
        &at("data"),
    ]);
    assert_eq!(output.status.code(), Some(1), "{said}\n{err}");
    assert!(said.contains("Processed 90 records in 9 of 10 batches."), "{said}");
    assert!(said.contains("Failed, and not in the output:") && said.contains("in.jsonl bytes "), "{said}");
    assert!(said.contains(": the command ended with exit code 3: no 42 for me"), "{said}");
    assert!(err.contains("1 of 10 batches failed: see ") && err.contains("out.manifest.json"), "{err}");
    assert_eq!(fs::read_to_string(at("out")).unwrap(), "good\n".repeat(9));
}

#[test]
fn a_tables_items_go_through_a_command_beside_a_servers_workers() {
    let folder = tempfile::tempdir().unwrap();
    let csv = shop_csv(folder.path());
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let data = at("data");
    succeed(&["import", csv.to_str().unwrap(), "--data", &data]);
    let _server = Server::start(&["--data", &data]);
    let map = |more: &[&str]| {
        let mut arguments =
            vec!["map", "--table", "nextbasket-products", "--command", "cat", "--data", &data, "--to"];
        arguments.extend(more);
        succeed(&arguments)
    };
    map(&[&at("all"), "--plain"]);
    let all = fs::read_to_string(at("all")).unwrap();
    let products: Vec<Value> = all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(products.len() > 10 && products.iter().all(|product| product["productId"].is_string()));
    map(&[&at("one"), "--where", "productId = 'coffee-espresso-1kg'"]);
    let one: Value = serde_json::from_str(&fs::read_to_string(at("one")).unwrap()).unwrap();
    assert_eq!(one["Item"]["productId"], json!({ "S": "coffee-espresso-1kg" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_go_through_a_function_at_other_endpoints() {
    let stack = TestStack::start().await;
    let (operations, bucket) = (stack.operations(), stack.bucket("JobsBucket"));
    let mut machine = stack.into_machine();
    let upper = function(|payload| async move {
        let payload: Value = serde_json::from_slice(&payload).unwrap();
        let records = payload["records"].as_array().unwrap().iter().map(|record| record.as_str().unwrap());
        let records: Vec<String> = records.map(str::to_uppercase).collect();
        if records.iter().any(|record| record.contains(":77}")) {
            return Err(FunctionError::new("ValueError", "no 77 for me"));
        }
        Ok(json!({ "records": records }).to_string().into_bytes())
    });
    let lambda = machine.lambda(Functions::from([("upper".to_owned(), upper)])).await.unwrap();
    let endpoint = machine.dynamodb().endpoint_url();
    let s3_endpoint = machine.s3().endpoint_url();
    let folder = tempfile::tempdir().unwrap();
    let input = numbers(folder.path(), "in.jsonl", 100);
    let out = folder.path().join("out");
    let command = |arguments: &[&str]| {
        let mut command = nextbasket(&["map", &input, "--to", out.to_str().unwrap(), "--batch-size", "10"]);
        command
            .args(["--endpoint", &endpoint, "--s3-endpoint", &s3_endpoint])
            .args(["--operations", &operations, "--bucket", &bucket])
            .args(arguments)
            .envs(machine.access())
            .env("AWS_ENDPOINT_URL_LAMBDA", format!("http://{lambda}"))
            .current_dir(folder.path());
        command
    };
    // With what is of this machine, both on the way in and out: the job runs here, and the function there.
    let mut mapped = command(&["--function", "upper", "--retries", "0"]);
    let output = tokio::task::spawn_blocking(move || mapped.output().unwrap()).await.unwrap();
    let (said, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{said}\n{err}");
    assert!(said.contains("Processed 90 records in 9 of 10 batches."), "{said}\n{err}");
    assert!(said.contains("the function failed (Unhandled): no 77 for me"), "{said}");
    let wanted: String = (0..100).filter(|n| n / 10 != 7).map(|n| format!("{{\"N\":{n}}}\n")).collect();
    assert_eq!(fs::read_to_string(&out).unwrap(), wanted);

    let mut missing = command(&["--function", "nobody"]);
    let output = tokio::task::spawn_blocking(move || missing.output().unwrap()).await.unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("calling function \"nobody\" failed: ResourceNotFoundException: "), "{err}");
}

/// A map over 30 lines whose command waits for a file that lets it `go`, interrupted as soon as it waits.
struct Interrupted {
    folder: tempfile::TempDir,
    arguments: Vec<String>,
    go: String,
    said: String,
}

impl Interrupted {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let input = numbers(folder.path(), "in.jsonl", 30);
        let (begun, go) = (at("begun"), at("go"));
        let waits = format!("touch {begun}; while [ ! -e {go} ]; do sleep 0.05; done; cat");
        let arguments = [
            "map",
            &input,
            "--to",
            &at("out"),
            "--command",
            &waits,
            "--batch-size",
            "10",
            "--data",
            &at("data"),
        ];
        let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut child = nextbasket(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let started = Instant::now();
        while !Path::new(&begun).exists() {
            assert!(child.try_wait().unwrap().is_none() && started.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(130), "{said}");
        assert!(!folder.path().join("out").exists());
        Self { folder, arguments, go, said }
    }

    fn assert_is_whole(&self) {
        let read = |name: &str| fs::read_to_string(self.folder.path().join(name)).unwrap();
        assert_eq!(read("out"), read("in.jsonl"));
    }
}

#[test]
fn a_map_that_is_interrupted_goes_on_as_it_says() {
    let map = Interrupted::start();
    let resume = map.said.lines().find_map(|line| line.strip_prefix("To resume it: nextbasket ")).unwrap();
    let resume: Vec<&str> = resume.split_whitespace().collect();
    fs::write(&map.go, "").unwrap();
    succeed(&resume);
    map.assert_is_whole();
}

#[test]
fn a_command_that_needs_the_lock_of_one_that_was_left_ends_that_one_first() {
    let map = Interrupted::start();
    fs::write(&map.go, "").unwrap();
    let words: Vec<&str> = map.arguments.iter().map(String::as_str).collect();
    let (output, said, err) = run(&words);
    assert!(output.status.success(), "{said}\n{err}");
    assert!(err.contains("was left with the lock map/") && err.contains("brought to its end first"), "{err}");
    map.assert_is_whole();
    let data = map.folder.path().join("data");
    let jobs = succeed(&["jobs", "list", "--data", data.to_str().unwrap()]);
    assert_eq!(jobs.matches("succeeded").count(), 2, "{jobs}");
}

#[test]
fn what_is_no_map_is_answered_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let input = numbers(folder.path(), "in.jsonl", 3);
    let unnamed = numbers(folder.path(), "unnamed", 3);
    let (data, out) = (at("data"), at("out"));
    succeed(&["fill", "nextbasket-products", "--count", "1", "--data", &data]);
    let cases: &[(&[&str], i32, &[&str])] = &[
        (&[&input, "--to", &out], 2, &["--command", "--function"]),
        (&[&input, "--to", &out, "--command", "cat", "--function", "f"], 2, &["cannot be used with"]),
        (&["--to", &out, "--command", "cat"], 2, &["INPUT", "--table"]),
        (&[&input, "--command", "cat"], 2, &["--to"]),
        (&[&unnamed, "--to", &out, "--command", "cat"], 2, &["--format", "unnamed"]),
        (&[&input, "--to", &out, "--function", "f"], 2, &["--function", "there are no functions here"]),
        (
            &[&at("in"), "--to", &at("in/out"), "--command", "cat", "--format", "csv"],
            2,
            &["--to", "within the input"],
        ),
        (&[&input, "--to", &out, "--command", "cat", "--where", "n = 1"], 2, &["--where", "INPUT"]),
        (&["--table", "t", "--to", &out, "--command", "cat", "--where", "n ="], 2, &["--where"]),
        (&["--table", "nothing", "--to", &out, "--command", "cat"], 1, &["nothing"]),
        (&[&at("none.csv"), "--to", &out, "--command", "cat"], 1, &["none.csv"]),
        (&[&input, "--to", &out, "--command", "cat", "--retries", "8"], 2, &["--retries"]),
    ];
    for (arguments, code, words) in cases {
        let arguments: Vec<&str> = ["map", "--data", &data].iter().chain(*arguments).copied().collect();
        let said = fail(&arguments, *code);
        for word in *words {
            assert!(said.contains(word), "{arguments:?} does not say {word:?}:\n{said}");
        }
    }
    let (_, said, err) =
        run(&["map", &input, "--to", &out, "--command", "cat", "--dry-run", "--data", &data]);
    assert!(said.contains("1 files") && !Path::new(&out).exists(), "{said}\n{err}");
}
