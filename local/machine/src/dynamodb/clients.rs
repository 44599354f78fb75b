//! What SDK clients need to reach the embedded endpoint.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};

use crate::access::AccessKey;

/// Region that local clients sign for. The endpoint does not look at it.
pub const REGION: &str = "local";

/// A configuration for clients of the endpoint at `url`, with this key: connections are kept, and retries come after
/// milliseconds.
#[must_use]
pub fn sdk_config(url: &str, key: &AccessKey) -> SdkConfig {
    let credentials = Credentials::new(key.id(), key.secret(), None, None, "local");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static(REGION))
        .endpoint_url(url)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(10)))
        .build()
}

/// The same for an endpoint whose process may end: another process takes over its address within some seconds.
#[must_use]
pub fn patient(config: &SdkConfig) -> SdkConfig {
    let retries = RetryConfig::standard()
        .with_max_attempts(60)
        .with_initial_backoff(Duration::from_millis(50))
        .with_max_backoff(Duration::from_millis(500));
    config.clone().into_builder().retry_config(retries).build()
}
