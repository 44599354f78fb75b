//! A table's key as it is given in words, and the table that is made of it.

use std::collections::BTreeMap;

use nextbasket_items::key::{KeyAttribute, KeyKind, KeySchema};

use crate::csv::{Column, ColumnType};
use crate::manifest::TableSettings;
use crate::manifest::create_table::{AttributeDefinition, CreateTable, KeyElement};

/// The key of `["pk:S", "sk:N"]`. A type that is left out is that of the column, or S.
///
/// # Errors
/// What is wrong with it.
pub(super) fn keys(names: &[String], types: &BTreeMap<String, ColumnType>) -> Result<KeySchema, String> {
    let attribute = |text: &String| {
        let (name, kind) = match Column::parse(text) {
            Ok(column) => (column.name, column.kind),
            Err(_) if text.contains(':') => {
                return Err(format!("{text:?} has no type: write name:S, name:N or name:B"));
            }
            Err(_) => (text.clone(), types.get(text).copied().unwrap_or(ColumnType::S)),
        };
        let kind = match kind {
            ColumnType::S => KeyKind::S,
            ColumnType::N => KeyKind::N,
            ColumnType::B => KeyKind::B,
            other => return Err(format!("{text:?} has type {}: a key is of type S, N or B", other.name())),
        };
        if name.is_empty() { Err("a name is empty".to_owned()) } else { Ok(KeyAttribute { name, kind }) }
    };
    let (partition, sort) = match names {
        [partition] => (attribute(partition)?, None),
        [partition, sort] => (attribute(partition)?, Some(attribute(sort)?)),
        _ => {
            let problem = "must name the partition key and, if there is one, the sort key, such as pk:S,sk:N";
            return Err(problem.to_owned());
        }
    };
    match sort {
        Some(sort) if sort.name == partition.name => Err(format!("{:?} appears twice", sort.name)),
        sort => Ok(KeySchema { partition, sort }),
    }
}

/// A table with this key and without indexes, paid by request.
pub(super) fn table(keys: &KeySchema) -> TableSettings {
    let attributes = || std::iter::once(&keys.partition).chain(&keys.sort);
    let definition = |attribute: &KeyAttribute| AttributeDefinition {
        attribute_name: attribute.name.clone(),
        attribute_type: format!("{:?}", attribute.kind),
    };
    let element = |(attribute, role): (&KeyAttribute, &str)| KeyElement {
        attribute_name: attribute.name.clone(),
        key_type: role.to_owned(),
    };
    TableSettings {
        version: 1,
        table_arn: None,
        table_id: None,
        created_at: None,
        create_table: CreateTable {
            attribute_definitions: attributes().map(definition).collect(),
            key_schema: attributes().zip(["HASH", "RANGE"]).map(element).collect(),
            billing_mode: "PAY_PER_REQUEST".to_owned(),
            ..CreateTable::default()
        },
        time_to_live: None,
        point_in_time_recovery: None,
        tags: Vec::new(),
        not_recreated: Vec::new(),
        unread: Vec::new(),
    }
}
