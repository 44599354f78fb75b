//! A generated shop whose customers come at irregular times and buy staples when they are due, in days.

pub(crate) use crate::random::Random;
use nextbasket_recommender::{Dataset, DatasetBuilder};

pub(crate) const DAY: i64 = 86_400_000;
/// Purchases of the shop lie before this day.
pub(crate) const LAST_DAY: i64 = 20_000;
const DAYS: u64 = 400;

impl Random {
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            let other = self.below(at as u64 + 1);
            items.swap(at, usize::try_from(other).unwrap());
        }
    }
}

/// When a basket is said to have been bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dates {
    Real,
    /// A basket on each of a user's last days; all users end on the same one.
    Daily,
    /// A basket a week, in the same way.
    Weekly,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Shop {
    pub(crate) users: u64,
    pub(crate) seed: u64,
    pub(crate) dates: Dates,
    /// Whether machines are bought again after some weeks, or once and never again.
    pub(crate) machines_wear_out: bool,
    /// How many staples a user has.
    pub(crate) staples: u64,
    /// How often, in percent, something else is bought on a visit.
    pub(crate) whims: u64,
}

impl Shop {
    pub(crate) fn new(users: u64) -> Self {
        Self { users, seed: 1, dates: Dates::Real, machines_wear_out: false, staples: 5, whims: 100 }
    }

    pub(crate) fn data(self) -> Dataset {
        let mut builder = DatasetBuilder::new();
        for user in 0..self.users {
            let baskets = self.baskets(user);
            for (at, (minute, products)) in baskets.iter().enumerate() {
                let later = i64::try_from(baskets.len() - at).unwrap();
                let time_ms = match self.dates {
                    Dates::Real => (LAST_DAY - i64::try_from(DAYS).unwrap()) * DAY + minute * 60_000,
                    Dates::Daily => (LAST_DAY - later) * DAY,
                    Dates::Weekly => (LAST_DAY - 7 * later) * DAY,
                };
                let products = products.iter().map(String::as_str);
                builder.push(&format!("user {user:03}"), &format!("{at:03}"), time_ms, products).unwrap();
            }
        }
        builder.build().unwrap()
    }

    /// A user's baskets, oldest first, with the minute of each.
    fn baskets(self, user: u64) -> Vec<(i64, Vec<String>)> {
        let mut random = Random(self.seed.wrapping_mul(1_000_003).wrapping_add(user));
        let mut regular: Vec<(String, u64, Option<u64>)> = Vec::new();
        for _ in 0..self.staples {
            let staple = random.below(40);
            regular.push((format!("staple {staple:02}"), period_days(staple), None));
        }
        let machines: Vec<(String, u64)> =
            (0..2).map(|_| (format!("machine {}", random.below(10)), 20 + random.below(DAYS - 20))).collect();
        if self.machines_wear_out {
            regular.extend(machines.iter().map(|(machine, _)| (machine.clone(), 45, None)));
        }
        // Some come every week, and some every other month.
        let mean_gap = [6, 10, 20, 40][usize::try_from(user % 4).unwrap()];
        let mut baskets = Vec::new();
        let mut day = random.below(30);
        let mut before = 0;
        while day < DAYS {
            let mut basket = Vec::new();
            for (product, period, last) in &mut regular {
                let due = last.is_none_or(|last| day >= last + *period);
                if due && random.chance(85) {
                    *last = Some(day);
                    basket.push(product.clone());
                }
            }
            if !self.machines_wear_out {
                let bought = machines.iter().filter(|(_, on)| (before..day).contains(on));
                basket.extend(bought.map(|(machine, _)| machine.clone()));
            }
            if random.chance(self.whims) {
                if random.chance(35) {
                    basket.push(format!("promotion {:02}", day / 7 % 30));
                }
                for _ in 0..=random.below(2) {
                    let skewed = random.below(60) * random.below(60) / 60;
                    basket.push(format!("sundry {skewed:02}"));
                }
            }
            let minute = day * 1440 + 480 + random.below(720);
            if !basket.is_empty() {
                baskets.push((i64::try_from(minute).unwrap(), basket));
            }
            before = day;
            day += 2 + random.below(2 * mean_gap - 3);
        }
        baskets
    }
}

/// After how many days a staple is bought again.
pub(crate) fn period_days(staple: u64) -> u64 {
    [7, 12, 20, 30, 45][usize::try_from(staple % 5).unwrap()]
}
