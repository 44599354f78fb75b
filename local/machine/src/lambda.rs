//! Lambda's `Invoke` for functions of this process, so that whoever calls a function by its name can do so here.
//!
//! As on AWS, a function that fails is an answer with `X-Amz-Function-Error` and `{errorType, errorMessage}`; an
//! unknown one, a payload that is no JSON or one that is too large is an error of the call. Does not: check
//! signatures, keep logs, retry events, know aliases or versions, or end a function after a time.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::Response;
use axum::routing::post;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::invoke::request_id;
use crate::listen::ListenError;
use crate::server::ServerTask;

/// Most bytes of a payload or an answer: 6 MB.
const MOST: usize = 6 * 1024 * 1024;

/// Most bytes of an event that nobody waits for: 1 MB.
const MOST_EVENT: usize = 1024 * 1024;

/// A function by its work: from a payload, which is JSON, to an answer, which is JSON too.
pub type Invocable = Arc<dyn Fn(Bytes) -> BoxFuture<'static, Result<Vec<u8>, FunctionError>> + Send + Sync>;

/// Functions by name.
pub type Functions = HashMap<String, Invocable>;

/// A function from an async closure.
pub fn function<F, Fut>(f: F) -> Invocable
where
    F: Fn(Bytes) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Vec<u8>, FunctionError>> + Send + 'static,
{
    Arc::new(move |payload| Box::pin(f(payload)))
}

/// Why a function has no answer, as its caller sees it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error_type}: {error_message}")]
pub struct FunctionError {
    /// The kind, such as `Runtime.ExitError`.
    pub error_type: String,
    /// What went wrong.
    pub error_message: String,
}

impl FunctionError {
    /// An error of a kind.
    #[must_use]
    pub fn new(error_type: impl Into<String>, error_message: impl Into<String>) -> Self {
        FunctionError { error_type: error_type.into(), error_message: error_message.into() }
    }
}

/// A running endpoint.
pub(crate) struct Lambda(ServerTask);

impl Lambda {
    pub(crate) fn start(functions: Functions, address: SocketAddr) -> Result<Self, ListenError> {
        let router = Router::new()
            .route("/2015-03-31/functions/{name}/invocations", post(invoke))
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::new(functions));
        let server = ServerTask::start("the local Lambda", address, |listener, stopped| {
            axum::serve(listener, router).with_graceful_shutdown(stopped)
        });
        server.map(Self)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Takes no more calls and lets those that are under way finish, for up to five seconds.
    pub(crate) async fn stop(self) {
        self.0.stop("invocations").await;
    }
}

async fn invoke(
    State(functions): State<Arc<Functions>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    payload: Bytes,
) -> Response {
    let Some(function) = functions.get(bare(&name)) else {
        let said = format!("Function not found: {name}");
        return refusal(StatusCode::NOT_FOUND, "ResourceNotFoundException", &said);
    };
    let payload = if payload.is_empty() { Bytes::from_static(b"{}") } else { payload };
    if let Err(e) = serde_json::from_slice::<serde::de::IgnoredAny>(&payload) {
        let said = format!("Could not parse request body into json: {e}");
        return refusal(StatusCode::BAD_REQUEST, "InvalidRequestContentException", &said);
    }
    let kind = headers.get("x-amz-invocation-type").and_then(|kind| kind.to_str().ok());
    let most = if kind == Some("Event") { MOST_EVENT } else { MOST };
    if payload.len() > most {
        let said = format!("{} byte payload is too large; the limit is {most} bytes", payload.len());
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException", &said);
    }
    match kind {
        None | Some("RequestResponse") => answer(tokio::spawn(function(payload)).await),
        Some("Event") => {
            let running = tokio::spawn(function(payload));
            tokio::spawn(async move {
                if let Err(e) = outcome(running.await) {
                    tracing::error!(function = name, error = %e, "an event failed");
                }
            });
            response(StatusCode::ACCEPTED, Vec::new())
        }
        Some("DryRun") => response(StatusCode::NO_CONTENT, Vec::new()),
        Some(other) => {
            let said = format!("{other} is no way to invoke a function");
            refusal(StatusCode::BAD_REQUEST, "InvalidParameterValueException", &said)
        }
    }
}

/// The function's own name, of a name, a partial or a whole ARN, each with or without a qualifier.
fn bare(name: &str) -> &str {
    let name = name.split_once("function:").map_or(name, |(_, name)| name);
    name.split_once(':').map_or(name, |(name, _)| name)
}

type Outcome = Result<Result<Vec<u8>, FunctionError>, tokio::task::JoinError>;

fn outcome(outcome: Outcome) -> Result<Vec<u8>, FunctionError> {
    let answer = outcome.unwrap_or_else(|e| Err(FunctionError::new("Runtime.ExitError", e.to_string())))?;
    if answer.len() > MOST {
        let said = format!("Response payload size exceeded maximum allowed payload size ({MOST} bytes).");
        return Err(FunctionError::new("Function.ResponseSizeTooLarge", said));
    }
    Ok(answer)
}

fn answer(running: Outcome) -> Response {
    match outcome(running) {
        Ok(payload) => response(StatusCode::OK, payload),
        Err(e) => {
            let said = json!({ "errorType": e.error_type, "errorMessage": e.error_message });
            let mut response = response(StatusCode::OK, said.to_string().into_bytes());
            response.headers_mut().insert("x-amz-function-error", HeaderValue::from_static("Unhandled"));
            response
        }
    }
}

fn refusal(status: StatusCode, kind: &'static str, said: &str) -> Response {
    let said: Value = json!({ "Type": "User", "Message": said });
    let mut response = response(status, said.to_string().into_bytes());
    response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(kind));
    response
}

fn response(status: StatusCode, payload: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(payload));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("x-amz-executed-version", HeaderValue::from_static("$LATEST"));
    if let Ok(id) = HeaderValue::try_from(request_id()) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}
