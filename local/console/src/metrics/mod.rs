//! What the functions measured: recorded in memory on one machine, read from CloudWatch for a deployed stack.

pub mod recorder;

use std::error::Error;

use futures::future::BoxFuture;
use nextbasket_domain::Timestamp;
use serde::Serialize;

pub use recorder::{Recorder, StreamProbe, UnitsProbe};

pub const HOUR_MS: i64 = 3_600_000;

/// Where measurements come from.
pub trait Measurements: Send + Sync {
    /// What was measured from `since` to `until`, or since the measurements began if that is later.
    fn measured(&self, since: Timestamp, until: Timestamp) -> BoxFuture<'_, Result<Measured, MeasureError>>;
}

/// Measurements that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("measurements cannot be read: {0}")]
pub struct MeasureError(#[source] pub Box<dyn Error + Send + Sync>);

/// What was measured in a period.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measured {
    /// When the period begins, in milliseconds since 1970.
    pub since: i64,
    /// Every hour of the period, the oldest first.
    pub hours: Vec<HourOfTraffic>,
    pub freshness: Option<Freshness>,
    pub stream: StreamState,
    /// What calls consumed, by table.
    pub tables: Vec<TableUnits>,
}

/// The requests of an hour.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct HourOfTraffic {
    /// When it begins, in milliseconds since 1970.
    pub at: i64,
    pub answers: f64,
    pub conversions: f64,
    pub purchases: f64,
    /// Answers of 5xx.
    pub errors: f64,
}

/// The time from a purchase that is written to the history that has it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Freshness {
    pub median_ms: f64,
    pub max_ms: f64,
    pub samples: u64,
}

/// Where the mapping from purchases to histories stands.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct StreamState {
    /// Changes that are not in a history yet, if that is known.
    pub behind: Option<u64>,
    /// The age of the oldest of them, if that is known.
    pub age_ms: Option<f64>,
    /// Batches that were given up and wait for somebody to look at them.
    pub given_up: u64,
}

/// What calls to a table consumed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TableUnits {
    pub table: String,
    pub read_units: f64,
    pub write_units: f64,
}
