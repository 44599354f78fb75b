//! A look at an endpoint before anything is done: it fails within seconds, while calls of jobs are retried for long.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use nextbasket_sdk_errors::sentence;

use crate::Failure;

const ATTEMPTS: u32 = 2;

const TIMEOUT: Duration = Duration::from_secs(10);

fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(ATTEMPTS)
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().operation_attempt_timeout(TIMEOUT).build()
}

/// Whether the operations table exists. Also if these credentials may not describe it: they may still use it.
///
/// # Errors
/// [`Failure`] if DynamoDB does not answer.
pub(super) async fn operations_table(client: &aws_sdk_dynamodb::Client, name: &str) -> Result<bool, Failure> {
    let config = client.config().to_builder().retry_config(retries()).timeout_config(timeouts());
    let client = aws_sdk_dynamodb::Client::from_conf(config.build());
    match client.describe_table().table_name(name).send().await {
        Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(false),
        Err(error) if is_silent(&error) => Err(unreachable("DynamoDB", &sentence(&error))),
        _ => Ok(true),
    }
}

/// Whether the bucket exists. Also if these credentials may not list it: they may still use its objects.
///
/// # Errors
/// [`Failure`] if S3 does not answer.
pub(super) async fn bucket(client: &aws_sdk_s3::Client, name: Option<&str>) -> Result<bool, Failure> {
    let Some(name) = name else { return Ok(true) };
    let config = client.config().to_builder().retry_config(retries()).timeout_config(timeouts());
    let client = aws_sdk_s3::Client::from_conf(config.build());
    match client.head_bucket().bucket(name).send().await {
        Err(error) if error.raw_response().is_some_and(|answer| answer.status().as_u16() == 404) => Ok(false),
        Err(error) if is_silent(&error) => Err(unreachable("S3", &sentence(&error))),
        _ => Ok(true),
    }
}

/// Whether nobody answered, or somebody who is not AWS.
fn is_silent<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    match error {
        SdkError::ServiceError(service) => {
            service.err().code().is_none()
                && service.raw().body().bytes().is_some_and(|body| !body.is_empty())
        }
        _ => true,
    }
}

fn unreachable(service: &str, sentence: &str) -> Failure {
    Failure::other(format!("{service} cannot be reached: {sentence}"))
}
