//! Who gets access to a running server, what a job's record can make it do, and which folders are created.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod command;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use command::{Server, fail, key_of, nextbasket, run, succeed, succeeding};
use nextbasket::local_deployment::{jobs_resources, table_names};
use nextbasket_domain::Random;
use nextbasket_job_engine::{Engine, JobId, JobState, Site, Vouching};
use nextbasket_machine::access::read_key_file;
use nextbasket_machine::dynamodb::sdk_config;
use nextbasket_machine::folder::running_server;
use nextbasket_machine::s3::s3_config;
use nextbasket_objects::Bucket;
use nextbasket_tables::Tables;
use serde_json::{Value, json};

/// Sends head lines and a body; returns status and body of the answer.
fn send(address: SocketAddr, lines: &[&str], body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = lines.join("\r\n");
    write!(stream, "{head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(!head.to_lowercase().contains("access-control-allow"), "{head}");
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// The site of the server that has the folder open.
fn site(data: &Path) -> Site {
    let server = running_server(data).unwrap().unwrap();
    let key = read_key_file(data).unwrap();
    let place = jobs_resources().unwrap();
    let s3 = s3_config(&format!("http://{}", server.s3.unwrap()), &key);
    let dynamodb = aws_sdk_dynamodb::Client::new(&sdk_config(&format!("http://{}", server.dynamodb), &key));
    let objects = Bucket::new(aws_sdk_s3::Client::from_conf(s3), place.bucket);
    Site::new(dynamodb, place.operations, objects, Random::system().unwrap())
}

/// A `map` job whose command leaves a file behind, as proof that it was run.
fn command_job(folder: &Path, traces: &Path) -> Value {
    let (input, output) = (folder.join("in.jsonl"), folder.join("out.jsonl"));
    fs::write(&input, "{}\n").unwrap();
    json!({
        "input": { "files": input, "format": "jsonl" },
        "output": output,
        "command": ["sh", "-c", format!("echo run >> {}; cat", traces.display())],
    })
}

async fn until_ended(engine: &Engine, id: &JobId) -> nextbasket_job_engine::Job {
    let begun = Instant::now();
    loop {
        let job = engine.job(id).await.unwrap();
        if job.state.has_ended() {
            return job;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{job:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_made_up_record_runs_nothing_even_with_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let _server = Server::start(&["--data", data.to_str().unwrap()]);
    let site = site(&data);
    let tables = Tables::new(site.dynamodb.clone(), table_names().unwrap());
    // An intruder who can somehow write to the operations table: the record is like any other, without the voucher.
    let intruder = Engine::new(site, nextbasket_job_kinds::kinds(&tables, None)).vouching(Vouching::all());
    let traces = folder.path().join("traces");
    for (kind, parameters, field) in [
        ("map", command_job(folder.path(), &traces), "parameters.command"),
        ("import", json!({ "source": folder.path().join("in.jsonl") }), "parameters.source"),
        ("dump", json!({ "tables": ["nextbasket-products"], "to": folder.path() }), "parameters.to"),
        (
            "copy",
            json!({ "table": "nextbasket-products",
                "to": { "table": "stolen", "endpoint": "http://127.0.0.1:9" } }),
            "parameters.to.endpoint",
        ),
    ] {
        let id = intruder.submit(None, kind, parameters).await.unwrap().job_id;
        let job = until_ended(&intruder, &id).await;
        assert_eq!(job.state, JobState::Failed, "{kind}");
        let failure = job.failure.unwrap();
        let begins = format!(
            "job \"{id}\" cannot use {field}: this is only accepted from the command line of this machine"
        );
        assert!(failure.starts_with(&begins), "{failure}");
        assert!(failure.ends_with("Submit it again from the command line."), "{failure}");
    }
    assert!(!traces.exists());
    // A job that a command of this machine submits is run.
    let parameters = command_job(folder.path(), &traces).to_string();
    let data = data.to_str().unwrap();
    succeed(&["jobs", "submit", "map", &parameters, "--id", "mine", "--data", data]);
    succeed(&["jobs", "wait", "mine", "--data", data]);
    assert_eq!(fs::read_to_string(&traces).unwrap(), "run\n");
    assert!(!succeed(&["jobs", "show", "mine", "--json", "--data", data]).contains("voucher"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_was_altered_since_runs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let path = data.to_str().unwrap().to_owned();
    let _server = Server::start(&["--workers", "0", "--data", &path]);
    let (mine, theirs) = (folder.path().join("mine"), folder.path().join("theirs"));
    let parameters = command_job(folder.path(), &mine).to_string();
    succeed(&["jobs", "submit", "map", &parameters, "--id", "altered", "--data", &path]);
    let site = site(&data);
    let key = [("pk", "jobs"), ("sk", "altered")];
    let key = key.map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned())));
    let get = site.dynamodb.get_item().table_name(&site.operations).set_key(Some(key.clone().into()));
    let item = get.send().await.unwrap().item.unwrap();
    let job = item["job"].as_s().unwrap().replace(mine.to_str().unwrap(), theirs.to_str().unwrap());
    let update = site.dynamodb.update_item().table_name(&site.operations).set_key(Some(key.into()));
    let update = update.update_expression("SET job = :job");
    update.expression_attribute_values(":job", AttributeValue::S(job)).send().await.unwrap();
    let err = fail(&["jobs", "work", "altered", "--data", &path], 1);
    assert!(err.contains("no valid voucher"), "{err}");
    assert!(!mine.exists() && !theirs.exists());
}

#[test]
fn elsewhere_a_process_vouches_for_its_own_jobs_and_for_others_when_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let path = data.to_str().unwrap();
    let _server = Server::start(&["--workers", "0", "--data", path]);
    let server = running_server(&data).unwrap().unwrap();
    let endpoints = [format!("http://{}", server.dynamodb), format!("http://{}", server.s3.unwrap())];
    let at_endpoints = |arguments: &[&str]| {
        let mut command = nextbasket(arguments);
        command.args(["--endpoint", &endpoints[0], "--s3-endpoint", &endpoints[1]]).envs(key_of(&data));
        command.args(["--operations", "nextbasket-operations", "--bucket", "nextbasket-jobsbucket"]);
        command
    };
    let traces = folder.path().join("traces");
    let parameters = command_job(folder.path(), &traces).to_string();
    succeeding(at_endpoints(&["jobs", "submit", "map", &parameters, "--id", "other"]));
    let err = command::failing(at_endpoints(&["jobs", "work", "other"]), 1);
    assert!(err.contains("`nextbasket jobs work --vouch`"), "{err}");
    assert!(!traces.exists());
    let shown = succeeding(at_endpoints(&["jobs", "show", "other", "--json"]));
    assert_eq!(
        serde_json::from_str::<Value>(&shown).unwrap()["state"],
        "waiting",
        "it is left to who vouches"
    );
    succeeding(at_endpoints(&["jobs", "work", "other", "--vouch"]));
    assert_eq!(fs::read_to_string(&traces).unwrap(), "run\n");
    // Without the key nobody gets access, and the message says what is missing.
    let mut unknown = at_endpoints(&["count", "nextbasket-products"]);
    unknown.env("AWS_ACCESS_KEY_ID", "local").env("AWS_SECRET_ACCESS_KEY", "local");
    let err = command::failing(unknown, 1);
    assert!(err.contains("access key of its data folder"), "{err}");
}

#[test]
fn pages_of_other_origins_and_other_names_reach_no_function() {
    let server = Server::start(&["--ephemeral"]);
    let address = server.address;
    let host = format!("host: {address}");
    let purchase = r#"{"purchaseId":"p1","userId":"victim","lines":[{"productId":"x","quantity":1}]}"#;
    let (status, body) = send(address, &["POST /purchases HTTP/1.1", &host], purchase);
    assert_eq!(status, 201, "a program of this machine needs nothing: {body}");
    let job = r#"{"kind":"delete","parameters":{"table":"nextbasket-purchases","all":true}}"#;
    for origin in ["origin: https://evil.example", "origin: null", "sec-fetch-site: cross-site"] {
        let lines = ["POST /jobs HTTP/1.1", &host, "content-type: text/plain", origin];
        assert_eq!(send(address, &lines, job).0, 403, "{origin}");
    }
    for host in ["evil.example", &format!("evil.example:{}", address.port()), "127.0.0.1:1"] {
        let host = format!("host: {host}");
        assert_eq!(send(address, &["DELETE /users/victim HTTP/1.1", &host], "").0, 403, "{host}");
        assert_eq!(send(address, &["GET /users/victim/purchases HTTP/1.1", &host], "").0, 403, "{host}");
    }
    let (_, jobs) = send(address, &["GET /jobs HTTP/1.1", &host], "");
    assert_eq!(serde_json::from_str::<Value>(&jobs).unwrap()["items"], json!([]));
    let (_, left) = send(address, &["GET /users/victim/purchases HTTP/1.1", &host], "");
    assert_eq!(serde_json::from_str::<Value>(&left).unwrap()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_a_server_prints_lets_an_sdk_in() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for arguments in [vec!["--ephemeral"], vec!["--data", data.to_str().unwrap()]] {
        let mut command = nextbasket(&["serve", "--listen", "127.0.0.1:0"]);
        let mut child = command.args(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut printed = std::collections::HashMap::new();
        for line in BufReader::new(child.stderr.take().unwrap()).lines() {
            let line = line.unwrap();
            if let Some((name, value)) =
                line.trim().strip_prefix("export ").and_then(|line| line.split_once('='))
            {
                printed.insert(name.to_owned(), value.to_owned());
            }
            if line.starts_with("Stop with") {
                break;
            }
        }
        let key = nextbasket_machine::AccessKey::new(
            &printed["AWS_ACCESS_KEY_ID"],
            &printed["AWS_SECRET_ACCESS_KEY"],
        );
        assert_eq!(printed["AWS_REGION"], "local");
        let client = aws_sdk_dynamodb::Client::new(&sdk_config(&printed["AWS_ENDPOINT_URL_DYNAMODB"], &key));
        assert!(client.list_tables().send().await.unwrap().table_names().len() >= 5);
        let s3 = aws_sdk_s3::Client::from_conf(s3_config(&printed["AWS_ENDPOINT_URL_S3"], &key));
        assert!(!s3.list_buckets().send().await.unwrap().buckets().is_empty());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&data), mode(&data.join("access-key"))), (0o700, 0o600));
    }
}

#[test]
fn hundreds_that_hold_the_door_open_hold_nobody_up() {
    let server = Server::start(&["--ephemeral"]);
    let mut held = Vec::new();
    for at in 0..800 {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream
            .write_all(["", "GET / HTTP/1.1\r\nhost:", "POST /jobs HTTP/1.1\r\n"][at % 3].as_bytes())
            .unwrap();
        held.push(stream);
    }
    let host = format!("host: {}", server.address);
    let begun = Instant::now();
    for _ in 0..20 {
        assert_eq!(send(server.address, &["GET /products HTTP/1.1", &host], "").0, 200);
    }
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    // Each is closed in time: to make room, or because its head did not arrive.
    for mut stream in held {
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut rest = Vec::new();
        match stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
    }
}

#[test]
fn a_port_that_is_taken_leaves_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for options in [
        ["--listen", &address, "--dynamodb-listen", "127.0.0.1:0"],
        ["--listen", "127.0.0.1:0", "--dynamodb-listen", &address],
    ] {
        let mut arguments = vec!["serve", "--data", data.to_str().unwrap()];
        arguments.extend(options);
        let err = fail(&arguments, 1);
        assert!(err.contains(&format!("{address} is taken by another program")), "{err}");
        assert!(!data.exists(), "{options:?}");
    }
    // If the folder's own server uses the port, the message says so.
    let data = data.to_str().unwrap();
    let server = Server::start(&["--data", data]);
    let address = server.address.to_string();
    let err = fail(&["serve", "--data", data, "--listen", &address], 1);
    assert!(err.contains(&format!("is in use by the server at http://{address}")), "{err}");
}

#[test]
fn commands_that_read_make_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("shpo"), folder.path().join("out"));
    let to = out.to_str().unwrap();
    let commands: &[&[&str]] = &[
        &["dump", "nextbasket-purchases", "--to", to, "--keep", "1"],
        &["verify", "table:nextbasket-purchases", "table:nextbasket-products"],
        &["diff", "table:nextbasket-purchases", "table:nextbasket-products"],
        &["archive", "nextbasket-purchases", "--where", "a = 1", "--to", to],
        &["count", "nextbasket-purchases"],
        &["update", "nextbasket-purchases", "--set", "a = 1"],
        &["delete", "nextbasket-purchases", "--all"],
        &["copy", "nextbasket-purchases", "nextbasket-products"],
        &["recommend", "ada"],
        &["related", "coffee"],
        &["models"],
        &["train"],
        &["rebuild-history"],
        &["refresh-popular"],
        &["map", "--table", "nextbasket-products", "--command", "cat", "--to", to],
        &["jobs", "list"],
        &["jobs", "show", "one"],
        &["jobs", "wait", "one"],
        &["jobs", "work", "one"],
        &["jobs", "cancel", "one"],
        &["lock", "list"],
        &["lock", "show", "one"],
    ];
    for command in commands {
        let mut command = command.to_vec();
        command.extend(["--data", data.to_str().unwrap()]);
        let err = fail(&command, 2);
        assert!(err.contains(&format!("no data folder \"{}\"", data.display())), "{command:?}: {err}");
        assert!(!data.exists() && !out.exists(), "{command:?}");
    }
    // A dry run reports without doing anything.
    let fill = ["fill", "nextbasket-products", "--count", "9", "--dry-run", "--data", data.to_str().unwrap()];
    assert!(succeed(&fill).contains("Estimate"), "said without a folder");
    assert!(!data.exists());
}

