//! Faults on the way to S3, as an SDK client sees them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::operation::put_object::PutObjectError;
use aws_sdk_s3::primitives::ByteStream;
use nextbasket_testkit::{Fault, FaultProxy, TestStack};

struct Setup {
    stack: TestStack,
    proxy: FaultProxy,
    bucket: String,
}

async fn setup() -> Setup {
    let stack = TestStack::start().await;
    let (proxy, bucket) = (stack.s3_proxy().await, stack.bucket("JOBS_BUCKET"));
    Setup { stack, proxy, bucket }
}

impl Setup {
    /// A client that tries once, so that a fault shows.
    fn once(&self) -> Client {
        let config = self.proxy.s3().config().to_builder().retry_config(RetryConfig::disabled());
        Client::from_conf(config.build())
    }

    /// Creates an object, if there is none, and answers the code of a refusal; empty if there is none.
    async fn create(&self, client: &Client, key: &str) -> Result<(), String> {
        let body = ByteStream::from_static(b"hello");
        let put = client.put_object().bucket(&self.bucket).key(key).if_none_match("*").body(body);
        let code = |e: PutObjectError| e.code().unwrap_or_default().to_owned();
        put.send().await.map(drop).map_err(|e| e.into_service_error()).map_err(code)
    }

    async fn keys(&self) -> Vec<String> {
        let found = self.stack.s3().list_objects_v2().bucket(&self.bucket).send().await.unwrap();
        found.contents().iter().map(|object| object.key().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn a_refused_request_is_not_applied_and_the_sdk_tries_again() {
    let setup = setup().await;
    setup.proxy.inject("PUT jobs/", 1..=1, Fault::Throttle);
    assert_eq!(setup.create(&setup.once(), "jobs/a").await, Err("SlowDown".to_owned()));
    setup.proxy.inject("PUT", 1..=1, Fault::ServerError);
    assert_eq!(setup.create(&setup.once(), "jobs/a").await, Err("InternalError".to_owned()));
    assert_eq!(setup.keys().await, [""; 0]);
    setup.proxy.inject("*", 1..=2, Fault::Throttle);
    setup.create(&setup.proxy.s3(), "jobs/a").await.unwrap();
    assert_eq!(setup.keys().await, ["jobs/a"]);
    assert_eq!(
        (setup.proxy.calls("PUT jobs/a"), setup.proxy.calls("GET"), setup.proxy.calls("*")),
        (5, 0, 5)
    );
}

#[tokio::test]
async fn a_lost_answer_to_a_creation_makes_the_next_try_fail() {
    let setup = setup().await;
    setup.proxy.inject("PUT jobs/a", 1..=1, Fault::DropBefore);
    setup.create(&setup.proxy.s3(), "jobs/a").await.unwrap();
    setup.proxy.inject("PUT jobs/b", 1..=1, Fault::DropAfter);
    let answer = setup.create(&setup.proxy.s3(), "jobs/b").await;
    assert_eq!(answer, Err("PreconditionFailed".to_owned()));
    assert_eq!(setup.keys().await, ["jobs/a", "jobs/b"]);
}

#[tokio::test]
async fn a_fault_meets_the_requests_that_it_names_and_no_other() {
    let setup = setup().await;
    setup.proxy.inject("PUT jobs/b", 2..=2, Fault::ServerError);
    setup.proxy.inject("POST uploads", 1..=1, Fault::ServerError);
    let client = setup.once();
    for (key, answer) in [("jobs/b1", Ok(())), ("jobs/a", Ok(())), ("jobs/b2", Err(())), ("jobs/b3", Ok(()))]
    {
        assert_eq!(setup.create(&client, key).await.map_err(drop), answer, "{key}");
    }
    let begin = || client.create_multipart_upload().bucket(&setup.bucket).key("k").send();
    assert!(begin().await.is_err());
    begin().await.unwrap();
    setup.proxy.inject("PUT", 1..=9, Fault::ServerError);
    setup.proxy.heal();
    setup.create(&client, "jobs/c").await.unwrap();
}

#[tokio::test]
async fn half_an_answer_is_an_error_and_a_slow_one_is_not() {
    let setup = setup().await;
    let client = setup.once();
    setup.create(&client, "k").await.unwrap();
    let get = || client.get_object().bucket(&setup.bucket).key("k").send();
    setup.proxy.inject("GET", 1..=1, Fault::Truncate);
    assert!(get().await.unwrap().body.collect().await.is_err());
    setup.proxy.inject("GET", 1..=1, Fault::Delay(Duration::from_millis(100)));
    let begin = Instant::now();
    assert_eq!(get().await.unwrap().body.collect().await.unwrap().to_vec(), b"hello");
    assert!(begin.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn what_is_not_disturbed_goes_through_as_it_is() {
    let setup = setup().await;
    let client = setup.once();
    let file = std::env::current_exe().unwrap();
    let body = ByteStream::from_path(&file).await.unwrap();
    client.put_object().bucket(&setup.bucket).key("streamed").body(body).send().await.unwrap();
    let size = i64::try_from(std::fs::metadata(&file).unwrap().len()).unwrap();
    let head = client.head_object().bucket(&setup.bucket).key("streamed").send().await.unwrap();
    assert_eq!(head.content_length(), Some(size));
    let range =
        client.get_object().bucket(&setup.bucket).key("streamed").range("bytes=0-3").send().await.unwrap();
    assert_eq!(range.body.collect().await.unwrap().to_vec(), std::fs::read(&file).unwrap()[..4]);
    client.delete_object().bucket(&setup.bucket).key("streamed").send().await.unwrap();
    assert_eq!(setup.keys().await, [""; 0]);
}
