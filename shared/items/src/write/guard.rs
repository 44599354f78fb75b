//! Items that must not be written into a table: decided by whoever knows what the table holds.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use nextbasket_dynamodb::TableError;
use nextbasket_dynamodb::item::Item;

type Loading = BoxFuture<'static, Result<Option<ItemGuard>, TableError>>;
type Load = dyn Fn(&str) -> Loading + Send + Sync;

/// Knows which tables must not get which items. By default every table may get every item.
#[derive(Clone, Default)]
pub struct WriteGuard(Option<Arc<Load>>);

impl WriteGuard {
    /// `load` is given a table's name, and reads what it needs to decide about the table's items; `None` if the table may
    /// get every item.
    pub fn new(load: impl Fn(&str) -> Loading + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(load)))
    }

    /// What the table must not get, as of now.
    ///
    /// # Errors
    /// [`TableError`] if what it depends on cannot be read.
    pub async fn of(&self, table: &str) -> Result<Option<ItemGuard>, TableError> {
        match &self.0 {
            Some(load) => load(table).await,
            None => Ok(None),
        }
    }
}

impl fmt::Debug for WriteGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WriteGuard")
    }
}

/// Tells which items a table must not get.
#[derive(Clone)]
pub struct ItemGuard(Arc<dyn Fn(&Item) -> bool + Send + Sync>);

impl ItemGuard {
    /// Those for which `is_barred` is true.
    pub fn new(is_barred: impl Fn(&Item) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(is_barred))
    }

    /// Whether the table must not get this item.
    #[must_use]
    pub fn bars(&self, item: &Item) -> bool {
        (self.0)(item)
    }
}

impl fmt::Debug for ItemGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ItemGuard")
    }
}
