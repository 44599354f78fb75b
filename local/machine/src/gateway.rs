//! The HTTP API: requests become payload 2.0 events for the route's function, its answers become HTTP.
//!
//! Requests of web pages of other origins, and requests to other host names, are rejected at the door. Programs on
//! this machine need no credentials.
//!
//! Pages and what they call may be served beside the template's routes ([`Pages`]), behind the same door.
//!
//! What cannot be routed, read or answered gets what API Gateway says: `{"message":"Not Found"}` and the like. Its
//! limits hold here, too: 10,240 bytes for the request line and the values of the headers, 10 MB for a body, and Lambda's
//! 6 MB for the event and for the answer.

mod request;
mod response;
mod router;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::StatusCode;
use http::request::Parts;
use http_body_util::BodyExt;
use tower_service::Service as _;

use crate::door::{self, ConnectionLimits, Door, Entrance, Foreign};
use crate::invoke::{HttpFunction, InvocationError, invoke, request_id};
use crate::listen::{ListenError, Listening};
use crate::server::ServerTask;
use crate::streams::Wake;
use crate::template::{Function, Template};

use request::EventError;
use router::Router;

/// The most bytes of the request line and of all headers' values.
const MAX_HEAD_BYTES: usize = 10_240;

/// What is served beside the template's routes.
#[derive(Clone, Default)]
pub struct Pages {
    /// Answers `/` and everything below `/console`.
    pub router: Option<axum::Router>,
    /// Decides which requests the template's routes answer; without it, all.
    pub admission: Option<Admission>,
}

/// The answer to a request that is not admitted; `None` admits it.
pub type Admission = Arc<dyn Fn(&Parts) -> Option<Response> + Send + Sync>;

/// What a front end is to do beyond the template.
#[derive(Clone)]
pub struct GatewayOptions {
    /// The longest body in bytes; 10 MB, as API Gateway has it.
    pub body_limit: usize,
    /// Mappings to wake after a request that may have written.
    pub wake: Option<Wake>,
    /// How long clients may take, and how many there may be.
    pub limits: ConnectionLimits,
    pub pages: Pages,
}

impl Default for GatewayOptions {
    fn default() -> Self {
        GatewayOptions {
            body_limit: 10 * 1024 * 1024,
            wake: None,
            limits: ConnectionLimits::default(),
            pages: Pages::default(),
        }
    }
}

pub struct Gateway(ServerTask);

impl Gateway {
    /// Listens on `address`, a loopback address, and serves the template's routes. `functions` holds the handlers
    /// by logical id or binary.
    ///
    /// # Errors
    /// [`GatewayError`] when the address cannot be listened on, a route cannot be read, or its function is not
    /// among `functions`.
    pub async fn start(
        template: &Template,
        functions: &HashMap<String, HttpFunction>,
        address: SocketAddr,
        settings: GatewayOptions,
    ) -> Result<Self, GatewayError> {
        Self::serve(template, functions, Listening::on(address)?, settings)
    }

