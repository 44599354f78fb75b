//! Lambda's `Invoke` for functions of this process, so that whoever calls a function by its name can do so here.
//!
//! As on AWS, a function that fails is an answer with `X-Amz-Function-Error` and `{errorType, errorMessage}`; an
//! unknown function, or a payload that is not JSON or is too large, is an error of the call. Calls are signed with
//! the machine's access key. Does not: keep logs, retry events, know aliases or versions, or end a function after a
//! time.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::Request;
use axum::response::Response;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::access::{AccessKey, UnacceptedBody, Verdict, signed_body};
use crate::door::{ConnectionLimits, Door, Entrance, Foreign, response};
use crate::invoke::{MAX_PAYLOAD_BYTES, request_id};
use crate::listen::{ListenError, Listening};
use crate::server::ServerTask;

/// Most bytes of an event that nobody waits for: 1 MB.
const MOST_EVENT: usize = 1024 * 1024;

/// A function by its work: from a payload, which is JSON, to an answer, which is JSON too.
pub type Invocable = Arc<dyn Fn(Bytes) -> BoxFuture<'static, Result<Vec<u8>, FunctionError>> + Send + Sync>;

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
    pub error_message: String,
}

impl FunctionError {
    #[must_use]
    pub fn new(error_type: impl Into<String>, error_message: impl Into<String>) -> Self {
        FunctionError { error_type: error_type.into(), error_message: error_message.into() }
    }
}

/// Serves `Invoke` for these functions.
pub(crate) fn serve(
    functions: Functions,
    address: SocketAddr,
    key: AccessKey,
    limits: ConnectionLimits,
) -> Result<ServerTask, ListenError> {
    let door = Door { entrance: Entrance::Signed(key.id().to_owned()), limits, refusal: foreign };
    let front = Arc::new(LambdaState { functions, key });
    ServerTask::start("the local Lambda", Listening::on(address)?, |listener, stopped| {
        door.serve(listener, stopped, move |request, _| called(Arc::clone(&front), request))
    })
}

struct LambdaState {
    functions: Functions,
    key: AccessKey,
}

/// The answer to a request that the door rejects.
fn foreign(foreign: Foreign) -> Response {
    refusal(StatusCode::FORBIDDEN, "AccessDeniedException", foreign.reason())
}

/// Checks the signature and finds the function's name.
async fn called(front: Arc<LambdaState>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let payload = match signed_body(&head, body, &front.key, 4 * MAX_PAYLOAD_BYTES).await {
        Ok(payload) => payload,
        Err(UnacceptedBody::Unsigned(verdict)) => return unsigned(&verdict),
        Err(UnacceptedBody::TooLarge | UnacceptedBody::NotArrived) => {
            let said =
                format!("the payload is too large or did not arrive; the limit is {MAX_PAYLOAD_BYTES} bytes");
            return refusal(StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException", &said);
        }
    };
    let path = head.uri.path().strip_prefix("/2015-03-31/functions/");
    let name = path.and_then(|path| path.strip_suffix("/invocations")).filter(|name| !name.contains('/'));
    let name = name.and_then(|name| percent_decode_str(name).decode_utf8().ok());
    match name {
        Some(name) if head.method == Method::POST => {
            invoke(&front.functions, &name, &head.headers, payload).await
        }
        _ => answered(StatusCode::NOT_FOUND, Vec::new()),
    }
}

fn unsigned(verdict: &Verdict) -> Response {
    let kind = match verdict {
        Verdict::UnknownKey => "UnrecognizedClientException",
        Verdict::Incomplete => "MissingAuthenticationTokenException",
        Verdict::Skewed | Verdict::Forged | Verdict::Good => "InvalidSignatureException",
    };
    refusal(StatusCode::FORBIDDEN, kind, "the call is not signed with the access key of this machine")
}

async fn invoke(functions: &Functions, name: &str, headers: &HeaderMap, payload: Bytes) -> Response {
    let Some(function) = functions.get(bare(name)) else {
        let said = format!("Function not found: {name}");
        return refusal(StatusCode::NOT_FOUND, "ResourceNotFoundException", &said);
    };
    let payload = if payload.is_empty() { Bytes::from_static(b"{}") } else { payload };
    if let Err(e) = serde_json::from_slice::<serde::de::IgnoredAny>(&payload) {
        let said = format!("Could not parse request body into json: {e}");
        return refusal(StatusCode::BAD_REQUEST, "InvalidRequestContentException", &said);
    }
    let kind = headers.get("x-amz-invocation-type").and_then(|kind| kind.to_str().ok());
    let most = if kind == Some("Event") { MOST_EVENT } else { MAX_PAYLOAD_BYTES };
    if payload.len() > most {
        let said = format!("{} byte payload is too large; the limit is {most} bytes", payload.len());
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException", &said);
    }
    match kind {
        None | Some("RequestResponse") => answer(tokio::spawn(function(payload)).await),
        Some("Event") => {
            let running = tokio::spawn(function(payload));
            let name = name.to_owned();
            tokio::spawn(async move {
                if let Err(e) = outcome(running.await) {
                    tracing::error!(function = name, error = %e, "an asynchronous invocation failed");
                }
            });
            answered(StatusCode::ACCEPTED, Vec::new())
        }
        Some("DryRun") => answered(StatusCode::NO_CONTENT, Vec::new()),
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
    if answer.len() > MAX_PAYLOAD_BYTES {
        let said = format!(
            "Response payload size exceeded maximum allowed payload size ({MAX_PAYLOAD_BYTES} bytes)."
        );
        return Err(FunctionError::new("Function.ResponseSizeTooLarge", said));
    }
    Ok(answer)
}

fn answer(running: Outcome) -> Response {
    match outcome(running) {
        Ok(payload) => answered(StatusCode::OK, payload),
        Err(e) => {
            let said = json!({ "errorType": e.error_type, "errorMessage": e.error_message });
            let mut response = answered(StatusCode::OK, said.to_string().into_bytes());
            response.headers_mut().insert("x-amz-function-error", HeaderValue::from_static("Unhandled"));
            response
        }
    }
}

fn refusal(status: StatusCode, kind: &'static str, said: &str) -> Response {
    let said: Value = json!({ "Type": "User", "Message": said });
    let mut response = answered(status, said.to_string().into_bytes());
    response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(kind));
    response
}

fn answered(status: StatusCode, payload: Vec<u8>) -> Response {
    let mut response = response(status, Some("application/json"), payload);
    let headers = response.headers_mut();
    headers.insert("x-amz-executed-version", HeaderValue::from_static("$LATEST"));
    if let Ok(id) = HeaderValue::try_from(request_id()) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}