#[test]
fn what_cannot_work_leaves_no_new_folder() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (data, missing, to) = (at("shpo"), at("missing"), at("out"));
    let file = at("purchases.csv");
    fs::write(&file, "user_id,product_id,timestamp\nada,beans,2026-01-02\n").unwrap();
    let commands: &[(&[&str], i32, &str)] = &[
        (&["restore", &missing, "orders", "--create"], 1, "missing not found"),
        (&["restore", &missing, "t", "--create"], 2, "TABLE: must be a table's name"),
        (&["fill", "nextbasket-products", "--count", "0"], 2, "--count: must be from 1"),
        (&["fill", "unknown", "--count", "1"], 1, "table \"unknown\" not found"),
        (
            &["map", &missing, "--format", "json-lines", "--command", "cat", "--to", &to],
            1,
            "missing not found",
        ),
        (&["import", &missing], 1, "missing"),
        (&["import", &file, "--timezone", "Nowhere/X"], 2, "--timezone: unknown time zone"),
        (&["import", &file, "--as", "nobody"], 2, "--as: unknown export"),
        (&["upload", &missing, "s3://nextbasket-jobsbucket/x"], 1, "missing"),
    ];
    for (command, code, words) in commands {
        let mut command = command.to_vec();
        command.extend(["--data", &data]);
        let err = fail(&command, *code);
        assert!(err.contains(words), "{command:?}: {err}");
        assert!(!Path::new(&data).exists(), "{command:?}");
    }
    succeed(&["fill", "nextbasket-products", "--count", "1", "--data", &data]);
    assert!(Path::new(&data).exists());
}

