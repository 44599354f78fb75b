//! One call through the proxy.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::SystemTime;

use futures::stream::{self, StreamExt};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use nextbasket_machine::access::sign;
use nextbasket_machine::dynamodb::REGION;
use serde_json::{Map, Value, json};

use super::{FAULT_HEADER, Fault, ProxyState, capacity};

/// Why a connection ends without a whole answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection was dropped on purpose")]
pub(crate) struct Dropped;

pub(crate) type Client = hyper_util::client::legacy::Client<HttpConnector, Full<Bytes>>;

type Body = BoxBody<Bytes, Dropped>;

pub(crate) fn client() -> Client {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector)
}

/// Counts the call, makes its fault and measures what it consumed. An error ends the connection.
pub(crate) async fn answer(
    state: Arc<ProxyState>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Dropped> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Dropped)?.to_bytes();
    let target = head.headers.get("x-amz-target").and_then(|t| t.to_str().ok());
    let operation = match target {
        Some(target) => target.rsplit('.').next().unwrap_or_default().to_owned(),
        None => format!("{} {}", head.method, head.uri),
    };
    let ruled = state.count(&operation);
    let fault = match head.headers.get(FAULT_HEADER).and_then(|name| name.to_str().ok()) {
        Some(name) => Some(Fault::named(name).unwrap_or_else(|| panic!("there is no fault {name}"))),
        None => ruled,
    };
    let json = |bytes: &Bytes| {
        let parsed = target.and_then(|_| serde_json::from_slice(bytes).ok());
        parsed.unwrap_or(Value::Null)
    };
    let mut event = json(&body);
    let mut held_back = None;
    match &fault {
        Some(refused @ (Fault::Throttle | Fault::ServerError | Fault::Deny)) => {
            return Ok(refusal(refused, target.is_some()));
        }
        Some(Fault::Cancel(code)) => return Ok(cancelled(code, &event)),
        Some(Fault::DropBefore) => return Err(Dropped),
        Some(Fault::Delay(time)) => tokio::time::sleep(*time).await,
        Some(Fault::Unprocessed) => held_back = hold_back(&operation, &mut event),
        Some(Fault::Missed) => {
            if let Some(nothing) = nothing_found(&operation, &event) {
                return Ok(whole(StatusCode::OK, &nothing));
            }
        }
        Some(Fault::DropAfter | Fault::Truncate) | None => {}
    }
    if let Some((name, items)) = &held_back
        && event.get("RequestItems").and_then(Value::as_object).is_some_and(Map::is_empty)
    {
        let body = match *name {
            "UnprocessedKeys" => json!({ "Responses": {}, *name: items }),
            name => json!({ name: items }),
        };
        return Ok(whole(StatusCode::OK, &body));
    }
    let sent = match &mut event {
        Value::Object(fields) if capacity::metered(&operation) => {
            fields.entry("ReturnConsumedCapacity").or_insert("TOTAL".into());
            Bytes::from(event.to_string())
        }
        _ => body.clone(),
    };
    let mut forwarded =
        Request::builder().method(&head.method).uri(format!("{}{}", state.upstream, head.uri));
    // With the host that the client has signed.
    for (name, value) in &head.headers {
        // The length of an empty body is signed as well, and the client below would leave it out.
        let length = name == hyper::header::CONTENT_LENGTH && !sent.is_empty();
        if !length && name != hyper::header::TRANSFER_ENCODING && name != FAULT_HEADER {
            forwarded = forwarded.header(name, value);
        }
    }
    let forwarded = forwarded.body(Full::new(sent.clone())).expect("the request was one");
    let (mut signed, whole) = forwarded.into_parts();
    // What another machine's client has signed is signed anew, too, so that one machine can reach another.
    let authorization = head.headers.get(hyper::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let foreign = target.is_some() && !authorization.is_some_and(|value| value.contains(state.key.id()));
    if sent != body || foreign {
        sign(&mut signed, &sent, &state.key, REGION, "dynamodb", SystemTime::now());
    }
    let forwarded = Request::from_parts(signed, whole);
    let answer = state.client.request(forwarded).await.expect("the endpoint behind the proxy answers");
    let (answer, body) = answer.into_parts();
    let mut body = body.collect().await.expect("the endpoint behind the proxy answers").to_bytes();
    let mut parsed = json(&body);
    state.book.lock().unwrap().capacity.add(&operation, &parsed);
    if fault == Some(Fault::DropAfter) {
        return Err(Dropped);
    }
    if let (Some((name, items)), Value::Object(fields)) = (held_back, &mut parsed) {
        fields.insert(name.to_owned(), items);
        body = Bytes::from(parsed.to_string());
    }
    let mut response = Response::builder().status(answer.status);
    // An answer to HEAD tells the length of a body that does not come.
    let bodiless = head.method == Method::HEAD;
    for (name, value) in &answer.headers {
        if (bodiless || name != hyper::header::CONTENT_LENGTH) && name != "x-amz-crc32" {
            response = response.header(name, value);
        }
    }
    if !bodiless {
        response = response.header(hyper::header::CONTENT_LENGTH, body.len());
    }
    let body = if fault == Some(Fault::Truncate) { half(&body) } else { full(body) };
    Ok(response.body(body).expect("the answer was one"))
}

