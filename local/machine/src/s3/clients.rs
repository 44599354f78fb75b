//! What SDK clients need to reach the embedded endpoint.

use crate::dynamodb::sdk_config;

/// A configuration for clients of the endpoint at `url`: as for DynamoDB, with buckets in the path.
#[must_use]
pub fn s3_config(url: &str) -> aws_sdk_s3::Config {
    aws_sdk_s3::config::Builder::from(&sdk_config(url)).force_path_style(true).build()
}
