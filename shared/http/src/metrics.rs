//! Metrics in CloudWatch's embedded metric format: one JSON line a record on standard output, no call.
//!
//! Format: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::io::Write;
use std::sync::Arc;

use nextbasket_domain::Clock;
use serde_json::{Map, Value, json};

/// The namespace of our metrics.
pub const NAMESPACE: &str = "nextbasket";

/// A metric's unit, as CloudWatch names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// `Milliseconds`.
    Milliseconds,
    /// `Count`.
    Count,
}

/// Where metrics go.
#[derive(Clone)]
pub struct Metrics {
    clock: Clock,
    sink: Arc<dyn Fn(&str) + Send + Sync>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// To standard output, where Lambda's log agent finds them.
    #[must_use]
    pub fn stdout() -> Self {
        Self::new(Clock::system(), |line| {
            // A closed standard output is no reason to fail a request.
            let _ = writeln!(std::io::stdout().lock(), "{line}");
        })
    }

    /// Nowhere.
    #[must_use]
    pub fn off() -> Self {
        Self::new(Clock::system(), |_| ())
    }

    /// To a sink of the caller's own, a line at a time.
    pub fn new(clock: Clock, sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { clock, sink: Arc::new(sink) }
    }

    /// Writes one record: metrics under dimensions, and further properties to search by.
    pub fn put(
        &self,
        dimensions: &[(&str, &str)],
        metrics: &[(&str, f64, Unit)],
        properties: &[(&str, &str)],
    ) {
        let names: Vec<&str> = dimensions.iter().map(|(name, _)| *name).collect();
        let definitions: Vec<Value> = metrics
            .iter()
            .map(|(name, _, unit)| json!({ "Name": name, "Unit": format!("{unit:?}") }))
            .collect();
        let mut record = Map::new();
        record.insert(
            "_aws".to_owned(),
            json!({
                "Timestamp": self.clock.now().as_millis(),
                "CloudWatchMetrics": [{ "Namespace": NAMESPACE, "Dimensions": [names], "Metrics": definitions }],
            }),
        );
        for (name, value) in dimensions.iter().chain(properties) {
            record.insert((*name).to_owned(), json!(value));
        }
        for (name, value, _) in metrics {
            record.insert((*name).to_owned(), json!(value));
        }
        (self.sink)(&Value::Object(record).to_string());
    }
}
