//! Every kind of job by its name, and where a function's jobs run.
//!
//! For: whoever drives jobs (the functions `job-plan` and `job-work`, the pool on one machine) and whoever takes
//! them in. It holds no kind of its own.

mod failure;

use std::env;

use aws_sdk_dynamodb::Client;
use nextbasket_batch::{Engine, Kinds, Objects, Site};
use nextbasket_domain::{Clock, Random};
use nextbasket_dump::{Archive, Diff, Dump, Restore, Verify};
use nextbasket_dynamodb::config::{Patience, lambda_config};
use nextbasket_map_jobs::Map;
use nextbasket_shop_jobs::{Import, RebuildHistory, RefreshPopular};
use nextbasket_table_jobs::{TableJob, What};
use nextbasket_tables::{ConfigError, TableNames, Tables};
use nextbasket_training::job::Train;

pub use failure::Failure;

/// Whether jobs may read files of this machine and run its commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commands {
    /// For whoever is at this machine.
    Allowed,
    /// For what comes over HTTP, and in functions.
    Refused,
}

/// Why a function has no engine.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A variable is not set.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The system has no random numbers to give.
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
    let site = Site {
        dynamodb,
        operations: named("OPERATIONS_TABLE")?,
        objects: Objects::new(s3_from_env(patience), named("JOBS_BUCKET")?),
        clock: Clock::system(),
        random,
    };
    let lambda = aws_sdk_lambda::Client::new(&lambda_config("AWS_ENDPOINT_URL_LAMBDA", patience));
    Ok(Engine::new(site, kinds_with_functions(&tables, Commands::Refused, lambda)))
}

/// S3 as a function reaches it. An endpoint that is given is addressed by path: it has no name for each bucket.
fn s3_from_env(patience: Patience) -> aws_sdk_s3::Client {
    const ENDPOINT: &str = "AWS_ENDPOINT_URL_S3";
    let given = env::var(ENDPOINT).is_ok_and(|url| !url.is_empty());
    let config = lambda_config(ENDPOINT, patience);
    aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(&config).force_path_style(given).build())
}

/// Every kind of job, over these tables.
#[must_use]
pub fn kinds(tables: &Tables, commands: Commands) -> Kinds {
    let import = Import::new(tables.clone());
    let kinds = match commands {
        Commands::Allowed => Kinds::default()
            .with(import.with_local_files())
            .with(Dump::new().with_local_files())
            .with(Restore::new().with_local_files())
            .with(Verify::new().with_local_files())
            .with(Diff::new().with_local_files())
            .with(Archive::new().with_local_files())
            .with(TableJob::new(What::Copy).with_endpoints()),
        Commands::Refused => Kinds::default()
            .with(import)
            .with(Dump::new())
            .with(Restore::new())
            .with(Verify::new())
            .with(Diff::new())
            .with(Archive::new())
            .with(TableJob::new(What::Copy)),
    };
    kinds
        .with(Train::new(tables.clone()))
        .with(RebuildHistory::new(tables.clone()))
        .with(RefreshPopular::new(tables.clone()))
        .with(map(commands))
        .with(TableJob::new(What::Count))
        .with(TableJob::new(What::Update))
        .with(TableJob::new(What::Delete))
        .with(TableJob::new(What::Fill))
}

/// As [`kinds`], with Lambda functions that a `map` may call through this client.
#[must_use]
pub fn kinds_with_functions(tables: &Tables, commands: Commands, lambda: aws_sdk_lambda::Client) -> Kinds {
    kinds(tables, commands).with(map(commands).with_functions(lambda))
}

fn map(commands: Commands) -> Map {
    match commands {
        Commands::Allowed => Map::new().with_commands(),
        Commands::Refused => Map::new(),
    }
}
