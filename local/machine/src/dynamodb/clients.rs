//! What SDK clients need to reach the embedded endpoint.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};

/// Region that local clients sign for. The endpoint does not look at it.
pub const REGION: &str = "local";

/// Access key and secret that local clients sign with. The endpoint does not look at them.
pub const ACCESS_KEY: &str = "local";

/// A configuration for clients of the endpoint at `url`: connections are kept, retries come after milliseconds.
#[must_use]
pub fn sdk_config(url: &str) -> SdkConfig {
    let credentials = Credentials::new(ACCESS_KEY, ACCESS_KEY, None, None, "local");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static(REGION))
        .endpoint_url(url)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(10)))
        .build()
}
