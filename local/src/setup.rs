//! What jobs, locks and uploads need at AWS or at other endpoints: the operations table and the bucket of jobs, as the
//! stack's template makes them.

use aws_sdk_dynamodb::client::Waiters as _;
use aws_sdk_dynamodb::error::{BuildError, DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, PointInTimeRecoverySpecification,
    PointInTimeRecoveryStatus, ScalarAttributeType, SseSpecification, TableDescription,
    TimeToLiveSpecification, TimeToLiveStatus,
};
use nextbasket_sdk_errors::sentence;
use serde::Serialize;

use crate::Failure;

mod bucket;

pub(crate) use bucket::JobsBucket;

/// How long a table may take to become active.
const MAX_CREATION: std::time::Duration = std::time::Duration::from_secs(300);

const KEYS: [(&str, KeyType); 2] = [("pk", KeyType::Hash), ("sk", KeyType::Range)];

const EXPIRY: &str = "expireAt";

/// What was done about a table or a bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct MadeResource {
    pub name: String,
    /// Whether it did not exist before.
    pub created: bool,
    /// What was set, such as `expiry by expireAt`.
    pub set: Vec<String>,
    /// What the endpoint does not have, or has already otherwise.
    pub notes: Vec<String>,
    /// What was refused: the resource can be used, but is less than what the template makes.
    pub problems: Vec<String>,
}

impl MadeResource {
    /// Remembers the outcome of one setting.
    fn settled<T, E>(&mut self, what: &str, result: Result<T, SdkError<E>>)
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        match result {
            Ok(_) => self.set.push(what.to_owned()),
            Err(error) if is_unsupported(&error) => {
                self.notes.push(format!("{what}: not supported by this endpoint"));
            }
            Err(error) => self.problems.push(format!("{what} could not be set: {}", sentence(&error))),
        }
    }
}

/// Whether the endpoint does not have this operation, as emulators of AWS may not.
fn is_unsupported<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    let code = error.code().unwrap_or_default();
    let status = error.raw_response().map(|response| response.status().as_u16());
    matches!(code, "NotImplemented" | "UnknownOperationException" | "UnknownOperation" | "MethodNotAllowed")
        || status == Some(501)
}

/// The operations table: what the engine, the locks and the uploads write to.
pub(crate) struct OperationsTable<'a> {
    pub client: &'a aws_sdk_dynamodb::Client,
    pub name: &'a str,
}

impl OperationsTable<'_> {
    /// Creates the table unless it exists, and sets what is not set: expiry and point-in-time recovery.
    ///
    /// # Errors
    /// [`Failure`] if it cannot be created, or has other keys.
    pub(crate) async fn make(&self) -> Result<MadeResource, Failure> {
        let mut made = MadeResource { name: self.name.to_owned(), ..MadeResource::default() };
        match self.described().await? {
            Some(table) => self.check_keys(&table)?,
            None => {
                self.create().await?;
                made.created = true;
            }
        }
        self.expire(&mut made).await?;
        self.recover(&mut made).await?;
        Ok(made)
    }

    /// Creates the table unless it exists, and nothing more: for one on this machine, whose jobs are few.
    pub(crate) async fn make_plain(&self) -> Result<(), Failure> {
        match self.described().await? {
            Some(_) => Ok(()),
            None => self.create().await,
        }
    }

    async fn described(&self) -> Result<Option<TableDescription>, Failure> {
        match self.client.describe_table().table_name(self.name).send().await {
            Ok(described) => Ok(described.table),
            Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(self.failure("described", &error)),
        }
    }

    fn check_keys(&self, table: &TableDescription) -> Result<(), Failure> {
        let keys: Vec<(&str, KeyType)> =
            table.key_schema().iter().map(|key| (key.attribute_name(), key.key_type().clone())).collect();
        let text = |name: &str| {
            let kind = ScalarAttributeType::S;
            table
                .attribute_definitions()
                .iter()
                .any(|attribute| attribute.attribute_name() == name && *attribute.attribute_type() == kind)
        };
        if keys == KEYS && text("pk") && text("sk") {
            return Ok(());
        }
        Err(Failure::Other(format!(
            "table \"{}\" exists and is no operations table: its key must be the texts pk and sk. Give another name with \
             --operations",
            self.name
        )))
    }

    async fn create(&self) -> Result<(), Failure> {
        let mut create =
            self.client.create_table().table_name(self.name).billing_mode(BillingMode::PayPerRequest);
        for (name, kind) in KEYS {
            let key = KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
            let attribute = AttributeDefinition::builder()
                .attribute_name(name)
                .attribute_type(ScalarAttributeType::S)
                .build();
            create = create.key_schema(key.map_err(built)?).attribute_definitions(attribute.map_err(built)?);
        }
        let encrypted = SseSpecification::builder().enabled(true).build();
        match create.sse_specification(encrypted).send().await {
            Ok(_) => {}
            // Somebody else is creating it.
            Err(error) if error.code() == Some("ResourceInUseException") => {}
            Err(error) => return Err(self.failure("created", &error)),
        }
        let exists = self.client.wait_until_table_exists().table_name(self.name).wait(MAX_CREATION).await;
        exists.map(drop).map_err(|error| {
            let error = DisplayErrorContext(&error);
            Failure::other(format!("table \"{}\" has not become active: {error}", self.name))
        })
    }

    async fn expire(&self, made: &mut MadeResource) -> Result<(), Failure> {
        const WHAT: &str = "expiry by expireAt";
        let described = self.client.describe_time_to_live().table_name(self.name).send().await;
        let described = described.ok().and_then(|described| described.time_to_live_description);
        let status = described.as_ref().and_then(|described| described.time_to_live_status.clone());
        if matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)) {
            let attribute = described.and_then(|described| described.attribute_name).unwrap_or_default();
            if attribute != EXPIRY {
                made.problems.push(format!("{WHAT}: the table's items expire by {attribute} already"));
            }
            return Ok(());
        }
        let expiry = TimeToLiveSpecification::builder().attribute_name(EXPIRY).enabled(true);
        let expiry = expiry.build().map_err(built)?;
        let set = self.client.update_time_to_live().table_name(self.name).time_to_live_specification(expiry);
        made.settled(WHAT, set.send().await);
        Ok(())
    }

    async fn recover(&self, made: &mut MadeResource) -> Result<(), Failure> {
        let described = self.client.describe_continuous_backups().table_name(self.name).send().await;
        let status = described
            .ok()
            .and_then(|described| described.continuous_backups_description)
            .and_then(|described| described.point_in_time_recovery_description)
            .and_then(|described| described.point_in_time_recovery_status);
        if status == Some(PointInTimeRecoveryStatus::Enabled) {
            return Ok(());
        }
        let on = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true);
        let on = on.build().map_err(built)?;
        let set = self.client.update_continuous_backups().table_name(self.name);
        made.settled("point-in-time recovery", set.point_in_time_recovery_specification(on).send().await);
        Ok(())
    }

    fn failure<E>(&self, done: &str, error: &SdkError<E>) -> Failure
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        Failure::other(format!("table \"{}\" cannot be {done}: {}", self.name, sentence(error)))
    }
}

fn built(error: BuildError) -> Failure {
    Failure::other(error)
}
