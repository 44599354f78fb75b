//! Who gets access: attacks on the three ports, each of which succeeded before the door existed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

#[path = "support/raw.rs"]
mod raw;
mod support;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use lambda_runtime::LambdaEvent;
use nextbasket_machine::dynamodb::sdk_config;
use nextbasket_machine::s3::s3_config;
use nextbasket_machine::{AccessKey, Machine, handler};
use raw::{Answer, send, signed};
use support::{client, machine, put};

/// The header of a page that cannot know the key.
const FORGED: &str = "authorization: AWS4-HMAC-SHA256 Credential=local/20261126/local/dynamodb/aws4_request, \
     SignedHeaders=host;x-amz-date, Signature=0123456789abcdef";
const EVIL: &str = "origin: https://evil.example";
const SCAN: &str = "x-amz-target: DynamoDB_20120810.Scan";
const ORDERS: &str = r#"{"TableName":"t-orders"}"#;
const JSON: &str = "content-type: application/x-amz-json-1.0";

struct World {
    machine: Machine,
    http: SocketAddr,
    /// The number of requests that have reached a function.
    reached: Arc<AtomicUsize>,
}

async fn world() -> World {
    let mut machine = machine("").await;
    put(&client(&machine), "ada", "secret-order").await;
    let reached = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&reached);
    let shop = handler(move |_: LambdaEvent<ApiGatewayV2httpRequest>| {
        count.fetch_add(1, Ordering::Relaxed);
        async {
            let mut response = ApiGatewayV2httpResponse::default();
            response.status_code = 202;
            Ok(response)
        }
    });
    let functions = HashMap::from([("shop".to_owned(), shop)]);
    let http = machine.gateway("127.0.0.1:0".parse().unwrap(), &functions).await.unwrap();
    World { machine, http, reached }
}

impl World {
    fn dynamodb(&self) -> SocketAddr {
        self.machine.dynamodb().address()
    }

    fn ports(&self) -> [SocketAddr; 3] {
        [self.http, self.dynamodb(), self.machine.s3().address()]
    }

    async fn orders(&self) -> usize {
        client(&self.machine).scan().table_name("t-orders").send().await.unwrap().items().len()
    }
}

fn is_shut(answer: &Answer) -> bool {
    answer.status == 403 && !answer.allows_other_origins() && !answer.body.contains("secret-order")
}

#[tokio::test]
async fn a_page_gets_neither_items_nor_the_right_to_ask_for_them() {
    let world = world().await;
    let date = format!("x-amz-date: {}", chrono::Utc::now().format("%Y%m%dT%H%M%SZ"));
    for port in world.ports() {
        let preflight = ["OPTIONS / HTTP/1.1", EVIL, "access-control-request-method: POST"];
        assert!(is_shut(&send(port, &preflight, "").await), "{port}");
        for origin in [EVIL, "origin: null", "origin: http://localhost:3000", "sec-fetch-site: cross-site"] {
            let call = ["POST / HTTP/1.1", origin, FORGED, &date, SCAN, JSON];
            assert!(is_shut(&send(port, &call, ORDERS).await), "{port} {origin}");
        }
    }
    // This holds even if the request is signed with the key: programs that have it send no origin.
    let now = SystemTime::now();
    let mut call =
        signed(&world.dynamodb().to_string(), "DynamoDB_20120810.Scan", ORDERS, world.machine.key(), now);
    let good: Vec<&str> = call.iter().map(String::as_str).collect();
    let answer = send(world.dynamodb(), &good, ORDERS).await;
    assert!(answer.status == 200 && answer.body.contains("secret-order"), "{}", answer.body);
    assert!(!answer.allows_other_origins());
    call.push(EVIL.to_owned());
    let call: Vec<&str> = call.iter().map(String::as_str).collect();
    assert!(is_shut(&send(world.dynamodb(), &call, ORDERS).await));
}

#[tokio::test]
async fn a_put_with_a_made_up_signature_writes_nothing() {
    let world = world().await;
    let date = format!("x-amz-date: {}", chrono::Utc::now().format("%Y%m%dT%H%M%SZ"));
    let item = r#"{"TableName":"t-orders","Item":{"user":{"S":"mallory"},"order":{"S":"1"}}}"#;
    let target = "x-amz-target: DynamoDB_20120810.PutItem";
    for origin in [Some(EVIL), None] {
        let call = ["POST / HTTP/1.1", FORGED, &date, target, JSON];
        let call: Vec<&str> = call.into_iter().chain(origin).collect();
        let answer = send(world.dynamodb(), &call, item).await;
        assert!([400, 403].contains(&answer.status), "{}", answer.body);
    }
    assert_eq!(world.orders().await, 1);
}

