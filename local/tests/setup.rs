//! What commands need at an endpoint that no stack has prepared, and how they get it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod command;
mod killed;

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_dynamodb::types::{AttributeValue, TimeToLiveStatus};
use command::{failing, nextbasket, succeeding};
use killed::Site;
use serde_json::Value;

/// The endpoints are this process's own and have to go on meanwhile.
async fn outside<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(run).await.unwrap()
}

async fn site_with_things(count: usize) -> Site {
    let site = Site::start().await;
    site.table("things").await;
    for n in 0..count {
        let put = site.dynamodb.put_item().table_name("things");
        put.item("id", AttributeValue::S(format!("{n:04}"))).send().await.unwrap();
    }
    site
}

/// A command at the site's endpoints, with these options in place of the site's own table and bucket.
fn at(site: &Site, arguments: &[&str]) -> Command {
    let through = site.through(&site.endpoint);
    let mut command = site.unconfirmed(arguments);
    command.args(&through[..4]);
    command
}

async fn tables(site: &Site) -> Vec<String> {
    site.dynamodb.list_tables().send().await.unwrap().table_names.unwrap_or_default()
}

#[tokio::test]
async fn setup_makes_a_table_and_a_bucket_that_jobs_and_locks_work_with() {
    let site = site_with_things(3).await;
    let needs = ["--operations", "our-jobs", "--bucket", "our-jobs-bucket"];
    let missing = at(&site, &[&["count", "things"][..], &needs].concat());
    let err = outside(move || failing(missing, 2)).await;
    for words in ["table \"our-jobs\" not found", &site.endpoint, "nextbasket setup", "--state DIR"] {
        assert!(err.contains(words), "{words:?} is not in {err}");
    }
    let setup = [&["setup", "--json"][..], &needs].concat();
    let first = at(&site, &setup);
    let made: Value = serde_json::from_str(&outside(move || succeeding(first)).await).unwrap();
    assert_eq!(
        (&made["table"]["created"], &made["bucket"]["created"]),
        (&true.into(), &true.into()),
        "{made}"
    );
    let options = made["options"].as_str().unwrap();
    for words in ["--operations our-jobs", "--bucket our-jobs-bucket", &site.endpoint] {
        assert!(options.contains(words), "{options}");
    }
    let expiry = site.dynamodb.describe_time_to_live().table_name("our-jobs").send().await.unwrap();
    let expiry = expiry.time_to_live_description.unwrap();
    assert_eq!(expiry.attribute_name(), Some("expireAt"));
    assert_eq!(expiry.time_to_live_status(), Some(&TimeToLiveStatus::Enabled));

    for arguments in [
        &["count", "things"][..],
        &["update", "things", "--set", "n = 1", "--yes"],
        &["lock", "acquire", "nightly"],
    ] {
        let command = at(&site, &[arguments, &needs].concat());
        outside(move || succeeding(command)).await;
    }
    let again = at(&site, &setup);
    let made: Value = serde_json::from_str(&outside(move || succeeding(again)).await).unwrap();
    assert_eq!(
        (&made["table"]["created"], &made["bucket"]["created"]),
        (&false.into(), &false.into()),
        "{made}"
    );
    assert_eq!(made["table"]["problems"], serde_json::json!([]), "{made}");
}

#[tokio::test]
async fn setup_takes_no_table_of_other_keys_for_one_of_jobs() {
    let site = site_with_things(1).await;
    let setup = at(&site, &["setup", "--operations", "things"]);
    let err = outside(move || failing(setup, 1)).await;
    assert!(err.contains("table \"things\" exists and is no operations table"), "{err}");
    let folder = nextbasket(&["setup"]);
    let err = outside(move || failing(folder, 2)).await;
    assert!(err.contains("--region, --profile or --endpoint"), "{err}");
    // Not on AWS, by an oversight.
    let mut half = site.unconfirmed(&["setup", "--endpoint", &site.endpoint]);
    half.env_remove("AWS_ENDPOINT_URL_S3");
    let err = outside(move || failing(half, 2)).await;
    assert!(err.contains("--s3-endpoint is missing"), "{err}");
}

