//! The days that the shop has been open.

use nextbasket_domain::Timestamp;
use nextbasket_domain::time::DAY_MS;

use crate::dice::Dice;

const MINUTE_MS: i64 = 60_000;

/// Days from 0 to the one that holds the end.
pub(crate) struct Calendar {
    end: Timestamp,
    first: Timestamp,
    months: Vec<u32>,
}

impl Calendar {
    pub(crate) fn new(end: Timestamp, days: u32) -> Self {
        let today = end.plus_millis(-(end.as_millis() % DAY_MS));
        let first = today.plus_millis(-DAY_MS * i64::from(days.saturating_sub(1)));
        let month = |day: u32| {
            let date = first.plus_millis(DAY_MS * i64::from(day)).to_string();
            date.get(5..7).and_then(|month| month.parse().ok()).unwrap_or(1)
        };
        Self { end, first, months: (0..days).map(month).collect() }
    }

    pub(crate) fn days(&self) -> u32 {
        u32::try_from(self.months.len()).unwrap_or(u32::MAX)
    }

    /// The month of a day, from 1 to 12.
    pub(crate) fn month(&self, day: u32) -> u32 {
        usize::try_from(day).ok().and_then(|day| self.months.get(day)).copied().unwrap_or(1)
    }

    /// The day so many days before the last, if the shop was open.
    pub(crate) fn days_ago(&self, ago: u32) -> Option<u32> {
        self.days().checked_sub(ago + 1)
    }

    /// The first moment of a day.
    pub(crate) fn start(&self, day: u32) -> Timestamp {
        self.first.plus_millis(DAY_MS * i64::from(day))
    }

    /// A time of a day when people shop, unless it is still to come.
    pub(crate) fn moment(&self, day: u32, dice: &mut Dice) -> Option<Timestamp> {
        let minutes = 7 * 60 + dice.below(15 * 60);
        let at =
            self.start(day).plus_millis(MINUTE_MS * i64::from(minutes) + i64::from(dice.below(60)) * 1_000);
        (at <= self.end && day < self.days()).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_back_from_the_end() {
        let end = Timestamp::parse("2026-03-10T12:00:00Z").unwrap();
        let calendar = Calendar::new(end, 100);
        let last = calendar.days_ago(0).unwrap();
        assert_eq!(calendar.start(last).to_string(), "2026-03-10T00:00:00.000Z");
        assert_eq!((calendar.month(last), calendar.month(calendar.days_ago(10).unwrap())), (3, 2));
        assert_eq!((calendar.days_ago(99), calendar.days_ago(100)), (Some(0), None));
        let mut dice = Dice::new(1, 1);
        assert!((0..100).filter_map(|_| calendar.moment(last, &mut dice)).all(|at| at <= end));
    }
}
