//! Profiles of `~/.aws/config` and `~/.aws/credentials`.

use aws_config::meta::region::ProvideRegion as _;
use aws_config::profile::{self, ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_sdk_dynamodb::config::SharedCredentialsProvider;
use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_smithy_http_client::tls;
use aws_types::os_shim_internal::{Env, Fs};
use nextbasket_sdk_errors::causes;

use crate::Failure;

/// A profile that exists; `None` is the default one, whether it exists or not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Profile(Option<String>);

impl Profile {
    /// Refuses a profile that no file has: the SDK would go on without it. `option` is the option that names it.
    ///
    /// # Errors
    /// [`Failure::Usage`] that lists the profiles there are.
    pub(crate) async fn existing(option: &str, name: Option<&str>) -> Result<Self, Failure> {
        let Some(name) = name else { return Ok(Self::default()) };
        let files = EnvConfigFiles::default();
        let loaded = profile::load(&Fs::real(), &Env::real(), &files, Some(name.to_owned().into())).await;
        let loaded = loaded.map_err(|error| {
            Failure::Usage(format!("{option}: the profiles cannot be read: {}", causes(&error)))
        })?;
        if loaded.get_profile(name).is_some() {
            return Ok(Self(Some(name.to_owned())));
        }
        let mut known: Vec<&str> = loaded.profiles().collect();
        known.sort_unstable();
        let known = match known.as_slice() {
            [] => "There are no profiles".to_owned(),
            known => format!("The profiles are {}", known.join(", ")),
        };
        Err(Failure::Usage(format!(
            "{option}: profile \"{name}\" not found in the files ~/.aws/config and ~/.aws/credentials, or those of \
             AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE. {known}"
        )))
    }

    /// Its credentials: its keys, or those of the role, the SSO session or the process that it names.
    pub(crate) fn credentials(&self) -> ProfileFileCredentialsProvider {
        let credentials = ProfileFileCredentialsProvider::builder().configure(&providers());
        match &self.0 {
            Some(name) => credentials.profile_name(name).build(),
            None => credentials.build(),
        }
    }

    pub(crate) fn region_provider(&self) -> ProfileFileRegionProvider {
        let region = ProfileFileRegionProvider::builder().configure(&providers());
        match &self.0 {
            Some(name) => region.profile_name(name).build(),
            None => region.build(),
        }
    }
}

/// The region of a table of another account: the one that is given, or else the profile's.
///
/// # Errors
/// [`Failure::Usage`] if there is no such profile.
pub(crate) async fn region_of(
    option: &str,
    profile: Option<&str>,
    region: Option<&str>,
) -> Result<Option<String>, Failure> {
    let existing = Profile::existing(option, profile).await?;
    if profile.is_none() || region.is_some() {
        return Ok(region.map(str::to_owned));
    }
    Ok(existing.region_provider().region().await.map(|region| region.to_string()))
}

/// The credentials of a profile, for jobs that name one.
pub(crate) fn credentials_of(name: &str) -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Profile(Some(name.to_owned())).credentials())
}

/// HTTP with TLS by rustls with ring.
pub(crate) fn http_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https()
}

fn providers() -> ProviderConfig {
    ProviderConfig::empty().with_http_client(http_client())
}
