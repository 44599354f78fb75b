//! What an operator's command works on: a data folder, AWS, or other endpoints.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{self, ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_sdk_dynamodb::config::{Credentials, ProvideCredentials as _};
use aws_smithy_http_client::tls;
use aws_types::os_shim_internal::{Env, Fs};
use clap::Args;
use nextbasket_domain::{Clock, Random};
use nextbasket_job_engine::Site;
use nextbasket_locks::Leases;
use nextbasket_machine::AccessKey;
use nextbasket_machine::dynamodb::REGION;
use nextbasket_machine::s3::s3_config_from;
use nextbasket_objects::Bucket;
use nextbasket_sdk_errors::causes;
use nextbasket_tables::Tables;

use crate::Failure;
use crate::folder_session::{FolderSession, OtherProcesses};
use crate::folder_sharing::IfMissing;
use crate::local_deployment::{JobsResources, jobs_resources, random, table_names};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

const DYNAMODB_TIMEOUT: Duration = Duration::from_secs(20);

const MAX_ATTEMPTS: u32 = 6;

/// How many of an access key id's last characters are shown.
const SHOWN_OF_KEY: usize = 4;

const NO_CREDENTIALS: &str =
    "no credentials: give --profile, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";

#[derive(Debug, Clone, Args)]
pub struct TargetOptions {
    /// The data folder, unless an endpoint, region or profile is given; created by commands that fill one
    #[arg(long, value_name = "DIR", default_value = "nextbasket-data", global = true)]
    pub data: PathBuf,
    /// Work on this DynamoDB endpoint, such as http://127.0.0.1:8000
    #[arg(long, value_name = "URL", global = true, value_parser = url)]
    pub endpoint: Option<String>,
    /// Work on this S3 endpoint
    #[arg(long, value_name = "URL", global = true, value_parser = url)]
    pub s3_endpoint: Option<String>,
    /// Work on AWS, in this region
    #[arg(long, value_name = "REGION", global = true)]
    pub region: Option<String>,
    /// Work on AWS, with the credentials and the region of this profile, whatever the environment says
    #[arg(long, value_name = "PROFILE", global = true)]
    pub profile: Option<String>,
    /// The table of locks, jobs and upload claims [default: nextbasket-operations]
    #[arg(long, value_name = "TABLE", global = true)]
    pub operations: Option<String>,
    /// The bucket of the jobs' plans and results, on AWS: the stack's output JobsBucketName
    #[arg(long, value_name = "BUCKET", global = true)]
    pub bucket: Option<String>,
}

/// Where the tables are, for people.
#[derive(Debug, Clone)]
pub enum TargetPlace {
    Folder(PathBuf),
    /// AWS or other endpoints: which ones, and with whose credentials.
    Elsewhere(String),
}

impl Default for TargetPlace {
    fn default() -> Self {
        Self::Folder(PathBuf::new())
    }
}

impl fmt::Display for TargetPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "data folder {}", folder.display()),
            Self::Elsewhere(place) => f.write_str(place),
        }
    }
}

/// An open data folder, or clients of AWS or of other endpoints.
pub struct Target {
    pub dynamodb: aws_sdk_dynamodb::Client,
    pub s3: aws_sdk_s3::Client,
    /// `None` for a data folder.
    pub lambda: Option<aws_sdk_lambda::Client>,
    pub operations: String,
    bucket: String,
    /// Whether that bucket is known: deployed ones have names of their own.
    bucket_is_known: bool,
    pub tables: Tables,
    pub random: Random,
    pub place: TargetPlace,
    /// For files about what a command did: the data folder, or an empty path, the working folder.
    pub folder: PathBuf,
    /// `None` if the target is elsewhere than in a data folder.
    pub session: Option<FolderSession>,
}

impl TargetOptions {
    fn is_data_folder(&self) -> bool {
        [&self.endpoint, &self.s3_endpoint, &self.region, &self.profile].iter().all(|option| option.is_none())
    }

