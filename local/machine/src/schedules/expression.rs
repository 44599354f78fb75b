//! EventBridge Scheduler's expressions: `rate(1 day)`, `cron(0 3 * * ? *)`, in UTC
//! (<https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html>).

use chrono::{DateTime, TimeDelta, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

/// When something is due.
#[derive(Debug, Clone)]
pub enum ScheduleExpression {
    /// Again and again after so long.
    Rate(TimeDelta),
    /// At the times that match.
    Cron(Box<Cron>),
}

/// Why an expression is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{expression}: {problem}")]
pub struct ExpressionError {
    expression: String,
    problem: String,
}

impl ExpressionError {
    /// As that of the schedule of this name.
    pub(super) fn of(self, name: &str) -> Self {
        Self { expression: format!("{name}: {}", self.expression), ..self }
    }
}

impl ScheduleExpression {
    /// From its text.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        let error = |problem: String| ExpressionError { expression: text.to_owned(), problem };
        let inside = |name: &str| text.trim().strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        if let Some(rate) = inside("rate") {
            return parse_rate(rate)
                .map(Self::Rate)
                .ok_or_else(|| error("must be as in rate(1 day), with minutes, hours or days".to_owned()));
        }
        let Some(fields) = inside("cron") else {
            return Err(error("must be rate(…) or cron(…)".to_owned()));
        };
        if fields.split_whitespace().count() != 6 {
            return Err(error("must have six fields: minutes, hours, day, month, weekday, year".to_owned()));
        }
        // As the scheduler has them: Sunday is 1, and `0/20` is every 20 from 0 on.
        let parser = CronParser::builder().seconds(Seconds::Required).year(Year::Required);
        let parser = parser.alternative_weekdays(true).sloppy_ranges(true);
        let cron = parser.build().parse(&format!("0 {fields}")).map_err(|e| error(e.to_string()))?;
        Ok(Self::Cron(Box::new(cron)))
    }

    /// The first time after this one at which something is due; `None` if there is none.
    #[must_use]
    pub fn next(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Rate(rate) => after.checked_add_signed(*rate),
            Self::Cron(cron) => cron.find_next_occurrence(&after, false).ok(),
        }
    }

    /// The last time, later than `after` and up to `now`, at which something was due.
    #[must_use]
    pub fn latest(&self, after: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let latest = match self {
            Self::Rate(rate) => {
                let times = (now - after).num_seconds().checked_div(rate.num_seconds())?;
                after.checked_add_signed(rate.checked_mul(i32::try_from(times).ok()?)?)?
            }
            Self::Cron(cron) => cron.find_previous_occurrence(&now, true).ok()?,
        };
        (latest > after && latest <= now).then_some(latest)
    }
}

fn parse_rate(rate: &str) -> Option<TimeDelta> {
    let (count, unit) = rate.trim().split_once(' ')?;
    let count: i64 = count.parse().ok().filter(|&count| count > 0)?;
    let minutes = match unit.trim() {
        "minute" | "minutes" => 1,
        "hour" | "hours" => 60,
        "day" | "days" => 24 * 60,
        _ => return None,
    };
    TimeDelta::try_minutes(count.checked_mul(minutes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    fn next(expression: &str, after: &str) -> String {
        ScheduleExpression::parse(expression).unwrap().next(time(after)).unwrap().to_rfc3339()
    }

    #[test]
    fn rates_and_crons_are_as_the_scheduler_has_them() {
        let noon = "2026-05-17T12:00:00Z"; // a Sunday
        assert_eq!(next("rate(1 day)", noon), "2026-05-18T12:00:00+00:00");
        assert_eq!(next("rate(90 minutes)", noon), "2026-05-17T13:30:00+00:00");
        assert_eq!(next("cron(0 3 * * ? *)", noon), "2026-05-18T03:00:00+00:00");
        assert_eq!(next("cron(15 10 ? * 2-6 *)", noon), "2026-05-18T10:15:00+00:00", "2 is Monday");
        assert_eq!(next("cron(0/20 * * * ? *)", "2026-05-17T12:05:00Z"), "2026-05-17T12:20:00+00:00");
        assert_eq!(next("cron(0 8 1 * ? *)", noon), "2026-06-01T08:00:00+00:00");
        assert_eq!(next("cron(0 0 L * ? 2026)", noon), "2026-05-31T00:00:00+00:00");
    }

    #[test]
    fn the_latest_due_time_is_the_last_one_missed() {
        let nightly = ScheduleExpression::parse("cron(0 3 * * ? *)").unwrap();
        let (seen, now) = (time("2026-05-17T03:00:00Z"), time("2026-05-20T09:00:00Z"));
        assert_eq!(nightly.latest(seen, now), Some(time("2026-05-20T03:00:00Z")));
        assert_eq!(nightly.latest(seen, seen), None);
        let hourly = ScheduleExpression::parse("rate(2 hours)").unwrap();
        assert_eq!(hourly.latest(seen, time("2026-05-17T08:59:00Z")), Some(time("2026-05-17T07:00:00Z")));
        assert_eq!(hourly.latest(seen, time("2026-05-17T04:59:00Z")), None);
    }

    #[test]
    fn what_is_none_says_what_it_must_be() {
        for (wrong, problem) in [
            ("rate(0 days)", "must be as in rate(1 day)"),
            ("rate(5 weeks)", "must be as in rate(1 day)"),
            ("cron(0 3 * * *)", "must have six fields"),
            ("cron(0 25 * * ? *)", "25"),
            ("daily", "must be rate(…) or cron(…)"),
        ] {
            let error = ScheduleExpression::parse(wrong).unwrap_err().to_string();
            assert!(error.starts_with(wrong) && error.contains(problem), "{error}");
        }
    }
}
