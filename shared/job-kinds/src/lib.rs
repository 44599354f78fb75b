//! Every kind of job by its name, and where a function's jobs run.
//!
//! For: whoever drives jobs (the functions `job-plan` and `job-work`, the pool on one machine) and whoever takes
//! them in. It holds no kind of its own.

mod failure;
#[cfg(feature = "schema")]
mod schemas;

use std::env;

use aws_sdk_dynamodb::Client;
use nextbasket_domain::Random;
use nextbasket_dynamodb::config::{Patience, lambda_config};
use nextbasket_items::write::{ItemGuard, WriteGuard};
use nextbasket_job_engine::{Engine, Kinds, Site};
use nextbasket_jobs_dump::{Archive, Diff, Dump, Restore, Revert, Verify};
use nextbasket_jobs_map::Map;
use nextbasket_jobs_shop::{Import, RebuildHistory, RefreshPopular, RotateSecret};
use nextbasket_jobs_table::{GuardedCopy, TableOperation};
use nextbasket_jobs_train::job::Train;
use nextbasket_objects::Bucket;
use nextbasket_tables::{ConfigError, TableNames, Tables};

pub use failure::FunctionFailure;
#[cfg(feature = "schema")]
pub use schemas::schemas;

#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A variable is not set.
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("no random numbers: {0}")]
    Random(String),
}

/// The engine of a function: its kinds, the operations table (`OPERATIONS_TABLE`) and the bucket of plans and results
/// (`JOBS_BUCKET`), with calls of this patience, at the endpoints of
/// `AWS_ENDPOINT_URL_DYNAMODB`, `AWS_ENDPOINT_URL_S3` and `AWS_ENDPOINT_URL_LAMBDA` if those are given.
///
/// # Errors
/// [`SetupError`] if a variable is not set, or the system has no random numbers to give.
pub fn engine_from_env(patience: Patience) -> Result<Engine, SetupError> {
    let random = Random::system().map_err(|error| SetupError::Random(error.to_string()))?;
    let named = |variable: &'static str| {
        env::var(variable).ok().filter(|value| !value.is_empty()).ok_or(ConfigError { variable })
    };
    let dynamodb = Client::new(&lambda_config("AWS_ENDPOINT_URL_DYNAMODB", patience));
    let tables = Tables::new(dynamodb.clone(), TableNames::from_env());
    let objects = Bucket::new(s3_from_env(patience), named("JOBS_BUCKET")?);
    let site = Site::new(dynamodb, named("OPERATIONS_TABLE")?, objects, random);
    let lambda = aws_sdk_lambda::Client::new(&lambda_config("AWS_ENDPOINT_URL_LAMBDA", patience));
    Ok(Engine::new(site, kinds(&tables, Some(lambda))))
}

/// S3 as a function reaches it. An endpoint that is given is addressed by path: it has no name for each bucket.
fn s3_from_env(patience: Patience) -> aws_sdk_s3::Client {
    const ENDPOINT: &str = "AWS_ENDPOINT_URL_S3";
    let given = env::var(ENDPOINT).is_ok_and(|url| !url.is_empty());
    let config = lambda_config(ENDPOINT, patience);
    aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(&config).force_path_style(given).build())
}

/// Every kind of job, over these tables; a `map` may call Lambda functions through this client, if there is one.
pub fn kinds(tables: &Tables, lambda: Option<aws_sdk_lambda::Client>) -> Kinds {
    let guard = write_guard(tables);
    Kinds::default()
        .with(Import(tables.clone()))
        .with(Dump)
        .with(Restore(guard.clone()))
        .with(Revert(guard.clone()))
        .with(Verify)
        .with(Diff)
        .with(Archive)
        .with(Train(tables.clone()))
        .with(RebuildHistory(tables.clone()))
        .with(RefreshPopular(tables.clone()))
        .with(RotateSecret(tables.clone()))
        .with(Map { lambda })
        .with(TableOperation::Count)
        .with(TableOperation::Update)
        .with(TableOperation::Delete)
        .with(GuardedCopy(guard))
        .with(TableOperation::Fill)
}

/// What must not come back into the shop's tables, since its user was erased.
fn write_guard(tables: &Tables) -> WriteGuard {
    let tables = tables.clone();
    WriteGuard::new(move |table| {
        let (tables, table) = (tables.clone(), table.to_owned());
        Box::pin(async move {
            let erased = tables.erased_items(&table).await?;
            Ok(erased.map(|erased| ItemGuard::new(move |item| erased.contains(item))))
        })
    })
}