/// Takes half of each table's items out of a batch: under which name they come back, and they themselves.
fn hold_back(operation: &str, event: &mut Value) -> Option<(&'static str, Value)> {
    let name = match operation {
        "BatchWriteItem" => "UnprocessedItems",
        "BatchGetItem" => "UnprocessedKeys",
        _ => panic!("{operation} knows no unprocessed items"),
    };
    let tables = event.get_mut("RequestItems")?.as_object_mut()?;
    let mut held = Map::new();
    for (table, request) in tables.iter_mut() {
        let list = match request.get_mut("Keys") {
            Some(keys) => keys,
            None => &mut *request,
        };
        let items = list.as_array_mut()?;
        let rest = items.split_off(items.len() / 2);
        let mut unprocessed = request.clone();
        match unprocessed.get_mut("Keys") {
            Some(keys) => *keys = rest.into(),
            None => unprocessed = rest.into(),
        }
        held.insert(table.clone(), unprocessed);
    }
    tables.retain(|_, request| {
        let list = request.get("Keys").unwrap_or(request);
        list.as_array().is_some_and(|items| !items.is_empty())
    });
    Some((name, Value::Object(held)))
}

/// The answer to a read that finds nothing; `None` if the read is strongly consistent.
fn nothing_found(operation: &str, event: &Value) -> Option<Value> {
    let eventual = |read: &Value| read.get("ConsistentRead").and_then(Value::as_bool) != Some(true);
    match operation {
        "GetItem" => eventual(event).then(|| json!({})),
        "BatchGetItem" => {
            let tables = event.get("RequestItems")?.as_object()?;
            let nothing: Map<String, Value> = tables.keys().map(|table| (table.clone(), json!([]))).collect();
            tables.values().all(eventual).then(|| json!({ "Responses": nothing, "UnprocessedKeys": {} }))
        }
        _ => panic!("{operation} does not read by key"),
    }
}

/// How DynamoDB, or S3, answers what it does not do.
fn refusal(fault: &Fault, of_dynamodb: bool) -> Response<Body> {
    let (status, name) = match (fault, of_dynamodb) {
        (Fault::Throttle, true) => (StatusCode::BAD_REQUEST, "ProvisionedThroughputExceededException"),
        (Fault::Throttle, false) => (StatusCode::SERVICE_UNAVAILABLE, "SlowDown"),
        (Fault::Deny, true) => (StatusCode::BAD_REQUEST, "AccessDeniedException"),
        (Fault::Deny, false) => (StatusCode::FORBIDDEN, "AccessDenied"),
        (_, true) => (StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError"),
        (_, false) => (StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
    };
    if of_dynamodb {
        let kind = format!("com.amazonaws.dynamodb.v20120810#{name}");
        return whole(status, &json!({ "__type": kind, "message": "made by the fault proxy" }));
    }
    let body = format!("<Error><Code>{name}</Code><Message>made by the fault proxy</Message></Error>");
    Response::builder()
        .status(status)
        .header("content-type", "application/xml")
        .body(full(Bytes::from(body)))
        .expect("a response")
}

/// DynamoDB's answer to a transaction that it does not make because of its first write.
fn cancelled(code: &str, event: &Value) -> Response<Body> {
    let writes = event.get("TransactItems").and_then(Value::as_array).map_or(1, Vec::len);
    let codes = (0..writes).map(|at| if at == 0 { code } else { "None" });
    let reasons: Vec<Value> = codes.map(|code| json!({ "Code": code })).collect();
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": "made by the fault proxy",
        "CancellationReasons": reasons,
    });
    whole(StatusCode::BAD_REQUEST, &body)
}

fn whole(status: StatusCode, body: &Value) -> Response<Body> {
    Response::builder()
        .status(status)
        .header("content-type", "application/x-amz-json-1.0")
        .body(full(Bytes::from(body.to_string())))
        .expect("a response")
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|e: Infallible| match e {}).boxed()
}

/// Half of the body; then the connection ends.
fn half(bytes: &Bytes) -> Body {
    let half = bytes.slice(..bytes.len() / 2);
    let arrives = stream::once(async { Ok(Frame::data(half)) });
    // What has not been sent by then is not sent at all.
    let ends = stream::once(async {
        tokio::task::yield_now().await;
        Err(Dropped)
    });
    BodyExt::boxed(StreamBody::new(arrives.chain(ends)))
}
