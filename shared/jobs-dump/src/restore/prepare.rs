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

use crate::format::{Format, SourceFormat};
use crate::manifest::TableSettings;
use crate::restore::parameters::RestoreTask;
use crate::restore::schema;
use crate::source::locate;
use crate::source::place::Located;

/// How often a table that is being made is looked at.
const LOOK: Duration = Duration::from_millis(500);
const NAMED_PROBLEMS: usize = 5;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Prepared {
    pub located: Located,
    /// What the result says of it, one sentence each.
    pub notes: Vec<String>,
    pub keys: KeySchema,
    pub created: bool,
}

/// That the table was not there before: an attempt that resumes finds it.
#[derive(Debug, Serialize, Deserialize)]
struct Checkpoint {
    created: bool,
}

pub(crate) async fn work(work: &mut Work, files: &Files, task: &RestoreTask) -> Result<Outcome, WorkError> {
    let mut located = locate(files, &task.from, Some(&task.table), task.format).await?;
    check(&located, task)?;
    // A key that was given stands for all that the source says of its table.
    if let Some(keys) = task.keys().map_err(|refusal| WorkError::Systemic(refusal.to_string()))? {
        let settings = schema::table(&keys);
        located.sources.iter_mut().for_each(|source| source.settings = Some(settings.clone()));
    }
    let settings = located.sources.iter().rev().find_map(|source| source.settings.as_ref());
    let client = work.site().dynamodb.clone();
    let mut created = work.checkpoint::<Checkpoint>()?.is_some_and(|checkpoint| checkpoint.created);
    if task.create && !created {
        if exists(&client, &task.table).await? {
            let problem = "already exists, so it cannot be created. Restore without create to write into it, or give \
                           another name.";
            return Err(WorkError::Systemic(format!("table \"{}\" {problem}", task.table)));
        }
        if settings.is_none() {
            let problem = "does not describe the table. Give its key, as keys (--keys), such as pk:S,sk:N, or create \
                           the table first.";
            return Err(WorkError::Systemic(format!("{}: {problem}", task.from)));
        }
        created = true;
        work.save(&Checkpoint { created }).await?;
    }
    // Also if an attempt ended before the call that makes it.
    if let Some(settings) = settings.filter(|_| created)
        && !exists(&client, &task.table).await?
    {
        create(&client, settings, &task.table).await?;
    }
    let table = Table::of_job(&client, &task.table).await?;
    for settings in located.sources.iter().filter_map(|source| source.settings.as_ref()) {
        check_keys(task, &table, settings)?;
    }
    check_change(task, &located, &table)?;
    while !is_active(&client, &task.table).await? {
        if work.must_stop() {
            return Ok(Outcome::Stopped);
        }
        tokio::time::sleep(LOOK).await;
    }
    let incomplete = located
        .sources
        .iter()
        .filter_map(|source| source.incomplete().map(|problem| format!("{}: {problem}", source.at)));
    let notes = incomplete.chain(located.notes.iter().cloned()).collect();
    Outcome::done(&Prepared { located, notes, keys: table.keys, created })
}

/// Refuses what cannot be restored as it is asked for.
fn check(located: &Located, task: &RestoreTask) -> Result<(), WorkError> {
    let failed = |problem: String| Err(WorkError::Failed(problem));
    let problems: Vec<&String> = located.problems().collect();
    if !problems.is_empty() {
        let named: Vec<&str> = problems.iter().take(NAMED_PROBLEMS).map(|problem| problem.as_str()).collect();
        let more = problems.len().saturating_sub(NAMED_PROBLEMS);
        let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
        let at = match located.folders().as_slice() {
            [only] => (*only).clone(),
            _ => task.from.clone(),
        };
        return failed(format!("{at}: {}{rest}", named.join("; ")));
    }
    for source in &located.sources {
        if source.is_schema() && !task.schema_only {
            let problem = "the dump has only the table's settings: restore it with create and schemaOnly";
            return failed(format!("{}: {problem}", source.at));
        }
        if source.incremental && source.format != SourceFormat::from(Format::DynamodbJson) {
            return failed(format!("{}: changes must be in the format DYNAMODB_JSON", source.at));
        }
    }
    let problem = if located.is_incremental() && task.on_conflict != OnConflict::Overwrite {
        "onConflict must be overwrite for changes: they are in the order in which they were made"
    } else if located.is_incremental() && task.r#where.is_some() {
        "where is not accepted for an incremental export: of an item that was deleted it has only the key"
    } else if !task.types.is_empty()
        && located.sources.iter().any(|source| source.format != SourceFormat::Csv)
    {
        "types are accepted for CSV only: the other formats have types of their own"
    } else {
        return Ok(());
    };
    Err(WorkError::Systemic(format!("{}: {problem}", task.from)))
}

/// Whether the items get other keys.
fn changes_key(task: &RestoreTask, table: &Table) -> bool {
    task.set.as_ref().is_some_and(|change| Transform::changes_key(change, &table.keys))
}

fn check_change(task: &RestoreTask, located: &Located, table: &Table) -> Result<(), WorkError> {
    if located.is_incremental() && changes_key(task, table) {
        let problem = "set must not change the key of an incremental export: of an item that was deleted it has only the key";
        return Err(WorkError::Systemic(format!("{}: {problem}", task.from)));
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
