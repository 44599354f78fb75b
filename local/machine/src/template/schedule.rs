//! When a state machine starts by itself: its events of type `ScheduleV2`.

use serde_json::Value;

use super::resolve::Resolver;
use super::{Resource, TemplateError};

#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// The schedule's logical id, as SAM makes it: the state machine's and the event's name.
    pub name: String,
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
    let mut schedules = Vec::new();
    for event in resource.events("ScheduleV2") {
        let event = event?;
        let properties = event.properties(resolver, &KNOWN)?;
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
            name: event.logical_id(),
            state_machine: resource.name.to_owned(),
            expression: properties.required_text("ScheduleExpression")?,
            input,
        };
        schedules.extend(enabled.then_some(schedule));
    }
    Ok(schedules)
}
