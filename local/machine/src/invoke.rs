//! One invocation of a function in this process, as Lambda makes it: context, deadline, and no panic that spreads.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_lambda_events::event::dynamodb::Event;
use aws_lambda_events::event::streams::DynamoDbEventResponse;
use futures::future::BoxFuture;
use lambda_runtime::{Context, Error, LambdaEvent};

use crate::template::Function;

/// The most bytes of the event or of the answer of a function that somebody waits for, as JSON: Lambda's 6 MB.
pub(crate) const MAX_PAYLOAD_BYTES: usize = 6 * 1024 * 1024;

/// A function's handler, from event to answer.
pub type Handler<E, R> = Arc<dyn Fn(LambdaEvent<E>) -> BoxFuture<'static, Result<R, Error>> + Send + Sync>;

/// A function behind the HTTP API.
pub type HttpFunction = Handler<ApiGatewayV2httpRequest, ApiGatewayV2httpResponse>;

/// A function behind a table's stream.
pub type StreamFunction = Handler<Event, DynamoDbEventResponse>;

/// A handler from an async closure: `handler(move |event| { let state = state.clone(); async move { … } })`.
pub fn handler<E, R, F, Fut>(f: F) -> Handler<E, R>
where
    F: Fn(LambdaEvent<E>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, Error>> + Send + 'static,
{
    Arc::new(move |event| Box::pin(f(event)))
}

/// Why an invocation has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvocationError {
    #[error("{0}")]
    Failed(String),
    #[error("task timed out after {:.2} seconds", .0.as_secs_f64())]
    TimedOut(Duration),
}

/// Calls the function in a task of its own, for as long as its timeout allows.
pub(crate) async fn invoke<E, R>(
    function: &Function,
    handler: &Handler<E, R>,
    payload: E,
    request_id: &str,
) -> Result<R, InvocationError>
where
    E: Send + 'static,
    R: Send + 'static,
{
    let mut context = Context::default();
    context.request_id = request_id.to_owned();
    context.deadline = epoch_millis(SystemTime::now() + function.timeout);
    context.invoked_function_arn = function.arn();
    let task = tokio::spawn(handler(LambdaEvent::new(payload, context)));
    let aborter = task.abort_handle();
    match tokio::time::timeout(function.timeout, task).await {
        Ok(Ok(Ok(answer))) => Ok(answer),
        Ok(Ok(Err(e))) => Err(InvocationError::Failed(e.to_string())),
        Ok(Err(crash)) => Err(InvocationError::Failed(crash.to_string())),
        Err(_) => {
            aborter.abort();
            Err(InvocationError::TimedOut(function.timeout))
        }
    }
}

/// An id as Lambda gives each request.
pub(crate) fn request_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Milliseconds since 1970.
pub(crate) fn epoch_millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
