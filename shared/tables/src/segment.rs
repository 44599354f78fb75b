//! A table read in parts: segments, their pages, and positions to resume from.
//!
//! A segment holds whole partitions: all items of a user are in one of them, one behind the other.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
pub use nextbasket_dynamodb::Segment;
use nextbasket_dynamodb::item::{Item, text};
use nextbasket_dynamodb::{TableClient, TableError};
use serde::{Deserialize, Serialize};

use crate::damaged::{Damaged, Readable};

/// Where a page of a segment ended. Another process can resume from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentPosition(BTreeMap<String, String>);

/// A page of a segment: at most 1 MB of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentPage<T> {
    pub items: Vec<T>,
    /// The damaged items of the page.
    pub damaged: Vec<Damaged>,
    /// Where the next page begins; `None` at the end of the segment.
    pub end: Option<SegmentPosition>,
}

/// How large a table is, as DynamoDB says it: brought up to date some four times a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableSize {
    pub items: u64,
    pub bytes: u64,
}

pub(crate) async fn size(table: &TableClient) -> Result<TableSize, TableError> {
    let described = table.client().describe_table().table_name(table.name()).send().await;
    let described = described.map_err(|error| TableError::from_sdk(table.name(), error))?.table;
    let counted = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
    Ok(TableSize {
        items: counted(described.as_ref().and_then(|table| table.item_count)),
        bytes: counted(described.as_ref().and_then(|table| table.table_size_bytes)),
    })
}

/// The page of the segment behind `after`, with these attributes or all. `keys` are the attributes of the table's keys.
/// Eventually consistent.
pub(crate) async fn page<T>(
    table: &TableClient,
    segment: Segment,
    after: Option<&SegmentPosition>,
    attributes: Option<&str>,
    keys: &[&str],
    read: impl Fn(Item) -> Result<T, TableError>,
) -> Result<SegmentPage<T>, TableError> {
    let start = after.map(|after| after.0.iter().map(|(name, key)| (name.clone(), text(key))).collect());
    let scan = table
        .scan()
        .segment(i32::try_from(segment.number).unwrap_or(i32::MAX))
        .total_segments(i32::try_from(segment.of.max(1)).unwrap_or(i32::MAX))
        .set_exclusive_start_key(start)
        .set_projection_expression(attributes.map(str::to_owned));
    let output = table.read(scan.send().await)?;
    let end = output.last_evaluated_key.map(|key| position(table, key)).transpose()?;
    let Readable { items, damaged } = Readable::of(table, keys, output.items, read);
    Ok(SegmentPage { items, damaged, end })
}

/// The keys of all tables here are strings.
fn position(table: &TableClient, key: Item) -> Result<SegmentPosition, TableError> {
    let reader = table.reader("LastEvaluatedKey", Item::new());
    key.into_iter()
        .map(|(name, value)| match value {
            AttributeValue::S(text) => Ok((name, text)),
            _ => Err(reader.corrupt("key", "is not a string")),
        })
        .collect::<Result<_, _>>()
        .map(SegmentPosition)
}
