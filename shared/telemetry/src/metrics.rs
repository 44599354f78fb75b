//! Metrics in CloudWatch's embedded metric format: one JSON line a record on standard output, no call.
//!
//! Format: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::io::Write;
use std::sync::Arc;

use nextbasket_domain::Clock;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// How much of a property's text is kept, in bytes.
const LONGEST_PROPERTY: usize = 256;

/// The namespace of metrics where `METRICS_NAMESPACE` names none.
const NAMESPACE: &str = "nextbasket";

/// A metric's unit, as CloudWatch names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Unit {
    Milliseconds,
    Count,
}

#[derive(Clone)]
pub struct Metrics {
    namespace: Arc<str>,
    clock: Clock,
    sink: Arc<dyn Fn(&str) + Send + Sync>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// To standard output, where Lambda's log agent finds them, under the namespace of `METRICS_NAMESPACE`: a name for
    /// each stack, so that two in one account do not mix.
    #[must_use]
    pub fn stdout() -> Self {
        let namespace = std::env::var("METRICS_NAMESPACE").unwrap_or_else(|_| NAMESPACE.to_owned());
        Self::new(&namespace, Clock::system(), |line| {
            // A closed standard output is no reason to fail a request.
            let _ = writeln!(std::io::stdout().lock(), "{line}");
        })
    }

    #[must_use]
    pub fn off() -> Self {
        Self::new(NAMESPACE, Clock::system(), |_| ())
    }

    /// To a sink of the caller's own, a line at a time.
    pub fn new(namespace: &str, clock: Clock, sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { namespace: namespace.into(), clock, sink: Arc::new(sink) }
    }

    /// Writes one record: metrics under dimensions, and further properties to search by.
    ///
    /// Each distinct value of a dimension creates metrics of its own, which CloudWatch bills. So its values must be
    /// among a few that the code or the template names, never text that a caller chose. Such text is a property, cut
    /// to its beginning.
    pub fn put(
        &self,
        dimensions: &[(&str, &str)],
        metrics: &[(&str, f64, Unit)],
        properties: &[(&str, &str)],
    ) {
        let names: Vec<&str> = dimensions.iter().map(|(name, _)| *name).collect();
        let definitions: Vec<Value> =
            metrics.iter().map(|(name, _, unit)| json!({ "Name": name, "Unit": unit })).collect();
        let mut record = Map::new();
        record.insert(
            "_aws".to_owned(),
            json!({
                "Timestamp": self.clock.now().as_millis(),
                "CloudWatchMetrics": [{ "Namespace": &*self.namespace, "Dimensions": [names], "Metrics": definitions }],
            }),
        );
        for (name, value) in dimensions {
            record.insert((*name).to_owned(), json!(value));
        }
        for (name, value) in properties {
            record.insert((*name).to_owned(), json!(property(value)));
        }
        for (name, value, _) in metrics {
            record.insert((*name).to_owned(), json!(value));
        }
        (self.sink)(&Value::Object(record).to_string());
    }
}

/// The beginning of a text, without control characters.
fn property(text: &str) -> String {
    let kept = text.get(..text.floor_char_boundary(LONGEST_PROPERTY)).unwrap_or_default();
    kept.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nextbasket_domain::Timestamp;
    use std::sync::Mutex;

    #[test]
    fn a_record_is_one_line_that_cloudwatch_reads() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = lines.clone();
        let metrics = Metrics::new("shop", Clock::new(|| Timestamp::from_millis(7).unwrap()), move |line| {
            sink.lock().unwrap().push(line.to_owned());
        });
        metrics.put(&[("Route", "GET /x")], &[("Latency", 1.5, Unit::Milliseconds)], &[("requestId", "r")]);
        let lines = lines.lock().unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&lines[0]).unwrap(),
            json!({
                "_aws": { "Timestamp": 7, "CloudWatchMetrics": [{
                    "Namespace": "shop",
                    "Dimensions": [["Route"]],
                    "Metrics": [{ "Name": "Latency", "Unit": "Milliseconds" }],
                }] },
                "Route": "GET /x",
                "Latency": 1.5,
                "requestId": "r",
            })
        );
    }

    #[test]
    fn of_a_callers_text_the_beginning_is_kept_without_control_characters() {
        assert_eq!(property("a\nb\u{0}"), "a\u{fffd}b\u{fffd}");
        assert_eq!(property(&"é".repeat(1_000)).len(), LONGEST_PROPERTY);
    }
}