#[test]
fn a_folder_that_lost_its_database_costs_no_backup() {
    let folder = tempfile::tempdir().unwrap();
    let (data, backups) = (folder.path().join("data"), folder.path().join("backups"));
    let (data_text, to) = (data.to_str().unwrap(), backups.to_str().unwrap());
    succeed(&["fill", "nextbasket-products", "--count", "10", "--data", data_text]);
    let dump = ["dump", "nextbasket-products", "--to", to, "--keep", "1", "--data", data_text];
    succeed(&dump);
    let kept = || {
        let found = fs::read_dir(backups.join("AWSDynamoDB")).unwrap();
        let mut found: Vec<_> = found.map(|entry| entry.unwrap().file_name()).collect();
        found.sort();
        found
    };
    let before = kept();
    let database = data.join("dynamodb.sqlite");
    let whole = fs::read(&database).unwrap();
    let beside = ["dynamodb.sqlite-wal", "dynamodb.sqlite-shm"].map(|name| data.join(name));
    assert!(beside.iter().all(|file| !file.exists()), "all of it is in the one file");
    fs::remove_file(&database).unwrap();
    for problem in ["is missing", "is empty"] {
        let err = fail(&dump, 1);
        assert!(
            err.contains(&format!("is damaged: dynamodb.sqlite {problem}. Restore the file from a copy")),
            "{err}"
        );
        let (output, ..) = run(&["serve", "--listen", "127.0.0.1:0", "--data", data_text]);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(kept(), before);
        fs::write(&database, "").unwrap();
    }
    fs::write(&database, whole).unwrap();
    assert!(succeed(&["count", "nextbasket-products", "--data", data_text]).starts_with("10 of 10 items"));
}
