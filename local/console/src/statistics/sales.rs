//! What was sold, by ISO week.

use nextbasket_domain::time::DAY_MS;
use nextbasket_domain::{Currency, Line, Timestamp};
use serde::Serialize;

/// So many weeks are kept: three years.
const KEPT_WEEKS: usize = 157;

/// 1970-01-01 was the fourth day of its week.
const DAYS_BEFORE_EPOCH: i64 = 3;

/// A week by the number of Mondays since 1969-12-29.
pub(super) fn week_of(at: Timestamp) -> u32 {
    let days = at.as_millis() / DAY_MS + DAYS_BEFORE_EPOCH;
    u32::try_from(days / 7).unwrap_or(u32::MAX)
}

fn monday(week: u32) -> String {
    let day = Timestamp::EPOCH.plus_millis((i64::from(week) * 7 - DAYS_BEFORE_EPOCH) * DAY_MS);
    day.to_string().chars().take("2026-11-23".len()).collect()
}

/// Sales of a product, or of the shop.
#[derive(Debug, Default)]
pub(super) struct Sales {
    /// Also those before the weeks that are kept.
    purchases: u64,
    /// In the order of time.
    weeks: Vec<WeekSum>,
    revenue_in: RevenueCurrency,
}

#[derive(Debug, Clone, Copy)]
struct WeekSum {
    week: u32,
    purchases: u32,
    quantity: u64,
    /// Of the lines with a price, in minor units.
    revenue: u64,
}

/// Sums of several currencies would mean nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum RevenueCurrency {
    #[default]
    None,
    One(Currency),
    Several,
}

/// What was sold in a week.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct WeekSales {
    /// Its Monday.
    pub week: String,
    pub purchases: u32,
    pub quantity: u64,
    /// Of the lines that have a price; none without one, or with several currencies. In the form of `Money`, whose range a
    /// sum may exceed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revenue: Option<Revenue>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Revenue {
    pub amount: u64,
    pub currency: Currency,
}

impl Sales {
    /// Adds a purchase with these lines.
    pub(super) fn add<'a>(&mut self, at: Timestamp, lines: impl Iterator<Item = &'a Line>) {
        self.purchases += 1;
        let Some(sum) = self.week_at(week_of(at)) else { return };
        let mut currency = RevenueCurrency::None;
        sum.purchases = sum.purchases.saturating_add(1);
        for line in lines {
            sum.quantity = sum.quantity.saturating_add(line.quantity.into());
            if let Some(price) = line.unit_price {
                let amount = u64::try_from(price.amount()).unwrap_or(0).saturating_mul(line.quantity.into());
                sum.revenue = sum.revenue.saturating_add(amount);
                currency = currency.and(RevenueCurrency::One(price.currency()));
            }
        }
        self.revenue_in = self.revenue_in.and(currency);
    }

    /// `None` for a week before those that are kept.
    fn week_at(&mut self, week: u32) -> Option<&mut WeekSum> {
        let at = match self.weeks.binary_search_by_key(&week, |sum| sum.week) {
            Ok(at) => at,
            Err(0) if self.weeks.len() >= KEPT_WEEKS => return None,
            Err(at) => {
                self.weeks.insert(at, WeekSum { week, purchases: 0, quantity: 0, revenue: 0 });
                let surplus = self.weeks.len().saturating_sub(KEPT_WEEKS);
                self.weeks.drain(..surplus);
                at - surplus
            }
        };
        self.weeks.get_mut(at)
    }

    pub(super) fn purchases(&self) -> u64 {
        self.purchases
    }

    /// All weeks from the first sale to `last`, also those without a sale; the newest of them if they are too many.
    pub(super) fn weeks(&self, last: u32) -> Vec<WeekSales> {
        let Some(first) = self.weeks.first() else { return Vec::new() };
        let last = self.weeks.last().map_or(last, |sum| last.max(sum.week));
        let kept = u32::try_from(KEPT_WEEKS).unwrap_or(u32::MAX);
        let mut sums = self.weeks.iter().peekable();
        let weeks = first.week.max(last.saturating_sub(kept - 1))..=last;
        weeks
            .map(|week| {
                while sums.next_if(|sum| sum.week < week).is_some() {}
                match sums.next_if(|sum| sum.week == week) {
                    Some(sum) => self.shown(*sum),
                    None => self.shown(WeekSum { week, purchases: 0, quantity: 0, revenue: 0 }),
                }
            })
            .collect()
    }

    fn shown(&self, sum: WeekSum) -> WeekSales {
        let revenue = match self.revenue_in {
            RevenueCurrency::One(currency) => Some(Revenue { amount: sum.revenue, currency }),
            RevenueCurrency::None | RevenueCurrency::Several => None,
        };
        WeekSales { week: monday(sum.week), purchases: sum.purchases, quantity: sum.quantity, revenue }
    }
}