    /// Opens the data folder, or makes clients of AWS or of other endpoints.
    pub async fn open(&self, if_missing: IfMissing) -> Result<Target, Failure> {
        let JobsResources { operations, bucket } = jobs_resources()?;
        let names = table_names()?;
        let random = random()?;
        let mut place = TargetPlace::Folder(self.data.clone());
        let (dynamodb, s3, lambda, session) = if self.is_data_folder() {
            let session = FolderSession::open(&self.data, if_missing).await?;
            let (dynamodb, s3) = folder_clients(&session)?;
            (dynamodb, s3, None, Some(session))
        } else {
            self.check_profile().await?;
            let shared = self.shared().await;
            place = TargetPlace::Elsewhere(self.described(&shared).await?);
            let (dynamodb, s3, lambda) = self.clients(&shared);
            (dynamodb, s3, Some(lambda), None)
        };
        let bucket_is_known = self.bucket.is_some() || self.is_data_folder() || self.s3_endpoint.is_some();
        Ok(Target {
            tables: Tables::new(dynamodb.clone(), names),
            dynamodb,
            s3,
            lambda,
            operations: self.operations.clone().unwrap_or(operations),
            bucket: self.bucket.clone().unwrap_or(bucket),
            bucket_is_known,
            random,
            place,
            folder: if self.is_data_folder() { self.data.clone() } else { PathBuf::new() },
            session,
        })
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

    /// Refuses a profile that no file has: the SDK would go on without it.
    async fn check_profile(&self) -> Result<(), Failure> {
        let Some(profile) = &self.profile else { return Ok(()) };
        let files = EnvConfigFiles::default();
        let loaded = profile::load(&Fs::real(), &Env::real(), &files, Some(profile.clone().into())).await;
        let loaded = loaded.map_err(|error| {
            Failure::Usage(format!("--profile: the profiles cannot be read: {}", causes(&error)))
        })?;
        if loaded.get_profile(profile).is_some() {
            return Ok(());
        }
        let mut known: Vec<&str> = loaded.profiles().collect();
        known.sort_unstable();
        let known = match known.as_slice() {
            [] => "There are no profiles".to_owned(),
            known => format!("The profiles are {}", known.join(", ")),
        };
        Err(Failure::Usage(format!(
            "--profile: profile \"{profile}\" not found in the files ~/.aws/config and ~/.aws/credentials, or those of \
             AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE. {known}"
        )))
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
    async fn shared(&self) -> SdkConfig {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .build_https();
        let providers = ProviderConfig::empty().with_http_client(http.clone());
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS))
            .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).build());
        let given = self.region.clone().map(Region::new);
        let mut credentials = ProfileFileCredentialsProvider::builder().configure(&providers);
        let mut regions = ProfileFileRegionProvider::builder().configure(&providers);
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
            credentials = credentials.profile_name(profile);
            regions = regions.profile_name(profile);
        }
        let variables = EnvironmentVariableRegionProvider::new();
        let regions = match self.profile {
            Some(_) => {
                RegionProviderChain::first_try(given.clone()).or_else(regions.build()).or_else(variables)
            }
            None => RegionProviderChain::first_try(given.clone()).or_else(variables).or_else(regions.build()),
        };
        let endpoints = [&self.endpoint, &self.s3_endpoint];
        let on_loopback = endpoints.into_iter().flatten().any(|endpoint| is_loopback(endpoint));
        if self.profile.is_some() {
            loader = loader.credentials_provider(credentials.build());
        } else if on_loopback {
            // Other local endpoints may ignore credentials, but requests must carry some. Configured credentials take
            // precedence: an endpoint of our own requires its data folder's key, which its server prints. Instance
            // metadata is not queried.
            let variables = EnvironmentVariableCredentialsProvider::new();
            let chain = CredentialsProviderChain::first_try("variables", variables)
                .or_else("profile", credentials.build())
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

impl Target {
    #[must_use]
    pub fn leases(&self) -> Leases {
        let Self { dynamodb, operations, random, .. } = self;
        Leases::new(dynamodb.clone(), operations.clone(), Clock::system(), random.clone())
    }

    /// The table and bucket of jobs.
    ///
    /// # Errors
    /// [`Failure::Usage`] if the bucket of jobs has to be named and is not.
    pub fn job_site(&self) -> Result<Site, Failure> {
        if !self.bucket_is_known {
            let problem = "--bucket is missing: name the bucket of jobs, the stack's output JobsBucketName";
            return Err(Failure::Usage(problem.to_owned()));
        }
        Ok(Site {
            dynamodb: self.dynamodb.clone(),
            operations: self.operations.clone(),
            objects: Bucket::new(self.s3.clone(), self.bucket.clone()),
            clock: Clock::system(),
            random: self.random.clone(),
        })
    }

    #[must_use]
    pub fn other_processes(&self) -> OtherProcesses {
        self.session.as_ref().map_or(OtherProcesses::Workers, FolderSession::other_processes)
    }

    /// The key of the data folder; `None` if the target is elsewhere.
    #[must_use]
    pub fn key(&self) -> Option<&AccessKey> {
        self.session.as_ref().map(FolderSession::key)
    }

    /// Does the work like [`FolderSession::bulk_load`].
    pub async fn bulk_load<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        match &self.session {
            Some(session) => session.bulk_load(work).await,
            None => Ok(work.await),
        }
    }

    /// Stops what was started, and returns the command's result, like [`FolderSession::close`].
    ///
    /// # Errors
    /// The [`Failure`] of the command, or of a folder that cannot be closed cleanly.
    pub async fn close<T>(self, result: Result<T, Failure>) -> Result<T, Failure> {
        match self.session {
            Some(session) => session.close(result).await,
            None => result,
        }
    }
}

/// The holder of leases that this process acquires, for people: host and process.
#[must_use]
pub fn holder() -> String {
    let named = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or(std::env::var("HOSTNAME").ok());
    let host = named.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    format!("{}/{}", host.as_deref().unwrap_or("localhost"), std::process::id())
}

fn folder_clients(
    session: &FolderSession,
) -> Result<(aws_sdk_dynamodb::Client, aws_sdk_s3::Client), Failure> {
    let (dynamodb, s3) = match session {
        FolderSession::Attached { attachment, .. } => {
            let server = &attachment.server;
            let s3 = server.s3.ok_or_else(|| {
                Failure::other(format!(
                    "{server} runs an earlier version, which has no S3 endpoint: stop and start it again"
                ))
            })?;
            let config = |address| attachment.config(address);
            (config(server.dynamodb), s3_config_from(&config(s3)))
        }
        FolderSession::Own { deployment, .. } => {
            (deployment.machine().sdk_config().clone(), deployment.machine().s3_config())
        }
    };
    Ok((aws_sdk_dynamodb::Client::new(&dynamodb), aws_sdk_s3::Client::from_conf(s3)))
}

fn url(text: &str) -> Result<String, String> {
    match text.parse::<hyper::Uri>() {
        Ok(uri) if matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() => {
            Ok(text.to_owned())
        }
        _ => Err("expected a URL, such as http://127.0.0.1:8000".to_owned()),
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

    #[test]
    fn an_endpoint_is_a_url() {
        assert!(url("http://127.0.0.1:8000").is_ok());
        for text in ["127.0.0.1:8000", "localhost", "s3://bucket", ""] {
            assert!(url(text).is_err(), "{text:?}");
        }
    }
}
