//! A coffee and kitchen shop, generated from a seed: its catalogue and a year of purchases.
//!
//! For a demonstration, whose answers a person can judge by reading them, and for tests that need purchases with
//! a pattern in them: shoppers who come back in their own rhythm, things that go together, seasons, bestsellers
//! and a long tail, visitors who come once.
//!
//! * `catalogue`: some 200 products on 17 shelves; `stock`: the same as the domain's products
//! * `personas`: what kinds of shoppers come back for; `pairs`: what leads to what
//! * `shopper`: one shopper's year; [`heroes`]: shoppers with a story
//! * `calendar`: days and months; `dice`: chance from a seed
//!
//! Its data are files beside the code that reads them: they are part of the program and parsed once.
//!
//! # Guarantees
//! * The same seed, end and size give the same shop on every machine: whole numbers only.
//! * No purchase is later than the end. Ids are unique and within their limits.
//! * [`HEROES`] do the same whatever the seed.
//!
//! It is no model of a real shop: its patterns are cleaner than life, so figures of quality come from real data.

mod calendar;
mod catalogue;
mod dice;
pub mod heroes;
mod pairs;
mod personas;
mod shopper;
mod stock;

use nextbasket_domain::{Line, Product, Purchase, PurchaseId, Timestamp, UserId};

use crate::calendar::Calendar;
use crate::dice::Dice;
pub use crate::heroes::{HEROES, Hero};
use crate::shopper::Year;
use crate::stock::Goods;

/// How much of a shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShopSize {
    /// Shoppers of chance, beside the [`HEROES`].
    pub shoppers: u32,
    /// Days from the first purchase to the end.
    pub days: u32,
}

impl ShopSize {
    /// What the demonstration shows: thirteen months.
    pub const DEMO: Self = Self { shoppers: 800, days: 400 };
    /// Enough for a quick test.
    pub const SMALL: Self = Self { shoppers: 60, days: 400 };
}

/// A catalogue and what was bought of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shop {
    /// The products, shelf by shelf.
    pub products: Vec<Product>,
    pub purchases: Vec<Purchase>,
}

/// Builds the shop whose last purchases are of the day of `end`.
#[must_use]
pub fn generate(seed: u64, end: Timestamp, size: ShopSize) -> Shop {
    let goods = Goods::new();
    let calendar = Calendar::new(end, size.days.max(1));
    let mut orders = Vec::new();
    for (number, hero) in (1_u64 << 32..).zip(HEROES.iter()) {
        let year = shopper::hero(hero, &goods, &calendar);
        collect(&mut orders, &hero.user, year, &goods, &calendar, &mut Dice::new(0, number));
    }
    for number in 0..size.shoppers {
        let mut dice = Dice::new(seed, u64::from(number));
        let year = shopper::chance(&goods, &calendar, &mut dice);
        collect(&mut orders, &format!("user-{:04}", number + 1), year, &goods, &calendar, &mut dice);
    }
    orders.sort_by(|a, b| (a.at, &a.user_id).cmp(&(b.at, &b.user_id)));
    let purchases = orders.into_iter().zip(1_u32..).filter_map(|(order, number)| order.into_purchase(number));
    Shop { products: goods.products(&calendar), purchases: purchases.collect() }
}

struct Order {
    at: Timestamp,
    user_id: UserId,
    lines: Vec<Line>,
}

impl Order {
    fn into_purchase(self, number: u32) -> Option<Purchase> {
        Some(Purchase {
            purchase_id: PurchaseId::parse(&format!("order-{number:05}")).ok()?,
            user_id: self.user_id,
            purchased_at: self.at,
            lines: self.lines,
            recommendation_id: None,
        })
    }
}

fn collect(
    orders: &mut Vec<Order>,
    user: &str,
    year: Year,
    goods: &Goods,
    calendar: &Calendar,
    dice: &mut Dice,
) {
    let Ok(user_id) = UserId::parse(user) else { return };
    for (day, basket) in year {
        let lines = basket.into_iter().filter_map(|(index, quantity)| goods.line(index, quantity)).collect();
        if let Some(at) = calendar.moment(day, dice) {
            orders.push(Order { at, user_id: user_id.clone(), lines });
        }
    }
}
