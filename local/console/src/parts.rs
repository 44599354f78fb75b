//! What the handlers share.

use std::sync::Arc;

use nextbasket_domain::{Clock, Random};
use nextbasket_job_engine::Engine;
use nextbasket_locks::Leases;
use nextbasket_tables::Tables;
use serde::Serialize;

use crate::SessionSecret;
use crate::metrics::Measurements;

pub struct ConsoleParts {
    /// The version of the command.
    pub version: &'static str,
    pub place: Place,
    /// Whether items may be changed and locks broken. Handlers that write call
    /// [`require_writable`](Self::require_writable) first.
    pub writable: bool,
    pub session: SessionSecret,
    pub names: ResourceNames,
    pub tables: Tables,
    pub dynamodb: aws_sdk_dynamodb::Client,
    pub s3: aws_sdk_s3::Client,
    pub engine: Engine,
    /// Leases in the operations table.
    pub leases: Leases,
    pub clock: Clock,
    pub random: Random,
    /// Makes the lists that the page tries out; it counts no metrics.
    pub lists: Arc<recommendations::State>,
    pub scope: TableScope,
    pub measurements: Arc<dyn Measurements>,
    /// The tables that are dumped by schedule.
    pub scheduled_dumps: Vec<String>,
}

/// Where the tables are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    pub kind: PlaceKind,
    /// For people: the folder's path, or the endpoint and the profile.
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
}

impl Place {
    /// In the memory of this process.
    #[must_use]
    pub fn memory() -> Self {
        let name = "memory".to_owned();
        Self { kind: PlaceKind::Memory, name, region: None, account: None, stack: None }
    }

    /// In a data folder of this machine.
    #[must_use]
    pub fn folder(path: &std::path::Path) -> Self {
        Self { kind: PlaceKind::Folder, name: path.display().to_string(), ..Self::memory() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum PlaceKind {
    Memory,
    Folder,
    Aws,
}

/// The physical names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceNames {
    pub tables: ShopTables,
    pub buckets: ShopBuckets,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShopTables {
    pub products: String,
    pub purchases: String,
    pub history: String,
    pub model: String,
    pub operations: String,
}

impl ShopTables {
    /// All of them, the operations table last.
    #[must_use]
    pub fn all(&self) -> [&str; 5] {
        [&self.products, &self.purchases, &self.history, &self.model, &self.operations]
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShopBuckets {
    pub jobs: String,
    pub dumps: String,
}

/// Which tables, beside the stack's own, the page may show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableScope {
    /// Every table of the endpoint.
    All,
    /// These as well.
    Named(Vec<String>),
}
