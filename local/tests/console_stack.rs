//! `nextbasket console`: over a stack at other endpoints, over a stack that CloudFormation describes, over a folder.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod command;
mod console;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use command::{Server, failing, key_of, nextbasket, succeed};
use console::{Page, send};
use nextbasket_machine::folder::running_server;
use serde_json::{Value, json};

/// A running `console`, stopped when it is dropped.
struct Opened {
    child: Child,
    page: Page,
}

impl Opened {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Some(link) = line.trim().strip_prefix("Console: ") else {
            let mut errors = String::new();
            child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
            panic!("console printed {line:?}\n{errors}");
        };
        Self { page: Page::opened(link), child }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command over the endpoints of the server that has the folder open, with the credentials for them.
fn over_endpoints(data: &Path, arguments: &[&str]) -> Command {
    let server = running_server(data).unwrap().unwrap();
    let (dynamodb, s3) = (format!("http://{}", server.dynamodb), format!("http://{}", server.s3.unwrap()));
    let mut command =
        nextbasket(&["console", "--listen", "127.0.0.1:0", "--endpoint", &dynamodb, "--s3-endpoint", &s3]);
    command.args(arguments).envs(key_of(data));
    for variable in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_CLOUDFORMATION", "AWS_PROFILE"] {
        command.env_remove(variable);
    }
    command
}

fn product() -> Value {
    json!({ "name": "Espresso" })
}

#[test]
fn the_page_over_other_endpoints_reads_them_with_the_operators_key_and_writes_only_if_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&["--data", folder.path().to_str().unwrap()]);
    let shop = Page::of_folder(server.address, folder.path());
    assert_eq!(shop.call("PUT", "/products/espresso", Some(&product())).status, 201);

    let opened = Opened::start(over_endpoints(folder.path(), &[]));
    let page = &opened.page;
    let session = page.get("/console/api/session");
    assert_eq!(
        (&session["place"]["kind"], &session["place"]["stack"]),
        (&json!("aws"), &json!("nextbasket"))
    );
    assert_eq!(
        (&session["writable"], &session["tables"]["products"]),
        (&json!(false), &json!("nextbasket-products"))
    );
    assert_eq!(page.get("/products/espresso")["name"], "Espresso");
    assert_eq!(page.get("/console/api/overview")["attention"][0]["code"], "no_purchases");

    // The API has the operator's credentials behind it: it answers the page alone.
    for path in ["/products", "/jobs", "/users/ada/recommendations", "/none"] {
        let lines = [format!("GET {path} HTTP/1.1"), format!("host: {}", page.address)];
        let answer = send(page.address, &lines.each_ref().map(String::as_str), "");
        assert_eq!((answer.status, answer.code().as_str()), (401, "session_required"), "{path}");
    }
    let theirs = Page { session: shop.session.clone(), ..page.clone() };
    assert_eq!(theirs.call("GET", "/products", None).status, 401, "the session of another console");

    for (method, path, body) in [
        ("PUT", "/products/filter", product()),
        ("POST", "/jobs", json!({ "kind": "refresh-popular" })),
        ("POST", "/purchases", json!({})),
        ("DELETE", "/users/ada", json!({})),
        ("PUT", "/models/current", json!({ "version": 1 })),
    ] {
        let answer = page.call(method, path, Some(&body));
        assert_eq!((answer.status, answer.code().as_str()), (403, "read_only"), "{method} {path}");
    }
    assert_eq!(shop.call("GET", "/products/filter", None).status, 404);
    let estimate = page.post("/jobs", &json!({ "kind": "refresh-popular", "dryRun": true }));
    assert!(estimate["estimate"].is_object(), "{estimate}");
    assert_eq!(page.call("POST", "/recommendations", Some(&json!({ "basket": [] }))).status, 200);

    let writable = Opened::start(over_endpoints(folder.path(), &["--writable"]));
    let page = &writable.page;
    assert_eq!(page.call("PUT", "/products/filter", Some(&product())).status, 201);
    assert_eq!(shop.get("/products/filter")["name"], "Espresso");
    // The workers of the server that has the folder open do the job.
    let dumped = page
        .job("dump", &json!({ "tables": ["nextbasket-products"], "to": "s3://nextbasket-dumpsbucket/x" }));
    assert_eq!(
        (&dumped["state"], &dumped["result"]["items"]),
        (&json!("succeeded"), &json!(2)),
        "{dumped:#}"
    );
}

#[test]
fn where_the_stacks_tables_are_missing_the_overview_says_which() {
    let folder = tempfile::tempdir().unwrap();
    let _server = Server::start(&["--data", folder.path().to_str().unwrap()]);
    let opened = Opened::start(over_endpoints(folder.path(), &["--stack", "other"]));
    let overview = opened.page.until("/console/api/overview", "the tables were looked for", |overview| {
        overview["attention"].as_array().is_some_and(|found| !found.is_empty())
    });
    let missing = &overview["attention"][0];
    assert_eq!((&missing["code"], &missing["severity"]), (&json!("tables_missing"), &json!("error")));
    assert!(missing["values"]["tables"].as_str().unwrap().starts_with("other-products, "), "{missing}");
}

