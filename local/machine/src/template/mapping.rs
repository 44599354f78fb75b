//! One mapping from a table's stream to a function: an event of type `DynamoDB`.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::Value;

use super::resolve::Resolver;
use super::{Event, Properties, Resource, TemplateError};

/// How records of a table's stream reach a function. The defaults are Lambda's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamMapping {
    /// The mapping's logical id, as SAM makes it: the function's and the event's name.
    pub name: String,
    pub function: String,
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
    let mut mappings = Vec::new();
    for event in resource.events("DynamoDB") {
        let event = event?;
        let table = table_of(resolver, &event)?;
        let properties = event.properties(resolver, &KNOWN)?;
        if properties.get("Enabled").is_some() && !properties.flag("Enabled")? {
            continue;
        }
        mappings.push(mapping(&event, table, &properties)?);
    }
    Ok(mappings)
}

fn mapping(
    event: &Event<'_>,
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
    let on_failure = destination.map(|destination| destination.nested("OnFailure")).transpose()?.flatten();
    let on_failure = on_failure.map(|on_failure| on_failure.required_text("Destination")).transpose()?;
    // -1 stands for without end.
    let endless = |key, most: u32| match properties.number(key)? {
        Some(-1) => Ok(None),
        _ => ranged(properties, key, 0..=most, "a number in Lambda's range, or -1"),
    };
    let count = |key, most: usize| ranged(properties, key, 1..=most, "a number in Lambda's range");
    let seconds = |key, most: u64| {
        let seconds = ranged(properties, key, 0..=most, "a number of seconds in Lambda's range")?;
        Ok(seconds.map(Duration::from_secs))
    };
    Ok(StreamMapping {
        name: event.logical_id(),
        function: event.resource.to_owned(),
        table,
        starting_position,
        batch_size: count("BatchSize", 10_000)?.unwrap_or(100),
        batching_window: seconds("MaximumBatchingWindowInSeconds", 300)?.unwrap_or_default(),
        parallelization: count("ParallelizationFactor", 10)?.unwrap_or(1),
        bisect: properties.flag("BisectBatchOnFunctionError")?,
        report_item_failures,
        maximum_retries: endless("MaximumRetryAttempts", 10_000)?,
        maximum_record_age: endless("MaximumRecordAgeInSeconds", 604_800)?
            .map(|s| Duration::from_secs(s.into())),
        on_failure,
        tumbling_window: seconds("TumblingWindowInSeconds", 900)?.filter(|w| !w.is_zero()),
    })
}

fn table_of(resolver: &Resolver<'_>, event: &Event<'_>) -> Result<String, TemplateError> {
    let stream = event.raw.get("Stream");
    let attribute = stream.and_then(|s| s.get("Fn::GetAtt")).and_then(Value::as_array).map(Vec::as_slice);
    match attribute {
        Some([Value::String(table), Value::String(attribute)]) if attribute == "StreamArn" => {
            let table = resolver.resource(event.resource, table)?;
            match resolver.property(&table, "StreamSpecification")? {
                Some(_) => Ok(table.name.to_owned()),
                None => Err(TemplateError::missing(table.name, "StreamSpecification")),
            }
        }
        _ => {
            let (property, found) = (format!("{}.Stream", event.path), stream.unwrap_or(&Value::Null));
            Err(TemplateError::wrong(event.resource, property, "!GetAtt of a table's StreamArn", found))
        }
    }
}

fn ranged<T: TryFrom<i64> + PartialOrd>(
    properties: &Properties<'_>,
    key: &str,
    range: RangeInclusive<T>,
    expected: &'static str,
) -> Result<Option<T>, TemplateError> {
    let Some(number) = properties.number(key)? else { return Ok(None) };
    let number = T::try_from(number).ok().filter(|number| range.contains(number));
    number.map(Some).ok_or_else(|| properties.wrong(key, expected))
}