impl RevenueCurrency {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::None, one) | (one, Self::None) => one,
            (Self::One(a), Self::One(b)) if a == b => self,
            _ => Self::Several,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nextbasket_domain::{Money, ProductId};
    use proptest::prelude::*;

    fn line(quantity: u32, cents: i64, currency: &str) -> Line {
        let currency = Currency::parse(currency).unwrap();
        Line {
            product_id: ProductId::parse("p").unwrap(),
            quantity,
            unit_price: Some(Money::new(cents, currency).unwrap()),
        }
    }

    #[test]
    fn a_week_begins_on_monday_in_utc() {
        for (at, week) in [
            ("1970-01-01T00:00:00Z", "1969-12-29"),
            ("2026-11-29T23:59:59.999Z", "2026-11-23"),
            ("2026-11-30T00:00:00Z", "2026-11-30"),
            ("2027-01-01T12:00:00Z", "2026-12-28"),
        ] {
            let at = Timestamp::parse(at).unwrap();
            // No timestamp is before 1970, so its week is shown by its first day in the range.
            let shown = if week < "1970" { "1970-01-01" } else { week };
            assert_eq!(monday(week_of(at)), shown);
        }
    }

    #[test]
    fn weeks_without_a_sale_stand_between_the_others() {
        let mut sales = Sales::default();
        for at in ["2026-11-02T10:00:00Z", "2026-11-20T10:00:00Z", "2026-11-03T10:00:00Z"] {
            sales.add(Timestamp::parse(at).unwrap(), [line(2, 150, "EUR")].iter());
        }
        let last = week_of(Timestamp::parse("2026-11-28T10:00:00Z").unwrap());
        let weeks = sales.weeks(last);
        let sums: Vec<_> =
            weeks.iter().map(|week| (week.week.as_str(), week.purchases, week.quantity)).collect();
        let expected =
            [("2026-11-02", 2, 4), ("2026-11-09", 0, 0), ("2026-11-16", 1, 2), ("2026-11-23", 0, 0)];
        assert_eq!(sums, expected);
        assert_eq!(weeks[0].revenue, Some(Revenue { amount: 600, currency: Currency::EUR }));
    }

    #[test]
    fn there_is_no_revenue_of_several_currencies_or_without_prices() {
        let at = Timestamp::parse("2026-11-02T10:00:00Z").unwrap();
        let mut sales = Sales::default();
        sales.add(at, [line(1, 150, "EUR"), line(1, 150, "CHF")].iter());
        assert_eq!(sales.weeks(0)[0].revenue, None);
        let mut sales = Sales::default();
        sales.add(at, [Line { unit_price: None, ..line(1, 0, "EUR") }].iter());
        assert_eq!((sales.weeks(0)[0].quantity, sales.weeks(0)[0].revenue), (1, None));
    }

    proptest! {
        #[test]
        fn the_newest_weeks_are_kept_whatever_the_order(
            weeks in prop::collection::vec(0_u32..400, 0..600),
        ) {
            let mut sales = Sales::default();
            for week in &weeks {
                let at = Timestamp::EPOCH.plus_millis((i64::from(*week) * 7 + 5) * DAY_MS);
                sales.add(at, [line(1, 1, "EUR")].iter());
            }
            let newest = weeks.iter().max().map_or(0, |week| week + 1);
            let shown = sales.weeks(newest);
            prop_assert!(shown.len() <= KEPT_WEEKS);
            for (week, shown) in (0..=newest).rev().zip(shown.iter().rev()) {
                let naive = weeks.iter().filter(|bought| **bought + 1 == week).count();
                prop_assert_eq!(shown.purchases as usize, naive, "{}", shown.week);
            }
        }
    }
}