#[test]
fn over_a_folder_the_console_is_that_of_its_server_or_is_served_anew() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let server = Server::start(&["--data", data]);
    let link = succeed(&["console", "--data", data]);
    let theirs = Page::opened(link.trim().strip_prefix("Console: ").unwrap());
    assert_eq!(theirs.address, server.address);
    assert_eq!(theirs.get("/console/api/session")["place"]["kind"], "folder");
    assert!(server.stop());
    let opened =
        Opened::start(nextbasket(&["console", "--data", data, "--listen", "127.0.0.1:0", "--writable"]));
    assert_eq!(opened.page.session, theirs.session, "the link's secret is the folder's");
    assert_eq!(opened.page.get("/console/api/session")["writable"], true);
    let lines = ["GET /products HTTP/1.1".to_owned(), format!("host: {}", opened.page.address)];
    let answer = send(opened.page.address, &lines.each_ref().map(String::as_str), "");
    assert_eq!(answer.status, 200, "programs and commands use the API of a folder's process as ever");
}

/// AWS's side of CloudFormation, CloudWatch and Step Functions, in their protocols.
struct Aws {
    address: SocketAddr,
    /// Each request's authorization and body.
    asked: Arc<Mutex<Vec<(String, String)>>>,
}

impl Aws {
    fn start(tables: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let seen = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), tables, &seen);
            }
        });
        Self { address, asked }
    }

    fn asked(&self, text: &str) -> Vec<(String, String)> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(_, body)| body.contains(text)).cloned().collect()
    }
}

