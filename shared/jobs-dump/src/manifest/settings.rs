//! `nextbasket-table.json`: how to make the table again.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types as sdk;
use nextbasket_domain::Timestamp;
use nextbasket_dynamodb::TableError;
use serde::{Deserialize, Serialize};

use crate::manifest::create_table::CreateTable;
use crate::manifest::identity::TableIdentity;
use crate::manifest::not_recreated;

/// `nextbasket-table.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableSettings {
    /// The version of this form: 1.
    pub version: u32,
    pub table_arn: Option<String>,
    pub table_id: Option<String>,
    /// When the table was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// What makes it, as `aws dynamodb create-table --cli-input-json` takes it.
    pub create_table: CreateTable,
    /// The attribute of time to live, if that is on.
    pub time_to_live: Option<String>,
    /// Whether point-in-time recovery is on; `None` if that could not be read.
    pub point_in_time_recovery: Option<bool>,
    pub tags: Vec<Tag>,
    /// What the table has and a restore does not make again, such as `replicas in eu-west-1`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_recreated: Vec<String>,
    /// Which of these could not be read, and why, one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Tag {
    pub key: String,
    pub value: String,
}

impl Tag {
    /// All tags of a table.
    ///
    /// # Errors
    /// [`TableError`] if they may not be read, or DynamoDB does not answer.
    pub(crate) async fn all(client: &Client, table: &str, arn: &str) -> Result<Vec<Self>, TableError> {
        let (mut tags, mut next) = (Vec::new(), None);
        loop {
            let page = client.list_tags_of_resource().resource_arn(arn).set_next_token(next).send().await;
            let page = page.map_err(|error| TableError::from_sdk(table, error))?;
            let found = page.tags.unwrap_or_default().into_iter();
            tags.extend(found.map(|tag| Self { key: tag.key, value: tag.value }));
            next = page.next_token;
            if next.is_none() {
                return Ok(tags);
            }
        }
    }
}

impl TableSettings {
    /// Reads them. What may not be read (time to live, recovery, tags) is left out, and noted.
    ///
    /// # Errors
    /// [`TableError`] if there is no such table, or DynamoDB does not answer.
    pub async fn read(client: &Client, table: &str) -> Result<Self, TableError> {
        let described = client.describe_table().table_name(table).send().await;
        let described = described.map_err(|error| TableError::from_sdk(table, error))?.table;
        let nothing =
            || TableError::Unavailable { table: table.to_owned(), reason: "it is not described".to_owned() };
        let described = described.ok_or_else(nothing)?;
        let mut unread = Vec::new();
        use sdk::TimeToLiveStatus::{Enabled, Enabling};
        let ttl = client.describe_time_to_live().table_name(table).send().await;
        let ttl = optional(table, "time to live", ttl, &mut unread)?
            .and_then(|ttl| ttl.time_to_live_description)
            .filter(|ttl| matches!(ttl.time_to_live_status, Some(Enabled | Enabling)))
            .and_then(|ttl| ttl.attribute_name);
        let recovery = client.describe_continuous_backups().table_name(table).send().await;
        let recovery = optional(table, "point-in-time recovery", recovery, &mut unread)?
            .and_then(|backups| backups.continuous_backups_description)
            .and_then(|backups| backups.point_in_time_recovery_description);
        let recovers = recovery
            .as_ref()
            .and_then(|recovery| recovery.point_in_time_recovery_status.as_ref())
            .map(|status| *status == sdk::PointInTimeRecoveryStatus::Enabled);
        let tags = match &described.table_arn {
            Some(arn) => optional_of("tags", Tag::all(client, table, arn).await, &mut unread)?,
            None => None,
        };
        let mut not_recreated = not_recreated::read(client, table, &described, &mut unread).await?;
        not_recreated.extend(
            recovery.filter(|_| recovers == Some(true)).as_ref().and_then(not_recreated::recovery_period),
        );
        Ok(Self {
            version: 1,
            table_arn: described.table_arn.clone(),
            table_id: described.table_id.clone(),
            created_at: described.creation_date_time.as_ref().and_then(timestamp),
            create_table: CreateTable::of(table, &described),
            time_to_live: ttl,
            point_in_time_recovery: recovers,
            tags: tags.unwrap_or_default(),
            not_recreated,
            unread,
        })
    }

    /// Which table they are of.
    pub fn identity(&self) -> TableIdentity {
        TableIdentity { arn: self.table_arn.clone(), id: self.table_id.clone(), created_at: self.created_at }
    }
}

fn timestamp(time: &aws_sdk_dynamodb::primitives::DateTime) -> Option<Timestamp> {
    Timestamp::from_millis(time.to_millis().ok()?).ok()
}

/// What the call gives; nothing, and a note, if it is refused, as by a role that may not make it.
pub(super) fn optional<T, E>(
    table: &str,
    what: &str,
    result: Result<T, SdkError<E>>,
    unread: &mut Vec<String>,
) -> Result<Option<T>, TableError>
where
    E: aws_sdk_dynamodb::error::ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    optional_of(what, result.map_err(|error| TableError::from_sdk(table, error)), unread)
}

fn optional_of<T>(
    what: &str,
    result: Result<T, TableError>,
    unread: &mut Vec<String>,
) -> Result<Option<T>, TableError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_transient() => Err(error),
        // What an endpoint does not know at all, no table there has.
        Err(TableError::Refused { reason, .. })
            if reason.starts_with("UnknownOperation") || reason.starts_with("PolicyNotFound") =>
        {
            Ok(None)
        }
        Err(error) => {
            unread.push(format!("{what} could not be read: {error}"));
            Ok(None)
        }
    }
}