#[tokio::test]
async fn rebinding_a_name_to_this_machine_opens_no_port() {
    let world = world().await;
    let date = format!("x-amz-date: {}", chrono::Utc::now().format("%Y%m%dT%H%M%SZ"));
    for port in world.ports() {
        for host in ["evil.example".to_owned(), format!("evil.example:{}", port.port()), String::new()] {
            let host = format!("host: {host}");
            for lines in [
                vec!["DELETE /products/victim HTTP/1.1", &host],
                vec!["GET /products/popular HTTP/1.1", &host],
                vec!["GET / HTTP/1.1", &host, FORGED, &date],
                vec!["POST / HTTP/1.1", &host, SCAN, JSON],
                vec!["POST / HTTP/1.1", &host, FORGED, &date, SCAN, JSON],
            ] {
                let answer = send(port, &lines, ORDERS).await;
                assert!(is_shut(&answer), "{port} {lines:?}: {} {}", answer.status, answer.body);
            }
        }
    }
    assert_eq!(world.reached.load(Ordering::Relaxed), 0);
    assert_eq!(world.orders().await, 1);
}

#[tokio::test]
async fn a_form_of_another_origin_does_not_reach_a_function_and_curl_does() {
    let world = world().await;
    let forms = ["content-type: text/plain", "content-type: application/x-www-form-urlencoded"];
    for form in forms {
        let answer = send(world.http, &["POST /products/1 HTTP/1.1", EVIL, form], "{}").await;
        assert!(is_shut(&answer), "{}", answer.body);
        let shown: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert!(shown["message"].as_str().unwrap().starts_with("Forbidden"), "{shown}");
    }
    assert_eq!(world.reached.load(Ordering::Relaxed), 0);
    let port = world.http.port();
    for host in [format!("127.0.0.1:{port}"), format!("localhost:{port}")] {
        let host = format!("host: {host}");
        let answer = send(world.http, &["POST /products/1 HTTP/1.1", &host, forms[1]], "{}").await;
        assert_eq!(answer.status, 202);
    }
    let own = format!("origin: http://localhost:{port}");
    let host = format!("host: localhost:{port}");
    let answer = send(world.http, &["POST /products/1 HTTP/1.1", &host, &own], "{}").await;
    assert_eq!(answer.status, 202, "a page that this port itself has served");
}

#[tokio::test]
async fn without_the_key_the_sdk_is_answered_as_on_aws() {
    let world = world().await;
    let asked = async |key: &AccessKey| {
        let config = sdk_config(&world.machine.dynamodb().endpoint_url(), key);
        let error = aws_sdk_dynamodb::Client::new(&config).scan().table_name("t-orders").send().await;
        error.unwrap_err().code().unwrap_or_default().to_owned()
    };
    assert_eq!(asked(&AccessKey::random()).await, "UnrecognizedClientException");
    let now = SystemTime::now();
    let call = async |host: &str, body: &str, sent: &str, key: &AccessKey, at: SystemTime| {
        let call = signed(host, "DynamoDB_20120810.Scan", body, key, at);
        let call: Vec<&str> = call.iter().map(String::as_str).collect();
        let answer = send(world.dynamodb(), &call, sent).await;
        let kind: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        let kind = kind["__type"].as_str().map(|kind| kind.rsplit('#').next().unwrap().to_owned());
        (answer.status, kind.unwrap_or_default())
    };
    let here = world.dynamodb().to_string();
    let key = world.machine.key();
    let forged = (400, "InvalidSignatureException".to_owned());
    assert_eq!(call(&here, ORDERS, ORDERS, key, now).await.0, 200);
    // A container knows this machine under another name, and signs for that name.
    assert_eq!(call("host.docker.internal:8000", ORDERS, ORDERS, key, now).await.0, 200);
    assert_eq!(call(&here, ORDERS, r#"{"TableName":"t-locks"}"#, key, now).await, forged);
    assert_eq!(call(&here, ORDERS, ORDERS, key, now - Duration::from_secs(16 * 60)).await, forged);
    assert_eq!(call(&here, ORDERS, ORDERS, key, now + Duration::from_secs(16 * 60)).await, forged);
    assert_eq!(call(&here, ORDERS, ORDERS, key, now - Duration::from_secs(14 * 60)).await.0, 200);
    let missing = send(world.dynamodb(), &["POST / HTTP/1.1", SCAN, JSON], ORDERS).await;
    assert_eq!(missing.status, 400);
    assert!(missing.body.contains("#MissingAuthenticationTokenException"), "{}", missing.body);

    let s3 = world.machine.s3().endpoint_url();
    let list = async |key: &AccessKey| {
        let client = aws_sdk_s3::Client::from_conf(s3_config(&s3, key));
        client.list_buckets().send().await.err().map(|error| error.code().unwrap_or_default().to_owned())
    };
    assert_eq!(list(key).await, None);
    assert_eq!(list(&AccessKey::random()).await.as_deref(), Some("InvalidAccessKeyId"));
    let unsigned = send(world.machine.s3().address(), &["GET / HTTP/1.1"], "").await;
    assert!(unsigned.status == 403 && unsigned.body.contains("AccessDenied"), "{}", unsigned.body);
}

#[tokio::test]
async fn lambda_is_called_with_the_key_alone() {
    let mut machine = machine("").await;
    let lambda = machine.lambda(HashMap::new()).await.unwrap();
    let path = "POST /2015-03-31/functions/f/invocations HTTP/1.1";
    for lines in [vec![path], vec![path, FORGED], vec![path, EVIL], vec![path, "host: evil.example"]] {
        assert_eq!(send(lambda, &lines, "{}").await.status, 403, "{lines:?}");
    }
}