#[tokio::test]
async fn commands_that_read_keep_their_state_in_a_folder() {
    let site = site_with_things(5).await;
    site.table("others").await;
    let before = tables(&site).await;
    let (state, dump) = (site.path("state"), site.path("dump"));
    for (arguments, says) in [
        (&["count", "things"][..], "5 of 5 items"),
        (&["dump", "things", "--to", &dump], "things: 5 items"),
        (&["verify", &dump], "good: 5 items"),
        (&["verify", &dump, "table:things"], "equal: 5 items"),
    ] {
        let command = at(&site, &[arguments, &["--state", &state]].concat());
        let said = outside(move || succeeding(command)).await;
        assert!(said.contains(says), "{said}");
    }
    for arguments in [
        &["update", "things", "--set", "n = 1", "--yes"][..],
        &["delete", "things", "--all", "--yes"],
        &["copy", "things", "others", "--yes"],
        &["restore", &dump, "others", "--yes"],
    ] {
        let command = at(&site, &[arguments, &["--state", &state]].concat());
        let err = outside(move || failing(command, 2)).await;
        assert!(err.contains("writes to tables, so its state cannot be kept in another database"), "{err}");
    }
    assert_eq!(tables(&site).await, before, "nothing was created at the endpoint");
    let list = at(&site, &["jobs", "list", "--json", "--state", &state]);
    let list: Value = serde_json::from_str(&outside(move || succeeding(list)).await).unwrap();
    let kinds: Vec<&str> =
        list["items"].as_array().unwrap().iter().map(|job| job["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["verify", "verify", "dump", "count"]);
    // A list has only the jobs of its own target: not those of another target, nor of the folder.
    let other = at(&site, &["jobs", "list", "--state", &state, "--region", "eu-west-3"]);
    assert!(!outside(move || succeeding(other)).await.contains("count"));
    let folder = nextbasket(&["jobs", "list", "--data", &state]);
    assert!(!outside(move || succeeding(folder)).await.contains("count"));
    let both = nextbasket(&["count", "things", "--data", &state, "--state", &state]);
    let err = outside(move || failing(both, 2)).await;
    assert!(err.contains("--state: is for AWS and other endpoints"), "{err}");
}

#[tokio::test]
async fn a_job_whose_state_is_in_a_folder_is_resumed_there() {
    let site = site_with_things(60).await;
    let state = site.path("state");
    let count = ["count", "things", "--rcu", "1", "--batch-size", "1", "--segments", "1", "--state", &state];
    let mut killed = at(&site, &count).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let list = || {
        let list = at(&site, &["jobs", "list", "--json", "--state", &state]);
        outside(move || serde_json::from_str::<Value>(&succeeding(list)).unwrap())
    };
    let job = loop {
        let jobs = if std::path::Path::new(&state).join("format.json").exists() {
            list().await
        } else {
            Value::Null
        };
        match jobs["items"].as_array().and_then(|jobs| jobs.first()) {
            Some(job) if job["state"] == "running" => break job["jobId"].as_str().unwrap().to_owned(),
            _ => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
        }
    };
    killed.kill().unwrap();
    killed.wait().unwrap();
    let work = at(&site, &["jobs", "work", &job, "--json", "--state", &state]);
    let ended: Value = serde_json::from_str(&outside(move || succeeding(work)).await).unwrap();
    assert_eq!(ended["result"]["matched"], 60, "{ended}");
}

#[tokio::test]
async fn nobody_at_the_endpoint_is_found_out_with_few_calls() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let calls = Arc::new(AtomicU32::new(0));
    let counted = calls.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            counted.fetch_add(1, Ordering::Relaxed);
            drop(stream);
        }
    });
    for command in
        [&["count", "things"][..], &["jobs", "list"], &["lock", "list"], &["dump", "things", "--to", "x"]]
    {
        let mut command =
            nextbasket(&[command, &["--endpoint", &endpoint, "--s3-endpoint", &endpoint]].concat());
        command.env("AWS_ACCESS_KEY_ID", "local").env("AWS_SECRET_ACCESS_KEY", "local");
        let err = outside(move || failing(command, 1)).await;
        assert!(err.contains("cannot be reached: no connection, or it broke"), "{err}");
        assert_eq!(err.trim().lines().count(), 1, "{err}");
    }
    let calls = calls.load(Ordering::Relaxed);
    assert!(calls <= 4 * 4, "{calls} connections for four commands");
}

