//! The stage `prepare`: the files are found, and the table is there.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::TableStatus;
use nextbasket_dynamodb::TableError;
use nextbasket_items::key::KeySchema;
use nextbasket_items::table::Table;
use nextbasket_items::transform::Transform;
use nextbasket_items::write::OnConflict;
use nextbasket_job_engine::{Outcome, Work, WorkError};
use nextbasket_objects::Files;
use serde::{Deserialize, Serialize};

use crate::format::SourceFormat;
use crate::manifest::TableSettings;
use crate::restore::parameters::RestoreTask;
use crate::restore::schema;
use crate::source::{Source, locate};

/// How often a table that is being made is looked at.
const LOOK: Duration = Duration::from_millis(500);
const NAMED_PROBLEMS: usize = 5;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Prepared {
    pub source: Source,
    pub keys: KeySchema,
    pub created: bool,
}

/// That the table was not there before: an attempt that resumes finds it.
#[derive(Debug, Serialize, Deserialize)]
struct Checkpoint {
    created: bool,
}

pub(crate) async fn work(work: &mut Work, files: &Files, task: &RestoreTask) -> Result<Outcome, WorkError> {
    let located = locate(files, &task.from, Some(&task.table), task.format).await;
    let mut source = located?;
    let problems = &source.problems;
    if !problems.is_empty() {
        let named: Vec<&str> = problems.iter().take(NAMED_PROBLEMS).map(String::as_str).collect();
        let more = problems.len().saturating_sub(NAMED_PROBLEMS);
        let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
        return Err(WorkError::Failed(format!("{}: {}{rest}", source.at, named.join("; "))));
    }
    check(task, &source)?;
    // A key that was given stands for all that the source says of its table.
    if let Some(keys) = task.keys().map_err(|refusal| WorkError::Systemic(refusal.to_string()))? {
        source.settings = Some(schema::table(&keys));
    }
    let client = work.site().dynamodb.clone();
    let mut created = work.checkpoint::<Checkpoint>()?.is_some_and(|checkpoint| checkpoint.created);
    if task.create && !exists(&client, &task.table).await? {
        let Some(settings) = &source.settings else {
            let problem = "does not describe the table. Give its key, as keys (--keys), such as pk:S,sk:N, or create \
                           the table first.";
            return Err(WorkError::Systemic(format!("{}: {problem}", source.at)));
        };
        created = true;
        work.save(&Checkpoint { created }).await?;
        create(&client, settings, &task.table).await?;
    }
    let table = Table::of_job(&client, &task.table).await?;
    if let Some(settings) = &source.settings {
        check_keys(task, &table, settings)?;
    }
    check_change(task, &source, &table)?;
    while !is_active(&client, &task.table).await? {
        if work.must_stop() {
            return Ok(Outcome::Stopped);
        }
        tokio::time::sleep(LOOK).await;
    }
    Outcome::done(&Prepared { source, keys: table.keys, created })
}

/// Refuses what does not go with the source.
fn check(task: &RestoreTask, source: &Source) -> Result<(), WorkError> {
    let problem = if source.incremental && task.on_conflict != OnConflict::Overwrite {
        "onConflict must be overwrite for changes: they are in the order in which they were made"
    } else if source.incremental && task.r#where.is_some() {
        "where is not accepted for an incremental export: of an item that was deleted it has only the key"
    } else if source.format != SourceFormat::Csv && !task.types.is_empty() {
        "types are accepted for CSV only: the other formats have types of their own"
    } else {
        return Ok(());
    };
    Err(WorkError::Systemic(format!("{}: {problem}", source.at)))
}

/// Whether the items get other keys.
fn changes_key(task: &RestoreTask, table: &Table) -> bool {
    task.set.as_ref().is_some_and(|change| Transform::changes_key(change, &table.keys))
}

fn check_change(task: &RestoreTask, source: &Source, table: &Table) -> Result<(), WorkError> {
    if source.incremental && changes_key(task, table) {
        let problem = "set must not change the key of an incremental export: of an item that was deleted it has only the key";
        return Err(WorkError::Systemic(format!("{}: {problem}", source.at)));
    }
    Ok(())
}

async fn exists(client: &Client, table: &str) -> Result<bool, WorkError> {
    match Table::describe(client, table).await {
        Ok(_) => Ok(true),
        Err(TableError::Refused { reason, .. }) if reason.starts_with("ResourceNotFoundException") => {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

async fn create(client: &Client, settings: &TableSettings, table: &str) -> Result<(), WorkError> {
    let request = settings.create_table.request(client, table)?;
    match request.send().await {
        Ok(_) => Ok(()),
        // Made by an attempt whose answer was lost.
        Err(error) if error.code() == Some("ResourceInUseException") => Ok(()),
        Err(error) => Err(TableError::from_sdk(table, error).into()),
    }
}

async fn is_active(client: &Client, table: &str) -> Result<bool, WorkError> {
    let described = client.describe_table().table_name(table).send().await;
    let described = described.map_err(|error| TableError::from_sdk(table, error))?.table;
    let status = described.and_then(|table| table.table_status);
    Ok(matches!(status, None | Some(TableStatus::Active | TableStatus::Updating)))
}

/// Refuses a table whose keys are not those that were given, or those of the source, unless the items get others.
fn check_keys(task: &RestoreTask, table: &Table, settings: &TableSettings) -> Result<(), WorkError> {
    let given = task.keys().is_ok_and(|keys| keys.is_some());
    if !given && changes_key(task, table) {
        return Ok(());
    }
    let kind = |name: &str| {
        let attributes = &settings.create_table.attribute_definitions;
        attributes
            .iter()
            .find(|attribute| attribute.attribute_name == name)
            .map(|found| found.attribute_type.as_str())
    };
    let theirs: Vec<String> = settings
        .create_table
        .key_schema
        .iter()
        .map(|key| format!("{} ({})", key.attribute_name, kind(&key.attribute_name).unwrap_or("?")))
        .collect();
    let attributes = std::iter::once(&table.keys.partition).chain(&table.keys.sort);
    let ours: Vec<String> =
        attributes.map(|attribute| format!("{} ({:?})", attribute.name, attribute.kind)).collect();
    if ours == theirs {
        return Ok(());
    }
    Err(WorkError::Systemic(format!(
        "the keys of table {} are {}, those {} {}",
        table.name,
        ours.join(" and "),
        if given { "that were given" } else { "of the dump's" },
        theirs.join(" and ")
    )))
}
