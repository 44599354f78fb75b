//! What SDK clients need to reach the embedded endpoint.

use aws_config::SdkConfig;

use crate::access::AccessKey;
use crate::dynamodb::sdk_config;

/// A configuration for clients of the endpoint at `url`, with this key: as for DynamoDB, with buckets in the path.
#[must_use]
pub fn s3_config(url: &str, key: &AccessKey) -> aws_sdk_s3::Config {
    s3_config_from(&sdk_config(url, key))
}

/// The same, made from a configuration of [`sdk_config`](crate::dynamodb::sdk_config).
#[must_use]
pub fn s3_config_from(config: &SdkConfig) -> aws_sdk_s3::Config {
    aws_sdk_s3::config::Builder::from(config).force_path_style(true).build()
}
