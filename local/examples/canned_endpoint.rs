//! A DynamoDB that costs nothing but time: pages of one table, and answers to writes to it, come ready made after a
//! fixed delay; everything else goes to a real endpoint.
//!
//!     canned_endpoint ENDPOINT TABLE ITEMS_PER_SEGMENT DELAY_MS
//!
//! The table's key must be `id`, a string. Prints its address. What jobs over tables are measured against, where the
//! endpoint is not to be the limit: see `local/benches/tables.py`.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a measurement that cannot go on ends there"
)]

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Items of some 330 bytes, as many as a page of 1 MB has.
const PAGE: u64 = 3_000;

struct Canned {
    endpoint: Uri,
    table: String,
    pages: u64,
    delay: Duration,
    /// A page's items, without the braces around.
    items: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut next =
        || arguments.next().expect("usage: canned_endpoint ENDPOINT TABLE ITEMS_PER_SEGMENT DELAY_MS");
    let (endpoint, table) = (next().parse().expect("a URL"), next());
    let items: u64 = next().parse().expect("a number of items");
    let delay = Duration::from_millis(next().parse().expect("a number of milliseconds"));
    let client = Client::builder(TokioExecutor::new()).build_http();
    let pages = items.div_ceil(PAGE);
    let canned = Arc::new(Canned { endpoint, table, pages, delay, items: page(), client });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("http://{}", listener.local_addr().expect("an address"));
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        let canned = canned.clone();
        tokio::spawn(async move {
            let answer = service_fn(|request| answer(&canned, request));
            // A client that goes away is none of our business.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

fn page() -> String {
    let item = |n: u64| {
        json!({
            "id": { "S": format!("user-{n:06}#2026-05-17#order-{n:08}") },
            "userId": { "S": format!("user-{n:06}") },
            "purchasedAt": { "S": "2026-05-17T09:30:00.000Z" },
            "lines": { "L": [
                { "M": { "productId": { "S": "85123A" }, "quantity": { "N": "6" }, "price": { "N": "2.55" } } },
                { "M": { "productId": { "S": "71053" }, "quantity": { "N": "6" }, "price": { "N": "3.39" } } },
            ] },
            "hash": { "S": "9f86d081884c7d659a2feaa0c55ad015" },
            "total": { "N": "35.64" },
        })
        .to_string()
    };
    (0..PAGE).map(item).collect::<Vec<_>>().join(",")
}

async fn answer(canned: &Canned, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    let target = head.headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default();
    let touches = |name: &str| body.windows(name.len()).any(|window| window == name.as_bytes());
    let ready = match operation {
        "Scan" if touches(&canned.table) => Some(scanned(canned, &body)),
        "BatchWriteItem" if touches(&canned.table) => Some(r#"{"UnprocessedItems":{}}"#.to_owned()),
        "BatchExecuteStatement" if touches(&canned.table) => Some(executed(&body)),
        _ => None,
    };
    if let Some(ready) = ready {
        tokio::time::sleep(canned.delay).await;
        let response = Response::builder().header("content-type", "application/x-amz-json-1.0");
        return Ok(response.body(Full::from(ready)).expect("a response"));
    }
    let mut uri = canned.endpoint.clone().into_parts();
    uri.path_and_query = head.uri.path_and_query().cloned();
    head.uri = Uri::from_parts(uri).expect("a URL");
    let response =
        canned.client.request(Request::from_parts(head, Full::from(body))).await.expect("an answer");
    let (head, body) = response.into_parts();
    Ok(Response::from_parts(head, Full::from(body.collect().await.expect("a body").to_bytes())))
}

/// The page after the one whose number is in the start key.
fn scanned(canned: &Canned, body: &Bytes) -> String {
    let request: Value = serde_json::from_slice(body).expect("JSON");
    let before = request.pointer("/ExclusiveStartKey/id/S").and_then(Value::as_str);
    let number =
        before.and_then(|key| key.rsplit('#').next()?.parse().ok()).map_or(0, |before: u64| before + 1);
    let segment = &request["Segment"];
    let last = match number + 1 < canned.pages {
        true => format!(r#","LastEvaluatedKey":{{"id":{{"S":"{segment}#{number}"}}}}"#),
        false => String::new(),
    };
    let items = match request["Select"].as_str() {
        Some("COUNT") => String::new(),
        _ => format!(r#""Items":[{}],"#, canned.items),
    };
    format!(
        r#"{{{items}"Count":{PAGE},"ScannedCount":{PAGE},"ConsumedCapacity":{{"TableName":"{}","CapacityUnits":128}}{last}}}"#,
        canned.table
    )
}

fn executed(body: &Bytes) -> String {
    let request: Value = serde_json::from_slice(body).expect("JSON");
    let count = request["Statements"].as_array().map_or(0, Vec::len);
    json!({ "Responses": vec![json!({}); count] }).to_string()
}
