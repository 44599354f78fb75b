//! Folders of the tool dynamodump: `schema.json`, which is what `DescribeTable` answered, and `data/0001.json` and so
//! on, each of which is what a `Scan` answered.

use nextbasket_job_engine::JobError;
use nextbasket_objects::{Files, Location};
use serde::Deserialize;

use crate::format::SourceFormat;
use crate::manifest::TableSettings;
use crate::manifest::create_table::{
    AttributeDefinition, CreateTable, KeyElement, SecondaryIndex, StreamSettings, Throughput,
};
use crate::plain_files::source;
use crate::source::Source;

const SCHEMA: &str = "schema.json";
const DATA: &str = "data";
/// In how many folders a schema is looked for.
const FOLDERS: usize = 100;
const ON_DEMAND: &str = "PAY_PER_REQUEST";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Schema {
    table: Description,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Description {
    table_name: String,
    table_arn: Option<String>,
    attribute_definitions: Vec<AttributeDefinition>,
    key_schema: Vec<KeyElement>,
    #[serde(default)]
    local_secondary_indexes: Vec<SecondaryIndex>,
    #[serde(default)]
    global_secondary_indexes: Vec<SecondaryIndex>,
    billing_mode_summary: Option<BillingMode>,
    provisioned_throughput: Option<Throughput>,
    stream_specification: Option<StreamSettings>,
    deletion_protection_enabled: Option<bool>,
    table_class_summary: Option<TableClass>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BillingMode {
    billing_mode: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TableClass {
    table_class: Option<String>,
}

/// Finds a table's folder of dynamodump at this location, or below it the one of `table` or the only one; `None` if it is
/// not found.
///
/// # Errors
/// [`JobError`] if its schema cannot be read, or there are several tables.
pub(crate) async fn locate(
    files: &Files,
    from: &Location,
    table: Option<&str>,
) -> Result<Option<Source>, JobError> {
    if let Some(source) = of_table(files, from).await? {
        return Ok(Some(source));
    }
    let mut found = Vec::new();
    for folder in files.folders(from).await?.into_iter().take(FOLDERS) {
        if files.find(&folder.join(SCHEMA)).await?.is_some() {
            found.push(folder);
        }
    }
    if let Some(meant) = found.iter().find(|folder| table == Some(folder.name().as_str())) {
        return of_table(files, meant).await;
    }
    match found.as_slice() {
        [] => Ok(None),
        [only] => of_table(files, only).await,
        _ => {
            let named: Vec<String> = found.iter().map(ToString::to_string).collect();
            let problem = format!(
                "{from}: contains dumps of several tables ({}). Give the folder of one of them.",
                named.join(", ")
            );
            Err(JobError::Failed(problem))
        }
    }
}

async fn of_table(files: &Files, folder: &Location) -> Result<Option<Source>, JobError> {
    let at = folder.join(SCHEMA);
    let Some(content) = files.read_if_found(&at).await? else { return Ok(None) };
    let schema: Schema = serde_json::from_slice(&content).map_err(|error| {
        let expected = "expected {\"Table\": {…}}, as DescribeTable answers it";
        JobError::Failed(format!("{at}: not a table's description: {error}; {expected}"))
    })?;
    let found = files.list(&folder.join(DATA)).await?;
    let source = Source { settings: Some(schema.table.into()), ..source(folder, SourceFormat::Scan, found) };
    Ok(Some(source))
}

impl From<Description> for TableSettings {
    fn from(table: Description) -> Self {
        let has_units = |throughput: &Throughput| {
            throughput.read_capacity_units > 0 && throughput.write_capacity_units > 0
        };
        let provisioned = table.provisioned_throughput.filter(has_units);
        let billing = table.billing_mode_summary.and_then(|summary| summary.billing_mode);
        let on_demand = billing.as_deref() == Some(ON_DEMAND) || provisioned.is_none();
        let index = |index: SecondaryIndex| SecondaryIndex {
            provisioned_throughput: index
                .provisioned_throughput
                .filter(|units| !on_demand && has_units(units)),
            ..index
        };
        Self {
            version: 1,
            table_arn: table.table_arn,
            table_id: None,
            created_at: None,
            create_table: CreateTable {
                table_name: table.table_name,
                attribute_definitions: table.attribute_definitions,
                key_schema: table.key_schema,
                local_secondary_indexes: table.local_secondary_indexes.into_iter().map(index).collect(),
                global_secondary_indexes: table.global_secondary_indexes.into_iter().map(index).collect(),
                billing_mode: if on_demand { ON_DEMAND } else { "PROVISIONED" }.to_owned(),
                provisioned_throughput: provisioned.filter(|_| !on_demand),
                on_demand_throughput: None,
                stream_specification: table.stream_specification.filter(|stream| stream.stream_enabled),
                deletion_protection_enabled: table.deletion_protection_enabled,
                table_class: table.table_class_summary.and_then(|summary| summary.table_class),
            },
            time_to_live: None,
            point_in_time_recovery: None,
            tags: Vec::new(),
            not_recreated: Vec::new(),
            unread: Vec::new(),
        }
    }
}
