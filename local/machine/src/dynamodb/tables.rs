//! Makes the template's tables and global indexes where they are missing, and refuses tables of another shape.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::DisplayErrorContext;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, CreateGlobalSecondaryIndexAction, GlobalSecondaryIndex,
    GlobalSecondaryIndexUpdate, KeySchemaElement, Projection, StreamSpecification, StreamViewType,
    TableDescription, TimeToLiveSpecification,
};

use crate::template::TableTemplate;

/// The part of a table that its creation adds last.
const STREAM: &str = "stream";

/// Why the tables are not as the template says.
#[derive(Debug, thiserror::Error)]
pub enum TableSetupError {
    /// A table is there with other keys, indexes or stream.
    #[error(
        "table {table} has another {part} than in the template, from another version: use a new data folder, or dump \
         the table with the version that created it"
    )]
    OtherShape {
        table: String,
        /// What differs: `key`, `indexes` or `stream`.
        part: &'static str,
    },
    #[error("table {table} cannot be created: {reason}")]
    Refused { table: String, reason: String },
}

/// Makes every table that is not there, with its indexes, stream, expiry and protection, and every global index that a
/// table of a version before does not have, as an update of the stack does on AWS. Doing it again changes nothing.
///
/// # Errors
/// [`TableSetupError::OtherShape`] for a table that differs from the template, [`TableSetupError::Refused`] for the rest.
pub async fn create_tables(client: &Client, tables: &[TableTemplate]) -> Result<(), TableSetupError> {
    for table in tables {
        match client.describe_table().table_name(&table.name).send().await {
            Ok(found) => {
                let description = found.table().ok_or_else(|| refused(table, "no description"))?;
                match difference(table, description) {
                    None => {}
                    // Its creation was interrupted before the stream was enabled.
                    Some(STREAM)
                        if description.stream_specification().is_none()
                            && is_empty(client, table).await? =>
                    {
                        enable_stream(client, table).await?;
                    }
                    Some(_)
                        if difference(&without_new_indexes(table, description), description).is_none() =>
                    {
                        add_indexes(client, table, description).await?;
                    }
                    Some(part) => {
                        return Err(TableSetupError::OtherShape { table: table.name.clone(), part });
                    }
                }
            }
            Err(e) if e.as_service_error().is_some_and(|e| e.is_resource_not_found_exception()) => {
                create(client, table).await?;
            }
            Err(e) => return Err(refused(table, DisplayErrorContext(&e))),
        }
        expire(client, table).await?;
    }
    Ok(())
}

async fn create(client: &Client, table: &TableTemplate) -> Result<(), TableSetupError> {
    let some = |indexes: usize| (indexes > 0).then_some(());
    client
        .create_table()
        .table_name(&table.name)
        .set_key_schema(Some(table.key_schema.clone()))
        .set_attribute_definitions(Some(table.attribute_definitions.clone()))
        .set_global_secondary_indexes(some(table.global_indexes.len()).map(|()| table.global_indexes.clone()))
        .set_local_secondary_indexes(some(table.local_indexes.len()).map(|()| table.local_indexes.clone()))
        .set_stream_specification(stream(table)?)
        .deletion_protection_enabled(table.deletion_protection)
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .map_err(|e| refused(table, DisplayErrorContext(&e)))?;
    Ok(())
}

fn stream(table: &TableTemplate) -> Result<Option<StreamSpecification>, TableSetupError> {
    let enabled = |view: &StreamViewType| {
        StreamSpecification::builder().stream_enabled(true).stream_view_type(view.clone()).build()
    };
    table.stream.as_ref().map(enabled).transpose().map_err(|e| refused(table, e))
}

async fn enable_stream(client: &Client, table: &TableTemplate) -> Result<(), TableSetupError> {
    let update = client.update_table().table_name(&table.name).set_stream_specification(stream(table)?);
    update.send().await.map_err(|e| refused(table, DisplayErrorContext(&e)))?;
    Ok(())
}

fn has_index(found: &TableDescription, index: &GlobalSecondaryIndex) -> bool {
    found.global_secondary_indexes().iter().any(|found| found.index_name() == Some(index.index_name()))
}

