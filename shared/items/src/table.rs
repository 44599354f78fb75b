//! Tables: where they are, and what DynamoDB says of them.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Credentials, Region};
use nextbasket_dynamodb::TableError;
use nextbasket_job_engine::{JobError, Refusal, Site, Trust};
use serde::{Deserialize, Serialize};

use crate::index::{IndexKind, TableIndex};
use crate::key::KeySchema;

/// A description of a table. DynamoDB updates the numbers of items and bytes about every six hours.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// The attributes of its keys.
    pub keys: KeySchema,
    /// The number of items.
    pub items: u64,
    /// The size of all items.
    pub bytes: u64,
    /// The local and global secondary indexes.
    pub indexes: Vec<TableIndex>,
}

impl Table {
    /// Describes the table.
    ///
    /// # Errors
    /// [`TableError`] if there is no such table, or DynamoDB does not answer.
    pub async fn describe(client: &Client, name: &str) -> Result<Self, TableError> {
        let asked = client.describe_table().table_name(name).send().await;
        let described = asked.map_err(|error| TableError::from_sdk(name, error))?.table;
        let unknown = || TableError::Unavailable {
            table: name.to_owned(),
            reason: "its description has no key schema".to_owned(),
        };
        let table = described.ok_or_else(unknown)?;
        let count = |count: Option<i64>| u64::try_from(count.unwrap_or(0)).unwrap_or(0);
        let attributes = table.attribute_definitions();
        let keys = KeySchema::read(table.key_schema(), attributes).ok_or_else(unknown)?;
        let local = table.local_secondary_indexes().iter();
        let local = local.filter_map(|index| TableIndex::of_local(index, &keys, attributes));
        let global = table.global_secondary_indexes().iter();
        let global = global.filter_map(|index| TableIndex::of_global(index, &keys, attributes));
        Ok(Self {
            name: name.to_owned(),
            items: count(table.item_count()),
            bytes: count(table.table_size_bytes()),
            indexes: local.chain(global).collect(),
            keys,
        })
    }

    /// Describes a table that a job names.
    ///
    /// # Errors
    /// [`JobError::Failed`] if there is no such table, others if DynamoDB does not answer.
    pub async fn of_job(client: &Client, name: &str) -> Result<Self, JobError> {
        Self::describe(client, name).await.map_err(|error| match &error {
            TableError::Refused { reason, .. } if reason.starts_with("ResourceNotFoundException") => {
                JobError::Failed(format!("table \"{name}\" not found"))
            }
            _ => error.into(),
        })
    }

    /// The index of this name.
    ///
    /// # Errors
    /// The problem, with the names of the indexes that there are.
    pub fn index(&self, name: &str) -> Result<&TableIndex, String> {
        self.indexes.iter().find(|index| index.name == name).ok_or_else(|| {
            let mut known: Vec<&str> = self.indexes.iter().map(|index| index.name.as_str()).collect();
            known.sort_unstable();
            let known = match known.as_slice() {
                [] => "has no indexes".to_owned(),
                known => format!("has {}", known.join(", ")),
            };
            format!("index \"{name}\" not found: table \"{}\" {known}", self.name)
        })
    }

    /// How many global indexes it has: each takes write units of its own.
    #[must_use]
    pub fn global_indexes(&self) -> usize {
        self.indexes.iter().filter(|index| index.kind == IndexKind::Global).count()
    }

    /// The mean size of its items, or 0.
    #[must_use]
    pub fn mean_bytes(&self) -> u64 {
        self.bytes.checked_div(self.items).unwrap_or(0)
    }
}

const FROM_THE_COMMAND_LINE: &str = "is for jobs that are submitted from the command line";

/// A table by its name, and its region and endpoint if they are not the site's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(title = "Table"))]
pub struct TableAddress {
    /// The table's name.
    #[cfg_attr(feature = "schema", schemars(extend("format" = "table-name")))]
    pub table: String,
    /// Its region, if it is not the site's.
    #[serde(default)]
    pub region: Option<String>,
    /// Its endpoint, if it is not the site's or that of the region.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The profile of the machine that has the credentials for it, if the site's are not.
    #[serde(default)]
    pub profile: Option<String>,
}

impl TableAddress {
    /// A table of the site.
    #[must_use]
    pub fn of_site(table: &str) -> Self {
        Self { table: table.to_owned(), region: None, endpoint: None, profile: None }
    }

    /// Whether the table is one of the site.
    #[must_use]
    pub fn is_of_site(&self) -> bool {
        self.region.is_none() && self.endpoint.is_none() && self.profile.is_none()
    }

    /// Rejects malformed parts, and endpoints and profiles unless they are trusted. The fields of the address are the
    /// parameters `{prefix}table`, `{prefix}region`, `{prefix}endpoint` and `{prefix}profile`.
    ///
    /// # Errors
    /// [`Refusal`] of the first field that is wrong.
    pub fn check(&self, prefix: &str, trust: Trust) -> Result<(), Refusal> {
        check_name(&format!("{prefix}table"), &self.table)?;
        let refused =
            |field: &str, problem: &str| Err(Refusal::parameter(&format!("{prefix}{field}"), problem));
        if let Some(endpoint) = &self.endpoint {
            if !endpoint.starts_with("https://") && !endpoint.starts_with("http://") {
                return refused(
                    "endpoint",
                    "must be a URL, such as https://dynamodb.eu-central-1.amazonaws.com",
                );
            }
            if trust == Trust::Open {
                return refused("endpoint", FROM_THE_COMMAND_LINE);
            }
        }
        if self.profile.is_some() && trust == Trust::Open {
            return refused("profile", FROM_THE_COMMAND_LINE);
        }
        if self.region.as_ref().is_some_and(String::is_empty) {
            return refused("region", "must name a region, such as eu-central-1");
        }
        Ok(())
    }

    /// A client of the region and the endpoint, with the credentials of the profile, or else the site's. Another
    /// endpoint may be a machine with an access key of its own: there the credentials of the environment's variables are
    /// used, if there are any.
    #[must_use]
    pub fn client(&self, site: &Site) -> Client {
        if self.is_of_site() {
            return site.dynamodb.clone();
        }
        let mut config = site.dynamodb.config().to_builder();
        if let Some(region) = &self.region {
            config = config.region(Region::new(region.clone()));
        }
        if let Some(endpoint) = &self.endpoint {
            config = config.endpoint_url(endpoint);
            if let Some(credentials) = credentials_of_environment() {
                config = config.credentials_provider(credentials);
            }
        }
        if let (Some(profile), Some(credentials)) = (&self.profile, site.profiles) {
            config = config.credentials_provider(credentials(profile));
        }
        Client::from_conf(config.build())
    }

    /// Describes the table: see [`Table::of_job`].
    pub async fn describe(&self, site: &Site) -> Result<Table, JobError> {
        Table::of_job(&self.client(site), &self.table).await
    }
}

fn credentials_of_environment() -> Option<Credentials> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (id, secret) = (variable("AWS_ACCESS_KEY_ID")?, variable("AWS_SECRET_ACCESS_KEY")?);
    Some(Credentials::new(id, secret, variable("AWS_SESSION_TOKEN"), None, "environment"))
}

/// Rejects an invalid name of a table.
pub fn check_name(field: &str, name: &str) -> Result<(), Refusal> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if (3..=255).contains(&name.len()) && name.chars().all(fits) {
        return Ok(());
    }
    let problem = "must be a table's name: 3 to 255 of the characters a-z, A-Z, 0-9, _, - and .";
    Err(Refusal::parameter(field, problem))
}
