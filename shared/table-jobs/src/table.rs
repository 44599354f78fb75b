//! What DynamoDB says of a table.

use aws_sdk_dynamodb::Client;
use nextbasket_dynamodb::TableError;

use crate::key::KeySchema;

/// What DynamoDB says of a table. Items and bytes are as it last counted them, about every six hours.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// What its keys are made of.
    pub keys: KeySchema,
    /// How many items it has.
    pub items: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// How many global indexes are written with it.
    pub indexes: usize,
}

impl Table {
    /// Asks DynamoDB.
    ///
    /// # Errors
    /// [`TableError`] if there is no such table, or DynamoDB does not answer.
    pub async fn describe(client: &Client, name: &str) -> Result<Self, TableError> {
        let asked = client.describe_table().table_name(name).send().await;
        let described = asked.map_err(|error| TableError::from_sdk(name, error))?.table;
        let unknown = || TableError::Unavailable {
            table: name.to_owned(),
            reason: "it says nothing of its keys".to_owned(),
        };
        let table = described.ok_or_else(unknown)?;
        let count = |count: Option<i64>| u64::try_from(count.unwrap_or(0)).unwrap_or(0);
        Ok(Self {
            name: name.to_owned(),
            keys: KeySchema::read(table.key_schema(), table.attribute_definitions()).ok_or_else(unknown)?,
            items: count(table.item_count()),
            bytes: count(table.table_size_bytes()),
            indexes: table.global_secondary_indexes().len(),
        })
    }
}
