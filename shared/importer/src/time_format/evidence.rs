//! What all dates of a file show about their order.

use super::DateOrder;
use super::reading::TimeReading;

/// What the dates of a file show about their order.
#[derive(Debug, Default)]
pub(crate) struct DateEvidence {
    /// The line and text of the first date of each kind: with a day beyond 12 at the first place, at the second, and
    /// without any.
    pub(crate) day_first: Option<(u64, String)>,
    pub(crate) month_first: Option<(u64, String)>,
    pub(crate) either: Option<(u64, String)>,
    dotted: bool,
    /// Some times name no zone.
    pub(crate) local: bool,
}

impl DateEvidence {
    pub(crate) fn add(&mut self, reading: TimeReading, line: u64, text: &str) {
        let TimeReading::DayOrMonth { first, second, zone, dotted, .. } = reading else {
            self.local |= matches!(reading, TimeReading::Local(_));
            return;
        };
        self.local |= zone.is_none();
        self.dotted |= dotted;
        let place = match (first > 12, second > 12) {
            (true, _) => &mut self.day_first,
            (_, true) => &mut self.month_first,
            _ => &mut self.either,
        };
        if place.is_none() {
            *place = Some((line, text.to_owned()));
        }
    }

    /// The order of all dates; `None` if they show it themselves. Dates with dots begin with the day everywhere.
    pub(crate) fn decide(&self) -> Result<Option<DateOrder>, DateOrderError> {
        match (&self.day_first, &self.month_first, &self.either) {
            (None, None, None) => Ok(None),
            (Some(_), None, _) => Ok(Some(DateOrder::DayFirst)),
            (None, Some(_), _) => Ok(Some(DateOrder::MonthFirst)),
            (Some(day), Some(month), _) => Err(DateOrderError::Mixed(day.clone(), month.clone())),
            (None, None, Some(_)) if self.dotted => Ok(Some(DateOrder::DayFirst)),
            (None, None, Some(either)) => Err(DateOrderError::Unknown(either.clone())),
        }
    }
}

/// Why the order of a file's dates is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DateOrderError {
    /// One date begins with the day, another with the month.
    Mixed((u64, String), (u64, String)),
    /// Any date could begin with either.
    Unknown((u64, String)),
}
