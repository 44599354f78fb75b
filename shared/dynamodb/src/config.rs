//! How a function's clients are set up.

use std::env;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_http_client::tls;

/// How long calls are waited for and how often they are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The most time of one attempt.
    pub attempt: Duration,
    /// The most time of a call with all its attempts.
    pub call: Duration,
    pub attempts: u32,
    /// The first pause between attempts; it doubles from there, with jitter.
    pub backoff: Duration,
}

impl Patience {
    /// Of a function that somebody waits for: DynamoDB answers in milliseconds, and a few calls that fail must end
    /// before the function's own time does.
    pub const ANSWER: Self = Self {
        attempt: Duration::from_secs(1),
        call: Duration::from_secs(3),
        attempts: 5,
        backoff: Duration::from_millis(25),
    };

    /// Of a batch of a job: large pages and parts, and a network that may be slow.
    pub const BATCH: Self = Self {
        attempt: Duration::from_secs(20),
        call: Duration::from_secs(60),
        attempts: 5,
        backoff: Duration::from_millis(50),
    };
}

/// What clients of this patience share: TLS by rustls with ring.
///
/// Credentials, region and endpoint come from the variables that Lambda sets; `endpoint` names the one of the
/// endpoint's address, such as `AWS_ENDPOINT_URL_DYNAMODB`. The SDK's own chain of providers would look there first
/// too; what else it can do (profiles, STS, container credentials) would be a megabyte of binary.
#[must_use]
pub fn lambda_config(endpoint: &str, patience: Patience) -> SdkConfig {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https();
    let named = |variable: &str| env::var(variable).ok().filter(|value| !value.is_empty());
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()))
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .http_client(http)
        .region(named("AWS_REGION").map(Region::new))
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(patience.attempts)
                .with_initial_backoff(patience.backoff),
        )
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(1))
                .operation_attempt_timeout(patience.attempt)
                .operation_timeout(patience.call)
                .build(),
        );
    match named(endpoint) {
        Some(url) => config.endpoint_url(url).build(),
        None => config.build(),
    }
}
