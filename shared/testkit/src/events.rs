//! The events in the repository's `events/`, and what a function answers them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

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

/// The status and the body (null if there is none) of a function's answer to an HTTP event.
pub async fn answer(function: &FunctionProcess, event: &Value) -> (u64, Value) {
    let answer = function.invoke(event).await.unwrap_or_else(|e| panic!("{e}\n{:#?}", function.logs()));
    let body = answer.get("body").and_then(Value::as_str).filter(|body| !body.is_empty());
    let body = body.map_or(Value::Null, |body| serde_json::from_str(body).expect("a JSON body"));
    (answer.get("statusCode").and_then(Value::as_u64).expect("a status"), body)
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
    let started = Instant::now();
    while !function.logs().iter().any(|line| line.contains(says)) {
        assert!(started.elapsed() < Duration::from_secs(10), "{says}: {:#?}", function.logs());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