#[tokio::test]
async fn a_table_that_is_deleted_while_a_job_reads_it_is_named() {
    let site = site_with_things(60).await;
    let mut count = site.command(&["count", "things", "--rcu", "1", "--batch-size", "1", "--segments", "1"]);
    count.args(site.through(&site.endpoint)).stdout(Stdio::piped()).stderr(Stdio::piped());
    let count = count.spawn().unwrap();
    site.running_job().await;
    site.dynamodb.delete_table().table_name("things").send().await.unwrap();
    let output = outside(move || count.wait_with_output().unwrap()).await;
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    let last = err.lines().last().unwrap_or_default();
    assert!(last.contains("things") && !last.contains("operations"), "{err}");
}

#[tokio::test]
async fn another_profile_has_the_credentials_of_the_table_that_is_copied_to() {
    let (site, other) = (site_with_things(3).await, Site::start().await);
    other.table("things").await;
    let [(_, id), (_, secret), ..] = other.access();
    let config = site.file(
        "config",
        &format!("[profile other]\nregion = eu-west-3\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n"),
    );
    let copy = |more: &[&str]| {
        let arguments = [&["copy", "things", "things", "--to-endpoint", &other.endpoint][..], more].concat();
        let mut command = site.unconfirmed(&arguments);
        command.args(site.through(&site.endpoint)).env("AWS_CONFIG_FILE", &config);
        command.env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        command
    };
    let without = copy(&["--yes"]);
    let err = outside(move || failing(without, 1)).await;
    assert!(err.contains("access key"), "{err}");
    let unknown = copy(&["--to-profile", "otter", "--yes"]);
    let err = outside(move || failing(unknown, 2)).await;
    assert!(err.contains("--to-profile: profile \"otter\" not found"), "{err}");
    let asks = copy(&["--to-profile", "other"]);
    let err = outside(move || failing(asks, 2)).await;
    assert!(err.contains("region eu-west-3, profile other") && err.contains("0 items"), "{err}");
    let with = copy(&["--to-profile", "other", "--yes"]);
    outside(move || succeeding(with)).await;
    let copied = other.dynamodb.scan().table_name("things").send().await.unwrap();
    assert_eq!(copied.count(), 3);
    let there = ["--other-endpoint", &other.endpoint, "--other-profile", "other"];
    let mut verify = site.unconfirmed(&[&["verify", "table:things", "table:things"][..], &there].concat());
    verify.args(site.through(&site.endpoint)).env("AWS_CONFIG_FILE", &config);
    verify.env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    let said = outside(move || succeeding(verify)).await;
    assert!(said.starts_with("equal: 3 items"), "{said}");
}

#[tokio::test]
async fn the_operations_table_is_no_target_under_any_endpoint() {
    let site = site_with_things(1).await;
    let through = site.through(&site.endpoint);
    let operations = &through[5];
    let err = site
        .fail(&["copy", "things", operations, "--to-endpoint", &site.endpoint, "--on-conflict", "skip"], 1)
        .await;
    assert!(err.contains("cannot be changed by a job: it stores the jobs"), "{err}");
}

#[tokio::test]
async fn a_change_that_nothing_could_undo_is_said_or_refused() {
    let site = site_with_things(1).await;
    let proxy = site.proxy().await;
    let through = site.through(&proxy.url());
    let update = |more: &[&str]| {
        let mut command =
            site.unconfirmed(&[&["update", "things", "--set", "n = 1", "--yes"][..], more].concat());
        command.args(&through);
        command
    };
    let required = update(&["--require-pitr"]);
    let err = outside(move || failing(required, 1)).await;
    assert!(err.contains("--require-pitr: ") && err.contains("table \"things\""), "{err}");
    let item = site.dynamodb.get_item().table_name("things").key("id", AttributeValue::S("0000".to_owned()));
    assert!(!item.send().await.unwrap().item.unwrap().contains_key("n"));
    let allowed = update(&[]);
    outside(move || succeeding(allowed)).await;
    assert_eq!(proxy.calls("DescribeContinuousBackups"), 2);
}
