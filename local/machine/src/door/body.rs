//! Request bodies that have to arrive at a minimum rate, and answer bodies that report when they have been sent.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use tokio::time::{Sleep, sleep};

use super::connections::ConnectionState;

/// The time that each byte adds to the limit for a body: a kilobyte per second.
const PER_BYTE: Duration = Duration::from_millis(1);

/// How much of an unwanted body is read, and for how long. Without this, a client that is still sending would see a
/// broken connection instead of the answer.
const DISCARDED: usize = 1 << 20;
const DISCARDING: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the body did not arrive in time")]
    TooSlow,
    #[error(transparent)]
    Broken(#[from] hyper::Error),
}

pub(super) struct Paced {
    body: Incoming,
    state: Arc<ConnectionState>,
    allowed: Duration,
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

/// While this exists, the client is waiting for its answer or sending its request.
pub(super) struct Waiting(Arc<ConnectionState>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.answered();
    }
}

impl Paced {
    pub(super) fn new(body: Incoming, allowed: Duration, state: Arc<ConnectionState>) -> (Self, Waiting) {
        state.heard();
        if body.is_end_stream() {
            state.answering();
        }
        let waiting = Waiting(Arc::clone(&state));
        (Self { body, state, allowed, waiting: None }, waiting)
    }
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) else {
            let allowed = this.allowed;
            let (_, timer) = this.waiting.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(allowed))));
            return timer.as_mut().poll(context).map(|()| Some(Err(BodyError::TooSlow)));
        };
        this.state.heard();
        if let Some((since, _)) = this.waiting.take() {
            this.allowed = this.allowed.saturating_sub(since.elapsed());
        }
        match &frame {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                let earned = PER_BYTE.saturating_mul(u32::try_from(bytes).unwrap_or(u32::MAX));
                this.allowed = this.allowed.saturating_add(earned);
                if this.body.is_end_stream() {
                    this.state.answering();
                }
            }
            _ => this.state.answering(),
        }
        Poll::Ready(frame.map(|frame| frame.map_err(BodyError::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body that ends the waiting when it has been sent.
pub(super) fn until_sent(body: Body, waiting: Waiting) -> Body {
    Body::new(body.map_err(move |error| {
        // Dropped with the body.
        let _held = &waiting;
        error
    }))
}

/// Reads, within limits, what a client still sends of an unwanted body.
pub(crate) async fn discard(mut body: Body) {
    let read = async {
        let mut total = 0;
        while let Some(Ok(frame)) = body.frame().await {
            total += frame.data_ref().map_or(0, Bytes::len);
            if total > DISCARDED {
                return;
            }
        }
    };
    let _too_slow = tokio::time::timeout(DISCARDING, read).await;
}