/// The table without the global indexes that the found one does not have, and without the attributes of their keys.
fn without_new_indexes(table: &TableTemplate, found: &TableDescription) -> TableTemplate {
    let mut before = table.clone();
    before.global_indexes.retain(|index| has_index(found, index));
    let global = before.global_indexes.iter().flat_map(|index| index.key_schema());
    let local = before.local_indexes.iter().flat_map(|index| index.key_schema());
    let keys: BTreeSet<String> = before
        .key_schema
        .iter()
        .chain(global)
        .chain(local)
        .map(|element| element.attribute_name().to_owned())
        .collect();
    before.attribute_definitions.retain(|definition| keys.contains(definition.attribute_name()));
    before
}

async fn add_indexes(
    client: &Client,
    table: &TableTemplate,
    found: &TableDescription,
) -> Result<(), TableSetupError> {
    for index in table.global_indexes.iter().filter(|index| !has_index(found, index)) {
        let create = CreateGlobalSecondaryIndexAction::builder()
            .index_name(index.index_name())
            .set_key_schema(Some(index.key_schema().to_vec()))
            .set_projection(index.projection().cloned())
            .build()
            .map_err(|e| refused(table, e))?;
        client
            .update_table()
            .table_name(&table.name)
            .set_attribute_definitions(Some(table.attribute_definitions.clone()))
            .global_secondary_index_updates(GlobalSecondaryIndexUpdate::builder().create(create).build())
            .send()
            .await
            .map_err(|e| refused(table, DisplayErrorContext(&e)))?;
    }
    Ok(())
}

async fn is_empty(client: &Client, table: &TableTemplate) -> Result<bool, TableSetupError> {
    let scan = client.scan().table_name(&table.name).limit(1).send().await;
    Ok(scan.map_err(|e| refused(table, DisplayErrorContext(&e)))?.count() == 0)
}

/// Of its own, after every start: a start that was killed between the two steps is made good.
async fn expire(client: &Client, table: &TableTemplate) -> Result<(), TableSetupError> {
    let Some(attribute) = &table.time_to_live else { return Ok(()) };
    let found = client
        .describe_time_to_live()
        .table_name(&table.name)
        .send()
        .await
        .map_err(|e| refused(table, DisplayErrorContext(&e)))?;
    if found.time_to_live_description().and_then(|d| d.attribute_name()) == Some(attribute.as_str()) {
        return Ok(());
    }
    let specification = TimeToLiveSpecification::builder()
        .enabled(true)
        .attribute_name(attribute)
        .build()
        .map_err(|e| refused(table, e))?;
    client
        .update_time_to_live()
        .table_name(&table.name)
        .time_to_live_specification(specification)
        .send()
        .await
        .map_err(|e| refused(table, DisplayErrorContext(&e)))?;
    Ok(())
}

fn difference(table: &TableTemplate, found: &TableDescription) -> Option<&'static str> {
    let definitions = |all: &[AttributeDefinition]| -> BTreeSet<(String, String)> {
        all.iter().map(|d| (d.attribute_name().to_owned(), d.attribute_type().as_str().to_owned())).collect()
    };
    if table.key_schema != found.key_schema()
        || definitions(&table.attribute_definitions) != definitions(found.attribute_definitions())
    {
        return Some("key");
    }
    let described = |name: &str, keys: &[KeySchemaElement], projection: Option<&Projection>| {
        format!("{name} {keys:?} {projection:?}")
    };
    let global =
        table.global_indexes.iter().map(|i| described(i.index_name(), i.key_schema(), i.projection()));
    let local = table.local_indexes.iter().map(|i| described(i.index_name(), i.key_schema(), i.projection()));
    let wanted: BTreeSet<String> = global.chain(local).collect();
    let global = found.global_secondary_indexes().iter();
    let global = global.map(|i| described(i.index_name().unwrap_or(""), i.key_schema(), i.projection()));
    let local = found.local_secondary_indexes().iter();
    let local = local.map(|i| described(i.index_name().unwrap_or(""), i.key_schema(), i.projection()));
    if wanted != global.chain(local).collect() {
        return Some("set of indexes");
    }
    let stream =
        found.stream_specification().filter(|s| s.stream_enabled()).and_then(|s| s.stream_view_type());
    (table.stream.as_ref() != stream).then_some(STREAM)
}

fn refused(table: &TableTemplate, reason: impl std::fmt::Display) -> TableSetupError {
    TableSetupError::Refused { table: table.name.clone(), reason: reason.to_string() }
}
