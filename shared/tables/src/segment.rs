//! A table read in parts: segments, their pages, and positions to resume from.
//!
//! A segment holds whole partitions: all items of a user are in one of them, one behind the other.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use nextbasket_dynamodb::item::{Item, Reader, text};
use nextbasket_dynamodb::{TableError, capacity};
use serde::{Deserialize, Serialize};

use crate::damaged::{Damaged, Readable};

/// One of the parts that a table is read in, at most 1,000,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Its number, from 0.
    pub number: u32,
    /// How many there are.
    pub of: u32,
}

/// Where a page of a segment ended. Another process can resume from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place(BTreeMap<String, String>);

/// A page of a segment: at most 1 MB of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// What it holds.
    pub items: Vec<T>,
    /// The damaged items of the page.
    pub damaged: Vec<Damaged>,
    /// Where the next page begins; `None` at the end of the segment.
    pub end: Option<Place>,
}

impl<T> Page<T> {
    pub(crate) fn new(readable: Readable<T>, end: Option<Place>) -> Self {
        Self { items: readable.items, damaged: readable.damaged, end }
    }
}

/// How large a table is, as DynamoDB says it: brought up to date some four times a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Items.
    pub items: u64,
    /// Bytes.
    pub bytes: u64,
}

/// The table's size.
///
/// # Errors
/// [`TableError`] if DynamoDB does not answer.
pub(crate) async fn size(client: &Client, table: &str) -> Result<Size, TableError> {
    let described = client.describe_table().table_name(table).send().await;
    let described = described.map_err(|error| TableError::from_sdk(table, error))?.table;
    let counted = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
    Ok(Size {
        items: counted(described.as_ref().and_then(|table| table.item_count)),
        bytes: counted(described.as_ref().and_then(|table| table.table_size_bytes)),
    })
}

/// A page of the segment from behind `after` on, with these attributes or all. Eventually consistent.
///
/// # Errors
/// [`TableError`] if DynamoDB does not answer.
pub(crate) async fn page(
    client: &Client,
    table: &str,
    segment: Segment,
    after: Option<&Place>,
    attributes: Option<&str>,
) -> Result<(Vec<Item>, Option<Place>), TableError> {
    let start = after.map(|place| place.0.iter().map(|(name, key)| (name.clone(), text(key))).collect());
    let output = client
        .scan()
        .table_name(table)
        .segment(i32::try_from(segment.number).unwrap_or(i32::MAX))
        .total_segments(i32::try_from(segment.of.max(1)).unwrap_or(i32::MAX))
        .set_exclusive_start_key(start)
        .set_projection_expression(attributes.map(str::to_owned))
        .return_consumed_capacity(ReturnConsumedCapacity::Total)
        .send()
        .await
        .map_err(|error| TableError::from_sdk(table, error))?;
    capacity::read(&output.consumed_capacity);
    let end = output.last_evaluated_key.map(|key| place(table, key)).transpose()?;
    Ok((output.items.unwrap_or_default(), end))
}

/// The keys of all tables here are strings.
fn place(table: &str, key: Item) -> Result<Place, TableError> {
    let reader = Reader { table, key: "LastEvaluatedKey".to_owned(), item: Item::new() };
    key.into_iter()
        .map(|(name, value)| match value {
            AttributeValue::S(text) => Ok((name, text)),
            _ => Err(reader.corrupt("key", "is not a string")),
        })
        .collect::<Result<_, _>>()
        .map(Place)
}
