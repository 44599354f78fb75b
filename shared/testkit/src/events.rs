//! The events in the repository's `events/`, and what a function answers them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{FunctionProcess, TestStack};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events")
}

/// The event in `events/NAME.json`.
#[must_use]
pub fn event(name: &str) -> Value {
    let path = folder().join(format!("{name}.json"));
    let text = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The names of all events for a function: requests of its routes, or batches of its stream.
#[must_use]
pub fn events_of(stack: &TestStack, binary: &str) -> BTreeSet<String> {
    let template = stack.machine().template();
    let function = template.function(binary).unwrap_or_else(|| panic!("no function {binary}"));
    let routes: BTreeSet<&str> = template
        .routes
        .iter()
        .filter(|route| template.function(&route.function).is_some_and(|f| f.binary == function.binary))
        .map(|route| route.key.as_str())
        .collect();
    let files = std::fs::read_dir(folder()).expect("the folder of events");
    let names = files.map(|file| {
        let path = file.expect("a file of events").path();
        path.file_stem().expect("a name").to_string_lossy().into_owned()
    });
    let mine = names.filter(|name| match event(name).get("routeKey").and_then(Value::as_str) {
        Some(route) => routes.contains(route),
        None => routes.is_empty() && name.starts_with(binary),
    });
    mine.collect()
}

/// A client's view of an answer of the API.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiAnswer {
    pub status: i64,
    /// `Null` without a body.
    pub body: Value,
}

impl ApiAnswer {
    /// The answer that a function's response to an HTTP event becomes.
    #[must_use]
    pub fn of(response: &Value) -> Self {
        let body = response.get("body").and_then(Value::as_str).filter(|body| !body.is_empty());
        Self {
            status: response.get("statusCode").and_then(Value::as_i64).expect("a status"),
            body: body.map_or(Value::Null, |body| serde_json::from_str(body).expect("a JSON body")),
        }
    }
}

/// The status and the body of a function's answer to an HTTP event.
pub async fn answer(function: &FunctionProcess, event: &Value) -> (u64, Value) {
    let response = function.invoke(event).await.unwrap_or_else(|e| panic!("{e}\n{:#?}", function.logs()));
    let ApiAnswer { status, body } = ApiAnswer::of(&response);
    (status.try_into().expect("a status"), body)
}

/// A request as API Gateway passes it on: `route` is its key, the parameters are those of its path.
#[must_use]
pub fn api_event(route: &str, parameters: &[(&str, &str)], query: &str, body: Option<&str>) -> Value {
    let (method, path) = route.split_once(' ').expect("a route");
    let path = parameters
        .iter()
        .fold(path.to_owned(), |path, (name, value)| path.replace(&format!("{{{name}}}"), value));
    let parameters: BTreeMap<&str, &str> = parameters.iter().copied().collect();
    json!({
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": query,
        "headers": { "content-type": "application/json" },
        "pathParameters": parameters,
        "requestContext": {
            "authorizer": { "iam": { "userArn": "arn:aws:sts::000000000000:assumed-role/shop/shop" } },
            "http": { "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1" },
            "requestId": "H6d8901624dFiAEJXg=", "routeKey": route, "stage": "$default", "timeEpoch": 0,
            "accountId": "0", "apiId": "a", "domainName": "d", "domainPrefix": "d",
            "time": "14/Mar/2025:08:15:30 +0000",
        },
        "body": body,
        "isBase64Encoded": false,
    })
}

/// The events for a function that the source of its tests does not name.
#[must_use]
pub fn unused_events(stack: &TestStack, binary: &str, source: &str) -> BTreeSet<String> {
    let events = events_of(stack, binary);
    assert!(!events.is_empty(), "there are no events for {binary}");
    events.into_iter().filter(|name| !source.contains(&format!("\"{name}\""))).collect()
}

/// Invokes a function that cannot start: it has to end, and to say so in its logs, by this text.
pub async fn ends_and_says(function: &FunctionProcess, event: &Value, says: &str) {
    let error = function.invoke(event).await.expect_err("a function that cannot start");
    assert_eq!(error.error_type, "Runtime.ExitError", "{says}");
    function.says(says).await;
}
