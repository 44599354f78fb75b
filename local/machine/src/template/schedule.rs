//! When a state machine starts by itself: its events of type `ScheduleV2`.

use serde_json::Value;

use super::resolve::Resolver;
use super::{Properties, Resource, TemplateError};

/// A schedule that starts a state machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// The schedule's logical id, as SAM makes it: the state machine's and the event's name.
    pub name: String,
    /// Logical id of the state machine.
    pub state_machine: String,
    /// When: `rate(…)` or `cron(…)`, in UTC.
    pub expression: String,
    /// What the execution is given.
    pub input: Value,
}

const KNOWN: [&str; 8] = [
    "Description",
    "FlexibleTimeWindow",
    "Input",
    "Name",
    "RetryPolicy",
    "ScheduleExpression",
    "ScheduleExpressionTimezone",
    "State",
];

/// The schedules of a state machine that are enabled.
pub(crate) fn read(resolver: &Resolver<'_>, resource: &Resource<'_>) -> Result<Vec<Schedule>, TemplateError> {
    let events = resource.body.get("Properties").and_then(|p| p.get("Events")).and_then(Value::as_object);
    let mut schedules = Vec::new();
    for (event, body) in events.into_iter().flatten() {
        let path = format!("Events.{event}");
        let kind = body.get("Type").and_then(Value::as_str).unwrap_or("unknown");
        if kind != "ScheduleV2" {
            let what = format!("{path} of type {kind}");
            return Err(TemplateError::Unsupported { resource: resource.name.to_owned(), what });
        }
        let raw = body.get("Properties").unwrap_or(&Value::Null);
        let resolved = resolver.value(resource.name, raw)?.unwrap_or(Value::Null);
        let properties = Properties::new(resource.name, &format!("{path}.Properties"), resolved)?;
        if let Some(unknown) = properties.keys().find(|key| !KNOWN.contains(&key.as_str())) {
            return Err(properties.unsupported(unknown));
        }
        if properties.text("ScheduleExpressionTimezone")?.is_some_and(|zone| zone != "UTC") {
            return Err(properties.unsupported("ScheduleExpressionTimezone"));
        }
        let enabled = match properties.text("State")?.as_deref() {
            None | Some("ENABLED") => true,
            Some("DISABLED") => false,
            Some(_) => return Err(properties.wrong("State", "ENABLED or DISABLED")),
        };
        let input = properties.required_text("Input")?;
        let input = serde_json::from_str(&input).map_err(|_| properties.wrong("Input", "JSON"))?;
        let schedule = Schedule {
            name: format!("{}{event}", resource.name),
            state_machine: resource.name.to_owned(),
            expression: properties.required_text("ScheduleExpression")?,
            input,
        };
        schedules.extend(enabled.then_some(schedule));
    }
    Ok(schedules)
}
