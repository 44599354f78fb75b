//! The HTTP front end, asked over HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod support;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_lambda_events::encodings::Body;
use lambda_runtime::LambdaEvent;
use nextbasket_machine::gateway::{Gateway, GatewayError, GatewayOptions};
use nextbasket_machine::template::Template;
use nextbasket_machine::{HttpFunction, ListenError, handler};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Answers the event as JSON; some paths do something else.
fn shop() -> HttpFunction {
    handler(|event: LambdaEvent<ApiGatewayV2httpRequest>| async move {
        let mut response = ApiGatewayV2httpResponse::default();
        response.status_code = 200;
        match event.payload.raw_path.as_deref().unwrap_or_default() {
            "/products/fail" => return Err("no".into()),
            "/products/panic" => panic!("as a handler with a bug does"),
            "/products/slow" => tokio::time::sleep(Duration::from_secs(60)).await,
            "/products/status" => response.status_code = 7,
            "/products/large" => {
                // Each is two bytes of the answer, and the text around it is some 200.
                let quotes = event.payload.raw_query_string.unwrap_or_default().parse().unwrap();
                response.body = Some(Body::Text("\"".repeat(quotes)));
                return Ok(response);
            }
            "/products/binary" => {
                response.status_code = 201;
                response.is_base64_encoded = true;
                response.body = Some(Body::Text("AP8=".to_owned()));
                response.headers.insert("content-type", "image/png".parse().unwrap());
                response.multi_value_headers.append("x-many", "1".parse().unwrap());
                response.multi_value_headers.append("x-many", "2".parse().unwrap());
                response.cookies = vec!["a=1".to_owned(), "b=2; Secure".to_owned()];
                return Ok(response);
            }
            _ => {}
        }
        let context = json!({
            "deadline": event.context.deadline,
            "requestId": event.context.request_id,
            "arn": event.context.invoked_function_arn,
        });
        let answer = json!({ "event": event.payload, "context": context });
        response.body = Some(Body::Text(answer.to_string()));
        Ok(response)
    })
}

fn functions() -> HashMap<String, HttpFunction> {
    HashMap::from([("shop".to_owned(), shop())])
}

async fn start(limit: usize) -> Gateway {
    let template = Template::parse(&support::template(""), "t").unwrap();
    let settings = GatewayOptions { body_limit: limit, ..GatewayOptions::default() };
    Gateway::start(&template, &functions(), "127.0.0.1:0".parse().unwrap(), settings).await.unwrap()
}

/// Sends bytes as they are and gives back status, head and body.
async fn send(address: SocketAddr, request: &[u8]) -> (u16, String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let split = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..split].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), answer[split + 4..].to_vec())
}

async fn get(gateway: &Gateway, line: &str) -> (u16, Value) {
    let host = gateway.address();
    let request = format!("{line} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    let (status, _, body) = send(gateway.address(), request.as_bytes()).await;
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn a_request_becomes_the_event_that_api_gateway_makes() {
    let gateway = start(1000).await;
    let host = gateway.address();
    let request = format!(
        "POST /products/K%C3%A4se%201%3Fold?b=2&a=x+y%26z&b=3&flag HTTP/1.1\r\nHost: {host}\r\n\
         User-Agent: me\r\nX-Two: 1\r\nX-Two: 2\r\nCookie: c=1; d=2\r\nContent-Type: text/plain\r\n\
         Content-Length: 5\r\nConnection: close\r\n\r\nKäse"
    );
    let (status, _, body) = send(gateway.address(), request.as_bytes()).await;
    assert_eq!(status, 200);
    let answer: Value = serde_json::from_slice(&body).unwrap();
    let event = &answer["event"];
    assert_eq!(event["version"], "2.0");
    assert_eq!(event["routeKey"], "ANY /products/{productId}");
    assert_eq!(event["rawPath"], "/products/Käse 1", "decoded, and cut at the question mark");
    assert_eq!(event["rawQueryString"], "b=2&a=x+y%26z&b=3&flag");
    assert_eq!(event["pathParameters"], json!({"productId": "Käse 1"}));
    assert_eq!(event["cookies"], json!(["c=1", "d=2"]));
    assert_eq!(event["headers"]["x-two"], "1,2");
    assert_eq!(event["headers"].get("cookie"), None);
    assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("Käse"), &json!(false)));
    // The event type takes values of one name apart again; API Gateway joins them with commas.
    let query = &event["queryStringParameters"];
    assert_eq!((&query["a"], &query["b"], &query["flag"]), (&json!("x y&z"), &json!("2,3"), &json!("")));
    let context = &event["requestContext"];
    assert_eq!(context["http"]["method"], "POST");
    assert_eq!(context["http"]["path"], "/products/Käse 1");
    assert_eq!(context["http"]["protocol"], "HTTP/1.1");
    assert_eq!(context["http"]["sourceIp"], "127.0.0.1");
    assert_eq!(context["http"]["userAgent"], "me");
    assert_eq!((&context["stage"], &context["domainName"]), (&json!("$default"), &json!(host.to_string())));
    assert_eq!(context["authorizer"]["iam"]["userArn"], "arn:aws:iam::000000000000:user/local");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let now = u64::try_from(now).unwrap();
    assert!(now - context["timeEpoch"].as_u64().unwrap() < 10_000);
    assert_eq!(context["requestId"], answer["context"]["requestId"]);
    assert_eq!(answer["context"]["arn"], "arn:aws:lambda:local:000000000000:function:t-shop");
    let left = answer["context"]["deadline"].as_u64().unwrap().saturating_sub(now);
    assert!(left <= 1000, "the template's timeout is a second: {left}");
}

