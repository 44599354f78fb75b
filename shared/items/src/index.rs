//! Secondary indexes of a table, as `DescribeTable` says them.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, GlobalSecondaryIndexDescription, KeySchemaElement, LocalSecondaryIndexDescription,
    Projection, ProjectionType,
};

use crate::key::KeySchema;

/// Whether an index is local or global.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexKind {
    /// It has the table's partition key, and can be read strongly consistent.
    Local,
    /// It has keys of its own, and is read eventually consistent.
    Global,
}

/// A secondary index.
#[derive(Debug, Clone, PartialEq)]
pub struct TableIndex {
    /// Its name.
    pub name: String,
    /// Local or global.
    pub kind: IndexKind,
    /// The attributes of its keys.
    pub keys: KeySchema,
    /// Its number of items, updated about every six hours.
    pub items: u64,
    /// The size of all of them.
    pub bytes: u64,
    /// The attributes that its items have; `None` if all of those of the table.
    projected: Option<BTreeSet<String>>,
}

impl TableIndex {
    pub(crate) fn of_global(
        index: &GlobalSecondaryIndexDescription,
        table: &KeySchema,
        attributes: &[AttributeDefinition],
    ) -> Option<Self> {
        let counts = (index.item_count(), index.index_size_bytes());
        let (name, keys) = (index.index_name()?, index.key_schema());
        Self::new(IndexKind::Global, name, (keys, table, attributes), index.projection(), counts)
    }

    pub(crate) fn of_local(
        index: &LocalSecondaryIndexDescription,
        table: &KeySchema,
        attributes: &[AttributeDefinition],
    ) -> Option<Self> {
        let counts = (index.item_count(), index.index_size_bytes());
        let (name, keys) = (index.index_name()?, index.key_schema());
        Self::new(IndexKind::Local, name, (keys, table, attributes), index.projection(), counts)
    }

    fn new(
        kind: IndexKind,
        name: &str,
        (keys, table, attributes): (&[KeySchemaElement], &KeySchema, &[AttributeDefinition]),
        projection: Option<&Projection>,
        (items, bytes): (Option<i64>, Option<i64>),
    ) -> Option<Self> {
        let all = keys.iter().map(KeySchemaElement::attribute_name).chain(table.names());
        let all: BTreeSet<String> = all.map(str::to_owned).collect();
        let keys = KeySchema::read(keys, attributes)?;
        let projected = match projection.and_then(Projection::projection_type) {
            Some(ProjectionType::KeysOnly) => Some(all),
            Some(ProjectionType::Include) => {
                let more = projection.map(Projection::non_key_attributes).unwrap_or_default();
                Some(all.into_iter().chain(more.iter().cloned()).collect())
            }
            _ => None,
        };
        let count = |count: Option<i64>| u64::try_from(count.unwrap_or(0)).unwrap_or(0);
        Some(Self { name: name.to_owned(), kind, keys, items: count(items), bytes: count(bytes), projected })
    }

    /// Why this attribute cannot be read from it, if its items do not have it.
    ///
    /// # Errors
    /// The problem, with the attributes that there are.
    pub fn check_projects(&self, attribute: &str) -> Result<(), String> {
        match &self.projected {
            Some(projected) if !projected.contains(attribute) => {
                let projected: Vec<&str> = projected.iter().map(String::as_str).collect();
                Err(format!(
                    "attribute \"{attribute}\" is not projected into index \"{}\", which has {}",
                    self.name,
                    projected.join(", ")
                ))
            }
            _ => Ok(()),
        }
    }

    /// What is not in it, for people; `None` if its items have all attributes.
    #[must_use]
    pub fn lacks(&self) -> Option<String> {
        let projected: Vec<&str> = self.projected.as_ref()?.iter().map(String::as_str).collect();
        Some(format!("index \"{}\" has only the attributes {}", self.name, projected.join(", ")))
    }

    /// The mean size of its items, or 0.
    #[must_use]
    pub fn mean_bytes(&self) -> u64 {
        self.bytes.checked_div(self.items).unwrap_or(0)
    }
}