fn answer(stream: TcpStream, tables: &str, asked: &Mutex<Vec<(String, String)>>) {
    let mut reader = BufReader::new(stream);
    let (mut length, mut authorization) = (0, String::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) <= 2 {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        match name.to_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap(),
            "authorization" => authorization = value.trim().to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() || length == 0 {
        return;
    }
    let body = String::from_utf8(body).unwrap();
    asked.lock().unwrap().push((authorization, body.clone()));
    let has = |text: &str| body.contains(text);
    let (status, answer) = if has("Action=DescribeStacks") && has("StackName=nextbasket") {
        (200, stack(tables))
    } else if has("Action=DescribeStacks") {
        let error =
            "<Error><Code>ValidationError</Code><Message>Stack with id x does not exist</Message></Error>";
        (400, format!("<ErrorResponse>{error}</ErrorResponse>"))
    } else if has("Action=DescribeStackResource") {
        (200, "<R><StackResourceDetail><PhysicalResourceId>history-1</PhysicalResourceId></StackResourceDetail></R>".to_owned())
    } else if has("Action=GetMetricData") {
        (200, metrics(&body))
    } else if has("stateMachineArn") {
        (200, r#"{"executionArn":"arn","startDate":1.0}"#.to_owned())
    } else {
        (400, String::new())
    };
    let mut stream = reader.into_inner();
    let _ = write!(
        stream,
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
        answer.len()
    );
}

fn stack(tables: &str) -> String {
    let output = |key: &str, value: &str| {
        format!("<member><OutputKey>{key}</OutputKey><OutputValue>{value}</OutputValue></member>")
    };
    let mut outputs = String::new();
    for table in ["Products", "Purchases", "History", "Model", "Operations"] {
        outputs += &output(&format!("{table}TableName"), &format!("{tables}-{}", table.to_lowercase()));
    }
    outputs += &output("JobsBucketName", "nextbasket-jobsbucket");
    outputs += &output("DumpsBucketName", "nextbasket-dumpsbucket");
    outputs += &output("ApiUrl", "https://api1.execute-api.eu-central-1.amazonaws.com");
    outputs +=
        &output("JobStateMachineArn", "arn:aws:states:eu-central-1:123456789012:stateMachine:shop-job");
    outputs += &output(
        "PurchaseHistoryFailuresUrl",
        "https://sqs.eu-central-1.amazonaws.com/123456789012/failures-1",
    );
    let parameter = "<member><ParameterKey>DumpSchedule</ParameterKey><ParameterValue>cron(0 3 * * ? *)</ParameterValue></member>";
    format!(
        "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackId>arn:aws:cloudformation:eu-central-1:123456789012:stack/nextbasket/1</StackId><Outputs>{outputs}</Outputs><Parameters>{parameter}</Parameters></member></Stacks></DescribeStacksResult></DescribeStacksResponse>"
    )
}

/// One point of each metric that is asked for, at its beginning: the number of the question, but 2 for given-up batches.
fn metrics(body: &str) -> String {
    let value = |name: &str| body.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let at = value("StartTime").unwrap().replace("%3A", ":");
    let mut results = String::new();
    for n in 1.. {
        let of = format!("MetricDataQueries.member.{n}");
        let Some(id) = value(&format!("{of}.Id")) else { break };
        let point = match value(&format!("{of}.MetricStat.Metric.MetricName")).unwrap() {
            "ApproximateNumberOfMessagesVisible" => 2,
            "Answers" => 10,
            _ => 1,
        };
        results += &format!(
            "<member><Id>{id}</Id><Timestamps><member>{at}</member></Timestamps><Values><member>{point}</member></Values></member>"
        );
    }
    format!(
        "<R><GetMetricDataResult><MetricDataResults>{results}</MetricDataResults></GetMetricDataResult></R>"
    )
}

#[test]
fn the_page_over_a_deployed_stack_finds_it_by_its_name_and_starts_jobs_as_executions() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    // Without workers, as a table on AWS: an execution would do the job.
    let server = Server::start(&["--data", data, "--workers", "0"]);
    let aws = Aws::start("nextbasket");
    let endpoint = format!("http://{}", aws.address);
    let described = |arguments: &[&str]| {
        let mut command = over_endpoints(folder.path(), arguments);
        for service in ["CLOUDFORMATION", "CLOUDWATCH", "SFN"] {
            command.env(format!("AWS_ENDPOINT_URL_{service}"), &endpoint);
        }
        command.env("AWS_REGION", "eu-central-1");
        command
    };
    let error = failing(described(&["--stack", "other"]), 2);
    assert!(error.contains("stack \"other\" not found: name the deployed stack with --stack"), "{error}");

    let opened = Opened::start(described(&["--writable", "--table", "things"]));
    let page = &opened.page;
    let session = page.get("/console/api/session");
    let place = &session["place"];
    assert_eq!((&place["account"], &place["region"]), (&json!("123456789012"), &json!("eu-central-1")));
    assert_eq!(
        session["buckets"],
        json!({ "jobs": "nextbasket-jobsbucket", "dumps": "nextbasket-dumpsbucket" })
    );

    let overview = page.get("/console/api/overview");
    let traffic = &overview["traffic"];
    assert_eq!(
        (&traffic["answers"], &traffic["conversions"], &traffic["errors"]),
        (&json!(50.0), &json!(1.0), &json!(1.0))
    );
    assert_eq!(
        (&overview["freshness"]["medianMs"], &overview["freshness"]["samples"]),
        (&json!(1.0), &json!(1))
    );
    let parts = overview["cost"]["parts"].as_array().unwrap();
    let units = |table: &str| {
        let part = parts.iter().find(|part| part["table"] == format!("nextbasket-{table}")).unwrap();
        (part["readUnits"].as_f64().unwrap(), part["writeUnits"].as_f64().unwrap())
    };
    assert_eq!(
        (units("products"), units("purchases")),
        ((2.0, 2.0), (1.0, 1.0)),
        "an index is metered by itself"
    );
    let codes: Vec<_> =
        overview["attention"].as_array().unwrap().iter().map(|found| found["code"].clone()).collect();
    assert_eq!(codes, ["stream_failures", "no_purchases"], "{overview:#}");
    assert!(overview["dumps"].as_array().unwrap().iter().all(|dump| dump["scheduled"] == true));
    page.get("/console/api/overview");
    assert_eq!(aws.asked("Action=GetMetricData").len(), 1, "readings are billed, so one is kept for a while");

    let job = page.post("/jobs", &json!({ "jobId": "job-1", "kind": "refresh-popular" }));
    assert_eq!(job["state"], "waiting");
    let started = aws.asked("stateMachineArn");
    let [(authorization, body)] = started.as_slice() else { panic!("{started:?}") };
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["stateMachineArn"], "arn:aws:states:eu-central-1:123456789012:stateMachine:shop-job");
    assert_eq!((&body["name"], &body["input"]), (&json!("job-1"), &json!("{\"jobId\":\"job-1\"}")));
    let [(_, key), _] = key_of(folder.path());
    assert!(authorization.starts_with(&format!("AWS4-HMAC-SHA256 Credential={key}/")), "{authorization}");
    assert!(authorization.contains("/eu-central-1/states/aws4_request"), "{authorization}");
    let [(authorization, _), ..] = &aws.asked("Action=GetMetricData")[..] else {
        panic!("nothing was asked")
    };
    assert!(authorization.contains("/eu-central-1/monitoring/aws4_request"), "{authorization}");
    drop(server);
}

#[test]
fn without_measurements_the_overview_shows_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let _server = Server::start(&["--data", folder.path().to_str().unwrap()]);
    let aws = Aws::start("nextbasket");
    let mut command = over_endpoints(folder.path(), &[]);
    command.env("AWS_ENDPOINT_URL_CLOUDFORMATION", format!("http://{}", aws.address));
    // Nothing listens there.
    command.env("AWS_ENDPOINT_URL_CLOUDWATCH", "http://127.0.0.1:9");
    let opened = Opened::start(command);
    let overview = opened.page.get("/console/api/overview");
    assert_eq!((&overview["freshness"], &overview["traffic"]["answers"]), (&Value::Null, &json!(0.0)));
    assert_eq!(overview["attention"][0]["code"], "no_purchases");
}
