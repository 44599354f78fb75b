//! Slow clients, and many of them at once.

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

use std::net::SocketAddr;
use std::time::Duration;

use nextbasket_machine::{ConnectionLimits, Machine, MachineOptions};
use raw::send;
use support::{client, put, template};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn machine(limits: ConnectionLimits) -> (Machine, [SocketAddr; 3]) {
    let options = MachineOptions { limits, ..MachineOptions::in_memory(template(""), "t") };
    let mut machine = Machine::start(options).await.unwrap();
    let shop = nextbasket_machine::handler(
        |_: lambda_runtime::LambdaEvent<aws_lambda_events::apigw::ApiGatewayV2httpRequest>| async {
            let mut response = aws_lambda_events::apigw::ApiGatewayV2httpResponse::default();
            response.status_code = 204;
            Ok(response)
        },
    );
    let functions = std::collections::HashMap::from([("shop".to_owned(), shop)]);
    let http = machine.gateway("127.0.0.1:0".parse().unwrap(), &functions).await.unwrap();
    let ports = [http, machine.dynamodb().address(), machine.s3().address()];
    (machine, ports)
}

async fn opened(port: SocketAddr, begin: &str) -> TcpStream {
    let mut stream = TcpStream::connect(port).await.unwrap();
    stream.write_all(begin.as_bytes()).await.unwrap();
    stream
}

/// Whether the server ends the connection, with or without an answer, before the test times out.
async fn is_ended(mut stream: TcpStream) -> bool {
    let mut rest = Vec::new();
    let ended = stream.read_to_end(&mut rest);
    tokio::time::timeout(Duration::from_secs(60), ended).await.is_ok()
}

#[tokio::test]
async fn a_head_a_body_or_a_next_request_that_does_not_come_ends_the_connection() {
    let short = Duration::from_millis(500);
    let (machine, ports) =
        machine(ConnectionLimits { head: short, body: short, ..ConnectionLimits::default() }).await;
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/20261126/local/s3/aws4_request, SignedHeaders=host, Signature=00",
        machine.key().id()
    );
    for port in ports {
        let body = format!(
            "POST /products/1 HTTP/1.1\r\nhost: {port}\r\ncontent-length: 9\r\n\
             authorization: {authorization}\r\n\r\n1234"
        );
        let dynamodb = body.replace("/products/1", "/");
        for begin in ["", "GET /products/1 HTTP/1.1\r\nhos", &body, &dynamodb] {
            assert!(is_ended(opened(port, begin).await).await, "{port} {begin:?}");
        }
        let answered = format!("GET /nothing HTTP/1.1\r\nhost: {port}\r\n\r\n");
        assert!(is_ended(opened(port, &answered).await).await, "{port}: idle");
    }
}

#[tokio::test]
async fn a_body_that_keeps_a_pace_has_its_time() {
    let limits = ConnectionLimits { body: Duration::from_millis(500), ..ConnectionLimits::default() };
    let (_machine, [http, ..]) = machine(limits).await;
    let mut stream = opened(
        http,
        &format!(
            "POST /products/1 HTTP/1.1\r\nhost: {http}\r\nconnection: close\r\ncontent-length: 40960\r\n\r\n"
        ),
    )
    .await;
    for _ in 0..10 {
        stream.write_all(&[b'x'; 4096]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
}

#[tokio::test]
async fn others_are_served_while_hundreds_hold_the_door_open() {
    let limits = ConnectionLimits { connections: 64, ..ConnectionLimits::default() };
    let (machine, [http, dynamodb, s3]) = machine(limits).await;
    let mut held = Vec::new();
    for port in [http, dynamodb, s3] {
        for at in 0..100 {
            let begin = ["", "GET / HTTP/1.1\r\nhost: ", "POST / HTTP/1.1\r\n"][at % 3];
            held.push(opened(port, begin).await);
        }
    }
    let answer = send(http, &["GET /products/1 HTTP/1.1"], "").await;
    assert_eq!(answer.status, 204);
    let client = client(&machine);
    put(&client, "ada", "1").await;
    assert_eq!(client.scan().table_name("t-orders").send().await.unwrap().count(), 1);
    let s3 = aws_sdk_s3::Client::from_conf(machine.s3_config());
    assert!(s3.list_buckets().send().await.is_ok());
    // The evicted ones are closed long before their time limit.
    let mut gone = 0;
    for stream in &mut held {
        let mut byte = [0; 1];
        let read = tokio::time::timeout(Duration::from_millis(20), stream.read(&mut byte)).await;
        gone += usize::from(read.is_ok());
    }
    assert!(gone >= 3 * 30, "{gone} of {}", held.len());
}
