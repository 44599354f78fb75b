//! `GET tables`: which tables there are, and how each is made.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::{
    PointInTimeRecoveryStatus, Projection, ProjectionType, TableDescription as Described, TimeToLiveStatus,
};
use axum::extract::State;
use futures::StreamExt;
use nextbasket_dynamodb::TableError;
use nextbasket_http::ApiError;
use nextbasket_items::index::IndexKind;
use nextbasket_items::key::{KeyAttribute, KeyKind, KeySchema};
use serde::Serialize;

use super::problem;
use crate::Console;
use crate::answer::{Answer, Json, Problem};
use crate::parts::{ConsoleParts, TableScope};

/// How many tables beside the stack's own are shown.
const MAX_OTHERS: usize = 200;
/// How many tables are described at a time.
const AT_ONCE: usize = 8;

#[derive(Serialize)]
pub(super) struct Tables {
    items: Vec<TableDescription>,
    /// Tables that could not be described, and why.
    problems: Vec<TableProblem>,
}

#[derive(Serialize)]
struct TableProblem {
    name: String,
    problem: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TableDescription {
    name: String,
    of_stack: bool,
    /// Whether the page may change its items.
    editable: bool,
    status: String,
    /// As DynamoDB counted some hours ago, as the bytes.
    item_count: u64,
    bytes: u64,
    key: Vec<KeyPart>,
    indexes: Vec<IndexDescription>,
    billing: String,
    /// Which images its stream has.
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<String>,
    /// The attribute with the time of expiry.
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    point_in_time_recovery: Option<bool>,
}

#[derive(Serialize)]
struct KeyPart {
    name: String,
    r#type: KeyKind,
}

#[derive(Serialize)]
struct IndexDescription {
    name: String,
    kind: &'static str,
    key: Vec<KeyPart>,
    /// `ALL`, `KEYS_ONLY`, or the attributes beside the keys.
    projection: String,
}

/// The stack's tables first, then the others by name. That one of them cannot be described is no reason to show none.
pub(super) async fn list(State(console): State<Console>) -> Answer<Tables> {
    let own = console.names.tables.all().map(str::to_owned);
    let mut names = own.to_vec();
    names.extend(others(&console).await?.into_iter().filter(|name| !own.contains(name)));
    let (mut items, mut problems) = (Vec::new(), Vec::new());
    let mut described = futures::stream::iter(names)
        .map(|name| async { (name.clone(), described(&console, name).await) })
        .buffered(AT_ONCE);
    while let Some((name, described)) = described.next().await {
        match described {
            Ok(described) => items.extend(described),
            Err(problem) => problems.push((name, problem)),
        }
    }
    if items.is_empty()
        && let Some((_, problem)) = problems.pop()
    {
        return Err(problem.into());
    }
    let problems = problems.into_iter();
    let problems = problems.map(|(name, problem)| TableProblem { name, problem: problem.to_string() });
    Ok(Json(Tables { items, problems: problems.collect() }))
}

async fn others(console: &ConsoleParts) -> Result<BTreeSet<String>, Problem> {
    if let TableScope::Named(names) = &console.scope {
        return Ok(names.iter().cloned().collect());
    }
    let mut pages = console.dynamodb.list_tables().into_paginator().items().send();
    let mut names = BTreeSet::new();
    while let Some(name) = pages.next().await {
        names.insert(name.map_err(|error| problem("*", TableError::from_sdk("*", error)))?);
        if names.len() >= MAX_OTHERS + console.names.tables.all().len() {
            break;
        }
    }
    Ok(names)
}

/// `None` if there is no such table: it may be deleted while others are described.
async fn described(console: &ConsoleParts, name: String) -> Result<Option<TableDescription>, ApiError> {
    let client = &console.dynamodb;
    let (table, ttl, recovery) = tokio::join!(
        client.describe_table().table_name(&name).send(),
        client.describe_time_to_live().table_name(&name).send(),
        client.describe_continuous_backups().table_name(&name).send(),
    );
    let table = match table {
        Ok(output) => output.table,
        Err(error)
            if error.as_service_error().is_some_and(|error| error.is_resource_not_found_exception()) =>
        {
            None
        }
        Err(error) => return Err(problem(&name, TableError::from_sdk(&name, error))),
    };
    let Some(table) = table else { return Ok(None) };
    let Some(keys) = KeySchema::read(table.key_schema(), table.attribute_definitions()) else {
        return Ok(None);
    };
    // Not every endpoint knows these two, nor may everybody ask for them.
    let ttl = ttl.ok().and_then(|output| output.time_to_live_description);
    let ttl = ttl.filter(|ttl| ttl.time_to_live_status() == Some(&TimeToLiveStatus::Enabled));
    let recovery = recovery.ok().and_then(|output| output.continuous_backups_description);
    let recovery = recovery.and_then(|backups| backups.point_in_time_recovery_description);
    let recovery = recovery.and_then(|recovery| recovery.point_in_time_recovery_status);
    Ok(Some(TableDescription {
        of_stack: console.is_of_stack(&name),
        editable: console.is_editable(&name),
        status: table.table_status().map_or_else(String::new, |status| status.as_str().to_owned()),
        item_count: count(table.item_count()),
        bytes: count(table.table_size_bytes()),
        key: key(keys),
        indexes: indexes(&table),
        billing: billing(&table),
        stream: table
            .stream_specification()
            .filter(|stream| stream.stream_enabled())
            .and_then(|stream| Some(stream.stream_view_type()?.as_str().to_owned())),
        ttl: ttl.and_then(|ttl| ttl.attribute_name),
        point_in_time_recovery: recovery.map(|status| status == PointInTimeRecoveryStatus::Enabled),
        name,
    }))
}

fn count(count: Option<i64>) -> u64 {
    count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0)
}

fn key(keys: KeySchema) -> Vec<KeyPart> {
    let part = |KeyAttribute { name, kind }| KeyPart { name, r#type: kind };
    std::iter::once(keys.partition).chain(keys.sort).map(part).collect()
}

fn indexes(table: &Described) -> Vec<IndexDescription> {
    let attributes = table.attribute_definitions();
    let index = |kind: IndexKind, name: Option<&str>, keys, projection: Option<&Projection>| {
        Some(IndexDescription {
            name: name?.to_owned(),
            kind: match kind {
                IndexKind::Local => "local",
                IndexKind::Global => "global",
            },
            key: key(KeySchema::read(keys, attributes)?),
            projection: projected(projection?),
        })
    };
    let local = table.local_secondary_indexes().iter();
    let local =
        local.filter_map(|of| index(IndexKind::Local, of.index_name(), of.key_schema(), of.projection()));
    let global = table.global_secondary_indexes().iter();
    let global =
        global.filter_map(|of| index(IndexKind::Global, of.index_name(), of.key_schema(), of.projection()));
    local.chain(global).collect()
}

fn projected(projection: &Projection) -> String {
    match projection.projection_type() {
        Some(ProjectionType::Include) => projection.non_key_attributes().join(", "),
        Some(other) => other.as_str().to_owned(),
        None => String::new(),
    }
}

/// `PAY_PER_REQUEST`, or the read and write units per second that are paid for.
fn billing(table: &Described) -> String {
    let provisioned = table.provisioned_throughput().map(|throughput| {
        (throughput.read_capacity_units().unwrap_or(0), throughput.write_capacity_units().unwrap_or(0))
    });
    match provisioned {
        Some((read, write)) if read > 0 || write > 0 => format!("PROVISIONED {read}/{write}"),
        _ => "PAY_PER_REQUEST".to_owned(),
    }
}
