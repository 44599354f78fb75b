//! An HTTP request as the event that API Gateway makes of it: payload format 2.0.

use std::net::SocketAddr;
use std::time::SystemTime;

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use serde_json::{Map, Value, json};

use crate::invoke::{MAX_PAYLOAD_BYTES, epoch_millis};
use crate::template::{ACCOUNT, REGION};

use super::RouteTarget;
use super::router::{Match, decoded};

/// The content types whose bodies an HTTP API passes on as text, beside `text/*`. All others, even `+json`, and bodies
/// without a content type are base64.
const TEXT_TYPES: [&str; 3] = ["application/json", "application/javascript", "application/xml"];

/// Why a request does not become an event.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EventError {
    /// Lambda does not take it.
    #[error("the event would be larger than {MAX_PAYLOAD_BYTES} bytes")]
    TooLarge,
    #[error(transparent)]
    Form(#[from] serde_json::Error),
}

/// The event for a request, whose path is decoded. It goes through JSON, so that the function sees what it would see in
/// its own process.
pub(crate) fn event(
    head: &Parts,
    path: &str,
    body: &[u8],
    matched: &Match<'_, RouteTarget>,
    peer: SocketAddr,
    request_id: &str,
) -> Result<ApiGatewayV2httpRequest, EventError> {
    let (headers, cookies) = headers(head);
    let text = |name: &str| headers.get(name).cloned().unwrap_or(Value::from(""));
    let (host, user_agent) = (text("host"), text("user-agent"));
    let now = epoch_millis(SystemTime::now());
    let query = head.uri.query().unwrap_or_default();
    let (body, encoded) = match std::str::from_utf8(body) {
        Ok(text) if body.is_empty() || is_text(head) => (text.to_owned(), false),
        // A text that is not UTF-8 is passed on unchanged, so that the function refuses it.
        _ => (STANDARD.encode(body), true),
    };
    let mut event = json!({
        "version": "2.0",
        "routeKey": matched.key,
        "rawPath": path,
        "rawQueryString": query,
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": REGION,
            // A caller on loopback needs no signature; it is told apart by this name.
            "authorizer": { "iam": {
                "accessKey": "local",
                "accountId": ACCOUNT,
                "callerId": "local",
                "userArn": format!("arn:aws:iam::{ACCOUNT}:user/local"),
                "userId": "local",
            }},
            "domainName": host,
            "domainPrefix": host.as_str().and_then(|h| h.split(['.', ':']).next()).unwrap_or_default(),
            "http": {
                "method": head.method.as_str(),
                "path": path,
                "protocol": format!("{:?}", head.version),
                "sourceIp": peer.ip().to_string(),
                "userAgent": user_agent,
            },
            "requestId": request_id,
            "routeKey": matched.key,
            "stage": "$default",
            "time": clock_time(now),
            "timeEpoch": now,
        },
        "headers": headers,
        "cookies": (!cookies.is_empty()).then_some(cookies),
        "body": (!body.is_empty()).then_some(body),
        "isBase64Encoded": encoded,
    });
    if let Value::Object(event) = &mut event {
        if !query.is_empty() {
            event.insert("queryStringParameters".to_owned(), Value::Object(query_parameters(query)));
        }
        if !matched.parameters.is_empty() {
            let parameters = matched.parameters.iter().map(|(name, value)| (*name, value.as_str()));
            event.insert("pathParameters".to_owned(), parameters.collect());
        }
    }
    // Escapes make a text six times as long at most.
    if event.get("body").and_then(Value::as_str).is_some_and(|body| body.len() > MAX_PAYLOAD_BYTES / 8)
        && serde_json::to_vec(&event)?.len() > MAX_PAYLOAD_BYTES
    {
        return Err(EventError::TooLarge);
    }
    Ok(serde_json::from_value(event)?)
}

/// Whether the body is of a type that is passed on as text.
fn is_text(head: &Parts) -> bool {
    let given = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media.starts_with("text/") || TEXT_TYPES.contains(&media.as_str())
}

/// Names in lower case, values of one name joined by commas; cookies apart.
fn headers(head: &Parts) -> (Map<String, Value>, Vec<String>) {
    let mut headers = Map::new();
    let mut cookies = Vec::new();
    for (name, value) in &head.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        if name == http::header::COOKIE {
            cookies.extend(value.split(';').map(|cookie| cookie.trim().to_owned()));
        } else {
            join(&mut headers, name.as_str().to_owned(), &value);
        }
    }
    (headers, cookies)
}

fn query_parameters(query: &str) -> Map<String, Value> {
    let mut parameters = Map::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let [name, value] = [name, value].map(|text| decoded(&text.replace('+', " ")));
        join(&mut parameters, name, &value);
    }
    parameters
}

fn join(map: &mut Map<String, Value>, name: String, value: &str) {
    match map.get_mut(&name) {
        Some(Value::String(before)) => {
            before.push(',');
            before.push_str(value);
        }
        _ => {
            map.insert(name, value.into());
        }
    }
}

/// As access logs write it: `12/Mar/2020:19:03:58 +0000`.
fn clock_time(millis: u64) -> String {
    i64::try_from(millis)
        .ok()
        .and_then(chrono::DateTime::from_timestamp_millis)
        .map_or_else(String::new, |time| time.format("%d/%b/%Y:%H:%M:%S +0000").to_string())
}
