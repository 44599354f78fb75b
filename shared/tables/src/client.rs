//! One client for the four tables, made from the environment as the functions find it.

use std::env;
use std::fmt;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_http_client::tls;

use crate::history::HistoryTable;
use crate::model::ModelTable;
use crate::products::ProductsTable;
use crate::purchases::PurchasesTable;

/// An environment variable that a function needs and did not find.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable {variable} must name a table")]
pub struct ConfigError {
    /// Its name.
    pub variable: &'static str,
}

/// As `Display`: it is what a `main` prints that ends with this error.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The names of the tables. A function that has no business with a table has no name for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableNames {
    /// From `PRODUCTS_TABLE`.
    pub products: Option<String>,
    /// From `PURCHASES_TABLE`.
    pub purchases: Option<String>,
    /// From `HISTORY_TABLE`.
    pub history: Option<String>,
    /// From `MODEL_TABLE`.
    pub model: Option<String>,
}

impl TableNames {
    /// Reads the names with `lookup`, which is [`from_env`](Self::from_env)'s or a test's.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let named = |variable: &str| lookup(variable).filter(|name| !name.is_empty());
        Self {
            products: named("PRODUCTS_TABLE"),
            purchases: named("PURCHASES_TABLE"),
            history: named("HISTORY_TABLE"),
            model: named("MODEL_TABLE"),
        }
    }

    /// Reads the names from the environment.
    #[must_use]
    pub fn from_env() -> Self {
        Self::from_lookup(|variable| env::var(variable).ok())
    }
}

/// The tables that a program may touch, behind one client.
#[derive(Debug, Clone)]
pub struct Tables {
    client: Client,
    names: TableNames,
}

impl Tables {
    /// The tables of these names, reached through this client.
    #[must_use]
    pub fn new(client: Client, names: TableNames) -> Self {
        Self { client, names }
    }

    /// The tables that the environment names, in the region, with the credentials and at the endpoint that it
    /// gives (`AWS_ENDPOINT_URL_DYNAMODB` for a local one).
    #[must_use]
    pub fn from_env() -> Self {
        Self::new(Client::new(&function_config()), TableNames::from_env())
    }

    /// The catalogue.
    ///
    /// # Errors
    /// [`ConfigError`] if it has no name.
    pub fn products(&self) -> Result<ProductsTable, ConfigError> {
        let name = named(&self.names.products, "PRODUCTS_TABLE")?;
        Ok(ProductsTable::new(self.client.clone(), name))
    }

    /// The purchases.
    ///
    /// # Errors
    /// [`ConfigError`] if they have no name.
    pub fn purchases(&self) -> Result<PurchasesTable, ConfigError> {
        let name = named(&self.names.purchases, "PURCHASES_TABLE")?;
        Ok(PurchasesTable::new(self.client.clone(), name))
    }

    /// The histories.
    ///
    /// # Errors
    /// [`ConfigError`] if they have no name.
    pub fn history(&self) -> Result<HistoryTable, ConfigError> {
        let name = named(&self.names.history, "HISTORY_TABLE")?;
        Ok(HistoryTable::new(self.client.clone(), name))
    }

    /// The model.
    ///
    /// # Errors
    /// [`ConfigError`] if it has no name.
    pub fn model(&self) -> Result<ModelTable, ConfigError> {
        let name = named(&self.names.model, "MODEL_TABLE")?;
        Ok(ModelTable::new(self.client.clone(), name))
    }
}

fn named(name: &Option<String>, variable: &'static str) -> Result<String, ConfigError> {
    name.clone().ok_or(ConfigError { variable })
}

/// How a function's client is set up: TLS by rustls with ring, attempts and retries that are short, since DynamoDB
/// answers in milliseconds, so that a few calls that fail end before the function's own time does.
///
/// Credentials, region and endpoint come from the variables that Lambda sets. The SDK's own chain of providers would
/// look there first too; what else it can do (profiles, STS, container credentials) would be a megabyte of binary.
fn function_config() -> SdkConfig {
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
            RetryConfig::standard().with_max_attempts(5).with_initial_backoff(Duration::from_millis(25)),
        )
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(1))
                .operation_attempt_timeout(Duration::from_secs(1))
                .operation_timeout(Duration::from_secs(3))
                .build(),
        );
    match named("AWS_ENDPOINT_URL_DYNAMODB") {
        Some(url) => config.endpoint_url(url).build(),
        None => config.build(),
    }
}
