//! The session: whoever has its secret may use the console.
//!
//! The command prints the secret as a part of the page's address that browsers do not send to servers; the page sends
//! it as a header, which a page of another origin cannot add. There are no cookies, so no other page can ride on it.

use std::fmt;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::HeaderMap;
use nextbasket_domain::Timestamp;
use nextbasket_http::ApiError;
use serde::Serialize;

use crate::Console;
use crate::answer::{Answer, Json, Problem};
use crate::parts::{Place, ShopBuckets, ShopTables};

pub const SESSION_HEADER: &str = "x-nextbasket-session";

/// The secret of the session. It is compared as a hash, whose comparison takes the same time wherever two differ.
#[derive(Clone)]
pub struct SessionSecret(String);

impl fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSecret")
    }
}

impl SessionSecret {
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self(hex::encode(key))
    }

    /// The page's address on a server, with the secret: whoever has it may use the console.
    #[must_use]
    pub fn link(&self, address: std::net::SocketAddr) -> String {
        format!("http://{address}/console/#session={}", self.0)
    }

    /// Whether the headers carry the secret, exactly once.
    #[must_use]
    pub fn is_in(&self, headers: &HeaderMap) -> bool {
        let mut given = headers.get_all(SESSION_HEADER).iter();
        let (Some(given), None) = (given.next(), given.next()) else { return false };
        blake3::hash(given.as_bytes()) == blake3::hash(self.0.as_bytes())
    }
}

/// The answer to a request without the session's secret.
#[must_use]
pub fn session_required() -> Response {
    let detail = "the session's secret is missing or wrong: open the link that the command printed";
    Problem(ApiError::new(401, "session_required", detail)).into_response()
}

pub(crate) async fn require(State(console): State<Console>, request: Request, next: Next) -> Response {
    if console.session.is_in(request.headers()) { next.run(request).await } else { session_required() }
}

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/session", get(show))
}

#[derive(Serialize)]
struct Session {
    version: &'static str,
    place: Place,
    writable: bool,
    now: Timestamp,
    tables: ShopTables,
    buckets: ShopBuckets,
}

async fn show(State(console): State<Console>) -> Answer<Session> {
    Ok(Json(Session {
        version: console.version,
        place: console.place.clone(),
        writable: console.writable,
        now: console.clock.now(),
        tables: console.names.tables.clone(),
        buckets: console.names.buckets.clone(),
    }))
}