    /// Like [`Gateway::start`], on a listener that is already bound.
    pub(crate) fn serve(
        template: &Template,
        functions: &HashMap<String, HttpFunction>,
        listening: Listening,
        settings: GatewayOptions,
    ) -> Result<Self, GatewayError> {
        let mut router = Router::default();
        for route in &template.routes {
            let missing =
                || GatewayError::NoFunction { route: route.key.clone(), function: route.function.clone() };
            let function = template.function(&route.function).ok_or_else(missing)?;
            let handler = functions
                .get(&function.logical_id)
                .or_else(|| functions.get(&function.binary))
                .ok_or_else(missing)?;
            router.add(&route.key, RouteTarget { function: function.clone(), handler: handler.clone() })?;
        }
        let door = Door { entrance: Entrance::Open, limits: settings.limits, refusal };
        let front = Arc::new(GatewayState { router, settings });
        let server = ServerTask::start("the HTTP front end", listening, |listener, stopped| {
            door.serve(listener, stopped, move |request, peer| answer(Arc::clone(&front), peer, request))
        });
        Ok(Gateway(server?))
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Takes no more connections and lets requests that are under way finish, for up to five seconds.
    pub async fn stop(self) {
        self.0.stop("HTTP requests").await;
    }
}

#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    #[error("HTTP API: {0}")]
    Listen(#[from] ListenError),
    /// A route leads to a function that nobody gave.
    #[error("route {route}: the function {function} has no handler")]
    NoFunction { route: String, function: String },
    #[error("invalid route {key:?}: expected METHOD /path, with {{name}} or a last {{name+}}, or $default")]
    Route { key: String },
}

struct RouteTarget {
    function: Function,
    handler: HttpFunction,
}

struct GatewayState {
    router: Router<RouteTarget>,
    settings: GatewayOptions,
}

/// The answer to a request that the door rejects, in API Gateway's form with the reason added.
fn refusal(foreign: Foreign) -> Response {
    message(StatusCode::FORBIDDEN, &format!("Forbidden. {}", foreign.reason()))
}

async fn answer(front: Arc<GatewayState>, peer: SocketAddr, request: Request) -> Response {
    let (head, body) = request.into_parts();
    if head_bytes(&head) > MAX_HEAD_BYTES {
        door::discard(body).await;
        return message(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "Request Header Fields Too Large");
    }
    let pages = &front.settings.pages;
    if let Some(router) = pages.router.as_ref().filter(|_| is_of_pages(head.uri.path())) {
        let (safe, request) = (head.method.is_safe(), Request::from_parts(head, body));
        let Ok(answer) = router.clone().call(request).await;
        if let Some(wake) = front.settings.wake.as_ref().filter(|_| !safe) {
            wake.wake();
        }
        return answer;
    }
    if let Some(refused) = pages.admission.as_ref().and_then(|admission| admission(&head)) {
        door::discard(body).await;
        return refused;
    }
    let Some(path) = router::decoded_path(head.uri.path()) else {
        return message(StatusCode::BAD_REQUEST, "Bad Request");
    };
    let Some(matched) = front.router.find(&head.method, &path) else {
        return message(StatusCode::NOT_FOUND, "Not Found");
    };
    let body = match read(body, front.settings.body_limit).await {
        Ok(body) => body,
        Err(Unread::TooLarge) => return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large"),
        Err(Unread::Broken) => return message(StatusCode::BAD_REQUEST, "Bad Request"),
    };
    let request_id = request_id();
    let RouteTarget { function, handler } = matched.target;
    let event = match request::event(&head, &path, &body, &matched, peer, &request_id) {
        Ok(event) => event,
        Err(EventError::TooLarge) => {
            return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
        }
        Err(e @ EventError::Form(_)) => {
            tracing::error!(error = %e, "a request could not be converted to an event");
            return message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error");
        }
    };
    let answer = invoke(function, handler, event, &request_id).await;
    if let Some(wake) = front.settings.wake.as_ref().filter(|_| !head.method.is_safe()) {
        wake.wake();
    }
    match answer {
        Ok(answer) => response::http(answer).unwrap_or_else(|e| {
            tracing::error!(function = function.name, request_id, error = %e, "the function's answer is not a valid response");
            message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }),
        Err(e) => {
            tracing::error!(function = function.name, request_id, error = %e, "the function failed");
            let status = match e {
                InvocationError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
                InvocationError::TimedOut(_) => StatusCode::GATEWAY_TIMEOUT,
            };
            message(status, "Internal Server Error")
        }
    }
}

/// Whether [`Pages::router`] answers this path.
fn is_of_pages(path: &str) -> bool {
    path == "/" || path.strip_prefix("/console").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The bytes of the request line and of all headers' values.
fn head_bytes(head: &Parts) -> usize {
    let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let line = head.method.as_str().len() + target + " ".len() + " HTTP/1.1".len();
    head.headers.values().fold(line, |bytes, value| bytes + value.len())
}

enum Unread {
    TooLarge,
    Broken,
}

/// The body, up to `limit`. What is over it is read and dropped for a while: a client that is still sending would
/// otherwise see a broken connection and not the answer.
async fn read(mut body: Body, limit: usize) -> Result<Vec<u8>, Unread> {
    let mut bytes = Vec::new();
    let mut total: usize = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Unread::Broken)?;
        let Ok(data) = frame.into_data() else { continue };
        total = total.saturating_add(data.len());
        if total <= limit {
            bytes.extend_from_slice(&data);
        } else if total > limit.saturating_mul(4) {
            break;
        }
    }
    if total > limit { Err(Unread::TooLarge) } else { Ok(bytes) }
}

fn message(status: StatusCode, text: &str) -> Response {
    door::response(status, Some("application/json"), serde_json::json!({ "message": text }).to_string())
}
