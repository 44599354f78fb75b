//! Where a copy goes.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Credentials, Region};
use nextbasket_batch::{JobError, Site};
use nextbasket_dynamodb::TableError;

use crate::key::{KeyAttribute, KeySchema};
use crate::parameters::Target;
use crate::table::Table;

/// A client of the table's region and endpoint, with the credentials of ours; at another endpoint with those of the
/// environment's variables, if there are any: another machine has another access key.
#[must_use]
pub fn client(site: &Site, to: &Target) -> Client {
    if to.region.is_none() && to.endpoint.is_none() {
        return site.dynamodb.clone();
    }
    let mut config = site.dynamodb.config().to_builder();
    if let Some(region) = &to.region {
        config = config.region(Region::new(region.clone()));
    }
    if let Some(endpoint) = &to.endpoint {
        config = config.endpoint_url(endpoint);
        if let Some(credentials) = credentials_of_environment() {
            config = config.credentials_provider(credentials);
        }
    }
    Client::from_conf(config.build())
}

fn credentials_of_environment() -> Option<Credentials> {
    let named = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (id, secret) = (named("AWS_ACCESS_KEY_ID")?, named("AWS_SECRET_ACCESS_KEY")?);
    Some(Credentials::new(id, secret, named("AWS_SESSION_TOKEN"), None, "environment"))
}

/// The table, or an error that says in one sentence that there is none.
///
/// # Errors
/// [`JobError`] if there is no such table, or DynamoDB does not answer.
pub async fn described(client: &Client, name: &str) -> Result<Table, JobError> {
    Table::describe(client, name).await.map_err(|error| match &error {
        TableError::Refused { reason, .. } if reason.starts_with("ResourceNotFoundException") => {
            JobError::Failed(format!("there is no table {name}"))
        }
        _ => error.into(),
    })
}

/// Refuses a target whose keys are others.
pub(super) fn check_keys(from: &Table, to: &Table) -> Result<(), JobError> {
    if from.keys == to.keys {
        return Ok(());
    }
    let (here, there) = (in_words(&from.keys), in_words(&to.keys));
    Err(JobError::Failed(format!(
        "the keys of table {} are {there}, those of table {} are {here}: items cannot be copied",
        to.name, from.name
    )))
}

fn in_words(keys: &KeySchema) -> String {
    let attribute = |attribute: &KeyAttribute| format!("{} ({:?})", attribute.name, attribute.kind);
    match &keys.sort {
        Some(sort) => format!("{} and {}", attribute(&keys.partition), attribute(sort)),
        None => attribute(&keys.partition),
    }
}
