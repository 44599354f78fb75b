//! The front door of all ports: which requests may enter, how long clients may take, and how many there may be at a
//! time.
//!
//! Before a body is read, it rejects requests that a page of another origin sends from a browser (`Origin`,
//! `Sec-Fetch-Site`), and requests to another host name than this machine's. The second check stops DNS rebinding: a
//! page whose own name resolves to 127.0.0.1. Where requests are signed, another host name is allowed if the
//! signature covers it: a container that reaches this machine as `host.docker.internal` can sign, a page cannot.
//!
//! A connection has some seconds to send the head of its next request, and a body must arrive at a minimum rate. When
//! there are too many connections, the one whose client has been silent for the longest is closed.

mod body;
mod callers;
mod connections;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::access::is_signed;
use crate::server::Stopped;

pub(crate) use body::discard;
use body::{Paced, until_sent};
pub(crate) use callers::{Foreign, host_is_foreign};
use connections::{Connection, Connections};

/// How long clients may take, and how many there may be.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// The time to send the head of a request, counted from when the connection waits for one. This is also how long
    /// an idle connection is kept.
    pub head: Duration,
    /// The time to send a body, in addition to what its bytes take at a kilobyte per second.
    pub body: Duration,
    pub connections: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        ConnectionLimits { head: Duration::from_secs(20), body: Duration::from_secs(20), connections: 256 }
    }
}

/// Whether requests authenticate their sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// They do not: every program on this machine may call.
    Open,
    /// They are signed with the key of this id, and the service behind the door verifies the signature.
    Signed(String),
}

#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) entrance: Entrance,
    pub(crate) limits: ConnectionLimits,
    /// Makes the answer to a rejected request, in the protocol of the service behind the door.
    pub(crate) refusal: fn(Foreign) -> Response,
}

impl Door {
    /// Why the request is rejected, if it is; `address` is the one listened on.
    fn refused(&self, head: &Parts, address: SocketAddr) -> Option<Foreign> {
        if callers::origin_is_foreign(head, address) {
            return Some(Foreign::Origin);
        }
        let proves = matches!(&self.entrance, Entrance::Signed(id) if is_signed(head, id));
        (host_is_foreign(head, address) && !proves).then_some(Foreign::Host)
    }

    /// Serves until `stopped`; then accepts no more connections, and lets requests that are under way finish.
    pub(crate) async fn serve<A, F>(
        self,
        listener: TcpListener,
        mut stopped: Stopped,
        answer: A,
    ) -> Result<(), std::io::Error>
    where
        A: Fn(Request<Body>, SocketAddr) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        let address = listener.local_addr()?;
        let (stop, stopping) = watch::channel(false);
        let door = Arc::new(self);
        let room = Arc::new(Connections::new(door.limits.connections));
        let mut served = JoinSet::new();
        loop {
            tokio::select! {
                () = &mut stopped => break,
                accepted = listener.accept(), if room.has_room(served.len()) => match accepted {
                    Ok((stream, peer)) => {
                        let connection = room.enter();
                        let answer = answer.clone();
                        let door = Arc::clone(&door);
                        served.spawn(door.attend(stream, address, peer, connection, stopping.clone(), answer));
                    }
                    Err(error) => not_accepted(&error, &room).await,
                },
                Some(_) = served.join_next(), if !served.is_empty() => {}
                () = room.changed() => {}
            }
        }
        drop(listener);
        let _nobody_left = stop.send(true);
        while served.join_next().await.is_some() {}
        Ok(())
    }

    /// Serves one connection until it ends, has taken too long, or has to make room.
    async fn attend<A, F>(
        self: Arc<Self>,
        stream: TcpStream,
        address: SocketAddr,
        peer: SocketAddr,
        connection: Connection,
        mut stopping: watch::Receiver<bool>,
        answer: A,
    ) where
        A: Fn(Request<Body>, SocketAddr) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        // Send small answers at once.
        let _best_effort = stream.set_nodelay(true);
        let service = service_fn(|request: Request<Incoming>| {
            let (head, body) = request.into_parts();
            let refused = self.refused(&head, address);
            let (body, waiting) = Paced::new(body, self.limits.body, connection.state());
            let (answer, refusal) = (answer.clone(), self.refusal);
            async move {
                let body = Body::new(body);
                let response = match refused {
                    Some(foreign) => {
                        discard(body).await;
                        refusal(foreign)
                    }
                    None => answer(Request::from_parts(head, body), peer).await,
                };
                Ok::<_, Infallible>(response.map(|body| until_sent(body, waiting)))
            }
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(served);
        let mut told = false;
        loop {
            tokio::select! {
                // An error of the client, or its disconnection, needs no handling here.
                _ended = served.as_mut() => break,
                () = connection.evicted() => break,
                _ = stopping.changed(), if !told => {
                    told = true;
                    served.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

pub(crate) fn response(status: StatusCode, media: Option<&'static str>, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    if let Some(media) = media {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    }
    response
}

/// A client that disconnected before it was accepted does not matter; running out of file descriptors does.
async fn not_accepted(error: &std::io::Error, room: &Connections) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::warn!(%error, "a connection was not accepted");
        room.make_room();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
