//! One mapping from a table's stream to a function: an event of type `DynamoDB`.

use std::time::Duration;

use serde_json::Value;

use super::resolve::Resolver;
use super::{Properties, Resource, TemplateError};

/// How records of a table's stream reach a function. The defaults are Lambda's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamMapping {
    /// The mapping's logical id, as SAM makes it: the function's and the event's name.
    pub name: String,
    /// Logical id of the function.
    pub function: String,
    /// Logical id of the table.
    pub table: String,
    /// Where a mapping that has no checkpoint yet begins.
    pub starting_position: StartingPosition,
    /// Most records in one invocation.
    pub batch_size: usize,
    /// How long to wait for a batch to fill.
    pub batching_window: Duration,
    /// How many batches of one shard are under way at once; records of one partition key stay in order.
    pub parallelization: usize,
    /// Whether a failed batch is halved to find the record that fails.
    pub bisect: bool,
    /// Whether the function names the records that failed.
    pub report_item_failures: bool,
    /// Retries before a batch is given up; `None`: until its records are too old.
    pub maximum_retries: Option<u32>,
    /// Age at which a record is given up; `None`: never.
    pub maximum_record_age: Option<Duration>,
    /// ARN of where facts about given-up batches go.
    pub on_failure: Option<String>,
    /// Length of the windows over which the function carries state.
    pub tumbling_window: Option<Duration>,
}

/// Where a mapping without a checkpoint begins to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartingPosition {
    /// With the oldest record that the stream still has.
    TrimHorizon,
    /// With the first record written after the mapping began.
    Latest,
}

const KNOWN: [&str; 14] = [
    "BatchSize",
    "BisectBatchOnFunctionError",
    "DestinationConfig",
    "Enabled",
    "FunctionResponseTypes",
    "MaximumBatchingWindowInSeconds",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "MetricsConfig",
    "ParallelizationFactor",
    "StartingPosition",
    "Stream",
    "Tags",
    "TumblingWindowInSeconds",
];

pub(crate) fn read(
    resolver: &Resolver<'_>,
    resource: &Resource<'_>,
) -> Result<Vec<StreamMapping>, TemplateError> {
    let events = resource.body.get("Properties").and_then(|p| p.get("Events")).and_then(Value::as_object);
    let mut mappings = Vec::new();
    for (event, body) in events.into_iter().flatten() {
        let path = format!("Events.{event}");
        match body.get("Type").and_then(Value::as_str) {
            Some("DynamoDB") => {}
            other => {
                return Err(TemplateError::Unsupported {
                    resource: resource.name.to_owned(),
                    what: format!("{path} of type {}", other.unwrap_or("unknown")),
                });
            }
        }
        let raw = body.get("Properties").unwrap_or(&Value::Null);
        let table = table_of(resolver, resource, raw.get("Stream"), &path)?;
        let resolved = resolver.value(resource.name, raw)?.unwrap_or(Value::Null);
        let properties = Properties::new(resource.name, &format!("{path}.Properties"), resolved)?;
        if let Some(unknown) = properties.keys().find(|key| !KNOWN.contains(&key.as_str())) {
            return Err(properties.unsupported(unknown));
        }
        if properties.get("Enabled").is_some() && !properties.flag("Enabled")? {
            continue;
        }
        mappings.push(mapping(resource, event, table, &properties)?);
    }
    Ok(mappings)
}

fn mapping(
    resource: &Resource<'_>,
    event: &str,
    table: String,
    properties: &Properties<'_>,
) -> Result<StreamMapping, TemplateError> {
    let starting_position = match properties.required_text("StartingPosition")?.as_str() {
        "TRIM_HORIZON" => StartingPosition::TrimHorizon,
        "LATEST" => StartingPosition::Latest,
        _ => return Err(properties.wrong("StartingPosition", "TRIM_HORIZON or LATEST")),
    };
    let report_item_failures = match properties.get("FunctionResponseTypes") {
        None => false,
        Some(Value::Array(types)) if types.iter().all(|t| t == "ReportBatchItemFailures") => {
            !types.is_empty()
        }
        Some(_) => return Err(properties.wrong("FunctionResponseTypes", "[ReportBatchItemFailures]")),
    };
    let destination = properties.nested("DestinationConfig")?;
    let on_failure = match destination.as_ref().map(|d| d.nested("OnFailure")).transpose()?.flatten() {
        Some(on_failure) => Some(on_failure.required_text("Destination")?),
        None => None,
    };
    // -1 stands for without end.
    let endless = |key, most| match properties.number(key)? {
        None | Some(-1) => Ok(None),
        Some(n) => match u32::try_from(n) {
            Ok(n) if n <= most => Ok(Some(n)),
            _ => Err(properties.wrong(key, "a number in Lambda's range, or -1")),
        },
    };
    Ok(StreamMapping {
        name: format!("{}{event}", resource.name),
        function: resource.name.to_owned(),
        table,
        starting_position,
        batch_size: count(properties, "BatchSize", 1..=10_000, 100)?,
        batching_window: seconds(properties, "MaximumBatchingWindowInSeconds", 0..=300)?.unwrap_or_default(),
        parallelization: count(properties, "ParallelizationFactor", 1..=10, 1)?,
        bisect: properties.flag("BisectBatchOnFunctionError")?,
        report_item_failures,
        maximum_retries: endless("MaximumRetryAttempts", 10_000)?,
        maximum_record_age: endless("MaximumRecordAgeInSeconds", 604_800)?
            .map(|s| Duration::from_secs(s.into())),
        on_failure,
        tumbling_window: seconds(properties, "TumblingWindowInSeconds", 0..=900)?.filter(|w| !w.is_zero()),
    })
}

fn table_of(
    resolver: &Resolver<'_>,
    resource: &Resource<'_>,
    stream: Option<&Value>,
    path: &str,
) -> Result<String, TemplateError> {
    let attribute = stream.and_then(|s| s.get("Fn::GetAtt")).and_then(Value::as_array).map(Vec::as_slice);
    match attribute {
        Some([Value::String(table), Value::String(attribute)]) if attribute == "StreamArn" => {
            let table = resolver.resource(resource.name, table)?;
            if resolver.property(&table, "StreamSpecification")?.is_none() {
                return Err(TemplateError::Missing {
                    resource: table.name.to_owned(),
                    property: "StreamSpecification".to_owned(),
                });
            }
            Ok(table.name.to_owned())
        }
        _ => Err(TemplateError::Wrong {
            resource: resource.name.to_owned(),
            property: format!("{path}.Properties.Stream"),
            expected: "!GetAtt of a table's StreamArn",
            found: stream.unwrap_or(&Value::Null).to_string(),
        }),
    }
}

fn count(
    properties: &Properties<'_>,
    key: &str,
    range: std::ops::RangeInclusive<usize>,
    default: usize,
) -> Result<usize, TemplateError> {
    match properties.number(key)?.map(usize::try_from) {
        None => Ok(default),
        Some(Ok(n)) if range.contains(&n) => Ok(n),
        Some(_) => Err(properties.wrong(key, "a number in Lambda's range")),
    }
}

fn seconds(
    properties: &Properties<'_>,
    key: &str,
    range: std::ops::RangeInclusive<u64>,
) -> Result<Option<Duration>, TemplateError> {
    match properties.number(key)?.map(u64::try_from) {
        None => Ok(None),
        Some(Ok(n)) if range.contains(&n) => Ok(Some(Duration::from_secs(n))),
        Some(_) => Err(properties.wrong(key, "a number of seconds in Lambda's range")),
    }
}
