//! Whether the stack's tables are there, and how large they are.
//!
//! The embedded DynamoDB counts a table's items whenever it describes it, which takes seconds for large ones. So sizes
//! are read in the background and kept for a while; a page that is opened does not wait for them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use futures::future::try_join_all;
use nextbasket_domain::Timestamp;
use nextbasket_dynamodb::TableError;
use tokio::sync::RwLock;

use crate::Console;
use crate::answer::Problem;
use crate::parts::PlaceKind;

/// DynamoDB itself brings sizes up to date every six hours.
const CACHED_MS: i64 = 600_000;

/// How long a request waits for sizes on one machine, where the tables are always there.
const PATIENCE: Duration = Duration::from_millis(300);

/// How long it waits elsewhere: without the tables, all other reads would fail.
const PATIENCE_ELSEWHERE: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Default)]
pub(crate) struct TableReview {
    /// Tables and their bytes; nothing is known of the others yet.
    pub(crate) bytes: Vec<(String, i64)>,
    pub(crate) missing: Vec<String>,
}

/// The last review, and whether there is one under way.
#[derive(Default)]
pub(crate) struct TableCache {
    last: RwLock<Option<(Timestamp, TableReview)>>,
    under_way: AtomicBool,
}

impl TableReview {
    pub(crate) fn has(&self, table: &str) -> bool {
        !self.missing.iter().any(|missing| missing == table)
    }
}

pub(crate) async fn review(console: &Console, now: Timestamp) -> Result<TableReview, Problem> {
    let cache = &console.0.tables_seen;
    let last = cache.last.read().await.clone();
    let is_fresh = |at: Timestamp| now <= at.plus_millis(CACHED_MS);
    if let Some((_, review)) = last.as_ref().filter(|(at, review)| is_fresh(*at) && review.missing.is_empty())
    {
        return Ok(review.clone());
    }
    let known = last.map(|(_, review)| review).unwrap_or_default();
    if cache.under_way.swap(true, Ordering::AcqRel) {
        return Ok(known);
    }
    let patience = if console.place.kind == PlaceKind::Aws { PATIENCE_ELSEWHERE } else { PATIENCE };
    let console = console.clone();
    let reading = tokio::spawn(async move {
        let read = describe(&console).await;
        let cache = &console.0.tables_seen;
        if let Ok(review) = &read {
            *cache.last.write().await = Some((console.clock.now(), review.clone()));
        }
        cache.under_way.store(false, Ordering::Release);
        read
    });
    match tokio::time::timeout(patience, reading).await {
        Ok(Ok(read)) => Ok(read?),
        // It goes on in the background.
        Ok(Err(_)) | Err(_) => Ok(known),
    }
}

async fn describe(console: &Console) -> Result<TableReview, TableError> {
    let tables = console.names.tables.all();
    let described = try_join_all(tables.map(|table| async move {
        match console.dynamodb.describe_table().table_name(table).send().await {
            Ok(described) => {
                Ok((table, Some(described.table().and_then(|t| t.table_size_bytes()).unwrap_or(0))))
            }
            Err(error) if error.code() == Some("ResourceNotFoundException") => Ok((table, None)),
            Err(error) => Err(TableError::from_sdk(table, error)),
        }
    }));
    let mut review = TableReview::default();
    for (table, bytes) in described.await? {
        match bytes {
            Some(bytes) => review.bytes.push((table.to_owned(), bytes)),
            None => review.missing.push(table.to_owned()),
        }
    }
    Ok(review)
}
