//! Answers kept as the text that came, where making values of them is most of the work.

use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use aws_sdk_dynamodb::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_types::body::SdkBody;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};

/// What the SDK reads in place of the answer.
const NOTHING: Bytes = Bytes::from_static(b"{}");

type BodyError = Box<dyn Error + Send + Sync>;

/// Keeps the body of one call's answer; the SDK finds an empty one. Those that are errors it has itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeptAnswer(Arc<Mutex<BytesMut>>);

impl KeptAnswer {
    /// The body, once the call has succeeded.
    pub(crate) fn take(&self) -> Bytes {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).freeze()
    }
}

impl Intercept for KeptAnswer {
    fn name(&self) -> &'static str {
        "KeptAnswer"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BodyError> {
        let response = context.response_mut();
        if response.status().is_success() {
            let length = response.headers().get("content-length").and_then(|length| length.parse().ok());
            let room = BytesMut::with_capacity(length.unwrap_or(0));
            let from = std::mem::replace(response.body_mut(), SdkBody::taken());
            let kept = Keeping { from, room, into: Arc::clone(&self.0), ended: false };
            *response.body_mut() = SdkBody::from_body_1_x(kept);
        }
        Ok(())
    }
}

/// Passes nothing on of what it reads.
struct Keeping {
    from: SdkBody,
    room: BytesMut,
    into: Arc<Mutex<BytesMut>>,
    ended: bool,
}

impl Body for Keeping {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        while !self.ended {
            match ready!(Pin::new(&mut self.from).poll_frame(context)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.room.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    self.ended = true;
                    let all = std::mem::take(&mut self.room);
                    *self.into.lock().unwrap_or_else(PoisonError::into_inner) = all;
                    return Poll::Ready(Some(Ok(Frame::data(NOTHING))));
                }
            }
        }
        Poll::Ready(None)
    }
}
