//! Clients of AWS or of other endpoints, and whose credentials they have.

use std::net::IpAddr;
use std::time::Duration;

use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::meta::region::RegionProviderChain;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, ProvideCredentials as _};
use nextbasket_machine::dynamodb::REGION;
use nextbasket_sdk_errors::causes;

use super::TargetOptions;
use crate::Failure;
use crate::profiles::{Profile, http_client};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

const DYNAMODB_TIMEOUT: Duration = Duration::from_secs(20);

const MAX_ATTEMPTS: u32 = 6;

/// How many of an access key id's last characters are shown.
const SHOWN_OF_KEY: usize = 4;

const NO_CREDENTIALS: &str =
    "no credentials: give --profile, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";

/// The clients of AWS or of other endpoints.
pub(crate) struct Elsewhere {
    pub dynamodb: aws_sdk_dynamodb::Client,
    pub s3: aws_sdk_s3::Client,
    pub lambda: aws_sdk_lambda::Client,
    /// Where they are, for people.
    pub place: String,
    pub region: String,
    /// What other clients are made from.
    pub shared: SdkConfig,
}

impl TargetOptions {
    /// The clients of AWS or of other endpoints.
    ///
    /// # Errors
    /// [`Failure`] if the profile does not exist, or there is no region or there are no credentials.
    pub(crate) async fn elsewhere(&self) -> Result<Elsewhere, Failure> {
        let profile = Profile::existing("--profile", self.profile.as_deref()).await?;
        let shared = self.shared(&profile).await;
        let place = self.described(&shared).await?;
        let (dynamodb, s3, lambda) = self.clients(&shared);
        let region = shared.region().map(ToString::to_string).unwrap_or_default();
        Ok(Elsewhere { dynamodb, s3, lambda, place, region, shared })
    }

    fn clients(
        &self,
        shared: &SdkConfig,
    ) -> (aws_sdk_dynamodb::Client, aws_sdk_s3::Client, aws_sdk_lambda::Client) {
        let mut dynamodb = aws_sdk_dynamodb::config::Builder::from(shared).timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .operation_attempt_timeout(DYNAMODB_TIMEOUT)
                .build(),
        );
        dynamodb.set_endpoint_url(self.endpoint.clone());
        // A part of an object may take long; that nothing moves at all is noticed by the SDK.
        let mut s3 = aws_sdk_s3::config::Builder::from(shared);
        if let Some(endpoint) = &self.s3_endpoint {
            s3 = s3.endpoint_url(endpoint).force_path_style(true);
        }
        let dynamodb = aws_sdk_dynamodb::Client::from_conf(dynamodb.build());
        (dynamodb, aws_sdk_s3::Client::from_conf(s3.build()), aws_sdk_lambda::Client::new(shared))
    }

    /// Which tables and whose credentials these are.
    ///
    /// # Errors
    /// [`Failure`] if there is no region or there are no credentials.
    async fn described(&self, shared: &SdkConfig) -> Result<String, Failure> {
        let Some(region) = shared.region() else {
            let problem = "no region: give --region, or set AWS_REGION, or give the profile one";
            return Err(Failure::Usage(problem.to_owned()));
        };
        let Some(provider) = shared.credentials_provider() else {
            return Err(Failure::other(NO_CREDENTIALS));
        };
        let credentials = provider.provide_credentials().await.map_err(|error| {
            let causes = causes(&error);
            // The other lines list where the SDK has looked.
            let cause = causes.lines().next().unwrap_or_default().trim_end_matches(" Attempted:");
            Failure::Other(match &self.profile {
                Some(profile) => format!("profile \"{profile}\" has no usable credentials: {cause}"),
                None => format!("{NO_CREDENTIALS} ({cause})"),
            })
        })?;
        let endpoint = self.endpoint.as_deref().unwrap_or("AWS");
        let profile = self.profile.as_ref().map(|name| format!("profile {name}, ")).unwrap_or_default();
        // Enough to tell keys apart, and no more.
        let key: String = credentials.access_key_id().chars().rev().take(SHOWN_OF_KEY).collect();
        let key: String = key.chars().rev().collect();
        Ok(format!("{endpoint}, region {region}, {profile}access key …{key}"))
    }

    /// The settings of AWS's clients. A profile that is given decides the credentials and the region. Without one they
    /// come from the SDK's own chain: variables, profiles, containers, instances.
    async fn shared(&self, profile: &Profile) -> SdkConfig {
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http_client())
            .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS))
            .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).build());
        let given = self.region.clone().map(Region::new);
        let (credentials, regions) = (profile.credentials(), profile.region_provider());
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
        }
        let variables = EnvironmentVariableRegionProvider::new();
        let regions = match self.profile {
            Some(_) => RegionProviderChain::first_try(given.clone()).or_else(regions).or_else(variables),
            None => RegionProviderChain::first_try(given.clone()).or_else(variables).or_else(regions),
        };
        let endpoints = [&self.endpoint, &self.s3_endpoint];
        let on_loopback = endpoints.into_iter().flatten().any(|endpoint| is_loopback(endpoint));
        if self.profile.is_some() {
            loader = loader.credentials_provider(credentials);
        } else if on_loopback {
            // Other local endpoints may ignore credentials, but requests must carry some. Configured credentials take
            // precedence: an endpoint of our own requires its data folder's key, which its server prints. Instance
            // metadata is not queried.
            let variables = EnvironmentVariableCredentialsProvider::new();
            let chain = CredentialsProviderChain::first_try("variables", variables)
                .or_else("profile", credentials)
                .or_else("local", Credentials::new("local", "local", None, None, "local"));
            loader = loader.credentials_provider(chain);
        }
        if on_loopback {
            loader = loader.region(regions.or_else(Region::from_static(REGION)));
        } else if self.profile.is_some() {
            loader = loader.region(regions);
        } else if let Some(region) = given {
            loader = loader.region(region);
        }
        loader.load().await
    }
}

fn is_loopback(url: &str) -> bool {
    let uri = url.parse::<hyper::Uri>().unwrap_or_default();
    let host = uri.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_this_machine_is_loopback() {
        for here in ["http://127.0.0.1:8000", "http://localhost:1", "http://[::1]:9000/", "https://127.1.2.3"]
        {
            assert!(is_loopback(here), "{here}");
        }
        for elsewhere in
            ["https://dynamodb.eu-central-1.amazonaws.com", "http://10.0.0.1:8000", "http://128.0.0.1"]
        {
            assert!(!is_loopback(elsewhere), "{elsewhere}");
        }
    }
}