#[tokio::test]
async fn a_literal_route_comes_before_one_with_a_parameter() {
    let gateway = start(1000).await;
    let popular = get(&gateway, "GET /products/popular").await.1;
    assert_eq!(popular["event"]["routeKey"], "GET /products/popular");
    assert_eq!(popular["event"].get("pathParameters"), None);
    assert_eq!(
        get(&gateway, "PUT /products/popular").await.1["event"]["routeKey"],
        "ANY /products/{productId}"
    );
}

#[tokio::test]
async fn what_no_route_takes_is_not_found() {
    let gateway = start(1000).await;
    for line in ["GET /", "GET /nothing", "GET /products/a/b", "POST /products", "GET /jwt"] {
        assert_eq!(get(&gateway, line).await, (404, json!({"message": "Not Found"})), "{line}");
    }
}

#[tokio::test]
async fn a_body_is_text_by_its_content_type_and_base64_without_one() {
    let gateway = start(1000).await;
    let host = gateway.address();
    let text = [
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/xml",
        "application/javascript",
        "text/plain",
        "text/csv;header=present",
    ];
    let binary = [
        "application/x-www-form-urlencoded",
        "application/merge-patch+json",
        "application/problem+json",
        "application/octet-stream",
        "image/png",
        "json",
        "",
    ];
    let ask = async |content_type: Option<&str>, body: &[u8]| {
        let line = content_type.map(|media| format!("content-type: {media}\r\n")).unwrap_or_default();
        let head = format!(
            "PUT /products/x HTTP/1.1\r\nhost: {host}\r\n{line}content-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        let (_, _, answer) = send(host, &[head.as_bytes(), body].concat()).await;
        let event = serde_json::from_slice::<Value>(&answer).unwrap()["event"].take();
        (event["body"].clone(), event["isBase64Encoded"].clone())
    };
    for media in text {
        assert_eq!(ask(Some(media), b"{}").await, (json!("{}"), json!(false)), "{media}");
        assert_eq!(ask(Some(media), b"").await, (Value::Null, json!(false)), "{media}");
        assert_eq!(ask(Some(media), &[0, 255]).await, (json!("AP8="), json!(true)), "{media}: not UTF-8");
    }
    for media in binary.map(Some).into_iter().chain([None]) {
        assert_eq!(ask(media, b"{}").await, (json!("e30="), json!(true)), "{media:?}");
        assert_eq!(ask(media, b"").await, (Value::Null, json!(false)), "{media:?}");
    }
}

#[tokio::test]
async fn a_head_over_the_limit_is_refused_with_an_answer() {
    let gateway = start(1000).await;
    let host = gateway.address().to_string();
    let line = "GET /products/x?";
    // The request line, the host, and `close`.
    let rest = 10_240 - line.len() - " HTTP/1.1".len() - host.len() - "close".len();
    let refused = (431, json!({"message": "Request Header Fields Too Large"}));
    let (status, answer) = get(&gateway, &format!("{line}{}", "a".repeat(rest))).await;
    assert_eq!((status, &answer["event"]["routeKey"]), (200, &json!("ANY /products/{productId}")));
    assert_eq!(get(&gateway, &format!("{line}{}", "a".repeat(rest + 1))).await, refused);
    for (bytes, status) in [(rest, 200), (rest + 1, 431)] {
        let value = "v".repeat(bytes - 5);
        let request = format!(
            "{line} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\nx-names-do-not-count: {value}\r\nx-b: 54321\r\n\r\n"
        );
        assert_eq!(send(gateway.address(), request.as_bytes()).await.0, status, "{bytes}");
    }
}

#[tokio::test]
async fn an_event_or_an_answer_that_lambda_does_not_take_is_an_error() {
    const LAMBDA: usize = 6 * 1024 * 1024;
    let gateway = start(10 * 1024 * 1024).await;
    let host = gateway.address();
    let put = |content_type: &str, length: usize| {
        let head = format!(
            "PUT /products/x HTTP/1.1\r\nhost: {host}\r\ncontent-type: {content_type}\r\n\
             content-length: {length}\r\nconnection: close\r\n\r\n"
        );
        [head.into_bytes(), vec![b'"'; length]].concat()
    };
    let too_large = (413, br#"{"message":"Request Entity Too Large"}"#.to_vec());
    // As a text, each quote is two bytes of the event; in base64, three are four.
    for (content_type, fits, does_not) in
        [("text/plain", LAMBDA / 8, LAMBDA / 2), ("application/octet-stream", LAMBDA / 8, LAMBDA / 4 * 3)]
    {
        assert_eq!(send(host, &put(content_type, fits)).await.0, 200, "{content_type}");
        let (status, _, body) = send(host, &put(content_type, does_not)).await;
        assert_eq!((status, body), too_large, "{content_type}");
    }
    let ask = async |quotes: usize| {
        let request =
            format!("GET /products/large?{quotes} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let (status, _, body) = send(host, request.as_bytes()).await;
        (status, body.len())
    };
    assert_eq!(ask(LAMBDA / 2 - 1_000).await, (200, LAMBDA / 2 - 1_000));
    assert_eq!(ask(LAMBDA / 2).await, (500, r#"{"message":"Internal Server Error"}"#.len()));
}

#[tokio::test]
async fn an_answer_keeps_its_bytes_headers_and_cookies() {
    let gateway = start(1000).await;
    let host = gateway.address();
    let request = format!("GET /products/binary HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    let (status, head, body) = send(host, request.as_bytes()).await;
    assert_eq!((status, body.as_slice()), (201, [0, 255].as_slice()));
    for line in
        ["content-type: image/png", "x-many: 1", "x-many: 2", "set-cookie: a=1", "set-cookie: b=2; secure"]
    {
        assert!(head.contains(line), "{line}: {head}");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_with_an_answer() {
    let gateway = start(1000).await;
    let host = gateway.address();
    let request = |length: usize| {
        let head = format!(
            "PUT /products/x HTTP/1.1\r\nhost: {host}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        );
        [head.into_bytes(), vec![b'x'; length]].concat()
    };
    assert_eq!(send(gateway.address(), &request(1000)).await.0, 200);
    let (status, _, body) = send(gateway.address(), &request(1001)).await;
    assert_eq!((status, body), (413, br#"{"message":"Request Entity Too Large"}"#.to_vec()));
}

#[tokio::test]
async fn a_function_that_fails_answers_500_and_one_that_is_slow_504() {
    let gateway = start(1000).await;
    let error = json!({"message": "Internal Server Error"});
    for (path, status) in [("fail", 500), ("panic", 500), ("status", 500), ("slow", 504)] {
        assert_eq!(get(&gateway, &format!("GET /products/{path}")).await, (status, error.clone()), "{path}");
    }
    assert_eq!(get(&gateway, "GET /products/x").await.0, 200, "and the next request is answered");
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let gateway = start(1000).await;
    let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
    let begin = std::time::Instant::now();
    for _ in 0..20 {
        let request = format!("GET /nothing HTTP/1.1\r\nhost: {}\r\n\r\n", gateway.address());
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 512];
        let read = stream.read(&mut answer).await.unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 404"));
    }
    // With Nagle's algorithm each answer could wait 40 ms.
    assert!(begin.elapsed() < Duration::from_millis(400), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_stop_lets_a_running_request_finish() {
    let template = Template::parse(&support::template(""), "t").unwrap();
    let function: HttpFunction = handler(|_: LambdaEvent<ApiGatewayV2httpRequest>| async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let mut response = ApiGatewayV2httpResponse::default();
        response.status_code = 204;
        Ok(response)
    });
    let functions = HashMap::from([("ShopFunction".to_owned(), function)]);
    let gateway =
        Gateway::start(&template, &functions, "127.0.0.1:0".parse().unwrap(), GatewayOptions::default())
            .await
            .unwrap();
    let address = gateway.address();
    let asked = format!("GET /products/x HTTP/1.1\r\nhost: {address}\r\n\r\n");
    let request = tokio::spawn(async move { send(address, asked.as_bytes()).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    gateway.stop().await;
    assert_eq!(request.await.unwrap().0, 204);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_at_the_start() {
    let template = Template::parse(&support::template(""), "t").unwrap();
    let first = start(1000).await;
    let taken = Gateway::start(&template, &functions(), first.address(), GatewayOptions::default())
        .await
        .err()
        .unwrap();
    assert!(
        matches!(taken, GatewayError::Listen(ListenError::Taken { address }) if address == first.address())
    );
    let open =
        Gateway::start(&template, &functions(), "0.0.0.0:0".parse().unwrap(), GatewayOptions::default())
            .await
            .err()
            .unwrap();
    assert!(open.to_string().contains("not a loopback address"), "{open}");
    let none =
        Gateway::start(&template, &HashMap::new(), "127.0.0.1:0".parse().unwrap(), GatewayOptions::default())
            .await
            .err()
            .unwrap();
    assert!(none.to_string().contains("ShopFunction"), "{none}");
}
